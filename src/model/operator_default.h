/* model/operator_default.h: what it means that an attribute is left out. */
#ifndef MODEL_OPERATOR_DEFAULT_H
#define MODEL_OPERATOR_DEFAULT_H

#include "model/graph.h"

/* True for an attribute that says what its absence would say. */
bool attribute_is_default(const struct node *node, const Onnx__AttributeProto *attribute);

/* What it means that `attribute` is left out of an operator, "" included: *length characters, which
 * are a number, a string, "*1" for a list of nothing but that number, or "0,2" for a list. NULL: it has no default, or
 * one that no such text says, or the operator or opset is not known here. */
const char *operator_default(const char *domain, const char *type, int64_t opset, const char *attribute,
                             size_t *length);

#endif
