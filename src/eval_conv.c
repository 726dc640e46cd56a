/* eval_conv.c: convolutions, pooling and BatchNormalization.
 *
 * Images are [batch, channels, spatial...]; a plane is the spatial part of one channel. */
#include "eval_internal.h"

#include <math.h>
#include <string.h>

/* Every number that describes a window stays below this, so that sums and products of two of them
 * need no check. */
#define WINDOW_LIMIT ((int64_t)1 << 30)

/* Where a kernel stands: position * stride + tap * dilation - begin, per axis, counts along the
 * strided side (the input of Conv, the output of ConvTranspose), position along the other. */
struct window {
    int axes;
    int64_t kernel[EVAL_RANK], stride[EVAL_RANK], dilation[EVAL_RANK];
    int64_t begin[EVAL_RANK], end[EVAL_RANK];
    int64_t strided[EVAL_RANK], positions[EVAL_RANK];
    int64_t taps; /* product of kernel */
};

static int64_t volume(int rank, const int64_t *dims)
{
    int64_t product;
    return count_elements(dims, (size_t)rank, &product) ? product : INT64_MAX;
}

/* An attribute with a number per spatial axis, each in [least, WINDOW_LIMIT]. */
static const char *read_axes(struct evaluation *e, const char *name, int axes, int64_t otherwise,
                             int64_t least, int64_t *out)
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

enum auto_pad { PAD_AS_TOLD, PAD_VALID, PAD_SAME_UPPER, PAD_SAME_LOWER };

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
static const char *read_window(struct evaluation *e, const int64_t *kernel, int64_t *image_extents,
                               struct window *window, enum auto_pad *auto_pad)
{
    const struct array *image = e->inputs[0];
    int axes = window->axes = image->rank - 2;
    if (axes < 1)
        return arena_format(e->arena, "an image of shape %s", array_shape(e->arena, image));
    if (!array_is_real(image))
        return arena_format(e->arena, "an image of %s", type_name(image->type));
    const char *reason = read_axes(e, "kernel_shape", axes, 0, 0, window->kernel);
    if (!reason)
        reason = read_axes(e, "strides", axes, 1, 1, window->stride);
    if (!reason)
        reason = read_axes(e, "dilations", axes, 1, 1, window->dilation);
    if (!reason)
        reason = read_auto_pad(e, auto_pad);
    if (!reason) {
        int64_t pads[2 * EVAL_RANK] = {0};
        if (*auto_pad == PAD_AS_TOLD)
            reason = read_axes(e, "pads", 2 * axes, 0, -WINDOW_LIMIT, pads);
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
        if (window->kernel[i] < 1 || window->kernel[i] > WINDOW_LIMIT ||
            image->dims[2 + i] > WINDOW_LIMIT)
            return "a kernel or an image too large, or no kernel";
        image_extents[i] = image->dims[2 + i];
    }
    window->taps = volume(axes, window->kernel);
    return NULL;
}

/* Extent of a kernel with its holes. */
static int64_t reach(const struct window *window, int axis)
{
    return (window->kernel[axis] - 1) * window->dilation[axis] + 1;
}

static int64_t divide_up(int64_t a, int64_t b) /* b > 0 */
{
    return a / b + (a % b > 0);
}

/* Positions of a Conv or a pooling on each axis, SAME padding resolved. */
static const char *place_window(struct evaluation *e, struct window *window, enum auto_pad auto_pad,
                                bool ceil_mode)
{
    for (int i = 0; i < window->axes; i++) {
        int64_t extent = window->strided[i], stride = window->stride[i];
        if (auto_pad == PAD_SAME_UPPER || auto_pad == PAD_SAME_LOWER) {
            window->positions[i] = divide_up(extent, stride);
            int64_t total = (window->positions[i] - 1) * stride + reach(window, i) - extent;
            if (total < 0)
                total = 0;
            window->begin[i] = auto_pad == PAD_SAME_UPPER ? total / 2 : total - total / 2;
            window->end[i] = total - window->begin[i];
            continue;
        }
        int64_t room = extent + window->begin[i] + window->end[i] - reach(window, i);
        if (room < 0)
            return arena_format(e->arena, "on axis %d the kernel is larger than the padded image",
                                i);
        window->positions[i] = (ceil_mode ? divide_up(room, stride) : room / stride) + 1;
        /* A window that begins beyond the image and its left padding does not count. */
        if (ceil_mode && (window->positions[i] - 1) * stride >= extent + window->begin[i])
            window->positions[i]--;
    }
    return NULL;
}

