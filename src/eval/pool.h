/* eval/pool.h: pools. */
#ifndef EVAL_POOL_H
#define EVAL_POOL_H

#include "eval/array.h"

/* eval_pool.c */
const char *eval_average_pool(struct evaluation *e);
const char *eval_max_pool(struct evaluation *e);
const char *eval_lp_pool(struct evaluation *e);
const char *eval_global_pool(struct evaluation *e);
const char *eval_max_unpool(struct evaluation *e);
const char *eval_max_roi_pool(struct evaluation *e);

#endif
