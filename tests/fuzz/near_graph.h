/* near_graph.h: what the files that change graphs share. */
#ifndef NEAR_GRAPH_H
#define NEAR_GRAPH_H

#include "near_internal.h"

typedef Onnx__GraphProto Graph;
typedef Onnx__NodeProto Node;
typedef Onnx__TensorProto Tensor;
typedef Onnx__AttributeProto Attribute;

enum { FLOAT = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, INT64 = ONNX__TENSOR_PROTO__DATA_TYPE__INT64 };

/* What is known of a value as far as one walk up the first inputs tells; a guess otherwise. */
struct shape {
    size_t rank;
    int64_t dims[8];
};
struct shape near_shape(struct near *near, const Graph *graph, const char *name);
Node *near_producer(const Graph *graph, const char *name);            /* NULL: none */
const Tensor *near_initializer(const Graph *graph, const char *name); /* NULL: none */

Node *near_node(struct near *near, const char *type);
void near_reads(struct near *near, Node *node, char *name);
char *near_makes(struct near *near, Node *node, const char *stem);
Attribute *near_attribute(struct near *near, Node *node, const char *name, int type);
void near_set_int(struct near *near, Node *node, const char *name, int64_t value);
void near_set_ints(struct near *near, Node *node, const char *name, size_t count, const int64_t *values);
/* Numbers of a new float or int64 tensor, stored in one of the ways there are. */
Tensor *near_tensor(struct near *near, int type, size_t rank, const int64_t *dims, const double *values);
/* A constant in a graph: an initializer, or a Constant node in front of all others. */
char *near_constant(struct near *near, Graph *graph, Tensor *tensor);
char *near_floats(struct near *near, Graph *graph, size_t rank, const int64_t *dims, bool positive);
char *near_integers(struct near *near, Graph *graph, size_t count, const int64_t *numbers);

/* An output of a node that is placed before the one that is drawn. */
char *near_ahead(struct near *near, Node *node);
/* An op that reads the value. What must come before it is in near->ahead, in order. */
Node *near_draw_op(struct near *near, Graph *graph, char *name);
/* A convolution with `outputs` channels; mostly of the same extent. */
Node *near_draw_conv(struct near *near, Graph *graph, char *name, int64_t channels, size_t rank, int64_t outputs);

#endif
