/* eval/gather.c: operators that read or write elements where indices say. */
#include "eval/gather.h"

#include "eval/compare.h"
#include "eval/move.h"

static bool wrap_index(int64_t *index, int64_t extent)
{
    if (*index < -extent || *index >= extent)
        return false;
    *index += *index < 0 ? extent : 0;
    return true;
}

static const char *bad_index(struct evaluation *e, int64_t index, int64_t extent)
{
    return arena_format(e->arena, "index %lld of %lld", (long long)index, (long long)extent);
}

/* How an existing element and a new one are combined: OP_UNKNOWN replaces it. */
static const char *read_reduction(struct evaluation *e, const struct array *data, enum op *reduction)
{
    static const struct {
        const char *name;
        enum op op;
    } names[] = {{"none", OP_UNKNOWN}, {"add", OP_Add}, {"mul", OP_Mul}, {"max", OP_Max}, {"min", OP_Min}};
    const char *name = node_string(e->arena, e->node, "reduction", "none");
    for (size_t i = 0; i < COUNT_OF(names); i++)
        if (strcmp(names[i].name, name) == 0) {
            *reduction = names[i].op;
            return i == 0 || array_is_real(data) || array_is_whole(data) ? NULL : "a reduction of what are no numbers";
        }
    return arena_format(e->arena, "reduction %s", name);
}

static void put(enum op reduction, struct array *out, int64_t to, const struct array *from, int64_t at)
{
    double x, *real = &out->reals[to];
    int64_t whole, *integer = &out->integers[to];
    if (reduction == OP_UNKNOWN) {
        eval_copy_cells(out, to, from, at, 1);
        return;
    }
    if (array_is_real(out)) {
        x = from->reals[at];
        *real = reduction == OP_Add   ? *real + x
                : reduction == OP_Mul ? *real * x
                : reduction == OP_Max ? eval_larger(*real, x)
                                      : eval_smaller(*real, x);
        return;
    }
    whole = from->integers[at];
    int order = eval_compare_integers(out->type, whole, *integer);
    if (reduction == OP_Add)
        *integer = eval_wrapped(out->type, (int64_t)((uint64_t)*integer + (uint64_t)whole));
    else if (reduction == OP_Mul)
        *integer = eval_wrapped(out->type, (int64_t)((uint64_t)*integer * (uint64_t)whole));
    else if (order == (reduction == OP_Max ? 1 : -1))
        *integer = whole;
}

const char *eval_gather(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *indices = e->inputs[1];
    int axis;
    const char *reason = eval_axis(e, 0, in->rank, false, &axis);
    if (reason)
        return reason;
    if (array_is_real(indices))
        return "the indices are no integers";
    int rank = in->rank - 1 + indices->rank;
    if (rank > EVAL_RANK)
        return "too many dimensions";
    int64_t dims[EVAL_RANK];
    int at = 0;
    for (int i = 0; i < axis; i++)
        dims[at++] = in->dims[i];
    for (int i = 0; i < indices->rank; i++)
        dims[at++] = indices->dims[i];
    for (int i = axis + 1; i < in->rank; i++)
        dims[at++] = in->dims[i];
    struct array *out;
    reason = eval_result(e, in->type, rank, dims, &out);
    if (reason || out->count == 0)
        return reason;
    int64_t outer = eval_extent(in->dims, 0, axis), inner = eval_extent(in->dims, axis + 1, in->rank);
    for (int64_t row = 0, to = 0; row < outer; row++) {
        for (int64_t i = 0; i < indices->count; i++, to += inner) {
            int64_t index = indices->integers[i];
            if (!wrap_index(&index, in->dims[axis]))
                return bad_index(e, index, in->dims[axis]);
            eval_copy_cells(out, to, in, (row * in->dims[axis] + index) * inner, inner);
        }
    }
    return NULL;
}

/* The offset in `in` of the element that an index puts in the place of the walk's `axis`. */
static int64_t replaced(const struct walk *walk, int axis, const int64_t *strides, int64_t index)
{
    int64_t offset = 0;
    for (int i = 0; i < walk->rank; i++)
        offset += (i == axis ? index : walk->at[i]) * strides[i];
    return offset;
}

