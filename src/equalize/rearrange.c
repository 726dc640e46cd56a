/* equalize/rearrange.c: operators that move channels, take some of them, or put them side by side. */
#include "equalize/through.h"
#include "model/model.h"

/* Numbers behind the first axis of a shape, or -1. */
static int64_t behind_first(const struct value *value)
{
    int64_t count;
    return value->rank >= 2 && count_elements(value->dims + 1, (size_t)value->rank - 1, &count) ? count : -1;
}

/* Reshape and Flatten: channels on axis 1 before and after, and the batch stays the batch. */
const char *through_reshape(struct classes *classes, struct node *node)
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
        through_take(classes, out, k / outer, in, k / inner);
    }
    return NULL;
}

const char *through_depth_to_space(struct classes *classes, struct node *node)
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
        through_take(classes, out, back ? k : one, in, back ? one : k);
    }
    return NULL;
}

const char *through_slice(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    int64_t starts_held[EQUALIZE_RANK], steps_held[EQUALIZE_RANK], axes[EQUALIZE_RANK], start = 0, step = 1;
    size_t count, axis_count = 0, step_count;
    bool cut = false;
    const int64_t *starts = constant_integers(node, "starts", 1, starts_held, EQUALIZE_RANK, &count);
    const int64_t *steps = constant_integers(node, "steps", 4, steps_held, EQUALIZE_RANK, &step_count);
    bool named = node_attribute(node, "axes") || node_input(node, 3);
    if (!starts || (node_input(node, 4) && (!steps || step_count != count)) ||
        (named && (!through_axes(node, 3, in->value->rank, axes, &axis_count) || axis_count != count)))
        return "its starts or steps are not known";
    for (size_t i = 0; i < count; i++)
        if ((named ? axes[i] : (int64_t)i) == in->axis) {
            cut = true;
            start = starts[i] < 0 ? starts[i] + in->count : starts[i];
            step = steps ? steps[i] : 1;
        }
    if (!cut)
        return through_keep(classes, node, in, 0, in->axis);
    struct channels *out = classes_give(classes, node->outputs[0], in->axis);
    int64_t last = step < 0 ? in->count - 1 : in->count;
    start = start < 0 ? 0 : start > last ? last : start;
    if (!out || step == 0 || step > in->count || -step > in->count || out->count > in->count ||
        start + (out->count - 1) * step < 0 || start + (out->count - 1) * step >= in->count)
        return "its starts or steps are not known";
    for (int64_t c = 0; c < out->count; c++)
        through_take(classes, out, c, in, start + c * step);
    return NULL;
}

const char *through_split(struct classes *classes, struct node *node)
{
    struct channels *in = input_of(node, 0);
    int64_t axis = node_integer(node, "axis", 0), first = 0;
    axis = axis < 0 ? axis + in->value->rank : axis;
    for (size_t k = 0; k < node->output_count; k++) {
        struct value *value = node->outputs[k];
        const char *reason = axis == in->axis ? NULL : through_keep(classes, node, in, k, in->axis);
        if (reason)
            return reason;
        if (axis != in->axis)
            continue;
        struct channels *out = value ? classes_give(classes, value, in->axis) : NULL;
        if (!out || out->count > in->count - first)
            return NOT_KNOWN;
        for (int64_t c = 0; c < out->count; c++)
            through_take(classes, out, c, in, first + c);
        first += out->count;
    }
    return axis == in->axis && first != in->count ? NOT_KNOWN : NULL;
}

const char *through_concat(struct classes *classes, struct node *node)
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
                through_take(classes, out, begin + c, in, c);
            else
                class_pin(classes, class_of(classes, out, begin + c), node,
                          "another part of the Concat cannot be scaled");
        }
        first += count;
    }
    return axis == at && first != out->count ? NOT_KNOWN : NULL;
}
