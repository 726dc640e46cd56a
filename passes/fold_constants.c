/* passes/fold_constants.c
 *
 *     W -> Transpose -> Mul(c) -> weight of Conv        becomes        W' -> weight of Conv
 *
 * For the weights and parameters of Conv, ConvTranspose, Gemm, MatMul and BatchNormalization that
 * operators compute from constants alone. The stored tensor takes over the computed value's name,
 * so its readers keep their bytes.
 *
 * Refused: what depends on a declared shape; results that are not finite; a result of more
 * bytes than the constants that go with it (Expand; int8 behind a Cast; a constant that others read as
 * well); a result
 * whose operator has another one that is needed and cannot be stored. */
#include <math.h>

#include "base/decimal.h"
#include "fuse/region.h"
#include "infer/constant.h"
#include "model/edit.h"
#include "passes/passes.h"

static bool reads_weights(struct node *node)
{
    switch (node->op) {
    case OP_Conv:
    case OP_ConvTranspose:
    case OP_Gemm:
    case OP_MatMul:
    case OP_BatchNormalization: return true;
    default: return false;
    }
}

/* Bytes of the stored constants that go when the value's operators go; lists those operators. */
static double freed_bytes(struct plan *plan, struct value *value, struct fusion *fusion)
{
    struct region region = {.plan = plan, .graph = value->graph};
    struct node *producer = value->producer;
    region_walk(&region, NULL, 0, &producer, 1, true);
    for (size_t i = 0; i < region.nodes.count; i++) {
        const struct node *node = region.nodes.items[i];
        if (region_is_replaced(&region, node) && node->op != OP_Constant && !node->is_new)
            LIST_PUSH(plan->model->arena, &fusion->replaced, node);
    }
    return region.bytes;
}

/* The reason why one result of the operators that go cannot be stored. */
static const char *look_at(struct value *value, const struct tensor **tensor)
{
    const char *reason = constant_of(value, tensor);
    if (reason)
        return arena_format(value->graph->model->arena, "it %s", reason);
    if (!type_is_float((*tensor)->type) || !tensor_is_readable(*tensor))
        return "it is not of a float type";
    if ((*tensor)->count == 0)
        return "it has no numbers";
    if ((*tensor)->from_shape)
        return "it depends on the shape of a value";
    if (value->is_output || value->is_annotated)
        return "it is a graph output or carries a quantization annotation";
    return NULL;
}

/* As it will be stored. */
static const char *compute(struct arena *arena, struct value *value, const struct tensor *tensor,
                           struct tensor **stored)
{
    const double *numbers = constant_numbers(value, tensor);
    if (!numbers)
        return CONSTANT_TOO_LARGE;
    for (int64_t i = 0; i < tensor->count; i++)
        if (!isfinite(tensor_rounded(tensor->type, numbers[i])))
            return arena_format(arena, "number %lld is %s, not finite in %s", (long long)i,
                                decimal_rounded(numbers[i], 6).text, type_name(tensor->type));
    *stored = tensor_of_doubles(arena, tensor->type, tensor->rank, tensor->dims, numbers);
    return NULL;
}

/* An operator with several results (Split) goes as a whole: all that somebody needs are stored. */
static const char *store(struct plan *plan, struct value *value)
{
    struct arena *arena = plan->model->arena;
    const struct node *producer = value->producer;
    const struct tensor **tensors = NEW_ARRAY(arena, const struct tensor *, producer->output_count);
    struct tensor **stored = NEW_ARRAY(arena, struct tensor *, producer->output_count);
    struct fusion *fusion = NEW(arena, struct fusion);
    *fusion = (struct fusion){
        .pass = plan->pass, .graph = value->graph, .target = value, .difference = -1};
    const char *reason = NULL;
    struct value *output = NULL;
    for (size_t i = 0; i < producer->output_count && !reason; i++) {
        output = producer->outputs[i];
        reason = value_is_needed(output) ? look_at(output, &tensors[i]) : NULL;
        fusion->stored += !reason && tensors[i] ? (double)tensor_stored_bytes(tensors[i]) : 0;
    }
    double freed = reason ? 0 : freed_bytes(plan, value, fusion);
    if (!reason && fusion->stored > plan->options->max_growth * freed)
        return arena_format(arena,
                            "cost: the stored result would have %.0f bytes, the constants that go "
                            "for it have %.0f",
                            fusion->stored, freed);
    for (size_t i = 0; i < producer->output_count && !reason; i++) {
        output = producer->outputs[i];
        reason = tensors[i] ? compute(arena, output, tensors[i], &stored[i]) : NULL;
    }
    if (reason && output != value)
        return arena_format(arena, "the %s that makes it makes '%s' too: %s",
                            producer->proto->op_type, output->name, reason);
    if (reason)
        return reason;
    for (size_t i = 0; i < producer->output_count; i++)
        if (stored[i])
            edit_store(producer->outputs[i], stored[i]);
    LIST_PUSH(arena, &plan->fusions, fusion);
    plan->changed = true;
    return NULL;
}

void fold_constants(struct plan *plan)
{
    for (size_t g = 0; g < plan->model->graphs.count; g++) {
        size_t count;
        struct graph *graph = plan->model->graphs.items[g];
        struct node **nodes = pass_candidates(plan, graph, reads_weights, false, &count);
        for (size_t i = 0; i < count && !plan_is_full(plan); i++)
            for (size_t k = 0; k < nodes[i]->input_count; k++) {
                struct value *value = nodes[i]->inputs[k];
                const struct tensor *tensor;
                if (!value || value->graph != graph || value->tensor || !value->producer ||
                    constant_of(value, &tensor))
                    continue;
                const char *reason = store(plan, value);
                /* Nobody expects a number that is repeated to be stored as often. */
                if (reason && value->producer->op != OP_ConstantOfShape)
                    plan_refuse(plan, value->producer, value, reason);
            }
    }
}