/* GatherElements, and ScatterElements that was Scatter. */
const char *eval_elements(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *indices = e->inputs[1], *updates = eval_input(e, 2);
    bool gathers = e->node->op == OP_GatherElements;
    enum op reduction = OP_UNKNOWN;
    int axis;
    const char *reason = eval_axis(e, 0, in->rank, false, &axis);
    if (!reason && !gathers)
        reason = read_reduction(e, in, &reduction);
    if (reason)
        return reason;
    bool fits = !array_is_real(indices) && indices->rank == in->rank;
    for (int i = 0; fits && i < in->rank; i++)
        fits = i == axis || indices->dims[i] <= in->dims[i];
    if (!gathers && fits)
        fits = updates->type == in->type && updates->rank == in->rank &&
               memcmp(updates->dims, indices->dims, (size_t)in->rank * sizeof(*in->dims)) == 0;
    if (!fits)
        return arena_format(e->arena, "indices %s for %s", array_shape(e->arena, indices), array_shape(e->arena, in));
    struct array *out;
    int64_t strides[EVAL_RANK];
    reason = eval_result(e, in->type, in->rank, gathers ? indices->dims : in->dims, &out);
    if (reason)
        return reason;
    if (!gathers)
        eval_copy_cells(out, 0, in, 0, in->count);
    dense_strides(in->rank, in->dims, strides);
    struct walk walk = {.rank = in->rank};
    memcpy(walk.dims, indices->dims, sizeof(walk.dims));
    for (int64_t i = 0; i < indices->count; i++, walk_next(&walk)) {
        int64_t index = indices->integers[i];
        if (!wrap_index(&index, in->dims[axis]))
            return bad_index(e, index, in->dims[axis]);
        int64_t at = replaced(&walk, axis, strides, index);
        if (gathers)
            eval_copy_cells(out, i, in, at, 1);
        else
            put(reduction, out, at, updates, i);
    }
    return NULL;
}

const char *eval_gather_nd(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *indices = e->inputs[1];
    int64_t batches = node_integer(e->node, "batch_dims", 0);
    if (array_is_real(indices) || indices->rank < 1 || in->rank < 1 || batches < 0 || batches >= indices->rank ||
        batches >= in->rank)
        return "indices of no rank, or batch_dims that are not there";
    int64_t depth = indices->dims[indices->rank - 1];
    if (depth < 1 || depth > in->rank - batches ||
        memcmp(indices->dims, in->dims, (size_t)batches * sizeof(*in->dims)) != 0)
        return arena_format(e->arena, "indices %s for %s", array_shape(e->arena, indices), array_shape(e->arena, in));
    int rank = indices->rank - 1 + in->rank - (int)batches - (int)depth, at = 0;
    int64_t dims[2 * EVAL_RANK];
    for (int i = 0; i < indices->rank - 1; i++)
        dims[at++] = indices->dims[i];
    for (int i = (int)batches + (int)depth; i < in->rank; i++)
        dims[at++] = in->dims[i];
    struct array *out;
    const char *reason = rank > EVAL_RANK ? "too many dimensions" : eval_result(e, in->type, rank, dims, &out);
    if (reason || out->count == 0)
        return reason;
    int64_t block = eval_extent(in->dims, (int)batches + (int)depth, in->rank);
    int64_t rows = indices->count / depth, batch_rows = rows;
    for (int i = 0; i < batches; i++)
        batch_rows /= in->dims[i];
    int64_t batch = eval_extent(in->dims, (int)batches, in->rank), strides[EVAL_RANK];
    dense_strides(in->rank, in->dims, strides);
    for (int64_t row = 0; row < rows; row++) {
        int64_t from = row / batch_rows * batch;
        for (int64_t i = 0; i < depth; i++) {
            int64_t index = indices->integers[row * depth + i];
            if (!wrap_index(&index, in->dims[batches + i]))
                return bad_index(e, index, in->dims[batches + i]);
            from += index * strides[batches + i];
        }
        eval_copy_cells(out, row * block, in, from, block);
    }
    return NULL;
}

const char *eval_scatter_nd(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *indices = e->inputs[1], *updates = e->inputs[2];
    enum op reduction;
    const char *reason = read_reduction(e, in, &reduction);
    if (reason)
        return reason;
    if (array_is_real(indices) || indices->rank < 1)
        return "the indices are no integers";
    if (updates->type != in->type)
        return arena_format(e->arena, "types %s and %s", type_name(in->type), type_name(updates->type));
    int64_t depth = indices->dims[indices->rank - 1];
    if (depth > in->rank)
        return arena_format(e->arena, "indices of %lld dimensions into %d", (long long)depth, in->rank);
    /* updates: the indices' dimensions but the last, then what an index leaves of the data */
    bool agrees = updates->rank == indices->rank - 1 + in->rank - (int)depth;
    for (int i = 0; agrees && i < updates->rank; i++)
        agrees = updates->dims[i] ==
                 (i < indices->rank - 1 ? indices->dims[i] : in->dims[i - (indices->rank - 1) + (int)depth]);
    if (!agrees)
        return arena_format(e->arena, "updates %s for indices %s and data %s", array_shape(e->arena, updates),
                            array_shape(e->arena, indices), array_shape(e->arena, in));
    struct array *out;
    reason = eval_result(e, in->type, in->rank, in->dims, &out);
    if (reason)
        return reason;
    eval_copy_cells(out, 0, in, 0, in->count);
    if (updates->count == 0)
        return NULL;
    int64_t strides[EVAL_RANK];
    dense_strides(in->rank, in->dims, strides);
    int64_t block = eval_extent(in->dims, (int)depth, in->rank);
    for (int64_t row = 0; row < updates->count / block; row++) {
        int64_t to = 0;
        for (int64_t i = 0; i < depth; i++) {
            int64_t index = indices->integers[row * depth + i];
            if (!wrap_index(&index, in->dims[i]))
                return bad_index(e, index, in->dims[i]);
            to += index * strides[i];
        }
        for (int64_t i = 0; i < block; i++)
            put(reduction, out, to + i, updates, row * block + i);
    }
    return NULL;
}

