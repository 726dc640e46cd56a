/* passes/fold_before.c
 *
 *     x -> BatchNormalization -> Conv -> y        becomes        x -> Conv -> y
 *
 * Folds ops that scale and shift each channel into the Conv, ConvTranspose, Gemm or MatMul with a constant weight
 * behind them. A scale always folds into the weight's input channels. A shift folds into the bias only if the Conv has
 * no padding, which would be 0 and not shifted; it never folds into a ConvTranspose. If several such ops read the
 * value, each of them must fold it. A Pad with 0 folds the same way. The pass takes the longest run that is exact; into
 * a MatMul it folds together with the Add of its bias. The bias that a rewrite put behind a MatMul goes on likewise.
 *
 * Refused: the last factor of a GELU, a shift before padding, ops whose result others read, and whatever fold_after
 * refuses. */
#include "affine/laws.h"
#include "affine/rows.h"
#include "fuse/channel.h"
#include "fuse/lift.h"
#include "fuse/lower.h"
#include "fuse/lower_transpose.h"
#include "fuse/pair.h"
#include "passes/passes.h"

static bool is_root(struct node *node)
{
    return is_conv_transpose(node) || node->op == OP_Conv || is_matrix_product(node);
}

enum { LONGEST_RUN = 64 };

/* An op with a weight, and the ops to fold into it. */
struct run {
    struct node *node;
    enum layout layout;
    struct node *const *ops; /* in front of the node, nearest first */
    size_t count;
    struct node *bias; /* the Add of a product with a separate bias, or NULL */
    bool is_shared;    /* other ops that fold them too read their result */
    bool is_probe;     /* only find out whether it would fold */
};

/* The ops before a value, nearest first. No other op reads their results. */
static size_t find_run(struct value *value, const struct node *node, enum layout layout, struct node **run, size_t room)
{
    size_t count = 0;
    while (count < room && value && value_only_reader(value) && value->producer &&
           value->producer->graph == node->graph && is_per_channel(value->producer, layout)) {
        run[count++] = value->producer;
        value = lift_node(value->producer, layout)->input;
    }
    return count;
}

/* What is added to a MatMul, which has no bias of its own. */
static struct node *find_bias(struct node *node)
{
    struct node *reader = node->op == OP_MatMul ? value_only_reader(node->outputs[0]) : NULL;
    bool adds = reader && (reader->op == OP_Add || reader->op == OP_Sub) && reader->graph == node->graph &&
                reader->outputs[0] && is_per_channel(reader, LAYOUT_MATRIX);
    return adds ? reader : NULL;
}

/* The form of the ops in front of the node. */
static const char *compose_run(struct plan *plan, const struct run *run, const struct affine **form, int32_t type,
                               bool *sized)
{
    struct arena *arena = plan->model->arena;
    const char *reason = NULL;
    *form = lift_identity(plan->model);
    for (size_t i = run->count; i-- > 0 && !reason;) {
        const struct step *step = lift_node(run->ops[i], run->layout);
        if (type && step->type && type != step->type)
            return arena_format(arena, "the ops have different types: %s and %s", type_name(type),
                                type_name(step->type));
        reason = affine_compose(arena, step->form, *form, form);
        *sized = *sized || step->sized;
    }
    return reason;
}

static const char *fold_into_transpose(struct plan *plan, const struct run *run, struct region *region,
                                       const struct affine *before, bool sized)
{
    struct arena *arena = plan->model->arena;
    struct node *node = run->node;
    struct fusion *fusion;
    struct transposed t;
    int64_t inputs = region_channels(node->inputs[1], LAYOUT_CONV) < 0 ? 0 : node->inputs[1]->dims[0];
    if (inputs < 1 || (before->inputs && before->inputs != inputs))
        return "the number of channels before ConvTranspose is not known, or differs from its weight's";
    if (sized)
        return "the result would be right for the declared input size only";
    if (affine_bias(arena, before, inputs))
        return "border: overlapping windows of ConvTranspose would add the shift before it more than once";
    double *scale = NEW_ARRAY(arena, double, inputs);
    if (!affine_rows(before, NULL, inputs, 0, inputs, scale))
        return "out of memory";
    region_walk(region, &run->ops[0]->outputs[0], 1, &node, 1, false);
    region->replaced += 1;
    const char *reason = transposed_lift(node, &t);
    if (reason)
        return reason;
    double multiply_adds = (double)affine_weights(t.adjoint);
    reason = transposed_before(arena, &t, scale);
    t.source = region->source;
    return reason ? reason
                  : lower_conv_transpose(plan, region, node, &t, multiply_adds, false, node->outputs[0], &fusion);
}

