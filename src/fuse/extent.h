/* fuse/extent.h: steps of Pad, Slice and AveragePool. */
#ifndef FUSE_EXTENT_H
#define FUSE_EXTENT_H

#include "fuse/step.h"

const char *lift_average_pool(struct node *node, struct step *step);
const char *lift_max_pool(struct node *node, struct step *step);
/* Of the positions. *selects: the channels are others, too. */
const char *lift_pad(struct node *node, struct step *step, bool *selects);
const char *lift_slice(struct node *node, struct step *step, bool *selects);

/* The reason why what a Pad adds is not one number, or NULL. */
const char *lift_pad_mode(struct node *node);
/* The number a Pad fills with, where it is known. */
const char *lift_pad_fill(struct node *node, double *value);
/* What a Pad of any mode adds per axis. begin, end: room for AFFINE_AXES + 2. */
const char *lift_pad_amounts(struct node *node, int64_t *begin, int64_t *end, int *rank, bool *sized);

/* What a Pad of any mode reads, as a form of what it makes: the middle of that. */
const char *lift_crop_back(struct node *node, const struct affine **form, bool *sized);

#endif
