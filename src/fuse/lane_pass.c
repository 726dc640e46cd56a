/* fuse/lane_pass.c: which ops a lane moves past, and what becomes of it there. */
#include <string.h>

#include "fuse/extent.h"
#include "fuse/lane_axes.h"
#include "fuse/pick.h"
#include "infer/constant.h"

/* ---- channels that are taken, repeated or placed ---- */

/* A block of the lane, or the lane as a block of a wider one that is otherwise the identity. */
static void cut(struct arena *arena, struct lane *lane, int64_t first, int64_t width)
{
    struct lane from = *lane;
    double *scale, *shift;
    lane->width = width;
    lane_make(arena, lane, &scale, &shift);
    memcpy(scale, from.scale + first, (size_t)width * sizeof(double));
    memcpy(shift, from.shift + first, (size_t)width * sizeof(double));
}

static void place(struct arena *arena, struct lane *lane, int64_t first, int64_t width)
{
    struct lane from = *lane;
    double *scale, *shift;
    lane->width = width;
    lane_make(arena, lane, &scale, &shift);
    memcpy(scale + first, from.scale, (size_t)from.width * sizeof(double));
    memcpy(shift + first, from.shift, (size_t)from.width * sizeof(double));
}

/* One number for all as a lane along an axis. */
static const char *spread(struct arena *arena, const struct value *value, int axis, struct lane *lane)
{
    if (lane->axis >= 0)
        return NULL;
    if (!size_is_known(value->dims[axis]) || value->dims[axis] > 1 << 24)
        return "the number of channels is not known";
    lane_widen(arena, lane, 1, value->dims[axis]);
    lane->axis = axis;
    return NULL;
}

/* The place of a part along an axis of the whole: input `part` of a Concat, output of a Split. */
static const char *find_part(struct value *const *parts, size_t count, size_t part, int axis, int64_t *first,
                             int64_t *whole)
{
    *whole = 0;
    for (size_t i = 0; i < count; i++) {
        if (!parts[i] || parts[i]->rank <= axis || !size_is_known(parts[i]->dims[axis]))
            return "the sizes of the parts are not known";
        if (i == part)
            *first = *whole;
        *whole += parts[i]->dims[axis];
    }
    return NULL;
}

static const char *axis_of(const struct node *node, const struct value *value, int *axis)
{
    int64_t given = node_integer(node, "axis", node->op == OP_Concat ? INT64_MIN : 0);
    if (value->rank < 0 || given < -value->rank || given >= value->rank)
        return "its axis is not known";
    *axis = (int)(given < 0 ? given + value->rank : given);
    return NULL;
}

static const char *parts(struct node *node, size_t part, bool from_part, struct lane *lane)
{
    struct arena *arena = node->graph->model->arena;
    bool joins = node->op == OP_Concat;
    struct value *const *values = joins ? node->inputs : node->outputs;
    size_t count = joins ? node->input_count : node->output_count;
    struct value *piece = values[part];
    int axis;
    int64_t first = 0, whole;
    const char *reason = axis_of(node, piece, &axis);
    if (!reason && !from_part && lane->axis != axis)
        return NULL; /* one number for all, or all channels are in each part */
    if (!reason && lane->axis >= 0 && lane->axis != axis)
        reason = "it joins or splits along another axis than the channels";
    if (!reason)
        reason = find_part(values, count, part, axis, &first, &whole);
    if (!reason)
        reason = spread(arena, from_part ? piece : joins ? node->outputs[0] : node->inputs[0], axis, lane);
    if (reason)
        return reason;
    if (from_part && lane->width == piece->dims[axis])
        place(arena, lane, first, whole);
    else if (!from_part && lane->width == whole)
        cut(arena, lane, first, piece->dims[axis]);
    else
        return "the channels do not fit";
    return NULL;
}

/* Each place of the new lane is a place of the given lane, or of numbers that are always 0. */
static void pull(struct arena *arena, const struct pick *pick, struct lane *lane)
{
    struct lane old = *lane;
    double *scale, *shift;
    lane->width = pick->out;
    lane_make(arena, lane, &scale, &shift);
    for (int64_t i = 0; i < pick->out; i++) {
        if (pick->from[i] < 0)
            continue;
        scale[i] = old.scale[pick->from[i]];
        shift[i] = old.shift[pick->from[i]];
    }
}

