/* equalize/flow.h: what each operator does to the scales of its channels. */
#ifndef EQUALIZE_FLOW_H
#define EQUALIZE_FLOW_H

#include "equalize/classes.h"

/* Looks at every op of a graph that is in force: ties what it reads to what it makes, or ends and begins classes, or pins
 * them with the reason. */
void flow_through(struct classes *classes, struct graph *graph);

#endif
