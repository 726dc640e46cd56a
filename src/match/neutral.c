/* match/neutral.c: nodes and operands that change nothing, and differences between versions of an operator. */
#include "match/neutral.h"

#include "infer/constant.h"

enum { RANK_MOST = 16, CHAIN_MOST = 64 };

/* ---- constants ---- */

static bool readable_constant(const struct node *node, size_t index, const struct tensor **tensor)
{
    struct value *value = node_input(node, index);
    return value && !constant_of(value, tensor) && tensor_is_readable(*tensor) && (*tensor)->storage != STORAGE_FUSED;
}

/* True when every element of a constant is `number`. */
static bool is_all(const struct tensor *tensor, double number)
{
    enum { PART = 256, NEUTRAL_MOST = 1 << 20 };
    double part[PART];
    if (tensor->count == 0 || tensor->count > NEUTRAL_MOST)
        return false;
    for (int64_t at = 0; at < tensor->count; at += PART) {
        int64_t count = tensor->count - at < PART ? tensor->count - at : PART;
        tensor_read(tensor, at, count, part);
        for (int64_t i = 0; i < count; i++)
            if (part[i] != number)
                return false;
    }
    return true;
}

/* True if an operand with this shape does not broadcast the other one. */
static bool is_covered(const struct tensor *tensor, const struct value *value)
{
    if (tensor->rank == 0)
        return true;
    if (value->rank < tensor->rank)
        return false;
    for (int i = 0; i < tensor->rank; i++) {
        int64_t dim = tensor->dims[i];
        if (dim != 1 && dim != value->dims[value->rank - tensor->rank + i])
            return false;
    }
    return true;
}

static bool is_neutral_operand(const struct node *node, size_t index, double number)
{
    const struct tensor *tensor;
    const struct value *other = node_input(node, 1 - index);
    return node->input_count == 2 && other && readable_constant(node, index, &tensor) && is_covered(tensor, other) &&
           is_all(tensor, number);
}

static struct value *beside(const struct node *node, double number, bool either)
{
    if (is_neutral_operand(node, 1, number))
        return node->inputs[0];
    return either && is_neutral_operand(node, 0, number) ? node->inputs[1] : NULL;
}

/* ---- shapes ---- */

/* True when both are known to have the same shape, as far as elements kept in their order allow one unknown size. */
static bool same_shape(const struct value *a, const struct value *b, bool same_count)
{
    int unknown = 0;
    bool empty = false;
    if (a->rank < 0 || a->rank != b->rank || a->disputed || b->disputed || a->stale || b->stale)
        return false;
    for (int i = 0; i < a->rank; i++) {
        if (a->dims[i] < 0 && b->dims[i] < 0)
            unknown++;
        else if (a->dims[i] != b->dims[i])
            return false;
        empty = empty || a->dims[i] == 0;
    }
    return unknown == 0 || (same_count && unknown == 1 && !empty);
}

/* True when a list, of an attribute or a constant input, is `number` throughout. */
static bool is_list_of(const struct node *node, const char *name, size_t index, int64_t number)
{
    int64_t held[2 * RANK_MOST];
    size_t count;
    const int64_t *list = constant_integers(node, name, index, held, COUNT_OF(held), &count);
    for (size_t i = 0; list && i < count; i++)
        if (list[i] != number)
            return false;
    return list != NULL;
}

/* From the first element to the end, each. */
static bool takes_all(const struct node *node)
{
    int64_t held[RANK_MOST];
    size_t count;
    const int64_t *ends = constant_integers(node, "ends", 2, held, COUNT_OF(held), &count);
    for (size_t i = 0; ends && i < count; i++)
        if (ends[i] < INT32_MAX)
            return false;
    return ends && is_list_of(node, "starts", 1, 0) && (!node_input(node, 4) || is_list_of(node, "steps", 4, 1));
}

