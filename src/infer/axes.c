/* infer/axes.c: ops that give other axes, or axes of another size, than they take. */
#include "infer/axes.h"

#include "infer/constant.h"
#include "infer/learn.h"
#include "infer/window.h"

enum { MAX_RANK = SHAPE_MAX_RANK };

static bool has_rank(const struct value *value)
{
    return value && value->rank >= 0 && value->rank <= MAX_RANK;
}

static bool is_extent(int64_t n)
{
    return n >= 0 && n < SHAPE_ABSURD;
}

static void all_unknown(int rank, int64_t *dims)
{
    for (int i = 0; i < rank; i++)
        dims[i] = -1;
}

/* Axes from an attribute or a constant input, made non-negative. False: not given, or not known. */
static bool axes_of(const struct node *node, size_t input, int rank, int64_t *axes, size_t *count)
{
    int64_t held[MAX_RANK];
    const int64_t *given = constant_integers(node, "axes", input, held, MAX_RANK, count);
    if (!given || *count > MAX_RANK)
        return false;
    for (size_t i = 0; i < *count; i++) {
        axes[i] = given[i] < 0 ? given[i] + rank : given[i];
        if (axes[i] < 0 || axes[i] >= rank)
            return false;
    }
    return true;
}

/* ---- sizes ---- */

static void infer_global_pool(struct node *node)
{
    const struct value *input = node_input(node, 0);
    int64_t dims[MAX_RANK];
    if (!has_rank(input) || input->rank < 2)
        return;
    for (int i = 0; i < input->rank; i++)
        dims[i] = i < 2 ? input->dims[i] : 1;
    shape_learn(node_output(node, 0), input->type, input->rank, dims);
}

/* Pad: begins before the input and ends behind it, which may be negative. False: one is absurd. */
static bool padded(int64_t extent, int64_t begin, int64_t end, int64_t *result)
{
    bool fit = is_extent(extent) && begin > -SHAPE_ABSURD && begin < SHAPE_ABSURD &&
               end > -SHAPE_ABSURD && end < SHAPE_ABSURD;
    *result = fit ? extent + begin + end : -1;
    return *result > 0;
}

/* Slice, forward: runtimes disagree on backward ones. */
static bool sliced(int64_t extent, int64_t start, int64_t end, int64_t step, int64_t *result)
{
    if (!is_extent(extent) || step < 1)
        return false;
    start = start < 0 ? (start < -extent ? 0 : start + extent) : start > extent ? extent : start;
    end = end < 0 ? (end < -extent ? 0 : end + extent) : end > extent ? extent : end;
    *result = end > start ? (end - start - 1) / step + 1 : 0;
    return *result > 0;
}

/* The axes that a Pad or a Slice names, or the first `unnamed`, where it names none. False: they are not known, or
 * more than there are. */
static bool named_axes(const struct node *node, size_t unnamed, int rank, int64_t *axes,
                       size_t *count)
{
    if (node_input(node, 3) || node_attribute(node, "axes"))
        return axes_of(node, 3, rank, axes, count);
    *count = unnamed;
    for (size_t i = 0; i < unnamed && i < MAX_RANK; i++)
        axes[i] = (int64_t)i;
    return unnamed <= (size_t)rank;
}

/* Of some axes a new size, -1 where it is not known; all others stay. axes: NULL, they are not known either. */
static void learn_sizes(const struct node *node, const int64_t *axes, size_t count,
                        const int64_t *sizes)
{
    const struct value *input = node->inputs[0];
    int64_t dims[MAX_RANK];
    all_unknown(input->rank, dims);
    if (axes)
        memcpy(dims, input->dims, (size_t)input->rank * sizeof(*dims));
    for (size_t i = 0; axes && i < count; i++)
        dims[axes[i]] = sizes[i];
    shape_learn(node_output(node, 0), input->type, input->rank, dims);
}

