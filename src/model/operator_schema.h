/* model/operator_schema.h: what ONNX says of each operator: inputs, outputs, types. */
#ifndef MODEL_OPERATOR_SCHEMA_H
#define MODEL_OPERATOR_SCHEMA_H

#include "model/operator.h"

/* The schema of an operator of the default domain at an opset: its oldest, of a later opset, where it is not there
 * yet; NULL: there is none of this name, or the domain is another. */
const struct operator_schema *operator_schema(const char *domain, const char *type, int64_t opset);

#endif
