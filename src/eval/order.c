/* eval/order.c: operators that sort or list elements: TopK, Unique, NonZero. */
#include "eval/order.h"

#include <math.h>

#include "eval/compare.h"
#include "eval/move.h"

/* Merges the sorted halves [first, middle) and [middle, end). */
static void merge(int64_t *order, int64_t *spare, int64_t first, int64_t middle, int64_t end,
                  int (*compare)(const void *context, int64_t a, int64_t b), const void *context)
{
    int64_t left = first, right = middle;
    for (int64_t to = first; to < end; to++) {
        bool takes_left = right == end || (left < middle && compare(context, order[left], order[right]) <= 0);
        spare[to] = takes_left ? order[left++] : order[right++];
    }
    memcpy(order + first, spare + first, (size_t)(end - first) * sizeof(*order));
}

/* Sorts numbers as `compare` says; equal ones keep their order. cost: of a comparison, in elements. */
static const char *eval_sort(struct evaluation *e, int64_t *order, int64_t count,
                             int (*compare)(const void *context, int64_t a, int64_t b), const void *context,
                             int64_t cost)
{
    double steps = 1;
    for (int64_t width = 1; width < count; width *= 2)
        steps++;
    if (!pool_affords(e->pool, ELEMENT_COST * steps * (double)count * (double)cost, (double)count))
        return eval_too_dear;
    int64_t *spare = NEW_ARRAY(e->arena, int64_t, count + 1);
    for (int64_t width = 1; width < count; width *= 2)
        for (int64_t first = 0; first + width < count; first += 2 * width) {
            int64_t end = first + 2 * width < count ? first + 2 * width : count;
            merge(order, spare, first, first + width, end, compare, context);
        }
    return NULL;
}

/* Compares two elements: below 0, 0, above 0. NaN is larger than all numbers. */
static int compare_elements(const struct array *in, int64_t a, int64_t b)
{
    if (array_is_real(in)) {
        double x = in->reals[a], y = in->reals[b];
        if (isnan(x) || isnan(y))
            return isnan(x) - isnan(y);
        return (x > y) - (x < y);
    }
    if (array_is_whole(in))
        return eval_compare_integers(in->type, in->integers[a], in->integers[b]);
    const ProtobufCBinaryData *x = in->texts[a], *y = in->texts[b];
    size_t of_x = x ? x->len : 0, of_y = y ? y->len : 0, both = of_x < of_y ? of_x : of_y;
    int order = both ? memcmp(x->data, y->data, both) : 0;
    return order ? order : (of_x > of_y) - (of_x < of_y);
}

/* ---- TopK ---- */

struct line {
    const struct array *in;
    int64_t first, step;
    bool largest;
};

static int compare_in_line(const void *context, int64_t a, int64_t b)
{
    const struct line *line = context;
    int order = compare_elements(line->in, line->first + a * line->step, line->first + b * line->step);
    return line->largest ? -order : order;
}

static int compare_places(const void *context, int64_t a, int64_t b)
{
    (void)context;
    return (a > b) - (a < b);
}

const char *eval_top_k(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    const int64_t *asked = NULL;
    size_t count = 0;
    int64_t k = node_integer(e->node, "k", 0), dims[EVAL_RANK], inner = 1;
    int axis;
    const char *reason = eval_axis(e, -1, in->rank, false, &axis);
    if (!reason && e->node->opset >= 10) {
        reason = eval_input(e, 1) ? eval_integers(e, 1, &asked, &count) : "k is missing";
        if (!reason && count != 1)
            reason = "k is not a single integer";
        k = reason ? 0 : asked[0];
    }
    if (!reason && (k < 0 || k > in->dims[axis]))
        reason = arena_format(e->arena, "the first %lld of %lld", (long long)k, (long long)in->dims[axis]);
    if (reason)
        return reason;
    memcpy(dims, in->dims, sizeof(dims));
    dims[axis] = k;
    struct array *out, *indices;
    reason = eval_result(e, in->type, in->rank, dims, &out);
    if (!reason)
        reason =
            array_make(e->arena, e->pool, e->limit, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, in->rank, dims, &indices);
    if (reason || out->count == 0) {
        if (!reason && e->node->output_count > 1)
            e->outputs[1] = indices;
        return reason;
    }
    if (e->node->output_count > 1)
        e->outputs[1] = indices;
    int64_t extent = in->dims[axis];
    for (int i = axis + 1; i < in->rank; i++)
        inner *= in->dims[i];
    if (!pool_affords(e->pool, 0, (double)extent))
        return eval_too_dear;
    int64_t *order = NEW_ARRAY(e->arena, int64_t, extent);
    bool sorted = node_integer(e->node, "sorted", 1) != 0;
    struct line line = {.in = in, .step = inner, .largest = node_integer(e->node, "largest", 1) != 0};
    for (int64_t n = 0; n < in->count / extent; n++) {
        line.first = n / inner * inner * extent + n % inner;
        for (int64_t i = 0; i < extent; i++)
            order[i] = i;
        reason = eval_sort(e, order, extent, compare_in_line, &line, 1);
        if (!reason && !sorted) /* any order is one: another than the sorted */
            reason = eval_sort(e, order, k, compare_places, NULL, 1);
        if (reason)
            return reason;
        for (int64_t i = 0; i < k; i++) {
            int64_t to = n / inner * inner * k + n % inner + i * inner;
            eval_copy_cells(out, to, in, line.first + order[i] * inner, 1);
            indices->integers[to] = order[i];
        }
    }
    return NULL;
}

