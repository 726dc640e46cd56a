/* fuse/extent.h: steps of Pad, Slice and AveragePool. */
#ifndef FUSE_EXTENT_H
#define FUSE_EXTENT_H

#include "fuse/step.h"

const char *lift_average_pool(struct node *node, struct step *step);
const char *lift_max_pool(struct node *node, struct step *step);
const char *lift_pad(struct node *node, struct step *step);
const char *lift_slice(struct node *node, struct step *step);

/* What a Pad of constant mode adds per axis. begin, end: room for AFFINE_AXES + 2. */
const char *lift_pad_amounts(struct node *node, int64_t *begin, int64_t *end, int *rank,
                             bool *sized);

#endif
