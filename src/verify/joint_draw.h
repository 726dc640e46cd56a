/* verify/joint_draw.h: random numbers that suit what reads them. */
#ifndef VERIFY_JOINT_DRAW_H
#define VERIFY_JOINT_DRAW_H

#include "verify/joint.h"

/* Gives a source random numbers. What is made by an op with a range, such as Relu, gets what that makes
 * of them, also behind ops that hand elements on as they are. A value that has an array keeps it.
 * Returns the reason why not. */
const char *joint_draw(struct joint_eval *joint, const struct value *value, int rank, const int64_t *dims,
                       const struct draw *draw);

#endif
