/* equalize/descent.h: integer exponents that make the objective small. */
#ifndef EQUALIZE_DESCENT_H
#define EQUALIZE_DESCENT_H

#include "equalize/objective.h"

/* Descends from each of `starts`, class_count exponents each, one class after another, three sweeps at most, and leaves the
 * best in objective->exponents. Class 0 never changes. Of equals the earlier start wins.
 * allowed: whether a result may be taken; what is allowed is not left again. Returns the noise, INFINITY where none may. */
double descend(struct objective *objective, int *const *starts, size_t start_count,
               bool (*allowed)(void *closure, const int *exponents), void *closure);

#endif