/* The opposite: all places that come from one must ask the same of it. */
static const char *push(struct arena *arena, const struct pick *pick, struct lane *lane, bool merges)
{
    struct lane old = *lane;
    double *scale, *shift;
    bool *seen = NEW_ARRAY(arena, bool, pick->in);
    lane->width = pick->in;
    lane_make(arena, lane, &scale, &shift);
    for (int64_t i = 0; i < pick->out; i++) {
        int64_t from = pick->from[i];
        if (from < 0 && old.shift[i] != 0)
            return "it fills channels with 0, and a shift would change those";
        if (from < 0)
            continue;
        if (seen[from] && (scale[from] != old.scale[i] || shift[from] != old.shift[i]))
            return merges ? "it merges channels with different scales or shifts"
                          : "it repeats channels, and their scales or shifts differ";
        seen[from] = true;
        scale[from] = old.scale[i];
        shift[from] = old.shift[i];
    }
    return NULL;
}

/* Parts of an axis that are taken, repeated or placed. */
static const char *picks(struct node *node, bool forward, struct lane *lane)
{
    struct arena *arena = node->graph->model->arena;
    bool spreads = node->op == OP_DepthToSpace; /* its input is what the map leads to */
    struct pick pick;
    if (lane->axis < 0)
        return NULL;
    const char *reason = spreads ? pick_depth(node, lane->axis, &pick) : pick_along(node, lane->axis, &pick);
    if (!reason && lane->width != (forward != spreads ? pick.in : pick.out))
        reason = "the channels do not fit";
    if (reason)
        return reason;
    if (forward == spreads)
        reason = push(arena, &pick, lane, spreads);
    else
        pull(arena, &pick, lane);
    if (lane->width == 1)
        lane->axis = -1;
    return reason;
}

/* ---- pools and the like ---- */

static const char *only_scales(const struct lane *lane)
{
    return lane_shifts(lane) ? "it does not commute with a shift" : NULL;
}

static const char *pool(const struct node *node, const struct lane *lane)
{
    size_t count;
    const int64_t *pads = node_integers(node, "pads", &count);
    bool padded = false;
    if (lane->axis > 1 || lane->axis == 0)
        return "it works along the axis of the channels";
    for (size_t i = 1; i < node->output_count; i++)
        if (value_is_needed(node->outputs[i]))
            return "its second output is read";
    if (node->op == OP_MaxPool || node->op == OP_GlobalMaxPool)
        return lane_is_positive(lane) ? NULL : "a scale that is not positive changes which element is the largest";
    for (size_t i = 0; pads && i < count; i++)
        padded = padded || pads[i] != 0;
    const char *automatic = node_string(node->graph->model->arena, node, "auto_pad", "NOTSET");
    padded = padded || strncmp(automatic, "SAME", 4) == 0;
    /* Runtimes disagree on the count of a window that reaches past the end. */
    padded = padded || node_integer(node, "ceil_mode", 0);
    if (node->op == OP_AveragePool && padded && node_integer(node, "count_include_pad", 0))
        return only_scales(lane);
    return NULL;
}

static bool reduced_axes(const struct node *node, int rank, bool *reduced)
{
    int64_t held[LANE_RANK];
    size_t count = 0;
    const int64_t *axes = constant_integers(node, "axes", 1, held, LANE_RANK, &count);
    if (!axes && node_input(node, 1))
        return false;
    bool all = !axes || count == 0;
    if (all && node_integer(node, "noop_with_empty_axes", 0))
        return false;
    for (int i = 0; i < rank; i++)
        reduced[i] = all;
    for (size_t i = 0; axes && i < count; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank)
            return false;
        reduced[axis] = true;
    }
    return true;
}

