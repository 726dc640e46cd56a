/* passes/fold_quantised.c
 *
 *     w, s -> DequantizeLinear -> Conv -> BatchNormalization -> y        becomes        w, s * t -> DequantizeLinear -> Conv -> y
 *
 * A Conv whose weight stays quantised, with a scale for each output channel, followed by any run of ops that scale and shift
 * each channel: what scales goes into the scale of the weight, what shifts into the bias. The integers stay as they are.
 *
 * Refused: one scale for the whole weight; a scale that would not be positive or finite; a weight that others read. Left alone: weights
 * that fold_constants has stored as floats. */
#include <math.h>

#include "affine/laws.h"
#include "affine/rows.h"
#include "fuse/lift.h"
#include "fuse/trace.h"
#include "infer/constant.h"
#include "infer/operand.h"
#include "infer/window.h"
#include "model/edit.h"
#include "passes/passes.h"

enum { MOST = 16, SMALL = 3, RANK = AFFINE_AXES + 2 };

struct quantised {
    struct node *conv, *weight; /* the weight is made by a DequantizeLinear */
    struct node *run[MOST];     /* per-channel ops behind the Conv, in order */
    size_t count;
    int64_t channels;
};

static bool is_quantised(struct node *conv)
{
    struct value *w = conv->op == OP_Conv ? node_input(conv, 1) : NULL;
    const struct node *maker = w ? w->producer : NULL;
    return maker && maker->op == OP_DequantizeLinear && !maker->removed && !w->tensor &&
           maker->graph == conv->graph && node_input(conv, 0) && node_output(conv, 0) &&
           !node_has_references(conv) && !node_has_references(maker);
}

static void find_run(struct quantised *found)
{
    struct value *value = found->conv->outputs[0];
    struct node *reader;
    while (found->count < MOST && (reader = value_only_reader(value)) &&
           reader->graph == found->conv->graph && is_per_channel(reader, LAYOUT_CONV) &&
           reader->outputs[0] && lift_node(reader, LAYOUT_CONV)->input == value) {
        found->run[found->count++] = reader;
        value = reader->outputs[0];
    }
}

/* What the run makes of what the Conv gives, and of its bias. */
static const char *compose_run(struct plan *plan, const struct quantised *found, double *scale,
                               double *shift)
{
    struct arena *arena = plan->model->arena;
    const struct affine *form = lift_identity(plan->model);
    const double *bias = NULL;
    const char *reason = NULL;
    for (size_t i = 0; i < found->count && !reason; i++)
        reason = affine_compose(arena, lift_node(found->run[i], LAYOUT_CONV)->form, form, &form);
    if (!reason && node_input(found->conv, 2))
        reason =
            operand_vector(arena, found->conv->inputs[2], "bias", found->channels, &bias, NULL);
    if (reason)
        return reason;
    if (form->outputs && form->outputs != found->channels)
        return "what scales it has another number of channels";
    const double *shifts = affine_bias(arena, form, found->channels);
    if (!affine_rows(form, NULL, found->channels, 0, found->channels, scale))
        return "out of memory";
    for (int64_t c = 0; c < found->channels; c++)
        shift[c] = (shifts ? shifts[c] : 0) + (bias ? bias[c] * scale[c] : 0);
    return NULL;
}

static const char *scale_weight(struct arena *arena, const struct quantised *found, int32_t type,
                                double *scale, double *shift)
{
    const struct node *weight = found->weight;
    const double *numbers;
    int64_t axis = node_integer(weight, "axis", 1);
    if (!node_input(weight, 1) || weight->inputs[1]->rank != 1 || found->channels < 2 ||
        node_integer(weight, "block_size", 0) ||
        (axis != 0 && axis + weight->outputs[0]->rank != 0))
        return "its quantised weight has no scale for each output channel";
    const char *reason =
        operand_vector(arena, weight->inputs[1], "scale", found->channels, &numbers, NULL);
    for (int64_t c = 0; c < found->channels && !reason; c++) {
        scale[c] = tensor_rounded(type, scale[c] * numbers[c]);
        shift[c] = tensor_rounded(type, shift[c]);
        if (!(scale[c] > 0) || !isfinite(scale[c]) || !isfinite(shift[c]))
            reason = arena_format(arena,
                                  "the scale of its quantised weight would not be positive, "
                                  "or not finite, in channel %lld",
                                  (long long)c);
    }
    return reason;
}

