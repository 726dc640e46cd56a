/* verify/measure.h: a pair on as many inputs as it takes. */
#ifndef VERIFY_MEASURE_H
#define VERIFY_MEASURE_H

#include "verify/state.h"

/* Elements of all sources as the models declare them, or -1. What is left open, such as the batch, is
 * drawn: a few. */
double cone_declared(const struct cone *cone);
/* A pair that agreed in `searching`: more trials, each on other numbers and another size. */
bool verify_confirm(struct verify *verify, struct cone *cone, const struct graph *graph, struct value *left,
                    struct value *right, const struct gap *first);
/* Keeps the first departure. */
void verify_depart(struct verify *verify, const struct value *left, const struct value *right, const struct gap *gap,
                   const struct joint_eval *joint);

/* Evaluates two values that should be equal on random inputs: some of them when `brief`, and then they
 * are not found to be equal. FOUND_NOTHING: they cannot be evaluated, or agree by chance perhaps. */
enum finding verify_measure(struct verify *verify, struct graph *graph, struct value *left, struct value *right,
                            bool brief);

#endif
