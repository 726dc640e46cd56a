/* passes/unstack_sums.c
 *
 *     a -> Unsqueeze -.
 *     b -> Unsqueeze -+-> Concat -> ReduceSum -> y        becomes        a, b -> Add -> y
 *
 * Values are stacked along a new axis, and summed or averaged along it: torch.stack(...).sum(). The result is a sum of
 * branches, which join_branches handles.
 *
 * Refused: a stack with a part that has no Unsqueeze. Left alone: a stack that other ops read, several axes,
 * keepdims, types that are not float. */
#include "fuse/trace.h"
#include "infer/operand.h"
#include "model/edit.h"
#include "passes/passes.h"

enum {
    SIZE = 3, /* for an axis of unknown size: the same for all parts */
    MOST = AFFINE_AXES + 2
};

/* The only axis of Unsqueeze, ReduceSum or ReduceMean on a value of that many axes; -1: none, several, or unknown. */
static int64_t only_axis(struct node *node, int64_t opset_of_input, int rank)
{
    int64_t axes[MOST];
    size_t count = 0;
    bool sized = false;
    if (node->opset < opset_of_input) {
        const int64_t *given = node_integers(node, "axes", &count);
        axes[0] = given && count == 1 ? given[0] : rank;
    } else if (!node_input(node, 1) || operand_integers(node, 1, "axes", axes, MOST, &count, &sized) || sized) {
        return -1;
    }
    if (count != 1)
        return -1;
    axes[0] += axes[0] < 0 ? rank : 0;
    return axes[0] >= 0 && axes[0] < rank ? axes[0] : -1;
}

static bool takes_type(const struct node *reduce, int32_t type)
{
    if (type == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16 && reduce->graph->opset < 13)
        return false;
    /* ONNX Runtime has no Mean of double. */
    return type_is_float(type) && (reduce->op == OP_ReduceSum || type != ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE);
}

/* The input of an Unsqueeze of this axis, or NULL. */
static struct value *part_of(const struct value *stacked, int64_t axis, int rank)
{
    struct node *node = stacked ? stacked->producer : NULL;
    struct value *part = node && node->op == OP_Unsqueeze && !node->removed ? node_input(node, 0) : NULL;
    return part && part->rank == rank && only_axis(node, 13, rank + 1) == axis ? part : NULL;
}

static bool unstack(struct plan *plan, struct node *reduce)
{
    struct arena *arena = plan->model->arena;
    struct value *stack = reduce->inputs[0], *target = reduce->outputs[0];
    struct node *concat = stack->producer;
    if (!concat || concat->op != OP_Concat || concat->removed || concat->graph != reduce->graph ||
        value_only_reader(stack) != reduce || stack->rank < 1 || stack->rank > MOST ||
        node_integer(reduce, "keepdims", 1) || !takes_type(reduce, stack->type) || !value_is_told(target))
        return false;
    int64_t axis = only_axis(reduce, reduce->op == OP_ReduceSum ? 13 : 18, stack->rank);
    int64_t along = node_integer(concat, "axis", 1);
    if (axis < 0 || (along + (along < 0 ? stack->rank : 0)) != axis)
        return false;
    size_t count = concat->input_count, found = 0, source_count = 0, replaced_count = 0;
    struct value **parts = NEW_ARRAY(arena, struct value *, count + 1);
    struct trial_source *sources = NEW_ARRAY(arena, struct trial_source, count + 1);
    struct node **replaced = NEW_ARRAY(arena, struct node *, count + 2);
    for (size_t k = 0; k < count; k++) {
        parts[k] = part_of(concat->inputs[k], axis, stack->rank - 1);
        if (!parts[k])
            continue;
        found++;
        if (!value_is_told(parts[k]) || parts[k]->is_annotated || parts[k]->graph != reduce->graph)
            return false;
        bool known = false;
        for (size_t i = 0; i < source_count; i++)
            known = known || sources[i].value == parts[k];
        int64_t *dims = NEW_ARRAY(arena, int64_t, parts[k]->rank + 1);
        for (int i = 0; i < parts[k]->rank; i++)
            dims[i] = parts[k]->dims[i] < 0 ? SIZE : parts[k]->dims[i];
        if (!known)
            sources[source_count++] = (struct trial_source){parts[k], parts[k]->rank, dims};
    }
    if (found < 2)
        return false;
    const char *reason = plan_banned(plan, reduce->graph, target);
    if (!reason && found < count)
        reason = "one of the concatenated parts has no Unsqueeze, so it may hold several summands";
    if (reason) {
        plan_refuse(plan, reduce, target, reason);
        return false;
    }
    const char *name = reduce->op == OP_ReduceMean ? "Mean" : count == 2 ? "Add" : "Sum";
    replaced[replaced_count++] = reduce;
    struct node *node = edit_node(reduce->graph, &(struct edit_op){.op = name,
                                                                   .at = reduce,
                                                                   .name = reduce->proto->name,
                                                                   .like = reduce,
                                                                   .inputs = parts,
                                                                   .input_count = count,
                                                                   .output = target});
    struct value **stacked = NEW_ARRAY(arena, struct value *, count);
    memcpy(stacked, concat->inputs, count * sizeof(*stacked));
    edit_remove(concat);
    replaced[replaced_count++] = concat;
    for (size_t k = 0; k < count; k++) {
        struct node *unsqueeze = stacked[k]->producer;
        if (unsqueeze->removed || value_is_needed(stacked[k]))
            continue;
        edit_remove(unsqueeze);
        replaced[replaced_count++] = unsqueeze;
    }
    plan_rewritten(plan, node, target, sources, source_count, replaced, replaced_count);
    lift_forget(plan->model);
    return false;
}

static bool is_reduction(struct node *node)
{
    return (node->op == OP_ReduceSum || node->op == OP_ReduceMean) && node_input(node, 0) && node_output(node, 0);
}

void unstack_sums(struct plan *plan)
{
    pass_each(plan, is_reduction, false, unstack);
}
