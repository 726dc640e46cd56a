/* test_equalize.c: the objective against its formula, the descent against all exponents there are, moments against numbers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "equalize/descent.h"
#include "equalize/ranges.h"
#include "equalize/statistics.h"
#include "equalize/weight.h"
#include "unit.h"

/* ---- the objective ---- */

enum { CLASSES = 4, GRIDS = 3, MARKS = 40 };

struct drawn {
    struct mark marks[MARKS];
    int directions[GRIDS];
};

static void draw(struct unit *unit, struct drawn *drawn, struct objective *objective)
{
    objective_begin(objective, CLASSES, GRIDS);
    for (size_t g = 0; g < GRIDS; g++)
        objective->grids[g].direction = drawn->directions[g] = g == 1 ? 1 : -1;
    for (size_t i = 0; i < MARKS; i++) {
        struct mark *mark = &drawn->marks[i];
        mark->grid = i * GRIDS / MARKS;
        mark->class = (size_t)unit_integer(&unit->state, 0, CLASSES - 1);
        mark->range = ldexp(fabs(unit_number(&unit->state)), (int)unit_integer(&unit->state, -4, 4));
        mark->weight = ldexp(fabs(unit_number(&unit->state)), (int)unit_integer(&unit->state, -4, 4));
        objective_mark(objective, mark->class, mark->grid, mark->range, mark->weight);
    }
    objective_ready(objective);
}

/* sum over grids of (largest range / 127)^2 * sum of weights, from the marks as they were drawn. */
static double by_formula(const struct drawn *drawn, const int *exponents)
{
    double noise = 0;
    for (size_t g = 0; g < GRIDS; g++) {
        double largest = 0, sum = 0;
        for (size_t i = 0; i < MARKS; i++) {
            const struct mark *mark = &drawn->marks[i];
            double s = exp2(drawn->directions[g] * exponents[mark->class]);
            if (mark->grid != g)
                continue;
            largest = fmax(largest, mark->range * s);
            sum += mark->weight / (s * s);
        }
        noise += largest / 127 * (largest / 127) * sum;
    }
    return noise;
}

static bool is_near(double a, double b)
{
    return fabs(a - b) <= 1e-12 * (fabs(a) + fabs(b));
}

static void the_objective_is_its_formula(struct unit *unit)
{
    struct objective objective;
    struct drawn drawn;
    bool holds = true, follows = true;
    objective_init(&objective, &unit->arena, CLASSES, GRIDS);
    for (int time = 0; time < 200; time++) {
        draw(unit, &drawn, &objective);
        for (size_t c = 0; c < CLASSES; c++)
            objective.exponents[c] = c ? (int)unit_integer(&unit->state, -3, 3) : 0;
        double now = objective_at(&objective);
        holds = holds && is_near(now, by_formula(&drawn, objective.exponents));
        for (int step = 0; step < 20; step++) {
            size_t class = (size_t)unit_integer(&unit->state, 1, CLASSES - 1);
            int exponent = (int)unit_integer(&unit->state, -3, 3);
            double change = objective_change(&objective, class, exponent);
            double before = by_formula(&drawn, objective.exponents);
            objective_set(&objective, class, exponent);
            double after = by_formula(&drawn, objective.exponents);
            follows = follows && fabs(before + change - after) <= 1e-9 * (before + after);
        }
    }
    expect(holds, "the noise at any exponents is that of the formula");
    expect(follows, "and it follows one exponent after another");
}

/* The ranges of all classes are 1: they may lie so far apart. `fixed` are of class 0, which does not move. */
static struct spreads guard_of(struct unit *unit, const struct objective *objective, double limit, int fixed)
{
    struct spreads guard = {.exponents = NULL};
    spreads_value(&guard, &unit->arena, limit);
    for (size_t c = 1; c < CLASSES; c++)
        spreads_place(&guard, &unit->arena, c, 1);
    for (int i = 0; i < fixed; i++)
        spreads_place(&guard, &unit->arena, 0, 1);
    spreads_ready(&guard, &unit->arena, CLASSES, objective->exponents);
    return guard;
}

