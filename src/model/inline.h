/* model/inline.h: replaces calls of local functions by their nodes, before a model's graphs are built. */
#ifndef MODEL_INLINE_H
#define MODEL_INLINE_H

#include "model/model.h"

/* The number of nodes, and of names in them, after inlining, including bodies; above any limit if functions call
 * themselves. */
size_t inline_count(struct model *model);

/* Replaces every call by the function's nodes, in the main graph and its bodies, as ONNX says: attributes that refer to the
 * function's are the call's, or the default, or left out. Values of the function are called CALL::NAME, after the
 * call's first output. A call of a function with other operator sets stays, because its nodes would mean something
 * else in the model. inline_count gives the cost. */
void inline_functions(struct model *model);

#endif
