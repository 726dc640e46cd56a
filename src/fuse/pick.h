/* fuse/pick.h: ops that select, repeat or place parts of an axis: each output number is an input number, or 0. */
#ifndef FUSE_PICK_H
#define FUSE_PICK_H

#include "model/model.h"

/* Along one axis: the place of the input that each place of the output copies. */
struct pick {
    int64_t in, out;
    const int64_t *from; /* `out` of them; -1: 0 */
};

/* The pick of a Gather, Slice, Tile, Expand, SpaceToDepth or Pad with 0 along an axis of its first input; the output
 * has the axis at the same place. NULL, or the reason why it is unknown. */
const char *pick_along(struct node *node, int axis, struct pick *pick);

/* The same for a Slice or Pad that does not change other axes. *sized is set if it is exact for the declared sizes
 * only. */
const char *pick_alone(struct node *node, int axis, struct pick *pick, bool *sized);

/* The same for one output of a Split along that axis. */
const char *pick_split(struct node *node, size_t output, int axis, struct pick *pick);

/* The same for a DepthToSpace, from its output: the output channel of each input channel. */
const char *pick_depth(const struct node *node, int axis, struct pick *pick);

#endif
