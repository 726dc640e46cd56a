/* fuse/channel.c: ops that treat every channel and position by itself, and sums. */
#include "fuse/channel.h"

#include <math.h>

#include "affine/laws.h"
#include "base/decimal.h"
#include "infer/constant.h"
#include "infer/operand.h"

/* For a value of unknown rank: its minimum number of axes, and the size of the last one, or -1. Elementwise ops keep
 * those of a product before them. */
static int least_rank(const struct value *value, enum layout layout, int64_t *width)
{
    *width = -1;
    for (int steps = 0; steps < 48 && layout == LAYOUT_MATRIX && value->producer; steps++) {
        const struct node *node = value->producer;
        const struct value *weight = node_input(node, 1);
        const struct tensor *tensor;
        if (node->op == OP_MatMul && weight && weight->rank == 2) {
            *width = weight->dims[1];
            return 1;
        }
        bool second = node->op == OP_Add || node->op == OP_Mul;
        bool single = second || node->op == OP_Sub || node->op == OP_Div || operator_is(node->op, KEEPS_SHAPE);
        if (!single || !node_input(node, 0) || (second && !weight))
            break;
        value = second && !constant_of(node->inputs[0], &tensor) ? weight : node->inputs[0];
        if (value->rank >= 0)
            break;
    }
    /* A Conv needs three axes: fewer could only come from the constant. */
    return layout == LAYOUT_CONV ? 2 : 0;
}

const char *lift_channels(const struct value *data, struct value *operand, enum layout layout, int64_t *channels,
                          const double **numbers)
{
    struct arena *arena = data->graph->model->arena;
    const struct tensor *tensor;
    const char *reason = operand_weight(arena, operand, "operand", &tensor);
    if (reason)
        return reason;
    /* Numpy broadcasting aligns shapes at their last axis. */
    int rank = data->rank;
    int64_t least_width;
    int least = rank >= 0 ? rank : least_rank(data, layout, &least_width);
    if (tensor->count == 1) {
        if (tensor->rank > least)
            return "the constant has a higher rank than the value, and broadcasts it";
        *channels = 0;
    } else {
        int from_end = layout == LAYOUT_MATRIX ? 1 : rank - 1;
        if (rank < 0 && (layout == LAYOUT_CONV || tensor->rank != 1))
            return "the rank of the value is not known";
        if (rank >= 0 && tensor->rank > rank)
            return "the constant has a higher rank than the value, and broadcasts it";
        if (layout == LAYOUT_CONV && rank < 3)
            return "the value has no spatial axis";
        int axis = tensor->rank - from_end;
        for (int i = 0; i < tensor->rank; i++)
            if (i != axis && tensor->dims[i] != 1)
                return "the constant is not per channel: it varies along another axis";
        int64_t width = rank >= 0 ? data->dims[rank - from_end] : least_width;
        if (axis < 0 || tensor->count < 1)
            return "the constant is not per channel";
        if (width != tensor->dims[axis])
            return width < 0 ? "the number of channels is not known"
                             : "the constant broadcasts the value to more channels";
        *channels = tensor->dims[axis];
    }
    *numbers = constant_numbers(operand, tensor);
    if (!*numbers)
        return CONSTANT_TOO_LARGE;
    for (int64_t i = 0; i < tensor->count; i++)
        if (!isfinite((*numbers)[i]))
            return arena_format(arena, "the constant holds %s", decimal_rounded((*numbers)[i], 6).text);
    return NULL;
}

