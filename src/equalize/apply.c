/* equalize/apply.c: the exponents that were found, put into weights, biases and constants. */
#include "equalize/apply.h"

#include "fuse/lift.h"
#include "infer/constant.h"
#include "model/edit.h"

static bool all_zero(const double *numbers, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (numbers[i] != 0)
            return false;
    return true;
}

/* Ops are changed one by one: `inputs` is what it will read. */
static void put(struct equalization *e, struct node *node, struct value **inputs, size_t index, struct tensor *tensor)
{
    static const char *const names[] = {"data", "weight", "bias", "mean"};
    struct value *old = node->inputs[index];
    if (old->is_new && old->tensor && value_use_count(old) == 1) {
        tensor->name = old->name; /* a rewrite made it for this op alone */
        old->tensor = tensor;
        value_takes_shape(old, tensor);
        return;
    }
    inputs[index] = edit_constant(
        node->graph, node,
        arena_format(e->arena, "%s.%s", node->outputs[0]->name, index < COUNT_OF(names) ? names[index] : "constant"),
        tensor);
}

/* The shifts of a node lie together. */
static void apply_shifts(struct equalization *e, struct node *node, struct value **inputs, size_t first)
{
    for (size_t i = first; i < e->classes.shifts.count && e->classes.shifts.items[i].node == node; i++) {
        const struct shift *shift = &e->classes.shifts.items[i];
        const struct tensor *tensor;
        if (!is_scaled(e, shift->channels) || constant_of(node->inputs[shift->index], &tensor))
            continue;
        const double *numbers = constant_numbers(node->inputs[shift->index], tensor);
        if (!numbers || all_zero(numbers, tensor->count))
            continue;
        int64_t count = shift->channels->count;
        put(e, node, inputs, shift->index,
            constant_scaled(e->arena, tensor, numbers, shift->behind, count,
                            exponents_of(e, shift->channels, count, -1)));
    }
}

static void apply(struct equalization *e, struct node *node, struct seam *seam, size_t first)
{
    struct value **inputs = NEW_ARRAY(e->arena, struct value *, node->input_count + 1);
    bool changed = false;
    memcpy(inputs, node->inputs, node->input_count * sizeof(*inputs));
    struct scaling scaling = {.node = node};
    if (seam) {
        scaling.output = exponents_of(e, seam->output, seam->weight.outputs, -1);
        scaling.input = exponents_of(e, seam->input, seam->weight.inputs, 1);
        put(e, node, inputs, 1, weight_scaled(e->arena, &seam->weight, scaling.output, scaling.input));
    }
    apply_shifts(e, node, inputs, first);
    for (size_t k = 0; k < node->input_count; k++)
        changed = changed || inputs[k] != node->inputs[k];
    if (changed) {
        struct fusion *fusion = node->outputs[0]->fusion;
        struct node *made = edit_node(node->graph, &(struct edit_op){.op = node->proto->op_type,
                                                                     .at = node,
                                                                     .name = node->proto->name,
                                                                     .like = node,
                                                                     .inputs = inputs,
                                                                     .input_count = node->input_count,
                                                                     .output = node->outputs[0]});
        edit_take_attributes(made, node);
        if (fusion && fusion->node == node)
            fusion->node = made;
        scaling.node = made;
    }
    node->graph->changed = true;
    LIST_PUSH(e->arena, &e->plan->scalings, scaling);
    e->plan->changed = true;
}

void apply_all(struct equalization *e)
{
    const struct node *last = NULL;
    for (size_t i = 0; i < e->classes.values.count; i++) {
        struct channels *channels = e->classes.values.items[i];
        if (is_scaled(e, channels))
            channels->exponents = exponents_of(e, channels, channels->count, 1);
    }
    for (size_t i = 0; i < e->classes.seams.count; i++) {
        struct seam *seam = &e->classes.seams.items[i];
        if (is_scaled(e, seam->input) || is_scaled(e, seam->output))
            apply(e, seam->node, seam, seam->first_shift);
    }
    for (size_t i = 0; i < e->classes.shifts.count; i++) {
        const struct shift *shift = &e->classes.shifts.items[i];
        if (shift->node != last && is_scaled(e, shift->channels) && !lift_reads_weight(shift->node))
            apply(e, shift->node, NULL, i);
        last = shift->node;
    }
}
