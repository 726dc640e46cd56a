/* verify/whole.h: runs both whole models, from the graph's inputs to its outputs. */
#ifndef VERIFY_WHOLE_H
#define VERIFY_WHOLE_H

#include "verify/state.h"

/* If neither structure nor regions decide: evaluates both models on several inputs, at the declared sizes and random
 * open ones, equal for equal names. *inputs: their number. FOUND_DIFFERENT: outputs differ, and the first differing
 * value is recorded. FOUND_EQUAL: they agree on at least two inputs, and each has different elements. FOUND_NOTHING
 * with *reason: they cannot be evaluated, or not within the budget. */
enum finding verify_whole(struct verify *verify, struct graph *const graphs[2], int *inputs, const char **reason);

/* A quick run on one input, before a search for inner values. FOUND_EQUAL: outputs agree on it, which proves
 * nothing. FOUND_NOTHING: the models cannot be evaluated. */
enum finding verify_glance(struct verify *verify, struct graph *const graphs[2]);

/* If all regions are equal within a wide tolerance: true if their differences add up to more than that in an output,
 * relative to its largest element. Evaluates two inputs; false if that is impossible. */
bool verify_adds_up(struct verify *verify, struct graph *const graphs[2]);

/* Runs both whole models on the caller's inputs, with random numbers for missing ones. FOUND_NOTHING and *reason:
 * they cannot be evaluated. */
enum finding verify_given(struct verify *verify, struct graph *const graphs[2], const char **reason);

/* The differences of values with the same name that are not equal by structure, on one input. Fills result->layers,
 * or layers_reason. */
void verify_layers(struct verify *verify, struct graph *const graphs[2]);

#endif
