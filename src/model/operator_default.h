/* model/operator_default.h: defaults of attributes. */
#ifndef MODEL_OPERATOR_DEFAULT_H
#define MODEL_OPERATOR_DEFAULT_H

#include "model/graph.h"

/* True for an attribute that holds its default. */
bool attribute_is_default(const struct node *node, const Onnx__AttributeProto *attribute);

/* The default of `attribute` of an operator, which may be "": *length characters, which are a number, a string, "*1"
 * for a list that repeats that number, or "0,2" for a list. NULL: it has no default, or one that such a text cannot
 * express, or the operator or opset is unknown. */
const char *operator_default(const char *domain, const char *type, int64_t opset, const char *attribute,
                             size_t *length);

#endif
