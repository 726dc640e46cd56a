/* eval/activation.h: activations, Softmax, GlobalAveragePool, Split. */
#ifndef EVAL_ACTIVATION_H
#define EVAL_ACTIVATION_H

#include "eval/array.h"

/* eval/activation.c */
const char *eval_activation(struct evaluation *e);
const char *eval_prelu(struct evaluation *e);
const char *eval_swiglu(struct evaluation *e);

#endif
