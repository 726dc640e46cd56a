/* eval/microsoft_quantized.c: operators of com.microsoft on quantized numbers: dequantizes, applies an operator of
 * ONNX, and quantizes again. */
#include <math.h>

#include "eval/activation.h"
#include "eval/math.h"
#include "eval/matrix.h"
#include "eval/microsoft.h"
#include "eval/move.h"
#include "eval/normalize.h"
#include "eval/pool.h"
#include "eval/quantize.h"

#define FLOAT_TYPE ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT

static bool is_named(const struct node *node, const char *name)
{
    return strcmp(node->proto->op_type, name) == 0;
}

/* A scale for all elements and a zero point, or NULL: it is 0. */
static const char *check_scale(struct evaluation *e, size_t scale, size_t zero)
{
    const struct array *a = eval_input(e, scale), *b = eval_input(e, zero);
    if (!a || !array_is_real(a) || a->count != 1 || (b && (!array_is_whole(b) || b->count != 1)))
        return arena_format(e->arena, "input %zu is not a single scale, or input %zu not a zero point", scale, zero);
    return NULL;
}

/* Dequantizes numbers. */
static const char *dequantized(struct evaluation *e, size_t data, size_t scale, size_t zero, struct array **out)
{
    const struct array *in = eval_input(e, data);
    if (!in)
        return arena_format(e->arena, "input %zu is missing", data);
    const char *reason = check_scale(e, scale, zero);
    if (!reason)
        reason = eval_centred(e, in, eval_input(e, zero), -1, out);
    for (int64_t i = 0; !reason && i < in->count; i++)
        (*out)->reals[i] *= e->inputs[scale]->reals[0];
    return reason;
}

/* The first output: quantized as the data are. */
static const char *quantized(struct evaluation *e, const struct array *reals, int32_t type, size_t scale, size_t zero)
{
    struct array *out;
    const char *reason = check_scale(e, scale, zero);
    if (!reason)
        reason = eval_result(e, type, reals->rank, reals->dims, &out);
    const struct array *point = eval_input(e, zero);
    for (int64_t i = 0; !reason && i < reals->count; i++)
        eval_quantize(out, i, tensor_rounded(FLOAT_TYPE, reals->reals[i] / e->inputs[scale]->reals[0]),
                      point ? eval_real(point, 0) : 0);
    return reason;
}

const char *eval_quantized_binary(struct evaluation *e)
{
    struct array *factors[2], *out;
    const char *reason = dequantized(e, 0, 1, 2, &factors[0]);
    if (!reason)
        reason = dequantized(e, 3, 4, 5, &factors[1]);
    if (!reason)
        reason = eval_as(e, is_named(e->node, "QLinearAdd") ? OP_Add : OP_Mul, eval_binary, factors, 2, &out);
    return reason ? reason : quantized(e, out, e->inputs[0]->type, 6, 7);
}

const char *eval_quantized_unary(struct evaluation *e)
{
    struct array *in, *out;
    bool is_softmax = is_named(e->node, "QLinearSoftmax");
    const char *reason = dequantized(e, 0, 1, 2, &in);
    if (!reason && is_softmax && node_integer(e->node, "opset", 13) < 13)
        reason = "a Softmax of all axes behind one";
    if (!reason && is_softmax)
        reason = eval_as(e, OP_Softmax, eval_softmax, &in, 1, &out);
    else if (!reason && is_named(e->node, "QLinearSigmoid"))
        reason = eval_as(e, OP_Sigmoid, eval_unary, &in, 1, &out);
    else if (!reason)
        reason = eval_as(e, OP_LeakyRelu, eval_activation, &in, 1, &out);
    return reason ? reason : quantized(e, out, e->inputs[0]->type, 3, 4);
}

/* Inputs: scale and zero point of the result, then data, scale and zero point of each part. */
const char *eval_quantized_concat(struct evaluation *e)
{
    size_t parts = (e->node->input_count - 2) / 3;
    if (e->node->input_count < 5 || (e->node->input_count - 2) % 3 != 0)
        return "inputs that are no triples";
    struct array **factors = NEW_ARRAY(e->arena, struct array *, parts), *out;
    const char *reason = NULL;
    for (size_t i = 0; !reason && i < parts; i++)
        reason = dequantized(e, 2 + 3 * i, 3 + 3 * i, 4 + 3 * i, &factors[i]);
    if (!reason)
        reason = eval_as(e, OP_Concat, eval_concat, factors, parts, &out);
    return reason ? reason : quantized(e, out, e->inputs[2]->type, 0, 1);
}

const char *eval_quantized_pool(struct evaluation *e)
{
    bool last = node_integer(e->node, "channels_last", 0) != 0;
    bool is_global = is_named(e->node, "QLinearGlobalAveragePool");
    struct array *in, *out;
    const char *reason = dequantized(e, 0, 1, 2, &in);
    if (!reason && in->rank < 3)
        reason = "an image without spatial axes";
    if (!reason && last)
        reason = eval_channels_first(e, in, &in);
    if (!reason && is_global)
        reason = eval_as(e, OP_GlobalAveragePool, eval_global_pool, &in, 1, &out);
    else if (!reason)
        reason = eval_as(e, OP_AveragePool, eval_average_pool, &in, 1, &out);
    if (!reason && last)
        reason = eval_channels_last(e, out, &out);
    return reason ? reason : quantized(e, out, e->inputs[0]->type, 3, 4);
}

