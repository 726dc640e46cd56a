/* eval/move.c: operators that move elements, or read and set shapes. */
#include "eval/move.h"

void eval_copy_cells(struct array *out, int64_t to, const struct array *in, int64_t from, int64_t count)
{
    memcpy(out->cells + to * EVAL_CELL, in->cells + from * EVAL_CELL, (size_t)count * EVAL_CELL);
}

/* Product of dims[first .. last - 1]; it cannot overflow because the elements were counted, except for a shape with
 * a zero, where the product is not used. */
int64_t eval_extent(const int64_t *dims, int first, int last)
{
    int64_t product = 1;
    for (int i = first; i < last; i++)
        if (!multiply_fits(product, dims[i], &product))
            return 0;
    return product;
}

/* Fills the output from the input along a walk whose operand 0 is the input. */
static void copy_along(struct array *out, const struct array *in, struct walk *walk)
{
    for (int64_t i = 0; i < out->count; i++, walk_next(walk))
        eval_copy_cells(out, i, in, walk->offsets[0], 1);
}

/* The input's elements under another shape of as many elements. */
static const char *reshape(struct evaluation *e, int rank, const int64_t *dims)
{
    const struct array *in = e->inputs[0];
    struct array *out;
    const char *reason = eval_result(e, in->type, rank, dims, &out);
    if (reason)
        return reason;
    if (out->count != in->count)
        return arena_format(e->arena, "%s does not hold the elements of %s", array_shape(e->arena, out),
                            array_shape(e->arena, in));
    eval_copy_cells(out, 0, in, 0, in->count);
    return NULL;
}

/* The walk over the result of a Transpose, whose operand 0 is the input. */
static const char *transposed_walk(struct arena *arena, const struct node *node, int rank, const int64_t *dims,
                                   struct walk *walk)
{
    size_t count;
    const int64_t *order = node_integers(node, "perm", &count);
    if (order && count != (size_t)rank)
        return arena_format(arena, "perm has %zu axes for %d", count, rank);
    int64_t strides[EVAL_RANK];
    bool seen[EVAL_RANK] = {false};
    dense_strides(rank, dims, strides);
    *walk = (struct walk){.rank = rank, .operands = 1};
    for (int i = 0; i < rank; i++) {
        int64_t axis = order ? order[i] : rank - 1 - i;
        if (axis < 0 || axis >= rank || seen[axis])
            return "perm is not a permutation";
        seen[axis] = true;
        walk->dims[i] = dims[axis];
        walk->strides[0][i] = strides[axis];
    }
    return NULL;
}

const char *eval_transpose(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    struct walk walk;
    struct array *out;
    const char *reason = transposed_walk(e->arena, e->node, in->rank, in->dims, &walk);
    if (!reason)
        reason = eval_result(e, in->type, walk.rank, walk.dims, &out);
    if (!reason)
        copy_along(out, in, &walk);
    return reason;
}

/* For small known sizes, because a call of memcpy would take too long. */
static void copy_bytes(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size == 4)
        memcpy(to, from, 4);
    else if (size == 2)
        memcpy(to, from, 2);
    else
        memcpy(to, from, size);
}

struct tensor *eval_transpose_stored(struct evaluation *e, const struct tensor *tensor)
{
    size_t size = type_size(tensor->type);
    struct walk walk;
    if (tensor->storage != STORAGE_BYTES || tensor->rank < 1 || tensor->rank > EVAL_RANK || !size ||
        tensor->count < 1 || tensor->count > e->limit || !pool_affords(e->pool, 0, (double)tensor->count) ||
        transposed_walk(e->arena, e->node, tensor->rank, tensor->dims, &walk))
        return NULL;
    uint8_t *bytes = NEW_ARRAY(e->arena, uint8_t, (size_t)tensor->count * size);
    int64_t *dims = NEW_ARRAY(e->arena, int64_t, walk.rank);
    memcpy(dims, walk.dims, (size_t)walk.rank * sizeof(*dims));
    walk.operands = 2; /* the result */
    dense_strides(walk.rank, dims, walk.strides[1]);
    /* In tiles of the last axis and of the one that is last in the input, so that cache lines of both are used whole. */
    enum { TILE = 32 };
    int last = walk.rank - 1, near = 0;
    while (near < last && walk.strides[0][near] != 1)
        near++;
    int64_t length = dims[last], rows = near < last ? dims[near] : 1;
    walk.dims[last] = walk.dims[near] = 1;
    for (int64_t done = 0; done < tensor->count; done += rows * length, walk_next(&walk))
        for (int64_t j = 0; j < rows; j += TILE)
            for (int64_t i = 0; i < length; i += TILE)
                for (int64_t row = j; row < rows && row < j + TILE; row++) {
                    int64_t from = walk.offsets[0] + row * walk.strides[0][near] + i * walk.strides[0][last];
                    int64_t to = walk.offsets[1] + row * walk.strides[1][near] + i;
                    for (int64_t k = 0; k < length - i && k < TILE; k++)
                        copy_bytes(bytes + (size_t)(to + k) * size,
                                   (const uint8_t *)tensor->data + (size_t)(from + k * walk.strides[0][last]) * size,
                                   size);
                }
    return tensor_of_bytes(e->arena, tensor->type, walk.rank, dims, bytes);
}

