/* fuse/turned.h: a product between two Transposes that undo each other, as one step. */
#ifndef FUSE_TURNED_H
#define FUSE_TURNED_H

#include "fuse/step.h"

/* lift_node, which calls this. */
typedef const struct step *step_reader(struct node *node, enum layout layout);

/* The step of the second Transpose: a MatMul over the last axis between two Transposes is a 1x1 Conv, and vice
 * versa. Channels are axis 1 under LAYOUT_CONV and the last axis under LAYOUT_MATRIX, both before and behind the two
 * Transposes. NULL, or the reason why there is no such product. */
const char *lift_turned(struct node *node, enum layout layout, step_reader *read, struct step *step);

#endif
