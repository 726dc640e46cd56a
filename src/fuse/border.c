/* fuse/border.c: a border written by Pad and ScatterND.
 *
 * Diverse Branch Block (arXiv 2103.13425, section 3.2) pads the output of BatchNormalization with
 * what BatchNormalization makes of 0. Exporters write the assignments to the four edges as
 *
 *     Pad(0) -> ScatterND -> ScatterND -> ...   with constant indices and updates,
 *
 * or turn the axis that is written to the front, by Transposes between, and all back in the end.
 *
 * The chain is a Pad with one value per channel when, and only when, its updates cover every
 * padded position with that value and touch nothing else. This is found by writing the updates on the
 * frame: the positions of the padded value that Pad added. */
#include "fuse/border.h"

#include <math.h>

#include "affine/laws.h"
#include "fuse/extent.h"
#include "infer/constant.h"

enum { BORDER_CHAIN = 32, MAX_RANK = AFFINE_AXES + 2 };

/* The padded value: what was written to its frame, channel by channel; NAN: nothing yet. */
struct frame {
    int rank;
    int64_t dims[MAX_RANK], begin[MAX_RANK], inside[MAX_RANK]; /* inside: extents of Pad's input */
    int64_t planes, size; /* batch times channels, and positions of the frame in one of them */
    double *numbers;
    int axis[MAX_RANK]; /* what is here the axis i of it, after the Transposes so far */
};

static int64_t extent_of(const struct frame *frame, int place)
{
    return frame->dims[frame->axis[place]];
}

/* The index in `numbers` of a position of the padded value: the number of earlier positions outside the value. -1:
 * it is inside. */
static int64_t place_of(const struct frame *frame, const int64_t *position)
{
    int64_t before = 0, inside_before = 0;
    bool is_inside = true; /* on the axes so far */
    for (int i = 2; i < frame->rank; i++) {
        int64_t at = position[i] - frame->begin[i];
        before = before * frame->dims[i] + position[i];
        inside_before *= frame->inside[i];
        if (is_inside)
            inside_before += at < 0 ? 0 : at < frame->inside[i] ? at : frame->inside[i];
        is_inside = is_inside && at >= 0 && at < frame->inside[i];
    }
    int64_t plane = position[0] * frame->dims[1] + position[1];
    return is_inside ? -1 : plane * frame->size + before - inside_before;
}

/* Writes a block of the axes from `first` on, in the order they have now. False: not on the frame. */
static bool write_block(struct frame *frame, int first, int64_t *position, const double *block)
{
    for (bool more = true; more;) {
        int64_t at = place_of(frame, position);
        if (at < 0)
            return false;
        frame->numbers[at] = *block++;
        more = false;
        for (int i = frame->rank - 1; i >= first && !more; i--) {
            int64_t *k = &position[frame->axis[i]];
            more = ++*k < extent_of(frame, i);
            *k = more ? *k : 0;
        }
    }
    return true;
}

/* What one ScatterND writes, and where. Source: ONNX ScatterND-11 .. ScatterND-18. */
static const char *read_scatter(struct node *node, const struct frame *frame, const struct tensor **indices,
                                const struct tensor **updates, int64_t *block)
{
    struct arena *arena = node->graph->model->arena;
    int rank = frame->rank;
    if (!node_input(node, 1) || !node_input(node, 2))
        return "an input of ScatterND is missing";
    const char *reason = constant_of(node->inputs[1], indices);
    if (!reason)
        reason = constant_of(node->inputs[2], updates);
    if (reason)
        return arena_format(arena, "what ScatterND writes, or where, %s", reason);
    if (strcmp(node_string(arena, node, "reduction", "none"), "none") != 0)
        return "ScatterND reduces";
    const struct tensor *places = *indices;
    if (places->rank < 1 || !tensor_is_readable(*updates) || !type_is_float((*updates)->type))
        return "ScatterND's indices or updates cannot be read";
    int64_t depth = places->dims[places->rank - 1], needed;
    if (depth < 1 || depth > rank)
        return "ScatterND's indices do not fit its data";
    *block = 1;
    for (int i = (int)depth; i < rank; i++)
        *block *= extent_of(frame, i);
    if (!multiply_fits(places->count / depth, *block, &needed) || (*updates)->count != needed)
        return "ScatterND's updates do not fit its indices";
    return NULL;
}

