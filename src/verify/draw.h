/* verify/draw.h: sources of a cone drawn. */
#ifndef VERIFY_DRAW_H
#define VERIFY_DRAW_H

#include "verify/state.h"

/* Random numbers for sources that have none yet. */
const char *cone_draw(struct verify *verify, struct joint_eval *joint, const struct cone *cone,
                      const struct graph *left, const struct drawing *drawing);
/* True when the size of a source is left open, but for the batch, or the models do not agree on it. */
bool cone_is_open(const struct verify *verify, const struct cone *cone, const struct graph *left);
/* True when not every tap can be reached by sources of a size that can be evaluated. */
bool cone_is_short(const struct verify *verify, const struct cone *cone, const struct graph *left);

#endif
