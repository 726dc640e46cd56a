/* eval/order.h: TopK, Unique, NonZero. */
#ifndef EVAL_ORDER_H
#define EVAL_ORDER_H

#include "eval/array.h"

/* eval_order.c */
const char *eval_top_k(struct evaluation *e);
const char *eval_unique(struct evaluation *e);
const char *eval_non_zero(struct evaluation *e);

#endif