/* Writes one ScatterND on the frame. */
static const char *scatter(struct node *node, struct frame *frame)
{
    struct arena *arena = node->graph->model->arena;
    const struct tensor *indices = NULL, *updates = NULL;
    int64_t block = 0;
    const char *reason = read_scatter(node, frame, &indices, &updates, &block);
    if (reason)
        return reason;
    int64_t depth = indices->dims[indices->rank - 1], places = indices->count / depth;
    int64_t *index = NEW_ARRAY(arena, int64_t, indices->count + 1);
    double *numbers = NEW_ARRAY(arena, double, block);
    if (!tensor_read_integers(indices, index))
        reason = "ScatterND's indices cannot be read";
    for (int64_t p = 0; p < places && !reason; p++) {
        int64_t position[MAX_RANK] = {0};
        for (int i = 0; i < (int)depth && !reason; i++) {
            int64_t k = index[p * depth + i];
            k += k < 0 ? extent_of(frame, i) : 0;
            if (k < 0 || k >= extent_of(frame, i))
                reason = "an index of ScatterND is out of range";
            position[frame->axis[i]] = k;
        }
        if (reason)
            break;
        tensor_read(updates, p * block, block, numbers);
        if (!write_block(frame, (int)depth, position, numbers))
            reason = "ScatterND writes inside the padding, on the values themselves";
    }
    arena_give_back(arena, index);
    arena_give_back(arena, numbers);
    return reason;
}

/* Turns the axes. Source: ONNX Transpose-1 .. Transpose-25. */
static const char *turn(const struct node *node, struct frame *frame)
{
    size_t count;
    const int64_t *perm = node_integers(node, "perm", &count);
    int turned[MAX_RANK];
    bool seen[MAX_RANK] = {false};
    if (perm && count != (size_t)frame->rank)
        return "the perm of a Transpose has another length than its input's rank";
    for (int i = 0; i < frame->rank; i++) {
        int64_t from = perm ? perm[i] : frame->rank - 1 - i;
        if (from < 0 || from >= frame->rank || seen[from])
            return "the perm of a Transpose is not a permutation";
        seen[from] = true;
        turned[i] = frame->axis[from];
    }
    memcpy(frame->axis, turned, sizeof(turned));
    return NULL;
}

/* Reads the border back: one value per channel. */
static const char *read_border(const struct frame *frame, double *border)
{
    const double *number = frame->numbers;
    for (int64_t plane = 0; plane < frame->planes; plane++) {
        double *value = &border[plane % frame->dims[1]];
        if (plane < frame->dims[1])
            *value = frame->size ? *number : 0;
        for (int64_t i = 0; i < frame->size; i++, number++) {
            if (isnan(*number))
                return "ScatterND leaves some of the padding at 0";
            if (*number != *value)
                return "the padding of one channel holds different values";
        }
    }
    return NULL;
}

static const char *write_border(struct node *const *chain, int length, struct frame *frame)
{
    const char *reason = NULL;
    for (int i = length - 1; !reason && i >= 0; i--) {
        if (chain[i]->op == OP_ScatterND)
            reason = scatter(chain[i], frame);
        else if (chain[i]->op == OP_Transpose)
            reason = turn(chain[i], frame);
    }
    for (int i = 0; !reason && i < frame->rank; i++)
        if (frame->axis[i] != i)
            reason = "the Transposes around ScatterND do not undo each other";
    return reason;
}

