/* eval/spectrum.c: DFT, STFT, the windows and MelWeightMatrix. Transforms are sums as they are written down. */
#include "eval/spectrum.h"

#include <math.h>

#include "base/real.h"
#include "eval/move.h"

#define PI 3.141592653589793

/* A single number of an input; `otherwise` where it is left out. */
static const char *read_integer(struct evaluation *e, size_t index, int64_t otherwise, int64_t *value)
{
    const struct array *in = eval_input(e, index);
    *value = otherwise;
    if (!in)
        return NULL;
    if (!array_is_whole(in) || in->count != 1)
        return arena_format(e->arena, "input %zu is not a single integer", index);
    *value = in->integers[0];
    return NULL;
}

/* A transform of `length` complex numbers along lines that are `step` numbers apart. */
struct transform {
    int64_t length;  /* 0 stands where there are fewer */
    int64_t given;   /* of which are read */
    int64_t results; /* of which are written */
    bool inverse;
    bool halved;                   /* the inverse of one half: the other mirrors it, and the result is real */
    const double *cosines, *sines; /* of a turn in `length` parts */
};

static const char *make_transform(struct evaluation *e, struct transform *t)
{
    struct array *cosines, *sines;
    const char *reason =
        array_make(e->arena, e->pool, e->limit, ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE, 1, &t->length, &cosines);
    if (!reason)
        reason = array_make(e->arena, e->pool, e->limit, ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE, 1, &t->length, &sines);
    for (int64_t i = 0; !reason && i < t->length; i++) {
        cosines->reals[i] = cos(2 * PI * (double)i / (double)t->length);
        sines->reals[i] = sin(2 * PI * (double)i / (double)t->length);
    }
    if (!reason) {
        t->cosines = cosines->reals;
        t->sines = sines->reals;
    }
    return reason;
}

/* One line. parts: numbers of an element, 1 (real) or 2. weights: of the elements, or NULL. */
static void transform_line(const struct transform *t, const double *in, int64_t step, int parts, const double *weights,
                           double *out, int64_t out_step)
{
    int64_t half = t->length / 2;
    for (int64_t k = 0; k < t->results; k++) {
        double real = 0, imaginary = 0;
        int64_t turn = 0; /* k * n of the length */
        for (int64_t n = 0; n < t->given; n++, turn = (turn + k) % t->length) {
            double weight = weights ? weights[n] : 1;
            double a = weight * in[n * step], b = parts > 1 ? weight * in[n * step + 1] : 0;
            double sine = t->inverse ? t->sines[turn] : -t->sines[turn];
            if (t->halved && n > half)
                break;
            /* Each represents its mirror image too, except the first and the middle one. */
            double times = t->halved && n > 0 && 2 * n != t->length ? 2 : 1;
            real += times * (a * t->cosines[turn] - b * sine);
            imaginary += a * sine + b * t->cosines[turn];
        }
        double share = t->inverse ? 1 / (double)t->length : 1;
        out[k * out_step] = real * share;
        if (!t->halved)
            out[k * out_step + 1] = imaginary * share;
    }
}

const char *eval_dft(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    struct transform t = {.inverse = node_integer(e->node, "inverse", 0) != 0};
    bool onesided = node_integer(e->node, "onesided", 0) != 0;
    int64_t axis = node_integer(e->node, "axis", 1);
    const char *reason = e->node->opset < 20 ? NULL : read_integer(e, 2, -2, &axis);
    if (reason)
        return reason;
    axis += axis < 0 ? in->rank : 0;
    if (!array_is_real(in) || in->rank < 2 || axis < 0 || axis >= in->rank - 1 || in->dims[in->rank - 1] < 1 ||
        in->dims[in->rank - 1] > 2)
        return arena_format(e->arena, "a signal of shape %s, axis %lld", array_shape(e->arena, in), (long long)axis);
    t.halved = t.inverse && onesided;
    int64_t extent = in->dims[axis], parts = in->dims[in->rank - 1];
    reason = read_integer(e, 1, t.halved && extent > 0 ? 2 * (extent - 1) : extent, &t.length);
    if (!reason && (t.length < 1 || t.length > e->limit))
        reason = arena_format(e->arena, "a length of %lld", (long long)t.length);
    if (reason)
        return reason;
    t.given = extent < t.length ? extent : t.length;
    t.results = onesided && !t.inverse ? t.length / 2 + 1 : t.length;
    int64_t dims[EVAL_RANK];
    memcpy(dims, in->dims, sizeof(dims));
    dims[axis] = t.results;
    dims[in->rank - 1] = t.halved ? 1 : 2;
    struct array *out;
    reason = eval_result(e, in->type, in->rank, dims, &out);
    if (!reason)
        reason = eval_check_products(e, out->count, t.given, 4);
    if (!reason)
        reason = make_transform(e, &t);
    if (reason || out->count == 0)
        return reason;
    int64_t inner = eval_extent(dims, (int)axis + 1, in->rank - 1);
    int64_t lines = out->count / (t.results * dims[in->rank - 1]);
    for (int64_t n = 0; n < lines; n++)
        transform_line(&t, in->reals + (n / inner * extent * inner + n % inner) * parts, inner * parts, (int)parts,
                       NULL, out->reals + (n / inner * t.results * inner + n % inner) * dims[in->rank - 1],
                       inner * dims[in->rank - 1]);
    return NULL;
}