/* Adds one tap to a plane. Forward (Conv): positions += factor * strided. Backward
 * (ConvTranspose): strided += factor * positions. */
static void add_tap(const struct window *window, const int64_t *tap, double factor, bool backward,
                    const double *from, double *to)
{
    /* The box of positions whose tap falls inside, and where it falls. */
    int last = window->axes - 1;
    int64_t first[EVAL_RANK], after[EVAL_RANK], shift[EVAL_RANK], at[EVAL_RANK];
    for (int i = 0; i <= last; i++) {
        int64_t stride = window->stride[i];
        shift[i] = tap[i] * window->dilation[i] - window->begin[i];
        first[i] = shift[i] < 0 ? divide_up(-shift[i], stride) : 0;
        int64_t room = window->strided[i] - shift[i]; /* position * stride < room */
        after[i] = room > 0 ? divide_up(room, stride) : 0;
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
static void next_tap(const struct window *window, int64_t *tap)
{
    for (int axis = window->axes - 1; axis >= 0; axis--) {
        if (++tap[axis] < window->kernel[axis])
            return;
        tap[axis] = 0;
    }
}

/* Adds all taps of one channel's kernel. */
static void add_kernel(const struct window *window, const double *kernel, bool backward,
                       const double *from, double *to)
{
    int64_t tap[EVAL_RANK] = {0};
    for (int64_t t = 0; t < window->taps; t++, next_tap(window, tap))
        add_tap(window, tap, kernel[t], backward, from, to);
}

/* Fills each plane of the output with its channel's bias. */
static const char *fill_bias(struct evaluation *e, struct array *out, int64_t plane)
{
    const struct array *bias = eval_input(e, 2);
    if (!bias)
        return NULL;
    if (!array_is_real(bias) || bias->rank != 1 || bias->dims[0] != out->dims[1])
        return arena_format(e->arena, "a bias of shape %s for %lld channels",
                            array_shape(e->arena, bias), (long long)out->dims[1]);
    for (int64_t i = 0; i < out->count; i++)
        out->reals[i] = bias->reals[i / plane % out->dims[1]];
    return NULL;
}

/* What place_taps takes, and `others` more cells. */
static bool affords_places(struct evaluation *e, const struct window *window, int64_t others)
{
    double places = (double)volume(window->axes, window->positions) * (double)window->taps;
    return pool_affords(e->pool, 4 * places, places + (double)others);
}

/* Where each position of a window reads a plane, tap by tap; -1: outside it. */
static int64_t *place_taps(struct evaluation *e, const struct window *window, int64_t image_plane)
{
    int64_t plane = volume(window->axes, window->positions), tap[EVAL_RANK] = {0};
    double *numbered = NEW_ARRAY(e->arena, double, image_plane);
    double *line = NEW_ARRAY(e->arena, double, plane);
    int64_t *places = NEW_ARRAY(e->arena, int64_t, plane * window->taps);
    for (int64_t i = 0; i < image_plane; i++)
        numbered[i] = (double)(i + 1);
    for (int64_t t = 0; t < window->taps; t++, next_tap(window, tap)) {
        memset(line, 0, (size_t)plane * sizeof(*line));
        add_tap(window, tap, 1, false, numbered, line);
        for (int64_t p = 0; p < plane; p++)
            places[p * window->taps + t] = (int64_t)line[p] - 1;
    }
    return places;
}

/* Several sums side by side: one after another would wait for each addition. */
static inline double dot(const double *a, const double *b, int64_t count)
{
    enum { SUMS = 8 };
    double sums[SUMS] = {0}, rest = 0;
    int64_t i = 0;
    for (; i + SUMS <= count; i += SUMS)
        for (int k = 0; k < SUMS; k++)
            sums[k] += a[i + k] * b[i + k];
    for (; i < count; i++)
        rest += a[i] * b[i];
    for (int k = 0; k < SUMS; k++)
        rest += sums[k];
    return rest;
}

/* Image with the channels of a position side by side, so that a tap is one dot product. */
static double *channels_last(struct evaluation *e, const struct array *image, int64_t image_plane)
{
    int64_t channels = image->dims[1];
    double *turned = NEW_ARRAY(e->arena, double, image->count);
    for (int64_t batch = 0; batch < image->dims[0]; batch++)
        for (int64_t p = 0; p < image_plane; p++)
            for (int64_t i = 0; i < channels; i++)
                turned[(batch * image_plane + p) * channels + i] =
                    image->reals[(batch * channels + i) * image_plane + p];
    return turned;
}

/* One output plane of one image. row: `taps` pieces of `width` numbers; image: channels last, from
 * the row's first channel on. */
VECTORISED static void convolve(const double *row, int64_t taps, int64_t width, const double *image,
                                int64_t channels, const int64_t *places, int64_t plane, double *to)
{
    for (int64_t p = 0; p < plane; p++, places += taps)
        for (int64_t t = 0; t < taps; t++)
            if (places[t] >= 0)
                to[p] += dot(row + t * width, image + places[t] * channels, width);
}

const char *eval_conv_rows(struct evaluation *e, int64_t groups, const int64_t *group_of)
{
    const struct array *image = e->inputs[0], *weight = e->inputs[1];
    struct window window = {.axes = 0};
    enum auto_pad auto_pad;
    const char *reason = NULL;
    if (!array_is_real(weight) || weight->rank != image->rank)
        reason = arena_format(e->arena, "a weight of shape %s for an image of shape %s",
                              array_shape(e->arena, weight), array_shape(e->arena, image));
    if (!reason)
        reason = read_window(e, weight->dims + 2, window.strided, &window, &auto_pad);
    if (!reason)
        reason = place_window(e, &window, auto_pad, false);
    if (reason)
        return reason;
    int64_t rows = weight->dims[0], width = weight->dims[1], channels = image->dims[1];
    if (groups < 1 || channels % groups != 0 || channels / groups != width ||
        (!group_of && rows % groups != 0))
        return arena_format(e->arena, "a weight of shape %s, %lld groups and %lld input channels",
                            array_shape(e->arena, weight), (long long)groups, (long long)channels);
    int64_t dims[EVAL_RANK] = {image->dims[0], rows};
    memcpy(dims + 2, window.positions, (size_t)window.axes * sizeof(*dims));
    struct array *out;
    reason = eval_result(e, image->type, image->rank, dims, &out);
    if (!reason)
        reason = eval_check_products(e, out->count, width, window.taps);
    if (reason || out->count == 0)
        return reason;
    int64_t plane = volume(window.axes, window.positions);
    int64_t image_plane = volume(window.axes, window.strided);
    reason = fill_bias(e, out, plane);
    if (reason)
        return reason;
    int64_t taps = window.taps, numbers = width * taps;
    if (!affords_places(e, &window, image_plane + image->count + numbers))
        return "its windows cost more than is worth a model of this size";
    int64_t *places = place_taps(e, &window, image_plane);
    const double *turned = channels_last(e, image, image_plane);
    double *row = NEW_ARRAY(e->arena, double, numbers);
    for (int64_t r = 0; r < rows; r++) {
        int64_t group = group_of ? group_of[r] : r / (rows / groups);
        for (int64_t t = 0; t < taps; t++)
            for (int64_t i = 0; i < width; i++)
                row[t * width + i] = weight->reals[r * numbers + i * taps + t];
        for (int64_t batch = 0; batch < dims[0]; batch++)
            convolve(row, taps, width, turned + batch * image_plane * channels + group * width,
                     channels, places, plane, out->reals + (batch * rows + r) * plane);
    }
    return NULL;
}

const char *eval_conv(struct evaluation *e)
{
    return eval_conv_rows(e, node_integer(e->node, "group", 1), NULL);
}

/* Extents of a ConvTranspose's output and where the kernel stands in it. */
static const char *place_transposed(struct evaluation *e, struct window *window,
                                    enum auto_pad auto_pad)
{
    int axes = window->axes;
    int64_t added[EVAL_RANK], asked[EVAL_RANK];
    const char *reason = read_axes(e, "output_padding", axes, 0, 0, added);
    if (!reason)
        reason = read_axes(e, "output_shape", axes, 0, 0, asked);
    if (reason)
        return reason;
    bool shape_told = node_attribute(e->node, "output_shape") != NULL;
    bool same = auto_pad == PAD_SAME_UPPER || auto_pad == PAD_SAME_LOWER;
    for (int i = 0; i < axes; i++) {
        int64_t whole =
            window->stride[i] * (window->positions[i] - 1) + added[i] + reach(window, i);
        if (shape_told || same) {
            window->strided[i] = shape_told ? asked[i] : window->positions[i] * window->stride[i];
            int64_t total = whole - window->strided[i];
            if (total < 0)
                total = 0; /* what is missing is added at the end */
            window->begin[i] = auto_pad == PAD_SAME_UPPER ? total / 2 : total - total / 2;
        } else {
            window->strided[i] = whole - window->begin[i] - window->end[i];
        }
        if (window->strided[i] < 0 || window->strided[i] > WINDOW_LIMIT)
            return "pads that leave no shape";
    }
    return NULL;
}

const char *eval_conv_transpose_channels(struct evaluation *e, const int64_t *channels,
                                         int64_t count)
{
    const struct array *image = e->inputs[0], *weight = e->inputs[1];
    struct window window = {.axes = 0};
    enum auto_pad auto_pad;
    const char *reason = NULL;
    if (!array_is_real(weight) || weight->rank != image->rank)
        reason = arena_format(e->arena, "a weight of shape %s for an image of shape %s",
                              array_shape(e->arena, weight), array_shape(e->arena, image));
    if (!reason)
        reason = read_window(e, weight->dims + 2, window.positions, &window, &auto_pad);
    if (!reason)
        reason = place_transposed(e, &window, auto_pad);
    if (reason)
        return reason;
    int64_t groups = node_integer(e->node, "group", 1);
    int64_t inputs = weight->dims[0], width = weight->dims[1]; /* width: outputs of a group */
    int64_t outputs;
    if (groups < 1 || inputs % groups != 0 || image->dims[1] != inputs ||
        !multiply_fits(width, groups, &outputs))
        return arena_format(e->arena, "a weight of shape %s, %lld groups and %lld input channels",
                            array_shape(e->arena, weight), (long long)groups,
                            (long long)image->dims[1]);
    if (!channels)
        count = outputs;
    int64_t dims[EVAL_RANK] = {image->dims[0], count};
    memcpy(dims + 2, window.strided, (size_t)window.axes * sizeof(*dims));
    struct array *out;
    reason = eval_result(e, image->type, image->rank, dims, &out);
    if (reason || out->count == 0)
        return reason;
    int64_t plane = volume(window.axes, window.strided);
    int64_t image_plane = volume(window.axes, window.positions);
    reason = eval_check_products(e, dims[0] * count, inputs / groups * image_plane, window.taps);
    if (!reason)
        reason = fill_bias(e, out, plane);
    if (reason)
        return reason;
    for (int64_t batch = 0; batch < dims[0]; batch++) {
        for (int64_t n = 0; n < count; n++) {
            int64_t channel = channels ? channels[n] : n;
            int64_t first = channel / width * (inputs / groups);
            double *to = out->reals + (batch * count + n) * plane;
            for (int64_t i = first; i < first + inputs / groups; i++)
                add_kernel(&window, weight->reals + (i * width + channel % width) * window.taps,
                           true, image->reals + (batch * inputs + i) * image_plane, to);
        }
    }
    return NULL;
}

const char *eval_conv_transpose(struct evaluation *e)
{
    return eval_conv_transpose_channels(e, NULL, 0);
}

/* Taps of a pooling window at a position of one axis that count for its mean. */
static int64_t taps_counted(const struct window *window, int axis, int64_t position, bool pads)
{
    int64_t low = pads ? -window->begin[axis] : 0;
    int64_t high = window->strided[axis] + (pads ? window->end[axis] : 0);
    int64_t count = 0;
    for (int64_t tap = 0; tap < window->kernel[axis]; tap++) {
        int64_t at =
            position * window->stride[axis] + tap * window->dilation[axis] - window->begin[axis];
        count += at >= low && at < high;
    }
    return count;
}

/* The window of a pooling, and its result, zeroed. */
static const char *begin_pool(struct evaluation *e, struct window *window, struct array **out)
{
    const struct array *image = e->inputs[0];
    enum auto_pad auto_pad = PAD_AS_TOLD;
    const char *reason = read_window(e, NULL, window->strided, window, &auto_pad);
    if (!reason)
        reason = place_window(e, window, auto_pad, node_integer(e->node, "ceil_mode", 0) != 0);
    if (reason)
        return reason;
    int64_t dims[EVAL_RANK] = {image->dims[0], image->dims[1]};
    memcpy(dims + 2, window->positions, (size_t)window->axes * sizeof(*dims));
    reason = eval_result(e, image->type, image->rank, dims, out);
    if (!reason)
        reason = eval_check_products(e, (*out)->count, window->taps, 1);
    return reason;
}

const char *eval_average_pool(struct evaluation *e)
{
    const struct array *image = e->inputs[0];
    struct window window = {.axes = 0};
    struct array *out;
    const char *reason = begin_pool(e, &window, &out);
    if (reason || out->count == 0)
        return reason;
    bool pads = node_integer(e->node, "count_include_pad", 0) != 0;
    int64_t plane = volume(window.axes, window.positions);
    int64_t image_plane = volume(window.axes, window.strided);
    int64_t planes = image->dims[0] * image->dims[1];
    for (int64_t n = 0; n < planes; n++) {
        int64_t tap[EVAL_RANK] = {0};
        for (int64_t t = 0; t < window.taps; t++, next_tap(&window, tap))
            add_tap(&window, tap, 1, false, image->reals + n * image_plane, out->reals + n * plane);
    }
    struct walk walk = {.rank = window.axes};
    memcpy(walk.dims, window.positions, sizeof(walk.dims));
    for (int64_t i = 0; i < plane; i++, walk_next(&walk)) {
        int64_t count = 1;
        for (int axis = 0; axis < window.axes; axis++)
            count *= taps_counted(&window, axis, walk.at[axis], pads);
        if (count == 0)
            return "a window lies in the padding";
        for (int64_t n = 0; n < planes; n++)
            out->reals[n * plane + i] /= (double)count;
    }
    return NULL;
}

const char *eval_max_pool(struct evaluation *e)
{
    const struct array *image = e->inputs[0];
    struct window window = {.axes = 0};
    struct array *out;
    const char *reason = begin_pool(e, &window, &out);
    if (reason || out->count == 0)
        return reason;
    int64_t plane = volume(window.axes, window.positions);
    int64_t image_plane = volume(window.axes, window.strided);
    if (!affords_places(e, &window, image_plane))
        return "its windows cost more than is worth a model of this size";
    int64_t *places = place_taps(e, &window, image_plane);
    for (int64_t i = 0; i < out->count; i++) {
        const int64_t *taps = places + i % plane * window.taps;
        const double *from = image->reals + i / plane * image_plane;
        double largest = -(double)INFINITY; /* padding never wins */
        for (int64_t t = 0; t < window.taps; t++)
            if (taps[t] >= 0 && !(from[taps[t]] <= largest))
                largest = from[taps[t]];
        out->reals[i] = largest;
    }
    return NULL;
}

const char *eval_batch_normalization(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    for (size_t i = 1; i < e->node->output_count; i++)
        if (node_output(e->node, i))
            return "training mode: more outputs than one";
    if (node_integer(e->node, "training_mode", 0) != 0)
        return "training mode";
    if (e->node->opset < 9 && node_integer(e->node, "spatial", 1) == 0)
        return "statistics per activation";
    if (in->rank < 1 || !array_is_real(in))
        return arena_format(e->arena, "data of %s %s", type_name(in->type),
                            array_shape(e->arena, in));
    int64_t channels = in->rank > 1 ? in->dims[1] : 1, plane = 1;
    for (int i = 2; in->count > 0 && i < in->rank; i++)
        plane *= in->dims[i];
    for (size_t i = 1; i < 5; i++)
        if (!array_is_real(e->inputs[i]) || e->inputs[i]->rank != 1 ||
            e->inputs[i]->dims[0] != channels)
            return arena_format(e->arena, "input %zu of shape %s for %lld channels", i,
                                array_shape(e->arena, e->inputs[i]), (long long)channels);
    const double *scale = e->inputs[1]->reals, *bias = e->inputs[2]->reals;
    const double *mean = e->inputs[3]->reals, *variance = e->inputs[4]->reals;
    double epsilon = node_float(e->node, "epsilon", (double)1e-5f);
    struct array *out;
    const char *reason = eval_result(e, in->type, in->rank, in->dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++) {
        int64_t c = i / plane % channels;
        out->reals[i] = (in->reals[i] - mean[c]) / sqrt(variance[c] + epsilon) * scale[c] + bias[c];
    }
    return reason;
}