/* Its size, of a Pad of `begin` and `end`. False: more numbers than are held for a model of this size. */
static bool make_frame(struct arena *arena, struct frame *frame)
{
    int64_t all, inside, spatial = 1, most = (int64_t)arena->landing->input, count;
    if (!count_elements(frame->dims, (size_t)frame->rank, &all) ||
        !count_elements(frame->inside + 2, (size_t)frame->rank - 2, &inside))
        return false;
    for (int i = 2; i < frame->rank; i++)
        spatial *= frame->dims[i];
    frame->planes = frame->dims[0] * frame->dims[1];
    frame->size = spatial - inside;
    count = frame->planes * frame->size;
    if (frame->dims[1] > BUDGET_FRAME || (count > BUDGET_FRAME && count > most))
        return false;
    frame->numbers = NEW_ARRAY(arena, double, count + 1);
    for (int64_t i = 0; i < count; i++)
        frame->numbers[i] = NAN;
    return true;
}

/* The ops from `root` back to a Pad, and the ScatterND among them that writes last. */
static const char *find_chain(struct node *root, struct node **chain, int *length, struct node **scatter_node,
                              struct node **pad)
{
    const char *unknown = root->op == OP_ScatterND ? "ScatterND " REASON_NOT_LINEAR : "Transpose " REASON_NOT_LINEAR;
    struct node *node = root;
    *scatter_node = NULL;
    *length = 0;
    while (node && (node->op == OP_ScatterND || node->op == OP_Transpose || node->op == OP_Identity)) {
        if (*length == BORDER_CHAIN || !node_input(node, 0))
            return unknown;
        if (!*scatter_node && node->op == OP_ScatterND)
            *scatter_node = node;
        chain[(*length)++] = node;
        node = node->inputs[0]->producer;
    }
    *pad = node;
    return node && node->op == OP_Pad && *scatter_node ? NULL : unknown;
}

const char *lift_border(struct node *root, struct step *step)
{
    struct arena *arena = root->graph->model->arena;
    struct node *chain[BORDER_CHAIN + 1], *pad_node, *scatter_node;
    struct frame frame = {0};
    int64_t *begin = frame.begin, end[MAX_RANK];
    int length, rank;
    const char *reason = find_chain(root, chain, &length, &scatter_node, &pad_node);
    if (!reason)
        reason = lift_pad_mode(pad_node);
    if (!reason)
        reason = lift_pad_amounts(pad_node, begin, end, &rank, &step->sized);
    if (reason)
        return reason;
    struct value *input = pad_node->inputs[0];
    if (rank < 3 || input->rank != rank)
        return "the size under ScatterND is not known";
    for (int i = 0; i < rank; i++) {
        if (input->dims[i] < 1 || begin[i] < 0 || end[i] < 0 || (i < 2 && (begin[i] || end[i])) ||
            !add_fits(input->dims[i], begin[i], &frame.dims[i]) || !add_fits(frame.dims[i], end[i], &frame.dims[i]))
            return "the size under ScatterND is not known, or Pad crops";
        frame.inside[i] = input->dims[i];
        frame.axis[i] = i;
    }
    frame.rank = rank;
    struct step pad = {0};
    bool selects;
    reason = lift_pad(pad_node, &pad, &selects);
    if (!reason)
        reason = only_first_is_needed(pad_node);
    if (reason)
        return reason;
    if (!make_frame(arena, &frame))
        return "ScatterND works on a value that is too large to follow";
    step->sized = true;
    double *border = NEW_ARRAY(arena, double, frame.dims[1]);
    reason = write_border(chain, length, &frame);
    if (!reason)
        reason = read_border(&frame, border);
    arena_give_back(arena, frame.numbers);
    if (reason)
        return reason;
    const struct tensor *tensor;
    int32_t type = constant_of(scatter_node->inputs[2], &tensor) ? 0 : tensor->type;
    const struct affine *form;
    reason = affine_pad(arena, rank - 2, begin + 2, end + 2, frame.dims[1], border, type_rounding(type), &form);
    chain[length] = pad_node;
    step->passed = NEW_ARRAY(arena, struct node *, length + 1);
    memcpy(step->passed, chain + 1, (size_t)length * sizeof(*chain));
    step->passed_count = (size_t)length;
    step->input = input;
    step->form = form;
    step->type = type;
    return reason;
}