/* Counted anew, of one exponent after another: what the guard keeps up to date. */
static bool is_within(const struct spreads *guard, const int *exponents)
{
    double ranges[2 * CLASSES], largest = 0;
    size_t count = guard->places.count;
    for (size_t i = 0; i < count; i++) {
        const struct place *place = &guard->places.items[i];
        ranges[i] = ldexp(place->range, -exponents[place->class]);
        largest = fmax(largest, ranges[i]);
    }
    return largest <= guard->values.items[0].limit * median_of(ranges, count);
}

static void the_guard_follows(struct unit *unit)
{
    struct objective objective = {.exponents = (int[CLASSES]){0}};
    int wrong = 0, held = 0;
    for (int time = 0; time < 50; time++) {
        struct spreads guard = guard_of(unit, &objective, (double)unit_integer(&unit->state, 10, 80) / 10, time % 4);
        for (size_t i = 0; i < guard.places.count; i++)
            guard.places.items[i].range = (double)unit_integer(&unit->state, 10, 300) / 100;
        memset(objective.exponents, 0, CLASSES * sizeof(int));
        spreads_count(&guard);
        for (int step = 0; step < 40; step++) {
            size_t class = (size_t)unit_integer(&unit->state, 1, CLASSES - 1);
            objective.exponents[class] = (int)unit_integer(&unit->state, -2, 2);
            spreads_move(&guard, class);
            wrong += spreads_hold(&guard) != is_within(&guard, objective.exponents);
            held += spreads_hold(&guard);
        }
    }
    expect(!wrong && held > 200 && held < 1800, "the guard: %d of 2000 wrong, %d hold", wrong, held);
}

static void the_descent_finds_little_noise(struct unit *unit)
{
    struct objective objective;
    struct drawn drawn;
    int worse = 0, astray = 0;
    objective_init(&objective, &unit->arena, CLASSES, GRIDS);
    for (int time = 0; time < 50; time++) {
        draw(unit, &drawn, &objective);
        struct spreads free = guard_of(unit, &objective, 0x1p30, 0);
        struct spreads few = guard_of(unit, &objective, 2, CLASSES);
        int zero[CLASSES] = {0}, up[CLASSES] = {0, 2, -2, 1}, at[CLASSES] = {0};
        int *starts[] = {zero, up};
        double found = descend(&objective, starts, COUNT_OF(starts), &free);
        double least = (double)INFINITY, still = by_formula(&drawn, at);
        for (at[1] = -6; at[1] <= 6; at[1]++)
            for (at[2] = -6; at[2] <= 6; at[2]++)
                for (at[3] = -6; at[3] <= 6; at[3]++)
                    least = fmin(least, by_formula(&drawn, at));
        worse +=
            found > 2 * least || found > still * (1 + 1e-9) || !is_near(found, by_formula(&drawn, objective.exponents));
        starts[0] = at;
        memset(at, 0, sizeof(at));
        found = descend(&objective, starts, 1, &few);
        astray += !is_within(&few, objective.exponents) || !(found <= still * (1 + 1e-9));
    }
    expect(worse <= 2, "within 3 dB of the least there is, nearly always: %d of 50 are not", worse);
    expect(!astray, "from where it is allowed to be it stays so: %d of 50 do not", astray);
    int far[CLASSES] = {0, -12, -12, -12};
    int *starts[] = {far};
    struct spreads none = guard_of(unit, &objective, 1e-3, CLASSES);
    expect(isinf(descend(&objective, starts, 1, &none)), "nothing is found where nothing is allowed");
}

