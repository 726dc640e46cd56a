/* run/run.h: load, plan, check, write; and again without rewrites that failed. */
#ifndef RUN_RUN_H
#define RUN_RUN_H

#include "run/state.h"

/* The whole of it: load, plan, check, write, rename. */
void run_fuse(struct run *run);

#endif