/* Sizes to try it with: all taps of the window, and a few more. */
static const char *choose_shape(const struct quantised *found, int64_t *dims)
{
    const struct value *x = found->conv->inputs[0], *w = found->conv->inputs[1];
    struct window window[RANK];
    if (x->rank < 3 || x->rank > RANK || x->rank != w->rank)
        return "the rank of the value is not known or does not fit";
    const char *reason = shape_window(found->conv, x->rank - 2, w->dims + 2, NULL, window);
    for (int i = 0; i < x->rank && !reason; i++) {
        int64_t size = i < 2 ? 1 : (window[i - 2].kernel - 1) * window[i - 2].dilation + SMALL + i;
        dims[i] = x->dims[i] > 0 && (x->dims[i] < size || i == 1) ? x->dims[i] : size;
    }
    if (!reason && x->dims[1] < 1)
        dims[1] = w->dims[1] * node_integer(found->conv, "group", 1);
    return reason;
}

static struct value *vector(struct plan *plan, const struct node *at, const struct value *target,
                            const char *name, int32_t type, int64_t count, const double *numbers)
{
    struct arena *arena = plan->model->arena;
    return edit_constant(at->graph, at, arena_format(arena, "%s.%s", target->name, name),
                         tensor_of_doubles(arena, type, 1, &count, numbers));
}

static void replace(struct plan *plan, const struct quantised *found, const double *scale,
                    const double *shift, const int64_t *dims)
{
    struct arena *arena = plan->model->arena;
    struct node *conv = found->conv, *old = found->weight, *last = found->run[found->count - 1];
    struct node *replaced[MOST + 2] = {conv, old};
    struct value *w = old->outputs[0], *target = last->outputs[0];
    int32_t type = w->type;
    bool shifts = node_input(conv, 2) != NULL;
    for (int64_t c = 0; c < found->channels; c++)
        shifts = shifts || shift[c] != 0;
    struct value *parts[3] = {old->inputs[0],
                              vector(plan, last, target, "scale", type, found->channels, scale),
                              node_input(old, 2)};
    struct value *weight = edit_value(conv->graph, arena_format(arena, "%s.weight", target->name));
    weight->type = type;
    weight->rank = w->rank;
    weight->dims = w->dims;
    struct node *made = edit_node(conv->graph, last, "DequantizeLinear", old->proto->name, old,
                                  parts, old->input_count, weight, NULL, 0);
    edit_take_attributes(made, old);
    weight->first_producer = made;
    struct value *inputs[3] = {
        conv->inputs[0], weight,
        shifts ? vector(plan, last, target, "bias", type, found->channels, shift) : NULL};
    struct node *node = edit_node(conv->graph, last, "Conv", conv->proto->name, conv, inputs,
                                  shifts ? 3 : 2, target, NULL, 0);
    edit_take_attributes(node, conv);
    for (size_t i = 0; i < found->count; i++)
        replaced[2 + i] = found->run[i];
    for (size_t i = 0; i < found->count + 2; i++)
        if (!replaced[i]->removed)
            edit_remove(replaced[i]);
    const struct trial_source source = {conv->inputs[0], conv->inputs[0]->rank, dims};
    plan_rewritten(plan, node, target, &source, 1, replaced, found->count + 2);
    struct fusion *fusion = target->fusion;
    LIST_PUSH(arena, &fusion->made, (const struct node *)made);
    weight->fusion = fusion;
    lift_forget(plan->model);
}

static bool fold(struct plan *plan, struct node *conv)
{
    struct arena *arena = plan->model->arena;
    struct quantised found = {.conv = conv, .weight = conv->inputs[1]->producer};
    struct value *w = conv->inputs[1];
    int64_t dims[RANK];
    find_run(&found);
    if (!found.count || !type_is_float(w->type) || w->rank < 3 || w->dims[0] < 1)
        return false;
    found.channels = w->dims[0];
    struct value *target = found.run[found.count - 1]->outputs[0];
    double *scale = NEW_ARRAY(arena, double, found.channels);
    double *shift = NEW_ARRAY(arena, double, found.channels);
    const char *reason = plan_banned(plan, conv->graph, target);
    if (!reason && (value_only_reader(w) != conv || w->is_annotated))
        reason = "its quantised weight is read by other ops as well";
    if (!reason && (!value_is_told(conv->inputs[0]) || conv->inputs[0]->is_annotated ||
                    !value_is_told(target)))
        return false;
    if (!reason)
        reason = compose_run(plan, &found, scale, shift);
    if (!reason)
        reason = scale_weight(arena, &found, w->type, scale, shift);
    if (!reason)
        reason = choose_shape(&found, dims);
    if (reason)
        plan_refuse(plan, conv, conv->outputs[0], reason);
    else
        replace(plan, &found, scale, shift, dims);
    return false;
}

void fold_quantised(struct plan *plan)
{
    pass_each(plan, is_quantised, false, fold);
}
