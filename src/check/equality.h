/* check/equality.h: checks that equalisation keeps every bit.
 *
 * Each op with scaled inputs or outputs is evaluated on random input, with its old constants on the original data,
 * and with its new constants on the scaled data. The results must be the same numbers of its type, apart from the
 * scale. If this holds for every op, it holds for the network. The check shares no code with the decisions
 * (equalize/flow.c). */
#ifndef CHECK_EQUALITY_H
#define CHECK_EQUALITY_H

#include "model/model.h"

/* Returns NULL, or a sentence in the model's arena about the first op that fails or cannot be evaluated. Lands with
 * OUT_OF_MEMORY or LIMIT. */
const char *check_equality(struct model *model);

#endif
