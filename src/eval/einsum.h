/* eval/einsum.h: Einsum. */
#ifndef EVAL_EINSUM_H
#define EVAL_EINSUM_H

#include "eval/array.h"

/* eval_einsum.c */
const char *eval_einsum(struct evaluation *e);

#endif