static void infer_pad(struct node *node)
{
    const struct value *input = node_input(node, 0);
    int64_t axes[MAX_RANK], sizes[MAX_RANK], held[2 * MAX_RANK];
    size_t count, amounts;
    if (!has_rank(input) || input->rank < 1)
        return;
    const int64_t *pads = constant_integers(node, "pads", 1, held, COUNT_OF(held), &amounts);
    bool named = named_axes(node, (size_t)input->rank, input->rank, axes, &count);
    for (size_t i = 0; named && i < count; i++)
        if (!pads || amounts != 2 * count ||
            !padded(input->dims[axes[i]], pads[i], pads[count + i], &sizes[i]))
            sizes[i] = -1;
    learn_sizes(node, named ? axes : NULL, count, sizes);
}

static void infer_slice(struct node *node)
{
    const struct value *input = node_input(node, 0);
    int64_t axes[MAX_RANK], sizes[MAX_RANK], held[3][MAX_RANK];
    size_t count, first = 0, last = 0, step = 0;
    if (!has_rank(input) || input->rank < 1)
        return;
    const int64_t *starts = constant_integers(node, "starts", 1, held[0], MAX_RANK, &first);
    const int64_t *ends = constant_integers(node, "ends", 2, held[1], MAX_RANK, &last);
    const int64_t *steps = constant_integers(node, "steps", 4, held[2], MAX_RANK, &step);
    bool named = named_axes(node, starts ? first : SIZE_MAX, input->rank, axes, &count);
    bool known = starts && ends && first == count && last == count &&
                 (node_input(node, 4) ? steps && step == count : true);
    for (size_t i = 0; named && i < count; i++)
        if (!known || !sliced(input->dims[axes[i]], starts[i], ends[i],
                              node_input(node, 4) ? steps[i] : 1, &sizes[i]))
            sizes[i] = -1;
    learn_sizes(node, named ? axes : NULL, count, sizes);
}

/* ---- axes ---- */

static void infer_shape(struct node *node)
{
    const struct value *input = node_input(node, 0);
    int64_t count = -1;
    if (has_rank(input) && !node->proto->n_attribute)
        count = input->rank;
    shape_learn(node_output(node, 0), ONNX__TENSOR_PROTO__DATA_TYPE__INT64,
                node->op == OP_Shape ? 1 : 0, &count);
}

static void infer_gather(struct node *node)
{
    const struct value *data = node_input(node, 0), *indices = node_input(node, 1);
    int64_t dims[2 * MAX_RANK];
    if (!has_rank(data) || !has_rank(indices) || data->rank < 1)
        return;
    int64_t axis = node_integer(node, "axis", 0);
    axis += axis < 0 ? data->rank : 0;
    int rank = 0;
    for (int i = 0; i < data->rank; i++)
        if (i != axis)
            dims[rank++] = data->dims[i];
        else
            for (int k = 0; k < indices->rank; k++)
                dims[rank++] = indices->dims[k];
    if (axis >= 0 && axis < data->rank)
        shape_learn(node_output(node, 0), data->type, rank, dims);
}

static void infer_squeeze(struct node *node)
{
    const struct value *input = node_input(node, 0);
    int64_t dims[MAX_RANK], axes[MAX_RANK];
    size_t count;
    bool dropped[MAX_RANK] = {false};
    int rank = 0;
    if (!has_rank(input) || !axes_of(node, 1, input->rank, axes, &count) || count == 0)
        return;
    for (size_t i = 0; i < count; i++)
        dropped[axes[i]] = true;
    for (int i = 0; i < input->rank; i++)
        if (!dropped[i])
            dims[rank++] = input->dims[i];
    shape_learn(node_output(node, 0), input->type, rank, dims);
}

static void infer_unsqueeze(struct node *node)
{
    const struct value *input = node_input(node, 0);
    int64_t dims[MAX_RANK], axes[MAX_RANK], held[MAX_RANK];
    size_t count;
    bool added[MAX_RANK] = {false};
    if (!has_rank(input) || !constant_integers(node, "axes", 1, held, MAX_RANK, &count) ||
        count > (size_t)(MAX_RANK - input->rank))
        return;
    int rank = input->rank + (int)count;
    if (!axes_of(node, 1, rank, axes, &count))
        return;
    for (size_t i = 0; i < count; i++) {
        if (added[axes[i]])
            return;
        added[axes[i]] = true;
    }
    for (int i = 0, from = 0; i < rank; i++)
        dims[i] = added[i] ? 1 : input->dims[from++];
    shape_learn(node_output(node, 0), input->type, rank, dims);
}

