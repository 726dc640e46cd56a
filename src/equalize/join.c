/* equalize/join.c: sums and products of values, or of a value and a constant. */
#include <math.h>

#include "affine/rows.h"
#include "equalize/through.h"
#include "fuse/lift.h"
#include "model/model.h"

/* Axis and channels of what a broadcast of the inputs gives. */
static struct channels *give_broadcast(struct classes *classes, struct node *node)
{
    struct value *value = node->outputs[0];
    for (size_t k = 0; k < node->input_count; k++) {
        const struct channels *in = input_of(node, k);
        if (in)
            return classes_give(classes, value, in->axis + value->rank - in->value->rank);
    }
    return NULL;
}

static bool fits(const struct channels *out, const struct channels *in)
{
    return in->axis + out->value->rank - in->value->rank == out->axis && (in->count == out->count || in->count == 1);
}

/* A constant operand: its number for a channel, or NaN if there are several. */
struct along {
    const double *numbers;
    bool single; /* one number for all channels */
};

static const char *read_along(const struct channels *out, struct value *value, const struct tensor *tensor,
                              struct along *along)
{
    int axis = tensor->rank - (out->value->rank - out->axis);
    *along = (struct along){0};
    if (!type_is_float(tensor->type) || !tensor_is_readable(tensor) || value->is_annotated ||
        tensor->rank > out->value->rank || tensor->count < 1 ||
        (axis >= 0 && tensor->dims[axis] != 1 && tensor->dims[axis] != out->count))
        return "its constant cannot be scaled";
    bool channel = axis >= 0 && tensor->count == tensor->dims[axis];
    if (tensor->count != 1 && (axis < 0 || tensor->dims[axis] != out->count))
        return "its constant varies along another axis than the channels";
    if (tensor->count != 1 && !channel)
        return NULL;
    along->numbers = constant_numbers(value, tensor);
    along->single = tensor->count == 1;
    return along->numbers ? NULL : CONSTANT_TOO_LARGE;
}

static struct moments add_up(enum op op, struct moments x, struct moments y, bool second)
{
    if (op == OP_Max)
        return moments_max(x, y);
    if (op == OP_Min)
        return moments_min(x, y);
    return moments_add(x, op == OP_Sub && second ? moments_scale_shift(y, -1, 0) : y);
}

const char *through_sum(struct classes *classes, struct node *node)
{
    struct channels *out = give_broadcast(classes, node);
    const struct tensor *tensor;
    if (!out)
        return NOT_KNOWN;
    for (size_t k = 0; k < node->input_count; k++) {
        struct channels *in = input_of(node, k);
        struct value *value = node->inputs[k];
        struct along along = {0};
        if (!value || (in && !fits(out, in)))
            return NOT_KNOWN;
        bool constant = !in && is_constant(value, &tensor);
        const char *reason = constant ? read_along(out, value, tensor, &along) : NULL;
        if (!in && !constant)
            reason = arena_format(classes->arena, "its other operand '%s' cannot be scaled", value->name);
        if (reason)
            return reason;
        if (constant) {
            struct shift shift = {node, k, out->value->rank - 1 - out->axis, out};
            LIST_PUSH(classes->arena, &classes->shifts, shift);
        }
        for (int64_t c = 0; c < out->count; c++) {
            struct moments *to = &channel_at(classes, out, c)->moments;
            int64_t from = in && in->count == 1 ? 0 : c;
            struct moments x = in              ? moments_of(classes, in, from)
                               : along.numbers ? moments_normal(along.numbers[along.single ? 0 : c], 0)
                                               : moments_unknown;
            if (in)
                classes_tie(classes, out, c, in, from);
            *to = k ? add_up(node->op, *to, x, k == 1) : x;
        }
    }
    double factor = node->op == OP_Mean ? 1 / (double)node->input_count : 1;
    for (int64_t c = 0; factor != 1 && c < out->count; c++) {
        struct moments *to = &channel_at(classes, out, c)->moments;
        *to = moments_scale_shift(*to, factor, 0);
    }
    return NULL;
}

/* One of two values may be scaled; the other is a gate. */
const char *through_product(struct classes *classes, struct node *node)
{
    struct channels *in[2] = {input_of(node, 0), input_of(node, 1)};
    const struct tensor *tensor;
    struct along along = {0};
    bool first = in[0] && !classes_pinned(classes, in[0]);
    bool second = in[1] && !classes_pinned(classes, in[1]);
    size_t data = first || !second ? 0 : 1;
    struct value *other = node->inputs[1 - data];
    if (node->input_count != 2 || !other)
        return NOT_KNOWN;
    if (first && second)
        return "it multiplies two values that could both be scaled";
    if (node->op == OP_Div && data == 1)
        return "it divides by a value that could be scaled";
    if (!in[data])
        return "neither operand can be scaled";
    struct channels *out =
        classes_give(classes, node->outputs[0], in[data]->axis + node->outputs[0]->rank - in[data]->value->rank);
    if (!out || out->count != in[data]->count)
        return NOT_KNOWN;
    bool constant = is_constant(other, &tensor);
    const char *reason = constant ? read_along(out, other, tensor, &along) : NULL;
    if (reason)
        return reason;
    for (int64_t c = 0; c < out->count; c++) {
        through_take(classes, out, c, in[data], c);
        struct moments *to = &channel_at(classes, out, c)->moments;
        double factor = along.numbers ? along.numbers[along.single ? 0 : c] : (double)NAN;
        /* A gate is most often between 0 and 1. */
        if (constant)
            *to = moments_scale_shift(*to, node->op == OP_Div ? 1 / factor : factor, 0);
    }
    return NULL;
}

const char *through_normalize(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    const struct step *step = lift_node(node, in->value->rank == 2 ? LAYOUT_MATRIX : LAYOUT_CONV);
    if (step->reason || in->axis != 1)
        return step->reason ? step->reason : NOT_KNOWN;
    if (step->form->outputs && step->form->outputs != in->count) /* not valid, or not known */
        return NOT_KNOWN;
    const char *reason = through_keep(classes, node, in, 0, 1);
    struct channels *out = reason ? NULL : value_channels(node->outputs[0]);
    double *scale = NEW_ARRAY(classes->arena, double, in->count);
    if (reason || !affine_rows(step->form, NULL, in->count, 0, in->count, scale))
        return reason ? reason : NOT_KNOWN;
    const double *offset = affine_bias(classes->arena, step->form, in->count);
    for (size_t k = 2; k <= 3; k++) { /* B and mean */
        struct shift shift = {node, k, 0, out};
        LIST_PUSH(classes->arena, &classes->shifts, shift);
    }
    for (int64_t c = 0; c < in->count; c++)
        channel_at(classes, out, c)->moments =
            moments_scale_shift(moments_of(classes, in, c), scale[c], offset ? offset[c] : 0);
    return NULL;
}
