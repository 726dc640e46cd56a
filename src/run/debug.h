/* run/debug.h: what a run looks at, as text, for whoever works on a pass. */
#ifndef RUN_DEBUG_H
#define RUN_DEBUG_H

#include "run/state.h"

/* What options.debug asks for. Lands with ARGUMENT where it names something else. */
void debug_begin(struct run *run);
/* The plan is made: what stands in it. */
void debug_plan(struct run *run);

#endif