const char *eval_reshape(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    const int64_t *shape;
    size_t rank;
    const char *reason = eval_integers(e, 1, &shape, &rank);
    if (reason)
        return reason;
    if (rank > EVAL_RANK)
        return arena_format(e->arena, "%zu dimensions, at most %d can be evaluated", rank, (int)EVAL_RANK);
    bool allow_zero = node_integer(e->node, "allowzero", 0) != 0;
    int64_t dims[EVAL_RANK], known = 1;
    int open = -1;
    for (int i = 0; i < (int)rank; i++) {
        dims[i] = shape[i];
        if (shape[i] == 0 && !allow_zero) {
            if (i >= in->rank)
                return "a 0 in the shape stands for no dimension of the input";
            dims[i] = in->dims[i];
        }
        if (dims[i] == -1 && open >= 0)
            return "the shape has two open dimensions";
        if (dims[i] == -1)
            open = i;
        else if (dims[i] < 0 || !multiply_fits(known, dims[i], &known))
            return "the shape is broken";
    }
    if (open >= 0) {
        if (known == 0 || in->count % known != 0)
            return arena_format(e->arena, "%lld elements do not fill the open dimension", (long long)in->count);
        dims[open] = in->count / known;
    }
    return reshape(e, (int)rank, dims);
}

const char *eval_flatten(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    int axis;
    const char *reason = eval_axis(e, 1, in->rank, true, &axis);
    if (reason)
        return reason;
    int64_t dims[2] = {eval_extent(in->dims, 0, axis), eval_extent(in->dims, axis, in->rank)};
    return reshape(e, 2, dims);
}

const char *eval_squeeze(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    int axes[EVAL_RANK], count, rank = 0;
    bool given, dropped[EVAL_RANK] = {false};
    int64_t dims[EVAL_RANK];
    const char *reason = eval_axes(e, 1, in->rank, axes, &count, &given);
    if (reason)
        return reason;
    for (int i = 0; i < count; i++)
        dropped[axes[i]] = true;
    for (int i = 0; i < in->rank; i++) {
        if (given && dropped[i] && in->dims[i] != 1)
            return arena_format(e->arena, "dimension %d is %lld, not 1", i, (long long)in->dims[i]);
        if (given && count == 0 && in->dims[i] == 1)
            return "runtimes disagree on a Squeeze of an empty list of axes";
        if (given ? !dropped[i] : in->dims[i] != 1)
            dims[rank++] = in->dims[i];
    }
    return reshape(e, rank, dims);
}

const char *eval_unsqueeze(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    size_t added = 0;
    if (!node_integers(e->node, "axes", &added) && eval_input(e, 1))
        added = (size_t)eval_input(e, 1)->count;
    if (added > (size_t)(EVAL_RANK - in->rank))
        return "too many dimensions";
    int axes[EVAL_RANK], count, rank = in->rank + (int)added;
    bool given, inserted[EVAL_RANK] = {false};
    int64_t dims[EVAL_RANK];
    const char *reason = eval_axes(e, 1, rank, axes, &count, &given);
    if (reason)
        return reason;
    if (!given)
        return "axes are missing";
    for (int i = 0; i < count; i++)
        inserted[axes[i]] = true;
    for (int i = 0, from = 0; i < rank; i++)
        dims[i] = inserted[i] ? 1 : in->dims[from++];
    return reshape(e, rank, dims);
}

