/* equalize/flow.c: what each operator does to the scales of its channels.
 *
 * An operator is let through where y(s x) = s y(x) holds to the bit for powers of two, channel by channel: it compares,
 * moves, adds or multiplies by what is not scaled. Operators after ONNX's text, default domain. */
#include "equalize/flow.h"

#include <stdlib.h>

#include "equalize/through.h"
#include "fuse/lift.h"
#include "infer/operand.h"
#include "model/model.h"

/* ---- statistics ---- */

static bool known_moments(void *closure, const struct value *value, int64_t count, struct moments *moments)
{
    struct classes *classes = closure;
    const struct channels *channels = value->graph == classes->graph ? value_channels(value) : NULL;
    if (!channels || channels->count != count)
        return false;
    for (int64_t c = 0; c < count; c++) {
        moments[c] = moments_of(classes, channels, c);
        if (!moments_known(moments[c]))
            return false;
    }
    return true;
}

/* A part of a sum is not a value of the file: its statistics are those of its summands. */
static bool of_parts(struct classes *classes, const struct value *value, int64_t count, struct moments *moments)
{
    const struct fusion *fusion = value->fusion;
    struct moments *term = NEW_ARRAY(classes->arena, struct moments, count);
    if (!fusion || fusion->target != value || !fusion->terms.count)
        return false;
    for (size_t k = 0; k < fusion->terms.count; k++) {
        if (!statistics_of_file(fusion->terms.items[k].value, count, known_moments, classes, term))
            return false;
        for (int64_t c = 0; c < count; c++) {
            struct moments x = moments_scale_shift(term[c], fusion->terms.items[k].factor, 0);
            moments[c] = k ? moments_add(moments[c], x) : x;
        }
    }
    return true;
}

/* Measured statistics override inferred ones. */
static bool take_measured(struct classes *classes, const struct channels *channels)
{
    const struct measured *measured =
        classes->measured->count ? map_get(classes->measured, channels->value->name) : NULL;
    if (!measured || measured->count != channels->count)
        return false;
    for (int64_t c = 0; c < channels->count; c++)
        channel_at(classes, channels, c)->moments = measured->moments[c];
    return true;
}

/* If the op itself gives no statistics, BatchNormalizations that were folded into it may. */
static void ask_file(struct classes *classes, struct channels *channels)
{
    struct value *value = channels->value;
    struct moments *moments = NEW_ARRAY(classes->arena, struct moments, channels->count);
    for (int64_t c = 0; c < channels->count; c++)
        if (moments_known(moments_of(classes, channels, c)))
            return;
    if (value->is_new ? of_parts(classes, value, channels->count, moments)
                      : statistics_of_file(value, channels->count, known_moments, classes, moments))
        for (int64_t c = 0; c < channels->count; c++)
            channel_at(classes, channels, c)->moments = moments[c];
}

/* ---- seams ---- */

static const char *look_at_bias(struct node *node, const struct weight *weight)
{
    struct value *value = node_input(node, 2);
    const struct tensor *tensor;
    if (node->op == OP_MatMul || !value)
        return NULL;
    const char *reason = operand_weight(node->graph->model->arena, value, "bias", &tensor);
    bool fits =
        !reason && (node->op == OP_Gemm ? tensor->rank <= 2 && (tensor->rank < 1 || tensor->count == 1 ||
                                                                tensor->dims[tensor->rank - 1] == 1 ||
                                                                tensor->dims[tensor->rank - 1] == weight->outputs)
                                        : tensor->rank == 1 && tensor->count == weight->outputs);
    return reason || fits ? reason : "its bias does not fit its weight";
}

