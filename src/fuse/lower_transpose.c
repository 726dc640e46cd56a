/* fuse/lower_transpose.c: ConvTranspose with what follows it per channel. */
#include "fuse/lower_transpose.h"

#include <math.h>

#include "affine/rows.h"
#include "base/decimal.h"
#include "fuse/lower.h"
#include "fuse/trace.h"
#include "infer/constant.h"
#include "infer/operand.h"
#include "model/edit.h"

struct transpose_reader {
    const struct affine *kernel; /* rows: input channels; columns: outputs / groups * taps */
    int64_t inputs, outputs, groups, taps;
    const double *before, *after;
};

static void read_transpose(const void *closure, int64_t first, int64_t count, double *out)
{
    const struct transpose_reader *reader = closure;
    int64_t columns = affine_row_length(reader->kernel), taps = reader->taps;
    reader->kernel->read(reader->kernel->closure, first, count, out);
    for (int64_t r = 0; r < count; r++) {
        int64_t group = (first + r) / (reader->inputs / reader->groups);
        int64_t output = group * (reader->outputs / reader->groups);
        double *row = out + r * columns;
        for (int64_t k = 0; k < columns; k++) {
            double after = reader->after ? reader->after[output + k / taps] : 1;
            row[k] *= after * (reader->before ? reader->before[first + r] : 1);
        }
    }
}

struct tensor_rows {
    const struct tensor *tensor;
    int64_t columns;
};

static void read_tensor_rows(const void *closure, int64_t first, int64_t count, double *out)
{
    const struct tensor_rows *rows = closure;
    tensor_read(rows->tensor, first * rows->columns, count * rows->columns, out);
}

/* The stored weight of a ConvTranspose as rows, one per input channel. */
static const char *transpose_rows(struct node *node, const struct tensor **weight,
                                  const struct affine **result)
{
    struct arena *arena = node->graph->model->arena;
    struct value *value = node_input(node, 1);
    if (value && value->tensor && value->tensor->storage == STORAGE_FUSED) {
        *weight = value->tensor;
        *result = value->tensor->form;
        return NULL;
    }
    const char *reason = operand_weight(arena, value, "weight", weight);
    if (reason)
        return reason;
    if ((*weight)->rank < 3 || (*weight)->count == 0)
        return "its weight has no spatial axis";
    struct tensor_rows *rows = NEW(arena, struct tensor_rows);
    *rows = (struct tensor_rows){*weight, (*weight)->count / (*weight)->dims[0]};
    const struct affine *form;
    reason = affine_make(arena, 0, NULL, (*weight)->dims[0], rows->columns, 1, read_tensor_rows,
                         rows, NULL, &form);
    *result = form;
    return reason;
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

const char *lower_conv_transpose(struct plan *plan, struct region *region, struct node *node,
                                 struct value *source, const double *before,
                                 const struct affine *after, struct value *target,
                                 struct fusion **result)
{
    struct arena *arena = plan->model->arena;
    const struct tensor *weight;
    const struct affine *kernel;
    const double *old_bias, *shift;
    double *bias = NULL;
    const char *reason = plan_banned(plan, node->graph, target);
    if (!reason)
        reason = transpose_rows(node, &weight, &kernel);
    if (reason)
        return reason;
    int64_t groups = node_integer(node, "group", 1), inputs = weight->dims[0], outputs;
    if (groups < 1 || inputs % groups || !multiply_fits(weight->dims[1], groups, &outputs))
        return "its group does not fit its weight";
    if (after->outputs && after->outputs != outputs)
        return "the op after it broadcasts the channels";
    reason = transpose_bias(node, outputs, &old_bias);
    if (reason)
        return reason;
    double *scale = NEW_ARRAY(arena, double, outputs);
    if (!affine_rows(after, NULL, outputs, 0, outputs, scale))
        return "out of memory";
    shift = affine_bias(arena, after, outputs);
    if (old_bias || shift)
        bias = NEW_ARRAY(arena, double, outputs);
    for (int64_t o = 0; bias && o < outputs; o++) {
        double exact = (old_bias ? old_bias[o] * scale[o] : 0) + (shift ? shift[o] : 0);
        bias[o] = tensor_rounded(weight->type, exact);
        if (!isfinite(bias[o]))
            return arena_format(arena, "the fused bias is %s in channel %lld, not finite in %s",
                                decimal_rounded(exact, 6).text, (long long)o,
                                type_name(weight->type));
    }
    region->saved = (int64_t)region->replaced - 1;
    if (region->saved < 1)
        return "no op would be saved";
    reason = lower_bound(plan, (double)weight->count, weight->type, affine_effort(kernel));
    region_count_constants(region, node);
    if (!reason)
        reason = gate_bytes(
            plan, region,
            (double)(weight->count + (bias ? outputs : 0)) * (double)type_size(weight->type), true);
    if (reason)
        return reason;
    region->multiply_adds += (double)weight->count;
    struct transpose_reader *reader = NEW(arena, struct transpose_reader);
    *reader = (struct transpose_reader){
        kernel, inputs, outputs, groups, weight->count / inputs / weight->dims[1], before, scale};
    const struct affine *form;
    reason = affine_make(arena, 0, NULL, inputs, affine_row_length(kernel), 1, read_transpose,
                         reader, NULL, &form);
    if (reason)
        return reason;

    struct lowering l = {
        .region = region, .source = source, .target = target, .at = target->producer};
    struct fusion *fusion = lower_record(plan, &l, form, weight->type);
    fusion->channels = inputs;
    fusion->outputs = outputs;
    fusion->axes = weight->rank - 2;
    struct value *parts[3] = {source};
    parts[1] = edit_constant(
        node->graph, l.at, arena_format(arena, "%s.weight", target->name),
        lower_tensor(arena, weight->type, weight->rank, weight->dims, form, FUSED_KERNEL));
    if (bias)
        parts[2] = edit_constant(node->graph, l.at, arena_format(arena, "%s.bias", target->name),
                                 tensor_of_doubles(arena, weight->type, 1, &outputs, bias));
    struct node *made =
        edit_node(node->graph, l.at, "ConvTranspose", node->proto->name ? node->proto->name : "",
                  node, parts, bias ? 3 : 2, target, NULL, 0);
    /* Its geometry does not change: the attributes are the old node's own. */
    edit_take_attributes(made, node);
    lower_remove_replaced(region);
    LIST_PUSH(arena, &fusion->made, (const struct node *)made);
    fusion->node = made;
    fusion->multiply_adds_after = (double)weight->count;
    fusion->stored = (double)weight->count * (double)type_size(weight->type);
    plan->stored += fusion->stored;
    target->fusion = fusion;
    lift_forget(plan->model);
    *result = fusion;
    return NULL;
}
