/* passes/compose_chains.c
 *
 *     x -> Pad -> Conv 1x1 -> Conv 3x3 -> Conv 1x1 -> y        becomes        x -> Conv 3x3 -> y
 *
 * Composes chains of Conv, Pad, Slice and AveragePool (or Gemm and MatMul), with the linear ops between them. It takes
 * the longest chain that is exact and costs no more than its parts. A Concat on the channels of values that are affine
 * in one source may be part of a chain: it stacks rows. So may a Gather, Slice, Tile, Expand or Pad that selects,
 * repeats or places channels: it changes rows or columns of the weight.
 *
 * Refused: a border where the outer op's padding differs from what the inner ops compute there (padding after
 * padding, a bias before padding), and chains that would cost more, such as depthwise then pointwise, or a Gather
 * before a Conv with groups. */
#include "fuse/lift.h"
#include "fuse/lower.h"
#include "fuse/trace.h"
#include "passes/passes.h"

static bool is_root(struct node *node)
{
    switch (node->op) {
    case OP_Conv:
    case OP_AveragePool:
    case OP_Concat:
    case OP_Pad:
    case OP_Slice:
    case OP_Gather:
    case OP_MaxPool:
    case OP_Transpose: return true;
    default: return is_matrix_product(node);
    }
}

static const char *fold_to(struct plan *plan, struct node *node, enum layout layout, const struct trace_entry *entry,
                           bool *weighted)
{
    struct region region = {.plan = plan, .graph = node->graph, .layout = layout, .source = entry->source};
    region_walk(&region, NULL, 0, &node, 1, true);
    *weighted = region.principal != NULL;
    if (!region.principal)
        return "no op here has a weight to fold into";
    struct lowering lowering = {.region = &region,
                                .source = entry->source,
                                .form = entry->form,
                                .type = entry->type,
                                .sized = entry->sized,
                                .target = node->outputs[0],
                                .at = node};
    struct fusion *fusion;
    return lower(plan, &lowering, &fusion);
}

/* True for a Concat of products of one value. */
static bool stacks_products(const struct step *step, enum layout layout)
{
    const struct value *input = NULL;
    for (size_t k = 0; k < step->term_count; k++) {
        struct node *part = step->terms[k].value->producer;
        if (!part || !lift_is_weighted(part, layout) || (input && lift_node(part, layout)->input != input))
            return false;
        input = lift_node(part, layout)->input;
    }
    return step->stacks && step->term_count > 1;
}

/* True for ops that no user expects to fold into a weight: they drop channels or select positions. */
static bool stands_apart(struct node *node, enum layout layout)
{
    const struct step *step = lift_node(node, layout);
    if (step->reason)
        return node->op == OP_Gather;
    return step->form->kind == AFFINE_PICK && step->form->outputs < step->form->inputs;
}

/* True for an op that reorders the channels right behind a weight. */
static bool gathers_products(struct node *node, struct node *before, enum layout layout)
{
    const struct affine *form = lift_node(node, layout)->form;
    return node->op == OP_Gather && lift_is_weighted(before, layout) && form->outputs == form->inputs;
}

/* Two ops with weights, in a row or in parallel, that stay two ops: report why. */
static void refuse_chain(struct plan *plan, struct node *node, enum layout layout, const char *reason)
{
    const struct value *input = lift_node(node, layout)->input;
    struct node *before = input ? input->producer : NULL;
    if (reason && stacks_products(lift_node(node, layout), layout))
        plan_refuse(plan, node, node->outputs[0], reason);
    if (!reason || !before || before->graph != node->graph)
        return;
    bool in_row = (is_root(before) && before->op != OP_Transpose) || before->op == OP_SpaceToDepth ||
                  before->op == OP_BatchNormalization;
    if (gathers_products(node, before, layout) ||
        (in_row && lift_is_weighted(node, layout) && !stands_apart(before, layout)))
        plan_refuse(plan, node, node->outputs[0], reason);
}

static void compose_in(struct plan *plan, struct node *node, enum layout layout)
{
    bool either = node->op == OP_Transpose || node->op == OP_Concat;
    if (!node->outputs[0] || lift_node(node, layout)->reason)
        return;
    /* A Transpose stands for a product and the Transpose in front of that, a Concat for its parts. */
    size_t least = either ? 1 : 2;
    const struct trace *trace = lift_trace(node->outputs[0], layout);
    const char *nearest = trace->count <= least ? trace->reason : NULL, *reason = NULL;
    bool weighted = false;
    size_t k = trace->count;
    for (; k > least; k--) {
        reason = fold_to(plan, node, layout, &trace->entries[k - 1], &weighted);
        if (!reason)
            break;
        nearest = weighted ? reason : nearest;
    }
    if (k <= least)
        refuse_chain(plan, node, layout, nearest);
}

static bool compose_chain(struct plan *plan, struct node *node)
{
    if (!is_matrix_product(node))
        compose_in(plan, node, LAYOUT_CONV);
    if (!node->removed && node->op != OP_Conv)
        compose_in(plan, node, LAYOUT_MATRIX);
    return false;
}

void compose_chains(struct plan *plan)
{
    pass_each(plan, is_root, true, compose_chain);
}
