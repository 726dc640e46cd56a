/* diff/model.h: two models compared. */
#ifndef DIFF_MODEL_H
#define DIFF_MODEL_H

#include "diff/change.h"

/* Lands with OUT_OF_MEMORY or CANCELLED. */
void diff_models(struct arena *arena, struct model *a, struct model *b, const struct diff_options *options,
                 struct diff_result *result);

#endif
