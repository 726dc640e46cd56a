/* fuse/turned.h: a product between two Transposes that undo each other. */
#ifndef FUSE_TURNED_H
#define FUSE_TURNED_H

#include "fuse/step.h"

/* lift_node, which calls this. */
typedef const struct step *step_reader(struct node *node, enum layout layout);

/* The step of the second Transpose: a MatMul over the last axis is a Conv of 1x1 seen through a Transpose, and the
 * other way round. Channels are axis 1 under LAYOUT_CONV and the last axis under LAYOUT_MATRIX, in front of both
 * Transposes as behind them. NULL, or the reason why there is no such product. */
const char *lift_turned(struct node *node, enum layout layout, step_reader *read, struct step *step);

#endif
