/* fuse/pick.c: ops that take, repeat or place parts of an axis. */
#include "fuse/pick.h"

#include "fuse/extent.h"
#include "infer/constant.h"

enum { MAX_RANK = 16, WIDEST = 1 << 24 };

static const char unknown[] = "the number of channels is not known";

static int64_t *make(struct arena *arena, struct pick *pick, int64_t in, int64_t out)
{
    int64_t *from = NEW_ARRAY(arena, int64_t, out);
    *pick = (struct pick){in, out, from};
    for (int64_t i = 0; i < out; i++)
        from[i] = in == out ? i : 0;
    return from;
}

static const char *keep(struct arena *arena, int64_t width, struct pick *pick)
{
    make(arena, pick, width, width);
    return NULL;
}

static const char *gather(struct node *node, int axis, int64_t width, struct pick *pick)
{
    struct arena *arena = node->graph->model->arena;
    const struct value *in = node->inputs[0];
    const struct tensor *tensor;
    int64_t along = node_integer(node, "axis", 0);
    along += along < 0 ? in->rank : 0;
    if (!node_input(node, 1) || constant_of(node->inputs[1], &tensor) || tensor->rank != 1 || tensor->count < 1 ||
        tensor->count > WIDEST || !type_is_integer(tensor->type))
        return "its indices are not a constant row";
    if (along != axis)
        return keep(arena, width, pick);
    int64_t *from = make(arena, pick, width, tensor->count);
    if (!tensor_read_integers(tensor, from))
        return "its indices cannot be read";
    for (int64_t i = 0; i < pick->out; i++) {
        from[i] += from[i] < 0 ? width : 0;
        if (from[i] < 0 || from[i] >= width)
            return "its indices are outside the value";
    }
    return NULL;
}

static int64_t clamp(int64_t place, int64_t width)
{
    place += place < 0 ? width : 0;
    return place < 0 ? 0 : place > width ? width : place;
}

/* The range of a Slice, in either of its forms. */
struct cuts {
    int64_t held[4][MAX_RANK];
    const int64_t *start, *stop, *axes, *step; /* axes NULL: from the first on; step NULL: 1 */
    size_t count;
};

/* False: it is not constant, or of lengths that differ. */
static bool read_cuts(const struct node *node, struct cuts *cuts)
{
    size_t stops, named, strides;
    cuts->start = constant_integers(node, "starts", 1, cuts->held[0], MAX_RANK, &cuts->count);
    cuts->stop = constant_integers(node, "ends", 2, cuts->held[1], MAX_RANK, &stops);
    cuts->axes = constant_integers(node, "axes", 3, cuts->held[2], MAX_RANK, &named);
    cuts->step = constant_integers(node, "steps", 4, cuts->held[3], MAX_RANK, &strides);
    return cuts->start && cuts->stop && cuts->count == stops &&
           (cuts->axes ? named == cuts->count : !node_input(node, 3)) &&
           (cuts->step ? strides == cuts->count : !node_input(node, 4));
}

static int64_t cut_axis(const struct node *node, const struct cuts *cuts, size_t index)
{
    int64_t axis = cuts->axes ? cuts->axes[index] : (int64_t)index;
    return axis < 0 ? axis + node->inputs[0]->rank : axis;
}

static const char *slice(struct node *node, int axis, int64_t width, struct pick *pick)
{
    struct arena *arena = node->graph->model->arena;
    struct cuts cuts = {.count = 0};
    if (!read_cuts(node, &cuts))
        return "its indices are not constant";
    for (size_t i = 0; i < cuts.count; i++) {
        int64_t along = cut_axis(node, &cuts, i), by = cuts.step ? cuts.step[i] : 1, taken = 0;
        if (along != axis)
            continue;
        if (by < 1 || by > WIDEST) /* runtimes disagree on backward ones */
            return "its step is not positive, or too large";
        int64_t first = clamp(cuts.start[i], width), end = clamp(cuts.stop[i], width);
        int64_t *from = make(arena, pick, width, width);
        for (int64_t k = first; k < end; k += by)
            from[taken++] = k;
        pick->out = taken;
        return taken ? NULL : "it takes nothing";
    }
    return keep(arena, width, pick);
}

