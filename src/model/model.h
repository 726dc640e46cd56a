/* model/model.h: one model in memory: the mapped file, the unpacked skeleton, the graphs. */
#ifndef MODEL_MODEL_H
#define MODEL_MODEL_H

#include "base/budget.h"
#include "base/memo.h"
#include "model/graph.h"
#include "model/wire.h"

struct affine;

/* A size: a factor times a symbol that is not itself a multiple; or a number, if the symbol is 0. */
struct multiple {
    int64_t symbol, factor;
};

struct model {
    struct arena *arena;
    const char *path;              /* for messages */
    struct mapping bytes;          /* the file as it is; payloads of tensors point into it */
    struct folder *folder;         /* where external data may lie; NULL: nowhere */
    struct wire_skeleton skeleton; /* its bytes are freed once unpacked */
    Onnx__ModelProto *proto;
    int64_t ir_version;
    LIST(struct graph *) graphs;        /* outer before inner; the main graph first, functions last */
    struct map inner_names;             /* of values in all graphs but the main one, and of what no graph
                                has but describes: new names avoid them */
    struct map symbols;                 /* sizes of the main graph's inputs by name: a dim as in value.dims */
    LIST(struct multiple) multiples;    /* what each symbol is: of symbol s at -2 - s */
    struct map multiple_symbols;        /* the symbols of multiples, by what they are */
    struct map node_names;              /* the same for nodes; model/edit.c, empty until it is needed */
    const struct affine *identity;      /* fuse/step.c */
    const struct node *last_attributed; /* model/edit.c: the node made last that has attributes */
    uint32_t node_count, value_count;   /* of all graphs, removed ones included: above every index */
    /* Data that higher layers store per node or value. */
    struct memo inferred;                    /* infer/constant.h, of values */
    struct memo steps;                       /* fuse/lift.c, of nodes */
    struct memo traces;                      /* fuse/trace.c, of values */
    struct memo scaled;                      /* equalize/classes.h, of values */
    struct memo value_numbers, node_matches; /* match/numbered.h */
    uint32_t stamp;                          /* fuse/trace.c: changes of the graph so far */
    struct map sizes;                        /* model/edit.c: sizes (int64_t) that replaced symbols in shapes, by
                                                name */
    bool is_sized;                           /* model/edit.c: sizes of an input are not those of the file */
    bool has_external;
    bool learned;          /* infer/shape.c: learned something new in the present round */
    struct effort folding; /* what is left of it */
};

#endif
