/* fuse/lane.c: the scale and shift that one op applies, and numbers that are repeated or dropped. */
#include "fuse/lane.h"

#include <math.h>

#include "fuse/channel.h"
#include "infer/constant.h"
#include "infer/operand.h"

/* ---- numbers ---- */

void lane_make(struct arena *arena, struct lane *lane, double **scale, double **shift)
{
    *scale = NEW_ARRAY(arena, double, lane->width);
    *shift = NEW_ARRAY(arena, double, lane->width);
    lane->scale = *scale;
    lane->shift = *shift;
    for (int64_t c = 0; c < lane->width; c++)
        (*scale)[c] = 1;
}

void lane_widen(struct arena *arena, struct lane *lane, int64_t times, int64_t repeat)
{
    struct lane from = *lane;
    double *scale, *shift;
    lane->width = times * from.width * repeat;
    lane_make(arena, lane, &scale, &shift);
    for (int64_t i = 0; i < lane->width; i++) {
        scale[i] = from.scale[i / repeat % from.width];
        shift[i] = from.shift[i / repeat % from.width];
    }
}

bool lane_narrow(struct arena *arena, struct lane *lane, int64_t width, int64_t repeat)
{
    struct lane from = *lane;
    double *scale, *shift;
    lane->width = width;
    lane_make(arena, lane, &scale, &shift);
    for (int64_t i = 0; i < width; i++) {
        scale[i] = from.scale[i * repeat];
        shift[i] = from.shift[i * repeat];
    }
    for (int64_t i = 0; i < from.width; i++)
        if (from.scale[i] != scale[i / repeat % width] || from.shift[i] != shift[i / repeat % width])
            return false;
    return true;
}

bool lane_shifts(const struct lane *lane)
{
    for (int64_t c = 0; c < lane->width; c++)
        if (lane->shift[c] != 0)
            return true;
    return false;
}

bool lane_scales(const struct lane *lane)
{
    for (int64_t c = 0; c < lane->width; c++)
        if (lane->scale[c] != 1)
            return true;
    return false;
}

bool lane_is_neutral(const struct lane *lane)
{
    return !lane_scales(lane) && !lane_shifts(lane);
}

bool lane_is_positive(const struct lane *lane)
{
    for (int64_t c = 0; c < lane->width; c++)
        if (!(lane->scale[c] > 0))
            return false;
    return true;
}

/* ---- ops that are a lane ---- */

/* Along which axis of the data a constant lies, by numpy's broadcasting. */
static const char *find_axis(const struct value *data, const struct tensor *tensor, struct lane *lane)
{
    int shift = data->rank - tensor->rank;
    lane->axis = -1;
    lane->width = 1;
    if (shift < 0)
        return "the constant has a higher rank than the value, and broadcasts it";
    for (int i = 0; i < tensor->rank; i++) {
        if (tensor->dims[i] == 1)
            continue;
        if (lane->axis >= 0)
            return "the constant is not per channel: it varies along two axes";
        lane->axis = shift + i;
        lane->width = tensor->dims[i];
    }
    if (lane->axis >= 0 && data->dims[lane->axis] != lane->width)
        return "the constant broadcasts the value, or the size of the value is not known";
    return NULL;
}

static const char *lane_of_binary(struct node *node, struct lane *lane)
{
    struct arena *arena = node->graph->model->arena;
    struct value *a = node_input(node, 0), *b = node_input(node, 1);
    const struct tensor *tensor;
    double *scale, *shift;
    if (!a || !b)
        return "an operand is missing";
    if (channel_ends_gelu(node))
        return channel_ends_gelu(node);
    bool first = constant_of(b, &tensor) != NULL; /* the constant is the first operand */
    struct value *operand = first ? a : b;
    lane->data = first ? b : a;
    if (!constant_of(lane->data, &tensor) || lane->data->rank < 0 || (first && node->op == OP_Div))
        return "it is not a value and a constant";
    const char *reason = operand_weight(arena, operand, "operand", &tensor);
    if (!reason)
        reason = find_axis(lane->data, tensor, lane);
    if (reason)
        return reason;
    const double *numbers = constant_numbers(operand, tensor);
    if (!numbers || tensor->count < 1)
        return "the constant cannot be read";
    lane_make(arena, lane, &scale, &shift);
    for (int64_t c = 0; c < lane->width; c++) {
        switch (node->op) {
        case OP_Mul: scale[c] = numbers[c]; break;
        case OP_Div: scale[c] = 1 / numbers[c]; break;
        case OP_Sub:
            scale[c] = first ? -1 : 1;
            shift[c] = first ? numbers[c] : -numbers[c];
            break;
        default: shift[c] = numbers[c];
        }
        if (!isfinite(scale[c]) || !isfinite(shift[c]))
            return "the constant, or its reciprocal, is not finite";
    }
    return NULL;
}

static const char *lane_of_norm(struct node *node, struct lane *lane)
{
    struct channel_norm norm;
    const char *reason = channel_norm(node, &norm);
    if (!reason && norm.data->rank < 2)
        reason = "the rank of the value is not known";
    if (reason)
        return reason;
    *lane =
        (struct lane){.data = norm.data, .axis = 1, .width = norm.channels, .scale = norm.scale, .shift = norm.shift};
    return NULL;
}

const char *lane_of(struct node *node, struct lane *lane)
{
    double *scale, *shift;
    switch (node->op) {
    case OP_Mul:
    case OP_Div:
    case OP_Add:
    case OP_Sub: return lane_of_binary(node, lane);
    case OP_BatchNormalization: return lane_of_norm(node, lane);
    case OP_Neg:
        *lane = (struct lane){.axis = -1, .width = 1, .data = node_input(node, 0)};
        if (!lane->data || lane->data->rank < 0)
            return "the rank of the value is not known";
        lane_make(node->graph->model->arena, lane, &scale, &shift);
        scale[0] = -1;
        return NULL;
    default: return "it is not an op that scales or shifts";
    }
}
