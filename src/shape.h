/* shape.h: types and shapes, as far as the rewrites need them. */
#ifndef SHAPE_H
#define SHAPE_H

#include "graph.h"

/* Fills in type, rank and dims of values from inputs, initializers, value_info and the operators in
 * force, from what they read to what they give and back, until nothing more follows. What it cannot know
 * stays unknown. Returns true when it learned something. Never fails. */
bool shape_infer(struct model *model);

/* Window of a Conv or pool along one axis, with auto_pad resolved.
 * Source: ONNX Conv-1 .. Conv-22, AveragePool-7 .. AveragePool-22, attribute auto_pad. */
struct window {
    int64_t kernel, stride, dilation, pad_begin, pad_end;
    bool used_extent; /* the padding holds for this input extent only */
};
/* axes: spatial axes; kernel: their sizes from the weight, or NULL to read kernel_shape. extent:
 * input extents, -1 unknown. Returns NULL, or the reason why the attributes make no sense or the
 * padding depends on an extent that is not known. */
const char *shape_window(const struct node *node, int axes, const int64_t *kernel,
                         const int64_t *extent, struct window *window);

/* Multiply-adds of one node on known shapes, or -1. */
int64_t shape_multiply_adds(struct node *node);

#endif
