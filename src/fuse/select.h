/* fuse/select.h: steps of ops that take, repeat or place channels: forms of zeros and ones. */
#ifndef FUSE_SELECT_H
#define FUSE_SELECT_H

#include "fuse/step.h"

/* Gather, Tile and Expand. */
const char *lift_select(struct node *node, enum layout layout, struct step *step);

/* What a Slice or a Pad with 0 does to the channels, of which the step's form has the positions. */
const char *lift_select_channels(struct node *node, struct step *step);

/* Each block of positions to the channels of one. */
const char *lift_space_to_depth(struct node *node, struct step *step);

#endif
