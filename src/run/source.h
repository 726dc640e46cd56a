/* run/source.h: the model that a run reads. */
#ifndef RUN_SOURCE_H
#define RUN_SOURCE_H

#include "run/state.h"

/* Reads, indexes and infers shapes. Lands as model_load does. */
void run_load(struct run *run);

/* The index as the file has it. */
void run_reload(struct model *model);

#endif
