/* fuse/lane_axes.c: where the axis of a lane is behind ops that turn, split and merge axes. */
#include "fuse/lane_axes.h"

#include "infer/constant.h"

bool lane_same_size(const struct value *a, int i, const struct value *b, int k)
{
    return size_is_known(a->dims[i]) && a->dims[i] == b->dims[k];
}

/* A Reshape copies the size of its input where its target is 0. */
static bool is_copied(const struct node *node, int axis)
{
    int64_t held[LANE_RANK];
    size_t count;
    if (node->op == OP_Flatten)
        return axis == 0 && node_integer(node, "axis", 1) == 1;
    if (node->op != OP_Reshape || node_integer(node, "allowzero", 0))
        return false;
    const int64_t *target = constant_integers(node, "shape", 1, held, LANE_RANK, &count);
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
            if (!size_is_known(from->dims[i]) || !multiply_fits(a, from->dims[i++], &a))
                return "it reshapes axes whose sizes are not known";
        } else if (k < to_end) {
            if (!size_is_known(to->dims[k]) || !multiply_fits(b, to->dims[k++], &b))
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
        lane_widen(arena, lane, before, behind);
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
        if (lane_narrow(arena, &part, to->dims[n], inner)) {
            *lane = part;
            lane->axis = n;
            return NULL;
        }
        product *= to->dims[n];
    }
    return "it splits the channels";
}

const char *lane_reshape(const struct node *node, const struct value *from, const struct value *to, struct lane *lane)
{
    int left = 0, right = 0;
    if (from->rank < 0 || to->rank < 0 || from->rank > LANE_RANK || to->rank > LANE_RANK)
        return "the shape is not known";
    if (lane->axis < 0)
        return NULL;
    while (left < from->rank && left < to->rank && (lane_same_size(from, left, to, left) || is_copied(node, left)))
        left++;
    if (lane->axis < left)
        return NULL;
    while (right < from->rank - left && right < to->rank - left &&
           lane_same_size(from, from->rank - 1 - right, to, to->rank - 1 - right))
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

const char *lane_squeeze(const struct node *node, bool forward, struct lane *lane)
{
    int64_t held[LANE_RANK];
    size_t count;
    bool removes = node->op == OP_Squeeze, single[LANE_RANK] = {false};
    const struct value *in = node->inputs[0], *out = node->outputs[0];
    int rank = removes ? in->rank : out->rank, place = 0;
    const int64_t *axes = constant_integers(node, "axes", 1, held, LANE_RANK, &count);
    if (lane->axis < 0)
        return NULL;
    if (!axes || rank < 0 || rank > LANE_RANK)
        return lane_reshape(node, forward ? in : out, forward ? out : in, lane);
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

bool transpose_order(const struct node *node, int rank, int *order)
{
    size_t count;
    bool seen[LANE_RANK] = {false};
    if (node->op != OP_Transpose || rank < 0 || rank > LANE_RANK)
        return false;
    const int64_t *perm = node_integers(node, "perm", &count);
    if (perm && count != (size_t)rank)
        return false;
    for (int i = 0; i < rank; i++) {
        int64_t from = perm ? perm[i] : rank - 1 - i;
        if (from < 0 || from >= rank || seen[from])
            return false;
        seen[from] = true;
        order[i] = (int)from;
    }
    return true;
}

const char *lane_transpose(const struct node *node, bool forward, struct lane *lane)
{
    int perm[LANE_RANK], rank = node->inputs[0]->rank;
    if (lane->axis < 0)
        return NULL;
    if (!transpose_order(node, rank, perm))
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
