/* eval/gather.h: Gather, Scatter and similar operators. */
#ifndef EVAL_GATHER_H
#define EVAL_GATHER_H

#include "eval/array.h"

/* eval_gather.c */
const char *eval_gather(struct evaluation *e);
const char *eval_elements(struct evaluation *e);
const char *eval_gather_nd(struct evaluation *e);
const char *eval_scatter_nd(struct evaluation *e);
const char *eval_tensor_scatter(struct evaluation *e);
const char *eval_one_hot(struct evaluation *e);
const char *eval_compress(struct evaluation *e);

#endif
