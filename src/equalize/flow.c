/* equalize/flow.c: what each operator does to the scales of its channels.
 *
 * An operator is let through where y(s x) = s y(x) holds to the bit for powers of two, channel by channel: it compares,
 * moves, adds or multiplies by what is not scaled. Operators after ONNX's text, default domain. */
#include "equalize/flow.h"

#include <math.h>
#include <stdlib.h>

#include "affine/rows.h"
#include "equalize/measured.h"
#include "fuse/lift.h"
#include "infer/constant.h"
#include "infer/operand.h"
#include "model/model.h"

enum { RANK = 16 };

#define NOT_KNOWN "its channels are not known"

static struct channel *channel_at(struct classes *classes, const struct channels *channels,
                                  int64_t index)
{
    return &classes->channels.items[channels->first + index];
}

static struct moments moments_of(struct classes *classes, const struct channels *channels,
                                 int64_t index)
{
    return channel_at(classes, channels, index)->moments;
}

static struct channels *input_of(const struct node *node, size_t index)
{
    const struct value *value = node_input(node, index);
    return value && value->graph == node->graph ? value_channels(value) : NULL;
}

static bool is_constant(struct value *value, const struct tensor **tensor)
{
    return !constant_of(value, tensor);
}

/* ---- statistics ---- */

static bool known_moments(void *closure, const struct value *value, int64_t count,
                          struct moments *moments)
{
    struct classes *classes = closure;
    const struct channels *channels = value->graph == classes->graph ? value_channels(value) : NULL;
    if (!channels || channels->count != count)
        return false;
    for (int64_t c = 0; c < count; c++) {
        moments[c] = moments_of(classes, channels, c);
        if (!moments_known(moments[c]))
            return false;
    }
    return true;
}

/* A part of a sum is no value of the file: it is what its rewrite adds up. */
static bool of_parts(struct classes *classes, const struct value *value, int64_t count,
                     struct moments *moments)
{
    const struct fusion *fusion = value->fusion;
    struct moments *term = NEW_ARRAY(classes->arena, struct moments, count);
    if (!fusion || fusion->target != value || !fusion->terms.count)
        return false;
    for (size_t k = 0; k < fusion->terms.count; k++) {
        if (!statistics_of_file(fusion->terms.items[k].value, count, known_moments, classes, term))
            return false;
        for (int64_t c = 0; c < count; c++) {
            struct moments x = moments_scale_shift(term[c], fusion->terms.items[k].factor, 0);
            moments[c] = k ? moments_add(moments[c], x) : x;
        }
    }
    return true;
}

/* What was measured goes before what is concluded. */
static bool take_measured(struct classes *classes, const struct channels *channels)
{
    const struct measured *measured =
        classes->measured->count ? map_get(classes->measured, channels->value->name) : NULL;
    if (!measured || measured->count != channels->count)
        return false;
    for (int64_t c = 0; c < channels->count; c++)
        channel_at(classes, channels, c)->moments = measured->moments[c];
    return true;
}

/* Where the op itself said nothing, the BatchNormalizations that were folded into it may. */
static void ask_file(struct classes *classes, struct channels *channels)
{
    struct value *value = channels->value;
    struct moments *moments = NEW_ARRAY(classes->arena, struct moments, channels->count);
    for (int64_t c = 0; c < channels->count; c++)
        if (moments_known(moments_of(classes, channels, c)))
            return;
    if (value->is_new ? of_parts(classes, value, channels->count, moments)
                      : statistics_of_file(value, channels->count, known_moments, classes, moments))
        for (int64_t c = 0; c < channels->count; c++)
            channel_at(classes, channels, c)->moments = moments[c];
}

/* ---- one to one ---- */

static void take(struct classes *classes, struct channels *to, int64_t j, struct channels *from,
                 int64_t i)
{
    classes_tie(classes, to, j, from, i);
    channel_at(classes, to, j)->moments = moments_of(classes, from, i);
}

