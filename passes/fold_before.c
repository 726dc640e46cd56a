/* passes/fold_before.c
 *
 *     x -> BatchNormalization -> Conv -> y        becomes        x -> Conv -> y
 *
 * Ops that scale and shift each channel, in front of Conv, ConvTranspose, Gemm or MatMul with a
 * constant weight. A scale always folds into the weight's input channels. A shift folds into the
 * bias only where the Conv has no padding, which would be 0 and not shifted; into a ConvTranspose
 * it never folds. The longest run that is exact is taken.
 *
 * Refused: a shift before padding, ops whose result others read, what fold_after refuses too. */
#include "affine/laws.h"
#include "affine/rows.h"
#include "fuse/lift.h"
#include "fuse/lower.h"
#include "fuse/lower_transpose.h"
#include "passes/passes.h"

static bool is_root(struct node *node)
{
    return is_conv_transpose(node) || node->op == OP_Conv || is_matrix_product(node);
}

enum { LONGEST_RUN = 64 };

/* The ops in front of the node, nearest first, none of them read by anyone else. */
static size_t find_run(struct node *node, enum layout layout, struct node **run)
{
    size_t count = 0;
    struct value *value =
        is_conv_transpose(node) ? node->inputs[0] : lift_node(node, layout)->input;
    while (count < LONGEST_RUN && value && value_only_reader(value) && value->producer &&
           value->producer->graph == node->graph && is_per_channel(value->producer, layout)) {
        run[count++] = value->producer;
        value = lift_node(value->producer, layout)->input;
    }
    return count;
}

/* probe: nothing is made, the answer is whether it would be. shared: others that take the run up as well read
 * what it gives. */
static const char *fold_run(struct plan *plan, struct node *node, enum layout layout,
                            struct node *const *run, size_t count, bool shared, bool probe)
{
    struct arena *arena = plan->model->arena;
    struct value *source = lift_node(run[count - 1], layout)->input;
    const struct step *own = lift_node(node, layout);
    const struct affine *before = lift_identity(plan->model), *form;
    const char *reason = NULL;
    int32_t type = is_conv_transpose(node) ? 0 : own->type;
    bool sized = own->sized;
    for (size_t i = count; i-- > 0 && !reason;) {
        const struct step *step = lift_node(run[i], layout);
        if (type && step->type && type != step->type)
            return arena_format(arena, "mixed types: %s and %s", type_name(type),
                                type_name(step->type));
        reason = affine_compose(arena, step->form, before, &before);
        sized = sized || step->sized;
    }
    if (reason)
        return reason;
    struct region region = {.plan = plan, .graph = node->graph, .layout = layout, .source = source};
    struct fusion *fusion;
    if (is_conv_transpose(node)) {
        int64_t inputs =
            region_channels(node->inputs[1], LAYOUT_CONV) < 0 ? 0 : node->inputs[1]->dims[0];
        if (inputs < 1 || (before->inputs && before->inputs != inputs))
            return "the channels before ConvTranspose are not known or do not fit";
        if (sized)
            return "an op before ConvTranspose holds for the declared size only";
        if (affine_bias(arena, before, inputs))
            return "border: a shift before ConvTranspose adds up differently at the border";
        double *scale = NEW_ARRAY(arena, double, inputs);
        if (!affine_rows(before, NULL, inputs, 0, inputs, scale))
            return "out of memory";
        region_walk(&region, &run[0]->outputs[0], 1, &node, 1, false);
        region.replaced += 1;
        struct transposed t;
        reason = transposed_lift(node, &t);
        double multiply_adds = reason ? 0 : (double)affine_weights(t.adjoint);
        if (!reason)
            reason = transposed_before(arena, &t, scale);
        t.source = source;
        return reason ? reason
                      : lower_conv_transpose(plan, &region, node, &t, multiply_adds, false,
                                             node->outputs[0], &fusion);
    }
    reason = affine_compose(arena, own->form, before, &form);
    if (reason)
        return reason;
    region_walk(&region, NULL, 0, &node, 1, true);
    struct lowering lowering = {.region = &region,
                                .source = source,
                                .form = form,
                                .type = type,
                                .sized = sized,
                                .target = node->outputs[0],
                                .at = node,
                                .spared = shared,
                                .probe = probe};
    return lower(plan, &lowering, &fusion);
}

static bool is_shared(struct node *node)
{
    return node->outputs[0] && !value_only_reader(node->outputs[0]) &&
           (is_per_channel(node, LAYOUT_CONV) || is_per_channel(node, LAYOUT_MATRIX));
}

/* An op whose result several ops with weights read: all of them take it up, or none. */
static const char *fold_shared(struct plan *plan, struct node *node)
{
    struct arena *arena = plan->model->arena;
    struct value *value = node->outputs[0];
    struct node_list readers = {0};
    const char *reason = NULL;
    if (value->is_output || value->is_annotated)
        return NULL;
    for (const struct use *use = value->uses; use; use = use->next) {
        struct node *reader = use->inner;
        if (!use_is_live(use))
            continue;
        enum layout layout = is_matrix_product(reader) ? LAYOUT_MATRIX : LAYOUT_CONV;
        bool weighted = reader->graph == node->graph && reader->outputs[0] &&
                        lift_is_weighted(reader, layout) && reader->inputs[0] == value &&
                        lift_node(reader, layout)->input == value && is_per_channel(node, layout);
        if (!weighted)
            return NULL; /* it stays for this one */
        LIST_PUSH(arena, &readers, reader);
    }
    for (int probe = 1; probe >= 0 && !reason; probe--)
        for (size_t i = readers.count; i-- > 0 && !reason;) {
            struct node *reader = readers.items[i];
            enum layout layout = is_matrix_product(reader) ? LAYOUT_MATRIX : LAYOUT_CONV;
            if (!reader->removed)
                reason = fold_run(plan, reader, layout, &node, 1, true, probe != 0);
        }
    return readers.count > 1 ? reason : NULL;
}

static bool fold_longest_run(struct plan *plan, struct node *node)
{
    struct node *run[LONGEST_RUN];
    enum layout layout = is_matrix_product(node) ? LAYOUT_MATRIX : LAYOUT_CONV;
    if (!node->outputs[0] || !node_input(node, 0) ||
        (!is_conv_transpose(node) && lift_node(node, layout)->reason))
        return false;
    const char *first = NULL, *reason = NULL;
    size_t length = find_run(node, layout, run);
    for (; length > 0; length--) {
        reason = fold_run(plan, node, layout, run, length, false, false);
        if (!reason)
            break;
        first = first ? first : reason;
    }
    if (length == 0 && first)
        plan_refuse(plan, node, node->outputs[0], first);
    return false;
}

static bool fold_into_all(struct plan *plan, struct node *node)
{
    const char *reason = fold_shared(plan, node);
    if (reason)
        plan_refuse(plan, node, node->outputs[0], reason);
    return false;
}

void fold_before(struct plan *plan)
{
    for (size_t g = 0; g < plan->model->graphs.count; g++) {
        struct graph *graph = plan->model->graphs.items[g];
        pass_each_of(plan, graph, is_root, false, fold_longest_run);
        pass_each_of(plan, graph, is_shared, false, fold_into_all);
    }
}
