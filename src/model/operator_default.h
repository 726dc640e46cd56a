/* model/operator_default.h: defaults of attributes. */
#ifndef MODEL_OPERATOR_DEFAULT_H
#define MODEL_OPERATOR_DEFAULT_H

#include "model/graph.h"

/* True for an attribute that holds its default. */
bool attribute_is_default(const struct node *node, const Onnx__AttributeProto *attribute);

#endif
