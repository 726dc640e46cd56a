/* eval/quantize.c: numbers in few bits, and products of them. */
#include "eval/quantize.h"

#include <math.h>

#include "eval/compare.h"
#include "eval/conv.h"
#include "eval/matrix.h"
#include "eval/move.h"

#define UINT8_TYPE ONNX__TENSOR_PROTO__DATA_TYPE__UINT8
#define FLOAT_TYPE ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT

void eval_quantize(struct array *out, int64_t at, double scaled, double zero)
{
    int64_t least, most;
    if (array_is_real(out)) {
        out->reals[at] = eval_rounded(out->type, scaled + zero, true);
        return;
    }
    double value = rint(scaled) + zero;
    eval_integer_range(out->type, &least, &most);
    if (isnan(value))
        value = 0;
    out->integers[at] = value <= (double)least ? least : value >= (double)most ? most : (int64_t)value;
}

/* Which scale each element has: one, one per position of an axis, or one per block of it. */
struct grain {
    int64_t inner, extent, block, blocks; /* elements after the axis; its length; per scale */
    bool single;
};

static const char *read_grain(struct evaluation *e, const struct array *in, const struct array *scale,
                              const struct array *zero, struct grain *grain)
{
    *grain = (struct grain){.single = scale->count == 1 && scale->rank <= 1};
    if (!array_is_real(scale) || (zero && zero->count != scale->count))
        return "a scale that is not a real number, or a zero point of another shape";
    if (grain->single)
        return NULL;
    int axis;
    const char *reason = eval_axis(e, 1, in->rank, false, &axis);
    if (reason)
        return reason;
    int64_t block = node_integer(e->node, "block_size", 0);
    bool blocked = scale->rank == in->rank && in->rank > 1;
    bool fits = blocked || (scale->rank == 1 && scale->count == in->dims[axis]);
    grain->extent = in->dims[axis];
    grain->inner = eval_extent(in->dims, axis + 1, in->rank);
    grain->blocks = blocked ? scale->dims[axis] : scale->count;
    if (grain->blocks < 1)
        return in->count ? "a scale without elements" : NULL;
    grain->block = blocked && block > 0 ? block : grain->extent / grain->blocks + (grain->extent % grain->blocks != 0);
    for (int i = 0; fits && blocked && i < in->rank; i++)
        fits = i == axis || scale->dims[i] == in->dims[i];
    if (!fits || (grain->extent - 1) / (grain->block ? grain->block : 1) >= grain->blocks)
        return arena_format(e->arena, "a scale of shape %s for %s", array_shape(e->arena, scale),
                            array_shape(e->arena, in));
    if (!blocked)
        grain->extent = in->dims[axis];
    grain->single = false;
    return NULL;
}

static int64_t grain_at(const struct grain *grain, const struct array *scale, int64_t at)
{
    if (grain->single)
        return 0;
    int64_t place = at / grain->inner % grain->extent;
    if (scale->rank == 1)
        return place;
    int64_t before = at / (grain->inner * grain->extent);
    return (before * grain->blocks + place / grain->block) * grain->inner + at % grain->inner;
}

const char *eval_quantize_linear(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *scale = e->inputs[1], *zero = eval_input(e, 2);
    int64_t type = node_integer(e->node, "output_dtype", 0);
    int64_t precision = node_integer(e->node, "precision", 0);
    struct grain grain;
    struct array *out;
    if (zero)
        type = zero->type;
    else if (type == 0)
        type = UINT8_TYPE;
    if (precision == 0)
        precision = scale->type;
    if (type < 1 || type > INT32_MAX || (!type_is_real((int32_t)type) && !type_is_whole((int32_t)type)) ||
        !type_is_float((int32_t)precision))
        return "a type without numbers";
    const char *reason = read_grain(e, in, scale, zero, &grain);
    if (!reason)
        reason = eval_result(e, (int32_t)type, in->rank, in->dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++) {
        int64_t at = grain_at(&grain, scale, i);
        /* The quotient is rounded to its type before it is rounded to a whole number. */
        double quotient = tensor_rounded((int32_t)precision, eval_real(in, i) / scale->reals[at]);
        eval_quantize(out, i, quotient, zero ? eval_real(zero, at) : 0);
    }
    return reason;
}

const char *eval_dequantize_linear(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *scale = e->inputs[1], *zero = eval_input(e, 2);
    int64_t type = node_integer(e->node, "output_dtype", 0);
    struct grain grain;
    struct array *out;
    type = type ? type : scale->type;
    if (type < 1 || type > INT32_MAX || !type_is_real((int32_t)type))
        return "a type without reals";
    const char *reason = read_grain(e, in, scale, zero, &grain);
    if (!reason)
        reason = eval_result(e, (int32_t)type, in->rank, in->dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++) {
        int64_t at = grain_at(&grain, scale, i);
        out->reals[i] = (eval_real(in, i) - (zero ? eval_real(zero, at) : 0)) * scale->reals[at];
    }
    return reason;
}

