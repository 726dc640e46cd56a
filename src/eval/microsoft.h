/* eval/microsoft.h: operators of com.microsoft that ONNX Runtime's optimizer writes. Its docs/ContribOperators.md
 * specifies them. */
#ifndef EVAL_MICROSOFT_H
#define EVAL_MICROSOFT_H

#include "eval/array.h"

const char *eval_bias_gelu(struct evaluation *e); /* BiasGelu, FastGelu, Gelu, QuickGelu */
const char *eval_fused_conv(struct evaluation *e);
const char *eval_fused_gemm(struct evaluation *e);
const char *eval_fused_matmul(struct evaluation *e);
const char *eval_embed_layer_normalization(struct evaluation *e);
const char *eval_skip_layer_normalization(struct evaluation *e);
const char *eval_simplified_layer_normalization(struct evaluation *e);
const char *eval_nhwc_max_pool(struct evaluation *e);

/* eval/microsoft_quantized.c */
const char *eval_matmul_to_float(struct evaluation *e);  /* DynamicQuantizeMatMul, MatMulIntegerToFloat */
const char *eval_quantized_binary(struct evaluation *e); /* QLinearAdd, QLinearMul */
const char *eval_quantized_concat(struct evaluation *e);
const char *eval_quantized_gemm(struct evaluation *e);
const char *eval_quantized_pool(struct evaluation *e);  /* QLinearAveragePool, QLinearGlobalAveragePool */
const char *eval_quantized_unary(struct evaluation *e); /* QLinearSigmoid, QLinearLeakyRelu, QLinearSoftmax */

/* Moves the channels from the last axis to axis 1, or back. */
const char *eval_channels_first(struct evaluation *e, const struct array *in, struct array **out);
const char *eval_channels_last(struct evaluation *e, const struct array *in, struct array **out);

#endif
