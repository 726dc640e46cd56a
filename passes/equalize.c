/* passes/equalize.c
 *
 *     x -> Conv -> Relu -> Conv -> y        stays what it is, with other numbers
 *
 * Row i of the first weight and its bias are divided by 2^k_i, and column i of the second multiplied, so that an INT8
 * quantiser loses less; nothing that the graph gives out changes by a bit. The law is in equalize/. It runs once, after all
 * fusions, and only where it was asked for.
 *
 * Refused: values that something else sees, ops that are not homogeneous, weights that are shared or may be overridden,
 * activations of which no BatchNormalization tells, gains under 1 dB. */
#include "equalize/equalize.h"
#include "passes/passes.h"

void equalize(struct plan *plan)
{
    enum grain grain = plan->options->equalize == ONNX_FUSE_EQUALIZE_CHANNEL ? GRAIN_CHANNEL : GRAIN_TENSOR;
    for (size_t g = 0; g < plan->model->graphs.count; g++)
        equalize_graph(plan, plan->model->graphs.items[g], grain, &plan->equalized);
}

void foresee_equalize(struct plan *plan)
{
    /* Statistics come from what was fused. */
    if (!plan->fusions.count || plan->options->equalize || plan_is_full(plan))
        return;
    for (size_t g = 0; g < plan->model->graphs.count; g++)
        for (int grain = GRAIN_TENSOR; grain <= GRAIN_CHANNEL; grain++)
            equalize_foresee(plan, plan->model->graphs.items[g], (enum grain)grain, &plan->foreseen[grain]);
}