/* A number for each column, or one for all. */
static const char *check_columns(struct evaluation *e, const struct array *values, bool is_real, int64_t columns)
{
    if (values && (is_real ? !array_is_real(values) : !array_is_whole(values)))
        return "scales that are no reals, or integers that are";
    if (values && values->count != 1 && values->count != columns)
        return arena_format(e->arena, "%s for %lld columns", array_shape(e->arena, values), (long long)columns);
    return NULL;
}

static double column_of(const struct array *values, int64_t column)
{
    return eval_real(values, values->count == 1 ? 0 : column);
}

/* DynamicQuantizeMatMul (A, B, scale of B, zero point of B, bias), whose A is quantized here, and
 * MatMulIntegerToFloat (A, B, scales of A and B, zero points of A and B, bias). */
const char *eval_matmul_to_float(struct evaluation *e)
{
    bool dynamic = is_named(e->node, "DynamicQuantizeMatMul");
    const struct array *a = e->inputs[0], *b = e->inputs[1];
    const struct array *scale = e->inputs[dynamic ? 2 : 3];
    const struct array *zero = eval_input(e, dynamic ? 3 : 5);
    const struct array *bias = eval_input(e, dynamic ? 4 : 6);
    const struct array *a_scale = dynamic ? NULL : e->inputs[2];
    const struct array *a_zero = dynamic ? NULL : eval_input(e, 4);
    struct array *factors[2], *out;
    const char *reason = NULL;
    if (dynamic) {
        struct evaluation inner = *e;
        struct node node = *e->node;
        inner.outputs = NEW_ARRAY(e->arena, struct array *, 4);
        node.output_count = 3;
        inner.node = &node;
        reason = eval_dynamic_quantize_linear(&inner);
        a = inner.outputs[0];
        a_scale = inner.outputs[1];
        a_zero = inner.outputs[2];
    }
    if (!reason && (!array_is_real(a_scale) || a_scale->count != 1 || b->rank < 1))
        reason = "many scales of A, or a scalar B";
    int64_t columns = b->rank ? b->dims[b->rank - 1] : 1;
    if (!reason)
        reason = check_columns(e, scale, true, columns);
    if (!reason)
        reason = check_columns(e, bias, true, columns);
    if (!reason && a_zero && a_zero->count != 1)
        reason = "many zero points of A";
    if (!reason)
        reason = eval_centred(e, a, a_zero, -1, &factors[0]);
    if (!reason)
        reason = eval_centred(e, b, zero, b->rank - 1, &factors[1]);
    if (!reason)
        reason = eval_as(e, OP_MatMul, eval_matmul, factors, 2, &out);
    if (reason)
        return reason;
    out->type = FLOAT_TYPE;
    e->outputs[0] = out;
    for (int64_t i = 0; i < out->count; i++)
        out->reals[i] = out->reals[i] * a_scale->reals[0] * column_of(scale, i % columns) +
                        (bias ? column_of(bias, i % columns) : 0);
    return NULL;
}

/* QGemm: A with scale and zero point, B with theirs, C of int32, scale and zero point of the result: without
 * them it is float. */
const char *eval_quantized_gemm(struct evaluation *e)
{
    const struct array *a_scale = e->inputs[1], *b_scale = e->inputs[4];
    const struct array *added = eval_input(e, 6), *b = e->inputs[3];
    bool turned = node_integer(e->node, "transB", 0) != 0;
    double alpha = node_float(e->node, "alpha", 1);
    struct array *factors[2], *out;
    if (e->inputs[0]->rank != 2 || b->rank != 2 || !array_is_real(a_scale) || a_scale->count != 1)
        return "factors that are no matrices, or many scales of A";
    int64_t columns = b->dims[turned ? 0 : 1];
    const char *reason = check_columns(e, b_scale, true, columns);
    if (!reason)
        reason = eval_centred(e, e->inputs[0], eval_input(e, 2), -1, &factors[0]);
    if (!reason)
        reason = eval_centred(e, b, eval_input(e, 5), turned ? 0 : 1, &factors[1]);
    if (!reason)
        reason = eval_as(e, OP_Gemm, eval_gemm, factors, 2, &out); /* times alpha */
    if (reason)
        return reason;
    struct walk walk = {.rank = 2, .dims = {out->dims[0], out->dims[1]}};
    int rank = 2;
    int64_t dims[EVAL_RANK] = {out->dims[0], out->dims[1]};
    if (added && (!array_is_whole(added) || !broadcast_dims(&rank, dims, added) || rank != 2 ||
                  dims[0] != walk.dims[0] || dims[1] != walk.dims[1]))
        return arena_format(e->arena, "C of shape %s", array_shape(e->arena, added));
    if (added)
        walk_broadcast(&walk, added);
    for (int64_t i = 0; i < out->count; i++, walk_next(&walk)) {
        double scale = a_scale->reals[0] * column_of(b_scale, i % columns);
        double sum = added ? (double)added->integers[walk.offsets[0]] : 0;
        out->reals[i] = (out->reals[i] + alpha * sum) * scale;
    }
    if (eval_input(e, 7))
        return quantized(e, out, e->inputs[0]->type, 7, 8);
    out->type = FLOAT_TYPE;
    e->outputs[0] = out;
    return NULL;
}
