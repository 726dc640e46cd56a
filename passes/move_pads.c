/* passes/move_pads.c
 *
 *     x -> Pad with 0 -> Transpose -> Conv -> y        becomes        x -> Transpose -> Pad -> Conv -> y
 *
 * Then compose_chains, or fold_before if several Convs read it, turns the Pad into padding; without them nothing moves.
 * The Pad may have been written with the channels last.
 *
 * Refused: a Pad of channels, or one that crops. Left alone: values that other ops than Convs with constant weights
 * read. */
#include "fuse/extent.h"
#include "fuse/lift.h"
#include "fuse/trace.h"
#include "passes/passes.h"
#include "passes/slide.h"
#include "passes/turn.h"

static bool is_turn(struct node *node)
{
    return node->op == OP_Transpose && node_input(node, 0) && node_output(node, 0) && !node_has_references(node);
}

/* True if all readers of the value are Convs into which a Pad can fold. */
static bool only_convs_read(const struct value *value)
{
    bool any = false;
    for (const struct use *use = value->uses; use; use = use->next) {
        if (!use_is_live(use))
            continue;
        if (use->index != 0 || use->inner->graph != value->graph || use->inner->op != OP_Conv ||
            !lift_is_weighted(use->inner, LAYOUT_CONV))
            return false;
        any = true;
    }
    return any;
}

static const char *read_pads(struct node *pad, const int *order, int64_t *pads)
{
    int64_t begin[TURN_RANK], end[TURN_RANK];
    double fill;
    bool sized = false;
    int rank;
    const char *reason = lift_pad_mode(pad);
    if (!reason)
        reason = lift_pad_amounts(pad, begin, end, &rank, &sized);
    if (!reason)
        reason = lift_pad_fill(pad, &fill);
    if (reason)
        return reason;
    if (fill != 0)
        return "the Pad does not fill with 0";
    for (int i = 0; i < rank; i++) {
        pads[i] = begin[order[i]];
        pads[rank + i] = end[order[i]];
        if (pads[i] < 0 || pads[rank + i] < 0)
            return "the Pad crops: one of its widths is negative";
        if (i < 2 && (pads[i] || pads[rank + i]))
            return "the Pad pads the batch or the channels";
    }
    return NULL;
}

static bool move(struct plan *plan, struct node *turn)
{
    struct arena *arena = plan->model->arena;
    struct slide slide = {.plan = plan, .node = turn};
    struct value *target = turn->outputs[0], *padded = turn->inputs[0], *x;
    struct node *pad = padded->producer;
    int order[TURN_RANK];
    if (!pad || pad->op != OP_Pad || pad->removed || pad->graph != turn->graph || !node_input(pad, 0) ||
        node_has_references(pad) || value_only_reader(padded) != turn)
        return false;
    x = pad->inputs[0];
    int rank = x->rank;
    if (rank < 3 || padded->rank != rank || target->rank != rank || !transpose_order(turn, rank, order) ||
        !type_is_float(x->type) || !value_is_told(x) || !value_is_told(target) || x->is_annotated ||
        !slide_is_inner(target, turn->graph) || !only_convs_read(target))
        return false;
    int64_t *pads = NEW_ARRAY(arena, int64_t, 2 * rank), *perm = NEW_ARRAY(arena, int64_t, rank);
    const char *reason = read_pads(pad, order, pads);
    if (!reason)
        reason = plan_banned(plan, turn->graph, target);
    if (reason) {
        plan_refuse(plan, turn, target, reason);
        return false;
    }
    for (int i = 0; i < rank; i++)
        perm[i] = order[i];
    slide_begin(&slide, target);
    slide_source(&slide, x, -1);
    const struct edit_attribute perm_is = {"perm", perm, (size_t)rank, 0};
    struct value *turned = slide_make(&slide, "Transpose", turn, &x, 1, &perm_is, NULL);
    turned->dims = NEW_ARRAY(arena, int64_t, rank);
    for (int i = 0; i < rank; i++)
        turned->dims[i] = x->dims[order[i]];
    struct value *inputs[2] = {turned};
    const struct edit_attribute pads_are = {"pads", pads, 2 * (size_t)rank, 0};
    bool as_input = turn->graph->opset >= 11;
    const int64_t count = 2 * (int64_t)rank;
    if (as_input)
        inputs[1] = edit_constant(turn->graph, turn, arena_format(arena, "%s.pads", target->name),
                                  tensor_of_integers(arena, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &count, pads));
    slide_make(&slide, "Pad", pad, inputs, as_input ? 2 : 1, as_input ? NULL : &pads_are, target);
    slide_remove_unread(&slide, pad);
    lift_forget(plan->model);
    return false;
}

void move_pads(struct plan *plan)
{
    if (pass_is_enabled(plan, "compose_chains") && pass_is_enabled(plan, "fold_before"))
        pass_each(plan, is_turn, false, move);
}
