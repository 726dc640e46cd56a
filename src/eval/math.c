/* eval/math.c: arithmetic and functions of one variable, element by element; Sum, Mean, Range. */
#include "eval/math.h"

#include <math.h>

#include "base/real.h"

static double relu(double x)
{
    return x < 0 ? 0 : x;
}

static double sigmoid(double x)
{
    return 1 / (1 + real_exp(-x));
}

static double negative(double x)
{
    return -x;
}

static double reciprocal(double x)
{
    return 1 / x;
}

static double sign(double x)
{
    return isnan(x) ? x : (x > 0) - (x < 0);
}

static double square_root(double x)
{
    return x < 0 ? (double)NAN : sqrt(x); /* some machines give it a sign */
}

static double (*function_of(enum op op))(double)
{
    switch (op) {
    case OP_Abs: return fabs;
    case OP_Acos: return acos;
    case OP_Acosh: return acosh;
    case OP_Asin: return asin;
    case OP_Asinh: return asinh;
    case OP_Atan: return atan;
    case OP_Atanh: return atanh;
    case OP_Ceil: return ceil;
    case OP_Cos: return cos;
    case OP_Cosh: return cosh;
    case OP_Exp: return real_exp;
    case OP_Floor: return floor;
    case OP_Log: return real_log;
    case OP_Neg: return negative;
    case OP_Reciprocal: return reciprocal;
    case OP_Relu: return relu;
    case OP_Round: return rint; /* halves to the even neighbour */
    case OP_Sigmoid: return sigmoid;
    case OP_Sign: return sign;
    case OP_Sin: return sin;
    case OP_Sinh: return sinh;
    case OP_Sqrt: return square_root;
    case OP_Tan: return tan;
    case OP_Tanh: return real_tanh;
    default: return NULL;
    }
}

static const char *unary_integer(enum op op, int32_t type, int64_t x, int64_t *result)
{
    bool is_unsigned = type == ONNX__TENSOR_PROTO__DATA_TYPE__UINT64;
    switch (op) {
    case OP_Abs:
    case OP_Neg:
        *result = x < 0 || op == OP_Neg ? (int64_t)(0 - (uint64_t)x) : x;
        if (is_unsigned && op == OP_Abs)
            *result = x;
        else if (x == INT64_MIN && !is_unsigned)
            return "an integer overflows";
        break;
    case OP_BitwiseNot: *result = ~x; break;
    case OP_Relu: *result = x < 0 && !is_unsigned ? 0 : x; break;
    case OP_Sign: *result = is_unsigned ? x != 0 : (x > 0) - (x < 0); break;
    default: return "this operator takes no integers";
    }
    *result = eval_wrapped(type, *result);
    return NULL;
}

const char *eval_unary(struct evaluation *e)
{
    const struct array *in = eval_input(e, 0);
    double (*function)(double) = function_of(e->node->op);
    struct array *out;
    const char *reason = eval_result(e, in->type, in->rank, in->dims, &out);
    if (!reason && array_is_real(in) && !function)
        reason = "this operator takes no reals";
    for (int64_t i = 0; i < in->count && !reason; i++)
        if (array_is_real(in))
            out->reals[i] = function(in->reals[i]);
        else
            reason = unary_integer(e->node->op, in->type, in->integers[i], &out->integers[i]);
    return reason;
}

/* The box that the inputs [0, count) broadcast to, with a walk operand for each. */
const char *eval_broadcast(struct evaluation *e, size_t count, struct walk *walk)
{
    *walk = (struct walk){.rank = 0};
    for (size_t i = 0; i < count; i++) {
        if (!broadcast_dims(&walk->rank, walk->dims, e->inputs[i]))
            return arena_format(e->arena, "shapes %s and %s do not broadcast", array_shape(e->arena, e->inputs[0]),
                                array_shape(e->arena, e->inputs[i]));
    }
    for (size_t i = 0; i < count; i++)
        walk_broadcast(walk, e->inputs[i]);
    return NULL;
}

