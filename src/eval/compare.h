/* eval/compare.h: comparisons, logic, bits, extremes, Clip, Where. */
#ifndef EVAL_COMPARE_H
#define EVAL_COMPARE_H

#include "eval/array.h"
#include "protobuf-c/protobuf-c.h"

/* eval_compare.c */
const char *eval_compare(struct evaluation *e);
const char *eval_bitwise(struct evaluation *e);
const char *eval_test(struct evaluation *e);
const char *eval_extreme(struct evaluation *e);
const char *eval_clip(struct evaluation *e);
const char *eval_where(struct evaluation *e);
/* Below 0, 0 or above 0. */
int eval_compare_integers(int32_t type, int64_t a, int64_t b);
/* NaN where one is. */
double eval_larger(double a, double b);
double eval_smaller(double a, double b);

#endif