/* Writes a sequence's update into a cache, at an index for each batch. */
const char *eval_tensor_scatter(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *updates = e->inputs[1], *starts = eval_input(e, 2);
    bool wraps = strcmp(node_string(e->arena, e->node, "mode", "linear"), "circular") == 0;
    int axis;
    const char *reason = eval_axis(e, -2, in->rank, false, &axis);
    if (reason)
        return reason;
    bool fits = axis > 0 && updates->type == in->type && updates->rank == in->rank;
    for (int i = 0; fits && i < in->rank; i++)
        fits = i == axis ? updates->dims[i] <= in->dims[i] : updates->dims[i] == in->dims[i];
    if (!fits || (starts && (array_is_real(starts) || starts->count != in->dims[0])))
        return arena_format(e->arena, "updates %s for %s", array_shape(e->arena, updates), array_shape(e->arena, in));
    struct array *out;
    reason = eval_result(e, in->type, in->rank, in->dims, &out);
    if (reason)
        return reason;
    eval_copy_cells(out, 0, in, 0, in->count);
    int64_t strides[EVAL_RANK];
    dense_strides(in->rank, in->dims, strides);
    struct walk walk = {.rank = in->rank};
    memcpy(walk.dims, updates->dims, sizeof(walk.dims));
    for (int64_t i = 0; i < updates->count; i++, walk_next(&walk)) {
        int64_t start = starts ? starts->integers[walk.at[0]] : 0, index;
        if (start < 0 || !add_fits(start, walk.at[axis], &index) || (!wraps && index >= in->dims[axis]))
            return bad_index(e, start, in->dims[axis]);
        eval_copy_cells(out, replaced(&walk, axis, strides, index % in->dims[axis]), updates, i, 1);
    }
    return NULL;
}

const char *eval_one_hot(struct evaluation *e)
{
    const struct array *indices = e->inputs[0], *depth = e->inputs[1], *values = e->inputs[2];
    int axis;
    if (depth->count != 1 || values->count != 2 || indices->rank >= EVAL_RANK ||
        (!array_is_real(indices) && !array_is_whole(indices)) || (!array_is_real(depth) && !array_is_whole(depth)))
        return "indices, depth or values of another shape than expected";
    double wanted = eval_real(depth, 0);
    const char *reason = eval_axis(e, -1, indices->rank + 1, false, &axis);
    if (!reason && !(wanted >= 0 && wanted < 0x1p53))
        reason = "a depth below 0 or without end";
    if (reason)
        return reason;
    int64_t dims[EVAL_RANK], extent = (int64_t)wanted;
    for (int i = 0, from = 0; i <= indices->rank; i++)
        dims[i] = i == axis ? extent : indices->dims[from++];
    struct array *out;
    reason = eval_result(e, values->type, indices->rank + 1, dims, &out);
    if (reason)
        return reason;
    int64_t inner = eval_extent(indices->dims, axis, indices->rank);
    for (int64_t i = 0; i < out->count; i++) {
        int64_t k = i / inner % extent;
        double index = eval_real(indices, i / (inner * extent) * inner + i % inner);
        bool hot = index == (double)k || index + (double)extent == (double)k;
        eval_copy_cells(out, i, values, hot, 1);
    }
    return NULL;
}

const char *eval_compress(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *condition = e->inputs[1];
    bool flat = !node_attribute(e->node, "axis");
    int axis = 0;
    int64_t dims[EVAL_RANK] = {in->count}, kept = 0;
    const char *reason = flat ? NULL : eval_axis(e, 0, in->rank, false, &axis);
    if (reason)
        return reason;
    if (!flat)
        memcpy(dims, in->dims, sizeof(dims));
    if (condition->rank != 1 || array_is_real(condition) || condition->count > dims[axis])
        return "a condition that is not a list, or longer than the axis";
    int64_t outer = flat ? 1 : eval_extent(in->dims, 0, axis), extent = dims[axis];
    int64_t inner = flat ? 1 : eval_extent(in->dims, axis + 1, in->rank);
    for (int64_t i = 0; i < condition->count; i++)
        kept += condition->integers[i] != 0;
    dims[axis] = kept;
    struct array *out;
    reason = eval_result(e, in->type, flat ? 1 : in->rank, dims, &out);
    for (int64_t n = 0, to = 0; !reason && out->count && n < outer; n++)
        for (int64_t i = 0; i < condition->count; i++)
            if (condition->integers[i]) {
                eval_copy_cells(out, to, in, (n * extent + i) * inner, inner);
                to += inner;
            }
    return reason;
}