/* a - floor(a / b) * b, with the sign of b. */
static double floored_modulo(double a, double b)
{
    double rest = fmod(a, b);
    if (rest == 0)
        return copysign(0, b);
    return (rest < 0) != (b < 0) ? rest + b : rest;
}

static const char *combine_reals(enum op kind, double a, double b, bool fmod_asked, double *result)
{
    switch (kind) {
    case OP_Add: *result = a + b; return NULL;
    case OP_Sub: *result = a - b; return NULL;
    case OP_Mul: *result = a * b; return NULL;
    case OP_Div: *result = a / b; return NULL;
    case OP_Mod: *result = fmod_asked ? fmod(a, b) : floored_modulo(a, b); return NULL;
    default: return "no function of two variables";
    }
}

/* Sums and products of types narrower than 64 bits wrap around, as runtimes let them. Beyond 64 bits
 * they are refused: those are sizes, and something is wrong. */
static const char *combine_integers(enum op kind, int32_t type, int64_t a, int64_t b, bool fmod_asked, int64_t *result)
{
    static const char overflow[] = "an integer overflows";
    bool is_unsigned = type == ONNX__TENSOR_PROTO__DATA_TYPE__UINT64;
    uint64_t x = (uint64_t)a, y = (uint64_t)b;
    switch (kind) {
    case OP_Add:
        if (__builtin_add_overflow(a, b, result) && !is_unsigned)
            return overflow;
        break;
    case OP_Sub:
        if (__builtin_sub_overflow(a, b, result) && !is_unsigned)
            return overflow;
        break;
    case OP_Mul:
        if (__builtin_mul_overflow(a, b, result) && !is_unsigned)
            return overflow;
        break;
    case OP_Div:
    case OP_Mod:
        if (b == 0)
            return "an integer is divided by zero";
        if (is_unsigned) {
            *result = (int64_t)(kind == OP_Div ? x / y : x % y);
            return NULL;
        }
        if (a == INT64_MIN && b == -1)
            return overflow;
        if (kind == OP_Div) {
            *result = a / b;
        } else {
            /* The sign follows the divisor, with fmod the dividend. */
            *result = a % b;
            if (!fmod_asked && *result && (*result < 0) != (b < 0))
                *result += b;
        }
        break;
    default: return "no function of two variables";
    }
    *result = eval_wrapped(type, *result);
    return NULL;
}

const char *eval_binary(struct evaluation *e)
{
    const struct array *a = e->inputs[0], *b = e->inputs[1];
    enum op kind = e->node->op;
    bool real = array_is_real(a);
    bool fmod_asked = node_integer(e->node, "fmod", 0) != 0;
    if (real ? !array_is_real(b) : a->type != b->type)
        return arena_format(e->arena, "types %s and %s", type_name(a->type), type_name(b->type));
    struct walk walk;
    struct array *out;
    const char *reason = eval_broadcast(e, 2, &walk);
    if (!reason)
        reason = eval_result(e, a->type, walk.rank, walk.dims, &out);
    for (int64_t i = 0; !reason && i < out->count; i++, walk_next(&walk)) {
        int64_t ia = walk.offsets[0], ib = walk.offsets[1];
        if (real)
            reason = combine_reals(kind, a->reals[ia], b->reals[ib], fmod_asked, &out->reals[i]);
        else
            reason = combine_integers(kind, a->type, a->integers[ia], b->integers[ib], fmod_asked, &out->integers[i]);
    }
    return reason;
}

static const char *integer_power(int64_t base, int64_t exponent, int64_t *result)
{
    if (exponent < 0)
        return "an integer to a negative power";
    *result = 1;
    if (base == 0 || base == 1 || base == -1) {
        *result = exponent == 0 || (base == -1 && exponent % 2 == 0) ? 1 : base;
        return NULL;
    }
    for (; exponent > 0; exponent--) /* overflows after 63 rounds at the latest */
        if (!multiply_fits(*result, base, result))
            return "an integer overflows";
    return NULL;
}

