/* model/edit.h: the only code that changes graphs and messages after they are built.
 *
 * Every edit keeps the index consistent: names, producers, readers. Messages of the file never change; edits make
 * new ones, and write/emit.c writes old bytes or new messages. */
#ifndef MODEL_EDIT_H
#define MODEL_EDIT_H

#include "model/model.h"

/* The same for a node. A replaced node may pass its name on unchanged. */
const char *edit_node_name(struct model *model, const char *wanted);

/* A new value of this graph, under a new name. */
struct value *edit_value(struct graph *graph, const char *wanted);

/* A new constant: an initializer, or a Constant node if the graph cannot have initializers (local functions,
 * subgraphs below IR 4). It stands at the position of `at`. tensor->name is set. */
struct value *edit_constant(struct graph *graph, const struct node *at, const char *wanted, struct tensor *tensor);

/* The same for a tensor that repeats one number, from opset 9 on: a ConstantOfShape computes it from its shape. */
struct value *edit_repeated(struct graph *graph, const struct node *at, const char *wanted, struct tensor *tensor);

/* The message of a new constant, which borrows from it. The tensor itself stands in the place of its numbers:
 * protobuf-c passes it on unread, and write/emit.c replaces it by the computed numbers. */
void edit_tensor_message(const struct tensor *tensor, Onnx__TensorProto *message);

/* The computed constant `value` becomes a stored one with the same name. Its producer is removed, so its other
 * results with readers must be stored too. */
void edit_store(struct value *value, struct tensor *tensor);

/* Readers of the new constant `value` read `other` instead, an equal new constant of the same graph. */
void edit_share(struct value *value, struct value *other);

/* Readers of `value` read `other` instead, an equal value that is visible by its name in every reader's scope. Nodes
 * of the file keep everything else. */
void edit_redirect(struct value *value, struct value *other);

/* The producer of `value` produces `output` instead of its present producer. `value` is removed, and its readers
 * read `output`. Both are in one graph. */
void edit_take_over(struct value *value, struct value *output);

struct edit_attribute {
    const char *name;
    const int64_t *integers; /* NULL: a single integer */
    size_t count;
    int64_t integer;
};

/* Describes a new node. Names are borrowed for the life of the graph, arrays for the call. */
struct edit_op {
    const char *op;              /* the operator's name */
    const struct node *at;       /* at whose position it stands */
    const char *name;            /* of the node; NULL or "": none */
    const struct node *like;     /* whose doc_string, metadata and devices it takes over, or NULL */
    struct value *const *inputs; /* NULL: an optional one, left out */
    size_t input_count;
    struct value *output;
    const struct edit_attribute *attributes;
    size_t attribute_count;
};

/* A new node that makes its output in place of the present producer, if there is one. */
struct node *edit_node(struct graph *graph, const struct edit_op *wanted);

/* A copy of a node with other inputs and outputs, as many as it has: NULL where one is left out. It stands at
 * the position of `at`. An output that has a producer gets another one, which goes. */
struct node *edit_copy(const struct node *from, const struct node *at, struct value *const *inputs,
                       struct value *const *outputs);

/* The new node gets the attributes of another one. */
void edit_take_attributes(struct node *node, const struct node *from);

/* Sets an attribute of the new node. */
void edit_set_attribute(struct node *node, const struct edit_attribute *attribute);

/* Removes the node and its uses. Its outputs must have no reader left. */
void edit_remove(struct node *node);

/* Removes unused nodes, initializers and descriptions. Returns whether there were any. Unknown ops and ops of other
 * domains stay, because they may have side effects. */
bool edit_remove_dead(struct model *model);

/* ---- inputs and outputs of the main graph, before any rewrite ---- */

/* An initializer that is also an input is no longer an input, so callers cannot override it. */
void edit_freeze(struct value *value);

/* Removes the outputs for which `kept` is false, by position, and the nodes and initializers that only they need,
 * whatever the operator. Returns the number of nodes, without Constants. */
size_t edit_keep_outputs(struct model *model, const bool *kept);

/* Sets the shape of an input. The sizes replace the symbols of its declared shape in every graph except local
 * functions, once edit_spread_sizes is called. */
void edit_size(struct value *input, int rank, const int64_t *dims);
void edit_spread_sizes(struct model *model);

#endif