/* The input's class ends here and the output's begins. */
static const char *seam(struct classes *classes, struct node *node)
{
    struct seam seam = {.node = node, .input = input_of(node, 0)};
    struct value *output = node->outputs[0];
    const char *reason = weight_of(node, &seam.weight);
    if (!reason)
        reason = look_at_bias(node, &seam.weight);
    if (reason)
        return reason;
    int at = node->op == OP_MatMul ? node->inputs[0]->rank - 1 : 1;
    if (seam.input && (seam.input->axis != at || seam.input->count != seam.weight.inputs)) {
        classes_pin(classes, seam.input, node, NOT_KNOWN);
        seam.input = NULL;
    }
    seam.output = classes_give(classes, output, node->op == OP_MatMul ? output->rank - 1 : 1);
    if (seam.output && seam.output->count != seam.weight.outputs) {
        classes_pin(classes, seam.output, node, NOT_KNOWN);
        seam.output = NULL;
    }
    seam.first_shift = classes->shifts.count;
    if (seam.output && node->op != OP_MatMul && node_input(node, 2)) {
        struct shift shift = {node, 2, 0, seam.output};
        LIST_PUSH(classes->arena, &classes->shifts, shift);
    }
    LIST_PUSH(classes->arena, &classes->seams, seam);
    return NULL;
}

static const char *not_homogeneous(struct classes *classes, const struct node *node)
{
    const char *name = node->proto->op_type;
    return arena_format(classes->arena, "%s is not homogeneous", name ? name : "an op");
}

static const char *flow(struct classes *classes, struct node *node)
{
    switch (node->op) {
    case OP_Conv:
    case OP_ConvTranspose:
    case OP_Gemm:
    case OP_MatMul: return seam(classes, node);
    case OP_Add:
    case OP_Sub:
    case OP_Sum:
    case OP_Mean:
    case OP_Max:
    case OP_Min: return through_sum(classes, node);
    case OP_Mul:
    case OP_Div: return through_product(classes, node);
    case OP_Concat: return through_concat(classes, node);
    case OP_PRelu: return through_activate_by_slopes(classes, node);
    default: break;
    }
    if (!input_of(node, 0)) /* a class is read where data is not expected */
        return not_homogeneous(classes, node);
    switch (node->op) {
    case OP_Relu: return through_activate(classes, node, 0);
    case OP_LeakyRelu: return through_activate(classes, node, node_float(node, "alpha", (double)0.01f));
    case OP_Abs: return through_activate(classes, node, -1);
    case OP_Identity: return through_keep(classes, node, input_of(node, 0), 0, input_of(node, 0)->axis);
    case OP_Neg:
    case OP_Cast:
    case OP_Dropout: return through_pass_on(classes, node);
    case OP_MaxPool:
    case OP_AveragePool:
    case OP_GlobalAveragePool:
    case OP_GlobalMaxPool: return through_pool(classes, node);
    case OP_ReduceMean:
    case OP_ReduceMax:
    case OP_ReduceMin:
    case OP_ReduceSum: return through_reduce(classes, node);
    case OP_Pad: return through_pad(classes, node);
    case OP_Resize:
    case OP_Upsample: return through_resize(classes, node);
    case OP_Flatten:
    case OP_Reshape: return through_reshape(classes, node);
    case OP_Squeeze: return through_squeeze(classes, node);
    case OP_Unsqueeze: return through_unsqueeze(classes, node);
    case OP_Transpose: return through_transpose(classes, node);
    case OP_DepthToSpace:
    case OP_SpaceToDepth: return through_depth_to_space(classes, node);
    case OP_Slice: return through_slice(classes, node);
    case OP_Split: return through_split(classes, node);
    case OP_BatchNormalization: return through_normalize(classes, node);
    default: return not_homogeneous(classes, node);
    }
}

