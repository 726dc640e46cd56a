/* infer/axes.c: ops that give other axes, or axes of another size, than they take. */
#include "infer/axes.h"

#include "infer/constant.h"
#include "infer/learn.h"
#include "infer/window.h"
#include "model/model.h"

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
    bool fit =
        is_extent(extent) && begin > -SHAPE_ABSURD && begin < SHAPE_ABSURD && end > -SHAPE_ABSURD && end < SHAPE_ABSURD;
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
static bool named_axes(const struct node *node, size_t unnamed, int rank, int64_t *axes, size_t *count)
{
    if (node_input(node, 3) || node_attribute(node, "axes"))
        return axes_of(node, 3, rank, axes, count);
    *count = unnamed;
    for (size_t i = 0; i < unnamed && i < MAX_RANK; i++)
        axes[i] = (int64_t)i;
    return unnamed <= (size_t)rank;
}

/* Of some axes a new size, -1 where it is not known; all others stay. axes: NULL, they are not known either. */
static void learn_sizes(const struct node *node, const int64_t *axes, size_t count, const int64_t *sizes)
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
        if (!pads || amounts != 2 * count || !padded(input->dims[axes[i]], pads[i], pads[count + i], &sizes[i]))
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
    bool known =
        starts && ends && first == count && last == count && (node_input(node, 4) ? steps && step == count : true);
    for (size_t i = 0; named && i < count; i++)
        if (!known || !sliced(input->dims[axes[i]], starts[i], ends[i], node_input(node, 4) ? steps[i] : 1, &sizes[i]))
            sizes[i] = -1;
    learn_sizes(node, named ? axes : NULL, count, sizes);
}

/* ---- axes ---- */

static void infer_shape(struct node *node)
{
    const struct value *input = node_input(node, 0);
    int64_t count = -1;
    if (has_rank(input) && node->op == OP_Shape) {
        int64_t rank = input->rank, start = node_integer(node, "start", 0);
        int64_t end = node_integer(node, "end", rank);
        start = start < -rank ? 0 : start < 0 ? start + rank : start > rank ? rank : start;
        end = end < -rank ? 0 : end < 0 ? end + rank : end > rank ? rank : end;
        count = end > start ? end - start : 0;
    }
    shape_learn(node_output(node, 0), ONNX__TENSOR_PROTO__DATA_TYPE__INT64, node->op == OP_Shape ? 1 : 0, &count);
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

/* The sizes that a small integer input asks for, as far as they are known. False: not even their number is. */
static bool asked_sizes(const struct node *node, size_t input, struct element *sizes, int *count)
{
    struct value *value = node_input(node, input);
    const struct elements *elements = value ? constant_elements(value) : NULL;
    *count = elements && elements->count <= MAX_RANK ? (int)elements->count : -1;
    if (*count < 0 && value && value->rank == 1 && value->dims[0] >= 0 && value->dims[0] <= MAX_RANK) {
        *count = (int)value->dims[0];
        elements = NULL;
    }
    for (int i = 0; i < *count; i++)
        sizes[i] = elements ? elements->items[i] : (struct element){ELEMENT_UNKNOWN, 0};
    return *count >= 0;
}

/* The size of the axis that is named by -1: what the others leave of the input, or -1. A symbol on both sides is
 * on neither. */
static int64_t what_is_left(const struct value *input, int rank, const int64_t *dims, int left)
{
    struct model *model = input->graph->model;
    int64_t from[MAX_RANK], taken = 1;
    if (!has_rank(input))
        return -1;
    memcpy(from, input->dims, (size_t)input->rank * sizeof(*from));
    for (int i = 0; i < rank; i++) {
        struct multiple dim = model_multiple(model, dims[i]);
        if (i == left)
            continue;
        if (dims[i] == -1 || dims[i] == 0)
            return -1;
        int same = dim.symbol ? -1 : 0;
        for (int k = 0; k < input->rank && same < 0; k++)
            same = model_multiple(model, from[k]).symbol == dim.symbol ? k : -1;
        if (same < 0 || !multiply_fits(taken, dim.factor, &taken))
            return -1;
        if (dim.symbol)
            from[same] = model_multiple(model, from[same]).factor;
    }
    struct multiple rest = model_multiple(model, shape_product(model, from, input->rank));
    if (rest.factor < 0 || rest.factor % taken != 0)
        return -1;
    rest.factor /= taken;
    return model_size(model, rest);
}

static void infer_reshape(struct node *node)
{
    const struct value *input = node_input(node, 0);
    const int64_t *given;
    struct element sizes[MAX_RANK];
    int64_t dims[MAX_RANK];
    size_t count;
    int rank = -1, left = -1, open = 0;
    given = node_integers(node, "shape", &count);
    if (!input || (given ? count > MAX_RANK : !asked_sizes(node, 1, sizes, &rank)))
        return;
    for (size_t i = 0; given && i < count; i++)
        sizes[i] = (struct element){ELEMENT_NUMBER, given[i]};
    rank = given ? (int)count : rank;
    for (int i = 0; i < rank; i++) {
        dims[i] = element_dim(sizes[i]);
        if (sizes[i].kind != ELEMENT_NUMBER || sizes[i].number > 0)
            open += dims[i] == -1;
        else if (sizes[i].number == -1)
            left = i;
        else if (sizes[i].number == 0 && !node_integer(node, "allowzero", 0))
            dims[i] = has_rank(input) && i < input->rank ? input->dims[i] : -1;
    }
    /* The size is unknown if the copied or remaining size is. */
    if (left >= 0 && !open)
        dims[left] = what_is_left(input, rank, dims, left);
    else if (left < 0 && open == 1)
        for (int i = 0; i < rank; i++)
            dims[i] = dims[i] == -1 ? what_is_left(input, rank, dims, i) : dims[i];
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
        dims[0] = shape_product(input->graph->model, input->dims, (int)axis);
        dims[1] = shape_product(input->graph->model, input->dims + axis, input->rank - (int)axis);
    }
    shape_learn(node_output(node, 0), input->type, 2, dims);
}

