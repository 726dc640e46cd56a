/* passes/slide.c: moves ops that scale or shift to another place.
 *
 * A move makes new values; values of the file keep their numbers. The first producer of a new value defines it. A
 * value of the file that is now computed in another way has a moved_producer: the self-check of the move shows that
 * both compute the same, and all other checks may use either. */
#include "passes/slide.h"

#include <string.h>

#include "fuse/lift.h"
#include "infer/constant.h"
#include "model/edit.h"

size_t slide_readers(const struct value *value, struct node **only)
{
    size_t count = 0;
    *only = NULL;
    for (const struct use *use = value->uses; use; use = use->next) {
        if (!use_is_live(use))
            continue;
        count++;
        *only = use->inner;
    }
    return count;
}

bool slide_is_inner(const struct value *value, const struct graph *graph)
{
    if (!value || value->graph != graph || value->is_output || value->is_annotated || !type_is_float(value->type))
        return false;
    for (const struct use *use = value->uses; use; use = use->next)
        if (use_is_live(use) && use->inner->graph != graph)
            return false;
    return true;
}

/* True for an op with a constant weight whose channels are the lane's. */
static bool has_weight(struct node *node, const struct value *value, const struct lane *lane)
{
    const struct tensor *tensor;
    int channels = node->op == OP_Conv || node->op == OP_ConvTranspose ? 1 : value->rank - 1;
    if (lane->axis >= 0 && lane->axis != channels)
        return false;
    if (node->op == OP_ConvTranspose)
        return node_input(node, 1) && !constant_of(node->inputs[1], &tensor);
    bool adds_bias = node->op == OP_Add && is_matrix_product(node);
    return adds_bias || lift_is_weighted(node, node->op == OP_Conv ? LAYOUT_CONV : LAYOUT_MATRIX);
}

bool slide_ends_at_weight(struct value *value, const struct lane *lane)
{
    struct node *reader;
    for (int hops = 0; hops < SLIDE_HOPS; hops++) {
        struct node *node = value->producer;
        if (!node || node->graph != value->graph || node->outputs[0] != value || slide_readers(value, &reader) != 1 ||
            !slide_is_inner(value, node->graph))
            return false;
        if (has_weight(node, value, lane))
            return true;
        bool conv = is_per_channel(node, LAYOUT_CONV), matrix = is_per_channel(node, LAYOUT_MATRIX);
        if (!conv && !matrix)
            return false;
        value = lift_node(node, conv ? LAYOUT_CONV : LAYOUT_MATRIX)->input;
    }
    return false;
}

void slide_stop(struct slide *slide, const struct node *by, const char *reason)
{
    if (slide->reason)
        return;
    slide->reason = reason;
    slide->stopped_by = by;
}

void slide_begin(struct slide *slide, struct value *target)
{
    struct plan *plan = slide->plan;
    struct fusion *fusion = NEW(plan->model->arena, struct fusion);
    *fusion = (struct fusion){.pass = plan->pass,
                              .graph = slide->node->graph,
                              .target = target,
                              .type = target->type,
                              .moves = true,
                              .sized = true,
                              .difference = -1};
    LIST_PUSH(plan->model->arena, &fusion->replaced, (const struct node *)slide->node);
    LIST_PUSH(plan->model->arena, &plan->fusions, fusion);
    slide->fusion = fusion;
    plan->changed = true;
}

static struct value *new_value(struct slide *slide, const struct value *like, const char *name)
{
    struct value *value = edit_value(slide->node->graph, name);
    value->type = like->type;
    value->rank = like->rank;
    value->dims = like->dims;
    value->fusion = slide->fusion;
    return value;
}

/* The node defines its new outputs, and becomes the moved_producer of the others. */
static void define(struct slide *slide, struct node *node)
{
    struct arena *arena = slide->plan->model->arena;
    LIST_PUSH(arena, &slide->fusion->made, (const struct node *)node);
    for (size_t i = 0; i < node->output_count; i++) {
        struct value *output = node->outputs[i];
        if (!output)
            continue;
        if (output->is_new && !output->first_producer) {
            output->first_producer = node;
            continue;
        }
        output->moved_producer = node;
        output->fusion = slide->fusion;
        if (value_is_needed(output))
            LIST_PUSH(arena, &slide->fusion->moved, output);
    }
    slide->fusion->node = node;
}

