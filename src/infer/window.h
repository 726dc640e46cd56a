/* infer/window.h: the window of a Conv or pool, and what a node costs. */
#ifndef INFER_WINDOW_H
#define INFER_WINDOW_H

#include "model/graph.h"

/* Window of a Conv or pool along one axis, with auto_pad resolved.
 * Source: ONNX Conv-1 .. Conv-22, AveragePool-7 .. AveragePool-22, attribute auto_pad. */
struct window {
    int64_t kernel, stride, dilation, pad_begin, pad_end;
    bool used_extent; /* the padding holds for this input extent only */
};
/* axes: spatial axes; kernel: their sizes from the weight, or NULL to read kernel_shape. extent:
 * input extents, -1 unknown. Returns NULL, or the reason why the attributes make no sense or the
 * padding depends on an extent that is not known. */
const char *shape_window(const struct node *node, int axes, const int64_t *kernel, const int64_t *extent,
                         struct window *window);

/* Multiply-adds of one node on known shapes, or -1. */
int64_t shape_multiply_adds(struct node *node);

enum { SHAPE_MAX_RANK = 16 };
/* Sizes above are not reckoned with. */
#define SHAPE_ABSURD (INT64_C(1) << 28)

#endif
