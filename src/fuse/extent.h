/* fuse/extent.h: steps of Pad, Slice and AveragePool. */
#ifndef FUSE_EXTENT_H
#define FUSE_EXTENT_H

#include "fuse/step.h"

const char *lift_average_pool(struct node *node, struct step *step);
const char *lift_max_pool(struct node *node, struct step *step);
/* The step for the positions. *selects: the channels change too. */
const char *lift_pad(struct node *node, struct step *step, bool *selects);
const char *lift_slice(struct node *node, struct step *step, bool *selects);

/* The reason why a Pad does not fill with one number, or NULL. */
const char *lift_pad_mode(struct node *node);
/* The number with which a Pad fills, if it is known. */
const char *lift_pad_fill(struct node *node, double *value);
/* The widths of a Pad with any mode, per axis. begin, end: AFFINE_AXES + 2 numbers. */
const char *lift_pad_amounts(struct node *node, int64_t *begin, int64_t *end, int *rank, bool *sized);

/* The input of a Pad with any mode, as a form of its output: the middle. */
const char *lift_crop_back(struct node *node, const struct affine **form, bool *sized);

#endif
