/* eval/window.h: positions of the kernel of a convolution or pooling. */
#ifndef EVAL_WINDOW_H
#define EVAL_WINDOW_H

#include "eval/array.h"

/* Limit of every number of a window, so that sums and products of two of them need no check. */
#define WINDOW_LIMIT ((int64_t)1 << 30)

/* The place of a kernel: position * stride + tap * dilation - begin, per axis, is an index of the strided side (the
 * input of Conv, the output of ConvTranspose); position is an index of the other side. */
struct eval_window {
    int axes;
    int64_t kernel[EVAL_RANK], stride[EVAL_RANK], dilation[EVAL_RANK];
    int64_t begin[EVAL_RANK], end[EVAL_RANK];
    int64_t strided[EVAL_RANK], positions[EVAL_RANK];
    int64_t taps; /* product of kernel */
};

enum auto_pad { PAD_AS_TOLD, PAD_VALID, PAD_SAME_UPPER, PAD_SAME_LOWER };

int64_t window_volume(int rank, const int64_t *dims);
/* An attribute with a number per spatial axis, each at least `least` and not absurdly large. */
const char *window_read_axes(struct evaluation *e, const char *name, int axes, int64_t otherwise, int64_t least,
                             int64_t *out);

/* kernel_shape, strides, dilations, pads; `kernel` is the shape of the weight, or NULL. The image's extents go to
 * strided or positions; the caller sets the other. */
const char *window_read(struct evaluation *e, const int64_t *kernel, int64_t *image_extents, struct eval_window *window,
                        enum auto_pad *auto_pad);

/* Extent of a kernel, including its holes. */
int64_t window_reach(const struct eval_window *window, int axis);

/* Positions of a Conv or a pooling on each axis, SAME padding resolved. */
const char *window_place(struct evaluation *e, struct eval_window *window, enum auto_pad auto_pad, bool ceil_mode);

/* Adds one tap to a plane. Forward (Conv): positions += factor * strided. Backward
 * (ConvTranspose): strided += factor * positions. */
void window_add_tap(const struct eval_window *window, const int64_t *tap, double factor, bool backward,
                    const double *from, double *to);

/* The next tap of the kernel in row-major order. */
void window_next_tap(const struct eval_window *window, int64_t *tap);

/* The index at which each position of a window reads a plane, tap by tap; -1: outside it. Integers, to be returned
 * to the pool. */
const char *window_place_taps(struct evaluation *e, const struct eval_window *window, int64_t image_plane,
                              struct array **places);

#endif
