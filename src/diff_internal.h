/* diff_internal.h: what the files that make a struct diff_result share. */
#ifndef DIFF_INTERNAL_H
#define DIFF_INTERNAL_H

#include "diff.h"
#include "match.h"

struct differ {
    struct arena *arena;
    const struct diff_options *options;
    struct diff_result *result;
    struct numbering numbering;
    struct model *models[2];
    struct map weights; /* pairs of constants that were compared */
    struct match_table table;
};

/* Keeps a change, unless its kind is ignored. */
void diff_add(struct differ *differ, const struct diff_change *change);

/* diff_graph.c: two graphs that stand for each other, and the bodies inside them. */
void diff_graphs(struct differ *differ, struct graph *a, struct graph *b,
                 const struct value_pair *outputs, size_t output_count);

/* A name, and how many of it stood before. What ought to be named once and is not is compared the
 * first with the first, and so on. */
const char *diff_key(struct arena *arena, struct map *counts, const char *name);

/* Attributes of a node by name. */
struct attribute_names {
    const struct node *node;
    const char **keys; /* and map: where there are many */
    struct map map;
};
struct attribute_names diff_attributes(struct arena *arena, const struct node *node);
/* The one that attribute `index` of the other node stands for; NULL: none. */
const Onnx__AttributeProto *diff_attribute_like(const struct attribute_names *names,
                                                const struct attribute_names *others, size_t index);

/* diff_weight.c: two constants that stand for each other, read by input `index` of partners. */
void diff_weights(struct differ *differ, const struct node *left, const struct node *right,
                  size_t index, const struct value *x, const struct value *y);
/* "float [64, 3, 3, 3]", or the numbers themselves when they are few. */
const char *diff_constant_text(struct arena *arena, const struct tensor *tensor, bool numbers);

/* diff_dress.c: what does not change what the model computes. */
void diff_graph_dress(struct differ *differ, struct graph *a, struct graph *b);
void diff_model_dress(struct differ *differ);

/* diff_note.c: NULL where there is none. */
const char *diff_devices_text(struct arena *arena, const Onnx__NodeProto *node);
const char *diff_configuration_text(struct arena *arena, const Onnx__ModelProto *model);
const char *diff_training_text(const struct model *model);
const char *diff_quantization_text(struct arena *arena, const Onnx__TensorAnnotation *annotation);

/* diff.c */
/* "Conv 'conv1'", or "Conv that makes 'x'" where the node has no name. */
const char *diff_node_text(struct arena *arena, const struct node *node);
const char *diff_attribute_text(struct arena *arena, const Onnx__AttributeProto *attribute);
const char *diff_type_text(struct arena *arena, const Onnx__TypeProto *type);
static inline const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

#endif