static const char *fold_run(struct plan *plan, const struct run *run)
{
    struct arena *arena = plan->model->arena;
    struct node *node = run->node, *end = run->bias ? run->bias : node;
    const struct step *own = lift_node(node, run->layout);
    const struct affine *before, *form;
    bool transposes = is_conv_transpose(node), sized = own->sized;
    int32_t type = transposes ? 0 : own->type;
    const char *reason = compose_run(plan, run, &before, type, &sized);
    if (reason)
        return reason;
    struct region region = {.plan = plan,
                            .graph = node->graph,
                            .layout = run->layout,
                            .source = lift_node(run->ops[run->count - 1], run->layout)->input};
    if (transposes)
        return fold_into_transpose(plan, run, &region, before, sized);
    reason = affine_compose(arena, own->form, before, &form);
    if (!reason && run->bias) {
        const struct step *step = lift_node(run->bias, run->layout);
        if (type && step->type && type != step->type)
            return arena_format(arena, "the ops have different types: %s and %s", type_name(type),
                                type_name(step->type));
        reason = affine_compose(arena, step->form, form, &form);
        sized = sized || step->sized;
    }
    if (reason)
        return reason;
    region_walk(&region, NULL, 0, &end, 1, true);
    struct fusion *fusion;
    struct lowering lowering = {.region = &region,
                                .source = region.source,
                                .form = form,
                                .type = type,
                                .sized = sized,
                                .target = end->outputs[0],
                                .at = end,
                                .spared = run->is_shared,
                                .probe = run->is_probe};
    return lower(plan, &lowering, &fusion);
}

/* True for an op that selects, repeats or places channels. */
static bool picks(struct node *node, enum layout layout)
{
    const struct step *step = lift_node(node, layout);
    return !step->reason && step->input && step->form->kind == AFFINE_PICK;
}

/* Also a Pad or a Gather; if it has a single reader, compose_chains folds it. */
static bool is_taken_up(struct node *node, enum layout layout)
{
    bool pads = node->op == OP_Pad && layout == LAYOUT_CONV && !lift_node(node, layout)->reason;
    return pads || picks(node, layout) || is_per_channel(node, layout);
}

static bool is_shared(struct node *node)
{
    return node->outputs[0] && !value_only_reader(node->outputs[0]) &&
           (is_taken_up(node, LAYOUT_CONV) || is_taken_up(node, LAYOUT_MATRIX) ||
            (node->op == OP_Add && is_matrix_product(node)));
}

/* Folds as many ops as possible, at most `most`, into one of the readers of the last one's result. Returns how many,
 * or 0 and the reason why not even one. */
static size_t fold_into(struct plan *plan, struct node *last, struct node *reader, size_t most, bool is_probe,
                        const char **reason)
{
    struct node *ops[LONGEST_RUN] = {last};
    enum layout layout = is_matrix_product(reader) ? LAYOUT_MATRIX : LAYOUT_CONV;
    size_t count = 1;
    struct value *data = lift_node(last, layout)->input;
    if (is_per_channel(last, layout) && data)
        count += find_run(data, last, layout, ops + 1, LONGEST_RUN - 1);
    for (count = count < most ? count : most; count > 0; count--) {
        const struct run run = {.node = reader,
                                .layout = layout,
                                .ops = ops,
                                .count = count,
                                .bias = find_bias(reader),
                                .is_shared = true,
                                .is_probe = is_probe};
        const char *why = fold_run(plan, &run);
        if (!why)
            return count;
        *reason = why;
    }
    return 0;
}

