/* eval/quantize.h: quantization, and products of integers. */
#ifndef EVAL_QUANTIZE_H
#define EVAL_QUANTIZE_H

#include "eval/array.h"

/* Rounds an element to the nearest number of the type, halves to even, and saturates it. */
void eval_quantize(struct array *out, int64_t at, double scaled, double zero);
/* Integers minus their zero point (may be NULL), as doubles, whose sums are exact up to 2^53. `axis`: the axis of
 * several zero points, or -1. */
const char *eval_centred(struct evaluation *e, const struct array *in, const struct array *zero, int axis,
                         struct array **out);

const char *eval_quantize_linear(struct evaluation *e);
const char *eval_dequantize_linear(struct evaluation *e);
const char *eval_dynamic_quantize_linear(struct evaluation *e);
const char *eval_integer_product(struct evaluation *e);
const char *eval_quantized_product(struct evaluation *e);

#endif
