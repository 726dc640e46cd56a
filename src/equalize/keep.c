/* equalize/keep.c: operators that treat channels apart and leave each where it is. */
#include "equalize/through.h"
#include "fuse/lift.h"
#include "model/model.h"

void through_take(struct classes *classes, struct channels *to, int64_t j, struct channels *from, int64_t i)
{
    classes_tie(classes, to, j, from, i);
    channel_at(classes, to, j)->moments = moments_of(classes, from, i);
}

const char *through_keep(struct classes *classes, struct node *node, struct channels *in, size_t index, int axis)
{
    struct value *value = node_output(node, index);
    struct channels *out = value ? classes_give(classes, value, axis) : NULL;
    if (!value)
        return NULL;
    if (!out || out->count != in->count)
        return NOT_KNOWN;
    for (int64_t c = 0; c < in->count; c++)
        through_take(classes, out, c, in, c);
    return NULL;
}

const char *through_activate(struct classes *classes, struct node *node, double slope)
{
    const char *reason = through_keep(classes, node, input_of(node, 0), 0, input_of(node, 0)->axis);
    struct channels *out = reason ? NULL : value_channels(node->outputs[0]);
    for (int64_t c = 0; out && c < out->count; c++) {
        struct channel *channel = channel_at(classes, out, c);
        channel->moments = moments_slope(channel->moments, slope);
    }
    return reason;
}

const char *through_activate_by_slopes(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0), *slopes = input_of(node, 1);
    const struct tensor *tensor;
    const double *numbers = NULL;
    if (!in)
        return "its data cannot be scaled";
    const char *reason = through_keep(classes, node, in, 0, in->axis);
    classes_pin(classes, slopes, node, "the op reads it as a slope");
    if (node_input(node, 1) && is_constant(node->inputs[1], &tensor) && type_is_float(tensor->type) &&
        tensor_is_readable(tensor))
        numbers = constant_numbers(node->inputs[1], tensor);
    for (int64_t c = 0; !reason && c < in->count; c++) {
        struct channel *channel = channel_at(classes, value_channels(node->outputs[0]), c);
        channel->moments =
            numbers ? moments_slope(channel->moments, numbers[tensor->count == in->count ? c : 0]) : moments_unknown;
    }
    return reason;
}

/* Neg, Cast and Dropout, where they change nothing but a sign. */
const char *through_pass_on(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    const struct step *step = lift_node(node, LAYOUT_CONV);
    const char *reason = step->reason ? step->reason : through_keep(classes, node, in, 0, in->axis);
    for (int64_t c = 0; !reason && node->op == OP_Neg && c < in->count; c++) {
        struct channel *to = channel_at(classes, value_channels(node->outputs[0]), c);
        to->moments = moments_scale_shift(to->moments, -1, 0);
    }
    return reason;
}

const char *through_pool(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    const char *reason = only_first_is_needed(node);
    if (!reason && in->axis != 1)
        reason = NOT_KNOWN;
    return reason ? reason : through_keep(classes, node, in, 0, 1);
}

bool through_axes(const struct node *node, size_t input, int rank, int64_t *axes, size_t *count)
{
    int64_t held[EQUALIZE_RANK];
    const int64_t *given = constant_integers(node, "axes", input, held, EQUALIZE_RANK, count);
    for (size_t i = 0; given && i < *count; i++) {
        axes[i] = given[i] < 0 ? given[i] + rank : given[i];
        if (axes[i] < 0 || axes[i] >= rank)
            return false;
    }
    return given && *count <= EQUALIZE_RANK;
}

static bool is_among(int64_t axis, const int64_t *axes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (axes[i] == axis)
            return true;
    return false;
}

/* The index of an axis after some are removed. */
static int axis_without(int axis, const int64_t *axes, size_t count)
{
    int left = axis;
    for (int i = 0; i < axis; i++)
        left -= is_among(i, axes, count);
    return left;
}