/* Channel c of output `index`, on that axis, is channel c of the input. */
static const char *keep(struct classes *classes, struct node *node, struct channels *in,
                        size_t index, int axis)
{
    struct value *value = node_output(node, index);
    struct channels *out = value ? classes_give(classes, value, axis) : NULL;
    if (!value)
        return NULL;
    if (!out || out->count != in->count)
        return NOT_KNOWN;
    for (int64_t c = 0; c < in->count; c++)
        take(classes, out, c, in, c);
    return NULL;
}

static const char *activate(struct classes *classes, struct node *node, double slope)
{
    const char *reason = keep(classes, node, input_of(node, 0), 0, input_of(node, 0)->axis);
    struct channels *out = reason ? NULL : value_channels(node->outputs[0]);
    for (int64_t c = 0; out && c < out->count; c++) {
        struct channel *channel = channel_at(classes, out, c);
        channel->moments = moments_slope(channel->moments, slope);
    }
    return reason;
}

static const char *activate_by_slopes(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0), *slopes = input_of(node, 1);
    const struct tensor *tensor;
    const double *numbers = NULL;
    if (!in)
        return "its slope is not scaled like its data";
    const char *reason = keep(classes, node, in, 0, in->axis);
    classes_pin(classes, slopes, node, "it is a slope");
    if (node_input(node, 1) && is_constant(node->inputs[1], &tensor) &&
        type_is_float(tensor->type) && tensor_is_readable(tensor))
        numbers = constant_numbers(node->inputs[1], tensor);
    for (int64_t c = 0; !reason && c < in->count; c++) {
        struct channel *channel = channel_at(classes, value_channels(node->outputs[0]), c);
        channel->moments =
            numbers ? moments_slope(channel->moments, numbers[tensor->count == in->count ? c : 0])
                    : moments_unknown;
    }
    return reason;
}

static const char *pool(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    const char *reason = only_first_is_needed(node);
    if (!reason && in->axis != 1)
        reason = NOT_KNOWN;
    return reason ? reason : keep(classes, node, in, 0, 1);
}

/* Axes of the node made non-negative; false: they are not known. */
static bool axes_of(const struct node *node, size_t input, int rank, int64_t *axes, size_t *count)
{
    int64_t held[RANK];
    const int64_t *given = constant_integers(node, "axes", input, held, RANK, count);
    for (size_t i = 0; given && i < *count; i++) {
        axes[i] = given[i] < 0 ? given[i] + rank : given[i];
        if (axes[i] < 0 || axes[i] >= rank)
            return false;
    }
    return given && *count <= RANK;
}

static bool is_among(int64_t axis, const int64_t *axes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (axes[i] == axis)
            return true;
    return false;
}

/* What is left of an axis once some are gone. */
static int axis_without(int axis, const int64_t *axes, size_t count)
{
    int left = axis;
    for (int i = 0; i < axis; i++)
        left -= is_among(i, axes, count);
    return left;
}

static const char *reduce(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    int64_t axes[RANK];
    size_t count;
    if (!axes_of(node, 1, in->value->rank, axes, &count) || !count ||
        is_among(in->axis, axes, count))
        return "it reduces over channels";
    int axis = node_integer(node, "keepdims", 1) ? in->axis : axis_without(in->axis, axes, count);
    return keep(classes, node, in, 0, axis);
}

static const char *squeeze(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    int64_t axes[RANK];
    size_t count;
    if (!axes_of(node, 1, in->value->rank, axes, &count) || is_among(in->axis, axes, count))
        return "its axes are not known";
    return keep(classes, node, in, 0, axis_without(in->axis, axes, count));
}

static const char *unsqueeze(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    const struct value *value = node->outputs[0];
    int64_t axes[RANK];
    size_t count;
    int axis = 0;
    if (value->rank < 0 || !axes_of(node, 1, value->rank, axes, &count))
        return "its axes are not known";
    for (int old = 0;; axis++)
        if (!is_among(axis, axes, count) && old++ == in->axis)
            break;
    return keep(classes, node, in, 0, axis);
}

