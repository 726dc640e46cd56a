/* equalize/flow.h: how each operator passes on the scales of its channels. */
#ifndef EQUALIZE_FLOW_H
#define EQUALIZE_FLOW_H

#include "equalize/classes.h"

/* Visits every present op of a graph: ties its inputs to its outputs, or ends and begins classes, or pins them with
 * the reason. */
void flow_through(struct classes *classes, struct graph *graph);
/* If an op that only pools or moves channels computes them, the channels of its input. NULL: another op computes
 * them. */
const struct channels *flow_only_source(const struct channels *channels);

#endif
