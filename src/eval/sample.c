/* eval/sample.c: GridSample, AffineGrid, RoiAlign and DeformConv: images read between their elements.
 *
 * Images are [batch, channels, spatial...]; a plane is the spatial part of one channel. */
#include "eval/sample.h"

#include <math.h>

#include "eval/move.h"
#include "eval/window.h"

enum padding { PADDING_ZEROS, PADDING_BORDER, PADDING_REFLECTION };
enum { TAPS_MOST = 4 };

/* How a plane is read. */
struct sampler {
    int axes;
    int64_t dims[EVAL_RANK];
    int taps; /* elements read along an axis: 1 (the nearest), 2 (linear), 4 (cubic) */
    enum padding padding;
    bool align_corners;
};

/* Mirrored at the ends until it is between them. */
static double reflect(double at, double low, double high)
{
    double range = high - low;
    if (range <= 0)
        return low;
    double apart = fmod(fabs(at - low), 2 * range);
    return low + (apart > range ? 2 * range - apart : apart);
}

static double low_end(const struct sampler *sampler)
{
    return sampler->align_corners ? 0 : -0.5;
}

static double high_end(const struct sampler *sampler, int axis)
{
    return (double)sampler->dims[axis] - (sampler->align_corners ? 1 : 0.5);
}

/* The element that a tap reads, or -1: it reads 0. */
static int64_t place_of(const struct sampler *sampler, int axis, int64_t at)
{
    int64_t last = sampler->dims[axis] - 1;
    if (at >= 0 && at <= last)
        return at;
    switch (sampler->padding) {
    case PADDING_BORDER: return at < 0 ? 0 : last;
    case PADDING_REFLECTION: return (int64_t)reflect((double)at, low_end(sampler), high_end(sampler, axis));
    default: return -1;
    }
}

/* Keys' cubic convolution, at a distance in [0, 2]. */
static double cubic(double apart)
{
    const double a = -0.75;
    return apart <= 1 ? ((a + 2) * apart - (a + 3)) * apart * apart + 1
                      : ((a * apart - 5 * a) * apart + 8 * a) * apart - 4 * a;
}

/* The positions of the taps along one axis, and their weights. */
static void place_taps(const struct sampler *sampler, int axis, double at, int64_t *places, double *weights)
{
    enum { FAR = 1 << 30 }; /* beyond any image */
    at = fmin(fmax(at, -(double)FAR), (double)FAR);
    double first = sampler->taps == 1 ? rint(at) : floor(at);
    double rest = at - first;
    for (int i = 0; i < sampler->taps; i++) {
        int64_t step = sampler->taps == 4 ? i - 1 : i;
        double apart = fabs(rest - (double)step);
        places[i] = place_of(sampler, axis, (int64_t)first + step);
        weights[i] = sampler->taps == 1 ? 1 : sampler->taps == 2 ? 1 - apart : cubic(apart);
    }
}

/* One number of a plane: the weighted sum over the box of its taps. */
static double sample(const struct sampler *sampler, const double *plane, const double *at)
{
    int64_t places[EVAL_RANK][TAPS_MOST];
    double weights[EVAL_RANK][TAPS_MOST], sum = 0;
    int tap[EVAL_RANK] = {0}, axis;
    for (int i = 0; i < sampler->axes; i++)
        place_taps(sampler, i, at[i], places[i], weights[i]);
    do {
        int64_t offset = 0;
        double weight = 1;
        for (int i = 0; i < sampler->axes; i++) {
            int64_t place = places[i][tap[i]];
            offset = offset < 0 || place < 0 ? -1 : offset * sampler->dims[i] + place;
            weight *= weights[i][tap[i]];
        }
        sum += offset < 0 ? 0 : weight * plane[offset];
        for (axis = sampler->axes - 1; axis >= 0 && ++tap[axis] == sampler->taps; axis--)
            tap[axis] = 0;
    } while (axis >= 0);
    return sum;
}

/* Products of one call of sample. */
static int64_t sample_cost(const struct sampler *sampler)
{
    int64_t cost = 1;
    for (int i = 0; i < sampler->axes; i++)
        cost *= sampler->taps;
    return cost * sampler->axes;
}

