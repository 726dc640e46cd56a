/* fuse/lower_transpose.c: ConvTranspose by its adjoint.
 *
 * The sum of two has the sum of their adjoints as adjoint; an op behind it is transposed and put in front of the
 * adjoint. */
#include "fuse/lower_transpose.h"

#include <math.h>

#include "affine/laws.h"
#include "affine/rows.h"
#include "base/decimal.h"
#include "fuse/lower.h"
#include "fuse/trace.h"
#include "infer/constant.h"
#include "infer/operand.h"
#include "model/edit.h"

struct tensor_rows {
    const struct tensor *tensor;
    int64_t columns;
};

static void read_tensor_rows(const void *closure, int64_t first, int64_t count, double *out)
{
    const struct tensor_rows *rows = closure;
    tensor_read(rows->tensor, first * rows->columns, count * rows->columns, out);
}

/* Adjoint of the window along each axis. Source: ONNX ConvTranspose-1 .. ConvTranspose-22. */
static const char *transpose_axes(const struct node *node, const struct tensor *weight, struct transposed *t,
                                  struct affine_axis *axis)
{
    static const char *const names[] = {"strides", "dilations", "pads", "output_padding"};
    enum { STRIDES, DILATIONS, PADS, OUTPUT_PADDING };
    const int64_t *given[COUNT_OF(names)];
    size_t axes = (size_t)weight->rank - 2, count;
    if (axes > AFFINE_AXES)
        return "the value has too many axes";
    for (size_t k = 0; k < COUNT_OF(names); k++) {
        given[k] = node_integers(node, names[k], &count);
        if (given[k] && count != (k == PADS ? 2 * axes : axes))
            return "its strides, dilations or pads do not fit its weight";
        for (size_t i = 0; given[k] && i < count; i++)
            if (given[k][i] < 0 || given[k][i] > AFFINE_LIMIT)
                return "a stride, dilation or padding is negative or absurdly large";
    }
    /* Then its pads follow from the extents. */
    t->is_placed = !node_integers(node, "output_shape", &count) &&
                   strcmp(node_string(node->graph->model->arena, node, "auto_pad", "NOTSET"), "NOTSET") == 0;
    for (size_t i = 0; i < axes; i++) {
        int64_t taps = weight->dims[2 + i], step = given[DILATIONS] ? given[DILATIONS][i] : 1;
        int64_t begin = given[PADS] ? given[PADS][i] : 0;
        int64_t end = given[PADS] ? given[PADS][axes + i] : 0;
        if (taps < 1 || taps > AFFINE_LIMIT || step < 1 || taps - 1 > AFFINE_LIMIT / step)
            return "its kernel is absurdly large";
        axis[i] = (struct affine_axis){.stride = given[STRIDES] ? given[STRIDES][i] : 1,
                                       .low = -begin,
                                       .step = taps > 1 ? step : 1,
                                       .taps = taps,
                                       .end = begin + end - (taps - 1) * step -
                                              (given[OUTPUT_PADDING] ? given[OUTPUT_PADDING][i] : 0)};
    }
    return NULL;
}

static const char *transpose_bias(struct node *node, int64_t outputs, const double **bias)
{
    struct arena *arena = node->graph->model->arena;
    const struct tensor *tensor;
    *bias = NULL;
    if (!node_input(node, 2))
        return NULL;
    const char *reason = operand_weight(arena, node->inputs[2], "bias", &tensor);
    if (!reason && (tensor->rank != 1 || tensor->count != outputs))
        reason = "its bias does not fit its weight";
    if (!reason && !(*bias = constant_numbers(node->inputs[2], tensor)))
        reason = CONSTANT_TOO_LARGE;
    return reason;
}

