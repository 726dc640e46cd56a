/* passes/fold_scales.c
 *
 *     W (int8) -> DequantizeLinear -> Conv -> BatchNormalization        becomes        W -> DequantizeLinear -> Conv
 *
 * Folds a per-channel scale behind an op with a dequantised weight: the weight keeps its few bits, its DequantizeLinear
 * gets a scale per channel, and a shift goes into the bias. A dequantised bias gets scales too.
 *
 * Refused: a scale that is not positive, which runtimes do not accept; scales along another axis or in blocks; a
 * scale per channel before opset 13, which has one for all; a shift if the bias is dequantised; a shift behind
 * MatMul, which has no bias. Left alone: a weight that other ops read. */
#include <math.h>

#include "base/decimal.h"
#include "fuse/lane.h"
#include "infer/constant.h"
#include "model/edit.h"
#include "passes/passes.h"

enum { AXES_MOST = 8, POSITIONS = 4 };

struct scaling_of {
    struct plan *plan;
    struct node *weighted, *last; /* the op with the weight, and the op behind it to fold */
    struct lane lane;
    int64_t channels; /* output channels of the weight */
    int axis;         /* of the weight along which they lie */
};

/* The op that dequantises an input only for this op, or NULL. */
static struct node *dequantizer(const struct node *node, size_t index)
{
    const struct value *value = node_input(node, index);
    struct node *maker = value ? value->producer : NULL;
    return maker && maker->op == OP_DequantizeLinear && !maker->removed ? maker : NULL;
}

static const char *find_channels(struct scaling_of *s)
{
    const struct node *node = s->weighted;
    const struct value *weight = node->inputs[1];
    int64_t groups = node_integer(node, "group", 1);
    bool turned = node->op == OP_ConvTranspose || node->op == OP_MatMul ||
                  (node->op == OP_Gemm && !node_integer(node, "transB", 0));
    if (weight->rank < 2 || weight->rank > AXES_MOST ||
        (weight->rank != 2 && (node->op == OP_MatMul || node->op == OP_Gemm)))
        return "the shape of its weight is not known, or does not fit";
    if (node->op == OP_ConvTranspose && groups != 1)
        return "the output channels of its weight lie along two axes, so no axis can hold a scale per channel";
    s->axis = turned ? 1 : 0;
    s->channels = weight->dims[s->axis];
    int axis = node->op == OP_MatMul ? node->outputs[0]->rank - 1 : 1;
    if (s->lane.axis >= 0 && (s->lane.axis != axis || s->lane.width != s->channels))
        return "it scales another axis than the output channels of the weight";
    return s->channels < 1 ? "the number of channels is not known" : NULL;
}

static double factor(const struct lane *lane, const double *numbers, int64_t channel)
{
    return numbers[lane->width == 1 ? 0 : channel];
}

/* ---- DequantizeLinear ---- */

/* The scales times those of the lane, along `axis` of the result: a single number if both are. */
static const char *rescale(const struct scaling_of *s, const struct node *node, int axis, struct tensor **scales)
{
    struct arena *arena = s->plan->model->arena;
    const struct tensor *old, *zero;
    struct value *value = node_input(node, 1);
    int own = (int)node_integer(node, "axis", 1), rank = node->outputs[0]->rank;
    if (!value || constant_of(value, &old) || !type_is_float(old->type) ||
        (node_input(node, 2) && constant_of(node->inputs[2], &zero)))
        return "the scale or the zero point of its weight is not constant";
    const double *numbers = constant_numbers(value, old);
    if (old->count != 1 && (own < 0 ? own + rank : own) != axis)
        return "the scales of its weight lie along another axis than its output channels";
    if (node_integer(node, "block_size", 0) || node_integer(node, "output_dtype", 0) || !numbers || old->rank > 1 ||
        (old->count != 1 && old->count != s->channels))
        return "its weight has a scale per block, or is dequantised to another type";
    int64_t count = s->lane.width == 1 ? old->count : s->channels;
    if (count != 1 && node->opset < 13)
        return arena_format(
            arena,
            "DequantizeLinear of opset %lld takes one scale for all channels; a scale per channel needs opset 13",
            (long long)node->opset);
    double *made = NEW_ARRAY(arena, double, count);
    for (int64_t c = 0; c < count; c++) {
        made[c] = tensor_rounded(old->type, numbers[old->count == 1 ? 0 : c] * factor(&s->lane, s->lane.scale, c));
        if (!isfinite(made[c]) || made[c] <= 0)
            return arena_format(
                arena,
                "channel %lld would be dequantised with the scale %s; runtimes accept only positive, finite scales",
                (long long)c, decimal_rounded(made[c], 6).text);
    }
    *scales = tensor_of_doubles(arena, old->type, count == 1 ? old->rank : 1, &count, made);
    return NULL;
}

