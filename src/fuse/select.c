/* fuse/select.c: a matrix that has a single 1 in each row, or none. It is never stored: rows of it are made when
 * somebody asks for them. */
#include "fuse/select.h"

#include "affine/laws.h"
#include "fuse/pick.h"
#include "infer/operand.h"

enum { MAX_RANK = AFFINE_AXES + 2 };

struct selection {
    struct pick pick;
    int64_t taps;       /* of a row, for each input channel */
    const int64_t *tap; /* which of them is 1; NULL: the only one */
};

static void read_selection(const void *closure, int64_t first, int64_t count, double *out)
{
    const struct selection *selection = closure;
    const int64_t width = selection->pick.in * selection->taps;
    memset(out, 0, (size_t)(count * width) * sizeof(*out));
    for (int64_t r = 0; r < count; r++) {
        int64_t from = selection->pick.from[first + r];
        int64_t tap = selection->tap ? selection->tap[first + r] : 0;
        if (from >= 0)
            out[r * width + from * selection->taps + tap] = 1;
    }
}

static const char *select(struct arena *arena, struct selection selection, int axes,
                          const struct affine_axis *axis, const struct affine **form)
{
    struct selection *kept = NEW(arena, struct selection);
    *kept = selection;
    return affine_make(arena,
                       &(struct affine_kernel){.axes = axes,
                                               .axis = axis,
                                               .outputs = selection.pick.out,
                                               .inputs = selection.pick.in,
                                               .groups = 1,
                                               .read = read_selection,
                                               .closure = kept},
                       form);
}

/* NULL when all axes but one stay as they are. */
static const char *look_at_others(struct node *node, int axis)
{
    int64_t numbers[MAX_RANK];
    size_t count;
    bool sized = false;
    const struct value *in = node->inputs[0];
    if (node->op == OP_Gather) {
        int64_t along = node_integer(node, "axis", 0);
        return (along < 0 ? along + in->rank : along) == axis
                   ? NULL
                   : "Gather takes other axes apart than "
                     "the channels";
    }
    if (!node_input(node, 1))
        return "an input is missing";
    const char *reason = operand_integers(node, 1, "sizes", numbers, MAX_RANK, &count, &sized);
    if (reason)
        return reason;
    if (sized || count > (size_t)in->rank || (node->op == OP_Tile && count != (size_t)in->rank))
        return "what it repeats depends on the size of a value";
    for (size_t k = 0; k < count; k++) {
        int i = in->rank - (int)count + (int)k;
        bool stays = numbers[k] == 1 || (node->op == OP_Expand && numbers[k] == in->dims[i]);
        if (i != axis && !stays)
            return "it repeats other axes than the channels";
    }
    return NULL;
}

const char *lift_select(struct node *node, enum layout layout, struct step *step)
{
    struct value *in = node_input(node, 0);
    struct affine_axis axis[AFFINE_AXES];
    struct selection selection = {.taps = 1};
    bool conv = layout == LAYOUT_CONV;
    if (!in || in->rank < (conv ? 3 : 2) || in->rank > MAX_RANK)
        return "the rank of the value is not known or does not fit";
    int channels = conv ? 1 : in->rank - 1, axes = conv ? in->rank - 2 : 0;
    const char *reason = look_at_others(node, channels);
    if (!reason)
        reason = pick_along(node, channels, &selection.pick);
    for (int i = 0; i < axes; i++)
        axis[i] = (struct affine_axis){.stride = 1, .step = 1, .taps = 1};
    step->input = in;
    const struct affine *form = NULL;
    if (!reason)
        reason = select(node->graph->model->arena, selection, axes, axis, &form);
    step->form = form;
    return reason;
}

const char *lift_select_channels(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    struct affine_axis axis[AFFINE_AXES];
    struct selection selection = {.taps = 1};
    int axes = step->form->axes;
    const struct affine *form;
    const char *reason = pick_along(node, 1, &selection.pick);
    if (reason)
        return reason;
    for (int i = 0; i < axes; i++)
        axis[i] = affine_axis_of(step->form, i);
    reason = select(arena, selection, axes, axis, &form);
    step->form = form;
    return reason;
}

/* Source: ONNX SpaceToDepth-1 .. 13: all channels of one place, then all of the next. */
const char *lift_space_to_depth(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    const struct value *in = step->input = node_input(node, 0);
    int64_t side = node_integer(node, "blocksize", 0);
    struct selection selection = {.taps = side * side};
    struct affine_axis axis[2];
    if (!in || in->rank != 4 || side < 1 || side > 1 << 10)
        return "SpaceToDepth of no image, or of no block that is reckoned with";
    for (int i = 2; i < 4; i++) {
        if (in->disputed || in->dims[i] < 1 || in->dims[i] % side)
            return "the size of what SpaceToDepth takes apart is not known";
        axis[i - 2] = (struct affine_axis){.stride = side, .step = 1, .taps = side};
    }
    const char *reason = pick_along(node, 1, &selection.pick);
    if (reason)
        return reason;
    int64_t *tap = NEW_ARRAY(arena, int64_t, selection.pick.out);
    for (int64_t i = 0; i < selection.pick.out; i++)
        tap[i] = i / selection.pick.in;
    selection.tap = tap;
    step->sized = true;
    const struct affine *form;
    reason = select(arena, selection, 2, axis, &form);
    step->form = form;
    return reason;
}
