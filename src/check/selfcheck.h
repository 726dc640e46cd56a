/* check/selfcheck.h: all rewrites in force against the ops of the file, on threads. */
#ifndef CHECK_SELFCHECK_H
#define CHECK_SELFCHECK_H

#include "fuse/plan.h"

/* The self-check of a plan: evaluates rewrites on a few inputs each and notes the difference in them
 * and, where one does not hold or cannot be told, the reason in fusion->failure. */
struct selfcheck;

/* fusions: `count` of them, live until selfcheck_end, and so are options and
 * effort, which what the checks took is taken off. The result is freed by selfcheck_free. */
struct selfcheck *selfcheck_begin(struct model *model, const struct onnx_fuse_options *options, struct effort *effort,
                                  struct fusion **fusions, size_t count);

/* Checks one more, on behalf of thread 0 .. jobs - 1; thread 0 is the caller's and reports
 * progress. False: none is left. The closure is the struct selfcheck. */
bool selfcheck_next(void *closure, int thread);
/* Checks all that are left, on all cores. */
void selfcheck_run(struct selfcheck *check);
/* Threads beside the caller begin to check, while it does other work that changes nothing they read:
 * graphs, forms and tensors. They go on until selfcheck_pause, selfcheck_run or selfcheck_free. */
void selfcheck_start(struct selfcheck *check);
void selfcheck_pause(struct selfcheck *check);
/* Once no thread works on it any more. Lands with OUT_OF_MEMORY or CANCELLED. */
void selfcheck_end(struct selfcheck *check);
void selfcheck_free(struct selfcheck *check); /* NULL is fine */

#endif