static const char *reduction(const struct node *node, bool forward, struct lane *lane)
{
    int rank = node->inputs[0]->rank;
    bool reduced[LANE_RANK] = {false}, keep = node_integer(node, "keepdims", 1) != 0;
    if (rank < 0 || rank > LANE_RANK || !reduced_axes(node, rank, reduced))
        return "the axes that it reduces are not known";
    if (node->op == OP_ReduceMax && !lane_is_positive(lane))
        return "a scale that is not positive changes which element is the largest";
    if (node->op == OP_ReduceSum && lane_shifts(lane))
        return "it would add the shift once for each value that it sums";
    if (lane->axis < 0 || (keep && !reduced[lane->axis]))
        return NULL;
    if (keep || (forward && reduced[lane->axis]))
        return "it reduces the channels";
    int place = 0;
    for (int i = 0; i < rank; i++) {
        if (reduced[i])
            continue;
        if (forward ? i == lane->axis : place == lane->axis) {
            lane->axis = forward ? place : i;
            return NULL;
        }
        place++;
    }
    return "it reduces the channels";
}

static const char *resize(const struct node *node, const struct lane *lane)
{
    struct arena *arena = node->graph->model->arena;
    const struct value *in = node->inputs[0], *out = node->outputs[0];
    const char *coordinates = node_string(arena, node, "coordinate_transformation_mode", "half_pixel");
    if (strcmp(coordinates, "tf_crop_and_resize") == 0)
        return "it may extrapolate past the border";
    if (lane->axis >= 0 && (out->rank != in->rank || !size_is_known(in->dims[lane->axis]) ||
                            in->dims[lane->axis] != out->dims[lane->axis]))
        return "it may resize the channels";
    return NULL;
}

/* Whether it pads or cuts the axis of the lane, which may keep its size, and whether others. */
static const char *read_pads(struct node *node, const struct lane *lane, bool *pads, bool *others)
{
    int64_t begin[LANE_RANK], end[LANE_RANK];
    int rank;
    bool sized = false;
    *pads = false;
    *others = true;
    if (lane->axis < 0)
        return NULL;
    if (lift_pad_amounts(node, begin, end, &rank, &sized) || lane->axis >= rank)
        return "it may pad the channels";
    *others = false;
    for (int i = 0; i < rank; i++)
        *(i == lane->axis ? pads : others) |= begin[i] || end[i];
    return NULL;
}

static const char *pad(struct node *node, bool forward, struct lane *lane)
{
    struct arena *arena = node->graph->model->arena;
    const char *mode = node_string(arena, node, "mode", "constant");
    double fill = node_float(node, "value", 0);
    const struct tensor *tensor;
    bool pads, others;
    const char *reason = read_pads(node, lane, &pads, &others);
    if (reason)
        return reason;
    if (strcmp(mode, "constant") != 0)
        return pads ? "it may pad the channels" : NULL;
    if (node_input(node, 2)) {
        if (constant_of(node->inputs[2], &tensor) || tensor->count != 1 || !type_is_float(tensor->type) ||
            !tensor_is_readable(tensor))
            return "its fill value is not known";
        tensor_read(tensor, 0, 1, &fill);
    }
    if (fill != 0)
        return "it fills with a number other than 0, which would be scaled or shifted too";
    if (others && lane_shifts(lane))
        return only_scales(lane);
    return pads ? picks(node, forward, lane) : NULL;
}

/* True if the operands fit with any value of the unknown sizes: the self-check uses one for each place. */
static bool operands_fit(const struct node *node)
{
    const struct value *a = node_input(node, 0), *b = node_input(node, 1);
    int inner = node->op == OP_MatMul ? 2 : 0;
    if (node->op == OP_Conv) {
        bool known = a && b && a->rank == b->rank && a->rank > 2 && size_is_known(a->dims[1]);
        for (int i = 0; known && i < b->rank; i++)
            known = size_is_known(b->dims[i]);
        return known;
    }
    if (!a || !b || a->rank < inner || b->rank < inner)
        return false;
    if (inner && !lane_same_size(a, a->rank - 1, b, b->rank - 2))
        return false;
    for (int i = inner; i < a->rank && i < b->rank; i++) {
        int64_t x = a->dims[a->rank - 1 - i], y = b->dims[b->rank - 1 - i];
        bool both_open = !size_is_known(x) && !size_is_known(y) && a->rank == b->rank;
        if (!both_open && x != 1 && y != 1 && !(size_is_known(x) && size_is_known(y)))
            return false;
    }
    return true;
}

