/* verify/whole.h: both models as they run, from the graph's inputs to its outputs. */
#ifndef VERIFY_WHOLE_H
#define VERIFY_WHOLE_H

#include "verify/state.h"

/* Where neither structure nor regions decide: evaluates both models on several inputs, of the sizes they declare,
 * sizes left open drawn by name. *inputs: on how many. FOUND_DIFFERENT: outputs differ, and
 * the first value that departs is noted. FOUND_EQUAL: they agree on all of at least two inputs, and none is alike in all its
 * elements throughout. FOUND_NOTHING with *reason: they cannot be evaluated, or not with what evaluation may cost. */
enum finding verify_whole(struct verify *verify, struct graph *const graphs[2], int *inputs, const char **reason);

/* A quick look at one input, before values in between are searched for. FOUND_EQUAL: outputs agree on it, which proves
 * nothing. FOUND_NOTHING: the models cannot be evaluated. */
enum finding verify_glance(struct verify *verify, struct graph *const graphs[2]);

/* Where all regions are equal, but only as far as a wide tolerance goes: true when what they leave adds up to more than
 * that in an output, beside its largest element. Two inputs are evaluated; where that cannot be done, false. */
bool verify_adds_up(struct verify *verify, struct graph *const graphs[2]);

/* Both whole models on what the caller gives; inputs that he leaves out are drawn. FOUND_NOTHING, and *reason: they are not
 * evaluated. */
enum finding verify_given(struct verify *verify, struct graph *const graphs[2], const char **reason);

/* How far values of one name are apart, which structure does not tell to be equal: one input, values in between as they
 * come. Fills result->layers, or layers_reason. */
void verify_layers(struct verify *verify, struct graph *const graphs[2]);

#endif
