/* eval/quantize.h: quantization, and products of integers. */
#ifndef EVAL_QUANTIZE_H
#define EVAL_QUANTIZE_H

#include "eval/array.h"

/* Sets an element to the nearest number of the type, halves to even; beyond it to its ends. */
void eval_quantize(struct array *out, int64_t at, double scaled, double zero);
/* Whole numbers less their zero point, or NULL, as doubles, of which sums are exact up to 2^53. `axis`: along
 * which the zero points run where they are many, or -1. */
const char *eval_centred(struct evaluation *e, const struct array *in, const struct array *zero, int axis,
                         struct array **out);

const char *eval_quantize_linear(struct evaluation *e);
const char *eval_dequantize_linear(struct evaluation *e);
const char *eval_dynamic_quantize_linear(struct evaluation *e);
const char *eval_integer_product(struct evaluation *e);
const char *eval_quantized_product(struct evaluation *e);

#endif
