/* passes/share_transposes.c
 *
 *     x -> Transpose -> t -> Conv ...                       becomes        x -> Transpose -> t -> Conv ...
 *     x -> Mul(c) -> Add(d) -> Transpose -> y                              t -> Mul(c') -> Add(d') -> y
 *
 * If a Transpose reads ops that scale and shift, and the value before these ops exists in that order of axes anyway,
 * the ops move behind the other Transpose. Then join_branches sees branches with one source in one layout. An example
 * is the norm beside the Convs of a block that was written with the channels last.
 *
 * Refused: values between that other ops read. Left alone: cases that save no op. */
#include "fuse/trace.h"
#include "infer/constant.h"
#include "model/edit.h"
#include "passes/passes.h"
#include "passes/slide.h"
#include "passes/turn.h"

/* The number of ops that apply a lane. */
static size_t ops_of(const struct lane *lane)
{
    return (size_t)lane_scales(lane) + lane_shifts(lane);
}

/* A value on the way to one that exists in the other order, if other ops read it. */
static const struct value *find_read(struct value *value, const int *order, const struct node *turn)
{
    const struct graph *graph = turn->graph;
    const struct value *read = NULL;
    struct lane lane;
    struct turned found;
    struct node *reader;
    for (int hops = 0; hops < TURN_LANES; hops++) {
        struct node *maker = value->producer;
        if (!maker || maker->removed || maker->graph != graph || lane_of(maker, &lane))
            return NULL;
        if (slide_readers(value, &reader) != 1 || !slide_is_inner(value, graph))
            read = value;
        value = lane.data;
        if (value->rank >= 0 && turn_find(value, order, turn, &found) && !found.lane_count)
            return read;
    }
    return NULL;
}

static bool share(struct plan *plan, struct node *turn)
{
    struct arena *arena = plan->model->arena;
    struct slide slide = {.plan = plan, .node = turn};
    struct value *target = turn->outputs[0], *in = turn->inputs[0];
    struct turned found;
    struct lane lanes[TURN_LANES];
    int order[TURN_RANK];
    size_t ops = 0;
    if (!type_is_float(target->type) || !transpose_order(turn, in->rank, order) || !in->producer ||
        lane_of(in->producer, &lanes[0]) || slide_is_dear(plan, turn))
        return false;
    if (!turn_find(in, order, turn, &found)) {
        const struct value *read = find_read(in, order, turn);
        if (read)
            plan_refuse(plan, turn, target,
                        arena_format(arena,
                                     "an earlier value has that order of axes already, but other ops between read '%s'",
                                     read->name));
        return false;
    }
    for (size_t i = 0; i < found.lane_count; i++) {
        if (lane_forward(turn, 0, &found.lanes[i], &lanes[i]))
            return false;
        ops += ops_of(&lanes[i]);
    }
    if (!found.lane_count || !ops || ops > found.lane_count || !value_is_told(found.value))
        return false;
    const char *banned = plan_banned(plan, turn->graph, target);
    if (banned) {
        plan_refuse(plan, turn, target, banned);
        return false;
    }
    slide_begin(&slide, target);
    slide_source(&slide, found.source, -1);
    slide_bring(&slide, found.value, turn);
    struct value *value = found.value;
    size_t last = 0; /* skip lanes that change nothing */
    while (!ops_of(&lanes[last]))
        last++;
    for (size_t i = found.lane_count; i-- > last;)
        if (ops_of(&lanes[i]))
            value = slide_apply(&slide, value, &lanes[i], turn, i == last ? target : NULL);
    for (size_t i = 0; i < found.lane_count; i++)
        slide_remove_unread(&slide, found.lane_ops[i]);
    lift_forget(plan->model);
    return false;
}

static bool is_turn(struct node *node)
{
    return node->op == OP_Transpose && node_input(node, 0) && node_output(node, 0) && !node_has_references(node);
}

void share_transposes(struct plan *plan)
{
    pass_each(plan, is_turn, false, share);
}
