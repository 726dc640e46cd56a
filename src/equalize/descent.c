/* equalize/descent.c: coordinate descent over integers. */
#include "equalize/descent.h"

#include <math.h>

enum { SWEEPS = 3 };
/* What is gained by less is rounding. */
#define LEAST_GAIN 1e-9

/* Goes on in one direction while that pays. */
static bool step_along(struct objective *objective, size_t class, int step, double least)
{
    bool moved = false;
    for (;;) {
        int next = objective->exponents[class] + step;
        if (next > EXPONENT_MOST || next < -EXPONENT_MOST ||
            !(objective_change(objective, class, next) < -least))
            return moved;
        objective_set(objective, class, next);
        moved = true;
    }
}

static double descend_from(struct objective *objective, const int *start)
{
    for (size_t c = 0; c < objective->class_count; c++)
        objective->exponents[c] = c ? start[c] : 0;
    double noise = objective_at(objective);
    for (int sweep = 0; sweep < SWEEPS; sweep++) {
        bool moved = false;
        for (size_t c = 1; c < objective->class_count; c++)
            moved = step_along(objective, c, 1, noise * LEAST_GAIN) ||
                    step_along(objective, c, -1, noise * LEAST_GAIN) || moved;
        noise = objective_at(objective);
        if (!moved)
            break;
    }
    return noise;
}

double descend(struct objective *objective, int *const *starts, size_t start_count,
               bool (*allowed)(void *closure, const int *exponents), void *closure)
{
    double best = (double)INFINITY;
    size_t count = objective->class_count;
    int *found = starts[0]; /* what was started from is of no more use */
    for (size_t s = 0; s < start_count; s++) {
        double noise = descend_from(objective, starts[s]);
        if (!(noise < best * (1 - LEAST_GAIN)) || !allowed(closure, objective->exponents))
            continue;
        best = noise;
        memcpy(found, objective->exponents, count * sizeof(*found));
    }
    if (isfinite(best))
        memcpy(objective->exponents, found, count * sizeof(*found));
    return best;
}
