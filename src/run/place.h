/* run/place.h: where a run writes, without overwriting its inputs. */
#ifndef RUN_PLACE_H
#define RUN_PLACE_H

#include "run/state.h"
#include "write/emit.h"

/* run/place.c */
/* True if --external-data names a file, not a policy. */
bool run_names_data(const char *external_data);
/* An unused name for the data file: data that an older model may need is never overwritten, so a failure at any time
 * leaves that model intact. */
const char *run_free_name(struct run *run);
/* Decides where weights go. Lands with ARGUMENT for an invalid data file. */
struct emit_placement run_place(struct run *run);
/* Lands with ARGUMENT if an output would overwrite data of the model. */
void run_check_data(struct run *run, const struct output *output);
/* The same in a dry run, for the files that a run would write. */
void run_check_dry(struct run *run);
/* The same for the report, before the first byte is written, because a stream cannot be undone. */
void run_check_apart(struct run *run, const struct output *output);
/* True if an input file has a name that a temporary file could have. */
bool run_reads_temporary(const struct run *run);

#endif