static const char *transpose(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    size_t count;
    const int64_t *perm = node_integers(node, "perm", &count);
    int rank = in->value->rank;
    if (perm && count != (size_t)rank)
        return NOT_KNOWN;
    for (int i = 0; i < rank; i++)
        if ((perm ? perm[i] : rank - 1 - i) == in->axis)
            return keep(classes, node, in, 0, i);
    return NOT_KNOWN;
}

static const char *pad(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    int64_t held[2 * RANK], axes[RANK];
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
        return "it pads with another number than 0";
    bool all = !node_input(node, 3);
    if (!amounts || (!all && !axes_of(node, 3, in->value->rank, axes, &named)))
        return "its amounts are not known";
    named = all ? (size_t)in->value->rank : named;
    if (count != 2 * named)
        return "its amounts are not known";
    for (size_t i = 0; i < named; i++)
        if ((all ? (int64_t)i : axes[i]) == in->axis && (amounts[i] || amounts[named + i]))
            return "it pads channels";
    return keep(classes, node, in, 0, in->axis);
}

static const char *resize(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    size_t count, scales_at = node->op == OP_Upsample || node->opset < 11 ? 1 : 2;
    struct value *scales = node_input(node, scales_at);
    const struct tensor *tensor;
    const char *mode = node_string(classes->arena, node, "mode", "nearest");
    double factors[RANK];
    if (node_attribute(node, "axes") ||
        strcmp(node_string(classes->arena, node, "coordinate_transformation_mode", ""),
               "tf_crop_and_resize") == 0)
        return "it resizes in a way that is not known";
    if (strcmp(mode, "nearest") != 0 && strcmp(mode, "linear") != 0 &&
        strcmp(mode, "bilinear") != 0)
        return "it does not resize by nearest or linear";
    bool sized = node_input(node, 3) != NULL;
    if (node_attribute(node, "scales"))
        return "it resizes in a way that is not known";
    if (!sized) {
        if (!scales || !is_constant(scales, &tensor) || !type_is_float(tensor->type) ||
            tensor->count != in->value->rank || tensor->count > RANK || !tensor_is_readable(tensor))
            return "its scales are not known";
        count = (size_t)tensor->count;
        tensor_read(tensor, 0, (int64_t)count, factors);
        if (factors[in->axis] != 1)
            return "it resizes channels";
    }
    return keep(classes, node, in, 0, in->axis);
}

/* ---- channels moved ---- */

/* Numbers behind the first axis of a shape, or -1. */
static int64_t behind_first(const struct value *value)
{
    int64_t count;
    return value->rank >= 2 && count_elements(value->dims + 1, (size_t)value->rank - 1, &count)
               ? count
               : -1;
}

/* Reshape and Flatten: channels on axis 1 before and after, and the batch stays the batch. */
static const char *reshape(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    struct value *value = node->outputs[0];
    int64_t all = behind_first(in->value);
    if (in->axis != 1 || all < 1 || value->rank < 2 || behind_first(value) != all)
        return "it mixes channels, or its shape is not known";
    struct channels *out = classes_give(classes, value, 1);
    if (!out)
        return NOT_KNOWN;
    int64_t inner = all / in->count, outer = all / out->count;
    for (int64_t k = 0; k < all; k += inner < outer ? inner : outer) {
        if (inner % outer && outer % inner)
            return "it mixes channels";
        take(classes, out, k / outer, in, k / inner);
    }
    return NULL;
}

static const char *depth_to_space(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    bool back = node->op == OP_SpaceToDepth;
    bool rows = strcmp(node_string(classes->arena, node, "mode", "DCR"), "CRD") == 0;
    int64_t block = node_integer(node, "blocksize", 0), least;
    struct channels *out = in->axis == 1 ? classes_give(classes, node->outputs[0], 1) : NULL;
    if (!out || block < 1 || block > 1 << 15)
        return NOT_KNOWN;
    least = back ? in->count : out->count;
    if ((back ? out->count : in->count) != least * block * block)
        return NOT_KNOWN;
    for (int64_t k = 0; k < least * block * block; k++) {
        int64_t one = rows && !back ? k / (block * block) : k % least;
        take(classes, out, back ? k : one, in, back ? one : k);
    }
    return NULL;
}