static const char *tile(struct node *node, int axis, int64_t width, struct pick *pick)
{
    int64_t held[MAX_RANK], out;
    size_t count;
    const int64_t *repeats = constant_integers(node, "", 1, held, MAX_RANK, &count);
    if (!repeats || count != (size_t)node->inputs[0]->rank)
        return "how often it repeats is not constant";
    if (repeats[axis] < 1 || !multiply_fits(width, repeats[axis], &out) || out > WIDEST)
        return "its repeat count is out of range";
    int64_t *from = make(node->graph->model->arena, pick, width, out);
    for (int64_t i = 0; i < out; i++)
        from[i] = i % width;
    return NULL;
}

static const char *expand(const struct node *node, int axis, int64_t width, struct pick *pick)
{
    const struct value *out = node->outputs[0];
    if (out->rank != node->inputs[0]->rank || out->dims[axis] < 1 || out->dims[axis] > WIDEST)
        return unknown;
    if (width != 1 && out->dims[axis] != width)
        return "the channels do not fit";
    make(node->graph->model->arena, pick, width, out->dims[axis]);
    return NULL;
}

/* The caller checks the fill value. */
static const char *pad(struct node *node, int axis, int64_t width, struct pick *pick)
{
    int64_t begin[MAX_RANK], end[MAX_RANK], out;
    int rank;
    bool sized = false;
    const char *reason = lift_pad_mode(node);
    if (!reason)
        reason = lift_pad_amounts(node, begin, end, &rank, &sized);
    if (reason)
        return reason;
    if (begin[axis] > WIDEST || end[axis] > WIDEST || begin[axis] < -width || end[axis] < -width)
        return "its padding is too large, or crops more than the input has";
    out = width + begin[axis] + end[axis];
    if (out < 1 || out > WIDEST)
        return "its padding is too large, or crops more than the input has";
    int64_t *from = make(node->graph->model->arena, pick, width, out);
    for (int64_t i = 0; i < out; i++)
        from[i] = i < begin[axis] || i - begin[axis] >= width ? -1 : i - begin[axis];
    return NULL;
}

/* The side of a block of SpaceToDepth or DepthToSpace; 0: none that is reckoned with. */
static int64_t side_of(const struct node *node)
{
    int64_t side = node_integer(node, "blocksize", 0);
    return side < 1 || side > 1 << 10 ? 0 : side;
}

/* Source: ONNX SpaceToDepth-1 .. 13: all channels of one place, then all of the next. */
static const char *space_to_depth(const struct node *node, int axis, int64_t width, struct pick *pick)
{
    int64_t side = side_of(node), out;
    if (axis == 0)
        return keep(node->graph->model->arena, width, pick);
    if (axis != 1 || !side || !multiply_fits(width, side * side, &out) || out > WIDEST)
        return "it moves the axis of the channels";
    int64_t *from = make(node->graph->model->arena, pick, width, out);
    for (int64_t i = 0; i < out; i++)
        from[i] = i % width;
    return NULL;
}

const char *pick_along(struct node *node, int axis, struct pick *pick)
{
    const struct value *in = node->inputs[0], *out = node->outputs[0];
    if (in->rank < 0 || in->rank > MAX_RANK || axis < 0 || axis >= in->rank || in->dims[axis] < 1 ||
        in->dims[axis] > WIDEST)
        return unknown;
    int64_t width = in->dims[axis];
    const char *reason;
    switch (node->op) {
    case OP_Gather: reason = gather(node, axis, width, pick); break;
    case OP_Slice: reason = slice(node, axis, width, pick); break;
    case OP_Tile: reason = tile(node, axis, width, pick); break;
    case OP_Expand: reason = expand(node, axis, width, pick); break;
    case OP_Pad: reason = pad(node, axis, width, pick); break;
    case OP_SpaceToDepth: reason = space_to_depth(node, axis, width, pick); break;
    default: return "it does not commute with a scale or a shift";
    }
    if (!reason && (out->rank != in->rank || out->dims[axis] != pick->out))
        return "how it rearranges the channels is not known";
    return reason;
}

