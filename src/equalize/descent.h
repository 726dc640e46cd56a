/* equalize/descent.h: integer exponents that make the objective small. */
#ifndef EQUALIZE_DESCENT_H
#define EQUALIZE_DESCENT_H

#include "equalize/objective.h"
#include "equalize/spread.h"

/* Descends from each of `starts`, class_count exponents each, one class after another, three sweeps at most, and leaves the
 * best in objective->exponents. Class 0 never changes. Of equals the earlier start wins.
 * guard: of objective->exponents; what it allows is not left again. Returns the noise, INFINITY where no descent ends within
 * it. */
double descend(struct objective *objective, int *const *starts, size_t start_count, struct spreads *guard);

#endif
