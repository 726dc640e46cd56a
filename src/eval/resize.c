/* eval/resize.c: Resize and Upsample: each axis by itself, each position a weighted sum of a few. */
#include "eval/resize.h"

#include <math.h>

#include "eval/move.h"

enum coordinates {
    HALF_PIXEL,
    HALF_PIXEL_SYMMETRIC,
    PYTORCH_HALF_PIXEL,
    ALIGN_CORNERS,
    ASYMMETRIC,
    TF_HALF_PIXEL_FOR_NN,
    TF_CROP_AND_RESIZE,
    COORDINATES
};
enum nearest { ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL, FLOOR, CEIL, NEAREST };
enum mode { MODE_NEAREST, MODE_LINEAR, MODE_CUBIC, MODES };
enum policy { STRETCH, NOT_LARGER, NOT_SMALLER, POLICIES };

struct resize {
    enum mode mode;
    enum coordinates coordinates;
    enum nearest nearest;
    enum policy policy;
    bool antialias, exclude_outside;
    double cubic, extrapolation;
    double scales[EVAL_RANK], begins[EVAL_RANK], ends[EVAL_RANK]; /* the last two: roi */
    int64_t sizes[EVAL_RANK];
};

/* ---- attributes and inputs ---- */

static const char *choose(struct evaluation *e, const char *attribute, const char *const *names, size_t count,
                          const char *otherwise, int *chosen)
{
    const char *name = node_string(e->arena, e->node, attribute, otherwise);
    for (size_t i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0) {
            *chosen = (int)i;
            return NULL;
        }
    return arena_format(e->arena, "%s %s", attribute, name);
}

static const char *read_attributes(struct evaluation *e, struct resize *resize)
{
    static const char *const coordinates[COORDINATES] = {
        "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners",
        "asymmetric", "tf_half_pixel_for_nn", "tf_crop_and_resize"};
    static const char *const nearest[NEAREST] = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
    static const char *const modes[] = {"nearest", "linear", "cubic", "bilinear"};
    static const char *const policies[POLICIES] = {"stretch", "not_larger", "not_smaller"};
    bool is_old = e->node->op == OP_Upsample || e->node->opset < 11;
    int mode = 0, place = 0, rounding = 0, policy = 0;
    const char *reason = choose(e, "mode", modes, COUNT_OF(modes), "nearest", &mode);
    if (!reason)
        reason = choose(e, "coordinate_transformation_mode", coordinates, COORDINATES,
                        is_old ? "asymmetric" : "half_pixel", &place);
    if (!reason)
        reason = choose(e, "nearest_mode", nearest, NEAREST, is_old ? "floor" : "round_prefer_floor", &rounding);
    if (!reason)
        reason = choose(e, "keep_aspect_ratio_policy", policies, POLICIES, "stretch", &policy);
    if (reason)
        return reason;
    resize->mode = mode == MODES ? MODE_LINEAR : (enum mode)mode;
    resize->coordinates = (enum coordinates)place;
    resize->nearest = (enum nearest)rounding;
    resize->policy = (enum policy)policy;
    resize->antialias = node_integer(e->node, "antialias", 0) != 0;
    resize->exclude_outside = node_integer(e->node, "exclude_outside", 0) != 0;
    resize->cubic = node_float(e->node, "cubic_coeff_a", -0.75);
    resize->extrapolation = node_float(e->node, "extrapolation_value", 0);
    return NULL;
}

/* Sizes as they are asked for, or for one scale of all axes. */
static const char *read_sizes(struct evaluation *e, struct resize *resize, const int *axes, int count,
                              const struct array *sizes)
{
    const struct array *in = e->inputs[0];
    double common = resize->policy == NOT_LARGER ? (double)INFINITY : 0;
    if (!array_is_whole(sizes) || sizes->count != count)
        return "sizes that are no list of integers, or of another length than the axes";
    for (int i = 0; i < count; i++) {
        double scale = (double)sizes->integers[i] / (double)in->dims[axes[i]];
        if (sizes->integers[i] < 0 || in->dims[axes[i]] == 0)
            return "a negative size, or one of nothing";
        common = resize->policy == NOT_LARGER ? fmin(common, scale) : fmax(common, scale);
        resize->sizes[axes[i]] = sizes->integers[i];
        resize->scales[axes[i]] = scale;
    }
    for (int i = 0; resize->policy != STRETCH && i < count; i++) {
        double size = floor(common * (double)in->dims[axes[i]] + 0.5);
        if (!(size < 0x1p31))
            return "a size too large";
        resize->sizes[axes[i]] = (int64_t)size;
        resize->scales[axes[i]] = common;
    }
    return NULL;
}

static const char *read_scale(struct resize *resize, const struct array *in, int axis, double scale)
{
    double size = floor((double)in->dims[axis] * scale);
    if (!(scale > 0) || !(size < 0x1p31))
        return "a scale that is not above 0, or too large";
    resize->scales[axis] = scale;
    resize->sizes[axis] = (int64_t)size;
    return NULL;
}

