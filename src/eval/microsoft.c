/* eval/microsoft.c: operators of com.microsoft that ONNX Runtime's optimizer writes, on floats: an operator of
 * ONNX each, with what comes after it. */
#include "eval/microsoft.h"

#include <math.h>

#include "base/real.h"
#include "eval/conv.h"
#include "eval/math.h"
#include "eval/matrix.h"
#include "eval/move.h"
#include "eval/pool.h"

static bool is_named(const struct node *node, const char *name)
{
    return strcmp(node->proto->op_type, name) == 0;
}

/* ---- activations ---- */

struct fused_activation {
    const char *name;
    double a, b;
};

static const char *activate(struct evaluation *e, const struct fused_activation *activation, struct array *out)
{
    static const char *const names[] = {"", "Relu", "Sigmoid", "Tanh", "LeakyRelu", "Clip", "HardSigmoid"};
    size_t kind = 0;
    while (kind < COUNT_OF(names) && strcmp(names[kind], activation->name) != 0)
        kind++;
    double a = activation->a, b = activation->b;
    for (int64_t i = 0; kind && kind < COUNT_OF(names) && i < out->count; i++) {
        double x = out->reals[i];
        out->reals[i] = kind == 1   ? (x < 0 ? 0 : x)
                        : kind == 2 ? 1 / (1 + real_exp(-x))
                        : kind == 3 ? real_tanh(x)
                        : kind == 4 ? (x < 0 ? a * x : x)
                        : kind == 5 ? (x < a   ? a
                                       : x > b ? b
                                               : x)
                                    : (a * x + b < 0   ? 0
                                       : a * x + b > 1 ? 1
                                                       : a * x + b);
    }
    return kind < COUNT_OF(names) ? NULL : arena_format(e->arena, "activation %s", activation->name);
}

const char *eval_fused_conv(struct evaluation *e)
{
    const struct array *added = eval_input(e, 3);
    const Onnx__AttributeProto *params = node_attribute(e->node, "activation_params");
    struct fused_activation activation = {.name = node_string(e->arena, e->node, "activation", "")};
    activation.a = params && params->n_floats > 0 ? (double)params->floats[0] : 0;
    activation.b = params && params->n_floats > 1 ? (double)params->floats[1] : 0;
    size_t asked = strcmp(activation.name, "LeakyRelu") == 0     ? 1
                   : strcmp(activation.name, "Clip") == 0        ? 2
                   : strcmp(activation.name, "HardSigmoid") == 0 ? 2
                                                                 : 0;
    if (asked && (!params || params->n_floats < asked))
        return arena_format(e->arena, "too few activation_params for %s", activation.name);
    const char *reason =
        eval_as(e, OP_Conv, eval_conv, e->inputs, e->node->input_count < 3 ? e->node->input_count : 3, &e->outputs[0]);
    if (reason)
        return reason;
    struct array *out = e->outputs[0];
    if (added && (!array_is_real(added) || added->rank != out->rank ||
                  memcmp(added->dims, out->dims, (size_t)out->rank * sizeof(*out->dims)) != 0))
        return arena_format(e->arena, "an addend of shape %s", array_shape(e->arena, added));
    for (int64_t i = 0; added && i < out->count; i++)
        out->reals[i] += added->reals[i];
    return activate(e, &activation, out);
}

const char *eval_fused_gemm(struct evaluation *e)
{
    struct fused_activation activation = {.name = node_string(e->arena, e->node, "activation", ""),
                                          .a = node_float(e->node, "activation_alpha", 0.01),
                                          .b = node_float(e->node, "activation_beta", 0)};
    const char *reason = eval_as(e, OP_Gemm, eval_gemm, e->inputs, e->node->input_count, &e->outputs[0]);
    return reason ? reason : activate(e, &activation, e->outputs[0]);
}

