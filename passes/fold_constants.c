/* fold_constants.c
 *
 *     W -> Transpose -> Mul(c) -> weight of Conv        becomes        W' -> weight of Conv
 *
 * For the weights and parameters of Conv, ConvTranspose, Gemm, MatMul and BatchNormalization that
 * operators compute from constants alone. The stored tensor takes over the computed value's name,
 * so its readers keep their bytes.
 *
 * Refused: what depends on a declared shape; results that are not finite; a result with more
 * numbers than the constants that go with it (Expand; a constant that others read as well). */
#include <math.h>

#include "constant.h"
#include "edit.h"
#include "passes.h"
#include "region.h"

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

/* Numbers in the stored constants that go when the value's operators go; lists those operators. */
static double stored_numbers(struct plan *plan, struct value *value, struct fusion *fusion)
{
    struct region region = {.plan = plan, .graph = value->graph};
    struct node *producer = value->producer;
    double numbers = 0;
    region_walk(&region, NULL, 0, &producer, 1, true);
    for (size_t i = 0; i < region.nodes.count; i++) {
        const struct node *node = region.nodes.items[i];
        if (!region_is_replaced(&region, node))
            continue;
        if (node->op != OP_Constant && !node->is_new)
            LIST_PUSH(plan->model->arena, &fusion->replaced, node);
        if (node->op == OP_Constant && node->outputs[0]->tensor)
            numbers += (double)node->outputs[0]->tensor->count;
        for (size_t k = 0; k < node->input_count; k++) {
            const struct value *input = node->inputs[k];
            if (!input || !input->is_initializer || !input->tensor || input->is_output)
                continue;
            bool shared = false;
            for (const struct use *use = input->uses; use; use = use->next)
                shared = shared || (use_is_live(use) && !region_is_replaced(&region, use->reader));
            numbers += shared ? 0 : (double)input->tensor->count;
        }
    }
    return numbers;
}

static const char *store(struct plan *plan, struct value *value)
{
    struct arena *arena = plan->model->arena;
    const struct tensor *tensor;
    const char *reason = constant_of(value, &tensor);
    if (reason)
        return reason;
    if (!type_is_float(tensor->type) || !tensor_is_readable(tensor))
        return "it is not of a float type";
    if (tensor->from_shape)
        return "it depends on the shape of a value";
    if (value->is_output || value->is_annotated)
        return "it is a graph output or carries a quantization annotation";
    struct fusion *fusion = NEW(arena, struct fusion);
    *fusion = (struct fusion){
        .pass = plan->pass, .graph = value->graph, .target = value, .difference = -1};
    fusion->parameters_after = (double)tensor->count;
    fusion->parameters_before = stored_numbers(plan, value, fusion);
    if (fusion->parameters_after > plan->options->max_growth * fusion->parameters_before)
        return "cost: the stored result would have more numbers than the constants it is made from";
    const double *numbers = constant_numbers(value, tensor);
    for (int64_t i = 0; i < tensor->count; i++)
        if (!isfinite(tensor_rounded(tensor->type, numbers[i])))
            return arena_format(arena, "number %lld is %g, not finite in %s", (long long)i,
                                numbers[i], type_name(tensor->type));
    edit_store(value, tensor_of_doubles(arena, tensor->type, tensor->rank, tensor->dims, numbers));
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
                if (reason)
                    plan_refuse(plan, value->producer, value, reason);
            }
    }
}
