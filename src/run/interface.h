/* run/interface.h: inputs and outputs as the caller wants them: --freeze, --outputs, --input-shape. */
#ifndef RUN_INTERFACE_H
#define RUN_INTERFACE_H

#include "run/state.h"

/* True when the caller wants any of it. */
bool interface_is_asked(const struct run *run);

/* Edits the index of the model as it was built, infers shapes anew, and says in the summary what it did. Lands with
 * ARGUMENT for a name that is none, and for sizes that contradict what is declared. */
void interface_apply(struct run *run);

#endif
