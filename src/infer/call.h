/* infer/call.h: shapes through calls of local functions, and the rounds of inference. */
#ifndef INFER_CALL_H
#define INFER_CALL_H

#include "model/model.h"

/* Fills in type, rank and dims of values from inputs, initializers, value_info and the operators in
 * force, from what they read to what they give and back, until nothing more follows. What it cannot know
 * stays unknown. Returns true when it learned something. Never fails. */
bool shape_infer(struct model *model);

#endif
