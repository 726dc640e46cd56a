/* verify/joint_draw.h: random numbers that suit their readers. */
#ifndef VERIFY_JOINT_DRAW_H
#define VERIFY_JOINT_DRAW_H

#include "verify/joint.h"

/* Gives a source random numbers. If an op with a limited range, such as Relu, computes it, perhaps before ops that
 * pass elements on unchanged, the op is applied to the numbers. A value that has an array keeps it. Returns the
 * reason why not. */
const char *joint_draw(struct joint_eval *joint, const struct value *value, int rank, const int64_t *dims,
                       const struct draw *draw);

#endif
