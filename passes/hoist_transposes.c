/* passes/hoist_transposes.c
 *
 *     x -> Transpose -> t -> Conv -> Transpose -.
 *     x ---------------------------> Mul(c) ----+-> Add -> y
 *
 *     becomes        t -> Conv ---.
 *                    t -> Mul(c') -+-> Add -> Transpose -> y
 *
 * If one operand of a sum is a Transpose, and each other operand is the same Transpose or exists in the other order of
 * axes anyway, the pass computes the sum in that order and transposes it once. Then join_branches sees branches with
 * one source in one layout.
 *
 * Refused: an operand that exists in one order only; a Transpose that other ops read. */
#include "fuse/lift.h"
#include "fuse/trace.h"
#include "infer/constant.h"
#include "model/edit.h"
#include "passes/passes.h"
#include "passes/slide.h"
#include "passes/turn.h"

enum { OPERANDS_MOST = 16 };

static bool is_sum(struct node *node)
{
    bool sums = node->op == OP_Add || node->op == OP_Sub || node->op == OP_Sum;
    return sums && node->outputs[0] && node->input_count <= OPERANDS_MOST;
}

/* A Transpose that only this sum reads, of a value that a weight computes: there is something to join. */
static struct node *find_turn(struct node *sum)
{
    struct node *reader;
    for (size_t i = 0; i < sum->input_count; i++) {
        struct value *operand = sum->inputs[i];
        struct node *maker = operand ? operand->producer : NULL;
        if (maker && maker->op == OP_Transpose && maker->graph == sum->graph && slide_is_inner(operand, sum->graph) &&
            slide_readers(operand, &reader) == 1)
            return maker;
    }
    return NULL;
}

static bool share_source(struct value *a, struct value *b, enum layout layout)
{
    const struct trace *x = lift_trace(a, layout), *y = lift_trace(b, layout);
    for (size_t i = 0; i < x->count; i++)
        for (size_t k = 0; k < y->count; k++)
            if (x->entries[i].source == y->entries[k].source)
                return true;
    return false;
}

/* A Transpose is saved, or there are branches to join. */
static bool is_worth_it(const struct turned *found, size_t count)
{
    size_t turns = 0;
    bool joins = false;
    for (size_t i = 0; i < count; i++) {
        turns += found[i].is_undone && !found[i].lane_count;
        for (size_t k = 0; k < i; k++)
            joins = joins || share_source(found[i].value, found[k].value, LAYOUT_CONV) ||
                    share_source(found[i].value, found[k].value, LAYOUT_MATRIX);
    }
    return turns > 1 || joins;
}

/* The operand's lanes in the order before the Transpose. */
static bool turn_lanes(struct node *turn, struct turned *operand)
{
    for (size_t i = 0; i < operand->lane_count; i++)
        if (lane_backward(turn, 0, 0, &operand->lanes[i], &operand->lanes[i]))
            return false;
    return true;
}

/* Removes a Transpose or lanes that only the sum read: while they exist, their inputs count as needed, and do not
 * disappear with the joined branches. */
static void remove_unread(struct slide *slide, struct node *maker, const struct turned *operand)
{
    if (!operand->lane_count && operand->is_undone)
        slide_remove_unread(slide, maker);
    for (size_t k = 0; k < operand->lane_count; k++)
        slide_remove_unread(slide, operand->lane_ops[k]);
}

static void hoist(struct plan *plan, struct node *sum, struct node *turn)
{
    struct arena *arena = plan->model->arena;
    struct slide slide = {.plan = plan, .node = sum};
    struct turned *found = NEW_ARRAY(arena, struct turned, sum->input_count + 1);
    struct value *target = sum->outputs[0];
    struct value **inputs = NEW_ARRAY(arena, struct value *, sum->input_count + 1);
    struct node *makers[OPERANDS_MOST];
    const struct node *maker = turn->inputs[0] ? turn->inputs[0]->producer : NULL;
    int order[TURN_RANK], back[TURN_RANK];
    if (!transpose_order(turn, target->rank, order))
        return;
    turn_back(order, target->rank, back);
    for (size_t i = 0; i < sum->input_count; i++) {
        struct value *operand = sum->inputs[i];
        if (operand && operand->rank == target->rank && turn_find(operand, back, turn, &found[i]) &&
            turn_lanes(turn, &found[i]))
            continue;
        if (operand && maker && lift_reads_weight(maker))
            plan_refuse(plan, sum, target,
                        arena_format(arena, "its operand '%s' would need a new Transpose", operand->name));
        return;
    }
    if (!is_worth_it(found, sum->input_count))
        return;
    const char *banned = plan_banned(plan, sum->graph, target);
    if (banned) {
        plan_refuse(plan, sum, target, banned);
        return;
    }
    slide_begin(&slide, target);
    for (size_t i = 0; i < sum->input_count; i++) {
        makers[i] = sum->inputs[i]->producer;
        slide_source(&slide, found[i].source, -1);
        slide_bring(&slide, found[i].value, sum);
        inputs[i] = found[i].value;
        for (size_t k = found[i].lane_count; k-- > 0;)
            inputs[i] = slide_apply(&slide, inputs[i], &found[i].lanes[k], sum, NULL);
    }
    struct value *result = slide_copy(&slide, sum, sum, inputs, 0, NULL);
    result->dims = NEW_ARRAY(arena, int64_t, target->rank + 1);
    for (int i = 0; i < target->rank; i++)
        result->dims[order[i]] = target->dims[i];
    const size_t count = sum->input_count;
    slide_copy(&slide, turn, sum, &result, 0, target);
    for (size_t i = 0; i < count; i++)
        remove_unread(&slide, makers[i], &found[i]);
    lift_forget(plan->model);
}

static bool hoist_before(struct plan *plan, struct node *sum)
{
    struct node *turn = find_turn(sum);
    if (turn)
        hoist(plan, sum, turn);
    return false;
}

void hoist_transposes(struct plan *plan)
{
    pass_each(plan, is_sum, false, hoist_before);
}
