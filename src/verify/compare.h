/* verify/compare.h: compares one pair on one random input. */
#ifndef VERIFY_COMPARE_H
#define VERIFY_COMPARE_H

#include "verify/state.h"

/* Fraction of a difference: if one sample of the noise leaves more, further samples will not explain the rest. */
#define NOISE_UNMOVED 0.99

/* The tolerance, by type or by --rtol. */
double verify_tolerance(const struct verify *verify, int32_t type);
/* The tolerance within which a pair counts as equal. It is stricter behind values that differ, because random
 * numbers may hide differences there. */
double verify_strict_tolerance(const struct verify *verify, int32_t type);
/* Integers must be equal, unless --rtol is given. Differences up to --atol are accepted. */
bool verify_within(const struct verify *verify, const struct gap *gap, double tolerance);
/* True if the difference exceeds --rtol times the largest element overall: rounding does not explain that. */
bool verify_is_beyond(const struct verify *verify, const struct gap *gap);
/* True for a ratio that a few more numbers will not explain: rounding did not change it in some runs. */
bool verify_is_plain(double ratio, double tolerance, int unmoved);
/* Keeps the first reason why a value could not be evaluated. */
void verify_note_blocker(struct verify *verify, const struct joint_eval *joint, const struct value *value,
                         const char *reason);
/* The kind of integers to try after `attempt` others, which some operator did not accept. INTEGERS_KINDS: no more.
 * Together, the trials use rows of tables and other numbers. */
enum integers verify_integers(const struct cone *cone, int trial, int attempt);
/* One evaluation of a pair on new numbers, at the first size from `size` on and with the first kind of integers that
 * the operators accept. `left` may be NULL: then `right` alone. Returns the reason why not. */
const char *verify_evaluate(struct verify *verify, struct joint_eval *joint, const struct cone *cone,
                            const struct graph *graph, struct value *left, struct value *right, int trial, int size);
/* Compares a pair on one random input of a size. A difference is evaluated once more, rounded after each op, because
 * a sum that cancels may differ by its rounding error. Returns the reason why not. */
const char *verify_compare(struct verify *verify, const struct cone *cone, const struct graph *graph,
                           struct value *left, struct value *right, int trial, int size, struct gap *gap);
/* The same on every row of the tables from which Gather selects rows by the cone's integers. */
const char *verify_compare_rows(struct verify *verify, const struct cone *cone, const struct graph *graph,
                                struct value *left, struct value *right, struct gap *gap);
/* The same with open axes as long as the longest constant that is cut to their length. */
const char *verify_compare_length(struct verify *verify, const struct cone *cone, const struct graph *graph,
                                  struct value *left, struct value *right, struct gap *gap);

#endif