/* One per scale. */
static struct value *zero_points(const struct scaling_of *s, struct node *node, int64_t count)
{
    struct arena *arena = s->plan->model->arena;
    struct value *value = node_input(node, 2);
    const struct tensor *old;
    if (!value || constant_of(value, &old) || old->count == count)
        return value;
    int64_t *numbers = NEW_ARRAY(arena, int64_t, count);
    tensor_read_integers(old, numbers);
    for (int64_t c = 1; c < count; c++)
        numbers[c] = numbers[0];
    return edit_constant(node->graph, s->last, arena_format(arena, "%s.zero_point", value->name),
                         tensor_of_integers(arena, old->type, 1, &count, numbers));
}

static struct node *make_dequantizer(const struct scaling_of *s, struct node *node, int axis, struct tensor *scales)
{
    struct arena *arena = s->plan->model->arena;
    const struct value *old = node->outputs[0];
    struct value *value = edit_value(node->graph, arena_format(arena, "%s.scaled", old->name));
    value->type = old->type;
    value->rank = old->rank;
    value->dims = old->dims;
    struct value *inputs[3] = {node->inputs[0]};
    inputs[1] = edit_constant(node->graph, s->last, arena_format(arena, "%s.scale", value->name), scales);
    inputs[2] = zero_points(s, node, scales->count);
    struct node *made = edit_node(node->graph, &(struct edit_op){.op = "DequantizeLinear",
                                                                 .at = s->last,
                                                                 .name = node->proto->name,
                                                                 .like = node,
                                                                 .inputs = inputs,
                                                                 .input_count = inputs[2] ? 3 : 2,
                                                                 .output = value});
    edit_take_attributes(made, node);
    const struct edit_attribute attribute = {"axis", NULL, 0, axis};
    if (scales->count != 1)
        edit_set_attribute(made, &attribute);
    return made;
}

/* ---- the bias ---- */

/* The new bias of an op whose bias is not quantised, or missing. */
static const char *shift_bias(const struct scaling_of *s, struct tensor **bias)
{
    struct arena *arena = s->plan->model->arena;
    struct value *value = node_input(s->weighted, 2);
    const struct tensor *old = NULL;
    const double *numbers = NULL;
    *bias = NULL;
    if (!value && !lane_shifts(&s->lane))
        return NULL;
    if (s->weighted->op == OP_MatMul)
        return "MatMul has no bias to add the shift to";
    if (node_float(s->weighted, "beta", 1) != 1)
        return "its bias is multiplied by beta";
    if (value && (constant_of(value, &old) || !(numbers = constant_numbers(value, old)) ||
                  (old->count != 1 && (old->count != s->channels || old->dims[old->rank - 1] != s->channels))))
        return "its bias is not constant, or not one number per channel";
    int32_t type = old ? old->type : s->weighted->outputs[0]->type;
    if (!type_is_float(type))
        return "the type of its result is not known";
    double *made = NEW_ARRAY(arena, double, s->channels);
    for (int64_t c = 0; c < s->channels; c++) {
        double before = numbers ? numbers[old->count == 1 ? 0 : c] : 0;
        made[c] =
            tensor_rounded(type, before * factor(&s->lane, s->lane.scale, c) + factor(&s->lane, s->lane.shift, c));
        if (!isfinite(made[c]))
            return arena_format(arena, "the fused bias is not finite in channel %lld", (long long)c);
    }
    *bias = tensor_of_doubles(arena, type, 1, &s->channels, made);
    return NULL;
}

/* ---- the rewrite ---- */

/* A shape to try the input with: windows and a little more. */
static void choose_shape(const struct node *node, int rank, int64_t *dims)
{
    const struct value *weight = node->inputs[1];
    size_t count;
    const int64_t *dilations = node_integers(node, "dilations", &count);
    bool matrix = node->op == OP_Gemm || node->op == OP_MatMul;
    for (int i = 0; i < rank; i++)
        dims[i] =
            i < weight->rank && !matrix && i > 1
                ? (weight->dims[i] - 1) * (dilations && (size_t)i - 2 < count ? dilations[i - 2] : 1) + POSITIONS + i
                : 2;
    if (matrix) {
        bool turned = node->op == OP_Gemm && node_integer(node, "transB", 0);
        bool first = node->op == OP_Gemm && node_integer(node, "transA", 0);
        dims[first ? 0 : rank - 1] = weight->dims[turned ? 1 : 0];
    } else {
        dims[1] = node->op == OP_Conv ? weight->dims[1] * node_integer(node, "group", 1) : weight->dims[0];
    }
}