const char *eval_concat(struct evaluation *e)
{
    const struct array *first = e->inputs[0];
    int axis;
    const char *reason = eval_axis(e, 1, first->rank, false, &axis);
    if (reason)
        return reason;
    int64_t dims[EVAL_RANK];
    memcpy(dims, first->dims, sizeof(dims));
    for (size_t n = 1; n < e->node->input_count; n++) {
        const struct array *in = e->inputs[n];
        if (!in)
            return arena_format(e->arena, "input %zu is missing", n);
        bool agrees = in->rank == first->rank && in->type == first->type;
        for (int i = 0; agrees && i < in->rank; i++)
            agrees = i == axis || in->dims[i] == first->dims[i];
        if (!agrees || !add_fits(dims[axis], in->dims[axis], &dims[axis]))
            return arena_format(e->arena, "%s %s and %s %s cannot be concatenated on axis %d", type_name(first->type),
                                array_shape(e->arena, first), type_name(in->type), array_shape(e->arena, in), axis);
    }
    struct array *out;
    reason = eval_result(e, first->type, first->rank, dims, &out);
    if (reason || out->count == 0)
        return reason;
    int64_t outer = eval_extent(dims, 0, axis), inner = eval_extent(dims, axis + 1, first->rank);
    int64_t to = 0;
    for (int64_t row = 0; row < outer; row++) {
        for (size_t n = 0; n < e->node->input_count; n++) {
            int64_t chunk = e->inputs[n]->dims[axis] * inner;
            eval_copy_cells(out, to, e->inputs[n], row * chunk, chunk);
            to += chunk;
        }
    }
    return NULL;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high)
{
    return value < low ? low : value > high ? high : value;
}

/* The range of a Slice, in either of its forms. */
struct cuts {
    const int64_t *starts, *ends, *steps; /* steps NULL: 1 */
    int axes[EVAL_RANK], count;
};

static const char *read_cuts(struct evaluation *e, struct cuts *cuts)
{
    const int rank = e->inputs[0]->rank;
    size_t start_count = 0, end_count = 0, step_count = 0;
    const char *reason = NULL;
    bool given;
    *cuts = (struct cuts){0};
    if (e->node->opset < 10) {
        cuts->starts = node_integers(e->node, "starts", &start_count);
        cuts->ends = node_integers(e->node, "ends", &end_count);
    } else {
        if (!eval_input(e, 1) || !eval_input(e, 2))
            return "starts or ends are missing";
        reason = eval_integers(e, 1, &cuts->starts, &start_count);
        if (!reason)
            reason = eval_integers(e, 2, &cuts->ends, &end_count);
        if (!reason && eval_input(e, 4))
            reason = eval_integers(e, 4, &cuts->steps, &step_count);
    }
    if (!reason)
        reason = eval_axes(e, 3, rank, cuts->axes, &cuts->count, &given);
    if (reason)
        return reason;
    for (; !given && cuts->count < rank && (size_t)cuts->count < start_count; cuts->count++)
        cuts->axes[cuts->count] = cuts->count;
    return start_count == (size_t)cuts->count && end_count == start_count && (!cuts->steps || step_count == start_count)
               ? NULL
               : "starts, ends, axes and steps differ in length";
}

/* Cut `i`: where the walk over the result reads the input along one axis. */
static const char *cut(const struct cuts *cuts, int i, int64_t dim, struct walk *walk)
{
    int axis = cuts->axes[i];
    int64_t start = cuts->starts[i], end = cuts->ends[i], step = cuts->steps ? cuts->steps[i] : 1;
    if (step == 0)
        return "a step of 0";
    /* The specification clamps this end; ONNX Runtime interprets it as "to the beginning". */
    if (step < 0 && (end == INT32_MAX || end == INT64_MAX))
        return "a slice backwards that ends at the largest integer";
    /* A longer step than the dimension meets one element, like this one. */
    step = clamp(step, -dim - 1, dim + 1);
    start += start < 0 ? dim : 0;
    end += end < 0 ? dim : 0;
    int64_t length = 0;
    if (dim > 0 && step > 0) {
        start = clamp(start, 0, dim);
        end = clamp(end, 0, dim);
        length = end > start ? (end - start + step - 1) / step : 0;
    } else if (dim > 0) {
        start = clamp(start, 0, dim - 1);
        end = clamp(end, -1, dim - 1);
        length = start > end ? (start - end - step - 1) / -step : 0;
    }
    walk->dims[axis] = length;
    if (length > 0)
        walk->offsets[0] += start * walk->strides[0][axis];
    walk->strides[0][axis] *= length > 1 ? step : 0;
    return NULL;
}

const char *eval_slice(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    struct cuts cuts;
    const char *reason = read_cuts(e, &cuts);
    struct walk walk = {.rank = in->rank, .operands = 1};
    memcpy(walk.dims, in->dims, sizeof(walk.dims));
    dense_strides(in->rank, in->dims, walk.strides[0]);
    for (int i = 0; i < cuts.count && !reason; i++)
        reason = cut(&cuts, i, in->dims[cuts.axes[i]], &walk);
    if (reason)
        return reason;
    struct array *out;
    reason = eval_result(e, in->type, walk.rank, walk.dims, &out);
    if (!reason)
        copy_along(out, in, &walk);
    return reason;
}

