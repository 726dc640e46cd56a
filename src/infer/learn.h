/* infer/learn.h: adds new facts about a value. */
#ifndef INFER_LEARN_H
#define INFER_LEARN_H

#include "model/graph.h"

/* Adds unknown facts to a value, which may be NULL. */
void shape_learn(struct value *value, int32_t type, int rank, const int64_t *dims);

/* Widens `dims` by another shape that broadcasts to it; shapes are aligned at their last axis. `dims` has the
 * larger rank. */
void shape_broadcast(int rank, int64_t *dims, int other_rank, const int64_t *other);

/* Elements of a box in the encoding of value.dims: a number, a symbol, or -1. */
int64_t shape_product(struct model *model, const int64_t *dims, int count);

#endif
