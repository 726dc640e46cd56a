/* eval/normalize.c: Softmax and its kin, and the normalizations. */
#include "eval/normalize.h"

#include <math.h>

#include "base/real.h"

/* ---- Softmax, LogSoftmax, Hardmax ---- */

static void soften(enum op op, const double *in, double *out, int64_t extent, int64_t step)
{
    double largest = -(double)INFINITY, sum = 0;
    int64_t first = 0;
    for (int64_t k = 0; k < extent; k++) {
        largest = fmax(largest, in[k * step]);
        first = in[k * step] > in[first * step] ? k : first;
    }
    for (int64_t k = 0; k < extent; k++)
        sum += out[k * step] = real_exp(in[k * step] - largest);
    for (int64_t k = 0; k < extent; k++)
        if (op == OP_Softmax)
            out[k * step] /= sum;
        else if (op == OP_LogSoftmax)
            out[k * step] = in[k * step] - largest - real_log(sum);
        else
            out[k * step] = k == first;
}

const char *eval_softmax(struct evaluation *e)
{
    const struct array *in = eval_input(e, 0);
    int axis;
    bool flattens = e->node->opset < 13;
    if (!array_is_real(in))
        return "this operator takes no integers";
    const char *reason = eval_axis(e, flattens ? 1 : -1, in->rank, flattens, &axis);
    struct array *out;
    if (!reason)
        reason = eval_result(e, in->type, in->rank, in->dims, &out);
    if (reason || in->count == 0)
        return reason;
    /* Before opset 13 all axes from this one on are one. */
    int64_t extent = 1, inner = 1;
    for (int i = axis; i < in->rank; i++) {
        if (i == axis || flattens)
            extent *= in->dims[i];
        else
            inner *= in->dims[i];
    }
    for (int64_t start = 0; start < in->count; start += extent * inner)
        for (int64_t i = start; i < start + inner; i++)
            soften(e->node->op, in->reals + i, out->reals + i, extent, inner);
    return NULL;
}

/* ---- BatchNormalization ---- */

/* With the batch's own statistics; outputs 1 and 2 are the running ones. */
static const char *train_batch(struct evaluation *e, int64_t channels, int64_t plane)
{
    const struct array *in = e->inputs[0];
    double epsilon = node_float(e->node, "epsilon", (double)1e-5f);
    double momentum = node_float(e->node, "momentum", (double)0.9f);
    struct array *out, *running[2];
    const char *reason = eval_result(e, in->type, in->rank, in->dims, &out);
    for (size_t i = 0; !reason && i < 2; i++) {
        reason = array_make(e->arena, e->pool, e->limit, e->inputs[3 + i]->type, 1, &channels, &running[i]);
        if (i + 1 < e->node->output_count)
            e->outputs[i + 1] = running[i];
    }
    if (reason || in->count == 0)
        return reason ? reason : "a batch without elements";
    int64_t block = channels * plane, each = in->count / channels;
    for (int64_t c = 0; c < channels; c++) {
        double mean = 0, variance = 0;
        for (int64_t i = c * plane; i < in->count; i += block)
            for (int64_t k = i; k < i + plane; k++)
                mean += in->reals[k];
        mean /= (double)each;
        for (int64_t i = c * plane; i < in->count; i += block)
            for (int64_t k = i; k < i + plane; k++)
                variance += (in->reals[k] - mean) * (in->reals[k] - mean);
        variance /= (double)each;
        for (int64_t i = c * plane; i < in->count; i += block)
            for (int64_t k = i; k < i + plane; k++)
                out->reals[k] =
                    (in->reals[k] - mean) / sqrt(variance + epsilon) * e->inputs[1]->reals[c] + e->inputs[2]->reals[c];
        running[0]->reals[c] = e->inputs[3]->reals[c] * momentum + mean * (1 - momentum);
        running[1]->reals[c] = e->inputs[4]->reals[c] * momentum + variance * (1 - momentum);
    }
    return NULL;
}

const char *eval_batch_normalization(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    bool trains = e->node->opset >= 14 && node_integer(e->node, "training_mode", 0) != 0;
    for (size_t i = 1; !trains && i < e->node->output_count; i++)
        if (node_output(e->node, i))
            return "training mode: more outputs than one";
    if (e->node->opset < 9 && node_integer(e->node, "spatial", 1) == 0)
        return "statistics per activation";
    if (in->rank < 1 || !array_is_real(in))
        return arena_format(e->arena, "data of %s %s", type_name(in->type), array_shape(e->arena, in));
    int64_t channels = in->rank > 1 ? in->dims[1] : 1, plane = 1;
    for (int i = 2; in->count > 0 && i < in->rank; i++)
        plane *= in->dims[i];
    for (size_t i = 1; i < 5; i++)
        if (!array_is_real(e->inputs[i]) || e->inputs[i]->rank != 1 || e->inputs[i]->dims[0] != channels)
            return arena_format(e->arena, "input %zu of shape %s for %lld channels", i,
                                array_shape(e->arena, e->inputs[i]), (long long)channels);
    if (trains)
        return train_batch(e, channels, plane);
    const double *scale = e->inputs[1]->reals, *bias = e->inputs[2]->reals;
    const double *mean = e->inputs[3]->reals, *variance = e->inputs[4]->reals;
    double epsilon = node_float(e->node, "epsilon", (double)1e-5f);
    struct array *out;
    const char *reason = eval_result(e, in->type, in->rank, in->dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++) {
        int64_t c = i / plane % channels;
        out->reals[i] = (in->reals[i] - mean[c]) / sqrt(variance[c] + epsilon) * scale[c] + bias[c];
    }
    return reason;
}