const char *transposed_lift(struct node *node, struct transposed *t)
{
    struct arena *arena = node->graph->model->arena;
    struct value *value = node_input(node, 1);
    struct affine_axis axis[AFFINE_AXES];
    const struct tensor *weight;
    bool is_made = value && value->tensor && value->tensor->storage == STORAGE_FUSED;
    const char *reason = NULL;
    if (is_made)
        weight = value->tensor;
    else
        reason = operand_weight(arena, value, "weight", &weight);
    if (reason)
        return reason;
    if (weight->rank < 3 || weight->count == 0)
        return "its weight has no spatial axis";
    int64_t groups = node_integer(node, "group", 1), inputs = weight->dims[0];
    if (groups < 1 || inputs % groups || !multiply_fits(weight->dims[1], groups, &t->outputs))
        return "its group does not fit its weight";
    reason = transpose_axes(node, weight, t, axis);
    if (!reason)
        reason = transpose_bias(node, t->outputs, &t->bias);
    if (reason)
        return reason;
    t->source = node_input(node, 0);
    t->type = weight->type;
    t->adjoint = weight->form;
    if (is_made)
        return NULL;
    struct tensor_rows *rows = NEW(arena, struct tensor_rows);
    *rows = (struct tensor_rows){weight, weight->count / inputs};
    return affine_make(arena,
                       &(struct affine_kernel){.axes = weight->rank - 2,
                                               .axis = axis,
                                               .outputs = inputs,
                                               .inputs = t->outputs,
                                               .groups = groups,
                                               .read = read_tensor_rows,
                                               .closure = rows},
                       &t->adjoint);
}

struct turned_rows {
    const double *numbers; /* [outputs, inputs] */
    int64_t outputs, inputs;
};

/* Row i of the adjoint of a form with single taps: the weight of input i in each output. */
static void read_turned(const void *closure, int64_t first, int64_t count, double *out)
{
    const struct turned_rows *turned = closure;
    for (int64_t r = 0; r < count; r++)
        for (int64_t o = 0; o < turned->outputs; o++)
            out[r * turned->outputs + o] = turned->numbers[o * turned->inputs + first + r];
}

/* Which output takes each input, -1: none. NULL where several take one. */
static int64_t *takers(struct arena *arena, const struct affine *pick)
{
    int64_t *to = NEW_ARRAY(arena, int64_t, pick->inputs);
    for (int64_t i = 0; i < pick->inputs; i++)
        to[i] = -1;
    for (int64_t o = 0; o < pick->outputs; o++) {
        int64_t from = pick->from[o];
        if (from >= 0 && to[from] >= 0)
            return NULL;
        if (from >= 0)
            to[from] = o;
    }
    return to;
}

bool transposed_takes(struct arena *arena, const struct affine *after)
{
    return after->kind == AFFINE_PICK && affine_is_pointwise(after) && takers(arena, after);
}

/* True for scales, and for selections of channels between them. */
static bool is_light(struct arena *arena, const struct affine *after)
{
    return affine_is_diagonal(after) || transposed_takes(arena, after) ||
           (after->kind == AFFINE_COMPOSE && is_light(arena, after->outer) && is_light(arena, after->inner));
}

/* The adjoint of a pick: the output of each channel. */
static const char *turn_pick(struct arena *arena, const struct affine *pick, const struct affine **turned)
{
    const int64_t *to = takers(arena, pick);
    if (!to)
        return "it repeats channels";
    return affine_pick(
        arena, &(struct affine_picked){.axes = -1, .inputs = pick->outputs, .outputs = pick->inputs, .from = to},
        turned);
}

/* The adjoint of a form that treats every position by itself. */
static const char *turn_product(struct arena *arena, const struct affine *after, const struct affine **turned)
{
    struct turned_rows *rows = NEW(arena, struct turned_rows);
    struct affine_axis axis[AFFINE_AXES];
    const char *reason = affine_widen(arena, after, 1, &after);
    if (reason)
        return reason;
    if (!affine_is_held(arena->landing, (double)affine_weights(after)))
        return "limit: its weight is too large for a model of this size";
    double *numbers = NEW_ARRAY(arena, double, affine_weights(after));
    if (!affine_rows(after, NULL, after->outputs, 0, after->outputs, numbers))
        return "out of memory";
    *rows = (struct turned_rows){numbers, after->outputs, after->inputs};
    for (int i = 0; i < after->axes; i++)
        axis[i] = affine_axis_of(after, i);
    return affine_make(arena,
                       &(struct affine_kernel){.axes = after->axes,
                                               .axis = axis,
                                               .outputs = after->inputs,
                                               .inputs = after->outputs,
                                               .groups = 1,
                                               .read = read_turned,
                                               .closure = rows},
                       turned);
}

