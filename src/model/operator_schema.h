/* model/operator_schema.h: ONNX's schema of each operator: inputs, outputs, types. */
#ifndef MODEL_OPERATOR_SCHEMA_H
#define MODEL_OPERATOR_SCHEMA_H

#include "model/operator.h"

/* The schema of an operator of the default domain at an opset; if the opset does not have it yet, its oldest one.
 * NULL: there is no such operator, or it is of another domain. */
const struct operator_schema *operator_schema(const char *domain, const char *type, int64_t opset);

#endif