/* ---- Unique ---- */

/* Slices of an array along an axis. */
struct slices {
    const struct array *in;
    int64_t outer, count, inner;
};

static int compare_slices(const void *context, int64_t a, int64_t b)
{
    const struct slices *slices = context;
    int order = 0;
    for (int64_t n = 0; n < slices->outer && !order; n++)
        for (int64_t i = 0; i < slices->inner && !order; i++)
            order = compare_elements(slices->in, (n * slices->count + a) * slices->inner + i,
                                     (n * slices->count + b) * slices->inner + i);
    return order;
}

static const char *list_output(struct evaluation *e, size_t index, int64_t count, struct array **list)
{
    const char *reason = array_make(e->arena, e->pool, e->limit, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &count, list);
    if (index < e->node->output_count)
        e->outputs[index] = *list;
    return reason;
}

static int compare_numbers(const void *context, int64_t a, int64_t b)
{
    const int64_t *numbers = context;
    return (numbers[a] > numbers[b]) - (numbers[a] < numbers[b]);
}

/* The items of a Unique: slices across an axis, or all elements (flat). */
static const char *find_slices(struct evaluation *e, struct slices *slices, bool *flat, int *axis)
{
    const struct array *in = e->inputs[0];
    *flat = !node_attribute(e->node, "axis");
    *slices = (struct slices){.in = in, .outer = 1, .count = in->count, .inner = 1};
    const char *reason = *flat ? NULL : eval_axis(e, 0, in->rank, false, axis);
    if (!reason && !*flat)
        *slices = (struct slices){.in = in,
                                  .outer = eval_extent(in->dims, 0, *axis),
                                  .count = in->dims[*axis],
                                  .inner = eval_extent(in->dims, *axis + 1, in->rank)};
    return reason;
}

const char *eval_unique(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    bool flat, sorted = node_integer(e->node, "sorted", 1) != 0;
    int axis = 0;
    struct slices slices;
    const char *reason = find_slices(e, &slices, &flat, &axis);
    if (reason)
        return reason;
    int64_t count = slices.count, found = 0;
    if (!pool_affords(e->pool, 0, 4 * (double)count))
        return eval_too_dear;
    int64_t *order = NEW_ARRAY(e->arena, int64_t, count + 1);  /* of all slices */
    int64_t *firsts = NEW_ARRAY(e->arena, int64_t, count + 1); /* of the unique ones */
    int64_t *ranks = NEW_ARRAY(e->arena, int64_t, count + 1);  /* of the unique ones */
    int64_t *places = NEW_ARRAY(e->arena, int64_t, count + 1);
    for (int64_t i = 0; i < count; i++)
        order[i] = i;
    reason = eval_sort(e, order, count, compare_slices, &slices, 1 + slices.outer * slices.inner);
    if (reason)
        return reason;
    struct array *indices, *inverse, *counts, *out;
    reason = list_output(e, 2, count, &inverse);
    if (reason)
        return reason;
    for (int64_t i = 0; i < count; i++) {
        if (i == 0 || compare_slices(&slices, order[i - 1], order[i]) != 0) {
            ranks[found] = found;
            firsts[found++] = order[i]; /* the sort is stable */
        }
        inverse->integers[order[i]] = found - 1;
    }
    reason = sorted ? NULL : eval_sort(e, ranks, found, compare_numbers, firsts, 1);
    for (int64_t i = 0; i < found; i++)
        places[ranks[i]] = i;
    int64_t dims[EVAL_RANK] = {found};
    if (!flat) {
        memcpy(dims, in->dims, sizeof(dims));
        dims[axis] = found;
    }
    if (!reason)
        reason = eval_result(e, in->type, flat ? 1 : in->rank, dims, &out);
    if (!reason)
        reason = list_output(e, 1, found, &indices);
    if (!reason)
        reason = list_output(e, 3, found, &counts);
    if (reason)
        return reason;
    for (int64_t i = 0; i < count; i++) {
        inverse->integers[i] = places[inverse->integers[i]];
        counts->integers[inverse->integers[i]]++;
    }
    for (int64_t i = 0; i < found; i++)
        indices->integers[places[i]] = firsts[i];
    for (int64_t n = 0; out->count && n < slices.outer; n++)
        for (int64_t i = 0; i < found; i++)
            eval_copy_cells(out, (n * found + i) * slices.inner, in, (n * count + indices->integers[i]) * slices.inner,
                            slices.inner);
    return NULL;
}

const char *eval_non_zero(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    int64_t dims[2] = {in->rank, 0}, to = 0;
    for (int64_t i = 0; i < in->count; i++)
        dims[1] += eval_real(in, i) != 0;
    struct array *out;
    const char *reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 2, dims, &out);
    struct walk walk = {.rank = in->rank};
    memcpy(walk.dims, in->dims, sizeof(walk.dims));
    for (int64_t i = 0; !reason && i < in->count; i++, walk_next(&walk)) {
        if (eval_real(in, i) == 0)
            continue;
        for (int axis = 0; axis < in->rank; axis++)
            out->integers[axis * dims[1] + to] = walk.at[axis];
        to++;
    }
    return reason;
}