/* Gelu, by erf or tanh, and QuickGelu, of the sum of the inputs: the second has the length of the last axis. */
const char *eval_bias_gelu(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *bias = eval_input(e, 1);
    bool is_quick = is_named(e->node, "QuickGelu"), is_fast = is_named(e->node, "FastGelu");
    double alpha = node_float(e->node, "alpha", (double)1.702f);
    int64_t width = in->rank ? in->dims[in->rank - 1] : 1;
    struct array *out;
    if (!array_is_real(in) || (bias && (!array_is_real(bias) || bias->rank != 1 || bias->count != width)))
        return "data that is not real, or a bias of another length than the last axis";
    const char *reason = eval_result(e, in->type, in->rank, in->dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++) {
        double x = in->reals[i] + (bias ? bias->reals[i % width] : 0);
        out->reals[i] = is_quick  ? x / (1 + real_exp(-alpha * x))
                        : is_fast ? x / 2 * (1 + real_tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
                                  : x / 2 * (1 + real_erf(x * 0.7071067811865476));
    }
    return reason;
}

/* ---- products ---- */

/* A copy with its axes in another order. */
static const char *transposed(struct evaluation *e, const struct array *in, const int *order, struct array **out)
{
    struct walk walk = {.rank = in->rank, .operands = 1};
    int64_t strides[EVAL_RANK];
    dense_strides(in->rank, in->dims, strides);
    for (int i = 0; i < in->rank; i++) {
        walk.dims[i] = in->dims[order[i]];
        walk.strides[0][i] = strides[order[i]];
    }
    const char *reason = array_make(e->arena, e->pool, e->limit, in->type, in->rank, walk.dims, out);
    for (int64_t i = 0; !reason && i < in->count; i++, walk_next(&walk))
        eval_copy_cells(*out, i, in, walk.offsets[0], 1);
    return reason;
}

/* One side of FusedMatMul as MatMul takes it. */
static const char *read_factor(struct evaluation *e, size_t index, struct array **factor)
{
    struct array *in = e->inputs[index];
    bool swaps = node_integer(e->node, index ? "transB" : "transA", 0) != 0;
    bool moves = node_integer(e->node, index ? "transBatchB" : "transBatchA", 0) != 0;
    int order[EVAL_RANK], rank = in->rank;
    *factor = in;
    if (rank < 2 || (!swaps && !moves))
        return NULL;
    /* The first axis is the rows, behind the batches. */
    for (int i = 0; i < rank; i++)
        order[i] = !moves || i == rank - 1 ? i : i == rank - 2 ? 0 : i + 1;
    if (swaps) {
        int last = order[rank - 1];
        order[rank - 1] = order[rank - 2];
        order[rank - 2] = last;
    }
    return transposed(e, in, order, factor);
}

const char *eval_fused_matmul(struct evaluation *e)
{
    struct array *factors[2];
    double alpha = node_float(e->node, "alpha", 1);
    const char *reason = read_factor(e, 0, &factors[0]);
    if (!reason)
        reason = read_factor(e, 1, &factors[1]);
    if (!reason)
        reason = eval_as(e, OP_MatMul, eval_matmul, factors, 2, &e->outputs[0]);
    for (int64_t i = 0; !reason && i < e->outputs[0]->count; i++)
        e->outputs[0]->reals[i] *= alpha;
    return reason;
}

/* ---- normalizations along the last axis ---- */

/* Each row less its mean, if `centres`, by its deviation, times the scale, plus the bias. deviations: the inverse of
 * each row's, or NULL. */
static const char *normalize(struct evaluation *e, struct array *rows, const struct array *scale,
                             const struct array *bias, bool centres, double epsilon, struct array *deviations)
{
    int64_t width = rows->rank ? rows->dims[rows->rank - 1] : 1;
    if (!array_is_real(rows) || !array_is_real(scale) || scale->count != width ||
        (bias && (!array_is_real(bias) || bias->count != width)))
        return arena_format(e->arena, "a scale of shape %s for %s", array_shape(e->arena, scale),
                            array_shape(e->arena, rows));
    for (int64_t start = 0; start < rows->count; start += width) {
        double *row = rows->reals + start, mean = 0, square = 0;
        for (int64_t i = 0; centres && i < width; i++)
            mean += row[i] / (double)width;
        for (int64_t i = 0; i < width; i++)
            square += (row[i] - mean) * (row[i] - mean) / (double)width;
        double inverse = 1 / sqrt(square + epsilon);
        if (deviations)
            deviations->reals[start / width] = inverse;
        for (int64_t i = 0; i < width; i++)
            row[i] = (row[i] - mean) * inverse * scale->reals[i] + (bias ? bias->reals[i] : 0);
    }
    return NULL;
}

/* SkipLayerNormalization and SkipSimplifiedLayerNormalization: of the sum of input, skip and bias. */
const char *eval_skip_layer_normalization(struct evaluation *e)
{
    bool centres = is_named(e->node, "SkipLayerNormalization");
    const struct array *in = e->inputs[0], *skip = e->inputs[1], *scale = e->inputs[2];
    const struct array *beta = centres ? eval_input(e, 3) : NULL;
    const struct array *bias = eval_input(e, centres ? 4 : 3);
    int64_t width = in->rank ? in->dims[in->rank - 1] : 1;
    struct array *out = NULL, *sum;
    if (!array_is_real(in) || !array_is_real(skip) || skip->count < 1 || in->count % skip->count != 0 ||
        skip->rank < 1 || skip->dims[skip->rank - 1] != width ||
        (bias && (!array_is_real(bias) || bias->count != width)))
        return arena_format(e->arena, "a skip of shape %s for %s", array_shape(e->arena, skip),
                            array_shape(e->arena, in));
    const char *reason = array_copy(e->arena, e->pool, e->limit, in, &sum);
    for (int64_t i = 0; !reason && i < in->count; i++) /* the skip may be one for all batches */
        sum->reals[i] += skip->reals[i % skip->count] + (bias ? bias->reals[i % width] : 0);
    if (!reason)
        reason = array_copy(e->arena, e->pool, e->limit, sum, &out);
    if (!reason)
        reason = normalize(e, out, scale, beta, centres, node_float(e->node, "epsilon", (double)1e-12f), NULL);
    e->outputs[0] = out;
    if (e->node->output_count > 3)
        e->outputs[3] = sum;
    return reason;
}

const char *eval_simplified_layer_normalization(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    int axis;
    struct array *deviations;
    int64_t dims[EVAL_RANK];
    const char *reason = eval_axis(e, -1, in->rank, false, &axis);
    if (!reason && axis != in->rank - 1)
        reason = "an axis that is not the last";
    memcpy(dims, in->dims, sizeof(dims));
    if (!reason) {
        dims[axis] = 1;
        reason =
            array_make(e->arena, e->pool, e->limit, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, in->rank, dims, &deviations);
    }
    if (!reason)
        reason = array_copy(e->arena, e->pool, e->limit, in, &e->outputs[0]);
    if (!reason)
        reason = normalize(e, e->outputs[0], e->inputs[1], NULL, false, node_float(e->node, "epsilon", (double)1e-5f),
                           deviations);
    if (!reason && e->node->output_count > 1)
        e->outputs[1] = deviations;
    return reason;
}

/* Adds rows of a table to the sum, by the integers of `ids`, or by the position. */
static const char *add_rows(struct evaluation *e, const struct array *table, const struct array *ids, struct array *sum)
{
    int64_t width = sum->dims[2], length = sum->dims[1], tokens = sum->dims[0] * length;
    if (!array_is_real(table) || table->rank != 2 || table->dims[1] != width ||
        (ids && (!array_is_whole(ids) || (ids->count != tokens && ids->count != length))))
        return arena_format(e->arena, "a table of shape %s for %s", array_shape(e->arena, table),
                            array_shape(e->arena, sum));
    for (int64_t n = 0; sum->count && n < tokens; n++) {
        int64_t row = ids ? ids->integers[n % ids->count] : n % length;
        if (row < 0 || row >= table->dims[0])
            return arena_format(e->arena, "row %lld of %lld", (long long)row, (long long)table->dims[0]);
        for (int64_t i = 0; i < width; i++)
            sum->reals[n * width + i] += table->reals[row * width + i];
    }
    return NULL;
}

/* Inputs: ids of words, of segments; tables of words, positions, segments; scale, bias; mask, positions. */
const char *eval_embed_layer_normalization(struct evaluation *e)
{
    const struct array *words = e->inputs[0], *table = eval_input(e, 2), *segments = eval_input(e, 4);
    struct array *sum, *out, *mask;
    if (!table || !eval_input(e, 3) || !eval_input(e, 5) || !eval_input(e, 6))
        return "an input is missing";
    if (!array_is_whole(words) || words->rank != 2 || table->rank != 2 || eval_input(e, 7) ||
        !segments != !eval_input(e, 1))
        return "words that are no matrix, a mask, or segments without a table";
    int64_t dims[] = {words->dims[0], words->dims[1], table->dims[1]};
    const char *reason = array_make(e->arena, e->pool, e->limit, table->type, 3, dims, &sum);
    if (!reason)
        reason = add_rows(e, table, words, sum);
    if (!reason)
        reason = add_rows(e, e->inputs[3], eval_input(e, 8), sum);
    if (!reason && segments)
        reason = add_rows(e, segments, e->inputs[1], sum);
    if (!reason)
        reason = array_copy(e->arena, e->pool, e->limit, sum, &out);
    if (!reason)
        reason =
            normalize(e, out, e->inputs[5], e->inputs[6], true, node_float(e->node, "epsilon", (double)1e-12f), NULL);
    if (!reason) /* without a mask, zeros */
        reason = array_make(e->arena, e->pool, e->limit, ONNX__TENSOR_PROTO__DATA_TYPE__INT32, 1, dims, &mask);
    if (reason)
        return reason;
    struct array *outputs[] = {out, mask, sum};
    for (size_t i = 0; i < e->node->output_count && i < 3; i++)
        e->outputs[i] = outputs[i];
    return NULL;
}

/* ---- channels last ---- */

const char *eval_channels_first(struct evaluation *e, const struct array *in, struct array **out)
{
    int order[EVAL_RANK];
    for (int i = 0; i < in->rank; i++)
        order[i] = i == 0 ? 0 : i == 1 ? in->rank - 1 : i - 1;
    return transposed(e, in, order, out);
}

const char *eval_channels_last(struct evaluation *e, const struct array *in, struct array **out)
{
    int order[EVAL_RANK];
    for (int i = 0; i < in->rank; i++)
        order[i] = i == 0 ? 0 : i == in->rank - 1 ? 1 : i + 1;
    return transposed(e, in, order, out);
}

const char *eval_nhwc_max_pool(struct evaluation *e)
{
    struct array *in, *pooled;
    if (e->inputs[0]->rank < 3)
        return "an image without spatial axes";
    const char *reason = eval_channels_first(e, e->inputs[0], &in);
    if (!reason)
        reason = eval_as(e, OP_MaxPool, eval_max_pool, &in, 1, &pooled);
    return reason ? reason : eval_channels_last(e, pooled, &e->outputs[0]);
}
