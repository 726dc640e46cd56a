/* equalize/descent.c: coordinate descent over integers. */
#include "equalize/descent.h"

#include <math.h>

enum { SWEEPS = 3 };
/* Smaller gains are rounding errors. */
#define LEAST_GAIN 1e-9

/* One descent, which does not leave what is allowed once it is there. */
struct way {
    struct objective *objective;
    struct spreads *guard;
    bool is_allowed;
};

/* Goes on in one direction while that pays. */
static bool step_along(struct way *way, size_t class, int step, double least)
{
    struct objective *objective = way->objective;
    bool moved = false;
    for (;;) {
        int old = objective->exponents[class], next = old + step;
        if (next > EXPONENT_MOST || next < -EXPONENT_MOST || !(objective_change(objective, class, next) < -least))
            return moved;
        objective_set(objective, class, next);
        spreads_move(way->guard, class);
        bool allowed = spreads_hold(way->guard);
        if (way->is_allowed && !allowed) {
            objective_set(objective, class, old);
            spreads_move(way->guard, class);
            return moved;
        }
        way->is_allowed = allowed;
        moved = true;
    }
}

static double descend_from(struct way *way, const int *start)
{
    struct objective *objective = way->objective;
    for (size_t c = 0; c < objective->class_count; c++)
        objective->exponents[c] = c ? start[c] : 0;
    double noise = objective_at(objective);
    spreads_count(way->guard);
    way->is_allowed = spreads_hold(way->guard);
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        bool moved = false;
        for (size_t c = 1; c < objective->class_count; c++)
            moved = step_along(way, c, 1, noise * LEAST_GAIN) || step_along(way, c, -1, noise * LEAST_GAIN) || moved;
        noise = objective_at(objective);
        if (!moved)
            break;
    }
    return noise;
}

double descend(struct objective *objective, int *const *starts, size_t start_count, struct spreads *guard)
{
    double best = (double)INFINITY;
    size_t count = objective->class_count;
    int *found = starts[0]; /* what was started from is of no more use */
    struct way way = {objective, guard, false};
    for (size_t s = 0; s < start_count; s++) {
        double noise = descend_from(&way, starts[s]);
        if (!(noise < best * (1 - LEAST_GAIN)) || !way.is_allowed)
            continue;
        best = noise;
        memcpy(found, objective->exponents, count * sizeof(*found));
    }
    if (isfinite(best))
        memcpy(objective->exponents, found, count * sizeof(*found));
    return best;
}
