/* verify/measure.h: compares a pair on as many inputs as necessary. */
#ifndef VERIFY_MEASURE_H
#define VERIFY_MEASURE_H

#include "verify/state.h"

/* Elements of all sources at the declared sizes, or -1. Open sizes, such as the batch, are small random ones. */
double cone_declared(const struct cone *cone);
/* More trials of a pair that agreed in `searching`, each with other numbers and another size. */
bool verify_confirm(struct verify *verify, struct cone *cone, const struct graph *graph, struct value *left,
                    struct value *right, const struct gap *first);
/* Records the first difference. */
void verify_depart(struct verify *verify, const struct value *left, const struct value *right, const struct gap *gap,
                   const struct joint_eval *joint);

/* Evaluates two values that should be equal on random inputs, or only on some if `brief`, which never finds them
 * equal. FOUND_NOTHING: they cannot be evaluated, or may agree by chance. */
enum finding verify_measure(struct verify *verify, struct graph *graph, struct value *left, struct value *right,
                            bool brief);

#endif
