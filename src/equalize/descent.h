/* equalize/descent.h: integer exponents that make the objective small. */
#ifndef EQUALIZE_DESCENT_H
#define EQUALIZE_DESCENT_H

#include "equalize/objective.h"
#include "equalize/spread.h"

/* Descends from each of `starts`, class_count exponents each, one class after another, at most three sweeps, and
 * leaves the best in objective->exponents. Class 0 never changes. Of equals the earlier start wins. guard: for
 * objective->exponents; once a descent satisfies it, it continues to. Returns the noise, INFINITY if no descent
 * satisfies the guard. */
double descend(struct objective *objective, int *const *starts, size_t start_count, struct spreads *guard);

#endif