const struct channels *flow_only_source(const struct channels *channels)
{
    const struct node *node = channels->value->producer;
    switch (node ? node->op : OP_UNKNOWN) {
    case OP_MaxPool:
    case OP_AveragePool:
    case OP_GlobalAveragePool:
    case OP_GlobalMaxPool:
    case OP_ReduceMean:
    case OP_ReduceMax:
    case OP_ReduceMin:
    case OP_ReduceSum:
    case OP_Pad:
    case OP_Resize:
    case OP_Upsample:
    case OP_Flatten:
    case OP_Reshape:
    case OP_Squeeze:
    case OP_Unsqueeze:
    case OP_Transpose:
    case OP_DepthToSpace:
    case OP_SpaceToDepth:
    case OP_Slice:
    case OP_Split:
    case OP_Identity:
    case OP_Dropout: return input_of(node, 0);
    default: return NULL;
    }
}

static void flow_through_node(struct classes *classes, struct node *node)
{
    bool any = lift_reads_weight(node);
    for (size_t k = 0; k < node->input_count; k++)
        any = any || input_of(node, k);
    /* Shape and Size ask for no number. */
    if (!any || node->op == OP_Shape || node->op == OP_Size)
        return;
    size_t seams = classes->seams.count, shifts = classes->shifts.count;
    bool whole = node_output(node, 0) && node_output(node, 0)->rank >= 0;
    classes->is_full = false;
    const char *reason =
        whole ? node_has_references(node) ? "it takes an attribute from the function around it" : flow(classes, node)
              : NOT_KNOWN;
    if (reason && classes->is_full)
        reason = "limit: the values before it have as many channels as are examined for a model of this size";
    for (size_t k = 0; k < node->input_count; k++) {
        bool is_data = k == 0 || !lift_reads_weight(node);
        if (reason || !is_data)
            classes_pin(classes, input_of(node, k), node, reason ? reason : "the op reads it as a weight");
    }
    for (size_t k = 0; k < node->output_count; k++) {
        struct channels *out = node->outputs[k] ? value_channels(node->outputs[k]) : NULL;
        if (reason)
            classes_pin(classes, out, node, reason);
        else if (out && !take_measured(classes, out))
            ask_file(classes, out);
    }
    const struct value *weight = lift_reads_weight(node) ? node_input(node, 1) : NULL;
    if (reason && weight && weight->tensor) {
        struct pin pin = {node, reason};
        LIST_PUSH(classes->arena, &classes->declined, pin);
    }
    if (reason) {
        classes->seams.count = seams;
        classes->shifts.count = shifts;
    }
}

/* ---- order ---- */

static int by_depth(const void *a, const void *b)
{
    const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
    if (x->depth != y->depth)
        return x->depth < y->depth ? -1 : 1;
    if (x->is_new != y->is_new)
        return x->is_new ? 1 : -1;
    uint32_t one = x->is_new ? x->sequence : x->position;
    uint32_t other = y->is_new ? y->sequence : y->position;
    return (one > other) - (one < other);
}

void flow_through(struct classes *classes, struct graph *graph)
{
    struct node_list nodes = {0};
    classes->graph = graph;
    for (size_t i = 0; i < graph->node_count + graph->new_nodes.count; i++) {
        struct node *node = i < graph->node_count ? graph->nodes[i] : graph->new_nodes.items[i - graph->node_count];
        if (!node->removed)
            LIST_PUSH(classes->arena, &nodes, node);
        for (size_t k = 0; k < node->output_count; k++)
            if (node->outputs[k])
                value_channels_set(node->outputs[k], NULL); /* of an earlier time */
    }
    if (nodes.count)
        qsort(nodes.items, nodes.count, sizeof(*nodes.items), by_depth);
    for (size_t i = 0; i < nodes.count; i++)
        flow_through_node(classes, nodes.items[i]);
    /* An op that was looked at before what it reads was made could not be tied to it. */
    for (size_t i = 0; i < classes->values.count; i++) {
        struct channels *channels = classes->values.items[i];
        for (const struct use *use = channels->value->uses; use; use = use->next)
            if (use_is_live(use) && use->inner->graph == graph &&
                by_depth(&(struct node *){use->inner}, &(struct node *){channels->value->producer}) <= 0)
                classes_pin(classes, channels, use->inner, "an op that stands before it in the file reads it");
    }
}
