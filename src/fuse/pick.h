/* fuse/pick.h: ops that take, repeat or place parts of an axis: each number behind one is a number in front of it, or 0. */
#ifndef FUSE_PICK_H
#define FUSE_PICK_H

#include "model/model.h"

/* Along one axis: which place of the input each place of the output is. */
struct pick {
    int64_t in, out;
    const int64_t *from; /* `out` of them; -1: 0 */
};

/* What a Gather, Slice, Tile, Expand, SpaceToDepth or Pad with 0 does along an axis of its first input; the output has the
 * axis at the same place. NULL, or the reason why that is not known. */
const char *pick_along(struct node *node, int axis, struct pick *pick);

/* The same of a Slice or Pad that leaves all other axes as they are. *sized is set when that holds for the declared sizes
 * only. */
const char *pick_alone(struct node *node, int axis, struct pick *pick, bool *sized);

/* The same of one output of a Split along that axis. */
const char *pick_split(struct node *node, size_t output, int axis, struct pick *pick);

/* The same of a DepthToSpace, from its output: the channel of it that each channel of the input goes to. */
const char *pick_depth(const struct node *node, int axis, struct pick *pick);

#endif
