/* passes/slide_back.c
 *
 *     x -> Conv -> Transpose -> Mul(c) -> y        becomes        x -> Conv -> Mul(c') -> Transpose -> y
 *
 * Then fold_after folds the op behind the Conv; without fold_after nothing moves. An op that scales or shifts each
 * channel moves back past ops that commute with it (fuse/lane.h), to every op with a constant weight before them:
 * through a Concat to all of its parts, or not at all.
 *
 * Refused: a value on the path that another op reads, or that is a graph output; an op that does not commute; a path
 * that does not end at weights. */
#include "fuse/lift.h"
#include "fuse/trace.h"
#include "infer/constant.h"
#include "model/edit.h"
#include "passes/passes.h"
#include "passes/slide.h"

/* A path back from a value: through `node`, or if that is NULL, the path ends here and the lane is applied to the
 * value. */
struct route {
    struct value *value;
    struct lane lane;
    struct node *node;
    size_t output;
    struct route **inputs; /* of the node; NULL for an input that stays as it is */
};

static bool scales_or_shifts(struct node *node)
{
    switch (node->op) {
    case OP_Mul:
    case OP_Div:
    case OP_Add:
    case OP_Sub:
    case OP_Neg:
    case OP_BatchNormalization: return node->outputs[0] != NULL;
    default: return false;
    }
}

static struct route *find(struct slide *slide, struct value *value, const struct lane *lane, int depth);

static struct route *find_through(struct slide *slide, struct node *node, size_t output, struct route *route, int depth)
{
    struct arena *arena = slide->plan->model->arena;
    bool all = node->op == OP_Concat;
    bool any = node->op == OP_Mul || node->op == OP_MatMul || node->op == OP_Conv;
    size_t count = all || any ? node->input_count : 1;
    route->node = node;
    route->output = output;
    route->inputs = NEW_ARRAY(arena, struct route *, node->input_count + 1);
    for (size_t i = 0; i < count; i++) {
        struct lane lane;
        const char *reason = lane_backward(node, output, i, &route->lane, &lane);
        if (reason)
            slide_stop(slide, node, reason);
        else if (all && lane_is_neutral(&lane))
            continue;
        else
            route->inputs[i] = find(slide, node->inputs[i], &lane, depth + 1);
        if (!route->inputs[i] && !any)
            return NULL;
        if (route->inputs[i] && any)
            return route;
    }
    return any ? NULL : route;
}

static struct route *find(struct slide *slide, struct value *value, const struct lane *lane, int depth)
{
    struct arena *arena = slide->plan->model->arena;
    struct node *node = value ? value->producer : NULL, *reader;
    if (node && value->is_output)
        slide_stop(slide, node, "the value before it is a graph output");
    if (!node || node->graph != slide->node->graph || !slide_is_inner(value, node->graph) || slide->hops++ > SLIDE_HOPS)
        return NULL;
    if (slide_readers(value, &reader) != 1) {
        slide_stop(slide, node, "other ops read the value before it");
        return NULL;
    }
    struct route *route = NEW(arena, struct route);
    *route = (struct route){.value = value, .lane = *lane};
    if (slide_ends_at_weight(value, lane)) {
        slide->ends++;
        return depth > 0 ? route : NULL; /* fold_after handles an op right behind the weight */
    }
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] == value)
            return find_through(slide, node, i, route, depth);
    return NULL;
}

/* Makes new ops along a path. at: the op behind, whose place the last of them takes. */
static struct value *rebuild(struct slide *slide, const struct route *route, const struct node *at,
                             struct value *target)
{
    struct arena *arena = slide->plan->model->arena;
    struct node *node = route->node;
    if (!node)
        return slide_apply(slide, route->value, &route->lane, at, target);
    struct value **inputs = NEW_ARRAY(arena, struct value *, node->input_count + 1);
    for (size_t i = 0; i < node->input_count; i++)
        inputs[i] = route->inputs[i] ? rebuild(slide, route->inputs[i], node, NULL) : node->inputs[i];
    /* Other outputs of a Split may be read before the op that moves back. */
    return slide_copy(slide, node, node->output_count > 1 ? node : at, inputs, route->output, target);
}

/* The values at the ends of the path, from which both versions are computed. */
static void list_sources(struct slide *slide, const struct route *route)
{
    if (!route->node)
        slide_source(slide, route->value, route->lane.axis);
    for (size_t i = 0; route->node && i < route->node->input_count; i++) {
        if (route->inputs[i])
            list_sources(slide, route->inputs[i]);
        else
            slide_source(slide, route->node->inputs[i], route->lane.axis);
    }
}

/* True if the op was stopped right behind a weight, so that a user may have expected it to fold. */
static bool is_near_weight(const struct node *node)
{
    bool near = lift_reads_weight(node);
    for (size_t i = 0; i < node->input_count && i < 2 && !near; i++)
        near = node->inputs[i] && node->inputs[i]->producer && lift_reads_weight(node->inputs[i]->producer);
    return near;
}

static bool slide_one(struct plan *plan, struct node *node)
{
    struct slide slide = {.plan = plan, .node = node};
    struct value *target = node->outputs[0];
    struct lane lane;
    if (slide_is_dear(plan, node))
        return false;
    if (lane_of(node, &lane) || lane_is_neutral(&lane) || !lane.data->producer ||
        lane_of(lane.data->producer, &(struct lane){0}) == NULL)
        return false;
    const char *banned = plan_banned(plan, node->graph, target);
    if (banned) {
        plan_refuse(plan, node, target, banned);
        return false;
    }
    struct route *route = find(&slide, lane.data, &lane, 0);
    if (!route) {
        bool direct = slide.stopped_by == lane.data->producer && lift_reads_weight(slide.stopped_by);
        if (slide.reason && !direct && (slide.ends || is_near_weight(slide.stopped_by)))
            plan_refuse(plan, node, target,
                        arena_format(plan->model->arena, REASON_CANNOT_MOVE "back past %s: %s",
                                     slide.stopped_by->proto->op_type, slide.reason));
        return false;
    }
    slide_begin(&slide, target);
    list_sources(&slide, route);
    rebuild(&slide, route, node, target);
    lift_forget(plan->model);
    return false;
}

void slide_back(struct plan *plan)
{
    if (pass_is_enabled(plan, "fold_after"))
        pass_each(plan, scales_or_shifts, false, slide_one);
}