/* ConstantOfShape makes the shape that its input holds; Expand broadcasts the data to it. */
static void infer_given_shape(struct node *node)
{
    bool expands = node->op == OP_Expand;
    const struct value *data = expands ? node_input(node, 0) : NULL;
    struct element sizes[MAX_RANK];
    int64_t dims[MAX_RANK], asked[MAX_RANK];
    int count;
    const Onnx__AttributeProto *value = node_attribute(node, "value");
    int32_t type = expands             ? data ? data->type : 0
                   : value && value->t ? value->t->data_type
                                       : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    bool known = asked_sizes(node, expands ? 1 : 0, sizes, &count) && (!expands || has_rank(data));
    int rank = !known ? -1 : expands && data->rank > count ? data->rank : count;
    for (int i = 0; i < rank; i++)
        dims[i] = 1;
    for (int i = 0; i < rank && i < count; i++)
        asked[i] = element_dim(sizes[i]);
    if (rank >= 0)
        shape_broadcast(rank, dims, count, asked);
    if (rank >= 0 && expands)
        shape_broadcast(rank, dims, data->rank, data->dims);
    shape_learn(node_output(node, 0), type, rank, dims);
}

static void infer_tile(struct node *node)
{
    const struct value *input = node_input(node, 0);
    struct element repeats[MAX_RANK];
    int64_t dims[MAX_RANK];
    int count;
    if (!has_rank(input))
        return;
    bool known = asked_sizes(node, 1, repeats, &count) && count == input->rank;
    for (int i = 0; i < input->rank; i++) {
        const int64_t sizes[2] = {input->dims[i], known ? element_dim(repeats[i]) : -1};
        dims[i] = shape_product(input->graph->model, sizes, 2);
    }
    shape_learn(node_output(node, 0), input->type, input->rank, dims);
}