/* The result is as large as the input, in order: so nothing is cut, wherever the bounds are. */
static bool leaves_none_out(const struct node *node, const struct value *data, const struct value *output)
{
    return same_shape(data, output, false) && (!node_input(node, 4) || is_list_of(node, "steps", 4, 1));
}

static bool is_training(const struct node *node)
{
    const struct tensor *tensor;
    return node_input(node, 2) && !(readable_constant(node, 2, &tensor) && is_all(tensor, 0));
}

static bool is_one(const struct node *node)
{
    for (size_t i = 1; i < node->input_count; i++)
        if (node->inputs[i])
            return false;
    return node->input_count > 0;
}

static bool more_is_needed(const struct node *node)
{
    for (size_t i = 1; i < node->output_count; i++)
        if (value_is_needed(node->outputs[i]))
            return true;
    return false;
}

struct value *neutral_input(const struct node *node)
{
    struct value *data = node_input(node, 0), *output = node_output(node, 0);
    const struct value *root;
    int64_t axes[RANK_MOST];
    int rank;
    if (!data || !output || more_is_needed(node) || node_has_references(node))
        return NULL;
    switch (node->op) {
    case OP_Identity: return data;
    case OP_Dropout: return is_training(node) ? NULL : data;
    case OP_Cast: return data->type && data->type == node_integer(node, "to", 0) ? data : NULL;
    case OP_CastLike: return data->type && node_input(node, 1) && data->type == node->inputs[1]->type ? data : NULL;
    case OP_Add: return beside(node, 0, true);
    case OP_Mul: return beside(node, 1, true);
    case OP_Sub: return beside(node, 0, false);
    case OP_Div:
    case OP_Pow: return beside(node, 1, false);
    case OP_Concat:
    case OP_Max:
    case OP_Mean:
    case OP_Min:
    case OP_Sum: return is_one(node) ? data : NULL;
    case OP_Clip: return is_one(node) && !node_attribute(node, "min") && !node_attribute(node, "max") ? data : NULL;
    case OP_Pad: return is_list_of(node, "pads", 1, 0) ? data : NULL;
    case OP_Tile: return is_list_of(node, "", 1, 1) ? data : NULL;
    case OP_Slice: return takes_all(node) || leaves_none_out(node, data, output) ? data : NULL;
    case OP_Expand: return same_shape(data, output, false) ? data : NULL;
    case OP_Transpose:
        if (!neutral_transpose(node, &root, axes, &rank))
            return NULL;
        for (int i = 0; i < rank; i++)
            if (axes[i] != i)
                return NULL;
        return (struct value *)(uintptr_t)root;
    default:
        return neutral_is_view(node, &root) && same_shape(root, output, true) ? (struct value *)(uintptr_t)root : NULL;
    }
}

static bool is_view(const struct node *node)
{
    switch (node->op) {
    case OP_Flatten:
    case OP_Reshape:
    case OP_Squeeze:
    case OP_Unsqueeze: return true;
    default: return false;
    }
}

bool neutral_is_view(const struct node *node, const struct value **root)
{
    const struct value *output = node_output(node, 0), *value = node_input(node, 0);
    int unknown = 0;
    if (!is_view(node) || !value || !output || output->rank < 0 || output->disputed || output->stale ||
        node_has_references(node))
        return false;
    for (int i = 0; i < output->rank; i++) {
        if (output->dims[i] == 0)
            return false;
        unknown += output->dims[i] < 0;
    }
    for (int i = 0; i < CHAIN_MOST && value->producer && is_view(value->producer) &&
                    value->producer->graph == node->graph && node_input(value->producer, 0);
         i++)
        value = value->producer->inputs[0];
    *root = value;
    return unknown <= 1;
}