static const char *slice(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    int64_t starts_held[RANK], steps_held[RANK], axes[RANK], start = 0, step = 1;
    size_t count, axis_count = 0, step_count;
    bool cut = false;
    const int64_t *starts = constant_integers(node, "starts", 1, starts_held, RANK, &count);
    const int64_t *steps = constant_integers(node, "steps", 4, steps_held, RANK, &step_count);
    bool named = node_attribute(node, "axes") || node_input(node, 3);
    if (!starts || (node_input(node, 4) && (!steps || step_count != count)) ||
        (named && (!axes_of(node, 3, in->value->rank, axes, &axis_count) || axis_count != count)))
        return "what it takes is not known";
    for (size_t i = 0; i < count; i++)
        if ((named ? axes[i] : (int64_t)i) == in->axis) {
            cut = true;
            start = starts[i] < 0 ? starts[i] + in->count : starts[i];
            step = steps ? steps[i] : 1;
        }
    if (!cut)
        return keep(classes, node, in, 0, in->axis);
    struct channels *out = classes_give(classes, node->outputs[0], in->axis);
    int64_t last = step < 0 ? in->count - 1 : in->count;
    start = start < 0 ? 0 : start > last ? last : start;
    if (!out || step == 0 || step > in->count || -step > in->count || out->count > in->count ||
        start + (out->count - 1) * step < 0 || start + (out->count - 1) * step >= in->count)
        return "what it takes is not known";
    for (int64_t c = 0; c < out->count; c++)
        take(classes, out, c, in, start + c * step);
    return NULL;
}

static const char *split(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    int64_t axis = node_integer(node, "axis", 0), first = 0;
    axis = axis < 0 ? axis + in->value->rank : axis;
    for (size_t k = 0; k < node->output_count; k++) {
        struct value *value = node->outputs[k];
        const char *reason = axis == in->axis ? NULL : keep(classes, node, in, k, in->axis);
        if (reason)
            return reason;
        if (axis != in->axis)
            continue;
        struct channels *out = value ? classes_give(classes, value, in->axis) : NULL;
        if (!out || out->count > in->count - first)
            return NOT_KNOWN;
        for (int64_t c = 0; c < out->count; c++)
            take(classes, out, c, in, first + c);
        first += out->count;
    }
    return axis == in->axis && first != in->count ? NOT_KNOWN : NULL;
}

static const char *concat(struct classes *classes, struct node *node)
{
    struct value *value = node->outputs[0];
    int64_t axis = node_integer(node, "axis", 1), first = 0;
    int at = -1;
    for (size_t k = 0; k < node->input_count && at < 0; k++)
        at = input_of(node, k) ? input_of(node, k)->axis : -1;
    axis = axis < 0 ? axis + value->rank : axis;
    struct channels *out = classes_give(classes, value, at);
    if (!out)
        return NOT_KNOWN;
    for (size_t k = 0; k < node->input_count; k++) {
        const struct value *part = node->inputs[k];
        struct channels *in = input_of(node, k);
        if (!part || part->rank != value->rank || part->dims[at] < 1 || (in && in->axis != at))
            return NOT_KNOWN;
        int64_t count = part->dims[at], begin = axis == at ? first : 0;
        if (count > out->count - begin)
            return NOT_KNOWN;
        for (int64_t c = 0; c < count; c++) {
            if (in)
                take(classes, out, begin + c, in, c);
            else
                class_pin(classes, class_of(classes, out, begin + c), node,
                          "another part of it is not scaled");
        }
        first += count;
    }
    return axis == at && first != out->count ? NOT_KNOWN : NULL;
}

/* ---- sums and products ---- */

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
    return in->axis + out->value->rank - in->value->rank == out->axis &&
           (in->count == out->count || in->count == 1);
}

/* Where a constant broadcasts over the value it meets: its number for a channel, or NaN where there are several. */
struct along {
    const double *numbers;
    bool single; /* one number for all channels */
};

