/* equalize/statistics.h: statistics of an activation's channels, from BatchNormalizations.
 *
 * BatchNormalization gives each channel the mean beta and the deviation |gamma| over the training images. For a sum,
 * deviations add, because branches with one source are not independent. */
#ifndef EQUALIZE_STATISTICS_H
#define EQUALIZE_STATISTICS_H

#include "model/graph.h"

struct moments {
    double mean, deviation; /* deviation NaN: not known */
    double low, high;       /* range of nearly all numbers: four deviations around the mean */
};

extern const struct moments moments_unknown;

bool moments_known(struct moments x);
/* Of the square: mean^2 + deviation^2. */
double moments_second(struct moments x);
/* The largest absolute number. */
double moments_range(struct moments x);

struct moments moments_normal(double mean, double deviation);
struct moments moments_add(struct moments x, struct moments y);
struct moments moments_scale_shift(struct moments x, double scale, double shift);
/* x if it is positive, otherwise slope * x, for a normal x: Relu (0), LeakyRelu, PRelu, Abs (-1). */
struct moments moments_slope(struct moments x, double slope);
/* The larger of two, or the smaller. */
struct moments moments_max(struct moments x, struct moments y);
struct moments moments_min(struct moments x, struct moments y);

/* Measured statistics of a value. */
struct measured {
    int64_t count;
    struct moments *moments;
};

struct measured *measured_new(struct arena *arena, int64_t count);
/* Why the statistics are invalid: a number that is not finite, a negative deviation, a low above its high. */
const char *measured_reason(const struct measured *measured);

/* What the file says of a value: walks its ops back through sums and per-channel ops to BatchNormalizations that
 * were folded, and to
 * values that `known` tells of, which writes `count` moments and returns true. moments: `count` of them. False:
 * the file does not say. */
bool statistics_of_file(struct value *value, int64_t count,
                        bool (*known)(void *closure, const struct value *value, int64_t count, struct moments *moments),
                        void *closure, struct moments *moments);

#endif