/* The spatial axes of an image of reals with elements. */
static const char *read_image(struct evaluation *e, const struct array *image, struct sampler *sampler)
{
    sampler->axes = image->rank - 2;
    if (!array_is_real(image) || sampler->axes < 1)
        return arena_format(e->arena, "an image of %s %s", array_type_name(image->type), array_shape(e->arena, image));
    for (int i = 0; i < sampler->axes; i++) {
        sampler->dims[i] = image->dims[2 + i];
        if (sampler->dims[i] < 1 || sampler->dims[i] > WINDOW_LIMIT)
            return "an image without elements, or too large";
    }
    return NULL;
}

/* ---- GridSample ---- */

static const char *read_sampler(struct evaluation *e, struct sampler *sampler)
{
    static const struct {
        const char *name;
        int taps;
    } modes[] = {{"linear", 2}, {"bilinear", 2}, {"nearest", 1}, {"cubic", 4}, {"bicubic", 4}};
    static const char *const paddings[] = {"zeros", "border", "reflection"};
    const char *mode = node_string(e->arena, e->node, "mode", "linear");
    const char *padding = node_string(e->arena, e->node, "padding_mode", "zeros");
    size_t at = 0;
    for (size_t i = 0; i < COUNT_OF(modes); i++)
        if (strcmp(modes[i].name, mode) == 0)
            sampler->taps = modes[i].taps;
    while (at < COUNT_OF(paddings) && strcmp(paddings[at], padding) != 0)
        at++;
    if (!sampler->taps || at == COUNT_OF(paddings))
        return arena_format(e->arena, "mode %s, padding_mode %s", mode, padding);
    sampler->padding = (enum padding)at;
    sampler->align_corners = node_integer(e->node, "align_corners", 0) != 0;
    return read_image(e, e->inputs[0], sampler);
}

/* A position in [-1, 1] as one among the elements. Runtimes compute in float. */
static double among_elements(const struct sampler *sampler, int axis, double at)
{
    double size = (double)sampler->dims[axis];
    double place = sampler->align_corners ? (at + 1) / 2 * (size - 1) : ((at + 1) * size - 1) / 2;
    double low = low_end(sampler), high = high_end(sampler, axis);
    place = (double)(float)place;
    if (sampler->taps == 1)
        place = rint(place);
    if (place >= low && place <= high)
        return place;
    if (sampler->padding == PADDING_BORDER)
        return place < 0 ? 0 : size - 1;
    return sampler->padding == PADDING_REFLECTION ? reflect(place, low, high) : place;
}

const char *eval_grid_sample(struct evaluation *e)
{
    const struct array *image = e->inputs[0], *grid = e->inputs[1];
    struct sampler sampler = {.taps = 0};
    const char *reason = read_sampler(e, &sampler);
    if (reason)
        return reason;
    if (!array_is_real(grid) || grid->rank != image->rank || grid->dims[0] != image->dims[0] ||
        grid->dims[grid->rank - 1] != sampler.axes)
        return arena_format(e->arena, "a grid of shape %s for %s", array_shape(e->arena, grid),
                            array_shape(e->arena, image));
    int64_t dims[EVAL_RANK] = {image->dims[0], image->dims[1]};
    for (int i = 0; i < sampler.axes; i++)
        dims[2 + i] = grid->dims[1 + i];
    struct array *out;
    reason = eval_result(e, image->type, image->rank, dims, &out);
    if (!reason)
        reason = eval_check_products(e, out->count, sample_cost(&sampler), 1);
    if (reason || out->count == 0)
        return reason;
    int64_t points = eval_extent(dims, 2, out->rank), plane = eval_extent(image->dims, 2, out->rank);
    for (int64_t n = 0; n < dims[0]; n++)
        for (int64_t p = 0; p < points; p++) {
            double at[EVAL_RANK];
            for (int i = 0; i < sampler.axes; i++) {
                /* The grid has the last axis first. */
                double told = grid->reals[(n * points + p) * sampler.axes + sampler.axes - 1 - i];
                at[i] = among_elements(&sampler, i, told);
                if (isnan(at[i]))
                    return "a position that is not a number";
            }
            for (int64_t c = 0; c < dims[1]; c++)
                out->reals[(n * dims[1] + c) * points + p] =
                    sample(&sampler, image->reals + (n * dims[1] + c) * plane, at);
        }
    return NULL;
}

/* ---- AffineGrid ---- */

