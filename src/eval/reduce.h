/* eval/reduce.h: reductions, ArgMax and ArgMin, running sums. */
#ifndef EVAL_REDUCE_H
#define EVAL_REDUCE_H

#include "eval/array.h"

/* eval_reduce.c */
const char *eval_reduce(struct evaluation *e);
const char *eval_arg(struct evaluation *e);
const char *eval_running(struct evaluation *e);

#endif
