/* verify/draw.h: draws random numbers for the sources of a cone. */
#ifndef VERIFY_DRAW_H
#define VERIFY_DRAW_H

#include "verify/state.h"

/* Random numbers for sources that have none yet. */
const char *cone_draw(struct verify *verify, struct joint_eval *joint, const struct cone *cone,
                      const struct graph *left, const struct drawing *drawing);
/* True if a size of a source other than the batch is open, or the models disagree about it. */
bool cone_is_open(const struct verify *verify, const struct cone *cone, const struct graph *left);
/* True if sources of a size that can be evaluated do not reach every tap. */
bool cone_is_short(const struct verify *verify, const struct cone *cone, const struct graph *left);

#endif
