/* model/edit.h: the only writer of graphs and messages after they are built.
 *
 * Every edit keeps the index right: names, producers, readers. What the file said is never
 * changed; new messages are made beside it, and write/emit.c writes old bytes or new messages. */
#ifndef MODEL_EDIT_H
#define MODEL_EDIT_H

#include "model/model.h"

/* The same for a node. A node that is replaced may hand its name on as it is. */
const char *edit_node_name(struct model *model, const char *wanted);

/* A new value of this graph, under a new name. */
struct value *edit_value(struct graph *graph, const char *wanted);

/* A new constant: an initializer, or a Constant node where the graph can hold none (local functions,
 * subgraphs below IR 4). It stands at the position of `at`. tensor->name is set. */
struct value *edit_constant(struct graph *graph, const struct node *at, const char *wanted, struct tensor *tensor);

/* The same for a tensor of one number repeated, from opset 9 on: ConstantOfShape makes it of its shape. */
struct value *edit_repeated(struct graph *graph, const struct node *at, const char *wanted, struct tensor *tensor);

/* The message of a new constant, which borrows from it. Where its numbers go stands the tensor itself:
 * protobuf-c hands it on unread, and write/emit.c puts what is computed in its place. */
void edit_tensor_message(const struct tensor *tensor, Onnx__TensorProto *message);

/* The computed constant `value` becomes a stored one of the same name; its producer is removed, so that other
 * results of it that somebody reads must be stored as well. */
void edit_store(struct value *value, struct tensor *tensor);

/* Whatever reads the new constant `value` reads `other` instead, a new constant of the same graph that holds
 * the same. */
void edit_share(struct value *value, struct value *other);

/* Whatever reads `value` reads `other` instead, a value that holds the same and that every reader's scope
 * knows by its name. Nodes of the file keep all else that they say. */
void edit_redirect(struct value *value, struct value *other);

/* What makes `value` makes `output` instead, in place of the node that does so now; `value` is gone, and its
 * readers read `output`. Both are of one graph. */
void edit_take_over(struct value *value, struct value *output);

struct edit_attribute {
    const char *name;
    const int64_t *integers; /* NULL: a single integer */
    size_t count;
    int64_t integer;
};

/* A node that is wanted. Names are borrowed for the life of the graph, arrays for the call. */
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

/* The new node has the attributes of another one, as they are. */
void edit_take_attributes(struct node *node, const struct node *from);

/* One of the new node's attributes is this, in place of what it was. */
void edit_set_attribute(struct node *node, const struct edit_attribute *attribute);

/* The node is gone, and with it its readings. Its outputs must have no reader left. */
void edit_remove(struct node *node);

/* Removes nodes, initializers and descriptions that nothing reads. Returns whether there were any.
 * Ops of other domains and unknown ops stay: they may have effects. */
bool edit_remove_dead(struct model *model);

/* ---- inputs and outputs of the main graph, before anything is rewritten ---- */

/* An initializer that is an input as well is an input no more: nobody can override it. */
void edit_freeze(struct value *value);

/* Outputs that `kept` is false for, by position, are none any more, and nodes and initializers go that only they
 * needed, whatever the operator. Returns the number of nodes, Constants left out. */
size_t edit_keep_outputs(struct model *model, const bool *kept);

/* The input has these sizes. A symbol that its shape was declared with stands for the number in every graph but local
 * functions, once edit_spread_sizes has been called. */
void edit_size(struct value *input, int rank, const int64_t *dims);
void edit_spread_sizes(struct model *model);

#endif