static const char *read_along(const struct channels *out, struct value *value,
                              const struct tensor *tensor, struct along *along)
{
    int axis = tensor->rank - (out->value->rank - out->axis);
    *along = (struct along){0};
    if (!type_is_float(tensor->type) || !tensor_is_readable(tensor) || value->is_annotated ||
        tensor->rank > out->value->rank || tensor->count < 1 ||
        (axis >= 0 && tensor->dims[axis] != 1 && tensor->dims[axis] != out->count))
        return "its constant cannot be scaled";
    bool channel = axis >= 0 && tensor->count == tensor->dims[axis];
    if (tensor->count != 1 && (axis < 0 || tensor->dims[axis] != out->count))
        return "its constant is the same for all channels, and not one number";
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

static const char *sum(struct classes *classes, struct node *node)
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
            reason =
                arena_format(classes->arena, "its other operand '%s' is not scaled", value->name);
        if (reason)
            return reason;
        if (constant) {
            struct shift shift = {node, k, out->value->rank - 1 - out->axis, out};
            LIST_PUSH(classes->arena, &classes->shifts, shift);
        }
        for (int64_t c = 0; c < out->count; c++) {
            struct moments *to = &channel_at(classes, out, c)->moments;
            int64_t from = in && in->count == 1 ? 0 : c;
            struct moments x = in ? moments_of(classes, in, from)
                               : along.numbers
                                   ? moments_normal(along.numbers[along.single ? 0 : c], 0)
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

/* Of two values one may be scaled: the other is a gate. */
static const char *product(struct classes *classes, struct node *node)
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
        return "what it multiplies is not scaled";
    struct channels *out = classes_give(
        classes, node->outputs[0], in[data]->axis + node->outputs[0]->rank - in[data]->value->rank);
    if (!out || out->count != in[data]->count)
        return NOT_KNOWN;
    bool constant = is_constant(other, &tensor);
    const char *reason = constant ? read_along(out, other, tensor, &along) : NULL;
    if (reason)
        return reason;
    for (int64_t c = 0; c < out->count; c++) {
        take(classes, out, c, in[data], c);
        struct moments *to = &channel_at(classes, out, c)->moments;
        double factor = along.numbers ? along.numbers[along.single ? 0 : c] : (double)NAN;
        /* A gate is most often between 0 and 1. */
        if (constant)
            *to = moments_scale_shift(*to, node->op == OP_Div ? 1 / factor : factor, 0);
    }
    return NULL;
}

static const char *normalize(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    const struct step *step = lift_node(node, in->value->rank == 2 ? LAYOUT_MATRIX : LAYOUT_CONV);
    if (step->reason || in->axis != 1)
        return step->reason ? step->reason : NOT_KNOWN;
    if (step->form->outputs && step->form->outputs != in->count) /* not valid, or not known */
        return NOT_KNOWN;
    const char *reason = keep(classes, node, in, 0, 1);
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

/* ---- seams ---- */

static const char *look_at_bias(struct node *node, const struct weight *weight)
{
    struct value *value = node_input(node, 2);
    const struct tensor *tensor;
    if (node->op == OP_MatMul || !value)
        return NULL;
    const char *reason = operand_weight(node->graph->model->arena, value, "bias", &tensor);
    bool fits =
        !reason && (node->op == OP_Gemm
                        ? tensor->rank <= 2 && (tensor->rank < 1 || tensor->count == 1 ||
                                                tensor->dims[tensor->rank - 1] == 1 ||
                                                tensor->dims[tensor->rank - 1] == weight->outputs)
                        : tensor->rank == 1 && tensor->count == weight->outputs);
    return reason || fits ? reason : "its bias does not fit its weight";
}

/* The input's class ends here and the output's begins. */
static const char *seam(struct classes *classes, struct node *node)
{
    struct seam seam = {.node = node, .input = input_of(node, 0)};
    struct value *output = node->outputs[0];
    const char *reason = weight_of(node, &seam.weight);
    if (!reason)
        reason = look_at_bias(node, &seam.weight);
    if (reason)
        return reason;
    int at = node->op == OP_MatMul ? node->inputs[0]->rank - 1 : 1;
    if (seam.input && (seam.input->axis != at || seam.input->count != seam.weight.inputs)) {
        classes_pin(classes, seam.input, node, NOT_KNOWN);
        seam.input = NULL;
    }
    seam.output = classes_give(classes, output, node->op == OP_MatMul ? output->rank - 1 : 1);
    if (seam.output && seam.output->count != seam.weight.outputs) {
        classes_pin(classes, seam.output, node, NOT_KNOWN);
        seam.output = NULL;
    }
    seam.first_shift = classes->shifts.count;
    if (seam.output && node->op != OP_MatMul && node_input(node, 2)) {
        struct shift shift = {node, 2, 0, seam.output};
        LIST_PUSH(classes->arena, &classes->shifts, shift);
    }
    LIST_PUSH(classes->arena, &classes->seams, seam);
    return NULL;
}

static const char *not_homogeneous(struct classes *classes, const struct node *node)
{
    const char *name = node->proto->op_type;
    return arena_format(classes->arena, "%s is not homogeneous", name ? name : "an op");
}

static const char *flow(struct classes *classes, struct node *node)
{
    switch (node->op) {
    case OP_Conv:
    case OP_ConvTranspose:
    case OP_Gemm:
    case OP_MatMul: return seam(classes, node);
    case OP_Add:
    case OP_Sub:
    case OP_Sum:
    case OP_Mean:
    case OP_Max:
    case OP_Min: return sum(classes, node);
    case OP_Mul:
    case OP_Div: return product(classes, node);
    case OP_Concat: return concat(classes, node);
    case OP_PRelu: return activate_by_slopes(classes, node);
    default: break;
    }
    if (!input_of(node, 0)) /* a class is read where data is not expected */
        return not_homogeneous(classes, node);
    switch (node->op) {
    case OP_Relu: return activate(classes, node, 0);
    case OP_LeakyRelu: return activate(classes, node, node_float(node, "alpha", (double)0.01f));
    case OP_Abs: return activate(classes, node, -1);
    case OP_Identity: return keep(classes, node, input_of(node, 0), 0, input_of(node, 0)->axis);
    case OP_Neg:
    case OP_Cast:
    case OP_Dropout: {
        const struct step *step = lift_node(node, LAYOUT_CONV);
        const char *reason = step->reason;
        if (!reason)
            reason = keep(classes, node, input_of(node, 0), 0, input_of(node, 0)->axis);
        for (int64_t c = 0; !reason && node->op == OP_Neg && c < input_of(node, 0)->count; c++) {
            struct channel *to = channel_at(classes, value_channels(node->outputs[0]), c);
            to->moments = moments_scale_shift(to->moments, -1, 0);
        }
        return reason;
    }
    case OP_MaxPool:
    case OP_AveragePool:
    case OP_GlobalAveragePool:
    case OP_GlobalMaxPool: return pool(classes, node);
    case OP_ReduceMean:
    case OP_ReduceMax:
    case OP_ReduceMin:
    case OP_ReduceSum: return reduce(classes, node);
    case OP_Pad: return pad(classes, node);
    case OP_Resize:
    case OP_Upsample: return resize(classes, node);
    case OP_Flatten:
    case OP_Reshape: return reshape(classes, node);
    case OP_Squeeze: return squeeze(classes, node);
    case OP_Unsqueeze: return unsqueeze(classes, node);
    case OP_Transpose: return transpose(classes, node);
    case OP_DepthToSpace:
    case OP_SpaceToDepth: return depth_to_space(classes, node);
    case OP_Slice: return slice(classes, node);
    case OP_Split: return split(classes, node);
    case OP_BatchNormalization: return normalize(classes, node);
    default: return not_homogeneous(classes, node);
    }
}

const struct channels *flow_only_source(const struct channels *channels)
{
    const struct node *node = channels->value->producer;
    switch (node ? node->op : OP_UNKNOWN) {
    case OP_MaxPool:
    case OP_AveragePool:
    case OP_GlobalAveragePool:
    case OP_GlobalMaxPool:
    case OP_ReduceMean:
    case OP_ReduceMax:
    case OP_ReduceMin:
    case OP_ReduceSum:
    case OP_Pad:
    case OP_Resize:
    case OP_Upsample:
    case OP_Flatten:
    case OP_Reshape:
    case OP_Squeeze:
    case OP_Unsqueeze:
    case OP_Transpose:
    case OP_DepthToSpace:
    case OP_SpaceToDepth:
    case OP_Slice:
    case OP_Split:
    case OP_Identity:
    case OP_Dropout: return input_of(node, 0);
    default: return NULL;
    }
}

static void flow_through_node(struct classes *classes, struct node *node)
{
    bool any = lift_reads_weight(node);
    for (size_t k = 0; k < node->input_count; k++)
        any = any || input_of(node, k);
    /* Shape and Size ask for no number. */
    if (!any || node->op == OP_Shape || node->op == OP_Size)
        return;
    size_t seams = classes->seams.count, shifts = classes->shifts.count;
    bool whole = node_output(node, 0) && node_output(node, 0)->rank >= 0;
    const char *reason =
        whole ? node_has_references(node) ? "it refers to attributes" : flow(classes, node)
              : NOT_KNOWN;
    for (size_t k = 0; k < node->input_count; k++) {
        bool is_data = k == 0 || !lift_reads_weight(node);
        if (reason || !is_data)
            classes_pin(classes, input_of(node, k), node, reason ? reason : "it is a weight");
    }
    for (size_t k = 0; k < node->output_count; k++) {
        struct channels *out = node->outputs[k] ? value_channels(node->outputs[k]) : NULL;
        if (reason)
            classes_pin(classes, out, node, reason);
        else if (out && !take_measured(classes, out))
            ask_file(classes, out);
    }
    const struct value *weight = lift_reads_weight(node) ? node_input(node, 1) : NULL;
    if (reason && weight && weight->tensor) {
        struct pin pin = {node, reason};
        LIST_PUSH(classes->arena, &classes->declined, pin);
    }
    if (reason) {
        classes->seams.count = seams;
        classes->shifts.count = shifts;
    }
}

/* ---- order ---- */

static int by_depth(const void *a, const void *b)
{
    const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
    if (x->depth != y->depth)
        return x->depth < y->depth ? -1 : 1;
    if (x->is_new != y->is_new)
        return x->is_new ? 1 : -1;
    uint32_t one = x->is_new ? x->sequence : x->position;
    uint32_t other = y->is_new ? y->sequence : y->position;
    return (one > other) - (one < other);
}

void flow_through(struct classes *classes, struct graph *graph)
{
    struct node_list nodes = {0};
    classes->graph = graph;
    for (size_t i = 0; i < graph->node_count + graph->new_nodes.count; i++) {
        struct node *node =
            i < graph->node_count ? graph->nodes[i] : graph->new_nodes.items[i - graph->node_count];
        if (!node->removed)
            LIST_PUSH(classes->arena, &nodes, node);
        for (size_t k = 0; k < node->output_count; k++)
            if (node->outputs[k])
                value_channels_set(node->outputs[k], NULL); /* of an earlier time */
    }
    if (nodes.count)
        qsort(nodes.items, nodes.count, sizeof(*nodes.items), by_depth);
    for (size_t i = 0; i < nodes.count; i++)
        flow_through_node(classes, nodes.items[i]);
    /* An op that was looked at before what it reads was made could not be tied to it. */
    for (size_t i = 0; i < classes->values.count; i++) {
        struct channels *channels = classes->values.items[i];
        for (const struct use *use = channels->value->uses; use; use = use->next)
            if (use_is_live(use) && use->inner->graph == graph &&
                by_depth(&(struct node *){use->inner},
                         &(struct node *){channels->value->producer}) <= 0)
                classes_pin(classes, channels, use->inner, "it is read out of order");
    }
}