const char *channel_norm(struct node *node, struct channel_norm *norm)
{
    struct arena *arena = node->graph->model->arena;
    const double *gamma, *beta, *mean, *variance;
    const struct tensor *tensor;
    size_t named = 0;
    for (size_t i = 0; i < node->output_count; i++)
        named += node->outputs[i] != NULL;
    if (named > 1)
        return "BatchNormalization has more than one output, so it is in training mode";
    if (node->opset >= 14 && node_integer(node, "training_mode", 0))
        return "BatchNormalization is in training mode";
    if (node->opset < 9 && !node_integer(node, "spatial", 1))
        return "BatchNormalization normalizes each position by itself (spatial = 0)";
    norm->data = node_input(node, 0);
    if (!norm->data || !node_input(node, 1))
        return "an input is missing";
    const char *reason = operand_weight(arena, node->inputs[1], "scale", &tensor);
    if (reason)
        return reason;
    int64_t channels = norm->channels = tensor->count;
    norm->type = 0;
    reason = operand_vector(arena, node_input(node, 1), "scale", channels, &gamma, &norm->type);
    if (!reason)
        reason = operand_vector(arena, node_input(node, 2), "B", channels, &beta, NULL);
    if (!reason)
        reason = operand_vector(arena, node_input(node, 3), "mean", channels, &mean, NULL);
    if (!reason)
        reason = operand_vector(arena, node_input(node, 4), "var", channels, &variance, NULL);
    if (reason)
        return reason;
    double epsilon = node_float(node, "epsilon", (double)1e-5f);
    norm->scale = NEW_ARRAY(arena, double, channels + 1);
    norm->shift = NEW_ARRAY(arena, double, channels + 1);
    norm->terms = NEW_ARRAY(arena, double, channels + 1);
    for (int64_t c = 0; c < channels; c++) {
        if (!(variance[c] + epsilon > 0))
            return arena_format(arena, "var + epsilon is %s in channel %lld, expected more than 0",
                                decimal_rounded(variance[c] + epsilon, 6).text, (long long)c);
        norm->scale[c] = gamma[c] / sqrt(variance[c] + epsilon);
        norm->shift[c] = beta[c] - mean[c] * norm->scale[c];
        norm->terms[c] = fabs(beta[c]) + fabs(mean[c] * norm->scale[c]);
    }
    return NULL;
}

const char *lift_batch_normalization(struct node *node, enum layout layout, struct step *step)
{
    struct channel_norm norm;
    step->input = node_input(node, 0);
    if (step->input && layout == LAYOUT_MATRIX && step->input->rank != 2)
        return "BatchNormalization works on axis 1, which is not the last";
    if (step->input && layout == LAYOUT_CONV && step->input->rank >= 0 && step->input->rank < 3)
        return "the value has no spatial axis";
    const char *reason = channel_norm(node, &norm);
    if (reason)
        return reason;
    const struct affine *form;
    reason = affine_scale_shift(node->graph->model->arena, norm.channels, norm.scale, norm.shift, norm.terms, &form);
    step->form = form;
    /* From opset 15 on the parameters may be of another type than the data. */
    step->type = node->opset < 15 ? norm.type : 0;
    step->parameters = 4 * norm.channels;
    return reason;
}

/* scale * x + shift with a constant operand on one side. */
static const char *lift_constant_operand(struct node *node, enum layout layout, struct value *data,
                                         struct value *operand, bool constant_first, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    const double *numbers;
    int64_t channels;
    const char *reason = lift_channels(data, operand, layout, &channels, &numbers);
    if (reason)
        return reason;
    if (operand->is_annotated)
        return "its operand carries a quantization annotation";
    int64_t count = channels ? channels : 1;
    double *scale = NEW_ARRAY(arena, double, count), *shift = NEW_ARRAY(arena, double, count);
    for (int64_t c = 0; c < count; c++) {
        scale[c] = 1;
        switch (node->op) {
        case OP_Mul: scale[c] = numbers[c]; break;
        case OP_Div:
            scale[c] = 1 / numbers[c];
            if (!isfinite(scale[c]))
                return "it divides by 0 or by a number whose reciprocal is not finite";
            break;
        case OP_Sub:
            scale[c] = constant_first ? -1 : 1;
            shift[c] = constant_first ? numbers[c] : -numbers[c];
            break;
        default: shift[c] = numbers[c];
        }
    }
    const struct affine *form;
    if (channels) {
        reason = affine_scale_shift(arena, channels, scale, shift, NULL, &form);
    } else {
        form = affine_uniform(arena, scale[0], shift[0]);
    }
    step->input = data;
    step->form = form;
    step->parameters = count;
    return reason;
}

static bool is_number(struct value *value, double number)
{
    const struct tensor *tensor;
    if (!value || constant_of(value, &tensor) || tensor->count != 1)
        return false;
    const double *numbers = constant_numbers(value, tensor);
    return numbers && numbers[0] == number;
}

/* Which input of a binary op another op makes, or 2. */
static size_t made_by(const struct node *node, enum op op)
{
    for (size_t i = 0; i < 2; i++) {
        const struct value *input = node_input(node, i);
        if (input && input->producer && input->producer->op == op && !input->producer->removed)
            return i;
    }
    return 2;
}

const char *channel_ends_gelu(const struct node *node)
{
    size_t product = node->op == OP_Mul ? made_by(node, OP_Mul) : 2;
    if (product == 2 || !is_number(node_input(node, 1 - product), 0.5))
        return NULL;
    const struct node *inner = node->inputs[product]->producer;
    size_t sum = made_by(inner, OP_Add);
    const struct node *add = sum < 2 ? inner->inputs[sum]->producer : NULL;
    size_t curve = add ? made_by(add, OP_Erf) : 2;
    if (add && curve == 2)
        curve = made_by(add, OP_Tanh);
    return curve < 2 && is_number(node_input(add, 1 - curve), 1)
               ? "it is the last factor of a GELU, which " REASON_ONE_OP_WHILE_WHOLE
               : NULL;
}

