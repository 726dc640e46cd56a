/* eval/sample.h: interpolates images. */
#ifndef EVAL_SAMPLE_H
#define EVAL_SAMPLE_H

#include "eval/array.h"

const char *eval_affine_grid(struct evaluation *e);
const char *eval_deform_conv(struct evaluation *e);
const char *eval_grid_sample(struct evaluation *e);
const char *eval_roi_align(struct evaluation *e);

#endif
