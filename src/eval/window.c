/* eval/window.c: where the kernel of a convolution or a pooling stands.
 *
 * Images are [batch, channels, spatial...]; a plane is the spatial part of one channel. */
#include "eval/window.h"

int64_t window_volume(int rank, const int64_t *dims)
{
    int64_t product;
    return count_elements(dims, (size_t)rank, &product) ? product : INT64_MAX;
}

/* An attribute with a number per spatial axis, each in [least, WINDOW_LIMIT]. */
const char *window_read_axes(struct evaluation *e, const char *name, int axes, int64_t otherwise, int64_t least,
                             int64_t *out)
{
    size_t count;
    const int64_t *values = node_integers(e->node, name, &count);
    if (values && count != (size_t)axes)
        return arena_format(e->arena, "%s has %zu numbers for %d", name, count, axes);
    for (int i = 0; i < axes; i++) {
        out[i] = values ? values[i] : otherwise;
        if (out[i] < least || out[i] > WINDOW_LIMIT)
            return arena_format(e->arena, "%s of %lld", name, (long long)out[i]);
    }
    return NULL;
}

static const char *read_auto_pad(struct evaluation *e, enum auto_pad *auto_pad)
{
    const char *text = node_string(e->arena, e->node, "auto_pad", "NOTSET");
    if (strcmp(text, "NOTSET") == 0)
        *auto_pad = PAD_AS_TOLD;
    else if (strcmp(text, "VALID") == 0)
        *auto_pad = PAD_VALID;
    else if (strcmp(text, "SAME_UPPER") == 0)
        *auto_pad = PAD_SAME_UPPER;
    else if (strcmp(text, "SAME_LOWER") == 0)
        *auto_pad = PAD_SAME_LOWER;
    else
        return arena_format(e->arena, "auto_pad %s", text);
    return NULL;
}

/* kernel_shape, strides, dilations, pads; `kernel` is the shape of the weight, or NULL. The image's
 * extents go to strided or positions, the caller sees to the other. */
const char *window_read(struct evaluation *e, const int64_t *kernel, int64_t *image_extents, struct eval_window *window,
                        enum auto_pad *auto_pad)
{
    const struct array *image = e->inputs[0];
    int axes = window->axes = image->rank - 2;
    if (axes < 1)
        return arena_format(e->arena, "an image of shape %s", array_shape(e->arena, image));
    const char *reason = window_read_axes(e, "kernel_shape", axes, 0, 0, window->kernel);
    if (!reason)
        reason = window_read_axes(e, "strides", axes, 1, 1, window->stride);
    if (!reason)
        reason = window_read_axes(e, "dilations", axes, 1, 1, window->dilation);
    if (!reason)
        reason = read_auto_pad(e, auto_pad);
    if (!reason) {
        int64_t pads[2 * EVAL_RANK] = {0};
        if (*auto_pad == PAD_AS_TOLD)
            reason = window_read_axes(e, "pads", 2 * axes, 0, -WINDOW_LIMIT, pads);
        for (int i = 0; i < axes; i++) {
            window->begin[i] = pads[i];
            window->end[i] = pads[axes + i];
        }
    }
    if (reason)
        return reason;
    bool told = node_attribute(e->node, "kernel_shape") != NULL;
    for (int i = 0; i < axes; i++) {
        if (kernel && told && window->kernel[i] != kernel[i])
            return "kernel_shape is not the weight's";
        if (kernel)
            window->kernel[i] = kernel[i];
        if (window->kernel[i] < 1 || window->kernel[i] > WINDOW_LIMIT || image->dims[2 + i] > WINDOW_LIMIT)
            return "a kernel or an image too large, or no kernel";
        image_extents[i] = image->dims[2 + i];
    }
    window->taps = window_volume(axes, window->kernel);
    return NULL;
}

/* Extent of a kernel with its holes. */
int64_t window_reach(const struct eval_window *window, int axis)
{
    return (window->kernel[axis] - 1) * window->dilation[axis] + 1;
}

static int64_t window_divide_up(int64_t a, int64_t b) /* b > 0 */
{
    return a / b + (a % b > 0);
}

