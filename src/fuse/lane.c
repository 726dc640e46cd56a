/* fuse/lane.c: which ops let a scale or a shift per channel through, and where it is behind them. */
#include "fuse/lane.h"

#include <math.h>
#include <string.h>

#include "fuse/channel.h"
#include "fuse/extent.h"
#include "fuse/pick.h"
#include "infer/constant.h"
#include "infer/operand.h"

enum { MAX_RANK = 16 };

/* ---- ops that are a lane ---- */

static bool is_known(int64_t size)
{
    return size > 0;
}

static void make(struct arena *arena, struct lane *lane, double **scale, double **shift)
{
    *scale = NEW_ARRAY(arena, double, lane->width);
    *shift = NEW_ARRAY(arena, double, lane->width);
    lane->scale = *scale;
    lane->shift = *shift;
    for (int64_t c = 0; c < lane->width; c++)
        (*scale)[c] = 1;
}

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
    make(arena, lane, &scale, &shift);
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
        make(node->graph->model->arena, lane, &scale, &shift);
        scale[0] = -1;
        return NULL;
    default: return "it is not an op that scales or shifts";
    }
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

static bool is_positive(const struct lane *lane)
{
    for (int64_t c = 0; c < lane->width; c++)
        if (!(lane->scale[c] > 0))
            return false;
    return true;
}

/* ---- moves ---- */

/* Each number `repeat` times, all of them `times` times. */
static void widen(struct arena *arena, struct lane *lane, int64_t times, int64_t repeat)
{
    struct lane from = *lane;
    double *scale, *shift;
    lane->width = times * from.width * repeat;
    make(arena, lane, &scale, &shift);
    for (int64_t i = 0; i < lane->width; i++) {
        scale[i] = from.scale[i / repeat % from.width];
        shift[i] = from.shift[i / repeat % from.width];
    }
}

/* The inverse, if the numbers allow it. */
static bool narrow(struct arena *arena, struct lane *lane, int64_t width, int64_t repeat)
{
    struct lane from = *lane;
    double *scale, *shift;
    lane->width = width;
    make(arena, lane, &scale, &shift);
    for (int64_t i = 0; i < width; i++) {
        scale[i] = from.scale[i * repeat];
        shift[i] = from.shift[i * repeat];
    }
    for (int64_t i = 0; i < from.width; i++)
        if (from.scale[i] != scale[i / repeat % width] || from.shift[i] != shift[i / repeat % width])
            return false;
    return true;
}

/* Axes of equal size at the same place, if they are known. */
static bool same_size(const struct value *a, int i, const struct value *b, int k)
{
    return is_known(a->dims[i]) && a->dims[i] == b->dims[k];
}

/* A Reshape copies the size of its input where its target is 0. */
static bool is_copied(const struct node *node, int axis)
{
    int64_t held[MAX_RANK];
    size_t count;
    if (node->op == OP_Flatten)
        return axis == 0 && node_integer(node, "axis", 1) == 1;
    if (node->op != OP_Reshape || node_integer(node, "allowzero", 0))
        return false;
    const int64_t *target = constant_integers(node, "shape", 1, held, MAX_RANK, &count);
    return target && (size_t)axis < count && target[axis] == 0;
}

/* Axes [first, first_end) of one shape that hold the same numbers as axes [second, second_end) of another. */
struct block {
    int first, first_end, second, second_end;
};

/* The block of fewest axes that begins where this one does; both go on up to their ends. Returns
 * why there is none, or NULL. */
static const char *find_block(const struct value *from, int from_end, const struct value *to, int to_end,
                              struct block *block)
{
    int i = block->first, k = block->second;
    int64_t a = 1, b = 1;
    do {
        if (a <= b && i < from_end) {
            if (!is_known(from->dims[i]) || !multiply_fits(a, from->dims[i++], &a))
                return "it reshapes axes whose sizes are not known";
        } else if (k < to_end) {
            if (!is_known(to->dims[k]) || !multiply_fits(b, to->dims[k++], &b))
                return "it reshapes axes whose sizes are not known";
        } else {
            return "it reshapes to another number of elements";
        }
    } while (a != b || (a == 1 && b == 1 && i < from_end && k < to_end && (i == block->first || k == block->second)));
    block->first_end = i;
    block->second_end = k;
    return NULL;
}