static void replace(const struct scaling_of *s, struct node *const *dequantizers, struct tensor *const *scales,
                    struct tensor *bias)
{
    struct arena *arena = s->plan->model->arena;
    struct node *node = s->weighted;
    struct node *replaced[4] = {node, s->last};
    size_t count = 2;
    struct value *inputs[3] = {node->inputs[0], node->inputs[1], node_input(node, 2)};
    for (int i = 0; i < 2; i++) {
        if (!dequantizers[i] || !scales[i])
            continue;
        inputs[1 + i] = make_dequantizer(s, dequantizers[i], i == 0 ? s->axis : 0, scales[i])->outputs[0];
        replaced[count++] = dequantizers[i];
    }
    if (bias)
        inputs[2] =
            edit_constant(node->graph, s->last, arena_format(arena, "%s.bias", s->last->outputs[0]->name), bias);
    struct node *result = edit_node(node->graph, &(struct edit_op){.op = node->proto->op_type,
                                                                   .at = s->last,
                                                                   .name = node->proto->name,
                                                                   .like = node,
                                                                   .inputs = inputs,
                                                                   .input_count = inputs[2] ? 3 : 2,
                                                                   .output = s->last->outputs[0]});
    edit_take_attributes(result, node);
    edit_remove(node);
    for (size_t i = 2; i < count; i++)
        edit_remove(replaced[i]);
    int64_t dims[AXES_MOST];
    const struct trial_source source = {inputs[0], inputs[0]->rank, dims};
    choose_shape(node, inputs[0]->rank, dims);
    plan_rewritten(s->plan, result, result->outputs[0], &source, 1, replaced, count);
    struct fusion *fusion = result->outputs[0]->fusion;
    /* Include those that an earlier round made: its fusion is now a part of this one. */
    for (int i = 1; i < 3; i++) {
        const struct node *maker = inputs[i] ? inputs[i]->producer : NULL;
        if (maker && maker->is_new && maker->op == OP_DequantizeLinear)
            LIST_PUSH(arena, &fusion->made, maker);
    }
}

static const char *decide(struct scaling_of *s, struct node *const *dequantizers, struct tensor **scales,
                          struct tensor **bias)
{
    const struct value *target = s->last->outputs[0];
    const char *reason = find_channels(s);
    if (!reason)
        reason = plan_banned(s->plan, target->graph, target);
    for (int i = 0; i < 2 && !reason; i++) {
        if (dequantizers[i] && lane_scales(&s->lane))
            reason = rescale(s, dequantizers[i], i == 0 ? s->axis : 0, &scales[i]);
    }
    if (!reason && dequantizers[1] && lane_shifts(&s->lane))
        reason = "its bias is quantised, and the shift is not a multiple of the bias's scale";
    if (!reason && !dequantizers[1])
        reason = shift_bias(s, bias);
    return reason;
}

/* True if an op with a dequantised weight computes this operand. */
static bool stands_behind(const struct node *last, size_t index)
{
    const struct value *value = node_input(last, index);
    const struct node *node = value ? value->producer : NULL;
    return node && operator_is(node->op, WEIGHTED) && dequantizer(node, 1);
}

static bool fold(struct plan *plan, struct node *last)
{
    struct scaling_of s = {.plan = plan, .last = last};
    /* A step takes memory, so ask for few of them. */
    if (!stands_behind(last, 0) && !stands_behind(last, 1))
        return false;
    if (lane_of(last, &s.lane) || lane_is_neutral(&s.lane) || !s.lane.data->producer)
        return false;
    struct node *node = s.weighted = s.lane.data->producer;
    if (!operator_is(node->op, WEIGHTED) || node->removed || node->graph != last->graph ||
        value_only_reader(s.lane.data) != last || !node_input(node, 0) || node_has_references(node) ||
        !value_is_told(node->inputs[0]) || !value_is_told(last->outputs[0]) || node->inputs[0]->is_annotated)
        return false;
    int rank = node->inputs[0]->rank;
    struct node *dequantizers[2] = {dequantizer(node, 1), dequantizer(node, 2)};
    const struct tensor *tensor;
    if (!dequantizers[0] || rank < 2 || rank > AXES_MOST)
        return false;
    /* If they evaluate, their scales and zero points fit them and each other. */
    for (int i = 0; i < 2; i++)
        if (dequantizers[i] &&
            (constant_of(node->inputs[1 + i], &tensor) || value_only_reader(node->inputs[1 + i]) != node))
            return false;
    struct tensor *scales[2] = {NULL, NULL}, *bias = NULL;
    const char *reason = decide(&s, dequantizers, scales, &bias);
    if (reason)
        plan_refuse(plan, last, last->outputs[0], reason);
    else
        replace(&s, dequantizers, scales, bias);
    return false;
}

static bool scales_or_shifts(struct node *node)
{
    return node_output(node, 0) && node_input(node, 0) &&
           (node->op == OP_BatchNormalization || node->op == OP_Mul || node->op == OP_Div || node->op == OP_Add ||
            node->op == OP_Sub || node->op == OP_Neg);
}

void fold_scales(struct plan *plan)
{
    pass_each(plan, scales_or_shifts, false, fold);
}
