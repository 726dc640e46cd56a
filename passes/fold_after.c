/* passes/fold_after.c
 *
 *     x -> Conv -> BatchNormalization -> Mul(c) -> y        becomes        x -> Conv -> y
 *
 * Folds ops that scale and shift each channel into the Conv, ConvTranspose, Gemm or MatMul with a constant weight
 * before them: W * t and b * t + shift, exact with any padding. A 1x1 Conv after a ConvTranspose folds too. A MatMul
 * and the Add of its bias become one Gemm if the rank is known to be 2.
 *
 * Refused: an op in between that another op reads, constants that are not per channel,
 * BatchNormalization in training mode, results that are not finite. */
#include "affine/laws.h"
#include "fuse/lift.h"
#include "fuse/lower.h"
#include "fuse/lower_transpose.h"
#include "infer/constant.h"
#include "passes/passes.h"

static bool is_root(struct node *node)
{
    return is_conv_transpose(node) || node->op == OP_Conv || is_matrix_product(node);
}

static bool scales_or_shifts(const struct node *node)
{
    switch (node->op) {
    case OP_BatchNormalization:
    case OP_Mul:
    case OP_Div: return true;
    default: return false;
    }
}

/* True for a value times a gate that is computed from it, as in SiLU: there is no constant to fold. */
static bool is_gated(const struct value *value, const struct node *product)
{
    const struct tensor *tensor;
    struct value *a = node_input(product, 0), *b = node_input(product, 1);
    return product->op == OP_Mul && a && b && a != b && value_use_count(value) > 1 && !a->is_initializer &&
           !b->is_initializer && constant_of(a, &tensor) && constant_of(b, &tensor);
}

/* A reader that a user may expect to fold. */
static void refuse_readers(struct plan *plan, const struct value *value, enum layout layout)
{
    for (const struct use *use = value->uses; use; use = use->next) {
        struct node *reader = use->reader;
        const char *reason = lift_node(reader, layout)->reason;
        bool shifts = reason && (reader->op == OP_Add || reader->op == OP_Sub);
        if (!use_is_live(use) || use->inner != reader || !(shifts || scales_or_shifts(reader)) ||
            is_gated(value, reader))
            continue;
        if (!reason && value_use_count(value) > 1)
            reason = "other ops read the unscaled value";
        if (!reason && value->is_output)
            reason = "the unscaled value is a graph output";
        if (!reason && value->is_annotated)
            reason = "the unscaled value carries a quantization annotation";
        if (reason)
            plan_refuse(plan, reader, reader->outputs[0], reason);
    }
}

/* What else folds into a ConvTranspose: a 1x1 Conv, or an op that selects channels. */
static bool is_pointwise(struct node *node)
{
    const struct step *step = lift_node(node, LAYOUT_CONV);
    if (step->reason || !step->input || !affine_is_pointwise(step->form))
        return false;
    return node->op == OP_Conv || (!step->sized && transposed_takes(node->graph->model->arena, step->form));
}

static const char *fold(struct plan *plan, struct node *node, enum layout layout)
{
    struct arena *arena = plan->model->arena;
    const struct affine *after = lift_identity(plan->model);
    const struct step *own = lift_node(node, layout);
    struct value *value = node->outputs[0];
    struct value *source = is_conv_transpose(node) ? node->inputs[0] : own->input;
    int32_t type = own->type;
    bool sized = own->sized;
    struct node *reader;
    size_t folded = 0;
    const char *reason = NULL;
    struct region region = {.plan = plan, .graph = node->graph, .layout = layout, .source = source};
    while (!reason && (reader = value_only_reader(value)) && reader->graph == node->graph &&
           (is_per_channel(reader, layout) || (is_conv_transpose(node) && is_pointwise(reader))) &&
           reader->outputs[0]) {
        const struct step *step = lift_node(reader, layout);
        reason = affine_compose(arena, step->form, after, &after);
        sized = sized || step->sized;
        if (!type || !step->type || type == step->type)
            value = reader->outputs[0];
        else
            reason =
                arena_format(arena, "the ops have different types: %s and %s", type_name(type), type_name(step->type));
        folded++;
    }
    refuse_readers(plan, value, layout);
    /* The Add of its bias is a separate op, and the rank has become known: a Gemm does both. */
    if (!folded && layout == LAYOUT_MATRIX && own->passed_count)
        folded = source->rank == 2 || value->rank == 2;
    if (!folded || reason)
        return reason;
    region_walk(&region, NULL, 0, &value->producer, 1, true);
    struct fusion *fusion;
    if (is_conv_transpose(node)) {
        region.replaced = folded + 1;
        struct transposed t;
        reason = sized ? "the result would be right for the declared input size only" : transposed_lift(node, &t);
        double multiply_adds = reason ? 0 : (double)affine_weights(t.adjoint);
        if (!reason)
            reason = transposed_after(arena, &t, after);
        return reason ? reason : lower_conv_transpose(plan, &region, node, &t, multiply_adds, false, value, &fusion);
    }
    const struct affine *form;
    reason = affine_compose(arena, after, own->form, &form);
    if (reason)
        return reason;
    struct lowering lowering = {.region = &region,
                                .source = source,
                                .form = form,
                                .type = type,
                                .sized = sized,
                                .target = value,
                                .at = value->producer};
    return lower(plan, &lowering, &fusion);
}

static bool fold_readers(struct plan *plan, struct node *node)
{
    enum layout layout = is_matrix_product(node) ? LAYOUT_MATRIX : LAYOUT_CONV;
    if (!node->outputs[0] || !node_input(node, 0))
        return false;
    const char *reason = is_conv_transpose(node) ? NULL : lift_node(node, layout)->reason;
    if (!reason)
        reason = fold(plan, node, layout);
    else if (node->is_new || !value_only_reader(node->outputs[0]) ||
             !scales_or_shifts(value_only_reader(node->outputs[0])))
        return false;
    if (reason)
        plan_refuse(plan, node, node->outputs[0], reason);
    return false;
}

void fold_after(struct plan *plan)
{
    pass_each(plan, is_root, false, fold_readers);
}
