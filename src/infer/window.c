/* infer/window.c: windows with auto_pad resolved, and multiply-adds. */
#include "infer/window.h"

#include "model/model.h"

const char *shape_window(const struct node *node, int axes, const int64_t *kernel, const int64_t *extent,
                         struct window *window)
{
    size_t kernels, strides, dilations, pads;
    const int64_t *kernel_shape = node_integers(node, "kernel_shape", &kernels);
    const int64_t *stride = node_integers(node, "strides", &strides);
    const int64_t *dilation = node_integers(node, "dilations", &dilations);
    const int64_t *pad = node_integers(node, "pads", &pads);
    const char *auto_pad = node_string(node->graph->model->arena, node, "auto_pad", "NOTSET");
    size_t count = (size_t)axes;
    if ((kernel_shape && kernels != count) || (stride && strides != count) || (dilation && dilations != count) ||
        (pad && pads != 2 * count) || (!kernel && !kernel_shape))
        return "an attribute does not have one number per spatial axis";
    for (int i = 0; i < axes; i++) {
        struct window w = {.kernel = kernel ? kernel[i] : kernel_shape[i],
                           .stride = stride ? stride[i] : 1,
                           .dilation = dilation ? dilation[i] : 1};
        if (kernel && kernel_shape && kernel_shape[i] != kernel[i])
            return "kernel_shape differs from the weight's shape";
        if (w.kernel < 1 || w.stride < 1 || w.dilation < 1)
            return "a kernel size, stride or dilation is not positive";
        if (w.kernel > SHAPE_ABSURD || w.stride > SHAPE_ABSURD || w.dilation > SHAPE_ABSURD)
            return "a kernel size, stride or dilation is absurdly large";
        int64_t span = (w.kernel - 1) * w.dilation + 1;
        if (strcmp(auto_pad, "NOTSET") == 0) {
            w.pad_begin = pad ? pad[i] : 0;
            w.pad_end = pad ? pad[axes + i] : 0;
        } else if (strcmp(auto_pad, "SAME_UPPER") == 0 || strcmp(auto_pad, "SAME_LOWER") == 0) {
            int64_t total = span - 1;
            if (w.stride > 1) {
                if (!extent || extent[i] < 1)
                    return "auto_pad SAME with a stride needs an input size that is not known";
                if (extent[i] > SHAPE_ABSURD)
                    return "auto_pad SAME with a stride: the input size is absurdly large";
                int64_t out = (extent[i] + w.stride - 1) / w.stride;
                total = (out - 1) * w.stride + span - extent[i];
                w.used_extent = true;
            }
            total = total < 0 ? 0 : total;
            int64_t small = total / 2, large = total - total / 2;
            bool upper = strcmp(auto_pad, "SAME_UPPER") == 0;
            w.pad_begin = upper ? small : large;
            w.pad_end = upper ? large : small;
        } else if (strcmp(auto_pad, "VALID") != 0) {
            return "auto_pad is not NOTSET, VALID, SAME_UPPER or SAME_LOWER";
        }
        if (w.pad_begin < 0 || w.pad_end < 0 || w.pad_begin > SHAPE_ABSURD || w.pad_end > SHAPE_ABSURD)
            return "a padding is negative or absurdly large";
        window[i] = w;
    }
    return NULL;
}

int64_t shape_multiply_adds(struct node *node)
{
    const struct value *output = node_output(node, 0), *weight = node_input(node, 1);
    int64_t positions, per_output;
    bool transpose = node->op == OP_ConvTranspose;
    if (node->op != OP_Conv && node->op != OP_Gemm && node->op != OP_MatMul && !transpose)
        return 0;
    const struct value *counted = transpose ? node_input(node, 0) : output;
    if (!counted || !weight || counted->rank < 1 || weight->rank < 2)
        return -1;
    int64_t dims[SHAPE_MAX_RANK];
    if (counted->rank > SHAPE_MAX_RANK)
        return -1;
    /* The batch is usually symbolic: count one sample then. */
    for (int i = 0; i < counted->rank; i++)
        dims[i] = i == 0 && counted->dims[0] < 0 ? 1 : counted->dims[i];
    if (!count_elements(dims, (size_t)counted->rank, &positions))
        return -1;
    if (node->op == OP_Conv || transpose) {
        if (!count_elements(weight->dims + 1, (size_t)weight->rank - 1, &per_output))
            return -1;
    } else {
        per_output = weight->dims[node->op == OP_Gemm && node_integer(node, "transB", 0) ? 1 : weight->rank - 2];
    }
    return per_output >= 0 && multiply_fits(positions, per_output, &positions) ? positions : -1;
}