/* A product of two values: one number passes it, from either. */
static const char *product(const struct node *node, const struct lane *lane)
{
    const struct tensor *tensor;
    struct value *weight = node_input(node, 1);
    if (lane->axis >= 0)
        return node->op != OP_Mul && weight && !constant_of(weight, &tensor)
                   ? "the scale or shift is not along its channels"
                   : "only a single number moves past a product of two values";
    if (node_input(node, 2))
        return "it adds a bias to its product";
    return operands_fit(node) ? only_scales(lane) : "the sizes of its operands are not known";
}

/* A sum of two values: a shift of either is a shift of the sum. */
static const char *sum(const struct node *node, size_t index, const struct lane *lane)
{
    const struct value *in = node->inputs[index], *out = node->outputs[0];
    for (int64_t c = 0; c < lane->width; c++)
        if (lane->scale[c] != 1)
            return "a scale of the sum would scale its other summands as well";
    if (lane->axis >= 0 && (in->rank < 0 || in->rank != out->rank || !lane_same_size(in, lane->axis, out, lane->axis)))
        return "the sum may broadcast the channels";
    return operands_fit(node) ? NULL : "the sizes of its operands are not known";
}

/* Both directions, for ops that keep or move the axes. */
static const char *pass(struct node *node, size_t index, bool forward, struct lane *lane)
{
    struct value *in = node_input(node, index), *out = node->outputs[0];
    const struct tensor *tensor;
    int64_t mode = 1;
    if (!in || !out || node_has_references(node))
        return "an operand is missing";
    switch (node->op) {
    case OP_Transpose: return lane_transpose(node, forward, lane);
    case OP_Squeeze:
    case OP_Unsqueeze: return index != 0 ? "the value is its list of axes" : lane_squeeze(node, forward, lane);
    case OP_Reshape:
    case OP_Flatten:
        return index != 0 ? "the value is its target shape"
                          : lane_reshape(node, forward ? in : out, forward ? out : in, lane);
    case OP_Identity: return NULL;
    case OP_Dropout:
        for (size_t i = 1; i < node->output_count; i++)
            if (value_is_needed(node->outputs[i]))
                return "its mask is read";
        if (node_input(node, 2) && (constant_of(node->inputs[2], &tensor) || tensor->count != 1 ||
                                    !tensor_read_integers(tensor, &mode) || mode))
            return "Dropout may be in training mode";
        return NULL;
    case OP_Relu:
    case OP_LeakyRelu:
    case OP_Abs:
    case OP_PRelu:
        if (index != 0)
            return "the value is its slope";
        if (!lane_is_positive(lane))
            return "it commutes only with positive scales";
        return only_scales(lane);
    case OP_MaxPool:
    case OP_GlobalMaxPool:
    case OP_AveragePool:
    case OP_GlobalAveragePool: return pool(node, lane);
    case OP_ReduceMax:
    case OP_ReduceMean:
    case OP_ReduceSum: return index != 0 ? "the value is its list of axes" : reduction(node, forward, lane);
    case OP_Resize:
    case OP_Upsample: return index != 0 ? "the value is its target size" : resize(node, lane);
    case OP_Pad: return index != 0 ? "the value is its padding" : pad(node, forward, lane);
    case OP_Gather:
    case OP_Slice:
    case OP_Tile:
    case OP_Expand: return index != 0 ? "the value is its indices or sizes" : picks(node, forward, lane);
    case OP_SpaceToDepth:
    case OP_DepthToSpace: return picks(node, forward, lane);
    case OP_Add: return forward ? sum(node, index, lane) : "it does not commute with a scale or a shift";
    case OP_Conv:
    case OP_Mul:
    case OP_MatMul: return product(node, lane);
    default: return "it does not commute with a scale or a shift";
    }
}

const char *lane_forward(struct node *node, size_t index, const struct lane *in, struct lane *out)
{
    *out = *in;
    if (node->op == OP_Concat)
        return parts(node, index, true, out);
    return pass(node, index, true, out);
}

const char *lane_part(struct node *split, size_t output, const struct lane *in, struct lane *out)
{
    *out = *in;
    return parts(split, output, false, out);
}

const char *lane_backward(struct node *node, size_t output, size_t index, const struct lane *in, struct lane *out)
{
    *out = *in;
    if (node->op == OP_Split)
        return parts(node, output, true, out);
    if (node->op == OP_Concat)
        return parts(node, index, false, out);
    if (output != 0)
        return "it is not the first output";
    return pass(node, index, false, out);
}
