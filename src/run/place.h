/* run/place.h: where a run writes, apart from what it reads. */
#ifndef RUN_PLACE_H
#define RUN_PLACE_H

#include "run/state.h"
#include "write/emit.h"

/* run/place.c */
const char *run_base_name(const char *path);
/* True when --external-data names a file, rather than a policy. */
bool run_names_data(const char *external_data);
/* A name for the data file that no file has yet: data that an older model may need is never written
 * over, so a failure at any moment leaves that model whole. */
const char *run_free_name(struct run *run);
/* Where weights go. Lands with ARGUMENT for a data file that cannot be. */
struct emit_placement run_place(struct run *run);
/* Lands with ARGUMENT when an output would take the place of data of the model. */
void run_check_data(struct run *run, const struct output *output);
/* The same for what would be written, were this no dry run. */
void run_check_dry(struct run *run);
/* The same, and for a report's place. Before a byte is written: a stream takes nothing back. */
void run_check_apart(struct run *run, const struct output *output);
/* True when what is read bears a name that a temporary file could have. */
bool run_reads_temporary(const struct run *run);

#endif
