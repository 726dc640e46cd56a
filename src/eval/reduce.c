/* eval/reduce.c: reductions over axes, the places of extremes, running sums. */
#include "eval/reduce.h"

#include <math.h>

#include "base/real.h"
#include "eval/compare.h"

/* Which axes go, and the shape that is left. */
struct reduction {
    bool reduced[EVAL_RANK];
    bool none; /* asked to reduce nothing */
    int rank;
    int64_t dims[EVAL_RANK];
    int64_t count;    /* elements of the input for one of the output */
    struct walk walk; /* over the input; operand 0 is the output */
};

static const char *read_reduction(struct evaluation *e, struct reduction *reduction)
{
    const struct array *in = e->inputs[0];
    int axes[EVAL_RANK], count;
    bool given;
    *reduction = (struct reduction){.count = 1};
    const char *reason = eval_axes(e, 1, in->rank, axes, &count, &given);
    if (reason)
        return reason;
    for (int i = 0; i < count; i++)
        reduction->reduced[axes[i]] = true;
    reduction->none = count == 0 && node_integer(e->node, "noop_with_empty_axes", 0) != 0;
    for (int i = 0; count == 0 && !reduction->none && i < in->rank; i++)
        reduction->reduced[i] = true;

    bool keep = node_integer(e->node, "keepdims", 1) != 0;
    int64_t kept[EVAL_RANK], strides[EVAL_RANK];
    for (int i = 0; i < in->rank; i++) {
        bool goes = reduction->reduced[i];
        kept[i] = goes ? 1 : in->dims[i];
        reduction->count *= goes ? in->dims[i] : 1;
        if (keep || !goes)
            reduction->dims[reduction->rank++] = kept[i];
    }
    dense_strides(in->rank, kept, strides);
    reduction->walk = (struct walk){.rank = in->rank, .operands = 1};
    for (int i = 0; i < in->rank; i++) {
        reduction->walk.dims[i] = in->dims[i];
        reduction->walk.strides[0][i] = reduction->reduced[i] ? 0 : strides[i];
    }
    return eval_check_products(e, in->count, ELEMENT_COST, 2); /* the walks */
}

/* The result of nothing: what every other number replaces. */
static double real_start(enum op op)
{
    switch (op) {
    case OP_ReduceMax:
    case OP_ReduceLogSumExp: return -(double)INFINITY;
    case OP_ReduceMin: return (double)INFINITY;
    case OP_ReduceProd: return 1;
    default: return 0;
    }
}

static double real_step(enum op op, double sum, double x)
{
    switch (op) {
    case OP_ReduceMax:
    case OP_ReduceLogSumExp: return eval_larger(sum, x);
    case OP_ReduceMin: return eval_smaller(sum, x);
    case OP_ReduceProd: return sum * x;
    case OP_ReduceL1: return sum + fabs(x);
    case OP_ReduceL2:
    case OP_ReduceSumSquare: return sum + x * x;
    default: return sum + x;
    }
}

static double real_end(enum op op, double sum, int64_t count)
{
    switch (op) {
    case OP_ReduceMean: return sum / (double)count;
    case OP_ReduceL2: return sqrt(sum);
    case OP_ReduceLogSum: return real_log(sum);
    default: return sum;
    }
}

static void reduce_reals(struct reduction *reduction, enum op op, const struct array *in, struct array *out)
{
    for (int64_t i = 0; i < out->count; i++)
        out->reals[i] = real_start(op);
    struct walk walk = reduction->walk;
    for (int64_t i = 0; i < in->count; i++, walk_next(&walk)) {
        double *to = &out->reals[walk.offsets[0]];
        *to = real_step(op, *to, in->reals[i]);
    }
    for (int64_t i = 0; i < out->count; i++)
        out->reals[i] = real_end(op, out->reals[i], reduction->count);
}

/* log(sum(exp(x))) relative to the largest x, so that nothing overflows. */
static const char *reduce_exponents(struct evaluation *e, struct reduction *reduction, const struct array *in,
                                    struct array *out)
{
    struct array *sums;
    const char *reason = array_make(e->arena, e->pool, e->limit, in->type, 1, &out->count, &sums);
    if (reason)
        return reason;
    reduce_reals(reduction, OP_ReduceMax, in, out);
    struct walk walk = reduction->walk;
    for (int64_t i = 0; i < in->count; i++, walk_next(&walk)) {
        double largest = out->reals[walk.offsets[0]];
        sums->reals[walk.offsets[0]] += isinf(largest) ? 1 : real_exp(in->reals[i] - largest);
    }
    for (int64_t i = 0; i < out->count; i++)
        if (!isinf(out->reals[i]))
            out->reals[i] += real_log(sums->reals[i]);
    return NULL;
}

static const char *integer_step(enum op op, int32_t type, int64_t *sum, int64_t x)
{
    static const char overflow[] = "an integer overflows";
    bool wraps = type_bits(type) < 64 || type == ONNX__TENSOR_PROTO__DATA_TYPE__UINT64;
    switch (op) {
    case OP_ReduceMax: *sum = eval_compare_integers(type, x, *sum) > 0 ? x : *sum; return NULL;
    case OP_ReduceMin: *sum = eval_compare_integers(type, x, *sum) < 0 ? x : *sum; return NULL;
    case OP_ReduceProd:
        if (__builtin_mul_overflow(*sum, x, sum) && !wraps)
            return overflow;
        *sum = eval_wrapped(type, *sum);
        return NULL;
    case OP_ReduceL1:
        if (x == INT64_MIN && !wraps)
            return overflow;
        if (x < 0 && type != ONNX__TENSOR_PROTO__DATA_TYPE__UINT64)
            x = -x;
        break;
    case OP_ReduceSumSquare:
        if (__builtin_mul_overflow(x, x, &x) && !wraps)
            return overflow;
        break;
    case OP_ReduceSum:
    case OP_ReduceMean: break;
    default: return "this reduction takes no integers";
    }
    return __builtin_add_overflow(*sum, x, sum) && !wraps ? overflow : NULL;
}

