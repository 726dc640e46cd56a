/* fuse/lane_axes.h: lanes past ops that turn, split and merge axes. */
#ifndef FUSE_LANE_AXES_H
#define FUSE_LANE_AXES_H

#include "fuse/lane.h"

enum { LANE_RANK = 16 };

static inline bool size_is_known(int64_t size)
{
    return size > 0;
}

/* Axis i of one value and axis k of another: both sizes are known, and equal. */
bool lane_same_size(const struct value *a, int i, const struct value *b, int k);

/* The perm of a Transpose of `rank` axes. False: not a Transpose, or unknown. */
bool transpose_order(const struct node *node, int rank, int *order);

/* These change the axis of the lane, and its numbers if need be. NULL, or the reason why it cannot move past the node. */

/* From `from` to `to`, which hold the same numbers in the same order in other axes. */
const char *lane_reshape(const struct node *node, const struct value *from, const struct value *to, struct lane *lane);
/* Squeeze and Unsqueeze: axes of size 1 come or go, and the others keep their order. */
const char *lane_squeeze(const struct node *node, bool forward, struct lane *lane);
const char *lane_transpose(const struct node *node, bool forward, struct lane *lane);

#endif
