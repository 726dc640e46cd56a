/* eval/activation.c: activations. */
#include "eval/activation.h"

#include <math.h>

#include "base/real.h"

static double clamp(double x, double low, double high)
{
    x = x < low ? low : x;
    return x > high ? high : x;
}

/* log(1 + exp(x)), which neither overflows nor loses a small exp(x). */
static double softplus(double x)
{
    return x > 0 ? x + real_log1p(real_exp(-x)) : real_log1p(real_exp(x));
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
    case OP_Celu: return x > 0 ? x : a->alpha * real_expm1(x / a->alpha);
    case OP_Elu: return x < 0 ? a->alpha * real_expm1(x) : x;
    case OP_Erf: return real_erf(x);
    case OP_Gelu:
        if (a->approximate)
            return x / 2 * (1 + real_tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
        return x / 2 * (1 + real_erf(x * 0.7071067811865476));
    case OP_HardSigmoid: return hard_sigmoid(x, a->alpha, a->beta);
    case OP_HardSwish: return x * hard_sigmoid(x, 1.0 / 6, 0.5);
    case OP_LeakyRelu: return x < 0 ? a->alpha * x : x;
    case OP_Mish: return x * real_tanh(softplus(x));
    case OP_Selu: return a->beta * (x > 0 ? x : a->alpha * real_expm1(x));
    case OP_Shrink: return x < -a->alpha ? x + a->beta : x > a->alpha ? x - a->beta : 0;
    case OP_Softplus: return softplus(x);
    case OP_Softsign: return x / (1 + fabs(x));
    case OP_Swish: return x / (1 + real_exp(-a->alpha * x));
    default: return x > a->alpha ? x : 0; /* ThresholdedRelu */
    }
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
    case OP_Celu:
    case OP_Elu:
    case OP_Swish:
    case OP_ThresholdedRelu: a.alpha = node_float(node, "alpha", 1); break;
    case OP_Gelu: a.approximate = strcmp(node_string(e->arena, node, "approximate", "none"), "tanh") == 0; break;
    case OP_HardSigmoid:
        a.alpha = node_float(node, "alpha", (double)0.2f);
        a.beta = node_float(node, "beta", 0.5);
        break;
    case OP_LeakyRelu: a.alpha = node_float(node, "alpha", (double)0.01f); break;
    case OP_Selu:
        a.alpha = node_float(node, "alpha", (double)1.67326319217681884765625f);
        a.beta = node_float(node, "gamma", (double)1.05070102214813232421875f);
        break;
    case OP_Shrink:
        a.alpha = node_float(node, "lambd", 0.5);
        a.beta = node_float(node, "bias", 0);
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

const char *eval_swiglu(struct evaluation *e)
{
    const struct array *gate = e->inputs[0], *in = e->inputs[1];
    double alpha = node_float(e->node, "alpha", 1);
    struct array *out;
    if (!array_is_real(gate) || !array_is_real(in) || gate->rank != in->rank ||
        memcmp(gate->dims, in->dims, (size_t)in->rank * sizeof(*in->dims)) != 0)
        return arena_format(e->arena, "a gate of shape %s for %s", array_shape(e->arena, gate),
                            array_shape(e->arena, in));
    const char *reason = eval_result(e, in->type, in->rank, in->dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++)
        out->reals[i] = gate->reals[i] / (1 + real_exp(-alpha * gate->reals[i])) * in->reals[i];
    return reason;
}
