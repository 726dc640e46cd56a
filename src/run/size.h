/* run/size.h: divides the output between the model and its data file. */
#ifndef RUN_SIZE_H
#define RUN_SIZE_H

#include "run/state.h"
#include "write/emit.h"

/* Bytes of the model's external data files. */
uint64_t run_external_bytes(const struct model *model);

/* Lays out the output. Returns the name of the data file in the model, or NULL. */
const char *run_plan_bytes(struct run *run, struct pieces *pieces, struct pieces *data);

/* Bytes of these pieces that are copied from the input. */
uint64_t run_copied_bytes(const struct pieces *pieces);

#endif
