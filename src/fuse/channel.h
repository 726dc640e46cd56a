/* fuse/channel.h: steps of per-channel ops and of sums. */
#ifndef FUSE_CHANNEL_H
#define FUSE_CHANNEL_H

#include "fuse/step.h"

/* A per-channel constant operand of an elementwise op whose other operand is `data`. Returns NULL
 * and the number of channels (0: one number for all), or the reason why it is not per channel. */
const char *lift_channels(const struct value *data, struct value *operand, enum layout layout,
                          int64_t *channels, const double **numbers);

const char *lift_batch_normalization(struct node *node, enum layout layout, struct step *step);
const char *lift_product(struct node *node, enum layout layout, struct step *step);
/* Add, Sub, Sum, Mean: a constant operand shifts, the others are joined. */
const char *lift_sum(struct node *node, enum layout layout, struct step *step);
/* Concat on the axis of the channels. Source: ONNX Concat-1 .. Concat-13. */
const char *lift_concat(struct node *node, enum layout layout, struct step *step);
const char *lift_dropout(struct node *node, struct step *step);
/* Identity, Neg, Cast to the same type. */
const char *lift_unary(struct node *node, struct step *step);

#endif