static const char *read_scales(struct evaluation *e, struct resize *resize, const int *axes, int count,
                               const struct array *scales)
{
    const Onnx__AttributeProto *given = scales ? NULL : node_attribute(e->node, "scales");
    const char *reason = NULL;
    if (!given && !scales)
        return "neither scales nor sizes";
    if (scales ? !array_is_real(scales) || scales->count != count : given->n_floats != (size_t)count)
        return "scales of another length than the axes";
    for (int i = 0; i < count && !reason; i++)
        reason = read_scale(resize, e->inputs[0], axes[i], scales ? scales->reals[i] : (double)given->floats[i]);
    return reason;
}

static const char *read_resize(struct evaluation *e, struct resize *resize)
{
    const struct array *in = e->inputs[0];
    bool is_old = e->node->op == OP_Upsample || e->node->opset < 11;
    const struct array *scales = eval_input(e, is_old ? 1 : 2);
    const struct array *sizes = is_old ? NULL : eval_input(e, 3);
    const struct array *region = is_old ? NULL : eval_input(e, 1);
    int axes[EVAL_RANK], count;
    bool given;
    const char *reason = read_attributes(e, resize);
    if (!reason)
        reason = eval_axes(e, SIZE_MAX, in->rank, axes, &count, &given);
    if (reason)
        return reason;
    for (; !given && count < in->rank; count++)
        axes[count] = count;
    for (int i = 0; i < in->rank; i++) {
        resize->scales[i] = resize->ends[i] = 1;
        resize->sizes[i] = in->dims[i];
    }
    if (sizes && sizes->count)
        reason = read_sizes(e, resize, axes, count, sizes);
    else
        reason = read_scales(e, resize, axes, count, scales);
    if (reason || resize->coordinates != TF_CROP_AND_RESIZE)
        return reason;
    if (!region || !array_is_real(region) || region->count != 2 * count)
        return "a roi of another length than the axes";
    for (int i = 0; i < count; i++) {
        resize->begins[axes[i]] = region->reals[i];
        resize->ends[axes[i]] = region->reals[count + i];
    }
    return NULL;
}

/* ---- one axis ---- */

/* The place of a result's position in the input. With scales, the corners are those of a result that is not yet cut
 * to whole positions, as in ONNX's reference; its text leaves this open. */
static double origin(const struct resize *resize, int axis, double at, double in)
{
    double out = (double)resize->sizes[axis], scale = resize->scales[axis];
    double begin = resize->begins[axis], end = resize->ends[axis], exact = in * scale;
    if (floor(exact) == out && exact - out > 1e-6)
        out = exact;
    switch (resize->coordinates) {
    case HALF_PIXEL_SYMMETRIC: return in / 2 * (1 - (double)resize->sizes[axis] / exact) + (at + 0.5) / scale - 0.5;
    case PYTORCH_HALF_PIXEL: return out > 1 ? (at + 0.5) / scale - 0.5 : 0;
    case ALIGN_CORNERS: return out > 1 ? at * (in - 1) / (out - 1) : 0;
    case ASYMMETRIC: return at / scale;
    case TF_HALF_PIXEL_FOR_NN: return (at + 0.5) / scale;
    case TF_CROP_AND_RESIZE:
        return begin * (in - 1) + (out > 1 ? at * (end - begin) * (in - 1) / (out - 1) : (end - begin) * (in - 1) / 2);
    default: return (at + 0.5) / scale - 0.5;
    }
}

static double nearest_place(enum nearest nearest, double x)
{
    switch (nearest) {
    case ROUND_PREFER_FLOOR: return ceil(x - 0.5);
    case ROUND_PREFER_CEIL: return floor(x + 0.5);
    case FLOOR: return floor(x);
    default: return ceil(x);
    }
}