/* The channels among the axes of a block. */
static const char *reshape_block(struct arena *arena, const struct block *block, const struct value *from,
                                 const struct value *to, struct lane *lane)
{
    int64_t before = 1, behind = 1, product = 1;
    if (from->dims[lane->axis] != lane->width)
        return "its shape is not the one that other ops expect";
    for (int n = block->first; n < lane->axis; n++)
        before *= from->dims[n];
    for (int n = lane->axis + 1; n < block->first_end; n++)
        behind *= from->dims[n];
    if (block->second_end - block->second == 1) { /* all in one axis */
        widen(arena, lane, before, behind);
        lane->axis = block->second;
        return lane->width > 1 << 24 ? "it has too many channels" : NULL;
    }
    /* The axis that has just the channels, or a part of one. */
    for (int n = block->second; n < block->second_end; n++) {
        if (product == before && to->dims[n] == lane->width) {
            lane->axis = n;
            return NULL;
        }
        product *= to->dims[n];
    }
    if (block->first_end - block->first > 1)
        return "it both splits and merges the channels";
    /* One axis becomes several: along which of them do numbers differ? */
    product = 1;
    for (int n = block->second; n < block->second_end; n++) {
        int64_t inner = lane->width / product / to->dims[n];
        struct lane part = *lane;
        if (narrow(arena, &part, to->dims[n], inner)) {
            *lane = part;
            lane->axis = n;
            return NULL;
        }
        product *= to->dims[n];
    }
    return "it splits the channels";
}

/* From `from` to `to`, which hold the same numbers in the same order in other axes. */
static const char *reshape(const struct node *node, const struct value *from, const struct value *to, struct lane *lane)
{
    int left = 0, right = 0;
    if (from->rank < 0 || to->rank < 0 || from->rank > MAX_RANK || to->rank > MAX_RANK)
        return "the shape is not known";
    if (lane->axis < 0)
        return NULL;
    while (left < from->rank && left < to->rank && (same_size(from, left, to, left) || is_copied(node, left)))
        left++;
    if (lane->axis < left)
        return NULL;
    while (right < from->rank - left && right < to->rank - left &&
           same_size(from, from->rank - 1 - right, to, to->rank - 1 - right))
        right++;
    if (lane->axis >= from->rank - right) {
        lane->axis += to->rank - from->rank;
        return NULL;
    }
    /* Between: blocks of axes with the same product. */
    struct block block = {.first = left, .second = left};
    while (block.first < from->rank - right && block.second < to->rank - right) {
        const char *reason = find_block(from, from->rank - right, to, to->rank - right, &block);
        if (reason)
            return reason;
        if (lane->axis >= block.first && lane->axis < block.first_end)
            return reshape_block(node->graph->model->arena, &block, from, to, lane);
        block.first = block.first_end;
        block.second = block.second_end;
    }
    return "it removes the axis of the channels";
}

/* Axes of size 1 come or go: the others keep their order. */
static const char *squeeze(const struct node *node, bool forward, struct lane *lane)
{
    int64_t held[MAX_RANK];
    size_t count;
    bool removes = node->op == OP_Squeeze, single[MAX_RANK] = {false};
    const struct value *in = node->inputs[0], *out = node->outputs[0];
    int rank = removes ? in->rank : out->rank, place = 0;
    const int64_t *axes = constant_integers(node, "axes", 1, held, MAX_RANK, &count);
    if (lane->axis < 0)
        return NULL;
    if (!axes || rank < 0 || rank > MAX_RANK)
        return reshape(node, forward ? in : out, forward ? out : in, lane);
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + rank : axes[i];
        if (axis < 0 || axis >= rank)
            return "its axes do not fit";
        single[axis] = true;
    }
    for (int i = 0; i < rank; i++) {
        if (single[i])
            continue;
        if ((removes == forward ? i : place) == lane->axis) {
            lane->axis = removes == forward ? place : i;
            return NULL;
        }
        place++;
    }
    return "it removes the axis of the channels";
}

static bool permutation(const struct node *node, int rank, int *perm)
{
    size_t count;
    const int64_t *given = node_integers(node, "perm", &count);
    bool seen[MAX_RANK] = {false};
    if (rank < 0 || rank > MAX_RANK || (given && count != (size_t)rank))
        return false;
    for (int i = 0; i < rank; i++) {
        int64_t from = given ? given[i] : rank - 1 - i;
        if (from < 0 || from >= rank || seen[from])
            return false;
        seen[from] = true;
        perm[i] = (int)from;
    }
    return true;
}