static void infer_reduce(struct node *node)
{
    const struct value *input = node_input(node, 0);
    int64_t dims[MAX_RANK], axes[MAX_RANK], keeps = node_integer(node, "keepdims", 1);
    size_t count = 0;
    bool reduced[MAX_RANK] = {false};
    int rank = 0;
    bool given = node_attribute(node, "axes") || node_input(node, 1);
    bool none = node_integer(node, "noop_with_empty_axes", 0) != 0;
    if (!has_rank(input) || (keeps != 0 && keeps != 1))
        return;
    bool named = given && axes_of(node, 1, input->rank, axes, &count);
    if (given && !named && !keeps)
        return;
    for (size_t i = 0; named && i < count; i++)
        reduced[axes[i]] = true;
    for (int i = 0; i < input->rank; i++) {
        bool goes = reduced[i] || ((!given || (named && count == 0)) && !none);
        if (!goes)
            dims[rank++] = named || !given ? input->dims[i] : -1;
        else if (keeps)
            dims[rank++] = 1;
    }
    shape_learn(node_output(node, 0), input->type, rank, dims);
}

/* ArgMax, ArgMin. */
static void infer_arg(struct node *node)
{
    const struct value *input = node_input(node, 0);
    int64_t dims[MAX_RANK], axis = node_integer(node, "axis", 0);
    bool keeps = node_integer(node, "keepdims", 1) != 0;
    int rank = 0;
    if (!has_rank(input))
        return;
    axis += axis < 0 ? input->rank : 0;
    for (int i = 0; i < input->rank; i++)
        if (i != axis)
            dims[rank++] = input->dims[i];
        else if (keeps)
            dims[rank++] = 1;
    if (axis >= 0 && axis < input->rank)
        shape_learn(node_output(node, 0), ONNX__TENSOR_PROTO__DATA_TYPE__INT64, rank, dims);
}

static void infer_top_k(struct node *node)
{
    const struct value *input = node_input(node, 0);
    struct element size;
    int64_t dims[MAX_RANK], axis = node_integer(node, "axis", -1);
    struct value *k = node_input(node, 1);
    const struct elements *most = k ? constant_elements(k) : NULL;
    if (!has_rank(input))
        return;
    axis += axis < 0 ? input->rank : 0;
    if (axis < 0 || axis >= input->rank)
        return;
    memcpy(dims, input->dims, (size_t)input->rank * sizeof(*dims));
    size = most && most->count == 1 ? most->items[0] : (struct element){ELEMENT_UNKNOWN, 0};
    dims[axis] = node_attribute(node, "k") ? node_integer(node, "k", -1) : element_dim(size);
    shape_learn(node_output(node, 0), input->type, input->rank, dims);
    shape_learn(node_output(node, 1), ONNX__TENSOR_PROTO__DATA_TYPE__INT64, input->rank, dims);
}

/* Resize to sizes that are given, or by whole factors: what others round to, runtimes may round otherwise. */
static void infer_resize(struct node *node)
{
    const struct value *input = node_input(node, 0);
    int64_t dims[MAX_RANK], held[MAX_RANK];
    size_t count = 0;
    if (!has_rank(input))
        return;
    all_unknown(input->rank, dims);
    struct value *factors = node_input(node, node->op == OP_Upsample || node->opset < 11 ? 1 : 2);
    const struct tensor *tensor = NULL;
    const int64_t *sizes = node->opset >= 11 ? constant_integers(node, "", 3, held, MAX_RANK, &count) : NULL;
    bool plain =
        !node_attribute(node, "axes") &&
        strcmp(node_string(node->graph->model->arena, node, "keep_aspect_ratio_policy", "stretch"), "stretch") == 0;
    if (sizes && count == (size_t)input->rank && plain) {
        for (int i = 0; i < input->rank; i++)
            dims[i] = is_extent(sizes[i]) ? sizes[i] : -1;
    } else if (!node_input(node, 3) && plain && factors && !constant_of(factors, &tensor) &&
               tensor_is_readable(tensor) && tensor->count == input->rank && tensor->count <= MAX_RANK) {
        double factor[MAX_RANK];
        tensor_read(tensor, 0, tensor->count, factor);
        for (int i = 0; i < input->rank; i++)
            if (factor[i] == 1)
                dims[i] = input->dims[i];
            else if (is_extent(input->dims[i]) && factor[i] > 1 && factor[i] < 4096 &&
                     factor[i] == (double)(int64_t)factor[i])
                dims[i] = input->dims[i] * (int64_t)factor[i];
    }
    shape_learn(node_output(node, 0), input->type, input->rank, dims);
}

