/* run/debug.h: internals of a run as text, for developers of passes. */
#ifndef RUN_DEBUG_H
#define RUN_DEBUG_H

#include "run/state.h"

/* Parses options.debug. Lands with ARGUMENT for an unknown name. */
void debug_begin(struct run *run);
/* Shows the finished plan. */
void debug_plan(struct run *run);

#endif
