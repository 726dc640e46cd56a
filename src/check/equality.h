/* check/equality.h: equalisation against what it changed: the same bits.
 *
 * Each op that reads or makes scaled channels is evaluated on random input, with its constants as they were and as they are
 * now, its data as it is and scaled: what it makes must be the same numbers of its type, scaled. Ops are small steps: what
 * holds for each of them holds for the network. It shares no code with what decided about the ops (equalize/flow.c). */
#ifndef CHECK_EQUALITY_H
#define CHECK_EQUALITY_H

#include "model/model.h"

/* Returns NULL, or the first op for which it does not hold or that cannot be evaluated, as a sentence in the model's
 * arena. Lands with OUT_OF_MEMORY or LIMIT. */
const char *check_equality(struct model *model);

#endif