/* ---- the median ---- */

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void the_median_is_that_of_sorted_numbers(struct unit *unit)
{
    double numbers[40], sorted[40];
    bool holds = true;
    for (int time = 0; time < 2000; time++) {
        size_t count = (size_t)unit_integer(&unit->state, 1, 40);
        int64_t most = unit_integer(&unit->state, 0, 30); /* few: many are equal */
        for (size_t i = 0; i < count; i++)
            numbers[i] = sorted[i] = (double)unit_integer(&unit->state, 0, most);
        qsort(sorted, count, sizeof(*sorted), by_number);
        holds = holds && median_of(numbers, count) == sorted[count / 2];
    }
    expect(holds, "the median of any numbers, equal ones among them");
    for (size_t i = 0; i < 40; i++)
        numbers[i] = i % 3 ? (double)i : (double)NAN;
    median_of(numbers, 40);
    expect(true, "numbers that are none come to an end");
}

/* ---- moments ---- */

/* Of f(x), x normal, by sums over its density. */
static struct moments summed(double mean, double deviation, double slope)
{
    double first = 0, second = 0, all = 0;
    for (int i = -8000; i <= 8000; i++) {
        double z = i / 1000.0, x = mean + deviation * z, weight = exp(-z * z / 2);
        double y = x < 0 ? slope * x : x;
        all += weight;
        first += weight * y;
        second += weight * y * y;
    }
    first /= all;
    return (struct moments){first, sqrt(fmax(second / all - first * first, 0)), 0, 0};
}

static void moments_are_those_of_the_clipped_normal(struct unit *unit)
{
    static const double means[] = {-2, -0.5, 0, 0.75, 3}, slopes[] = {0, 0.25, -1, 1};
    bool holds = true;
    (void)unit;
    for (size_t i = 0; i < COUNT_OF(means); i++)
        for (size_t k = 0; k < COUNT_OF(slopes); k++) {
            struct moments x = moments_slope(moments_normal(means[i], 0.8), slopes[k]);
            struct moments y = summed(means[i], 0.8, slopes[k]);
            holds = holds && fabs(x.mean - y.mean) < 1e-4 && fabs(x.deviation - y.deviation) < 1e-4;
        }
    expect(holds, "mean and deviation behind Relu, LeakyRelu, Abs, nothing");
    struct moments cut = moments_slope(moments_normal(1, 0.5), 0);
    expect(cut.low == 0 && cut.high == 3, "a range of mean + 4 deviations, cut at 0");
    struct moments sum = moments_add(moments_normal(1, 2), moments_scale_shift(moments_normal(1, 3), -1, 4));
    expect(sum.mean == 4 && sum.deviation == 5, "deviations of branches add up, as bounds do");
    expect(!moments_known(moments_max(moments_unknown, cut)), "what is not known stays so");
}

/* ---- exactness ---- */

static void scales_that_are_exact(struct unit *unit)
{
    enum {
        FLOAT = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
        DOUBLE = ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE,
        BFLOAT16 = ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16
    };
    (void)unit;
    expect(scales_exactly(FLOAT, 0x1p-125, -1) && !scales_exactly(FLOAT, 0x1p-126, -1),
           "the least normal float is the last");
    expect(scales_exactly(FLOAT, 0x1p126, 1) && !scales_exactly(FLOAT, 0x1p127, 1), "so is the largest");
    expect(scales_exactly(DOUBLE, 0x1p-126, -12) && !scales_exactly(DOUBLE, 0x1p-1022, -1), "of double");
    expect(!scales_exactly(BFLOAT16, 0x1p-126, -1) && scales_exactly(BFLOAT16, 1.0078125, -12), "of bfloat16");
    expect(scales_exactly(FLOAT, 0, -12) && scales_exactly(FLOAT, 0x1p-140, 0), "0, and what is left alone");
}

int main(void)
{
    unit_run("objective", the_objective_is_its_formula);
    unit_run("guard", the_guard_follows);
    unit_run("descent", the_descent_finds_little_noise);
    unit_run("median", the_median_is_that_of_sorted_numbers);
    unit_run("moments", moments_are_those_of_the_clipped_normal);
    unit_run("exactness", scales_that_are_exact);
    return unit_finish();
}