/* An op whose result several ops with weights read: it folds into all of them, or into none. */
static const char *fold_shared(struct plan *plan, struct node *node)
{
    struct arena *arena = plan->model->arena;
    struct value *value = node->outputs[0];
    struct node_list readers = {0};
    const char *reason = NULL;
    if (value->is_output || value->is_annotated)
        return NULL;
    for (const struct use *use = value->uses; use; use = use->next) {
        if (!use_is_live(use))
            continue;
        struct node *inner = use->inner, *reader = pass_with_bias(inner);
        enum layout layout = is_matrix_product(reader) ? LAYOUT_MATRIX : LAYOUT_CONV;
        bool weighted = reader->graph == node->graph && node_output(reader, 0) && lift_reads_weight(inner) &&
                        inner->inputs[0] == value && !lift_node(reader, layout)->reason &&
                        lift_node(reader, layout)->input == value && is_taken_up(node, layout);
        if (!weighted)
            return NULL; /* it stays for this one */
        LIST_PUSH(arena, &readers, reader);
    }
    size_t most = 0;
    for (size_t i = 0; i < readers.count; i++) {
        size_t count = fold_into(plan, node, readers.items[i], LONGEST_RUN, true, &reason);
        most = i == 0 || count < most ? count : most;
    }
    if (readers.count < 2 || most == 0)
        return readers.count < 2 ? NULL : reason;
    reason = NULL;
    for (size_t i = readers.count; i-- > 0 && !reason;)
        if (!readers.items[i]->removed)
            fold_into(plan, node, readers.items[i], most, false, &reason);
    return reason;
}

static bool fold_longest_run(struct plan *plan, struct node *node)
{
    struct node *ops[LONGEST_RUN];
    enum layout layout = is_matrix_product(node) ? LAYOUT_MATRIX : LAYOUT_CONV;
    if (!node->outputs[0] || !node_input(node, 0) || (!is_conv_transpose(node) && lift_node(node, layout)->reason))
        return false;
    const char *first = NULL, *reason = NULL;
    const struct node *before = node->inputs[0]->producer;
    if (before && before->outputs[0] && channel_ends_gelu(before))
        plan_refuse(plan, before, before->outputs[0], channel_ends_gelu(before));
    struct run run = {.node = node, .layout = layout, .ops = ops, .bias = find_bias(node)};
    struct value *data = is_conv_transpose(node) ? node->inputs[0] : lift_node(node, layout)->input;
    struct made_pair pair;
    bool adds = node->op != OP_MatMul || run.bias; /* else the shift would need an Add again */
    bool is_parted =
        layout == LAYOUT_MATRIX && adds && data && value_only_reader(data) && pair_part(data->producer, &pair);
    for (run.count = find_run(data, node, layout, ops, LONGEST_RUN); run.count > 0; run.count--) {
        reason = fold_run(plan, &run);
        if (!reason)
            break;
        first = first ? first : reason;
    }
    if (run.count == 0 && is_parted)
        pair_rejoin(&pair);
    else if (run.count == 0 && first)
        plan_refuse(plan, node, node->outputs[0], first);
    return false;
}

/* No user expects dropped channels to fold into a weight. */
static bool leaves_away(struct node *node)
{
    for (enum layout layout = LAYOUT_CONV; layout <= LAYOUT_MATRIX; layout++) {
        const struct affine *form = picks(node, layout) ? lift_node(node, layout)->form : NULL;
        if (form && form->outputs < form->inputs)
            return true;
    }
    return false;
}

static bool fold_into_all(struct plan *plan, struct node *node)
{
    struct made_pair pair;
    bool is_parted = pair_part(node, &pair);
    const char *reason = fold_shared(plan, node);
    if (is_parted && !node->removed)
        pair_rejoin(&pair);
    else if (reason && !leaves_away(node))
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
