/* eval/order.h: TopK, Unique, NonZero. */
#ifndef EVAL_ORDER_H
#define EVAL_ORDER_H

#include "eval/array.h"

/* eval_order.c */
const char *eval_top_k(struct evaluation *e);
const char *eval_unique(struct evaluation *e);
const char *eval_non_zero(struct evaluation *e);
/* Sorts numbers as `compare` says; equal ones keep their order. cost: of a comparison, in elements. */
const char *eval_sort(struct evaluation *e, int64_t *order, int64_t count,
                      int (*compare)(const void *context, int64_t a, int64_t b),
                      const void *context, int64_t cost);

#endif