const char *eval_dynamic_quantize_linear(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    double low = 0, high = 0;
    struct array *out, *scale, *zero;
    if (in->type != FLOAT_TYPE)
        return "data that is not float";
    for (int64_t i = 0; i < in->count; i++) {
        low = eval_smaller(low, in->reals[i]);
        high = eval_larger(high, in->reals[i]);
    }
    const char *reason = eval_result(e, UINT8_TYPE, in->rank, in->dims, &out);
    if (!reason)
        reason = array_make(e->arena, e->pool, e->limit, FLOAT_TYPE, 0, NULL, &scale);
    if (!reason)
        reason = array_make(e->arena, e->pool, e->limit, UINT8_TYPE, 0, NULL, &zero);
    if (reason)
        return reason;
    double step = tensor_rounded(FLOAT_TYPE, tensor_rounded(FLOAT_TYPE, high - low) / 255);
    scale->reals[0] = step;
    eval_quantize(zero, 0, step == 0 ? 0 : tensor_rounded(FLOAT_TYPE, -low / step), 0);
    for (int64_t i = 0; i < in->count; i++)
        eval_quantize(out, i, step == 0 ? 0 : tensor_rounded(FLOAT_TYPE, in->reals[i] / step),
                      (double)zero->integers[0]);
    if (e->node->output_count > 1)
        e->outputs[1] = scale;
    if (e->node->output_count > 2)
        e->outputs[2] = zero;
    return NULL;
}

/* ---- products ---- */

/* Which part of a zero point or scale an element takes: along its axis, or the only one. */
static double along(const struct array *values, int64_t place, double otherwise)
{
    if (!values)
        return otherwise;
    return eval_real(values, values->count == 1 ? 0 : place);
}

const char *eval_centred(struct evaluation *e, const struct array *in, const struct array *zero, int axis,
                         struct array **out)
{
    int64_t inner = axis >= 0 ? eval_extent(in->dims, axis + 1, in->rank) : 1;
    if (!array_is_whole(in) && !array_is_real(in))
        return "factors that are no numbers";
    if (zero && zero->count != 1 && (axis < 0 || zero->count != in->dims[axis]))
        return arena_format(e->arena, "a zero point of shape %s for %s", array_shape(e->arena, zero),
                            array_shape(e->arena, in));
    const char *reason =
        array_make(e->arena, e->pool, e->limit, ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE, in->rank, in->dims, out);
    for (int64_t i = 0; !reason && i < in->count; i++)
        (*out)->reals[i] = eval_real(in, i) - along(zero, axis < 0 ? 0 : i / inner % in->dims[axis], 0);
    return reason;
}

/* Evaluates MatMul or Conv on centred factors. */
static const char *product(struct evaluation *e, bool is_conv, struct array *left, struct array *right,
                           struct array **out)
{
    struct array *inputs[] = {left, right};
    return eval_as(e, is_conv ? OP_Conv : OP_MatMul, is_conv ? eval_conv : eval_matmul, inputs, 2, out);
}

/* MatMulInteger and ConvInteger: sums of products, as int32. */
const char *eval_integer_product(struct evaluation *e)
{
    bool is_conv = e->node->op == OP_ConvInteger;
    const struct array *a = e->inputs[0], *b = e->inputs[1];
    struct array *left, *right, *sums, *out;
    const char *reason = eval_centred(e, a, eval_input(e, 2), is_conv || a->rank < 2 ? -1 : a->rank - 2, &left);
    if (!reason)
        reason = eval_centred(e, b, eval_input(e, 3), is_conv ? 0 : b->rank - 1, &right);
    if (!reason)
        reason = product(e, is_conv, left, right, &sums);
    if (!reason)
        reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__INT32, sums->rank, sums->dims, &out);
    for (int64_t i = 0; !reason && i < out->count; i++) {
        if (!(fabs(sums->reals[i]) < 0x1p53))
            return "an integer overflows";
        out->integers[i] = eval_wrapped(out->type, (int64_t)sums->reals[i]);
    }
    return reason;
}

/* QLinearMatMul and QLinearConv: the same with scales, quantized again. */
const char *eval_quantized_product(struct evaluation *e)
{
    bool is_conv = e->node->op == OP_QLinearConv;
    const struct array *a = e->inputs[0], *b = e->inputs[3], *bias = is_conv ? eval_input(e, 8) : NULL;
    const struct array *a_scale = e->inputs[1], *b_scale = e->inputs[4];
    const struct array *y_scale = e->inputs[6], *y_zero = e->inputs[7];
    struct array *left, *right, *sums, *out;
    if (!array_is_real(a_scale) || !array_is_real(b_scale) || !array_is_real(y_scale) || y_scale->count != 1 ||
        y_zero->count != 1)
        return "a scale that is not a real number, or many for the result";
    const char *reason = eval_centred(e, a, e->inputs[2], is_conv || a->rank < 2 ? -1 : a->rank - 2, &left);
    if (!reason)
        reason = eval_centred(e, b, e->inputs[5], is_conv ? 0 : b->rank - 1, &right);
    if (!reason)
        reason = product(e, is_conv, left, right, &sums);
    if (!reason)
        reason = eval_result(e, y_zero->type, sums->rank, sums->dims, &out);
    if (reason || out->count == 0)
        return reason;
    int axis = is_conv ? 1 : sums->rank - 1;
    int64_t channels = axis >= 0 ? sums->dims[axis] : 1;
    int64_t inner = axis >= 0 ? eval_extent(sums->dims, axis + 1, sums->rank) : 1;
    int64_t rows = sums->rank > 1 ? sums->dims[sums->rank - 2] : 1;
    if ((b_scale->count != 1 && b_scale->count != channels) ||
        (a_scale->count != 1 && (is_conv || a_scale->count != rows)) ||
        (bias && (bias->count != channels || !array_is_whole(bias))))
        return "scales or a bias of another length than the channels";
    for (int64_t i = 0; i < out->count; i++) {
        int64_t channel = i / inner % channels;
        double sum = sums->reals[i] + (bias ? (double)bias->integers[channel] : 0);
        double scale =
            along(a_scale, is_conv ? 0 : i / channels % rows, 1) * along(b_scale, channel, 1) / y_scale->reals[0];
        eval_quantize(out, i, sum * scale, eval_real(y_zero, 0));
    }
    return NULL;
}
