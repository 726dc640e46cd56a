/* fuse/select.c: ops that take, repeat or place channels: what each channel behind them is in front of them. */
#include "fuse/select.h"

#include "affine/laws.h"
#include "fuse/pick.h"
#include "infer/constant.h"
#include "infer/operand.h"

enum { MAX_RANK = AFFINE_AXES + 2 };

/* Why the channels are not followed one by one, or NULL. Asked before any is. */
static const char *has_room(const struct value *in, int axis)
{
    if (in->rank <= axis)
        return "the rank of the value is not known or does not fit";
    return affine_pick_room(in->graph->model->arena, in->dims[axis] > 0 ? in->dims[axis] : 1, 1);
}

/* NULL when a Gather, Tile or Expand leaves all axes but one as they are. */
static const char *look_at_others(struct node *node, int axis, bool *sized)
{
    int64_t numbers[MAX_RANK];
    size_t count;
    bool asks = false;
    const struct value *in = node->inputs[0];
    if (node->op == OP_Gather) {
        int64_t along = node_integer(node, "axis", 0);
        return (along < 0 ? along + in->rank : along) == axis ? NULL
                                                              : "Gather takes other axes apart than the channels";
    }
    if (!node_input(node, 1))
        return "an input is missing";
    const char *reason = operand_integers(node, 1, "sizes", numbers, MAX_RANK, &count, &asks);
    if (reason)
        return reason;
    if (asks || count > (size_t)in->rank || (node->op == OP_Tile && count != (size_t)in->rank))
        return "what it repeats depends on the size of a value";
    for (size_t k = 0; k < count; k++) {
        int i = in->rank - (int)count + (int)k;
        bool same = node->op == OP_Expand && numbers[k] == in->dims[i];
        if (i != axis && numbers[k] != 1 && !same)
            return "it repeats other axes than the channels";
        *sized = *sized || (i != axis && numbers[k] != 1);
    }
    return NULL;
}

/* The number of channels from a declared size. */
static bool asks_sizes(const struct node *node)
{
    const struct tensor *tensor;
    for (size_t i = 1; i < node->input_count; i++)
        if (node->inputs[i] && !constant_of(node->inputs[i], &tensor) && tensor->from_shape)
            return true;
    return false;
}

static const char *make_form(struct arena *arena, const struct pick *pick, const int64_t *tap, int axes,
                             const struct affine_axis *axis, const struct affine **form)
{
    return affine_pick(
        arena,
        &(struct affine_picked){
            .axes = axes, .axis = axis, .inputs = pick->in, .outputs = pick->out, .from = pick->from, .tap = tap},
        form);
}

const char *lift_select(struct node *node, enum layout layout, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    struct value *in = node_input(node, 0);
    bool conv = layout == LAYOUT_CONV;
    bool moves = node->op == OP_Slice || node->op == OP_Pad; /* it may move positions as well */
    struct pick pick = {0};
    if (!in || in->rank < (conv ? 3 : 2) || in->rank > MAX_RANK || (!conv && in->disputed))
        return "the rank of the value is not known or does not fit";
    int axis = conv ? 1 : in->rank - 1;
    const char *reason = has_room(in, axis);
    if (!reason && moves)
        reason = pick_alone(node, axis, &pick, &step->sized);
    if (!reason && !moves)
        reason = look_at_others(node, axis, &step->sized);
    if (!reason && !moves)
        reason = pick_along(node, axis, &pick);
    if (reason)
        return reason;
    step->input = in;
    step->sized = step->sized || asks_sizes(node);
    return make_form(arena, &pick, NULL, -1, NULL, &step->form);
}

const char *lift_select_channels(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    const struct affine *positions = step->form;
    struct pick pick = {0};
    const char *reason = has_room(step->input, 1);
    if (!reason)
        reason = pick_along(node, 1, &pick);
    return reason ? reason : make_form(arena, &pick, NULL, positions->axes, positions->axis, &step->form);
}

const char *lift_split(struct node *node, enum layout layout, struct step *step)
{
    static const char several[] = "Split makes several values";
    struct arena *arena = node->graph->model->arena;
    const struct value *in = node_input(node, 0);
    int rank = in ? in->rank : -1;
    int axis = layout == LAYOUT_CONV ? 1 : rank - 1;
    if (rank < (layout == LAYOUT_CONV ? 3 : 2) || has_room(in, axis))
        return several;
    struct step **parts = NEW_ARRAY(arena, struct step *, node->output_count + 1);
    for (size_t k = 0; k < node->output_count; k++) {
        struct pick pick = {0};
        parts[k] = NEW(arena, struct step);
        *parts[k] = (struct step){.input = node->inputs[0], .sized = asks_sizes(node)};
        if (pick_split(node, k, axis, &pick) || make_form(arena, &pick, NULL, -1, NULL, &parts[k]->form))
            return several;
    }
    step->parts = node->output_count ? parts : NULL;
    return several;
}

/* Source: ONNX SpaceToDepth-1 .. 13: all channels of one place, then all of the next. */
const char *lift_space_to_depth(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    const struct value *in = step->input = node_input(node, 0);
    int64_t side = node_integer(node, "blocksize", 0);
    struct affine_axis axis[2];
    struct pick pick = {0};
    if (!in || in->rank != 4 || side < 1 || side > 1 << 10)
        return "SpaceToDepth reads a value that is not an image, or its block size is out of range";
    for (int i = 2; i < 4; i++) {
        if (in->disputed || in->dims[i] < 1 || in->dims[i] % side)
            return "the size of what SpaceToDepth takes apart is not known";
        axis[i - 2] = (struct affine_axis){.stride = side, .step = 1, .taps = side};
    }
    const char *reason = has_room(in, 1);
    if (!reason)
        reason = pick_along(node, 1, &pick);
    if (reason)
        return reason;
    int64_t *tap = NEW_ARRAY(arena, int64_t, pick.out);
    for (int64_t i = 0; i < pick.out; i++)
        tap[i] = i / pick.in;
    step->sized = true;
    return make_form(arena, &pick, tap, 2, axis, &step->form);
}