/* DepthToSpace, SpaceToDepth. */
static void infer_depth(struct node *node)
{
    const struct value *input = node_input(node, 0);
    int64_t block = node_integer(node, "blocksize", 0), dims[MAX_RANK];
    bool to_space = node->op == OP_DepthToSpace;
    if (!has_rank(input) || input->rank != 4 || block < 1 || block > 4096)
        return;
    for (int i = 0; i < 4; i++) {
        int64_t factor = i == 0 ? 1 : i == 1 ? block * block : block, size = input->dims[i];
        bool grows = (i == 1) != to_space;
        if (factor == 1)
            dims[i] = size;
        else if (!is_extent(size) || (!grows && size % factor))
            dims[i] = -1;
        else
            dims[i] = grows ? size * factor : size / factor;
    }
    shape_learn(node_output(node, 0), input->type, 4, dims);
}

/* Range of whole numbers. */
static void infer_range(struct node *node)
{
    struct value *bounds[3] = {node_input(node, 0), node_input(node, 1), node_input(node, 2)};
    int64_t n[3], count = -1;
    bool known = true;
    for (int i = 0; i < 3 && known; i++) {
        const struct elements *one = bounds[i] ? constant_elements(bounds[i]) : NULL;
        known = one && one->count == 1 && one->items[0].kind == ELEMENT_NUMBER &&
                one->items[0].number > -SHAPE_ABSURD && one->items[0].number < SHAPE_ABSURD;
        n[i] = known ? one->items[0].number : 0;
    }
    if (known && n[2] != 0) {
        int64_t span = n[2] > 0 ? n[1] - n[0] : n[0] - n[1], step = n[2] > 0 ? n[2] : -n[2];
        count = span > 0 ? (span - 1) / step + 1 : 0;
    }
    shape_learn(node_output(node, 0), bounds[0] ? bounds[0]->type : 0, 1, &count);
}

/* The sizes of an equation's letters, and its letters behind the arrow. Without an arrow, or with an ellipsis: nothing. */
static void infer_einsum(struct node *node)
{
    const char *at = node_string(node->graph->model->arena, node, "equation", "");
    int64_t sizes[128], dims[MAX_RANK];
    size_t operand = 0;
    int rank = 0;
    all_unknown(COUNT_OF(sizes), sizes);
    if (!strstr(at, "->") || strchr(at, '.'))
        return;
    for (; *at != '-'; at++) {
        const struct value *input = node_input(node, operand);
        if (*at == ',') {
            operand++;
            rank = 0;
        } else if ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z')) {
            int64_t *size = &sizes[(unsigned char)*at];
            if (has_rank(input) && rank < input->rank && (*size == -1 || *size == 1))
                *size = input->dims[rank];
            rank++;
        }
    }
    rank = 0;
    for (at += 2; *at; at++)
        if ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z')) {
            if (rank == MAX_RANK)
                return;
            dims[rank++] = sizes[(unsigned char)*at];
        }
    const struct value *first = node_input(node, 0);
    shape_learn(node_output(node, 0), first ? first->type : 0, rank, dims);
}

/* ---- ops that no rewrite computes with ---- */

static void infer_like(struct node *node, size_t like, int32_t type)
{
    const struct value *input = node_input(node, like);
    if (has_rank(input))
        shape_learn(node_output(node, 0), type, input->rank, input->dims);
    else
        shape_learn(node_output(node, 0), type, -1, NULL);
}

/* The type of the scale, or of the zero point, if there is no attribute. */
static void infer_quantize(struct node *node)
{
    bool back = node->op == OP_DequantizeLinear;
    const struct value *like = node_input(node, back ? 1 : 2);
    int32_t type = like ? like->type : back ? 0 : ONNX__TENSOR_PROTO__DATA_TYPE__UINT8;
    infer_like(node, 0, (int32_t)node_integer(node, "output_dtype", type));
}

