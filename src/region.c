/* region.c: which ops go, and what they cost.
 *
 * An op goes when everything that reads its outputs goes. Ops that stay for other readers are not
 * replaced and cost what they did before. */
#include "region.h"

#include <stdlib.h>

static struct node *maker(const struct region *region, const struct value *value)
{
    if (!value || value == region->source || !value->producer)
        return NULL;
    return value->producer->graph == region->graph ? value->producer : NULL;
}

static bool visit(struct region *region, struct node *node, double density)
{
    if (!node || node->mark == region->plan->stamp)
        return false;
    node->mark = region->plan->stamp;
    node->doomed = false;
    node->density = density;
    LIST_PUSH(region->plan->model->arena, &region->nodes, node);
    return true;
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
    const struct step *step = node->density > 0 ? lift_node(node, region->layout) : NULL;
    if (step && !step->reason) {
        double density = node->density * strides(step->form);
        if (step->input)
            visit(region, maker(region, step->input), density);
        for (size_t k = 0; k < step->term_count; k++)
            visit(region, maker(region, step->terms[k].value), density);
        for (size_t k = 0; k < step->passed_count; k++)
            visit(region, step->passed[k], 0);
    }
    if (node->op == OP_Shape || node->op == OP_Size)
        return; /* its input is not read, only its declared shape */
    for (size_t k = 0; k < node->input_count; k++)
        if (!step || node->inputs[k] != step->input)
            visit(region, maker(region, node->inputs[k]), 0);
}

static int by_depth(const void *a, const void *b)
{
    const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
    if (x->depth != y->depth)
        return x->depth < y->depth ? 1 : -1;
    return (x->position < y->position) - (x->position > y->position);
}

bool region_is_replaced(const struct region *region, const struct node *node)
{
    return node->mark == region->plan->stamp && node->doomed;
}

static bool is_needed(const struct region *region, const struct value *value)
{
    if (!value)
        return false;
    if (value->is_output || value->is_annotated || value->kept_stamp == region->plan->stamp)
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

static void count(struct region *region, struct node *node)
{
    const struct step *step = lift_node(node, region->layout);
    if (node->density == 0 || step->reason)
        return;
    region->replaced++;
    region->replaced += step->passed_count;
    int64_t channels = region_channels(node->outputs[0], region->layout);
    double each = channels > 0 ? (double)channels : 1;
    double cost;
    if (step->term_count)
        cost = each * (double)(step->term_count - 1);
    else if (step->parameters == 0 && affine_is_pointwise(step->form))
        cost = 0; /* Identity, Dropout, Cast, Neg */
    else if (step->parameters == 0 && step->form->kind == AFFINE_DIAGONAL)
        cost = affine_taps(step->form) > 1 ? each * (double)affine_taps(step->form) : 0;
    else
        cost = step->form->outputs ? (double)affine_weights(step->form) : each;
    region->multiply_adds += cost * node->density;
    /* One number for all channels does a vector's work. */
    double parameters = (double)step->parameters;
    region->parameters += parameters == 1 ? each : parameters;
    bool weighted = step->form && step->form->kind != AFFINE_DIAGONAL && !step->term_count;
    if (weighted && (!region->principal ||
                     lift_node(region->principal, region->layout)->parameters < step->parameters))
        region->principal = node;
}

void region_walk(struct region *region, struct value *const *seeds, size_t seed_count,
                 struct node *const *freed, size_t freed_count, bool count_freed)
{
    region->plan->stamp++;
    for (size_t i = 0; i < region->kept_count; i++)
        region->kept[i]->kept_stamp = region->plan->stamp;
    for (size_t i = 0; i < freed_count; i++) {
        if (count_freed)
            visit(region, freed[i], 1);
        freed[i]->mark = region->plan->stamp;
        freed[i]->doomed = true;
    }
    size_t free_standing = region->nodes.count;
    for (size_t i = 0; i < seed_count; i++)
        visit(region, maker(region, seeds[i]), 1);
    for (size_t i = count_freed ? 0 : free_standing; i < region->nodes.count; i++)
        visit_inputs(region, region->nodes.items[i]);
    if (count_freed)
        for (size_t i = 0; i < free_standing; i++)
            count(region, region->nodes.items[i]);
    size_t walked_count = region->nodes.count - free_standing;
    if (!walked_count)
        return;
    struct node **walked = region->nodes.items + free_standing;
    qsort(walked, walked_count, sizeof(*walked), by_depth);
    for (size_t i = 0; i < walked_count; i++) {
        bool needed = false;
        for (size_t k = 0; k < walked[i]->output_count; k++)
            needed = needed || is_needed(region, walked[i]->outputs[k]);
        walked[i]->doomed = !needed;
        if (!needed)
            count(region, walked[i]);
    }
}
