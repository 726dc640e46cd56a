/* model/describe.h: nodes, attributes and types as text. */
#ifndef MODEL_DESCRIBE_H
#define MODEL_DESCRIBE_H

#include "model/graph.h"

/* diff/model.c */
/* "Conv 'conv1'", or "Conv that makes 'x'" if the node has no name. */
const char *describe_node(struct arena *arena, const struct node *node);

const char *describe_attribute(struct arena *arena, const Onnx__AttributeProto *attribute);
const char *describe_type(struct arena *arena, const Onnx__TypeProto *type);

#endif