const char *eval_affine_grid(struct evaluation *e)
{
    const struct array *theta = e->inputs[0];
    const int64_t *size;
    size_t count;
    bool aligned = node_integer(e->node, "align_corners", 0) != 0;
    const char *reason = eval_integers(e, 1, &size, &count);
    if (reason)
        return reason;
    int axes = (int)count - 2;
    if ((axes != 2 && axes != 3) || !array_is_real(theta) || theta->rank != 3 || theta->dims[0] != size[0] ||
        theta->dims[1] != axes || theta->dims[2] != axes + 1)
        return arena_format(e->arena, "theta of shape %s for %zu sizes", array_shape(e->arena, theta), count);
    struct walk walk = {.rank = axes + 1};
    walk.dims[0] = size[0];
    for (int i = 0; i < axes; i++) {
        walk.dims[1 + i] = size[2 + i];
        if (aligned && size[2 + i] == 1)
            return "one point between aligned corners";
    }
    int64_t dims[EVAL_RANK];
    memcpy(dims, walk.dims, sizeof(dims));
    dims[axes + 1] = axes;
    struct array *out;
    reason = eval_result(e, theta->type, axes + 2, dims, &out);
    for (int64_t i = 0; !reason && i < out->count; i += axes, walk_next(&walk))
        for (int row = 0; row < axes; row++) {
            const double *matrix = theta->reals + (walk.at[0] * axes + row) * (axes + 1);
            double sum = matrix[axes];
            for (int k = 0; k < axes; k++) { /* x is along the last axis */
                double at = (double)walk.at[axes - k], extent = (double)walk.dims[axes - k];
                sum += matrix[k] * (aligned ? 2 * at / (extent - 1) - 1 : (2 * at + 1) / extent - 1);
            }
            out->reals[i + row] = sum;
        }
    return reason;
}

/* ---- RoiAlign ---- */

struct region {
    double begin[2], bin[2]; /* rows, columns */
    int64_t points[2];       /* read in a bin, along each */
};

/* Four elements around a point and their weights; false: it is outside. */
static bool place_point(const int64_t *size, double row, double column, int64_t *places, double *weights)
{
    double at[2] = {row, column}, rest[2];
    int64_t low[2], high[2];
    for (int i = 0; i < 2; i++) {
        if (!(at[i] >= -1 && at[i] <= (double)size[i]))
            return false;
        at[i] = fmax(at[i], 0);
        low[i] = (int64_t)at[i] < size[i] - 1 ? (int64_t)at[i] : size[i] - 1;
        high[i] = low[i] < size[i] - 1 ? low[i] + 1 : low[i];
        rest[i] = low[i] < size[i] - 1 ? at[i] - (double)low[i] : 0;
    }
    for (int k = 0; k < 4; k++) {
        places[k] = (k & 2 ? high[0] : low[0]) * size[1] + (k & 1 ? high[1] : low[1]);
        weights[k] = (k & 2 ? rest[0] : 1 - rest[0]) * (k & 1 ? rest[1] : 1 - rest[1]);
    }
    return true;
}

/* One bin: the mean of its points, or the largest of the weighted elements around them. */
static double pool_bin(const struct region *region, const int64_t *size, const double *plane, int64_t row,
                       int64_t column, bool largest)
{
    double sum = 0;
    bool first = true;
    for (int64_t i = 0; i < region->points[0]; i++)
        for (int64_t k = 0; k < region->points[1]; k++) {
            int64_t places[4] = {0};
            double weights[4] = {0};
            double y =
                region->begin[0] + ((double)row + ((double)i + 0.5) / (double)region->points[0]) * region->bin[0];
            double x =
                region->begin[1] + ((double)column + ((double)k + 0.5) / (double)region->points[1]) * region->bin[1];
            place_point(size, y, x, places, weights);
            for (int n = 0; n < 4; n++) {
                double part = weights[n] * plane[places[n]];
                sum = !largest ? sum + part : first || part > sum ? part : sum;
                first = false;
            }
        }
    int64_t count = region->points[0] * region->points[1];
    return largest || count == 0 ? sum : sum / (double)count;
}