const char *transposed_after(struct arena *arena, struct transposed *t, const struct affine *after)
{
    const struct affine *shift, *shifted, *turned;
    const char *reason;
    if (after->kind == AFFINE_COMPOSE && !affine_is_diagonal(after) && is_light(arena, after)) {
        /* One by one, without multiplying by the pick as a matrix. */
        reason = transposed_after(arena, t, after->inner);
        return reason ? reason : transposed_after(arena, t, after->outer);
    }
    if (!affine_is_pointwise(after) || (after->inputs && after->inputs != t->outputs))
        return "the next op broadcasts the channels";
    after = affine_settle(arena, after, t->adjoint->axes, t->outputs);
    shifted = after;
    if (t->bias) {
        reason = affine_scale_shift(arena, t->outputs, NULL, t->bias, NULL, &shift);
        if (!reason)
            reason = affine_compose(arena, after, shift, &shifted);
        if (reason)
            return reason;
    }
    t->bias = affine_bias(arena, shifted, shifted->outputs);
    if (affine_is_diagonal(after)) {
        double *scale = NEW_ARRAY(arena, double, t->outputs);
        if (!affine_rows(after, NULL, t->outputs, 0, t->outputs, scale))
            return "out of memory";
        reason = affine_scale_shift(arena, t->outputs, scale, NULL, NULL, &turned);
    } else if (after->kind == AFFINE_PICK) {
        reason = turn_pick(arena, after, &turned);
    } else {
        reason = turn_product(arena, after, &turned);
    }
    t->outputs = after->outputs;
    return reason ? reason : affine_compose(arena, t->adjoint, turned, &t->adjoint);
}

const char *transposed_before(struct arena *arena, struct transposed *t, const double *scale)
{
    const struct affine *before;
    const char *reason = affine_scale_shift(arena, t->adjoint->outputs, scale, NULL, NULL, &before);
    return reason ? reason : affine_compose(arena, before, t->adjoint, &t->adjoint);
}

const char *transposed_join(struct arena *arena, const struct transposed *parts, const double *factors, size_t count,
                            struct transposed *sum)
{
    struct affine_term *terms = NEW_ARRAY(arena, struct affine_term, count);
    double *bias = NULL;
    bool used_extent = false;
    *sum = parts[0];
    for (size_t k = 0; k < count; k++) {
        terms[k] = (struct affine_term){parts[k].adjoint, factors[k]};
        if (!parts[k].is_placed)
            return "its padding depends on the size of its input";
        if (parts[k].source != sum->source || parts[k].type != sum->type || parts[k].outputs != sum->outputs)
            return "the branches have different sources, types or channels";
        if (parts[k].bias && !bias)
            bias = NEW_ARRAY(arena, double, sum->outputs);
        for (int64_t o = 0; parts[k].bias && o < sum->outputs; o++)
            bias[o] += factors[k] * parts[k].bias[o];
    }
    sum->bias = bias;
    const char *reason = affine_join(arena, terms, count, NULL, &sum->adjoint, &used_extent);
    return reason ? reason : affine_lowerable(arena, sum->adjoint, &sum->adjoint);
}

/* The attributes of a ConvTranspose on another lattice than the one it takes the others from. */
static void set_lattice(struct node *made, const struct affine *adjoint)
{
    int64_t kernel[AFFINE_AXES], pads[2 * AFFINE_AXES], zeros[AFFINE_AXES] = {0};
    int64_t strides[AFFINE_AXES], dilations[AFFINE_AXES];
    size_t axes = (size_t)adjoint->axes;
    for (size_t i = 0; i < axes; i++) {
        struct affine_axis axis = affine_axis_of(adjoint, (int)i);
        kernel[i] = axis.taps;
        pads[i] = -axis.low;
        pads[axes + i] = axis.end + affine_axis_high(axis);
        strides[i] = axis.stride;
        dilations[i] = axis.step;
    }
    const struct edit_attribute attributes[] = {
        {"dilations", dilations, axes, 0}, {"kernel_shape", kernel, axes, 0}, {"output_padding", zeros, axes, 0},
        {"pads", pads, 2 * axes, 0},       {"strides", strides, axes, 0},
    };
    for (size_t i = 0; i < COUNT_OF(attributes); i++)
        edit_set_attribute(made, &attributes[i]);
}

