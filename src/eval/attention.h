/* eval/attention.h: operators of transformers and later architectures. */
#ifndef EVAL_ATTENTION_H
#define EVAL_ATTENTION_H

#include "eval/array.h"

const char *eval_attention(struct evaluation *e);
const char *eval_causal_conv(struct evaluation *e);
const char *eval_linear_attention(struct evaluation *e);
const char *eval_rotary_embedding(struct evaluation *e);

#endif
