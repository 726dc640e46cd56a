/* equalize/solve.c: one group after another, until nothing gains enough. */
#include "equalize/solve.h"

#include <math.h>

#include "base/decimal.h"
#include "base/real.h"
#include "equalize/descent.h"
#include "equalize/pins.h"
#include "equalize/problem.h"
#include "equalize/ranges.h"
#include "equalize/spread.h"

enum { SWEEPS = 16, ROUNDS = 16 };
#define LEAST_GAIN 1.0 /* dB, of the whole network */
#define LEAST_STEP 0.2 /* dB, of one group */

/* The largest range of an activation over the median does not grow, or powers of two can do no better: it is under 2. */
static void set_guard(struct problem *p)
{
    struct equalization *e = p->e;
    spreads_begin(&p->guard);
    for (size_t i = 0; i < p->group->behind.count; i++) {
        const struct channels *channels = p->group->behind.items[i]->input;
        spreads_value(&p->guard, e->arena, fmax(spread_of(e, channels, p->now) * (1 + 1e-9), 2));
        for (int64_t c = 0; c < channels->count; c++)
            spreads_place(&p->guard, e->arena, e->ids[root_of(e, channels, c)], range_of_channel(e, channels, c));
    }
    spreads_ready(&p->guard, e->arena, p->objective.class_count, p->objective.exponents);
}

static void take_over(struct problem *p)
{
    for (size_t c = 1; c < p->objective.class_count; c++)
        class_at(p->e, p->roots[c])->exponent = p->objective.exponents[c];
    group_disturb(p->e, p->group);
}

static double decibels_between(double before, double after)
{
    return before > 0 && after > 0 ? 10 * real_log10(before / after) : 0;
}

/* Takes what gains enough over what is there, the other groups as they are. False: nothing does. */
static bool solve(struct equalization *e, struct group *group)
{
    struct problem *p = problem_of(e, group);
    group->waits = false;
    problem_find_starts(p);
    set_guard(p);
    double before = problem_noise(p, p->now);
    double after = descend(&p->objective, p->starts, STARTS, &p->guard);
    double gain = isfinite(after) ? decibels_between(before, after + p->constant) : 0;
    if (gain < LEAST_STEP) {
        group->reason = "its channels have similar ranges already, so nothing is gained";
        return false;
    }
    take_over(p);
    return true;
}

/* Until nothing gains enough: then it gains nothing for who comes again either. */
static void solve_all(struct equalization *e)
{
    bool moved = true;
    for (size_t i = 0; i < e->groups.count; i++)
        group_clear(e, e->groups.items[i]);
    for (int sweep = 0; moved && sweep < SWEEPS; sweep++) {
        moved = false;
        for (size_t i = 0; i < e->groups.count; i++)
            if (e->groups.items[i]->waits && group_is_free(e, e->groups.items[i]))
                moved = solve(e, e->groups.items[i]) || moved;
    }
}

/* The noise of all groups with the present exponents. */
static void weigh_all(struct equalization *e)
{
    for (size_t i = 0; i < e->groups.count; i++) {
        struct group *group = e->groups.items[i];
        if (!group_is_weighed(e, group))
            continue;
        struct problem *p = problem_of(e, group);
        group->noise = problem_noise(p, p->now);
    }
}

/* Tiny gains are not worth a change. */
static void drop_little(struct equalization *e)
{
    double before = 0, after = 0;
    weigh_all(e);
    for (size_t i = 0; i < e->groups.count; i++) {
        const struct group *group = e->groups.items[i];
        before += group_is_weighed(e, group) ? group->noise_before : 0;
        after += group_is_weighed(e, group) ? group->noise : 0;
    }
    double gain = decibels_between(before, after);
    if (gain >= LEAST_GAIN)
        return;
    for (size_t i = 0; i < e->groups.count; i++) {
        struct group *group = e->groups.items[i];
        if (group_is_moved(e, group))
            group->reason = arena_format(e->arena, "the predicted gain over all values is %s dB, less than 1",
                                         decimal_rounded(fmax(gain, 0), 2).text);
        group_clear(e, group);
        group->noise = group->noise_before;
    }
}

void solve_groups(struct equalization *e)
{
    for (size_t i = 0; i < e->groups.count; i++)
        if (group_is_free(e, e->groups.items[i]))
            pin_channels(e, e->groups.items[i]);
    weigh_all(e);
    for (size_t i = 0; i < e->groups.count; i++)
        e->groups.items[i]->noise_before = e->groups.items[i]->noise;
    for (int round = 0; round < ROUNDS; round++) {
        solve_all(e);
        if (!pin_inexact(e))
            break;
        if (round == ROUNDS - 1) /* nothing is changed rather than something that is not exact */
            for (size_t i = 0; i < e->groups.count; i++)
                group_clear(e, e->groups.items[i]);
    }
    drop_little(e);
}
