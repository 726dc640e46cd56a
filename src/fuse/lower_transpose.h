/* fuse/lower_transpose.h: ConvTranspose with what follows it per channel. */
#ifndef FUSE_LOWER_TRANSPOSE_H
#define FUSE_LOWER_TRANSPOSE_H

#include "fuse/region.h"

/* ConvTranspose with its output channels scaled and shifted and its input channels scaled.
 * before: `inputs` numbers or NULL. after: a diagonal form. */
const char *lower_conv_transpose(struct plan *plan, struct region *region, struct node *node,
                                 struct value *source, const double *before,
                                 const struct affine *after, struct value *target,
                                 struct fusion **result);

#endif
