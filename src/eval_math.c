/* eval_math.c: operators that compute element by element, reductions, Einsum. */
#include "eval_internal.h"

#include <math.h>
#include <string.h>

/* Elementwise */

static double relu(double x)
{
    return x < 0 ? 0 : x;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double negative(double x)
{
    return -x;
}

static double reciprocal(double x)
{
    return 1 / x;
}

const char *eval_unary(struct evaluation *e)
{
    const struct array *in = eval_input(e, 0);
    enum op kind = e->node->op;
    struct array *out;
    const char *reason = eval_result(e, in->type, in->rank, in->dims, &out);
    if (reason)
        return reason;
    if (!array_is_real(in)) {
        for (int64_t i = 0; i < in->count; i++) {
            int64_t x = in->integers[i];
            if (kind != OP_Neg && kind != OP_Abs && kind != OP_Relu)
                return "this operator takes no integers";
            if (x < 0 && kind == OP_Relu)
                x = 0;
            else if (kind == OP_Neg || x < 0) {
                if (x == INT64_MIN)
                    return "an integer overflows";
                x = -x;
            }
            if (!eval_integer_fits(in->type, x))
                return "an integer overflows";
            out->integers[i] = x;
        }
        return NULL;
    }
    double (*function)(double);
    switch (kind) {
    case OP_Abs: function = fabs; break;
    case OP_Ceil: function = ceil; break;
    case OP_Exp: function = exp; break;
    case OP_Floor: function = floor; break;
    case OP_Log: function = log; break;
    case OP_Neg: function = negative; break;
    case OP_Reciprocal: function = reciprocal; break;
    case OP_Relu: function = relu; break;
    case OP_Sigmoid: function = sigmoid; break;
    case OP_Sqrt: function = sqrt; break;
    case OP_Tanh: function = tanh; break;
    default: return "no function of one variable";
    }
    for (int64_t i = 0; i < in->count; i++)
        out->reals[i] = function(in->reals[i]);
    return NULL;
}

/* The box that the inputs [0, count) broadcast to, with a walk operand for each. */
static const char *broadcast(struct evaluation *e, size_t count, struct walk *walk)
{
    *walk = (struct walk){.rank = 0};
    for (size_t i = 0; i < count; i++) {
        if (!broadcast_dims(&walk->rank, walk->dims, e->inputs[i]))
            return arena_format(e->arena, "shapes %s and %s do not broadcast",
                                array_shape(e->arena, e->inputs[0]),
                                array_shape(e->arena, e->inputs[i]));
    }
    for (size_t i = 0; i < count; i++)
        walk_broadcast(walk, e->inputs[i]);
    return NULL;
}

static const char *combine_reals(enum op kind, double a, double b, bool fmod_asked, double *result)
{
    switch (kind) {
    case OP_Add: *result = a + b; return NULL;
    case OP_Sub: *result = a - b; return NULL;
    case OP_Mul: *result = a * b; return NULL;
    case OP_Div: *result = a / b; return NULL;
    case OP_Mod: *result = fmod(a, b); return fmod_asked ? NULL : "Mod of reals without fmod";
    default: return "no function of two variables";
    }
}

static const char *combine_integers(enum op kind, int64_t a, int64_t b, bool fmod_asked,
                                    int64_t *result)
{
    static const char overflow[] = "an integer overflows";
    switch (kind) {
    case OP_Add: return __builtin_add_overflow(a, b, result) ? overflow : NULL;
    case OP_Sub: return __builtin_sub_overflow(a, b, result) ? overflow : NULL;
    case OP_Mul: return __builtin_mul_overflow(a, b, result) ? overflow : NULL;
    case OP_Div:
    case OP_Mod:
        if (b == 0)
            return "an integer is divided by zero";
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
        return NULL;
    default: return "no function of two variables";
    }
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
    const char *reason = broadcast(e, 2, &walk);
    if (!reason)
        reason = eval_result(e, a->type, walk.rank, walk.dims, &out);
    for (int64_t i = 0; !reason && i < out->count; i++, walk_next(&walk)) {
        int64_t ia = walk.offsets[0], ib = walk.offsets[1];
        if (real) {
            reason = combine_reals(kind, a->reals[ia], b->reals[ib], fmod_asked, &out->reals[i]);
        } else {
            reason = combine_integers(kind, a->integers[ia], b->integers[ib], fmod_asked,
                                      &out->integers[i]);
            if (!reason && !eval_integer_fits(a->type, out->integers[i]))
                reason = "an integer overflows";
        }
    }
    return reason;
}

const char *eval_equal(struct evaluation *e)
{
    const struct array *a = e->inputs[0], *b = e->inputs[1];
    bool real = array_is_real(a);
    if (real ? !array_is_real(b) : a->type != b->type)
        return arena_format(e->arena, "types %s and %s", type_name(a->type), type_name(b->type));
    struct walk walk;
    struct array *out;
    const char *reason = broadcast(e, 2, &walk);
    if (!reason)
        reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__BOOL, walk.rank, walk.dims, &out);
    for (int64_t i = 0; !reason && i < out->count; i++, walk_next(&walk)) {
        int64_t ia = walk.offsets[0], ib = walk.offsets[1];
        out->integers[i] = real ? a->reals[ia] == b->reals[ib] : a->integers[ia] == b->integers[ib];
    }
    return reason;
}

