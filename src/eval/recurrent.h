/* eval/recurrent.h: RNN, GRU, LSTM. */
#ifndef EVAL_RECURRENT_H
#define EVAL_RECURRENT_H

#include "eval/array.h"

/* eval_recurrent.c */
const char *eval_recurrent(struct evaluation *e);

#endif
