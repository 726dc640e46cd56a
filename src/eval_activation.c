/* eval_activation.c: activations, Softmax, GlobalAveragePool and Split.
 *
 * Nothing that is fused holds one of them. A comparison of two models meets them between the parts
 * that differ. */
#include "eval_internal.h"

#include <math.h>
#include <string.h>

static double clamp(double x, double low, double high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* log(1 + exp(x)), which neither overflows nor loses a small exp(x). */
static double softplus(double x)
{
    return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static double hard_sigmoid(double x, double alpha, double beta)
{
    return clamp(alpha * x + beta, 0, 1);
}

/* Parameters of an activation, with the defaults of ONNX. */
struct activation {
    enum op kind;
    double alpha, beta;
    bool approximate; /* Gelu by tanh */
};

static double activate(const struct activation *a, double x)
{
    switch (a->kind) {
    case OP_Elu: return x < 0 ? a->alpha * expm1(x) : x;
    case OP_Erf: return erf(x);
    case OP_Gelu:
        if (a->approximate)
            return x / 2 * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
        return x / 2 * (1 + erf(x * 0.7071067811865476));
    case OP_HardSigmoid: return hard_sigmoid(x, a->alpha, a->beta);
    case OP_HardSwish: return x * hard_sigmoid(x, 1.0 / 6, 0.5);
    case OP_LeakyRelu: return x < 0 ? a->alpha * x : x;
    case OP_Mish: return x * tanh(softplus(x));
    case OP_Selu: return a->beta * (x > 0 ? x : a->alpha * expm1(x));
    case OP_Softplus: return softplus(x);
    case OP_Softsign: return x / (1 + fabs(x));
    case OP_Swish: return x / (1 + exp(-a->alpha * x));
    default: return clamp(x, a->alpha, a->beta); /* Clip: its bounds */
    }
}

static const char *bound_of(const struct evaluation *e, size_t index, double *bound)
{
    const struct array *array = eval_input(e, index);
    if (!array)
        return NULL;
    if (array->count != 1 || !array_is_real(array))
        return "a bound is no real scalar";
    *bound = array->reals[0];
    return NULL;
}

const char *eval_activation(struct evaluation *e)
{
    const struct node *node = e->node;
    const struct array *in = eval_input(e, 0);
    struct activation a = {.kind = node->op};
    const char *reason = NULL;
    if (!array_is_real(in))
        return "this operator takes no integers";
    switch (node->op) {
    case OP_Elu: a.alpha = node_float(node, "alpha", 1); break;
    case OP_Gelu:
        a.approximate = strcmp(node_string(e->arena, node, "approximate", "none"), "tanh") == 0;
        break;
    case OP_HardSigmoid:
        a.alpha = node_float(node, "alpha", (double)0.2f);
        a.beta = node_float(node, "beta", 0.5);
        break;
    case OP_LeakyRelu: a.alpha = node_float(node, "alpha", (double)0.01f); break;
    case OP_Selu:
        a.alpha = node_float(node, "alpha", (double)1.67326319217681884765625f);
        a.beta = node_float(node, "gamma", (double)1.05070102214813232421875f);
        break;
    case OP_Swish: a.alpha = node_float(node, "alpha", 1); break;
    case OP_Clip:
        a.alpha = node->opset < 11 ? node_float(node, "min", -(double)INFINITY) : -(double)INFINITY;
        a.beta = node->opset < 11 ? node_float(node, "max", (double)INFINITY) : (double)INFINITY;
        reason = bound_of(e, 1, &a.alpha);
        if (!reason)
            reason = bound_of(e, 2, &a.beta);
        break;
    default: break;
    }
    struct array *out;
    if (!reason)
        reason = eval_result(e, in->type, in->rank, in->dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++)
        out->reals[i] = activate(&a, in->reals[i]);
    return reason;
}

const char *eval_prelu(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *slope = e->inputs[1];
    if (!array_is_real(in) || !array_is_real(slope))
        return "this operator takes no integers";
    struct walk walk = {.rank = in->rank, .operands = 0};
    memcpy(walk.dims, in->dims, sizeof(walk.dims));
    if (!broadcast_dims(&walk.rank, walk.dims, slope) || walk.rank != in->rank ||
        memcmp(walk.dims, in->dims, (size_t)in->rank * sizeof(*walk.dims)) != 0)
        return arena_format(e->arena, "a slope of shape %s for %s", array_shape(e->arena, slope),
                            array_shape(e->arena, in));
    walk_broadcast(&walk, slope);
    struct array *out;
    const char *reason = eval_result(e, in->type, in->rank, in->dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++, walk_next(&walk)) {
        double x = in->reals[i];
        out->reals[i] = x < 0 ? x * slope->reals[walk.offsets[0]] : x;
    }
    return reason;
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
        for (int64_t i = start; i < start + inner; i++) {
            double largest = -(double)INFINITY, sum = 0;
            for (int64_t k = 0; k < extent; k++)
                largest = fmax(largest, in->reals[i + k * inner]);
            for (int64_t k = 0; k < extent; k++)
                sum += out->reals[i + k * inner] = exp(in->reals[i + k * inner] - largest);
            for (int64_t k = 0; k < extent; k++)
                out->reals[i + k * inner] /= sum;
        }
    return NULL;
}

const char *eval_global_average_pool(struct evaluation *e)
{
    const struct array *in = eval_input(e, 0);
    int64_t dims[EVAL_RANK], plane = 1;
    if (!array_is_real(in) || in->rank < 3)
        return arena_format(e->arena, "an image of shape %s", array_shape(e->arena, in));
    for (int i = 0; i < in->rank; i++) {
        dims[i] = i < 2 ? in->dims[i] : 1;
        plane *= i < 2 ? 1 : in->dims[i];
    }
    struct array *out;
    const char *reason = eval_result(e, in->type, in->rank, dims, &out);
    if (reason || plane == 0)
        return reason ? reason : "an image without pixels";
    for (int64_t i = 0; i < in->count; i++)
        out->reals[i / plane] += in->reals[i] / (double)plane;
    return NULL;
}

const char *eval_split(struct evaluation *e)
{
    const struct array *in = eval_input(e, 0);
    size_t count = e->node->output_count, given = 0;
    const int64_t *sizes = node_integers(e->node, "split", &given);
    int axis;
    const char *reason = eval_axis(e, 0, in->rank, false, &axis);
    if (!reason && !sizes && eval_input(e, 1))
        reason = eval_integers(e, 1, &sizes, &given);
    if (reason)
        return reason;
    if (count == 0 || count > COUNT_OF(e->outputs) || (sizes && given != count))
        return arena_format(e->arena, "a split into %zu parts", count);
    int64_t extent = in->dims[axis], inner = EVAL_CELL, outer = 1, from = 0;
    int64_t each = (extent + (int64_t)count - 1) / (int64_t)count;
    for (int i = 0; i < in->rank; i++) {
        outer *= i < axis ? in->dims[i] : 1;
        inner *= i > axis ? in->dims[i] : 1;
    }
    for (size_t n = 0; n < count; n++) {
        int64_t dims[EVAL_RANK], rest = extent - from;
        int64_t size = sizes ? sizes[n] : each < rest ? each : rest;
        if (size < 0 || size > rest || (n + 1 == count && size != rest))
            return "the parts do not fill the axis";
        memcpy(dims, in->dims, sizeof(dims));
        dims[axis] = size;
        struct array *part;
        reason = array_make(e->arena, e->pool, e->limit, in->type, in->rank, dims, &part);
        if (reason)
            return reason;
        for (int64_t i = 0; i < outer && size; i++)
            memcpy(part->cells + i * size * inner, in->cells + (i * extent + from) * inner,
                   (size_t)(size * inner));
        e->outputs[n] = part;
        from += size;
    }
    return NULL;
}
