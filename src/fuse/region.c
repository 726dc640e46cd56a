/* fuse/region.c: which ops a rewrite removes, and their cost.
 *
 * An op is removed if all readers of its outputs are. Ops that stay for other readers are not replaced and cost as
 * much as before. */
#include "fuse/region.h"

#include <math.h>

#include "fuse/lift.h"

static struct node *maker(const struct region *region, const struct value *value)
{
    if (!value || value == region->source || !value->producer)
        return NULL;
    return value->producer->graph == region->graph ? value->producer : NULL;
}

/* ---- nodes that wait, the deepest at the top: a heap ---- */

/* Above 0: `a` comes first. */
static int comes_before(const struct node *a, const struct node *b)
{
    if (a->depth != b->depth)
        return a->depth > b->depth ? 1 : -1;
    return (a->position > b->position) - (a->position < b->position);
}

static void swap(struct node **a, struct node **b)
{
    struct node *node = *a;
    *a = *b;
    *b = node;
}

static void put(struct region *region, struct node *node)
{
    LIST_PUSH(region->plan->model->arena, &region->waiting, node);
    struct node **items = region->waiting.items;
    for (size_t i = region->waiting.count - 1; i > 0; i = (i - 1) / 2) {
        if (comes_before(items[i], items[(i - 1) / 2]) <= 0)
            break;
        swap(&items[i], &items[(i - 1) / 2]);
    }
}

static struct node *take(struct region *region)
{
    struct node **items = region->waiting.items, *first = items[0];
    size_t count = --region->waiting.count;
    items[0] = items[count];
    for (size_t i = 0, next = 1; next < count; i = next, next = 2 * i + 1) {
        if (next + 1 < count && comes_before(items[next + 1], items[next]) > 0)
            next++;
        if (comes_before(items[next], items[i]) <= 0)
            break;
        swap(&items[i], &items[next]);
    }
    return first;
}

/* ---- the walk ---- */

static void visit(struct region *region, struct node *node, double density)
{
    if (!node)
        return;
    struct node_mark *mark = plan_mark_node(region->plan, node);
    if (mark->stamp == region->plan->stamp) {
        if (!mark->doomed && density > mark->density)
            mark->density = density;
        return;
    }
    *mark = (struct node_mark){.stamp = region->plan->stamp, .density = density};
    put(region, node);
}

static double strides(const struct affine *form)
{
    double product = 1;
    for (int i = 0; form && i < form->axes; i++)
        product *= (double)affine_axis_of(form, i).stride;
    return product;
}

/* Nodes off the data path have density 0: they feed it with constants and cost nothing. */
static void visit_inputs(struct region *region, struct node *node)
{
    double here = plan_mark_node(region->plan, node)->density;
    const struct step *step = here > 0 ? lift_any(node, region->layout) : NULL;
    if (step && !step->reason) {
        double density = here * strides(step->form);
        if (step->input)
            visit(region, maker(region, step->input), density);
        for (size_t k = 0; k < step->term_count; k++)
            visit(region, maker(region, step->terms[k].value), density);
        for (size_t k = 0; k < step->passed_count; k++)
            visit(region, step->passed[k], 0);
    }
    if (node->op == OP_Shape || node->op == OP_Size)
        return; /* its input is not read, only its declared shape */
    /* Only the type of the second input matters. */
    size_t read = node->op == OP_CastLike && here == 0 ? 1 : node->input_count;
    for (size_t k = 0; k < read; k++)
        if (!step || node->inputs[k] != step->input)
            visit(region, maker(region, node->inputs[k]), 0);
}

bool region_is_replaced(const struct region *region, const struct node *node)
{
    const struct node_mark *mark = plan_mark_node(region->plan, node);
    return mark->stamp == region->plan->stamp && mark->doomed;
}

static bool is_needed(const struct region *region, const struct value *value)
{
    if (!value)
        return false;
    if (value->is_output || value->is_annotated || plan_mark_value(region->plan, value)->kept == region->plan->stamp)
        return true;
    for (const struct use *use = value->uses; use; use = use->next)
        if (use_is_live(use) && !region_is_replaced(region, use->reader))
            return true;
    return false;
}

int64_t region_channels(const struct value *value, enum layout layout)
{
    if (!value || value->rank < 2)
        return -1;
    return value->dims[layout == LAYOUT_CONV ? 1 : value->rank - 1];
}

/* The op itself, or of several that a step spans the one that has the weight. */
static struct node *with_weight(struct node *node, const struct step *step)
{
    for (size_t k = 0; k < step->passed_count && !lift_reads_weight(node); k++)
        node = lift_reads_weight(step->passed[k]) ? step->passed[k] : node;
    return node;
}

/* Multiply-adds of the step of a node, per position of what it makes. */
static double cost_of(const struct region *region, const struct node *node, const struct step *step)
{
    int64_t channels = region_channels(node->outputs[0], region->layout);
    double each = channels > 0 ? (double)channels : 1;
    if (step->stacks)
        return 0;
    if (step->term_count)
        return each * (double)(step->term_count - 1);
    if (step->parameters == 0 && affine_is_pointwise(step->form))
        return 0; /* Identity, Dropout, Cast, Neg */
    if (step->parameters == 0 && step->form->kind == AFFINE_PICK)
        return 0; /* it moves numbers */
    if (step->parameters == 0 && step->form->kind == AFFINE_DIAGONAL)
        return affine_taps(step->form) > 1 ? each * (double)affine_taps(step->form) : 0;
    double weights = step->form->outputs ? (double)affine_weights(step->form) : each;
    bool adds_bias = step->is_made && step->passed_count; /* a product and an Add, as a file has them */
    return weights + (adds_bias ? each : 0);
}