const char *eval_expand(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    struct array asked = {.type = in->type};
    const int64_t *shape;
    size_t count;
    const char *reason = eval_integers(e, 1, &shape, &count);
    if (reason)
        return reason;
    if (count > EVAL_RANK)
        return "too many dimensions";
    asked.rank = (int)count;
    for (size_t i = 0; i < count; i++) {
        if (shape[i] < 0)
            return "a negative dimension";
        asked.dims[i] = shape[i];
    }
    struct walk walk = {.rank = 0};
    if (!broadcast_dims(&walk.rank, walk.dims, in) || !broadcast_dims(&walk.rank, walk.dims, &asked))
        return arena_format(e->arena, "%s does not expand to %s", array_shape(e->arena, in),
                            array_shape(e->arena, &asked));
    walk_broadcast(&walk, in);
    struct array *out;
    reason = eval_result(e, in->type, walk.rank, walk.dims, &out);
    if (!reason)
        copy_along(out, in, &walk);
    return reason;
}

const char *eval_tile(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    const int64_t *repeats;
    size_t count;
    const char *reason = eval_integers(e, 1, &repeats, &count);
    if (reason)
        return reason;
    if (count != (size_t)in->rank)
        return arena_format(e->arena, "%zu repeats for %d dimensions", count, in->rank);
    struct walk walk = {.rank = in->rank};
    int64_t strides[EVAL_RANK];
    dense_strides(in->rank, in->dims, strides);
    for (int i = 0; i < in->rank; i++)
        if (repeats[i] < 0 || !multiply_fits(in->dims[i], repeats[i], &walk.dims[i]))
            return "a repeat is negative or too large";
    struct array *out;
    reason = eval_result(e, in->type, walk.rank, walk.dims, &out);
    if (reason)
        return reason;
    for (int64_t i = 0; i < out->count; i++, walk_next(&walk)) {
        int64_t from = 0;
        for (int axis = 0; axis < in->rank; axis++)
            from += walk.at[axis] % in->dims[axis] * strides[axis];
        eval_copy_cells(out, i, in, from, 1);
    }
    return NULL;
}

const char *eval_shape(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    int64_t start = node_integer(e->node, "start", 0);
    int64_t end = node_integer(e->node, "end", in->rank);
    start = clamp(start < 0 ? start + in->rank : start, 0, in->rank);
    end = clamp(end < 0 ? end + in->rank : end, 0, in->rank);
    int64_t count = end > start ? end - start : 0;
    struct array *out;
    const char *reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &count, &out);
    for (int64_t i = 0; !reason && i < count; i++)
        out->integers[i] = in->dims[start + i];
    return reason;
}

const char *eval_size(struct evaluation *e)
{
    struct array *out;
    const char *reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 0, NULL, &out);
    if (!reason)
        out->integers[0] = e->inputs[0]->count;
    return reason;
}

const char *eval_constant_of_shape(struct evaluation *e)
{
    const int64_t *dims;
    size_t rank;
    const char *reason = eval_integers(e, 0, &dims, &rank);
    if (reason)
        return reason;
    if (rank > EVAL_RANK)
        return "too many dimensions";
    struct array *value = NULL, *out;
    const Onnx__AttributeProto *attribute = node_attribute(e->node, "value");
    if (attribute && attribute->t) {
        struct tensor *tensor;
        reason = tensor_from_proto(e->arena, attribute->t, NULL, &tensor);
        if (!reason)
            reason = array_load(e->arena, e->pool, tensor, &value);
        if (reason)
            return reason;
        if (value->count != 1)
            return "the value is not a single element";
    }
    int32_t type = value ? value->type : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    reason = eval_result(e, type, (int)rank, dims, &out);
    for (int64_t i = 0; !reason && value && i < out->count; i++)
        eval_copy_cells(out, i, value, 0, 1);
    return reason;
}

enum pad_mode { PAD_CONSTANT, PAD_EDGE, PAD_REFLECT, PAD_WRAP, PAD_UNKNOWN };

static enum pad_mode pad_mode(const struct evaluation *e)
{
    static const char *const names[] = {"constant", "edge", "reflect", "wrap"};
    const char *name = node_string(e->arena, e->node, "mode", "constant");
    size_t mode = 0;
    while (mode < COUNT_OF(names) && strcmp(names[mode], name) != 0)
        mode++;
    return (enum pad_mode)mode;
}