/* The kernels: of the distance. Keys, "Cubic convolution interpolation", 1981. */
static double kernel(const struct resize *resize, double distance)
{
    double x = fabs(distance), a = resize->cubic;
    if (resize->mode == MODE_LINEAR)
        return fmax(1 - x, 0);
    if (x <= 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* The positions that make one: `count` places and weights for each. */
struct axis_taps {
    int64_t count;
    int64_t *places;
    double *weights;
    bool *outside;
};

static void fill_taps(const struct resize *resize, int axis, int64_t extent, double shrink, int64_t at,
                      struct axis_taps *taps)
{
    double x = origin(resize, axis, (double)at, (double)extent), sum = 0;
    int64_t *places = taps->places + at * taps->count;
    double *weights = taps->weights + at * taps->count;
    taps->outside[at] = resize->coordinates == TF_CROP_AND_RESIZE && !(x >= 0 && x <= (double)(extent - 1));
    if (resize->mode == MODE_NEAREST) {
        double place = fmin(fmax(nearest_place(resize->nearest, x), 0), (double)(extent - 1));
        places[0] = (int64_t)place;
        weights[0] = 1;
        return;
    }
    x = fmin(fmax(x, -0x1p40), 0x1p40);
    int64_t left = (int64_t)ceil(x) - 1; /* of the pair around x, the left one */
    int64_t first = left - taps->count / 2 + 1;
    for (int64_t i = 0; i < taps->count; i++) {
        int64_t place = first + i;
        bool inside = place >= 0 && place < extent;
        places[i] = place < 0 ? 0 : place >= extent ? extent - 1 : place;
        weights[i] = kernel(resize, shrink * ((double)place - x));
        if (resize->exclude_outside && !inside)
            weights[i] = 0;
        sum += weights[i];
    }
    for (int64_t i = 0; (resize->exclude_outside || shrink < 1) && i < taps->count; i++)
        weights[i] /= sum;
}

static const char *make_taps(struct evaluation *e, const struct resize *resize, int axis, int64_t extent,
                             struct axis_taps *taps)
{
    int64_t out = resize->sizes[axis];
    double reach = resize->mode == MODE_CUBIC ? 2 : 1, shrink = 1;
    if (resize->antialias && resize->scales[axis] < 1)
        shrink = resize->scales[axis];
    double half = -floor(-reach / shrink); /* places on either side */
    if (!(half * 2 * (double)(out + 1) < 0x1p40) ||
        !pool_affords(e->pool, 8 * half * (double)(out + 1), 5 * half * (double)(out + 1)))
        return eval_too_dear;
    taps->count = resize->mode == MODE_NEAREST ? 1 : 2 * (int64_t)half;
    taps->places = NEW_ARRAY(e->arena, int64_t, out * taps->count + 1);
    taps->weights = NEW_ARRAY(e->arena, double, out * taps->count + 1);
    taps->outside = NEW_ARRAY(e->arena, bool, out + 1);
    if (extent == 0)
        return out ? "an axis without elements" : NULL;
    for (int64_t at = 0; at < out; at++)
        fill_taps(resize, axis, extent, shrink, at, taps);
    return NULL;
}

/* The array with one axis resized. */
static const char *resize_axis(struct evaluation *e, const struct resize *resize, int axis, const struct array *in,
                               struct array **out)
{
    struct axis_taps taps;
    int64_t dims[EVAL_RANK], extent = in->dims[axis], size = resize->sizes[axis];
    memcpy(dims, in->dims, sizeof(dims));
    dims[axis] = size;
    const char *reason = make_taps(e, resize, axis, extent, &taps);
    if (!reason)
        reason = array_make(e->arena, e->pool, e->limit, in->type, in->rank, dims, out);
    if (!reason)
        reason = eval_check_products(e, (*out)->count, taps.count, 1);
    if (reason)
        return reason;
    int64_t inner = eval_extent(dims, axis + 1, in->rank);
    for (int64_t i = 0; i < (*out)->count; i++) {
        int64_t at = i / inner % size, from = i / inner / size * extent * inner + i % inner;
        const int64_t *places = taps.places + at * taps.count;
        if (resize->mode == MODE_NEAREST) {
            eval_copy_cells(*out, i, in, from + places[0] * inner, 1);
            continue;
        }
        double sum = 0;
        for (int64_t k = 0; k < taps.count; k++)
            sum += taps.weights[at * taps.count + k] * in->reals[from + places[k] * inner];
        (*out)->reals[i] = sum;
    }
    for (int64_t i = 0; array_is_real(in) && i < (*out)->count; i++)
        if (taps.outside[i / inner % size])
            (*out)->reals[i] = (double)NAN; /* marked; the caller puts the number there */
    return NULL;
}

const char *eval_resize(struct evaluation *e)
{
    struct array *in = e->inputs[0], *next;
    struct resize resize = {.mode = MODE_NEAREST};
    const char *reason = read_resize(e, &resize);
    if (!reason && resize.mode != MODE_NEAREST && !array_is_real(in))
        reason = "integers that are interpolated: runtimes round them in their own ways";
    for (int axis = 0; !reason && axis < e->inputs[0]->rank; axis++) {
        if (resize.scales[axis] == 1 && resize.sizes[axis] == in->dims[axis] &&
            resize.coordinates != TF_CROP_AND_RESIZE)
            continue;
        reason = resize_axis(e, &resize, axis, in, &next);
        if (!reason)
            in = next;
    }
    if (!reason && in == e->inputs[0])
        reason = array_copy(e->arena, e->pool, e->limit, in, &in);
    if (reason)
        return reason;
    for (int64_t i = 0; resize.coordinates == TF_CROP_AND_RESIZE && array_is_real(in) && i < in->count; i++)
        if (isnan(in->reals[i]))
            in->reals[i] = resize.extrapolation;
    e->outputs[0] = in;
    return NULL;
}
