/* equalize/statistics.c: moments of activations, from the BatchNormalizations of the file. */
#include "equalize/statistics.h"

#include <math.h>

#include "affine/rows.h"
#include "base/real.h"
#include "fuse/lift.h"
#include "infer/operand.h"
#include "model/model.h"

enum { DEVIATIONS = 4, DEPTH = 64 };

const struct moments moments_unknown = {.deviation = (double)NAN};

bool moments_known(struct moments x)
{
    return isfinite(x.deviation) && isfinite(x.mean);
}

double moments_second(struct moments x)
{
    return x.mean * x.mean + x.deviation * x.deviation;
}

double moments_range(struct moments x)
{
    return fmax(fabs(x.low), fabs(x.high));
}

struct moments moments_normal(double mean, double deviation)
{
    return (struct moments){mean, deviation, mean - DEVIATIONS * deviation, mean + DEVIATIONS * deviation};
}

struct moments moments_add(struct moments x, struct moments y)
{
    return (struct moments){x.mean + y.mean, x.deviation + y.deviation, x.low + y.low, x.high + y.high};
}

struct moments moments_scale_shift(struct moments x, double scale, double shift)
{
    double low = scale * x.low + shift, high = scale * x.high + shift;
    return (struct moments){scale * x.mean + shift, fabs(scale) * x.deviation, fmin(low, high), fmax(low, high)};
}

struct moments moments_slope(struct moments x, double slope)
{
    static const double root_two = 1.4142135623730951, root_two_pi = 2.5066282746310002;
    double m = x.mean, d = x.deviation;
    double z = d > 0 ? m / d : m > 0 ? (double)INFINITY : -(double)INFINITY;
    /* Of max(x, 0), the clipped normal: mean and second moment. */
    double below = real_erfc(z / root_two) / 2, density = real_exp(-z * z / 2) / root_two_pi;
    double mean = m * (1 - below) + d * density;
    double second = (m * m + d * d) * (1 - below) + m * d * density;
    /* Of max(-x, 0): what is left. */
    double mean_below = fmax(mean - m, 0), second_below = fmax(m * m + d * d - second, 0);
    double all = mean - slope * mean_below;
    double low = x.low < 0 ? slope * x.low : x.low, high = fmax(x.high, 0);
    return (struct moments){all, sqrt(fmax(second + slope * slope * second_below - all * all, 0)),
                            fmin(low, x.high < 0  ? slope * x.high
                                      : x.low < 0 ? 0
                                                  : low),
                            fmax(low, high)};
}

struct moments moments_max(struct moments x, struct moments y)
{
    if (!moments_known(x) || !moments_known(y))
        return moments_unknown;
    return (struct moments){fmax(x.mean, y.mean), fmax(x.deviation, y.deviation), fmax(x.low, y.low),
                            fmax(x.high, y.high)};
}

struct moments moments_min(struct moments x, struct moments y)
{
    if (!moments_known(x) || !moments_known(y))
        return moments_unknown;
    return (struct moments){fmin(x.mean, y.mean), fmax(x.deviation, y.deviation), fmin(x.low, y.low),
                            fmin(x.high, y.high)};
}

struct measured *measured_new(struct arena *arena, int64_t count)
{
    struct measured *measured = NEW(arena, struct measured);
    measured->count = count;
    measured->moments = NEW_ARRAY(arena, struct moments, count + 1);
    return measured;
}

const char *measured_reason(const struct measured *measured)
{
    for (int64_t c = 0; c < measured->count; c++) {
        struct moments x = measured->moments[c];
        if (!isfinite(x.mean) || !isfinite(x.deviation) || !isfinite(x.low) || !isfinite(x.high))
            return "a number is not finite";
        if (x.deviation < 0)
            return "a deviation is negative";
        if (x.low > x.high)
            return "a low is above its high";
    }
    return NULL;
}

/* ---- the file ---- */

static bool of_normalization(struct node *node, int64_t count, struct moments *moments)
{
    struct arena *arena = node->graph->model->arena;
    const double *gamma, *beta;
    if (operand_vector(arena, node_input(node, 1), "scale", count, &gamma, NULL) ||
        operand_vector(arena, node_input(node, 2), "B", count, &beta, NULL))
        return false;
    for (int64_t c = 0; c < count; c++)
        moments[c] = moments_normal(beta[c], fabs(gamma[c]));
    return true;
}

struct walk {
    bool (*known)(void *closure, const struct value *value, int64_t count, struct moments *moments);
    void *closure;
    int64_t count;
};

static bool of_value(const struct walk *walk, struct value *value, int depth, struct moments *moments);

static bool of_terms(const struct walk *walk, const struct step *step, int depth, struct moments *moments)
{
    struct arena *arena = step->terms[0].value->graph->model->arena;
    struct moments *term = NEW_ARRAY(arena, struct moments, walk->count);
    for (size_t k = 0; k < step->term_count; k++) {
        if (!of_value(walk, step->terms[k].value, depth + 1, term))
            return false;
        for (int64_t c = 0; c < walk->count; c++) {
            struct moments x = moments_scale_shift(term[c], step->terms[k].factor, 0);
            moments[c] = k ? moments_add(moments[c], x) : x;
        }
    }
    return true;
}

/* One op back. A channel by itself, scaled and shifted, or a sum. */
static bool of_node(const struct walk *walk, struct node *node, int depth, struct moments *moments)
{
    struct arena *arena = node->graph->model->arena;
    const struct value *output = node->outputs[0];
    const struct step *step = lift_node(node, output && output->rank == 2 ? LAYOUT_MATRIX : LAYOUT_CONV);
    if (depth > DEPTH || step->reason)
        return false;
    /* One that stays is scaled itself: who comes again would find other statistics than are true. */
    if (node->op == OP_BatchNormalization && node->removed)
        return of_normalization(node, walk->count, moments);
    if (step->term_count)
        return of_terms(walk, step, depth, moments);
    if (!step->input || !affine_is_diagonal(step->form) || !affine_is_pointwise(step->form) ||
        (step->form->outputs && step->form->outputs != walk->count) || !of_value(walk, step->input, depth + 1, moments))
        return false;
    double *scale = NEW_ARRAY(arena, double, walk->count);
    if (!affine_rows(step->form, NULL, walk->count, 0, walk->count, scale))
        return false;
    const double *shift = affine_bias(arena, step->form, walk->count);
    for (int64_t c = 0; c < walk->count; c++)
        moments[c] = moments_scale_shift(moments[c], scale[c], shift ? shift[c] : 0);
    return true;
}

static bool of_value(const struct walk *walk, struct value *value, int depth, struct moments *moments)
{
    if (walk->known(walk->closure, value, walk->count, moments))
        return true;
    struct node *node = value->first_producer;
    return node && node_output(node, 0) == value && of_node(walk, node, depth, moments);
}

bool statistics_of_file(struct value *value, int64_t count,
                        bool (*known)(void *closure, const struct value *value, int64_t count, struct moments *moments),
                        void *closure, struct moments *moments)
{
    struct walk walk = {known, closure, count};
    return of_value(&walk, value, 0, moments);
}