/* The size of the axis that is named by -1, or -1. Axes that are copied from the input need not be known. */
static int64_t what_is_left(const struct value *input, int rank, const int64_t *dims,
                            const bool *copied)
{
    int64_t all = 1, others = 1;
    if (!has_rank(input))
        return -1;
    for (int i = 0; i < input->rank; i++)
        if (!(i < rank && copied[i]) &&
            (input->dims[i] < 0 || !multiply_fits(all, input->dims[i], &all)))
            return -1;
    for (int i = 0; i < rank; i++)
        if (!copied[i] && dims[i] >= 0 && !multiply_fits(others, dims[i], &others))
            return -1;
    return others > 0 && all % others == 0 ? all / others : -1;
}

static void infer_reshape(struct node *node)
{
    const struct value *input = node_input(node, 0), *target = node_input(node, 1);
    int64_t dims[MAX_RANK], held[MAX_RANK];
    size_t count = 0, open = 0;
    bool copied[MAX_RANK] = {false};
    const int64_t *sizes = constant_integers(node, "shape", 1, held, MAX_RANK, &count);
    if (!input || count > MAX_RANK)
        return;
    if (!sizes) { /* how many are asked for may be known */
        if (!target || target->rank != 1 || target->dims[0] < 0 || target->dims[0] > MAX_RANK)
            return;
        all_unknown((int)target->dims[0], dims);
        shape_learn(node_output(node, 0), input->type, (int)target->dims[0], dims);
        return;
    }
    int rank = (int)count, left = -1;
    for (int i = 0; i < rank; i++) {
        dims[i] = is_extent(sizes[i]) ? sizes[i] : -1;
        copied[i] = sizes[i] == 0 && !node_integer(node, "allowzero", 0);
        if (copied[i])
            dims[i] = has_rank(input) && i < input->rank ? input->dims[i] : -1;
        else if (sizes[i] == -1)
            left = i;
        open += dims[i] < 0 && !copied[i];
    }
    if (left >= 0 && open == 1)
        dims[left] = what_is_left(input, rank, dims, copied);
    shape_learn(node_output(node, 0), input->type, rank, dims);
}

/* Axes before `axis` become one, and so do the others. */
static void infer_flatten(struct node *node)
{
    const struct value *input = node_input(node, 0);
    int64_t dims[2] = {-1, -1}, axis = node_integer(node, "axis", 1);
    if (!input)
        return;
    axis += axis < 0 ? input->rank : 0;
    if (has_rank(input) && axis >= 0 && axis <= input->rank) {
        size_t first = (size_t)axis, rest = (size_t)input->rank - first;
        if (!count_elements(input->dims, first, &dims[0]))
            dims[0] = -1;
        if (!count_elements(input->dims + first, rest, &dims[1]))
            dims[1] = -1;
    }
    shape_learn(node_output(node, 0), input->type, 2, dims);
}

/* ConstantOfShape makes the shape that its input holds; Expand broadcasts the data to it. */
static void infer_given_shape(struct node *node)
{
    bool expands = node->op == OP_Expand;
    const struct value *data = expands ? node_input(node, 0) : NULL;
    int64_t dims[MAX_RANK], held[MAX_RANK];
    size_t count;
    const int64_t *sizes = constant_integers(node, "", expands ? 1 : 0, held, MAX_RANK, &count);
    const Onnx__AttributeProto *value = node_attribute(node, "value");
    int32_t type = expands             ? data ? data->type : 0
                   : value && value->t ? value->t->data_type
                                       : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    int rank = sizes ? (int)count : -1;
    if (expands && !has_rank(data))
        rank = -1;
    else if (expands && data->rank > rank && sizes)
        rank = data->rank;
    for (int i = 0; i < rank; i++) {
        int at = i - (rank - (int)count), from = data ? i - (rank - data->rank) : -1;
        int64_t size = at < 0 ? 1 : is_extent(sizes[at]) ? sizes[at] : -1;
        int64_t old = from < 0 ? 1 : data->dims[from];
        dims[i] = size == 1 ? old : old == 1 || old < 0 ? size : old;
    }
    shape_learn(node_output(node, 0), type, rank, dims);
}