const char *eval_where(struct evaluation *e)
{
    const struct array *condition = e->inputs[0], *a = e->inputs[1], *b = e->inputs[2];
    if (condition->type != ONNX__TENSOR_PROTO__DATA_TYPE__BOOL)
        return "the condition is no bool";
    if (a->type != b->type)
        return arena_format(e->arena, "types %s and %s", type_name(a->type), type_name(b->type));
    struct walk walk;
    struct array *out;
    const char *reason = broadcast(e, 3, &walk);
    if (!reason)
        reason = eval_result(e, a->type, walk.rank, walk.dims, &out);
    for (int64_t i = 0; !reason && i < out->count; i++, walk_next(&walk)) {
        const struct array *taken = condition->integers[walk.offsets[0]] ? a : b;
        int64_t from = walk.offsets[taken == a ? 1 : 2];
        memcpy(out->cells + i * EVAL_CELL, taken->cells + from * EVAL_CELL, EVAL_CELL);
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
    if (!array_is_real(a) && array_is_real(b))
        return "an integer to a real power";
    struct walk walk;
    struct array *out;
    const char *reason = broadcast(e, 2, &walk);
    if (!reason)
        reason = eval_result(e, a->type, walk.rank, walk.dims, &out);
    for (int64_t i = 0; !reason && i < out->count; i++, walk_next(&walk)) {
        int64_t ia = walk.offsets[0], ib = walk.offsets[1];
        if (array_is_real(a)) {
            double exponent = array_is_real(b) ? b->reals[ib] : (double)b->integers[ib];
            out->reals[i] = pow(a->reals[ia], exponent);
        } else {
            reason = integer_power(a->integers[ia], b->integers[ib], &out->integers[i]);
            if (!reason && !eval_integer_fits(a->type, out->integers[i]))
                reason = "an integer overflows";
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
            return arena_format(e->arena, "shapes %s and %s do not broadcast",
                                array_shape(e->arena, e->inputs[0]), array_shape(e->arena, in));
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

/* Reductions */

const char *eval_reduce(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    enum op kind = e->node->op;
    int axes[EVAL_RANK], count;
    bool given, reduced[EVAL_RANK] = {false};
    const char *reason = eval_axes(e, 1, in->rank, axes, &count, &given);
    if (reason)
        return reason;
    bool none_means_none = node_integer(e->node, "noop_with_empty_axes", 0) != 0;
    for (int i = 0; i < count; i++)
        reduced[axes[i]] = true;
    if (count == 0 && !none_means_none)
        for (int i = 0; i < in->rank; i++)
            reduced[i] = true;

    /* The result without its reduced dimensions, and beside it the result with a 1 for each. */
    bool keep = node_integer(e->node, "keepdims", 1) != 0;
    int rank = 0;
    int64_t dims[EVAL_RANK], kept[EVAL_RANK], strides[EVAL_RANK], reduced_count = 1;
    for (int i = 0; i < in->rank; i++) {
        kept[i] = reduced[i] ? 1 : in->dims[i];
        reduced_count *= reduced[i] ? in->dims[i] : 1;
        if (keep || !reduced[i])
            dims[rank++] = kept[i];
    }
    struct array *out;
    reason = eval_result(e, in->type, rank, dims, &out);
    if (!reason) /* the walk to where each element goes */
        reason = eval_check_products(e, in->count, ELEMENT_COST, 1);
    if (reason)
        return reason;
    bool real = array_is_real(in);
    for (int64_t i = 0; kind == OP_ReduceProd && i < out->count; i++) {
        if (real)
            out->reals[i] = 1;
        else
            out->integers[i] = 1;
    }
    dense_strides(in->rank, kept, strides);
    struct walk walk = {.rank = in->rank, .operands = 1};
    for (int i = 0; i < in->rank; i++) {
        walk.dims[i] = in->dims[i];
        walk.strides[0][i] = reduced[i] ? 0 : strides[i];
    }
    for (int64_t i = 0; i < in->count; i++, walk_next(&walk)) {
        int64_t to = walk.offsets[0];
        if (real && kind == OP_ReduceProd)
            out->reals[to] *= in->reals[i];
        else if (real)
            out->reals[to] += in->reals[i];
        else if (kind == OP_ReduceProd
                     ? !multiply_fits(out->integers[to], in->integers[i], &out->integers[to])
                     : !add_fits(out->integers[to], in->integers[i], &out->integers[to]))
            return "an integer overflows";
    }
    for (int64_t i = 0; kind == OP_ReduceMean && i < out->count; i++) {
        if (!real && reduced_count == 0)
            return "an integer is divided by zero";
        if (real)
            out->reals[i] /= (double)reduced_count;
        else
            out->integers[i] /= reduced_count;
    }
    for (int64_t i = 0; !real && i < out->count; i++)
        if (!eval_integer_fits(in->type, out->integers[i]))
            return "an integer overflows";
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
            if (e->is_constant && (tensor_rounded(out->type, step) != step ||
                                   tensor_rounded(out->type, out->reals[i]) != out->reals[i]))
                reason = "a range whose numbers are rounded, each runtime in its own way";
        }
        return reason;
    }
    int64_t step = delta->integers[0], distance;
    if (step == 0)
        return "a range without end";
    if (__builtin_sub_overflow(limit->integers[0], start->integers[0], &distance) ||
        distance == INT64_MIN || step == INT64_MIN)
        return "an integer overflows";
    if (distance != 0 && (distance < 0) == (step < 0))
        count = distance / step + (distance % step != 0);
    const char *reason = eval_result(e, start->type, 1, &count, &out);
    for (int64_t i = 0; !reason && i < count; i++)
        out->integers[i] = start->integers[0] + i * step;
    return reason;
}

/* Einsum */

/* The next term of an equation as indices of labels ('a' is 0, 'A' is 26), up to ',', '-' or the
 * end. Returns NULL, or why the equation is not evaluated. */
static const char *read_term(const char **text, int *labels, int *count)
{
    *count = 0;
    for (; **text && **text != ',' && **text != '-'; ++*text) {
        char c = **text;
        if (c == ' ')
            continue;
        if (c == '.')
            return "an ellipsis is not evaluated";
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z'))
            return "the equation is broken";
        if (*count == EVAL_RANK)
            return "the equation has too many labels";
        labels[(*count)++] = c >= 'a' ? c - 'a' : c - 'A' + 26;
    }
    return NULL;
}

enum { EINSUM_LABELS = 52 };

const char *eval_einsum(struct evaluation *e)
{
    const char *text = node_string(e->arena, e->node, "equation", "");
    size_t terms = e->node->input_count;
    int labels[EVAL_OPERANDS][EVAL_RANK], counts[EVAL_OPERANDS];
    int seen[EINSUM_LABELS] = {0};
    int64_t extents[EINSUM_LABELS];
    if (terms >= EVAL_OPERANDS)
        return "the equation has too many terms";
    for (size_t n = 0; n < terms; n++) {
        const struct array *in = e->inputs[n];
        if (!in || !array_is_real(in))
            return "a term is missing or holds no reals";
        if (n > 0 && *text++ != ',')
            return "the equation has fewer terms than the node has inputs";
        const char *reason = read_term(&text, labels[n], &counts[n]);
        if (reason)
            return reason;
        if (counts[n] != in->rank)
            return arena_format(e->arena, "term %zu has %d labels for %d dimensions", n, counts[n],
                                in->rank);
        for (int i = 0; i < in->rank; i++) {
            int label = labels[n][i];
            if (seen[label] && extents[label] != in->dims[i])
                return arena_format(e->arena, "a label stands for %lld and for %lld",
                                    (long long)extents[label], (long long)in->dims[i]);
            seen[label]++;
            extents[label] = in->dims[i];
        }
    }

    /* Without an arrow the result has the labels that occur once, in the order of ASCII. */
    int *result = labels[terms], *result_count = &counts[terms];
    if (text[0] == '-' && text[1] == '>') {
        text += 2;
        const char *reason = read_term(&text, result, result_count);
        if (reason)
            return reason;
    } else {
        *result_count = 0;
        for (int i = 0; i < EINSUM_LABELS; i++) {
            int label = (i + 26) % EINSUM_LABELS;
            if (seen[label] == 1 && *result_count == EVAL_RANK)
                return "the equation has too many labels";
            if (seen[label] == 1)
                result[(*result_count)++] = label;
        }
    }
    if (*text)
        return "the equation is broken";

    /* One walk over all labels: those of the result first, then those that are summed over. */
    struct walk walk = {.operands = (int)terms + 1};
    int place[EINSUM_LABELS];
    for (int i = 0; i < EINSUM_LABELS; i++)
        place[i] = -1;
    for (int i = 0; i < *result_count; i++) {
        if (!seen[result[i]] || place[result[i]] >= 0)
            return "the equation is broken";
        place[result[i]] = walk.rank;
        walk.dims[walk.rank++] = extents[result[i]];
    }
    struct array *out;
    const char *reason = eval_result(e, e->inputs[0]->type, walk.rank, walk.dims, &out);
    if (reason)
        return reason;
    for (int label = 0; label < EINSUM_LABELS; label++) {
        if (!seen[label] || place[label] >= 0)
            continue;
        if (walk.rank == EVAL_RANK)
            return "the equation has too many labels";
        place[label] = walk.rank;
        walk.dims[walk.rank++] = extents[label];
    }
    for (size_t n = 0; n <= terms; n++) {
        const struct array *array = n < terms ? e->inputs[n] : out;
        int64_t strides[EVAL_RANK];
        dense_strides(array->rank, array->dims, strides);
        for (int i = 0; i < array->rank; i++)
            walk.strides[n][place[labels[n][i]]] += strides[i]; /* "ii" steps along the diagonal */
    }
    int64_t steps;
    if (!count_elements(walk.dims, (size_t)walk.rank, &steps) || steps > EVAL_PRODUCTS ||
        !pool_affords(e->pool, 8 * (double)steps, 0))
        return "too many products";
    for (int64_t i = 0; i < steps; i++, walk_next(&walk)) {
        double product = 1;
        for (size_t n = 0; n < terms; n++)
            product *= e->inputs[n]->reals[walk.offsets[n]];
        out->reals[walk.offsets[terms]] += product;
    }
    return NULL;
}