/* ---- over the elements of a block: Layer, RMS, Instance, Group ---- */

static void mean_and_variance(const double *in, int64_t count, double *mean, double *variance)
{
    *mean = *variance = 0;
    for (int64_t i = 0; i < count; i++)
        *mean += in[i];
    *mean /= (double)count;
    for (int64_t i = 0; i < count; i++)
        *variance += (in[i] - *mean) * (in[i] - *mean);
    *variance /= (double)count;
}

/* A walk over the input with what scales and shifts it. */
static const char *walk_beside(struct evaluation *e, const struct array *in, const struct array *other,
                               struct walk *walk)
{
    if (!array_is_real(other) || !broadcast_dims(&walk->rank, walk->dims, other) || walk->rank != in->rank ||
        memcmp(walk->dims, in->dims, (size_t)in->rank * sizeof(*in->dims)) != 0)
        return arena_format(e->arena, "%s %s for data of shape %s", type_name(other->type),
                            array_shape(e->arena, other), array_shape(e->arena, in));
    walk_broadcast(walk, other);
    return NULL;
}

const char *eval_layer_normalization(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *scale = e->inputs[1], *bias = eval_input(e, 2);
    bool is_rms = e->node->op == OP_RMSNormalization;
    double epsilon = node_float(e->node, "epsilon", (double)1e-5f);
    int axis;
    if (!array_is_real(in))
        return "this operator takes no integers";
    const char *reason = eval_axis(e, -1, in->rank, false, &axis);
    struct walk walk = {.rank = in->rank};
    memcpy(walk.dims, in->dims, sizeof(walk.dims));
    if (!reason)
        reason = walk_beside(e, in, scale, &walk);
    if (!reason && bias)
        reason = walk_beside(e, in, bias, &walk);
    struct array *out, *statistics[2] = {NULL, NULL};
    if (!reason)
        reason = eval_result(e, in->type, in->rank, in->dims, &out);
    int64_t dims[EVAL_RANK], block = 1;
    for (int i = 0; i < in->rank; i++) {
        dims[i] = i < axis ? in->dims[i] : 1;
        block *= i < axis ? 1 : in->dims[i];
    }
    for (size_t i = 0; !reason && i < 2 && i + 1 < e->node->output_count; i++) {
        reason = array_make(e->arena, e->pool, e->limit,
                            in->type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE ? in->type
                                                                              : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
                            in->rank, dims, &statistics[i]);
        e->outputs[i + 1] = statistics[i];
    }
    if (reason || in->count == 0)
        return reason;
    for (int64_t n = 0; n < in->count / block; n++) {
        double mean, variance;
        mean_and_variance(in->reals + n * block, block, &mean, &variance);
        if (is_rms) {
            variance += mean * mean; /* the mean of the squares */
            mean = 0;
        }
        double inverse = 1 / sqrt(variance + epsilon);
        if (statistics[0])
            statistics[0]->reals[n] = mean;
        if (statistics[1])
            statistics[1]->reals[n] = inverse;
        for (int64_t i = n * block; i < (n + 1) * block; i++, walk_next(&walk))
            out->reals[i] = (in->reals[i] - mean) * inverse * scale->reals[walk.offsets[0]] +
                            (bias ? bias->reals[walk.offsets[1]] : 0);
    }
    return NULL;
}

/* InstanceNormalization: a group for each channel. */
const char *eval_group_normalization(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *scale = e->inputs[1], *bias = e->inputs[2];
    double epsilon = node_float(e->node, "epsilon", (double)1e-5f);
    if (!array_is_real(in) || in->rank < 2)
        return arena_format(e->arena, "data of %s %s", type_name(in->type), array_shape(e->arena, in));
    int64_t channels = in->dims[1], groups = channels;
    if (e->node->op == OP_GroupNormalization)
        groups = node_integer(e->node, "num_groups", 0);
    /* Before opset 21 a scale belongs to a group. */
    int64_t scales = e->node->op == OP_GroupNormalization && e->node->opset < 21 ? groups : channels;
    if (groups < 1 || channels % groups != 0 || !array_is_real(scale) || !array_is_real(bias) ||
        scale->count != scales || bias->count != scales)
        return arena_format(e->arena, "%lld groups, a scale of shape %s for %lld channels", (long long)groups,
                            array_shape(e->arena, scale), (long long)channels);
    struct array *out;
    const char *reason = eval_result(e, in->type, in->rank, in->dims, &out);
    if (reason || in->count == 0)
        return reason;
    int64_t block = in->count / in->dims[0] / groups, plane = in->count / in->dims[0] / channels;
    for (int64_t start = 0; start < in->count; start += block) {
        double mean, variance;
        mean_and_variance(in->reals + start, block, &mean, &variance);
        for (int64_t i = start; i < start + block; i++) {
            int64_t c = i / plane % channels / (channels / scales);
            out->reals[i] = (in->reals[i] - mean) / sqrt(variance + epsilon) * scale->reals[c] + bias->reals[c];
        }
    }
    return NULL;
}

