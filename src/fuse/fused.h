/* fuse/fused.h: computes weights from affine forms when they are needed. */
#ifndef FUSE_FUSED_H
#define FUSE_FUSED_H

#include "model/tensor.h"

/* The number of rows of a fused tensor: output channels (ConvTranspose: input channels). */
int64_t fused_channels(const struct tensor *tensor);

/* The given rows, as the written tensor will hold them (rounded to its type): count rows of
 * [inputs / groups, taps...]; for MatMul count rows of [inputs], that is columns of the written
 * matrix; for ConvTranspose count rows of [outputs / groups, taps...]. Returns NULL, or the reason
 * why a number is not finite. */
const char *fused_read(struct arena *arena, const struct tensor *tensor, const int64_t *channels, int64_t count,
                       double *out);

#endif
