/* eval/conv.c: convolutions.
 *
 * Images are [batch, channels, spatial...]; a plane is the spatial part of one channel. */
#include "eval/conv.h"

#include "base/vector.h"
#include "eval/window.h"

/* Adds all taps of one channel's kernel. */
static void add_kernel(const struct eval_window *window, const double *kernel, bool backward, const double *from,
                       double *to)
{
    int64_t tap[EVAL_RANK] = {0};
    for (int64_t t = 0; t < window->taps; t++, window_next_tap(window, tap))
        window_add_tap(window, tap, kernel[t], backward, from, to);
}

/* Fills each plane of the output with its channel's bias. */
static const char *fill_bias(struct evaluation *e, struct array *out, int64_t plane)
{
    const struct array *bias = eval_input(e, 2);
    if (!bias)
        return NULL;
    if (!array_is_real(bias) || bias->rank != 1 || bias->dims[0] != out->dims[1])
        return arena_format(e->arena, "a bias of shape %s for %lld channels", array_shape(e->arena, bias),
                            (long long)out->dims[1]);
    for (int64_t i = 0; i < out->count; i++)
        out->reals[i] = bias->reals[i / plane % out->dims[1]];
    return NULL;
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
static void turn_channels_last(const struct array *image, int64_t image_plane, double *turned)
{
    int64_t channels = image->dims[1];
    for (int64_t batch = 0; batch < image->dims[0]; batch++)
        for (int64_t p = 0; p < image_plane; p++)
            for (int64_t i = 0; i < channels; i++)
                turned[(batch * image_plane + p) * channels + i] =
                    image->reals[(batch * channels + i) * image_plane + p];
}

/* One output plane of one image. row: `taps` pieces of `width` numbers; image: channels last, from
 * the row's first channel on. */
VECTORISED(void, convolve,
           (const double *row, int64_t taps, int64_t width, const double *image, int64_t channels,
            const int64_t *places, int64_t plane, double *to),
           (row, taps, width, image, channels, places, plane, to))
{
    for (int64_t p = 0; p < plane; p++, places += taps)
        for (int64_t t = 0; t < taps; t++)
            if (places[t] >= 0)
                to[p] += dot(row + t * width, image + places[t] * channels, width);
}

const char *eval_conv_rows(struct evaluation *e, int64_t groups, const int64_t *group_of)
{
    const struct array *image = e->inputs[0], *weight = e->inputs[1];
    struct eval_window window = {.axes = 0};
    enum auto_pad auto_pad;
    const char *reason = NULL;
    if (!array_is_real(image) || !array_is_real(weight) || weight->rank != image->rank)
        reason = arena_format(e->arena, "a weight of shape %s for an image of shape %s", array_shape(e->arena, weight),
                              array_shape(e->arena, image));
    if (!reason)
        reason = window_read(e, weight->dims + 2, window.strided, &window, &auto_pad);
    if (!reason)
        reason = window_place(e, &window, auto_pad, false);
    if (reason)
        return reason;
    int64_t rows = weight->dims[0], width = weight->dims[1], channels = image->dims[1];
    if (groups < 1 || channels % groups != 0 || channels / groups != width || (!group_of && rows % groups != 0))
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
    int64_t plane = window_volume(window.axes, window.positions);
    int64_t image_plane = window_volume(window.axes, window.strided);
    reason = fill_bias(e, out, plane);
    if (reason)
        return reason;
    int64_t taps = window.taps, numbers = width * taps;
    struct array *places, *turned, *row;
    reason = window_place_taps(e, &window, image_plane, &places);
    if (!reason)
        reason = eval_scratch(e, image->count, &turned);
    if (!reason)
        reason = eval_scratch(e, numbers, &row);
    if (reason)
        return reason;
    turn_channels_last(image, image_plane, turned->reals);
    for (int64_t r = 0; r < rows; r++) {
        int64_t group = group_of ? group_of[r] : r / (rows / groups);
        for (int64_t t = 0; t < taps; t++)
            for (int64_t i = 0; i < width; i++)
                row->reals[t * width + i] = weight->reals[r * numbers + i * taps + t];
        for (int64_t batch = 0; batch < dims[0]; batch++)
            convolve(row->reals, taps, width, turned->reals + batch * image_plane * channels + group * width, channels,
                     places->integers, plane, out->reals + (batch * rows + r) * plane);
    }
    pool_return(e->pool, places);
    pool_return(e->pool, turned);
    pool_return(e->pool, row);
    return NULL;
}

const char *eval_conv(struct evaluation *e)
{
    return eval_conv_rows(e, node_integer(e->node, "group", 1), NULL);
}

/* Extents of a ConvTranspose's output and where the kernel stands in it. */
static const char *place_transposed(struct evaluation *e, struct eval_window *window, enum auto_pad auto_pad)
{
    int axes = window->axes;
    int64_t added[EVAL_RANK], asked[EVAL_RANK];
    const char *reason = window_read_axes(e, "output_padding", axes, 0, 0, added);
    if (!reason)
        reason = window_read_axes(e, "output_shape", axes, 0, 0, asked);
    if (reason)
        return reason;
    bool shape_told = node_attribute(e->node, "output_shape") != NULL;
    bool same = auto_pad == PAD_SAME_UPPER || auto_pad == PAD_SAME_LOWER;
    for (int i = 0; i < axes; i++) {
        int64_t whole = window->stride[i] * (window->positions[i] - 1) + added[i] + window_reach(window, i);
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

const char *eval_conv_transpose_channels(struct evaluation *e, const int64_t *channels, int64_t count)
{
    const struct array *image = e->inputs[0], *weight = e->inputs[1];
    struct eval_window window = {.axes = 0};
    enum auto_pad auto_pad;
    const char *reason = NULL;
    if (!array_is_real(image) || !array_is_real(weight) || weight->rank != image->rank)
        reason = arena_format(e->arena, "a weight of shape %s for an image of shape %s", array_shape(e->arena, weight),
                              array_shape(e->arena, image));
    if (!reason)
        reason = window_read(e, weight->dims + 2, window.positions, &window, &auto_pad);
    if (!reason)
        reason = place_transposed(e, &window, auto_pad);
    if (reason)
        return reason;
    int64_t groups = node_integer(e->node, "group", 1);
    int64_t inputs = weight->dims[0], width = weight->dims[1]; /* width: outputs of a group */
    int64_t outputs;
    if (groups < 1 || inputs % groups != 0 || image->dims[1] != inputs || !multiply_fits(width, groups, &outputs))
        return arena_format(e->arena, "a weight of shape %s, %lld groups and %lld input channels",
                            array_shape(e->arena, weight), (long long)groups, (long long)image->dims[1]);
    if (!channels)
        count = outputs;
    int64_t dims[EVAL_RANK] = {image->dims[0], count};
    memcpy(dims + 2, window.strided, (size_t)window.axes * sizeof(*dims));
    struct array *out;
    reason = eval_result(e, image->type, image->rank, dims, &out);
    if (reason || out->count == 0)
        return reason;
    int64_t plane = window_volume(window.axes, window.strided);
    int64_t image_plane = window_volume(window.axes, window.positions);
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
                add_kernel(&window, weight->reals + (i * width + channel % width) * window.taps, true,
                           image->reals + (batch * inputs + i) * image_plane, to);
        }
    }
    return NULL;
}

const char *eval_conv_transpose(struct evaluation *e)
{
    return eval_conv_transpose_channels(e, NULL, 0);
}

/* Col2Im: the columns of each channel, one for each tap, added up where the taps stand. */
const char *eval_col2im(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    const int64_t *extents, *block;
    size_t axes, block_axes;
    const char *reason = eval_integers(e, 1, &extents, &axes);
    if (!reason)
        reason = eval_integers(e, 2, &block, &block_axes);
    if (!reason && (!array_is_real(in) || in->rank != 3 || axes != block_axes || axes < 1 || axes + 2 > EVAL_RANK))
        reason = arena_format(e->arena, "%s for %zu axes", array_shape(e->arena, in), axes);
    if (reason)
        return reason;
    struct array image = {.rank = (int)axes + 2};
    memcpy(image.dims + 2, extents, axes * sizeof(*extents));
    struct array *inputs[] = {&image};
    struct evaluation inner = *e;
    struct eval_window window = {.axes = 0};
    enum auto_pad auto_pad;
    inner.inputs = inputs;
    reason = window_read(&inner, block, window.strided, &window, &auto_pad);
    for (size_t i = 0; !reason && i < axes; i++)
        reason = extents[i] < 0 ? "a negative extent" : NULL;
    if (!reason)
        reason = window_place(e, &window, auto_pad, false);
    if (reason)
        return reason;
    int64_t plane = window_volume(window.axes, window.positions);
    if (in->dims[1] % window.taps != 0 || in->dims[2] != plane)
        return arena_format(e->arena, "columns of shape %s for %lld taps and %lld positions", array_shape(e->arena, in),
                            (long long)window.taps, (long long)plane);
    image.dims[0] = in->dims[0];
    image.dims[1] = in->dims[1] / window.taps;
    struct array *out;
    reason = eval_result(e, in->type, image.rank, image.dims, &out);
    int64_t extent = window_volume(window.axes, window.strided);
    for (int64_t row = 0; !reason && in->count && row < in->dims[0] * image.dims[1]; row++) {
        int64_t tap[EVAL_RANK] = {0};
        for (int64_t t = 0; t < window.taps; t++, window_next_tap(&window, tap))
            window_add_tap(&window, tap, 1, true, in->reals + (row * window.taps + t) * plane,
                           out->reals + row * extent);
    }
    return reason;
}