static void count(struct region *region, struct node *node)
{
    const struct step *step = lift_any(node, region->layout);
    double density = plan_mark_node(region->plan, node)->density;
    if (density == 0 || step->reason)
        return;
    region->replaced++;
    region->replaced += step->passed_count;
    region->multiply_adds += cost_of(region, node, step) * density;
    bool weighted = step->form && step->form->kind != AFFINE_DIAGONAL && !step->term_count && step->parameters;
    if (weighted && (!region->principal || region->most_parameters < step->parameters)) {
        region->most_parameters = step->parameters;
        region->principal = with_weight(node, step);
    }
}

/* Ops within a step that other ops read stay, and if its weight stays, so does its cost. */
static void count_back(struct region *region, struct node *node)
{
    double density = plan_mark_node(region->plan, node)->density;
    const struct step *step = density > 0 ? lift_any(node, region->layout) : NULL;
    for (size_t k = 0; step && !step->reason && k < step->passed_count; k++) {
        if (region_is_replaced(region, step->passed[k]))
            continue;
        region->replaced--;
        if (step->passed[k] == with_weight(node, step))
            region->multiply_adds -= cost_of(region, node, step) * density;
    }
}

/* A constant disappears with its last reader, unless a caller may override it. A constant of an outer graph may be
 * read only here: exporters store the weights of bodies in the main graph. */
enum { READERS_MOST = 256 }; /* limit of the search: a constant with more readers counts as staying */

static bool goes_with_readers(const struct region *region, const struct value *value)
{
    bool overridable = value->is_input && region->plan->model->ir_version >= 4;
    if (overridable || value->is_output || value->is_annotated ||
        plan_mark_value(region->plan, value)->kept == region->plan->stamp)
        return false;
    int readers = 0;
    for (const struct use *use = value->uses; use; use = use->next)
        if (++readers > READERS_MOST || (use_is_live(use) && !region_is_replaced(region, use->inner)))
            return false;
    return true;
}

/* A constant for each channel may be shared, or be one number for all: either way the op has done the work
 * of a vector, and a vector may be stored for it. */
static double vector_bytes(const struct region *region, const struct node *node)
{
    bool on_path = plan_mark_node(region->plan, node)->density > 0;
    const struct step *step = on_path ? lift_known(node, region->layout) : NULL;
    bool weighted = lift_reads_weight(node);
    if (!region->source || !step || step->reason || !step->parameters || (weighted && node->input_count < 3))
        return 0;
    int64_t channels = region_channels(node->outputs[0], region->layout);
    size_t size = type_size(region->source->type);
    return (double)(channels > 0 ? channels : 1) * (double)(size ? size : sizeof(float));
}

void region_count_constants(struct region *region, const struct node *node)
{
    bool weighted = lift_reads_weight(node);
    bool on_path = plan_mark_node(region->plan, node)->density > 0;
    double vectors = 0;
    for (size_t k = 0; k < node->input_count; k++) {
        struct value *value = node->inputs[k];
        bool stays = value && (value->tensor ? !goes_with_readers(region, value)
                                             : value->producer && !region_is_replaced(region, value->producer));
        if (stays && weighted && k == 1)
            region->shared = value;
        if (!value || !value->tensor || stays)
            continue;
        if (!plan_counts_first(region->plan, value))
            continue;
        double bytes = (double)tensor_stored_bytes(value->tensor);
        region->packed = region->packed || (!type_is_float(value->tensor->type) && value->tensor->rank > 1);
        if (on_path && !(weighted && k == 1))
            vectors += bytes;
        else
            region->bytes += bytes;
    }
    double credit = fmax(0, vector_bytes(region, node) - vectors);
    region->bytes += vectors + credit;
    region->credit += credit;
}

void region_walk(struct region *region, struct value *const *seeds, size_t seed_count, struct node *const *freed,
                 size_t freed_count, bool count_freed)
{
    struct arena *arena = region->plan->model->arena;
    region->plan->stamp++;
    region->waiting.count = 0;
    for (size_t i = 0; i < region->kept_count; i++)
        plan_mark_value(region->plan, region->kept[i])->kept = region->plan->stamp;
    for (size_t i = 0; i < freed_count; i++) {
        /* Without a source there is no data path. */
        *plan_mark_node(region->plan, freed[i]) = (struct node_mark){
            .stamp = region->plan->stamp, .doomed = true, .density = count_freed && region->source != NULL};
        if (!count_freed)
            continue;
        LIST_PUSH(arena, &region->nodes, freed[i]);
    }
    for (size_t i = 0; i < seed_count; i++)
        visit(region, maker(region, seeds[i]), 1);
    for (size_t i = 0; count_freed && i < freed_count; i++)
        visit_inputs(region, freed[i]);
    for (size_t i = 0; count_freed && i < freed_count; i++)
        count(region, freed[i]);
    /* All readers of the deepest one have been decided. The inputs of an op that stays also stay, so they need no
     * visit. */
    while (region->waiting.count) {
        struct node *node = take(region);
        bool needed = false;
        for (size_t k = 0; k < node->output_count; k++)
            needed = needed || is_needed(region, node->outputs[k]);
        plan_mark_node(region->plan, node)->doomed = !needed;
        if (needed)
            continue;
        LIST_PUSH(arena, &region->nodes, node);
        count(region, node);
        visit_inputs(region, node);
    }
    for (size_t i = 0; i < region->nodes.count; i++)
        if (region_is_replaced(region, region->nodes.items[i])) {
            count_back(region, region->nodes.items[i]);
            region_count_constants(region, region->nodes.items[i]);
        }
}