const char *eval_stft(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *window = eval_input(e, 2);
    bool onesided = node_integer(e->node, "onesided", 1) != 0;
    struct transform t = {.inverse = false};
    int64_t frame_step;
    if (!array_is_real(in) || in->rank < 2 || in->rank > 3 || (in->rank == 3 && (in->dims[2] < 1 || in->dims[2] > 2)) ||
        (window && (!array_is_real(window) || window->rank != 1)))
        return arena_format(e->arena, "a signal of shape %s", array_shape(e->arena, in));
    int64_t parts = in->rank == 3 ? in->dims[2] : 1;
    const char *reason = read_integer(e, 1, 0, &frame_step);
    if (!reason)
        reason = read_integer(e, 3, window ? window->dims[0] : in->dims[1], &t.length);
    if (!reason && (frame_step < 1 || t.length < 1 || t.length > in->dims[1] || (window && window->count != t.length)))
        reason = arena_format(e->arena, "frames of %lld, %lld apart, of a signal of %lld", (long long)t.length,
                              (long long)frame_step, (long long)in->dims[1]);
    if (reason)
        return reason;
    t.given = t.length;
    t.results = onesided ? t.length / 2 + 1 : t.length;
    int64_t dims[] = {in->dims[0], (in->dims[1] - t.length) / frame_step + 1, t.results, 2};
    struct array *out;
    reason = eval_result(e, in->type, 4, dims, &out);
    if (!reason)
        reason = eval_check_products(e, out->count, t.length, 4);
    if (!reason)
        reason = make_transform(e, &t);
    for (int64_t n = 0; !reason && out->count && n < dims[0] * dims[1]; n++) {
        int64_t batch = n / dims[1], frame = n % dims[1];
        transform_line(&t, in->reals + (batch * in->dims[1] + frame * frame_step) * parts, parts, (int)parts,
                       window ? window->reals : NULL, out->reals + n * t.results * 2, 2);
    }
    return reason;
}

const char *eval_window(struct evaluation *e)
{
    int64_t size, type = node_integer(e->node, "output_datatype", 1);
    struct array *out;
    const char *reason = read_integer(e, 0, 0, &size);
    if (reason)
        return reason;
    int64_t parts = node_integer(e->node, "periodic", 1) != 0 ? size : size - 1;
    if (size < 0 || (size > 0 && parts < 1) || type < 1 || type > INT32_MAX || !type_is_real((int32_t)type))
        return arena_format(e->arena, "a window of %lld", (long long)size);
    reason = eval_result(e, (int32_t)type, 1, &size, &out);
    for (int64_t i = 0; !reason && i < size; i++) {
        double at = 2 * PI * (double)i / (double)parts;
        out->reals[i] = e->node->op == OP_HannWindow      ? sin(at / 2) * sin(at / 2)
                        : e->node->op == OP_HammingWindow ? 25.0 / 46 - 21.0 / 46 * cos(at)
                                                          : 0.42 - 0.5 * cos(at) + 0.08 * cos(2 * at);
    }
    return reason;
}

static double mel_of(double hertz)
{
    return 2595 * real_log10(1 + hertz / 700);
}

static double hertz_of(double mel)
{
    return 700 * (real_pow(10, mel / 2595) - 1);
}

const char *eval_mel_weight_matrix(struct evaluation *e)
{
    int64_t bands = 0, length = 0, rate = 0, type = node_integer(e->node, "output_datatype", 1);
    const struct array *lower = e->inputs[3], *upper = e->inputs[4];
    const char *reason = read_integer(e, 0, 0, &bands);
    if (!reason)
        reason = read_integer(e, 1, 0, &length);
    if (!reason)
        reason = read_integer(e, 2, 0, &rate);
    if (!reason &&
        (!array_is_real(lower) || lower->count != 1 || !array_is_real(upper) || upper->count != 1 || bands < 0 ||
         length < 0 || rate < 1 || type < 1 || type > INT32_MAX || !type_is_real((int32_t)type)))
        reason = "bands, a length, a rate or edges that are none";
    if (reason)
        return reason;
    int64_t dims[] = {length / 2 + 1, bands};
    struct array *out;
    reason = eval_result(e, (int32_t)type, 2, dims, &out);
    if (reason || bands == 0)
        return reason;
    double low = mel_of(lower->reals[0]);
    double step = (mel_of(upper->reals[0]) - low) / ((double)bands + 2);
    for (int64_t i = 0; i < bands; i++) {
        int64_t edges[3]; /* where the triangle begins, peaks and ends */
        for (int k = 0; k < 3; k++) {
            double edge = floor(((double)length + 1) * hertz_of(low + (double)(i + k) * step) / (double)rate);
            if (!(edge >= 0 && edge <= (double)dims[0]) || (k < 2 && edge == (double)dims[0]))
                return "an edge beyond the spectrum";
            edges[k] = (int64_t)edge;
        }
        int64_t rise = edges[1] - edges[0], fall = edges[2] - edges[1];
        for (int64_t j = edges[0]; rise > 0 && j <= edges[1]; j++)
            out->reals[j * bands + i] = (double)(j - edges[0]) / (double)rise;
        for (int64_t j = edges[1]; fall > 0 && j < edges[2]; j++)
            out->reals[j * bands + i] = (double)(edges[2] - j) / (double)fall;
        if (rise == 0)
            out->reals[edges[1] * bands + i] = 1;
    }
    return NULL;
}
