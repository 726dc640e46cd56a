/* eval/compare.c: comparisons, logic and bits, element by element; Max, Min, Clip, Where. */
#include "eval/compare.h"

#include <math.h>

#include "eval/math.h"

#define BOOL_TYPE ONNX__TENSOR_PROTO__DATA_TYPE__BOOL

int eval_compare_integers(int32_t type, int64_t a, int64_t b)
{
    if (type == ONNX__TENSOR_PROTO__DATA_TYPE__UINT64)
        return ((uint64_t)a > (uint64_t)b) - ((uint64_t)a < (uint64_t)b);
    return (a > b) - (a < b);
}

static bool eval_same_text(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b)
{
    size_t length = a ? a->len : 0;
    return length == (b ? b->len : 0) && (length == 0 || memcmp(a->data, b->data, length) == 0);
}

static bool compare(enum op op, int order) /* of the two: below 0, 0, above 0 */
{
    switch (op) {
    case OP_Equal: return order == 0;
    case OP_Less: return order < 0;
    case OP_LessOrEqual: return order <= 0;
    case OP_Greater: return order > 0;
    default: return order >= 0;
    }
}

static bool compare_reals(enum op op, double a, double b)
{
    return !isnan(a) && !isnan(b) && compare(op, (a > b) - (a < b));
}

const char *eval_compare(struct evaluation *e)
{
    const struct array *a = e->inputs[0], *b = e->inputs[1];
    enum op op = e->node->op;
    bool real = array_is_real(a), is_number = real || array_is_whole(a);
    if ((real ? !array_is_real(b) : a->type != b->type) || (!is_number && op != OP_Equal))
        return arena_format(e->arena, "types %s and %s", type_name(a->type), type_name(b->type));
    struct walk walk;
    struct array *out;
    const char *reason = eval_broadcast(e, 2, &walk);
    if (!reason)
        reason = eval_result(e, BOOL_TYPE, walk.rank, walk.dims, &out);
    for (int64_t i = 0; !reason && i < out->count; i++, walk_next(&walk)) {
        int64_t ia = walk.offsets[0], ib = walk.offsets[1];
        if (real)
            out->integers[i] = compare_reals(op, a->reals[ia], b->reals[ib]);
        else if (is_number)
            out->integers[i] = compare(op, eval_compare_integers(a->type, a->integers[ia], b->integers[ib]));
        else
            out->integers[i] = eval_same_text(a->texts[ia], b->texts[ib]);
    }
    return reason;
}

/* Bits that are moved out are lost; what comes in from the left is the sign. */
static int64_t shifted(int32_t type, bool to_the_left, int64_t a, int64_t b)
{
    bool is_unsigned = type == ONNX__TENSOR_PROTO__DATA_TYPE__UINT64;
    if ((uint64_t)b >= (uint64_t)type_bits(type)) /* also below 0 */
        return !to_the_left && !is_unsigned && a < 0 ? -1 : 0;
    if (to_the_left || is_unsigned || a >= 0)
        return (int64_t)(to_the_left ? (uint64_t)a << b : (uint64_t)a >> b);
    return -1 - (int64_t)((uint64_t)(-1 - a) >> b);
}

static int64_t combine_bits(enum op op, int64_t a, int64_t b)
{
    switch (op) {
    case OP_And:
    case OP_BitwiseAnd: return a & b;
    case OP_Or:
    case OP_BitwiseOr: return a | b;
    default: return a ^ b;
    }
}

const char *eval_bitwise(struct evaluation *e)
{
    const struct array *a = e->inputs[0], *b = e->inputs[1];
    enum op op = e->node->op;
    bool is_logic = op == OP_And || op == OP_Or || op == OP_Xor;
    bool to_the_left = strcmp(node_string(e->arena, e->node, "direction", ""), "LEFT") == 0;
    if (array_is_real(a) || a->type != b->type || (is_logic && a->type != BOOL_TYPE))
        return arena_format(e->arena, "types %s and %s", type_name(a->type), type_name(b->type));
    struct walk walk;
    struct array *out;
    const char *reason = eval_broadcast(e, 2, &walk);
    if (!reason)
        reason = eval_result(e, a->type, walk.rank, walk.dims, &out);
    for (int64_t i = 0; !reason && i < out->count; i++, walk_next(&walk)) {
        int64_t x = a->integers[walk.offsets[0]], y = b->integers[walk.offsets[1]];
        out->integers[i] =
            eval_wrapped(a->type, op == OP_BitShift ? shifted(a->type, to_the_left, x, y) : combine_bits(op, x, y));
    }
    return reason;
}