static const char *read_region(struct evaluation *e, const double *corners, const int64_t *pooled,
                               struct region *region)
{
    enum { POINTS_MOST = 1 << 20 };
    const char *mode = node_string(e->arena, e->node, "coordinate_transformation_mode",
                                   e->node->opset < 16 ? "output_half_pixel" : "half_pixel");
    bool half = strcmp(mode, "half_pixel") == 0;
    int64_t ratio = node_integer(e->node, "sampling_ratio", 0);
    double scale = node_float(e->node, "spatial_scale", 1);
    if (!half && strcmp(mode, "output_half_pixel") != 0)
        return arena_format(e->arena, "coordinate_transformation_mode %s", mode);
    for (int i = 0; i < 2; i++) { /* the corners are x and y, x and y */
        double begin = corners[1 - i] * scale - (half ? 0.5 : 0);
        double extent = corners[3 - i] * scale - (half ? 0.5 : 0) - begin;
        extent = half ? extent : fmax(extent, 1);
        region->begin[i] = begin;
        region->bin[i] = extent / (double)pooled[i];
        double points = ratio > 0 ? (double)ratio : ceil(region->bin[i]);
        if (!(fabs(begin) < (double)WINDOW_LIMIT) || !(points <= POINTS_MOST))
            return "a region too large";
        region->points[i] = points > 0 ? (int64_t)points : 0;
    }
    return NULL;
}

const char *eval_roi_align(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *regions = e->inputs[1], *batches = e->inputs[2];
    const char *mode = node_string(e->arena, e->node, "mode", "avg");
    bool largest = strcmp(mode, "max") == 0;
    if (!array_is_real(in) || in->rank != 4 || !array_is_real(regions) || regions->rank != 2 || regions->dims[1] != 4 ||
        !array_is_whole(batches) || batches->rank != 1 || batches->dims[0] != regions->dims[0] ||
        (!largest && strcmp(mode, "avg") != 0))
        return arena_format(e->arena, "regions of shape %s for %s, mode %s", array_shape(e->arena, regions),
                            array_shape(e->arena, in), mode);
    int64_t pooled[2] = {node_integer(e->node, "output_height", 1), node_integer(e->node, "output_width", 1)};
    int64_t dims[] = {regions->dims[0], in->dims[1], pooled[0], pooled[1]};
    struct array *out;
    if (pooled[0] < 1 || pooled[1] < 1)
        return "an output without elements";
    const char *reason = eval_result(e, in->type, 4, dims, &out);
    if (reason || out->count == 0)
        return reason;
    if (in->count == 0)
        return "an image without elements";
    const int64_t *size = in->dims + 2;
    for (int64_t n = 0; n < dims[0]; n++) {
        struct region region = {.points = {0}};
        int64_t batch = batches->integers[n], bins = pooled[0] * pooled[1];
        reason = read_region(e, regions->reals + 4 * n, pooled, &region);
        if (!reason && (batch < 0 || batch >= in->dims[0]))
            reason = arena_format(e->arena, "batch %lld", (long long)batch);
        if (!reason)
            reason = eval_check_products(e, dims[1] * bins, 8 * region.points[0], region.points[1]);
        if (reason)
            return reason;
        for (int64_t i = 0; i < dims[1] * bins; i++)
            out->reals[n * dims[1] * bins + i] =
                pool_bin(&region, size, in->reals + (batch * dims[1] + i / bins) * size[0] * size[1],
                         i % bins / pooled[1], i % pooled[1], largest);
    }
    return NULL;
}

/* ---- DeformConv ---- */

struct deform {
    struct eval_window window;
    struct sampler sampler;
    const struct array *image, *weight, *offset, *mask;
    int64_t groups, offset_groups;
    int64_t plane, points; /* elements of an input plane, of an output plane */
};