static double strides_of(const struct affine *form)
{
    double product = 1;
    for (int i = 0; i < form->axes; i++)
        product *= (double)affine_axis_of(form, i).stride;
    return product;
}

/* As it will be stored; NULL: there is none. */
static const char *round_bias(struct arena *arena, const struct transposed *t, double **bias)
{
    *bias = t->bias ? NEW_ARRAY(arena, double, t->outputs) : NULL;
    for (int64_t o = 0; *bias && o < t->outputs; o++) {
        (*bias)[o] = tensor_rounded(t->type, t->bias[o]);
        if (!isfinite((*bias)[o]))
            return arena_format(arena, "the fused bias is %s in channel %lld, not finite in %s",
                                decimal_rounded(t->bias[o], 6).text, (long long)o, type_name(t->type));
    }
    return NULL;
}

static bool is_listed(const struct region *region, const struct node *node)
{
    for (size_t i = 0; i < region->nodes.count; i++)
        if (region->nodes.items[i] == node)
            return true;
    return false;
}

const char *lower_conv_transpose(struct plan *plan, struct region *region, struct node *node,
                                 const struct transposed *t, double multiply_adds, bool is_moved, struct value *target,
                                 struct fusion **result)
{
    struct arena *arena = plan->model->arena;
    const struct affine *form = t->adjoint;
    double *bias = NULL, weights = (double)affine_weights(form);
    const char *reason = plan_banned(plan, node->graph, target);
    if (!reason)
        reason = round_bias(arena, t, &bias);
    if (reason)
        return reason;
    region->saved = (int64_t)region->replaced - 1;
    if (region->saved < 1)
        return REASON_NOTHING_SAVED;
    /* Those of the ops after it are per position of the output. */
    double before = multiply_adds + region->multiply_adds * strides_of(form);
    if (weights > before * plan->options->max_growth * (1 + 1e-12))
        return arena_format(arena, "cost: multiply-adds per position would grow from %.0f to %.0f", before, weights);
    reason = lower_bound(plan, weights, t->type, affine_effort(form));
    region_count_constants(region, node);
    if (!reason)
        reason =
            gate_bytes(plan, region, (weights + (double)(bias ? t->outputs : 0)) * (double)type_size(t->type), true);
    if (reason)
        return reason;
    region->multiply_adds += multiply_adds;

    struct lowering l = {.region = region, .source = t->source, .target = target, .at = target->producer};
    struct fusion *fusion = lower_record(plan, &l, form, t->type);
    if (!is_listed(region, node))
        fusion_adopt(plan, fusion, node);
    fusion->channels = form->outputs;
    fusion->outputs = t->outputs;
    int64_t dims[AFFINE_AXES + 2] = {form->outputs, t->outputs / form->groups};
    for (int i = 0; i < form->axes; i++)
        dims[2 + i] = affine_axis_of(form, i).taps;
    struct value *parts[3] = {t->source};
    parts[1] = edit_constant(node->graph, l.at, arena_format(arena, "%s.weight", target->name),
                             lower_tensor(arena, t->type, form->axes + 2, dims, form, FUSED_KERNEL));
    if (bias)
        parts[2] = edit_constant(node->graph, l.at, arena_format(arena, "%s.bias", target->name),
                                 tensor_of_doubles(arena, t->type, 1, &t->outputs, bias));
    struct node *made = edit_node(node->graph, &(struct edit_op){.op = "ConvTranspose",
                                                                 .at = l.at,
                                                                 .name = node->proto->name ? node->proto->name : "",
                                                                 .like = node,
                                                                 .inputs = parts,
                                                                 .input_count = bias ? 3 : 2,
                                                                 .output = target});
    edit_take_attributes(made, node);
    const struct edit_attribute group = {"group", NULL, 0, form->groups};
    if (form->groups != node_integer(node, "group", 1))
        edit_set_attribute(made, &group);
    if (is_moved)
        set_lattice(made, form);
    lower_remove_replaced(region);
    LIST_PUSH(arena, &fusion->made, (const struct node *)made);
    fusion->node = made;
    fusion->multiply_adds_after = weights;
    fusion->stored = weights * (double)type_size(t->type);
    plan->stored += fusion->stored;
    target->fusion = fusion;
    lift_forget(plan->model);
    *result = fusion;
    return NULL;
}
