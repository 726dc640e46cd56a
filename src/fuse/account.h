/* fuse/account.h: the effect of a plan on the constants of a model. */
#ifndef FUSE_ACCOUNT_H
#define FUSE_ACCOUNT_H

#include "fuse/plan.h"

/* True if both have the same storage and will be written as the same bytes. */
bool account_same(const struct tensor *a, const struct tensor *b);

/* Stores equal new initializers of one graph once, under the name that is first by strcmp. */
void account_share_constants(struct plan *plan);

/* Sets parameters_before and parameters_after of the present fusions: the float numbers in constants of the file
 * that no op reads any more, and in new constants. Each constant counts for one fusion, so that the differences add
 * up to that of the whole model (report/text.h, census), apart from constants that no op of the file reads. */
void account_parameters(struct plan *plan);

#endif
