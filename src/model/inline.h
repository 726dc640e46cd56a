/* model/inline.h: calls of local functions replaced by what the functions hold, before a model's graphs are built. */
#ifndef MODEL_INLINE_H
#define MODEL_INLINE_H

#include "model/model.h"

/* Nodes, and names in them, that a parsed model has when its calls are replaced, those of bodies included; more than any
 * limit where functions call themselves. */
size_t inline_count(struct model *model);

/* Replaces every call by the function's nodes, in the main graph and its bodies, as ONNX says: attributes that refer to the
 * function's are the call's, or the default, or left out. What the function makes is called CALL::NAME by the
 * call's first output. A function of other operator sets, whose nodes would mean something else in the model, stays a
 * call. inline_count says what it takes. */
void inline_functions(struct model *model);

#endif
