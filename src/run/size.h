/* run/size.h: what goes to the model and what to its data file. */
#ifndef RUN_SIZE_H
#define RUN_SIZE_H

#include "run/state.h"
#include "write/emit.h"

/* Bytes of the files beside the model that it names. */
uint64_t run_external_bytes(const struct model *model);

/* Lays out what will be written. Returns where the data file is, as the model names it, or NULL. */
const char *run_plan_bytes(struct run *run, struct pieces *pieces, struct pieces *data);

/* Bytes of these pieces that are taken from the input. */
uint64_t run_copied_bytes(const struct pieces *pieces);

#endif