bool neutral_transpose(const struct node *node, const struct value **root, int64_t *axes, int *rank)
{
    *rank = -1;
    for (int i = 0; i < CHAIN_MOST; i++) {
        const struct value *data = node_input(node, 0);
        size_t count;
        const int64_t *permutation = node_integers(node, "perm", &count);
        int64_t composed[RANK_MOST];
        int here = permutation ? (int)count : data ? data->rank : -1;
        if (node->op != OP_Transpose || !data || here < 0 || here > RANK_MOST || (*rank >= 0 && here != *rank) ||
            node_has_references(node))
            break;
        for (int k = 0; k < here; k++) {
            int64_t to = *rank < 0 ? k : axes[k];
            int64_t from = permutation ? permutation[to] : here - 1 - to;
            if (from < 0 || from >= here)
                return false;
            composed[k] = from;
        }
        memcpy(axes, composed, (size_t)here * sizeof(*axes));
        *rank = here;
        *root = data;
        if (!data->producer || data->producer->graph != node->graph)
            break;
        node = data->producer;
    }
    return *rank >= 0;
}

bool neutral_is_absent(const struct node *node, size_t index)
{
    const struct tensor *tensor;
    switch (node->op) {
    case OP_Conv:
    case OP_ConvTranspose:
    case OP_Gemm:
        return index == 2 && readable_constant(node, 2, &tensor) && is_all(tensor, 0) &&
               (node->op != OP_Gemm || tensor->rank < 2);
    case OP_Pad: return index == 2 && readable_constant(node, 2, &tensor) && is_all(tensor, 0);
    case OP_Resize:
        return index > 0 && node_input(node, index) && !constant_of(node->inputs[index], &tensor) && tensor->count == 0;
    default: return false;
    }
}

/* ---- versions ---- */

/* Attributes that became inputs, what they compute staying the same. */
static const struct {
    enum op op;
    const char *attribute;
    size_t index;
    bool is_scalar; /* of the first input's type where it is a float, of int64 else */
} moved[] = {
    {OP_Clip, "min", 1, true},           {OP_Clip, "max", 2, true},
    {OP_Pad, "pads", 1, false},          {OP_Pad, "value", 2, true},
    {OP_ReduceL1, "axes", 1, false},     {OP_ReduceL2, "axes", 1, false},
    {OP_ReduceLogSum, "axes", 1, false}, {OP_ReduceLogSumExp, "axes", 1, false},
    {OP_ReduceMax, "axes", 1, false},    {OP_ReduceMean, "axes", 1, false},
    {OP_ReduceMin, "axes", 1, false},    {OP_ReduceProd, "axes", 1, false},
    {OP_ReduceSum, "axes", 1, false},    {OP_ReduceSumSquare, "axes", 1, false},
    {OP_Slice, "axes", 3, false},        {OP_Slice, "ends", 2, false},
    {OP_Slice, "starts", 1, false},      {OP_Split, "split", 1, false},
    {OP_Squeeze, "axes", 1, false},      {OP_TopK, "k", 1, false},
    {OP_Unsqueeze, "axes", 1, false},
};

bool neutral_moved(struct arena *arena, const struct node *node, const Onnx__AttributeProto *attribute, size_t *index,
                   const struct tensor **tensor)
{
    int32_t type = node_input(node, 0) ? node->inputs[0]->type : 0;
    for (size_t i = 0; i < COUNT_OF(moved); i++) {
        if (node->op != moved[i].op || !attribute->name || strcmp(attribute->name, moved[i].attribute) != 0 ||
            (attribute->ref_attr_name && attribute->ref_attr_name[0]))
            continue;
        *index = moved[i].index;
        if (moved[i].is_scalar) {
            double *number = NEW(arena, double);
            *number = attribute->f;
            if (!type_is_float(type) || attribute->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT)
                return false;
            *number = tensor_rounded(type, *number);
            *tensor = tensor_of_doubles(arena, type, 0, NULL, number);
            return true;
        }
        bool is_list = attribute->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
        int64_t *count = NEW(arena, int64_t);
        *count = is_list ? (int64_t)attribute->n_ints : 1;
        if (!is_list && attribute->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT)
            return false;
        *tensor = tensor_of_integers(arena, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, count,
                                     is_list ? attribute->ints : &attribute->i);
        return true;
    }
    return false;
}