/* The common shape of both branches of an If. */
static void infer_if(struct node *node)
{
    for (size_t k = 0; k < node->output_count; k++) {
        const struct value *one = node->body_count == 2 ? graph_output(node->bodies[0], k) : NULL;
        const struct value *two = node->body_count == 2 ? graph_output(node->bodies[1], k) : NULL;
        int64_t dims[MAX_RANK];
        if (!one || !two || !node->outputs[k])
            continue;
        int rank = has_rank(one) && one->rank == two->rank ? one->rank : -1;
        for (int i = 0; i < rank; i++)
            dims[i] = one->dims[i] == two->dims[i] ? one->dims[i] : -1;
        shape_learn(node->outputs[k], one->type == two->type ? one->type : 0, rank, dims);
    }
}

/* Sizes as the first input has them. */
static bool keeps_sizes(enum op op)
{
    switch (op) {
    case OP_Acos:
    case OP_Acosh:
    case OP_Asin:
    case OP_Asinh:
    case OP_Atan:
    case OP_Atanh:
    case OP_Celu:
    case OP_Cos:
    case OP_Cosh:
    case OP_CumSum:
    case OP_GroupNormalization:
    case OP_Hardmax:
    case OP_InstanceNormalization:
    case OP_LRN:
    case OP_LayerNormalization:
    case OP_LogSoftmax:
    case OP_LpNormalization:
    case OP_MeanVarianceNormalization:
    case OP_RMSNormalization:
    case OP_ReverseSequence:
    case OP_Round:
    case OP_ScatterElements:
    case OP_Shrink:
    case OP_Sign:
    case OP_Sin:
    case OP_Sinh:
    case OP_Tan:
    case OP_ThresholdedRelu:
    case OP_Trilu: return true;
    default: return false;
    }
}

void shape_infer_axes(struct node *node)
{
    switch (node->op) {
    case OP_GlobalAveragePool:
    case OP_GlobalMaxPool:
    case OP_GlobalLpPool: infer_global_pool(node); break;
    case OP_Pad: infer_pad(node); break;
    case OP_Slice: infer_slice(node); break;
    case OP_Shape:
    case OP_Size: infer_shape(node); break;
    case OP_Gather: infer_gather(node); break;
    case OP_Squeeze: infer_squeeze(node); break;
    case OP_Unsqueeze: infer_unsqueeze(node); break;
    case OP_Reshape: infer_reshape(node); break;
    case OP_ReduceL1:
    case OP_ReduceL2:
    case OP_ReduceLogSum:
    case OP_ReduceLogSumExp:
    case OP_ReduceMax:
    case OP_ReduceMean:
    case OP_ReduceMin:
    case OP_ReduceProd:
    case OP_ReduceSum:
    case OP_ReduceSumSquare: infer_reduce(node); break;
    case OP_ArgMax:
    case OP_ArgMin: infer_arg(node); break;
    case OP_TopK: infer_top_k(node); break;
    case OP_Resize:
    case OP_Upsample: infer_resize(node); break;
    case OP_DepthToSpace:
    case OP_SpaceToDepth: infer_depth(node); break;
    case OP_Range: infer_range(node); break;
    case OP_Einsum: infer_einsum(node); break;
    case OP_If: infer_if(node); break;
    case OP_GatherElements: infer_like(node, 1, node_input(node, 0) ? node->inputs[0]->type : 0); break;
    case OP_Not:
    case OP_IsNaN:
    case OP_IsInf: infer_like(node, 0, ONNX__TENSOR_PROTO__DATA_TYPE__BOOL); break;
    case OP_DequantizeLinear:
    case OP_QuantizeLinear: infer_quantize(node); break;
    case OP_Flatten: infer_flatten(node); break;
    case OP_ConstantOfShape:
    case OP_Expand: infer_given_shape(node); break;
    case OP_Tile: infer_tile(node); break;
    default:
        if (keeps_sizes(node->op) && node_input(node, 0))
            infer_like(node, 0, node->inputs[0]->type);
    }
}
