/* run/interface.h: changes inputs and outputs: --freeze, --outputs, --input-shape. */
#ifndef RUN_INTERFACE_H
#define RUN_INTERFACE_H

#include "run/state.h"

/* True if the caller requested any of it. */
bool interface_is_asked(const struct run *run);

/* Edits the index of the model, infers shapes again, and records the changes in the summary. Lands with ARGUMENT for
 * an unknown name, and for sizes that contradict declared ones. */
void interface_apply(struct run *run);

#endif
