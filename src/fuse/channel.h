/* fuse/channel.h: steps of per-channel ops and of sums. */
#ifndef FUSE_CHANNEL_H
#define FUSE_CHANNEL_H

#include "fuse/step.h"

/* A per-channel constant operand of an elementwise op whose other operand is `data`. Returns NULL and the number of
 * channels (0: a single number), or the reason why it is not per channel. */
const char *lift_channels(const struct value *data, struct value *operand, enum layout layout, int64_t *channels,
                          const double **numbers);

/* What a BatchNormalization does to each channel of its data, axis 1: scale * x + shift. terms: the magnitudes of
 * the summands of the shift. Arrays are of the model's arena. Source: ONNX BatchNormalization-7 .. 15. */
struct channel_norm {
    struct value *data;
    int64_t channels;
    int32_t type; /* of its parameters */
    double *scale, *shift, *terms;
};
/* NULL, or the reason why it is not such an op. */
const char *channel_norm(struct node *node, struct channel_norm *norm);

const char *lift_batch_normalization(struct node *node, enum layout layout, struct step *step);
/* x * (1 + erf(...)) * 0.5 and the same with tanh, as exporters write GELU. Without its last factor, runtimes would
 * not recognise it. The reason, or NULL. */
const char *channel_ends_gelu(const struct node *node);
const char *lift_product(struct node *node, enum layout layout, struct step *step);
/* Add, Sub, Sum, Mean: a constant operand shifts, the others are joined. */
const char *lift_sum(struct node *node, enum layout layout, struct step *step);
/* Concat on the axis of the channels. Source: ONNX Concat-1 .. Concat-13. */
const char *lift_concat(struct node *node, enum layout layout, struct step *step);
const char *lift_dropout(struct node *node, struct step *step);
/* Identity, Neg, Cast to the same type. */
const char *lift_unary(struct node *node, struct step *step);

#endif