static const char *transpose(const struct node *node, bool forward, struct lane *lane)
{
    int perm[MAX_RANK], rank = node->inputs[0]->rank;
    if (lane->axis < 0)
        return NULL;
    if (!permutation(node, rank, perm))
        return "the rank of the value is not known";
    if (!forward) {
        lane->axis = perm[lane->axis];
        return NULL;
    }
    for (int i = 0; i < rank; i++)
        if (perm[i] == lane->axis) {
            lane->axis = i;
            return NULL;
        }
    return "its axis is out of range";
}

/* A block of the lane, or the lane as a block of a wider one that is otherwise the identity. */
static void cut(struct arena *arena, struct lane *lane, int64_t first, int64_t width)
{
    struct lane from = *lane;
    double *scale, *shift;
    lane->width = width;
    make(arena, lane, &scale, &shift);
    memcpy(scale, from.scale + first, (size_t)width * sizeof(double));
    memcpy(shift, from.shift + first, (size_t)width * sizeof(double));
}

static void place(struct arena *arena, struct lane *lane, int64_t first, int64_t width)
{
    struct lane from = *lane;
    double *scale, *shift;
    lane->width = width;
    make(arena, lane, &scale, &shift);
    memcpy(scale + first, from.scale, (size_t)from.width * sizeof(double));
    memcpy(shift + first, from.shift, (size_t)from.width * sizeof(double));
}

/* One number for all as a lane along an axis. */
static const char *spread(struct arena *arena, const struct value *value, int axis, struct lane *lane)
{
    if (lane->axis >= 0)
        return NULL;
    if (!is_known(value->dims[axis]) || value->dims[axis] > 1 << 24)
        return "the number of channels is not known";
    widen(arena, lane, 1, value->dims[axis]);
    lane->axis = axis;
    return NULL;
}

/* The place of a part along an axis of the whole: input `part` of a Concat, output of a Split. */
static const char *find_part(struct value *const *parts, size_t count, size_t part, int axis, int64_t *first,
                             int64_t *whole)
{
    *whole = 0;
    for (size_t i = 0; i < count; i++) {
        if (!parts[i] || parts[i]->rank <= axis || !is_known(parts[i]->dims[axis]))
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
    make(arena, lane, &scale, &shift);
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
    make(arena, lane, &scale, &shift);
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
        return is_positive(lane) ? NULL : "a scale that is not positive changes which element is the largest";
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
    int64_t held[MAX_RANK];
    size_t count = 0;
    const int64_t *axes = constant_integers(node, "axes", 1, held, MAX_RANK, &count);
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
    bool reduced[MAX_RANK] = {false}, keep = node_integer(node, "keepdims", 1) != 0;
    if (rank < 0 || rank > MAX_RANK || !reduced_axes(node, rank, reduced))
        return "the axes that it reduces are not known";
    if (node->op == OP_ReduceMax && !is_positive(lane))
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
    if (lane->axis >= 0 &&
        (out->rank != in->rank || !is_known(in->dims[lane->axis]) || in->dims[lane->axis] != out->dims[lane->axis]))
        return "it may resize the channels";
    return NULL;
}

/* Whether it pads or cuts the axis of the lane, which may keep its size, and whether others. */
static const char *read_pads(struct node *node, const struct lane *lane, bool *pads, bool *others)
{
    int64_t begin[MAX_RANK], end[MAX_RANK];
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
        bool known = a && b && a->rank == b->rank && a->rank > 2 && is_known(a->dims[1]);
        for (int i = 0; known && i < b->rank; i++)
            known = is_known(b->dims[i]);
        return known;
    }
    if (!a || !b || a->rank < inner || b->rank < inner)
        return false;
    if (inner && !same_size(a, a->rank - 1, b, b->rank - 2))
        return false;
    for (int i = inner; i < a->rank && i < b->rank; i++) {
        int64_t x = a->dims[a->rank - 1 - i], y = b->dims[b->rank - 1 - i];
        bool both_open = !is_known(x) && !is_known(y) && a->rank == b->rank;
        if (!both_open && x != 1 && y != 1 && !(is_known(x) && is_known(y)))
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
    if (lane->axis >= 0 && (in->rank < 0 || in->rank != out->rank || !same_size(in, lane->axis, out, lane->axis)))
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
    case OP_Transpose: return transpose(node, forward, lane);
    case OP_Squeeze:
    case OP_Unsqueeze: return index != 0 ? "the value is its list of axes" : squeeze(node, forward, lane);
    case OP_Reshape:
    case OP_Flatten:
        return index != 0 ? "the value is its target shape"
                          : reshape(node, forward ? in : out, forward ? out : in, lane);
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
        if (!is_positive(lane))
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