/* ---- one axis and no other ---- */

static const char other_axes[] = "it changes other axes than the channels";

/* A Slice of the other axes takes all of them. */
static bool takes_whole(struct node *node, int axis, bool *sized)
{
    const struct value *in = node->inputs[0];
    const int64_t open = INT32_MAX; /* or more: to the end */
    struct cuts cuts = {.count = 0};
    if (!read_cuts(node, &cuts))
        return true; /* pick_along says why it cannot be read */
    for (size_t i = 0; i < cuts.count; i++) {
        int64_t along = cut_axis(node, &cuts, i);
        if (along == axis)
            continue;
        if (along < 0 || along >= in->rank || cuts.start[i] != 0 || (cuts.step && cuts.step[i] != 1))
            return false;
        if (cuts.stop[i] < open && (in->dims[along] < 1 || cuts.stop[i] < in->dims[along]))
            return false;
        *sized = *sized || cuts.stop[i] < open;
    }
    return true;
}

static bool pads_none(struct node *node, int axis, bool *sized)
{
    int64_t begin[MAX_RANK], end[MAX_RANK];
    double fill;
    int rank;
    if (lift_pad_amounts(node, begin, end, &rank, sized) || lift_pad_fill(node, &fill) || fill != 0)
        return false;
    for (int i = 0; i < rank; i++)
        if (i != axis && (begin[i] || end[i]))
            return false;
    return true;
}

const char *pick_alone(struct node *node, int axis, struct pick *pick, bool *sized)
{
    bool alone = node->op == OP_Pad ? pads_none(node, axis, sized) : takes_whole(node, axis, sized);
    return alone ? pick_along(node, axis, pick) : other_axes;
}

const char *pick_split(struct node *node, size_t output, int axis, struct pick *pick)
{
    const struct value *in = node_input(node, 0);
    int64_t along = node_integer(node, "axis", 0), begin = 0, end = 0, width = 0;
    if (!in || in->rank < 1 || in->rank > MAX_RANK || in->disputed)
        return unknown;
    if (along + (along < 0 ? in->rank : 0) != axis)
        return other_axes;
    for (size_t k = 0; k < node->output_count; k++) {
        const struct value *part = node->outputs[k];
        if (!part || part->rank != in->rank || part->dims[axis] < 1 || part->dims[axis] > WIDEST)
            return unknown;
        begin = k == output ? end : begin;
        end += part->dims[axis];
        width = k == output ? part->dims[axis] : width;
    }
    if (end != in->dims[axis])
        return unknown;
    int64_t *from = make(node->graph->model->arena, pick, end, width);
    for (int64_t i = 0; i < width; i++)
        from[i] = begin + i;
    return NULL;
}

/* ---- */

/* Source: ONNX DepthToSpace-1 .. 13. DCR: the places of a block come before the channels, CRD: behind them. */
const char *pick_depth(const struct node *node, int axis, struct pick *pick)
{
    struct arena *arena = node->graph->model->arena;
    const struct value *in = node->inputs[0], *out = node->outputs[0];
    int64_t side = side_of(node);
    const char *mode = node_string(arena, node, "mode", "DCR");
    bool behind = strcmp(mode, "CRD") == 0;
    if (in->rank != 4 || out->rank != 4 || axis < 0 || axis > 1 || !side || (!behind && strcmp(mode, "DCR") != 0))
        return "it moves the axis of the channels";
    if (in->dims[axis] < 1 || in->dims[axis] > WIDEST || out->dims[axis] < 1)
        return unknown;
    int64_t width = out->dims[axis], *from = make(arena, pick, width, in->dims[axis]);
    if (axis == 0)
        return width == pick->out ? NULL : unknown;
    if (width * side * side != pick->out)
        return "its channels do not fit";
    for (int64_t i = 0; i < pick->out; i++)
        from[i] = behind ? i / (side * side) : i % width;
    return NULL;
}