static void infer_tile(struct node *node)
{
    const struct value *input = node_input(node, 0);
    int64_t dims[MAX_RANK], held[MAX_RANK];
    size_t count;
    const int64_t *repeats = constant_integers(node, "", 1, held, MAX_RANK, &count);
    if (!has_rank(input))
        return;
    for (int i = 0; i < input->rank; i++)
        if (!repeats || count != (size_t)input->rank || !is_extent(input->dims[i]) ||
            !is_extent(repeats[i]) || !multiply_fits(input->dims[i], repeats[i], &dims[i]))
            dims[i] = -1;
    shape_learn(node_output(node, 0), input->type, input->rank, dims);
}

static void infer_reduce(struct node *node)
{
    const struct value *input = node_input(node, 0);
    int64_t dims[MAX_RANK], axes[MAX_RANK], keeps = node_integer(node, "keepdims", 1);
    size_t count;
    bool reduced[MAX_RANK] = {false};
    int rank = 0;
    if (!has_rank(input) || (keeps != 0 && keeps != 1))
        return;
    bool named = axes_of(node, 1, input->rank, axes, &count) && count > 0;
    if (!named && !keeps)
        return;
    for (size_t i = 0; named && i < count; i++)
        reduced[axes[i]] = true;
    for (int i = 0; i < input->rank; i++)
        if (!reduced[i])
            dims[rank++] = named ? input->dims[i] : -1;
        else if (keeps)
            dims[rank++] = 1;
    shape_learn(node_output(node, 0), input->type, rank, dims);
}

/* ---- ops that no rewrite computes with ---- */

static bool is_among(const char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return false;
}

static void infer_by_name(struct node *node)
{
    static const char *const same_shape[] = {"Acos",
                                             "Acosh",
                                             "Asin",
                                             "Asinh",
                                             "Atan",
                                             "Atanh",
                                             "Celu",
                                             "Cos",
                                             "Cosh",
                                             "CumSum",
                                             "GroupNormalization",
                                             "Hardmax",
                                             "InstanceNormalization",
                                             "LRN",
                                             "LayerNormalization",
                                             "LogSoftmax",
                                             "LpNormalization",
                                             "MeanVarianceNormalization",
                                             "RMSNormalization",
                                             "Round",
                                             "Shrink",
                                             "Sign",
                                             "Sin",
                                             "Sinh",
                                             "Tan",
                                             "ThresholdedRelu",
                                             "Trilu"};
    static const char *const same_rank[] = {"DepthToSpace", "Resize", "SpaceToDepth", "Upsample"};
    const struct value *input = node_input(node, 0);
    const char *name = node->proto->op_type;
    int64_t dims[MAX_RANK];
    if (!has_rank(input) || !name || operator_domain(node->proto->domain)[0])
        return;
    all_unknown(input->rank, dims);
    if (is_among(same_shape, COUNT_OF(same_shape), name))
        shape_learn(node_output(node, 0), input->type, input->rank, input->dims);
    else if (is_among(same_rank, COUNT_OF(same_rank), name))
        shape_learn(node_output(node, 0), input->type, input->rank, dims);
}

void shape_infer_axes(struct node *node)
{
    switch (node->op) {
    case OP_GlobalAveragePool: infer_global_pool(node); break;
    case OP_Pad: infer_pad(node); break;
    case OP_Slice: infer_slice(node); break;
    case OP_Shape:
    case OP_Size: infer_shape(node); break;
    case OP_Gather: infer_gather(node); break;
    case OP_Squeeze: infer_squeeze(node); break;
    case OP_Unsqueeze: infer_unsqueeze(node); break;
    case OP_Reshape: infer_reshape(node); break;
    case OP_ReduceMean:
    case OP_ReduceProd:
    case OP_ReduceSum: infer_reduce(node); break;
    case OP_Flatten: infer_flatten(node); break;
    case OP_ConstantOfShape:
    case OP_Expand: infer_given_shape(node); break;
    case OP_Tile: infer_tile(node); break;
    default: infer_by_name(node); break;
    }
}