const char *through_reduce(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    int64_t axes[EQUALIZE_RANK];
    size_t count;
    if (!through_axes(node, 1, in->value->rank, axes, &count) || !count || is_among(in->axis, axes, count))
        return "it reduces over channels";
    int axis = node_integer(node, "keepdims", 1) ? in->axis : axis_without(in->axis, axes, count);
    return through_keep(classes, node, in, 0, axis);
}

const char *through_squeeze(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    int64_t axes[EQUALIZE_RANK];
    size_t count;
    if (!through_axes(node, 1, in->value->rank, axes, &count) || is_among(in->axis, axes, count))
        return "its axes are not known";
    return through_keep(classes, node, in, 0, axis_without(in->axis, axes, count));
}

const char *through_unsqueeze(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    const struct value *value = node->outputs[0];
    int64_t axes[EQUALIZE_RANK];
    size_t count;
    int axis = 0;
    if (value->rank < 0 || !through_axes(node, 1, value->rank, axes, &count))
        return "its axes are not known";
    for (int old = 0;; axis++)
        if (!is_among(axis, axes, count) && old++ == in->axis)
            break;
    return through_keep(classes, node, in, 0, axis);
}

const char *through_transpose(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    size_t count;
    const int64_t *perm = node_integers(node, "perm", &count);
    int rank = in->value->rank;
    if (perm && count != (size_t)rank)
        return NOT_KNOWN;
    for (int i = 0; i < rank; i++)
        if ((perm ? perm[i] : rank - 1 - i) == in->axis)
            return through_keep(classes, node, in, 0, i);
    return NOT_KNOWN;
}

const char *through_pad(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    int64_t held[2 * EQUALIZE_RANK], axes[EQUALIZE_RANK];
    size_t count, named = 0;
    const int64_t *amounts = constant_integers(node, "pads", 1, held, COUNT_OF(held), &count);
    const char *mode = node_string(classes->arena, node, "mode", "constant");
    struct value *with = node_input(node, 2);
    const struct tensor *tensor = NULL;
    double number = node_float(node, "value", 0);
    if (with && (!is_constant(with, &tensor) || tensor->count != 1 || !tensor_is_readable(tensor)))
        return "what it pads with is not constant";
    if (with)
        tensor_read(tensor, 0, 1, &number);
    if (strcmp(mode, "constant") == 0 && number != 0)
        return "it pads with a number other than 0";
    bool all = !node_input(node, 3);
    if (!amounts || (!all && !through_axes(node, 3, in->value->rank, axes, &named)))
        return "its widths are not known";
    named = all ? (size_t)in->value->rank : named;
    if (count != 2 * named)
        return "its widths are not known";
    for (size_t i = 0; i < named; i++)
        if ((all ? (int64_t)i : axes[i]) == in->axis && (amounts[i] || amounts[named + i]))
            return "it pads channels";
    return through_keep(classes, node, in, 0, in->axis);
}

const char *through_resize(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    size_t count, scales_at = node->op == OP_Upsample || node->opset < 11 ? 1 : 2;
    struct value *scales = node_input(node, scales_at);
    const struct tensor *tensor;
    const char *mode = node_string(classes->arena, node, "mode", "nearest");
    double factors[EQUALIZE_RANK];
    if (node_attribute(node, "axes") ||
        strcmp(node_string(classes->arena, node, "coordinate_transformation_mode", ""), "tf_crop_and_resize") == 0)
        return "it resizes in a way that is not known";
    if (strcmp(mode, "nearest") != 0 && strcmp(mode, "linear") != 0 && strcmp(mode, "bilinear") != 0)
        return "it does not resize by nearest or linear";
    bool sized = node_input(node, 3) != NULL;
    if (node_attribute(node, "scales"))
        return "it resizes in a way that is not known";
    if (!sized) {
        if (!scales || !is_constant(scales, &tensor) || !type_is_float(tensor->type) ||
            tensor->count != in->value->rank || tensor->count > EQUALIZE_RANK || !tensor_is_readable(tensor))
            return "its scales are not known";
        count = (size_t)tensor->count;
        tensor_read(tensor, 0, (int64_t)count, factors);
        if (factors[in->axis] != 1)
            return "it resizes channels";
    }
    return through_keep(classes, node, in, 0, in->axis);
}
