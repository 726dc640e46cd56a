/* fuse/account.h: what a plan has done to the constants of a model. */
#ifndef FUSE_ACCOUNT_H
#define FUSE_ACCOUNT_H

#include "fuse/plan.h"

/* True when both are stored alike and will be the same bytes when they are written. */
bool account_same(const struct tensor *a, const struct tensor *b);

/* New initializers of one graph that hold the same are stored once, under the name that comes first by
 * strcmp. */
void account_share_constants(struct plan *plan);

/* Sets parameters_before and parameters_after of the fusions in force: the numbers of float types in
 * constants of the file that nobody reads any more, and in those made. Each constant is counted for one
 * fusion, so that the differences add up to that of the whole model (report/text.h, census), but for what nobody
 * read in the file. */
void account_parameters(struct plan *plan);

#endif
