/* check/sample.c: what each operator makes of the sample of output channels. */
#include "check/sample.h"

bool check_input_dims(const struct item *item, size_t index, int *rank, const int64_t **dims)
{
    const struct item *input = index < item->node->input_count ? item->inputs[index] : NULL;
    if (!input)
        return false;
    if (input->array) {
        *rank = input->array->rank;
        *dims = input->array->dims;
        return true;
    }
    if (!input->stored)
        return false;
    *rank = input->stored->rank;
    *dims = input->stored->dims;
    return true;
}

bool check_is_depthwise(const struct trial *trial, const struct item *item)
{
    int rank;
    const int64_t *dims;
    return check_input_dims(item, 1, &rank, &dims) && rank > 2 && dims[1] == 1 && dims[0] == trial->check->channels &&
           node_integer(item->node, "group", 1) == trial->check->channels;
}

/* The integers of a constant input, for Pad and Slice. NULL when they are not known. */
static const int64_t *constant_integers(struct trial *trial, const struct item *item, size_t index, size_t *count)
{
    struct item *input = index < item->node->input_count ? item->inputs[index] : NULL;
    struct array *array;
    bool is_copy;
    if (!input || input->varies || check_read(trial, input, -1, &array, &is_copy) || array_is_real(array))
        return NULL;
    *count = (size_t)array->count;
    return array->integers;
}

/* True when Pad or Slice leaves the channels alone. */
static bool spares_channels(struct trial *trial, const struct item *item)
{
    const struct node *node = item->node;
    bool is_pad = node->op == OP_Pad;
    bool by_attribute = is_pad ? node->opset < 11 : node->opset < 10;
    size_t count = 0, axis_count = 0;
    const int64_t *numbers, *axes = NULL; /* pads, or starts */
    if (by_attribute) {
        numbers = node_integers(node, is_pad ? "pads" : "starts", &count);
        axes = node_integers(node, "axes", &axis_count);
    } else {
        numbers = constant_integers(trial, item, 1, &count);
        if (node_input(node, 3) && !(axes = constant_integers(trial, item, 3, &axis_count)))
            return false;
    }
    if (!numbers)
        return false;
    if (is_pad)
        count /= 2;
    if (axes && axis_count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes ? axes[i] : (int64_t)i;
        if (axis < 0)
            axis += trial->check->rank;
        if (axis == trial->check->channel_axis && (!is_pad || numbers[i] || numbers[count + i]))
            return false;
    }
    return true;
}

bool check_computes_sample(struct trial *trial, const struct item *item)
{
    const struct node *node = item->node;
    const struct check_case *check = trial->check;
    int rank = 0;
    const int64_t *dims = NULL;
    int64_t channels;
    bool is_known = check_input_dims(item, 1, &rank, &dims);
    if (operator_is(node->op, ARITHMETIC | ELEMENTWISE))
        return item->output == 0;
    switch (node->op) {
    case OP_AveragePool:
    case OP_BatchNormalization: return check->channel_axis == 1 && item->output == 0;
    case OP_Pad:
    case OP_Slice: return spares_channels(trial, item);
    case OP_Conv: return check->channel_axis == 1 && is_known && rank == check->rank && dims[0] == check->channels;
    case OP_ConvTranspose:
        return check->channel_axis == 1 && is_known && rank == check->rank &&
               multiply_fits(dims[1], node_integer(node, "group", 1), &channels) && channels == check->channels;
    case OP_Gemm:
        return check->rank == 2 && check->channel_axis == 1 && is_known && rank == 2 &&
               dims[node_integer(node, "transB", 0) ? 0 : 1] == check->channels;
    case OP_MatMul:
        return check->channel_axis == check->rank - 1 && is_known && rank == 2 && dims[1] == check->channels;
    default: return false;
    }
}

int check_sample_axis(const struct trial *trial, const struct item *item, size_t index, bool *is_data)
{
    const struct check_case *check = trial->check;
    const struct item *input = item->inputs[index];
    int rank = check->rank;
    if (input->array)
        rank = input->array->rank;
    else if (input->stored)
        rank = input->stored->rank;
    int aligned = rank - (check->rank - check->channel_axis); /* broadcasting aligns at the end */
    aligned = aligned < 0 ? -1 : aligned;
    *is_data = false;
    switch (item->node->op) {
    case OP_Conv: *is_data = index == 0 && check_is_depthwise(trial, item); return index > 0 ? 0 : *is_data ? 1 : -1;
    case OP_ConvTranspose:
        if (index == 1)
            return node_integer(item->node, "group", 1) == 1 ? 1 : -1;
        return index == 2 ? 0 : -1;
    case OP_Gemm:
        if (index == 1)
            return node_integer(item->node, "transB", 0) ? 0 : 1;
        return index == 2 ? aligned : -1;
    case OP_MatMul: return index == 1 ? 1 : -1;
    case OP_BatchNormalization: *is_data = index == 0; return index == 0 ? 1 : 0;
    case OP_AveragePool:
    case OP_Cast:
    case OP_CastLike:
    case OP_Dropout:
    case OP_Pad:
    case OP_Slice: *is_data = index == 0; return index == 0 ? aligned : -1;
    default: *is_data = true; return aligned;
    }
}