/* Not, IsNaN, IsInf: a bool for each element. */
const char *eval_test(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    enum op op = e->node->op;
    bool above = node_integer(e->node, "detect_positive", 1) != 0;
    bool below = node_integer(e->node, "detect_negative", 1) != 0;
    struct array *out;
    if (op == OP_Not ? in->type != BOOL_TYPE : !array_is_real(in))
        return arena_format(e->arena, "type %s", type_name(in->type));
    const char *reason = eval_result(e, BOOL_TYPE, in->rank, in->dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++) {
        if (op == OP_Not)
            out->integers[i] = !in->integers[i];
        else if (op == OP_IsNaN)
            out->integers[i] = isnan(in->reals[i]);
        else
            out->integers[i] = isinf(in->reals[i]) && (in->reals[i] > 0 ? above : below);
    }
    return reason;
}

/* A NaN stays one. */
double eval_larger(double a, double b)
{
    return isnan(a) || a > b ? a : b;
}

double eval_smaller(double a, double b)
{
    return isnan(a) || a < b ? a : b;
}

/* Max and Min, which take any number of inputs. */
const char *eval_extreme(struct evaluation *e)
{
    bool largest = e->node->op == OP_Max;
    struct walk box = {.rank = 0};
    int32_t type = e->inputs[0]->type;
    for (size_t n = 0; n < e->node->input_count; n++) {
        const struct array *in = e->inputs[n];
        if (!in || in->type != type)
            return arena_format(e->arena, "input %zu is missing or of another type", n);
        if (!broadcast_dims(&box.rank, box.dims, in))
            return arena_format(e->arena, "shapes %s and %s do not broadcast", array_shape(e->arena, e->inputs[0]),
                                array_shape(e->arena, in));
    }
    struct array *out;
    const char *reason = eval_result(e, type, box.rank, box.dims, &out);
    if (!reason)
        reason = eval_check_products(e, out->count, (int64_t)e->node->input_count, ELEMENT_COST);
    for (size_t n = 0; !reason && n < e->node->input_count; n++) {
        const struct array *in = e->inputs[n];
        struct walk walk = box;
        walk_broadcast(&walk, in);
        for (int64_t i = 0; i < out->count; i++, walk_next(&walk)) {
            int64_t from = walk.offsets[0];
            if (n == 0)
                memcpy(out->cells + i * EVAL_CELL, in->cells + from * EVAL_CELL, EVAL_CELL);
            else if (array_is_real(in))
                out->reals[i] = largest ? eval_larger(out->reals[i], in->reals[from])
                                        : eval_smaller(out->reals[i], in->reals[from]);
            else if (eval_compare_integers(type, in->integers[from], out->integers[i]) == (largest ? 1 : -1))
                out->integers[i] = in->integers[from];
        }
    }
    return reason;
}

/* A bound of Clip: an attribute before opset 11, then an input. */
static const char *read_bound(const struct evaluation *e, size_t index, const char *name, const struct array **given,
                              double *real)
{
    *given = e->node->opset < 11 ? NULL : eval_input(e, index);
    if (e->node->opset < 11)
        *real = node_float(e->node, name, *real);
    if (*given && ((*given)->count != 1 || (*given)->type != e->inputs[0]->type))
        return "a bound is not a scalar of the input's type";
    if (*given && array_is_real(*given))
        *real = (*given)->reals[0];
    return NULL;
}

const char *eval_clip(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *low, *high;
    double least = -(double)INFINITY, most = (double)INFINITY;
    struct array *out;
    const char *reason = read_bound(e, 1, "min", &low, &least);
    if (!reason)
        reason = read_bound(e, 2, "max", &high, &most);
    if (!reason)
        reason = eval_result(e, in->type, in->rank, in->dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++) {
        if (array_is_real(in)) {
            double x = in->reals[i];
            x = x < least ? least : x;
            out->reals[i] = x > most ? most : x;
            continue;
        }
        int64_t x = in->integers[i];
        if (low && eval_compare_integers(in->type, x, low->integers[0]) < 0)
            x = low->integers[0];
        if (high && eval_compare_integers(in->type, x, high->integers[0]) > 0)
            x = high->integers[0];
        out->integers[i] = x;
    }
    return reason;
}

const char *eval_where(struct evaluation *e)
{
    const struct array *condition = e->inputs[0], *a = e->inputs[1], *b = e->inputs[2];
    if (condition->type != ONNX__TENSOR_PROTO__DATA_TYPE__BOOL)
        return "the condition is not a bool";
    if (a->type != b->type)
        return arena_format(e->arena, "types %s and %s", type_name(a->type), type_name(b->type));
    struct walk walk;
    struct array *out;
    const char *reason = eval_broadcast(e, 3, &walk);
    if (!reason)
        reason = eval_result(e, a->type, walk.rank, walk.dims, &out);
    for (int64_t i = 0; !reason && i < out->count; i++, walk_next(&walk)) {
        const struct array *taken = condition->integers[walk.offsets[0]] ? a : b;
        int64_t from = walk.offsets[taken == a ? 1 : 2];
        memcpy(out->cells + i * EVAL_CELL, taken->cells + from * EVAL_CELL, EVAL_CELL);
    }
    return reason;
}
