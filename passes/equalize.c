/* passes/equalize.c
 *
 *     x -> Conv -> Relu -> Conv -> y        stays what it is, with other numbers
 *
 * Divides row i of the first weight and its bias by 2^k_i, and multiplies column i of the second, so that an INT8
 * quantiser loses less. The outputs of the graph keep every bit. equalize/ has the method. The pass runs once, after
 * all fusions, and only on request.
 *
 * Refused: values that are visible elsewhere, ops that do not commute with positive scales, weights that are shared
 * or may be overridden, activations without statistics from a BatchNormalization, gains under 1 dB. */
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
    /* Statistics come from fused BatchNormalizations. */
    if (!plan->fusions.count || plan->options->equalize || plan_is_full(plan))
        return;
    for (size_t g = 0; g < plan->model->graphs.count; g++)
        for (int grain = GRAIN_TENSOR; grain <= GRAIN_CHANNEL; grain++)
            equalize_foresee(plan, plan->model->graphs.items[g], (enum grain)grain, &plan->foreseen[grain]);
}
