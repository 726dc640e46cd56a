/* fuse/select.h: steps of ops that select, repeat or place channels. */
#ifndef FUSE_SELECT_H
#define FUSE_SELECT_H

#include "fuse/step.h"

/* Gather, Tile and Expand, and a Slice or Pad that changes only the channels. */
const char *lift_select(struct node *node, enum layout layout, struct step *step);

/* Adds the channels of a Slice or a Pad with 0 to a step whose form has the positions. */
const char *lift_select_channels(struct node *node, struct step *step);

/* Each output is a part of the channels. Returns the reason for the node as a whole. */
const char *lift_split(struct node *node, enum layout layout, struct step *step);

/* SpaceToDepth: each block of positions becomes the channels of one position. */
const char *lift_space_to_depth(struct node *node, struct step *step);

#endif
