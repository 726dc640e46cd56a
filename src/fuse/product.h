/* fuse/product.h: steps of Conv, Gemm and MatMul. */
#ifndef FUSE_PRODUCT_H
#define FUSE_PRODUCT_H

#include "fuse/step.h"

/* One per row of the lifting table: each fills in the step of one kind of node, and returns
 * NULL or the reason why the node is not affine. fuse/lift.c calls them. */
const char *lift_conv(struct node *node, struct step *step);
const char *lift_matrix(struct node *node, struct step *step);

const char *lift_einsum(struct node *node, enum layout layout, struct step *step);

#endif