/* The source of the number at `at`, counted from the input's begin; -1: none. */
static int64_t pad_source(enum pad_mode mode, int64_t at, int64_t extent)
{
    if (at >= 0 && at < extent)
        return at;
    switch (mode) {
    case PAD_EDGE: return at < 0 ? 0 : extent - 1;
    case PAD_REFLECT: return at < 0 ? -at : 2 * (extent - 1) - at;
    case PAD_WRAP: return at < 0 ? at + extent : at - extent;
    default: return -1;
    }
}

/* The parameters of a Pad, in either of its forms. */
struct padding {
    enum pad_mode mode;
    const int64_t *pads;
    int axes[EVAL_RANK], count;
    const struct array *filler; /* or else `fill` */
    double fill;
};

static const char *read_padding(struct evaluation *e, struct padding *padding)
{
    const struct array *in = e->inputs[0];
    size_t pad_count = 0;
    bool given = false;
    *padding = (struct padding){.mode = pad_mode(e)};
    if (padding->mode == PAD_UNKNOWN)
        return "a Pad of an unknown mode is not evaluated";
    if (e->node->opset < 11) {
        padding->pads = node_integers(e->node, "pads", &pad_count);
        padding->fill = node_float(e->node, "value", 0);
    } else {
        if (!eval_input(e, 1))
            return "pads are missing";
        const char *reason = eval_integers(e, 1, &padding->pads, &pad_count);
        if (!reason)
            reason = eval_axes(e, 3, in->rank, padding->axes, &padding->count, &given);
        if (reason)
            return reason;
        padding->filler = eval_input(e, 2);
        if (padding->filler && (padding->filler->count != 1 || array_is_real(padding->filler) != array_is_real(in)))
            return "constant_value is not a single element of the input's type";
    }
    for (; !given && padding->count < in->rank; padding->count++)
        padding->axes[padding->count] = padding->count;
    return pad_count == 2 * (size_t)padding->count
               ? NULL
               : arena_format(e->arena, "%zu pads for %d axes", pad_count, padding->count);
}

const char *eval_pad(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    struct padding padding;
    const char *reason = read_padding(e, &padding);
    if (reason)
        return reason;
    const enum pad_mode mode = padding.mode;
    const int64_t *pads = padding.pads;
    const int count = padding.count;
    int64_t before[EVAL_RANK] = {0}, strides[EVAL_RANK];
    struct walk walk = {.rank = in->rank};
    memcpy(walk.dims, in->dims, sizeof(walk.dims));
    for (int i = 0; i < count; i++) {
        int64_t *dim = &walk.dims[padding.axes[i]];
        before[padding.axes[i]] = pads[i];
        if (!add_fits(*dim, pads[i], dim) || !add_fits(*dim, pads[count + i], dim) || *dim < 0)
            return "pads that leave no shape";
        /* Runtimes disagree on what is left of an axis before it is mirrored, and on more than one turn. */
        int64_t most = in->dims[padding.axes[i]] - (mode == PAD_REFLECT);
        if (mode != PAD_CONSTANT && (pads[i] < 0 || pads[count + i] < 0 || in->dims[padding.axes[i]] == 0 ||
                                     (mode != PAD_EDGE && (pads[i] > most || pads[count + i] > most))))
            return "a Pad that crops or repeats an axis more than once is not evaluated in this "
                   "mode";
    }
    struct array *out;
    reason = eval_result(e, in->type, walk.rank, walk.dims, &out);
    if (reason)
        return reason;
    dense_strides(in->rank, in->dims, strides);
    for (int64_t i = 0; i < out->count; i++, walk_next(&walk)) {
        int64_t from = 0;
        bool inside = true;
        for (int axis = 0; axis < in->rank && inside; axis++) {
            int64_t at = pad_source(mode, walk.at[axis] - before[axis], in->dims[axis]);
            inside = at >= 0;
            from += inside ? at * strides[axis] : 0;
        }
        if (inside)
            eval_copy_cells(out, i, in, from, 1);
        else if (padding.filler)
            eval_copy_cells(out, i, padding.filler, 0, 1);
        else if (array_is_real(in))
            out->reals[i] = padding.fill;
    }
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
    if (count == 0 || (sizes && given != count))
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
            memcpy(part->cells + i * size * inner, in->cells + (i * extent + from) * inner, (size_t)(size * inner));
        e->outputs[n] = part;
        from += size;
    }
    return NULL;
}