const char *eval_pow(struct evaluation *e)
{
    const struct array *a = e->inputs[0], *b = e->inputs[1];
    struct walk walk;
    struct array *out;
    const char *reason = eval_broadcast(e, 2, &walk);
    if (!reason)
        reason = eval_result(e, a->type, walk.rank, walk.dims, &out);
    for (int64_t i = 0; !reason && i < out->count; i++, walk_next(&walk)) {
        int64_t ia = walk.offsets[0], ib = walk.offsets[1];
        if (array_is_real(a)) {
            double exponent = array_is_real(b) ? b->reals[ib] : (double)b->integers[ib];
            out->reals[i] = real_pow(a->reals[ia], exponent);
        } else if (array_is_real(b)) {
            double power = real_pow(eval_real(a, ia), b->reals[ib]);
            if (!(power > -0x1p63 && power < 0x1p63))
                return "an integer overflows";
            out->integers[i] = eval_wrapped(a->type, (int64_t)power);
        } else {
            reason = integer_power(a->integers[ia], b->integers[ib], &out->integers[i]);
            if (!reason)
                out->integers[i] = eval_wrapped(a->type, out->integers[i]);
        }
    }
    return reason;
}

/* Sum and Mean, which take any number of inputs. */
const char *eval_sum(struct evaluation *e)
{
    struct walk box = {.rank = 0};
    for (size_t n = 0; n < e->node->input_count; n++) {
        const struct array *in = e->inputs[n];
        if (!in)
            return arena_format(e->arena, "input %zu is missing", n);
        if (!array_is_real(in))
            return arena_format(e->arena, "type %s", type_name(in->type));
        if (!broadcast_dims(&box.rank, box.dims, in))
            return arena_format(e->arena, "shapes %s and %s do not broadcast", array_shape(e->arena, e->inputs[0]),
                                array_shape(e->arena, in));
    }
    struct array *out;
    const char *reason = eval_result(e, e->inputs[0]->type, box.rank, box.dims, &out);
    if (!reason)
        reason = eval_check_products(e, out->count, (int64_t)e->node->input_count, ELEMENT_COST);
    if (reason)
        return reason;
    for (size_t n = 0; n < e->node->input_count; n++) {
        struct walk walk = box;
        walk_broadcast(&walk, e->inputs[n]);
        for (int64_t i = 0; i < out->count; i++, walk_next(&walk))
            out->reals[i] += e->inputs[n]->reals[walk.offsets[0]];
    }
    if (e->node->op == OP_Mean)
        for (int64_t i = 0; i < out->count; i++)
            out->reals[i] /= (double)e->node->input_count;
    return NULL;
}

const char *eval_range(struct evaluation *e)
{
    const struct array *start = e->inputs[0], *limit = e->inputs[1], *delta = e->inputs[2];
    if (start->count != 1 || limit->count != 1 || delta->count != 1)
        return "start, limit and delta are no scalars";
    if (start->type != limit->type || start->type != delta->type)
        return "start, limit and delta have different types";
    struct array *out;
    int64_t count = 0;
    if (array_is_real(start)) {
        double steps = ceil((limit->reals[0] - start->reals[0]) / delta->reals[0]);
        if (!(steps < 0x1p62))
            return "a range without end";
        if (steps > 0)
            count = (int64_t)steps;
        const char *reason = eval_result(e, start->type, 1, &count, &out);
        for (int64_t i = 0; !reason && i < count; i++) {
            double step = (double)i * delta->reals[0];
            out->reals[i] = start->reals[0] + step;
            if (e->is_constant &&
                (tensor_rounded(out->type, step) != step || tensor_rounded(out->type, out->reals[i]) != out->reals[i]))
                reason = "a range whose numbers are rounded, each runtime in its own way";
        }
        return reason;
    }
    int64_t step = delta->integers[0], distance;
    if (step == 0)
        return "a range without end";
    if (__builtin_sub_overflow(limit->integers[0], start->integers[0], &distance) || distance == INT64_MIN ||
        step == INT64_MIN)
        return "an integer overflows";
    if (distance != 0 && (distance < 0) == (step < 0))
        count = distance / step + (distance % step != 0);
    const char *reason = eval_result(e, start->type, 1, &count, &out);
    for (int64_t i = 0; !reason && i < count; i++)
        out->integers[i] = start->integers[0] + i * step;
    return reason;
}
