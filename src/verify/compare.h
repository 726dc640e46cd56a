/* verify/compare.h: one pair on one random input. */
#ifndef VERIFY_COMPARE_H
#define VERIFY_COMPARE_H

#include "verify/state.h"

/* A part of a difference: where one sample of the noise leaves more, further ones will not explain the rest. */
#define NOISE_UNMOVED 0.99

/* The largest relative difference, by type or by --rtol. */
double verify_tolerance(const struct verify *verify, int32_t type);
/* What a pair must keep to be taken for equal. Behind values that depart, where random numbers may
 * hide more than they show, it has to be clear. */
double verify_strict_tolerance(const struct verify *verify, int32_t type);
/* Integers are the same, unless someone asked for less. What is below --atol is no difference. */
bool verify_within(const struct verify *verify, const struct gap *gap, double tolerance);
/* True for what is further apart than --rtol of the largest element of all: no rounding excuses that. */
bool verify_is_beyond(const struct verify *verify, const struct gap *gap);
/* True for a ratio that few numbers more will not excuse: rounding left it as it was in some runs. */
bool verify_is_plain(double ratio, double tolerance, int unmoved);
/* Keeps the first reason why a value could not be evaluated. */
void verify_note_blocker(struct verify *verify, const struct joint_eval *joint, const struct value *value,
                         const char *reason);
/* The kind of integers to try after `attempt` others, which not every operator took. INTEGERS_KINDS: there
 * is none. Between them, the trials see rows of tables and numbers that are none. */
enum integers verify_integers(const struct cone *cone, int trial, int attempt);
/* One evaluation of a pair on fresh numbers, at the first size from `size` on and with the first kind of
 * integers that the operators accept. `left` may be NULL: then `right` alone. Returns the reason why
 * not. */
const char *verify_evaluate(struct verify *verify, struct joint_eval *joint, const struct cone *cone,
                            const struct graph *graph, struct value *left, struct value *right, int trial, int size);
/* Compares a pair on one random input of a size. What departs is evaluated once more, rounded after each
 * op: where a sum cancels, that much of a difference shows nothing. Returns the reason why not. */
const char *verify_compare(struct verify *verify, const struct cone *cone, const struct graph *graph,
                           struct value *left, struct value *right, int trial, int size, struct gap *gap);
/* The same on every row of the tables that Gather takes rows of by the cone's integers. */
const char *verify_compare_rows(struct verify *verify, const struct cone *cone, const struct graph *graph,
                                struct value *left, struct value *right, struct gap *gap);
/* The same where open axes are as long as the longest constant that is cut to their length. */
const char *verify_compare_length(struct verify *verify, const struct cone *cone, const struct graph *graph,
                                  struct value *left, struct value *right, struct gap *gap);

#endif