static const char *reduce_integers(struct reduction *reduction, enum op op, const struct array *in, struct array *out)
{
    int64_t least, most;
    const char *reason = NULL;
    eval_integer_range(in->type, &least, &most);
    for (int64_t i = 0; i < out->count; i++)
        out->integers[i] = op == OP_ReduceMax ? least : op == OP_ReduceMin ? most : op == OP_ReduceProd ? 1 : 0;
    struct walk walk = reduction->walk;
    for (int64_t i = 0; i < in->count && !reason; i++, walk_next(&walk))
        reason = integer_step(op, in->type, &out->integers[walk.offsets[0]], in->integers[i]);
    if (!reason && op == OP_ReduceMean && reduction->count == 0 && out->count)
        reason = "an integer is divided by zero";
    for (int64_t i = 0; i < out->count && !reason; i++)
        out->integers[i] =
            eval_wrapped(in->type, op == OP_ReduceMean ? out->integers[i] / reduction->count : out->integers[i]);
    return reason;
}

const char *eval_reduce(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    enum op op = e->node->op;
    struct reduction reduction;
    struct array *out;
    const char *reason = read_reduction(e, &reduction);
    if (!reason)
        reason = eval_result(e, in->type, reduction.rank, reduction.dims, &out);
    if (reason)
        return reason;
    if (reduction.none) {
        memcpy(out->cells, in->cells, (size_t)in->count * EVAL_CELL);
        return NULL;
    }
    if (!array_is_real(in))
        return reduce_integers(&reduction, op, in, out);
    if (op == OP_ReduceLogSumExp)
        return reduce_exponents(e, &reduction, in, out);
    reduce_reals(&reduction, op, in, out);
    return NULL;
}

/* True when element i takes the place of the best so far. */
static bool is_better(const struct array *in, int64_t i, int64_t best, bool largest, bool last)
{
    int order;
    if (array_is_real(in)) {
        double a = in->reals[i], b = in->reals[best];
        if (isnan(a) || isnan(b))
            return !isnan(b); /* the first NaN wins */
        order = (a > b) - (a < b);
    } else {
        order = eval_compare_integers(in->type, in->integers[i], in->integers[best]);
    }
    return order == 0 ? last : (order > 0) == largest;
}

/* ArgMax and ArgMin. */
const char *eval_arg(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    int axis;
    bool largest = e->node->op == OP_ArgMax;
    bool last = node_integer(e->node, "select_last_index", 0) != 0;
    bool keep = node_integer(e->node, "keepdims", 1) != 0;
    const char *reason = eval_axis(e, 0, in->rank, false, &axis);
    if (reason)
        return reason;
    int rank = 0;
    int64_t dims[EVAL_RANK], inner = 1, extent = in->dims[axis];
    for (int i = 0; i < in->rank; i++) {
        if (i != axis || keep)
            dims[rank++] = i == axis ? 1 : in->dims[i];
        inner *= i > axis && in->count ? in->dims[i] : 1;
    }
    struct array *out;
    reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, rank, dims, &out);
    if (!reason && extent == 0 && out->count)
        reason = "an axis without elements";
    for (int64_t n = 0; !reason && n < out->count; n++) {
        int64_t first = n / inner * inner * extent + n % inner, best = 0;
        for (int64_t i = 1; i < extent; i++)
            if (is_better(in, first + i * inner, first + best * inner, largest, last))
                best = i;
        out->integers[n] = best;
    }
    return reason;
}

/* CumSum and CumProd. */
const char *eval_running(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *where = e->inputs[1];
    bool product = e->node->op == OP_CumProd;
    bool exclusive = node_integer(e->node, "exclusive", 0) != 0;
    bool reverse = node_integer(e->node, "reverse", 0) != 0;
    if (where->count != 1 || array_is_real(where))
        return "the axis is not an integer";
    int64_t axis = where->integers[0];
    if (axis < -(int64_t)in->rank || axis >= in->rank)
        return arena_format(e->arena, "axis %lld of %d dimensions", (long long)axis, in->rank);
    axis += axis < 0 ? in->rank : 0;
    struct array *out;
    const char *reason = eval_result(e, in->type, in->rank, in->dims, &out);
    int64_t inner = 1, extent = in->dims[axis];
    for (int i = (int)axis + 1; in->count && i < in->rank; i++)
        inner *= in->dims[i];
    for (int64_t line = 0; !reason && in->count && line < in->count / extent; line++) {
        int64_t first = line / inner * inner * extent + line % inner, whole = product;
        double real = product ? 1 : 0;
        for (int64_t i = 0; i < extent && !reason; i++) {
            int64_t at = first + (reverse ? extent - 1 - i : i) * inner;
            double before = real;
            int64_t whole_before = whole;
            if (array_is_real(in)) {
                real = product ? real * in->reals[at] : real + in->reals[at];
                out->reals[at] = exclusive ? before : real;
            } else {
                reason = integer_step(product ? OP_ReduceProd : OP_ReduceSum, in->type, &whole, in->integers[at]);
                out->integers[at] = eval_wrapped(in->type, exclusive ? whole_before : whole);
            }
        }
    }
    return reason;
}
