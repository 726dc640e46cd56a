/* model.h: one model in memory: the mapped file, the unpacked skeleton, the graphs. */
#ifndef MODEL_H
#define MODEL_H

#include "base.h"
#include "eval.h"
#include "file.h"
#include "graph.h"
#include "wire.h"

struct model {
    struct arena *arena;
    const char *path;              /* for messages */
    struct mapping bytes;          /* the file as it is; payloads of tensors point into it */
    struct folder *folder;         /* where external data may lie; NULL: nowhere */
    struct wire_skeleton skeleton; /* its bytes are freed once unpacked */
    Onnx__ModelProto *proto;
    int64_t ir_version;
    LIST(struct graph *) graphs;   /* outer before inner; the main graph first, functions last */
    struct map inner_names;        /* of values in all graphs but the main one, and of what no graph
                                has but describes: new names avoid them */
    struct map node_names;         /* the same for nodes; edit.c, empty until it is needed */
    const struct affine *identity; /* lift.c */
    const struct node *last_attributed; /* edit.c: the node made last that has attributes */
    uint32_t stamp;                     /* lift.c */
    bool has_external;
    bool learned;          /* shape.c: something that was not known, in the round that runs */
    struct effort folding; /* what is left of it */
};

/* Reads a model: scans the wire format, unpacks the skeleton, points tensors into `bytes`, builds
 * the graphs. Lands with NOT_ONNX, INVALID_MODEL, LIMIT or IO. */
void model_load(struct model *model);
/* Its two halves: the messages, which may still be changed, and what is made of them. */
void model_parse(struct model *model);
void model_build(struct model *model);

/* A tensor of the model with its data found, external data opened. Lands when it is broken. */
struct tensor *model_tensor(struct model *model, const Onnx__TensorProto *proto);

/* Lets go of the pages of mapped files: they stay in the system's cache, but no longer count as
 * this process's memory. */
void model_give_back(const struct model *model);

/* Lands with IO when a file of the model has changed since it was opened. */
void model_check_files(const struct model *model);

#endif
