/* infer/learn.h: what is found out about a value: a fact, unless it is known already. */
#ifndef INFER_LEARN_H
#define INFER_LEARN_H

#include "model/graph.h"

/* Takes over what is not known yet of a value, which may be NULL. */
void shape_learn(struct value *value, int32_t type, int rank, const int64_t *dims);

#endif
