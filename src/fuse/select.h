/* fuse/select.h: steps of ops that take, repeat or place channels. */
#ifndef FUSE_SELECT_H
#define FUSE_SELECT_H

#include "fuse/step.h"

/* Gather, Tile and Expand, and a Slice or Pad that changes nothing but the channels. */
const char *lift_select(struct node *node, enum layout layout, struct step *step);

/* What a Slice or a Pad with 0 does to the channels, of which the step's form has the positions. */
const char *lift_select_channels(struct node *node, struct step *step);

/* Each output is a part of the channels. The reason that it returns is that of the node as a whole. */
const char *lift_split(struct node *node, enum layout layout, struct step *step);

/* Each block of positions to the channels of one. */
const char *lift_space_to_depth(struct node *node, struct step *step);

#endif