/* ---- others ---- */

const char *eval_lrn(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    double alpha = node_float(e->node, "alpha", (double)1e-4f);
    double beta = node_float(e->node, "beta", 0.75), bias = node_float(e->node, "bias", 1);
    int64_t size = node_integer(e->node, "size", 0);
    if (!array_is_real(in) || in->rank < 2 || size < 1)
        return arena_format(e->arena, "data of shape %s, size %lld", array_shape(e->arena, in), (long long)size);
    struct array *out;
    int64_t channels = in->dims[1], plane = 1;
    int64_t before = (size - 1) / 2, behind = size / 2;
    before = before < channels ? before : channels;
    behind = behind < channels ? behind : channels;
    for (int i = 2; in->count && i < in->rank; i++)
        plane *= in->dims[i];
    const char *reason = eval_result(e, in->type, in->rank, in->dims, &out);
    if (!reason)
        reason = eval_check_products(e, in->count, before + behind + 1, 1);
    for (int64_t i = 0; !reason && i < in->count; i++) {
        int64_t c = i / plane % channels;
        double sum = 0;
        for (int64_t k = -before; k <= behind; k++)
            if (c + k >= 0 && c + k < channels)
                sum += in->reals[i + k * plane] * in->reals[i + k * plane];
        out->reals[i] = in->reals[i] / real_pow(bias + alpha / (double)size * sum, beta);
    }
    return reason;
}

const char *eval_lp_normalization(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    int64_t p = node_integer(e->node, "p", 2), inner = 1;
    int axis;
    struct array *out;
    if (!array_is_real(in) || (p != 1 && p != 2))
        return arena_format(e->arena, "data of %s, p of %lld", type_name(in->type), (long long)p);
    const char *reason = eval_axis(e, -1, in->rank, false, &axis);
    if (!reason)
        reason = eval_result(e, in->type, in->rank, in->dims, &out);
    if (reason || in->count == 0)
        return reason;
    int64_t extent = in->dims[axis];
    for (int i = axis + 1; i < in->rank; i++)
        inner *= in->dims[i];
    for (int64_t line = 0; line < in->count / extent; line++) {
        int64_t first = line / inner * inner * extent + line % inner;
        double sum = 0;
        for (int64_t i = 0; i < extent; i++) {
            double x = fabs(in->reals[first + i * inner]);
            sum += p == 1 ? x : x * x;
        }
        double norm = p == 1 ? sum : sqrt(sum);
        for (int64_t i = 0; i < extent; i++)
            out->reals[first + i * inner] = norm == 0 ? 0 : in->reals[first + i * inner] / norm;
    }
    return NULL;
}

const char *eval_mean_variance_normalization(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    int axes[EVAL_RANK] = {0, 2, 3}, count;
    bool given;
    if (!array_is_real(in))
        return "this operator takes no integers";
    const char *reason = eval_axes(e, 1, in->rank, axes, &count, &given);
    if (!reason && !given && in->rank != 4)
        reason = "no axes for data of another rank than 4";
    if (reason)
        return reason;
    for (; !given && count < 3; count++)
        axes[count] = count ? count + 1 : 0;
    int64_t kept[EVAL_RANK], each = 1;
    memcpy(kept, in->dims, sizeof(kept));
    for (int i = 0; i < count; i++) {
        each *= in->dims[axes[i]];
        kept[axes[i]] = 1;
    }
    struct array *out, *mean, *variance;
    reason = eval_result(e, in->type, in->rank, in->dims, &out);
    if (!reason)
        reason = array_make(e->arena, e->pool, e->limit, in->type, in->rank, kept, &mean);
    if (!reason)
        reason = array_make(e->arena, e->pool, e->limit, in->type, in->rank, kept, &variance);
    if (reason)
        return reason;
    struct walk start = {.rank = in->rank};
    memcpy(start.dims, in->dims, sizeof(start.dims));
    walk_broadcast(&start, mean);
    struct walk walk = start;
    for (int64_t i = 0; i < in->count; i++, walk_next(&walk))
        mean->reals[walk.offsets[0]] += in->reals[i] / (double)each;
    walk = start;
    for (int64_t i = 0; i < in->count; i++, walk_next(&walk)) {
        double apart = in->reals[i] - mean->reals[walk.offsets[0]];
        variance->reals[walk.offsets[0]] += apart * apart / (double)each;
    }
    walk = start;
    for (int64_t i = 0; i < in->count; i++, walk_next(&walk))
        out->reals[i] = (in->reals[i] - mean->reals[walk.offsets[0]]) / (sqrt(variance->reals[walk.offsets[0]]) + 1e-9);
    return NULL;
}
