/* equalize/flow.h: what each operator does to the scales of its channels. */
#ifndef EQUALIZE_FLOW_H
#define EQUALIZE_FLOW_H

#include "equalize/classes.h"

/* Looks at every op of a graph that is in force: ties what it reads to what it makes, or ends and begins classes, or pins
 * them with the reason. */
void flow_through(struct classes *classes, struct graph *graph);
/* The channels that an op which only pools or moves them read, where these are what it made. NULL: another op made them. */
const struct channels *flow_only_source(const struct channels *channels);

#endif
