/* eval/pool.c: pooling, over windows and over whole planes. */
#include "eval/pool.h"

#include <math.h>

#include "base/decimal.h"
#include "base/real.h"
#include "eval/compare.h"
#include "eval/window.h"

/* Taps of a pooling window at a position of one axis that count for its mean. */
static int64_t taps_counted(const struct eval_window *window, int axis, int64_t position, bool pads)
{
    int64_t low = pads ? -window->begin[axis] : 0;
    int64_t high = window->strided[axis] + (pads ? window->end[axis] : 0);
    int64_t count = 0;
    for (int64_t tap = 0; tap < window->kernel[axis]; tap++) {
        int64_t at = position * window->stride[axis] + tap * window->dilation[axis] - window->begin[axis];
        count += at >= low && at < high;
    }
    return count;
}

/* The window of a pooling, and its result, zeroed. */
static const char *begin_pool(struct evaluation *e, struct eval_window *window, struct array **out)
{
    const struct array *image = e->inputs[0];
    enum auto_pad auto_pad = PAD_AS_TOLD;
    const char *reason = window_read(e, NULL, window->strided, window, &auto_pad);
    if (!reason)
        reason = window_place(e, window, auto_pad, node_integer(e->node, "ceil_mode", 0) != 0);
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
    struct eval_window window = {.axes = 0};
    struct array *out;
    const char *reason = begin_pool(e, &window, &out);
    if (reason || out->count == 0)
        return reason;
    if (!array_is_real(image))
        return "this operator takes no integers";
    bool pads = node_integer(e->node, "count_include_pad", 0) != 0;
    int64_t plane = window_volume(window.axes, window.positions);
    int64_t image_plane = window_volume(window.axes, window.strided);
    int64_t planes = image->dims[0] * image->dims[1];
    for (int64_t n = 0; n < planes; n++) {
        int64_t tap[EVAL_RANK] = {0};
        for (int64_t t = 0; t < window.taps; t++, window_next_tap(&window, tap))
            window_add_tap(&window, tap, 1, false, image->reals + n * image_plane, out->reals + n * plane);
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

/* The same place of a plane counted column by column: the first axis runs fastest. */
static int64_t by_columns(const struct eval_window *window, int64_t place)
{
    int64_t result = 0;
    int64_t step = window_volume(window->axes, window->strided);
    for (int axis = window->axes - 1; axis >= 0; axis--) {
        step /= window->strided[axis];
        result += place % window->strided[axis] * step;
        place /= window->strided[axis];
    }
    return result;
}

static bool is_larger(const struct array *in, int64_t a, int64_t b)
{
    if (array_is_real(in))
        return !(in->reals[a] <= in->reals[b]);
    return eval_compare_integers(in->type, in->integers[a], in->integers[b]) > 0;
}

const char *eval_max_pool(struct evaluation *e)
{
    const struct array *image = e->inputs[0];
    struct eval_window window = {.axes = 0};
    struct array *out, *indices = NULL;
    const char *reason = begin_pool(e, &window, &out);
    if (!reason && node_output(e->node, 1)) {
        reason = array_make(e->arena, e->pool, e->limit, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, out->rank, out->dims,
                            &indices);
        e->outputs[1] = indices;
    }
    if (reason || out->count == 0)
        return reason;
    int64_t least, most, plane = window_volume(window.axes, window.positions);
    int64_t image_plane = window_volume(window.axes, window.strided);
    bool columns = node_integer(e->node, "storage_order", 0) != 0;
    struct array *places;
    reason = window_place_taps(e, &window, image_plane, &places);
    if (reason)
        return reason;
    eval_integer_range(image->type, &least, &most);
    for (int64_t i = 0; i < out->count; i++) {
        const int64_t *taps = places->integers + i % plane * window.taps;
        int64_t from = i / plane * image_plane, best = -1; /* padding never wins */
        for (int64_t t = 0; t < window.taps; t++)
            if (taps[t] >= 0 && (best < 0 || is_larger(image, from + taps[t], from + best)))
                best = taps[t];
        if (best >= 0)
            memcpy(out->cells + i * EVAL_CELL, image->cells + (from + best) * EVAL_CELL, EVAL_CELL);
        else if (array_is_real(image))
            out->reals[i] = -(double)INFINITY;
        else
            out->integers[i] = least;
        if (indices && best >= 0)
            indices->integers[i] = from + (columns ? by_columns(&window, best) : best);
    }
    pool_return(e->pool, places);
    return NULL;
}

static double power_of(double x, int64_t p)
{
    return p == 1 ? fabs(x) : p == 2 ? x * x : real_pow(fabs(x), (double)p);
}

static double root_of(double x, int64_t p)
{
    return p == 1 ? x : p == 2 ? sqrt(x) : real_pow(x, 1.0 / (double)p);
}

const char *eval_lp_pool(struct evaluation *e)
{
    const struct array *image = e->inputs[0];
    struct eval_window window = {.axes = 0};
    int64_t p = node_integer(e->node, "p", 2);
    struct array *out;
    if (!array_is_real(image) || p < 1)
        return arena_format(e->arena, "data of %s, p of %lld", type_name(image->type), (long long)p);
    const char *reason = begin_pool(e, &window, &out);
    if (reason || out->count == 0)
        return reason;
    int64_t plane = window_volume(window.axes, window.positions);
    int64_t image_plane = window_volume(window.axes, window.strided);
    struct array *places;
    reason = window_place_taps(e, &window, image_plane, &places);
    if (reason)
        return reason;
    for (int64_t i = 0; i < out->count; i++) {
        const int64_t *taps = places->integers + i % plane * window.taps;
        for (int64_t t = 0; t < window.taps; t++)
            if (taps[t] >= 0)
                out->reals[i] += power_of(image->reals[i / plane * image_plane + taps[t]], p);
        out->reals[i] = root_of(out->reals[i], p);
    }
    pool_return(e->pool, places);
    return NULL;
}

/* GlobalAveragePool, GlobalLpPool, GlobalMaxPool. */
const char *eval_global_pool(struct evaluation *e)
{
    const struct array *in = eval_input(e, 0);
    enum op op = e->node->op;
    int64_t dims[EVAL_RANK], plane = 1, p = node_integer(e->node, "p", 2);
    if (!array_is_real(in) || in->rank < 3 || p < 1)
        return arena_format(e->arena, "an image of shape %s", array_shape(e->arena, in));
    for (int i = 0; i < in->rank; i++) {
        dims[i] = i < 2 ? in->dims[i] : 1;
        plane *= i < 2 ? 1 : in->dims[i];
    }
    struct array *out;
    const char *reason = eval_result(e, in->type, in->rank, dims, &out);
    if (reason || plane == 0)
        return reason ? reason : "an image without pixels";
    for (int64_t i = 0; i < in->count; i++) {
        double *to = &out->reals[i / plane], x = in->reals[i];
        if (op == OP_GlobalMaxPool)
            *to = i % plane == 0 ? x : eval_larger(*to, x);
        else
            *to += op == OP_GlobalLpPool ? power_of(x, p) : x / (double)plane;
    }
    for (int64_t i = 0; op == OP_GlobalLpPool && i < out->count; i++)
        out->reals[i] = root_of(out->reals[i], p);
    return NULL;
}

/* Puts what MaxPool took back where its indices say. A larger output_shape only adds zeros behind. */
const char *eval_max_unpool(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *indices = e->inputs[1];
    struct eval_window window = {.axes = 0};
    enum auto_pad auto_pad;
    int64_t dims[EVAL_RANK] = {in->rank > 0 ? in->dims[0] : 0, in->rank > 1 ? in->dims[1] : 0};
    const int64_t *asked = NULL;
    size_t count = 0;
    const char *reason = window_read(e, NULL, window.positions, &window, &auto_pad);
    if (!reason && eval_input(e, 2))
        reason = eval_integers(e, 2, &asked, &count);
    if (reason)
        return reason;
    if (array_is_real(indices) || indices->count != in->count || (asked && count != (size_t)in->rank))
        return "indices or output_shape do not fit the data";
    struct walk walk = {.rank = in->rank, .operands = 1};
    for (int i = 0; i < window.axes; i++)
        dims[2 + i] = (window.positions[i] - 1) * window.stride[i] + window.kernel[i] - window.begin[i] - window.end[i];
    struct array *inner, *out;
    reason = array_make(e->arena, e->pool, e->limit, in->type, in->rank, dims, &inner);
    if (!reason)
        reason = eval_result(e, in->type, in->rank, asked ? asked : dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++) {
        if (indices->integers[i] < 0 || indices->integers[i] >= inner->count)
            return arena_format(e->arena, "index %lld of %lld elements", (long long)indices->integers[i],
                                (long long)inner->count);
        memcpy(inner->cells + indices->integers[i] * EVAL_CELL, in->cells + i * EVAL_CELL, EVAL_CELL);
    }
    if (reason)
        return reason;
    memcpy(walk.dims, inner->dims, sizeof(walk.dims));
    dense_strides(out->rank, out->dims, walk.strides[0]);
    for (int i = 0; i < in->rank; i++)
        if (out->dims[i] < inner->dims[i])
            return "output_shape is smaller than what was pooled";
    for (int64_t i = 0; i < inner->count; i++, walk_next(&walk))
        memcpy(out->cells + walk.offsets[0] * EVAL_CELL, inner->cells + i * EVAL_CELL, EVAL_CELL);
    return NULL;
}

/* A region, rounded to whole pixels, cut into bins as equal as may be. */
const char *eval_max_roi_pool(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *regions = e->inputs[1];
    size_t count;
    const int64_t *pooled = node_integers(e->node, "pooled_shape", &count);
    double scale = node_float(e->node, "spatial_scale", 1);
    if (!array_is_real(in) || in->rank != 4 || !array_is_real(regions) || regions->rank != 2 || regions->dims[1] != 5 ||
        !pooled || count != 2 || pooled[0] < 1 || pooled[1] < 1)
        return "an image, regions or pooled_shape of another shape than expected";
    int64_t dims[4] = {regions->dims[0], in->dims[1], pooled[0], pooled[1]};
    struct array *out;
    const char *reason = eval_result(e, in->type, 4, dims, &out);
    for (int64_t i = 0; !reason && i < out->count; i++) {
        const double *region = regions->reals + i / (dims[1] * dims[2] * dims[3]) * 5;
        int64_t channel = i / (dims[2] * dims[3]) % dims[1], low[2], high[2];
        if (!(region[0] >= 0 && region[0] < (double)in->dims[0]))
            return arena_format(e->arena, "batch %s of %lld", decimal_rounded(region[0], 6).text,
                                (long long)in->dims[0]);
        for (int axis = 0; axis < 2; axis++) { /* 0: y, 1: x */
            double begin = round(region[2 - axis] * scale), end = round(region[4 - axis] * scale);
            double extent = fmax(end - begin + 1, 1) / (double)pooled[axis];
            double bin = (double)(axis ? i % dims[3] : i / dims[3] % dims[2]);
            double most = (double)in->dims[2 + axis];
            low[axis] = (int64_t)fmin(fmax(floor(bin * extent) + begin, 0), most);
            high[axis] = (int64_t)fmin(fmax(ceil((bin + 1) * extent) + begin, 0), most);
        }
        const double *plane = in->reals + ((int64_t)region[0] * in->dims[1] + channel) * in->dims[2] * in->dims[3];
        bool any = false;
        reason = eval_check_products(e, high[0] - low[0] > 0 ? high[0] - low[0] : 0,
                                     high[1] - low[1] > 0 ? high[1] - low[1] : 0, 1);
        for (int64_t y = low[0]; !reason && y < high[0]; y++)
            for (int64_t x = low[1]; x < high[1]; x++, any = true)
                out->reals[i] =
                    any ? eval_larger(out->reals[i], plane[y * in->dims[3] + x]) : plane[y * in->dims[3] + x];
    }
    return reason;
}