static const char *read_deform(struct evaluation *e, struct deform *d)
{
    enum auto_pad auto_pad;
    d->image = e->inputs[0];
    d->weight = e->inputs[1];
    d->offset = e->inputs[2];
    d->mask = eval_input(e, 4);
    d->sampler.taps = 2;
    const char *reason = read_image(e, d->image, &d->sampler);
    if (!reason && (d->weight->rank != d->image->rank || d->offset->rank != d->image->rank ||
                    !array_is_real(d->weight) || !array_is_real(d->offset)))
        reason = "a weight or offsets of another rank than the image";
    if (!reason)
        reason = window_read(e, d->weight->dims + 2, d->window.strided, &d->window, &auto_pad);
    if (!reason)
        reason = window_place(e, &d->window, auto_pad, false);
    if (reason)
        return reason;
    int axes = d->window.axes;
    d->groups = node_integer(e->node, "group", 1);
    d->offset_groups = node_integer(e->node, "offset_group", 1);
    int64_t channels = d->image->dims[1], taps = d->window.taps, wanted;
    if (d->groups < 1 || d->offset_groups < 1 || channels % d->groups != 0 ||
        channels / d->groups != d->weight->dims[1] || d->weight->dims[0] % d->groups != 0 ||
        channels % d->offset_groups != 0 || !multiply_fits(d->offset_groups, taps, &wanted) ||
        (d->mask && (!array_is_real(d->mask) || d->mask->rank != d->image->rank ||
                     d->mask->dims[0] != d->image->dims[0] || d->mask->dims[1] != wanted)) ||
        !multiply_fits(wanted, axes, &wanted) || d->offset->dims[0] != d->image->dims[0] ||
        d->offset->dims[1] != wanted)
        return arena_format(e->arena, "offsets of shape %s for a weight of shape %s", array_shape(e->arena, d->offset),
                            array_shape(e->arena, d->weight));
    for (int i = 0; i < axes; i++)
        if (d->offset->dims[2 + i] != d->window.positions[i] ||
            (d->mask && d->mask->dims[2 + i] != d->window.positions[i]))
            return "offsets or a mask for another number of positions";
    d->plane = window_volume(axes, d->window.strided);
    d->points = window_volume(axes, d->window.positions);
    return NULL;
}

/* The number of an input channel that one tap at one position reads. */
static double read_tap(const struct deform *d, int64_t n, int64_t channel, const int64_t *position, int64_t point,
                       const int64_t *tap, int64_t t)
{
    int axes = d->window.axes;
    int64_t group = channel / (d->image->dims[1] / d->offset_groups);
    int64_t entry = (n * d->offset_groups + group) * d->window.taps + t;
    double at[EVAL_RANK];
    for (int i = 0; i < axes; i++)
        at[i] = (double)(position[i] * d->window.stride[i] + tap[i] * d->window.dilation[i] - d->window.begin[i]) +
                d->offset->reals[(entry * axes + i) * d->points + point];
    double value = sample(&d->sampler, d->image->reals + (n * d->image->dims[1] + channel) * d->plane, at);
    return d->mask ? value * d->mask->reals[entry * d->points + point] : value;
}

const char *eval_deform_conv(struct evaluation *e)
{
    struct deform d = {.groups = 1};
    const struct array *bias = eval_input(e, 3);
    struct array *out;
    const char *reason = read_deform(e, &d);
    if (reason)
        return reason;
    int axes = d.window.axes;
    int64_t channels = d.image->dims[1], rows = d.weight->dims[0], taps = d.window.taps;
    int64_t dims[EVAL_RANK] = {d.image->dims[0], rows};
    memcpy(dims + 2, d.window.positions, (size_t)axes * sizeof(*dims));
    if (bias && (!array_is_real(bias) || bias->rank != 1 || bias->dims[0] != rows))
        return arena_format(e->arena, "a bias of shape %s", array_shape(e->arena, bias));
    reason = eval_result(e, d.image->type, d.image->rank, dims, &out);
    if (!reason)
        reason = eval_check_products(e, out->count, d.weight->dims[1], taps);
    if (!reason)
        reason = eval_check_products(e, dims[0] * d.points, channels * taps, sample_cost(&d.sampler));
    for (int64_t i = 0; !reason && bias && i < out->count; i++)
        out->reals[i] = bias->reals[i / d.points % rows];
    struct walk walk = {.rank = axes + 1, .dims = {dims[0]}};
    memcpy(walk.dims + 1, d.window.positions, (size_t)axes * sizeof(*dims));
    int64_t width = d.weight->dims[1], each = rows / d.groups;
    for (int64_t i = 0; !reason && out->count && i < dims[0] * d.points; i++, walk_next(&walk))
        for (int64_t c = 0; c < channels; c++) {
            int64_t tap[EVAL_RANK] = {0}, n = walk.at[0], point = i % d.points;
            for (int64_t t = 0; t < taps; t++, window_next_tap(&d.window, tap)) {
                double value = read_tap(&d, n, c, walk.at + 1, point, tap, t);
                for (int64_t r = c / width * each; r < (c / width + 1) * each; r++)
                    out->reals[(n * rows + r) * d.points + point] +=
                        value * d.weight->reals[(r * width + c % width) * taps + t];
            }
        }
    return reason;
}
