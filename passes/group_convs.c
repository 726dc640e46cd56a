/* passes/group_convs.c
 *
 *     x -> Split -> a -> Conv -.
 *                -> b -> Conv --+-> Concat -> y        becomes        x -> Conv with groups -> y
 *
 * If parts of the channels, in order and of equal width, each pass through affine ops and are concatenated in the same
 * order, a Conv with one group per part replaces them. Slices of the channels may make the parts too.
 *
 * Refused: parts with different strides or extents, and rewrites that would cost more. Left alone: parts that other
 * ops read, that have another order or different widths. */
#include "affine/laws.h"
#include "fuse/lift.h"
#include "fuse/lower.h"
#include "fuse/pick.h"
#include "fuse/trace.h"
#include "infer/constant.h"
#include "passes/passes.h"

enum { PARTS_MOST = 256, MAX_RANK = 16 };

static bool is_concat(struct node *node)
{
    return node->op == OP_Concat && node_output(node, 0) && node->input_count > 1 && node->input_count <= PARTS_MOST &&
           !lift_node(node, LAYOUT_CONV)->reason;
}

/* The value that this one is a part of, and where it begins among its channels. NULL: it is not a part. */
static struct value *part_of(const struct value *value, int64_t *begin)
{
    struct node *node = value->producer;
    int64_t held[MAX_RANK], axis;
    size_t count;
    struct pick pick;
    if (!node || node->removed || value->rank < 3 || value->dims[1] < 1 || !node_input(node, 0) ||
        node->inputs[0]->rank != value->rank || node_has_references(node))
        return NULL;
    *begin = 0;
    if (node->op == OP_Split) {
        axis = node_integer(node, "axis", 0);
        if ((axis < 0 ? axis + value->rank : axis) != 1)
            return NULL;
        for (size_t i = 0; i < node->output_count && node->outputs[i] != value; i++) {
            if (!node->outputs[i] || node->outputs[i]->rank < 2 || node->outputs[i]->dims[1] < 1)
                return NULL;
            *begin += node->outputs[i]->dims[1];
        }
        return node->inputs[0];
    }
    if (node->op != OP_Slice || node->outputs[0] != value)
        return NULL;
    const int64_t *axes = constant_integers(node, "axes", 3, held, COUNT_OF(held), &count);
    if (!axes || count != 1 || (axes[0] < 0 ? axes[0] + value->rank : axes[0]) != 1 || pick_along(node, 1, &pick))
        return NULL;
    for (int64_t i = 1; i < pick.out; i++)
        if (pick.from[i] != pick.from[0] + i)
            return NULL;
    *begin = pick.from[0];
    return node->inputs[0];
}

/* The part that an input of the Concat is affine in, if it is at its place. */
static const struct trace_entry *find_part(struct value *input, struct value **x, int64_t *begin)
{
    const struct trace *trace = lift_trace(input, LAYOUT_CONV);
    for (size_t i = 0; i < trace->count; i++) {
        int64_t first;
        const struct trace_entry *entry = &trace->entries[i];
        struct value *whole = entry->origin ? NULL : part_of(entry->source, &first);
        if (!whole || (*x && whole != *x) || first != *begin)
            continue;
        *x = whole;
        *begin += entry->source->dims[1];
        return entry;
    }
    return NULL;
}

static bool group(struct plan *plan, struct node *concat)
{
    struct arena *arena = plan->model->arena;
    const struct affine *forms[PARTS_MOST], *form;
    struct value *x = NULL;
    int64_t begin = 0, width = -1;
    int32_t type = 0;
    bool sized = false, weighted = true;
    for (size_t k = 0; k < concat->input_count; k++) {
        struct value *input = concat->inputs[k];
        const struct trace_entry *entry = find_part(input, &x, &begin);
        if (!entry || (width >= 0 && entry->source->dims[1] != width) || (type && entry->type && type != entry->type))
            return false;
        width = entry->source->dims[1];
        type = type ? type : entry->type;
        sized = sized || entry->sized;
        forms[k] = affine_settle(arena, entry->form, x->rank - 2, width);
        weighted = weighted && input->producer && lift_is_weighted(input->producer, LAYOUT_CONV);
    }
    if (!x || begin != x->dims[1] || x->graph != concat->graph)
        return false;
    struct region region = {.plan = plan, .graph = concat->graph, .layout = LAYOUT_CONV, .source = x};
    const char *reason =
        affine_beside(arena, forms, concat->input_count, lift_source_extent(x, x->rank - 2), &form, &sized);
    if (!reason) {
        region_walk(&region, NULL, 0, &concat, 1, true);
        if (!region.principal)
            return false;
        struct fusion *fusion;
        const struct lowering lowering = {.region = &region,
                                          .source = x,
                                          .form = form,
                                          .type = type,
                                          .sized = sized,
                                          .target = concat->outputs[0],
                                          .at = concat};
        reason = lower(plan, &lowering, &fusion);
    }
    if (reason && weighted)
        plan_refuse(plan, concat, concat->outputs[0], reason);
    return false;
}

void group_convs(struct plan *plan)
{
    pass_each(plan, is_concat, false, group);
}
