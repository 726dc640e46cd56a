/* eval/math.h: elementwise operators, reductions, Einsum. */
#ifndef EVAL_MATH_H
#define EVAL_MATH_H

#include "eval/array.h"

/* eval/math.c */
const char *eval_unary(struct evaluation *e);
const char *eval_binary(struct evaluation *e);
const char *eval_pow(struct evaluation *e);
const char *eval_sum(struct evaluation *e);
const char *eval_range(struct evaluation *e);
/* The box that the inputs [0, count) broadcast to, with a walk operand for each. */
const char *eval_broadcast(struct evaluation *e, size_t count, struct walk *walk);

#endif
