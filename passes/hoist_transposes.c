/* passes/hoist_transposes.c
 *
 *     x -> Transpose -> t -> Conv -> Transpose -.
 *     x ---------------------------> Mul(c) ----+-> Add -> y
 *
 *     becomes        t -> Conv ---.
 *                    t -> Mul(c') -+-> Add -> Transpose -> y
 *
 * Where one operand of a sum is a Transpose, and the others are the same Transpose of something, or can be had
 * from a value in the other order of axes that is there anyway, the sum is made in that order and turned once.
 * Then join_branches sees branches of one source in one layout.
 *
 * Refused: an operand that is there in one order only; a Transpose that others read. */
#include <string.h>

#include "fuse/lift.h"
#include "fuse/trace.h"
#include "infer/constant.h"
#include "model/edit.h"
#include "passes/passes.h"
#include "passes/slide.h"

enum { MAX_RANK = 16, OPERANDS_MOST = 16 };

static bool is_sum(struct node *node)
{
    bool sums = node->op == OP_Add || node->op == OP_Sub || node->op == OP_Sum;
    return sums && node->outputs[0] && node->input_count <= OPERANDS_MOST;
}

static bool read_permutation(const struct node *node, int rank, int *order)
{
    size_t count;
    const int64_t *perm = node_integers(node, "perm", &count);
    if (node->op != OP_Transpose || rank < 0 || rank > MAX_RANK || (perm && count != (size_t)rank))
        return false;
    for (int i = 0; i < rank; i++) {
        int64_t from = perm ? perm[i] : rank - 1 - i;
        if (from < 0 || from >= rank)
            return false;
        order[i] = (int)from;
    }
    return true;
}

static bool same_order(const struct node *a, const struct node *b, int rank)
{
    int x[MAX_RANK], y[MAX_RANK];
    return read_permutation(a, rank, x) && read_permutation(b, rank, y) &&
           memcmp(x, y, (size_t)rank * sizeof(*x)) == 0;
}

/* True when one undoes the other. */
static bool undoes(const struct node *a, const struct node *b, int rank)
{
    int x[MAX_RANK], y[MAX_RANK];
    if (!read_permutation(a, rank, x) || !read_permutation(b, rank, y))
        return false;
    for (int i = 0; i < rank; i++)
        if (x[y[i]] != i)
            return false;
    return true;
}

/* An operand in the order that it had before the Transpose. */
struct turned {
    struct value *value; /* there already, or what a lane is applied to */
    struct node *lane_op;
    struct lane lane;
    bool is_turned; /* the operand is a Transpose of `value` */
};

/* The Transpose of the value that undoes `turn`, made by an op that is not behind `before`. */
static struct value *find_turned(const struct value *value, const struct node *turn)
{
    for (const struct use *use = value->uses; use; use = use->next)
        if (use_is_live(use) && use->inner->graph == turn->graph &&
            use->inner->op == OP_Transpose && undoes(turn, use->inner, value->rank))
            return use->inner->outputs[0];
    return NULL;
}

static bool find_operand(struct value *operand, const struct node *turn, struct turned *found)
{
    struct node *maker = operand ? operand->producer : NULL;
    *found = (struct turned){0};
    if (!operand || operand->rank < 0)
        return false;
    if (maker && maker->graph == turn->graph && same_order(maker, turn, operand->rank)) {
        found->value = maker->inputs[0];
        found->is_turned = true;
        return true;
    }
    found->value = find_turned(operand, turn);
    if (found->value)
        return true;
    if (!maker || maker->graph != turn->graph || lane_of(maker, &found->lane))
        return false;
    struct value *inner = find_turned(found->lane.data, turn);
    if (!inner || lane_forward(inner->producer, 0, &found->lane, &found->lane))
        return false;
    found->value = inner;
    found->lane_op = maker;
    return true;
}

/* A Transpose that only this sum reads, and that comes of a weight: there is something to join. */
static struct node *find_turn(struct node *sum)
{
    struct node *reader;
    for (size_t i = 0; i < sum->input_count; i++) {
        struct value *operand = sum->inputs[i];
        struct node *maker = operand ? operand->producer : NULL;
        if (maker && maker->op == OP_Transpose && maker->graph == sum->graph &&
            slide_is_inner(operand, sum->graph) && slide_readers(operand, &reader) == 1)
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
        turns += found[i].is_turned;
        for (size_t k = 0; k < i; k++)
            joins = joins || share_source(found[i].value, found[k].value, LAYOUT_CONV) ||
                    share_source(found[i].value, found[k].value, LAYOUT_MATRIX);
    }
    return turns > 1 || joins;
}

/* A Transpose or lane that the sum read, and now nobody: while it is there, what it reads counts as needed, and
 * does not go with the branches that are joined. */
static void remove_unread(struct slide *slide, struct node *node)
{
    if (!node || node->removed || node->graph != slide->node->graph ||
        value_is_needed(node->outputs[0]))
        return;
    if (!node->is_new)
        LIST_PUSH(slide->plan->model->arena, &slide->fusion->replaced, (const struct node *)node);
    edit_remove(node);
}

static void hoist(struct plan *plan, struct node *sum, struct node *turn)
{
    struct arena *arena = plan->model->arena;
    struct slide slide = {.plan = plan, .node = sum};
    struct turned found[OPERANDS_MOST];
    struct value *target = sum->outputs[0];
    struct value **inputs = NEW_ARRAY(arena, struct value *, sum->input_count + 1);
    struct node *makers[OPERANDS_MOST];
    const struct node *maker = turn->inputs[0] ? turn->inputs[0]->producer : NULL;
    for (size_t i = 0; i < sum->input_count; i++) {
        if (find_operand(sum->inputs[i], turn, &found[i]) && sum->inputs[i]->rank == target->rank)
            continue;
        if (sum->inputs[i] && maker && lift_reads_weight(maker))
            plan_refuse(plan, sum, target,
                        arena_format(arena, "its operand '%s' is there in one order of axes only",
                                     sum->inputs[i]->name));
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
        struct turned *operand = &found[i];
        makers[i] = operand->is_turned ? sum->inputs[i]->producer : operand->lane_op;
        slide_source(&slide,
                     operand->is_turned ? operand->value : operand->value->producer->inputs[0], -1);
        inputs[i] = operand->lane_op
                        ? slide_apply(&slide, operand->value, &operand->lane, sum, NULL)
                        : operand->value;
    }
    struct value *result = slide_copy(&slide, sum, sum, inputs, 0, NULL);
    int order[MAX_RANK];
    read_permutation(turn, target->rank, order);
    result->dims = NEW_ARRAY(arena, int64_t, target->rank + 1);
    for (int i = 0; i < target->rank; i++)
        result->dims[order[i]] = target->dims[i];
    const size_t count = sum->input_count;
    slide_copy(&slide, turn, sum, &result, 0, target);
    for (size_t i = 0; i < count; i++)
        remove_unread(&slide, makers[i]);
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