/* Positions of a Conv or a pooling on each axis, SAME padding resolved. */
const char *window_place(struct evaluation *e, struct eval_window *window, enum auto_pad auto_pad, bool ceil_mode)
{
    for (int i = 0; i < window->axes; i++) {
        int64_t extent = window->strided[i], stride = window->stride[i];
        if (auto_pad == PAD_SAME_UPPER || auto_pad == PAD_SAME_LOWER) {
            window->positions[i] = window_divide_up(extent, stride);
            int64_t total = (window->positions[i] - 1) * stride + window_reach(window, i) - extent;
            if (total < 0)
                total = 0;
            window->begin[i] = auto_pad == PAD_SAME_UPPER ? total / 2 : total - total / 2;
            window->end[i] = total - window->begin[i];
            continue;
        }
        int64_t room = extent + window->begin[i] + window->end[i] - window_reach(window, i);
        if (room < 0)
            return arena_format(e->arena, "on axis %d the kernel is larger than the padded image", i);
        window->positions[i] = (ceil_mode ? window_divide_up(room, stride) : room / stride) + 1;
        /* A window that begins beyond the image and its left padding does not count. */
        if (ceil_mode && (window->positions[i] - 1) * stride >= extent + window->begin[i])
            window->positions[i]--;
    }
    return NULL;
}

/* Adds one tap to a plane. Forward (Conv): positions += factor * strided. Backward
 * (ConvTranspose): strided += factor * positions. */
void window_add_tap(const struct eval_window *window, const int64_t *tap, double factor, bool backward,
                    const double *from, double *to)
{
    /* The box of positions whose tap falls inside, and where it falls. */
    int last = window->axes - 1;
    int64_t first[EVAL_RANK], after[EVAL_RANK], shift[EVAL_RANK], at[EVAL_RANK];
    for (int i = 0; i <= last; i++) {
        int64_t stride = window->stride[i];
        shift[i] = tap[i] * window->dilation[i] - window->begin[i];
        first[i] = shift[i] < 0 ? window_divide_up(-shift[i], stride) : 0;
        int64_t room = window->strided[i] - shift[i]; /* position * stride < room */
        after[i] = room > 0 ? window_divide_up(room, stride) : 0;
        if (after[i] > window->positions[i])
            after[i] = window->positions[i];
        if (first[i] >= after[i])
            return;
        at[i] = first[i];
    }
    int64_t stride = window->stride[last], count = after[last] - first[last];
    for (;;) {
        int64_t position = 0, strided = 0;
        for (int i = 0; i <= last; i++) {
            position = position * window->positions[i] + at[i];
            strided = strided * window->strided[i] + at[i] * window->stride[i] + shift[i];
        }
        const double *source = from + (backward ? position : strided);
        double *target = to + (backward ? strided : position);
        if (backward) {
            for (int64_t i = 0; i < count; i++)
                target[i * stride] += factor * source[i];
        } else if (stride == 1) {
            for (int64_t i = 0; i < count; i++)
                target[i] += factor * source[i];
        } else {
            for (int64_t i = 0; i < count; i++)
                target[i] += factor * source[i * stride];
        }
        int axis = last - 1;
        while (axis >= 0 && ++at[axis] == after[axis]) {
            at[axis] = first[axis];
            axis--;
        }
        if (axis < 0)
            return;
    }
}

/* The next tap of the kernel in row-major order. */
void window_next_tap(const struct eval_window *window, int64_t *tap)
{
    for (int axis = window->axes - 1; axis >= 0; axis--) {
        if (++tap[axis] < window->kernel[axis])
            return;
        tap[axis] = 0;
    }
}

/* The index at which each position of a window reads a plane, tap by tap; -1: outside it. */
const char *window_place_taps(struct evaluation *e, const struct eval_window *window, int64_t image_plane,
                              struct array **places)
{
    int64_t plane = window_volume(window->axes, window->positions), tap[EVAL_RANK] = {0};
    struct array *numbered, *line;
    if (eval_scratch(e, image_plane, &numbered) || eval_scratch(e, plane, &line) ||
        eval_scratch(e, plane * window->taps, places))
        return "its windows cost more than is worth a model of this size";
    for (int64_t i = 0; i < image_plane; i++)
        numbered->reals[i] = (double)(i + 1);
    for (int64_t t = 0; t < window->taps; t++, window_next_tap(window, tap)) {
        memset(line->reals, 0, (size_t)plane * sizeof(*line->reals));
        window_add_tap(window, tap, 1, false, numbered->reals, line->reals);
        for (int64_t p = 0; p < plane; p++)
            (*places)->integers[p * window->taps + t] = (int64_t)line->reals[p] - 1;
    }
    pool_return(e->pool, numbered);
    pool_return(e->pool, line);
    return NULL;
}
