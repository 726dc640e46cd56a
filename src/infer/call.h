/* infer/call.h: shapes through calls of local functions, and the rounds of inference. */
#ifndef INFER_CALL_H
#define INFER_CALL_H

#include "model/model.h"

/* Infers type, rank and dims of values from inputs, initializers, value_info and the present operators, forwards and
 * backwards, until nothing more follows. The rest stays unknown. Returns true if it learned something. Never fails. */
bool shape_infer(struct model *model);

#endif