static struct value *lane_constant(struct slide *slide, const struct node *at, const struct value *value,
                                   const struct lane *lane, const double *numbers, const char *suffix)
{
    struct arena *arena = slide->plan->model->arena;
    int rank = lane->axis < 0 ? 0 : value->rank - lane->axis;
    int64_t dims[16] = {lane->width, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    double *copy = NEW_ARRAY(arena, double, lane->width);
    memcpy(copy, numbers, (size_t)lane->width * sizeof(double));
    const char *name = slide->node->outputs[0]->name;
    return edit_constant(slide->node->graph, at, arena_format(arena, "%s.%s", name, suffix),
                         tensor_of_doubles(arena, value->type, rank, dims, copy));
}

bool slide_is_dear(struct plan *plan, struct node *node)
{
    enum { PARTS = 6 }; /* of 12 */
    if (!landing_has_taken(plan->model->arena->landing, PARTS))
        return false;
    plan_refuse(plan, node, node->outputs[0], "moving it would take too much memory for a model of this size");
    return true;
}

void slide_source(struct slide *slide, struct value *value, int axis)
{
    struct fusion *fusion = slide->fusion;
    const struct tensor *tensor;
    for (size_t i = 0; i < fusion->move_sources.count; i++)
        if (fusion->move_sources.items[i].value == value)
            return;
    if (!value || !type_is_float(value->type) || !constant_of(value, &tensor))
        return;
    if (!value_is_told(value) && value->terms) {
        for (size_t i = 0; i < value->terms->count; i++)
            slide_source(slide, value->terms->items[i].value, axis);
        return;
    }
    fusion->source = fusion->source ? fusion->source : value;
    LIST_PUSH(slide->plan->model->arena, &fusion->move_sources, ((struct move_source){value, axis}));
}

struct value *slide_apply(struct slide *slide, struct value *value, const struct lane *lane, const struct node *at,
                          struct value *target)
{
    struct arena *arena = slide->plan->model->arena;
    struct graph *graph = slide->node->graph;
    const char *name = slide->node->outputs[0]->name;
    const char *node_name = slide->node->proto->name ? slide->node->proto->name : "";
    bool shifts = lane_shifts(lane), scales = lane_scales(lane) || !shifts;
    if (scales) {
        struct value *pair[2] = {value, lane_constant(slide, at, value, lane, lane->scale, "scale")};
        struct value *product =
            !shifts && target ? target : new_value(slide, value, arena_format(arena, "%s.scaled", name));
        define(slide, edit_node(graph, &(struct edit_op){.op = "Mul",
                                                         .at = at,
                                                         .name = edit_node_name(graph->model, node_name),
                                                         .like = slide->node,
                                                         .inputs = pair,
                                                         .input_count = 2,
                                                         .output = product}));
        value = product;
    }
    if (shifts) {
        struct value *pair[2] = {value, lane_constant(slide, at, value, lane, lane->shift, "shift")};
        struct value *sum = target ? target : new_value(slide, value, arena_format(arena, "%s.shifted", name));
        define(slide, edit_node(graph, &(struct edit_op){.op = "Add",
                                                         .at = at,
                                                         .name = edit_node_name(graph->model, node_name),
                                                         .like = slide->node,
                                                         .inputs = pair,
                                                         .input_count = 2,
                                                         .output = sum}));
        value = sum;
    }
    return value;
}

static struct value *stand_in(struct slide *slide, const struct value *old)
{
    /* An op that moves several times is not named after each of its moves. */
    const char *name =
        old->is_new && old->first_producer ? old->name : arena_format(slide->plan->model->arena, "%s.moved", old->name);
    return new_value(slide, old, name);
}

static void copy(struct slide *slide, struct node *node, const struct node *at, struct value *const *inputs,
                 struct value *const *outputs)
{
    if (!node->is_new && node != slide->node)
        LIST_PUSH(slide->plan->model->arena, &slide->fusion->replaced, (const struct node *)node);
    define(slide, edit_copy(node, at, inputs, outputs));
    if (!node->removed)
        edit_remove(node);
}

struct value *slide_copy(struct slide *slide, struct node *node, const struct node *at, struct value *const *inputs,
                         size_t output, struct value *target)
{
    struct arena *arena = slide->plan->model->arena;
    struct value **outputs = NEW_ARRAY(arena, struct value *, node->output_count);
    memcpy(outputs, node->outputs, node->output_count * sizeof(*outputs));
    outputs[output] = target ? target : stand_in(slide, node->outputs[output]);
    copy(slide, node, at, inputs, outputs);
    return outputs[output];
}

struct value **slide_copy_all(struct slide *slide, struct node *node, const struct node *at,
                              struct value *const *inputs)
{
    struct arena *arena = slide->plan->model->arena;
    struct value **outputs = NEW_ARRAY(arena, struct value *, node->output_count);
    for (size_t i = 0; i < node->output_count; i++)
        outputs[i] = node->outputs[i] ? stand_in(slide, node->outputs[i]) : NULL;
    copy(slide, node, at, inputs, outputs);
    return outputs;
}

struct value *slide_make(struct slide *slide, const char *operator_name, const struct node *like,
                         struct value *const *inputs, size_t input_count, const struct edit_attribute *attribute,
                         struct value *target)
{
    struct arena *arena = slide->plan->model->arena;
    struct graph *graph = slide->node->graph;
    const struct value *old = like->outputs[0];
    struct value *made = target ? target : new_value(slide, old, arena_format(arena, "%s.moved", old->name));
    const char *name = like->proto->name ? like->proto->name : "";
    define(slide, edit_node(graph, &(struct edit_op){.op = operator_name,
                                                     .at = slide->node,
                                                     .name = edit_node_name(graph->model, name),
                                                     .like = like,
                                                     .inputs = inputs,
                                                     .input_count = input_count,
                                                     .output = made,
                                                     .attributes = attribute,
                                                     .attribute_count = attribute ? 1 : 0}));
    return made;
}

void slide_bring(struct slide *slide, struct value *value, const struct node *at)
{
    struct node *maker = value->producer;
    if (maker && maker->graph == at->graph && maker->position > at->position)
        slide_copy(slide, maker, at, maker->inputs, 0, value);
}

void slide_remove_unread(struct slide *slide, struct node *node)
{
    if (node->removed || node->graph != slide->node->graph || value_is_needed(node->outputs[0]))
        return;
    if (!node->is_new)
        LIST_PUSH(slide->plan->model->arena, &slide->fusion->replaced, (const struct node *)node);
    edit_remove(node);
}
