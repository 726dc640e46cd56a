/* eval/normalize.h: Softmax and similar, normalizations. */
#ifndef EVAL_NORMALIZE_H
#define EVAL_NORMALIZE_H

#include "eval/array.h"

/* eval_normalize.c */
const char *eval_softmax(struct evaluation *e);
const char *eval_batch_normalization(struct evaluation *e);
const char *eval_layer_normalization(struct evaluation *e);
const char *eval_group_normalization(struct evaluation *e);
const char *eval_lrn(struct evaluation *e);
const char *eval_lp_normalization(struct evaluation *e);
const char *eval_mean_variance_normalization(struct evaluation *e);

#endif
