/* eval/quantize.h: quantization, and products of integers. */
#ifndef EVAL_QUANTIZE_H
#define EVAL_QUANTIZE_H

#include "eval/array.h"

/* eval_quantize.c */
const char *eval_quantize_linear(struct evaluation *e);
const char *eval_dequantize_linear(struct evaluation *e);
const char *eval_dynamic_quantize_linear(struct evaluation *e);
const char *eval_integer_product(struct evaluation *e);
const char *eval_quantized_product(struct evaluation *e);

#endif