const char *lift_product(struct node *node, enum layout layout, struct step *step)
{
    struct value *a = node_input(node, 0), *b = node_input(node, 1);
    const struct tensor *tensor;
    const char *reason = channel_ends_gelu(node);
    if (reason)
        return reason;
    if (!a || !b)
        return "an operand is missing";
    if (!constant_of(b, &tensor))
        return lift_constant_operand(node, layout, a, b, false, step);
    struct value *stored = b->is_initializer ? b : a;
    if (constant_of(a, &tensor) && stored->is_initializer)
        return operand_weight(node->graph->model->arena, stored, "operand", &tensor);
    if (constant_of(a, &tensor))
        return a == b ? "x * x is not linear"
                      : "it combines two values that are not constant, " REASON_NOT_ONE_CONSTANT;
    if (node->op == OP_Div)
        return "a constant divided by a value is not linear";
    return lift_constant_operand(node, layout, b, a, true, step);
}

/* Add, Sub, Sum, Mean: a constant operand shifts, the others are joined. */
const char *lift_sum(struct node *node, enum layout layout, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    bool binary = node->op == OP_Add || node->op == OP_Sub;
    const struct tensor *tensor;
    size_t constants = 0;
    if (binary && node->input_count != 2)
        return "an operand is missing";
    if (node->input_count == 0)
        return "it has no operand";
    double factor = node->op == OP_Mean ? 1.0 / (double)node->input_count : 1;
    step->terms = NEW_ARRAY(arena, struct term, node->input_count);
    step->form = lift_identity(node->graph->model);
    for (size_t k = 0; k < node->input_count; k++) {
        struct value *operand = node->inputs[k];
        if (!operand)
            return "an operand is missing";
        if (!constant_of(operand, &tensor)) {
            constants++;
            continue;
        }
        bool negative = node->op == OP_Sub && k == 1;
        step->terms[step->term_count++] = (struct term){operand, negative ? -factor : factor};
    }
    if (step->term_count == 0)
        return "it is a constant";
    if (!constants)
        return NULL;
    if (!binary)
        return "it sums constants and values in one op";
    step->term_count = 0;
    bool first = !constant_of(node->inputs[0], &tensor);
    return lift_constant_operand(node, layout, node->inputs[first], node->inputs[!first], first, step);
}

const char *lift_concat(struct node *node, enum layout layout, struct step *step)
{
    struct model *model = node->graph->model;
    int rank = node->outputs[0] ? node->outputs[0]->rank : -1;
    step->terms = NEW_ARRAY(model->arena, struct term, node->input_count + 1);
    step->form = lift_identity(model);
    step->stacks = true;
    for (size_t k = 0; k < node->input_count; k++) {
        struct value *part = node->inputs[k];
        if (!part)
            return "an operand is missing";
        rank = rank < 0 ? part->rank : rank;
        step->terms[step->term_count++] = (struct term){part, 1};
    }
    if (rank < 2 || !step->term_count)
        return "the rank of the value is not known or does not fit";
    int64_t axis = node_integer(node, "axis", 1);
    axis += axis < 0 ? rank : 0;
    if (layout == LAYOUT_CONV ? axis != 1 || rank < 3 : axis != rank - 1)
        return "Concat joins another axis than the channels";
    return NULL;
}

const char *lift_dropout(struct node *node, struct step *step)
{
    struct value *mode = node_input(node, 2);
    const struct tensor *tensor;
    int64_t live = 1;
    if (mode && (constant_of(mode, &tensor) || tensor->count != 1 || !tensor_read_integers(tensor, &live) || live))
        return "Dropout may be in training mode";
    step->input = node_input(node, 0);
    step->form = lift_identity(node->graph->model);
    return NULL;
}

const char *lift_unary(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    step->input = node_input(node, 0);
    if (!step->input)
        return "its input is missing";
    step->form = node->op == OP_Neg ? affine_uniform(arena, -1, 0) : lift_identity(node->graph->model);
    if (node->op != OP_Cast)
        return NULL;
    int32_t to = (int32_t)node_integer(node, "to", 0);
    if (to != step->input->type || !type_is_float(to))
        return arena_format(arena, "it casts from %s to %s",
                            step->input->type ? type_name(step->input->type) : "an unknown type", type_name(to));
    return NULL;
}
