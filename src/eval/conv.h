/* eval/conv.h: Conv, ConvTranspose, pools, BatchNormalization. */
#ifndef EVAL_CONV_H
#define EVAL_CONV_H

#include "eval/array.h"

/* eval/conv.c */
const char *eval_col2im(struct evaluation *e);
const char *eval_conv(struct evaluation *e);
const char *eval_conv_transpose(struct evaluation *e);

/* Conv of some output channels: the weight has a row for each, and group_of[row] is the group of input channels that
 * it reads. NULL: rows belong to the groups in order. */
const char *eval_conv_rows(struct evaluation *e, int64_t groups, const int64_t *group_of);
/* ConvTranspose of the listed output channels, with the whole weight and a bias per listed
 * channel. NULL: all of them. */
const char *eval_conv_transpose_channels(struct evaluation *e, const int64_t *channels, int64_t count);

#endif
