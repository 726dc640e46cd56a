/* eval/loss.h: losses. */
#ifndef EVAL_LOSS_H
#define EVAL_LOSS_H

#include "eval/array.h"

/* eval_loss.c */
const char *eval_loss(struct evaluation *e);

#endif
