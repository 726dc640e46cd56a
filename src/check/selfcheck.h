/* check/selfcheck.h: checks all present rewrites against the ops of the file, on threads. */
#ifndef CHECK_SELFCHECK_H
#define CHECK_SELFCHECK_H

#include "fuse/plan.h"

/* The self-check of a plan: evaluates each rewrite on a few inputs and records the difference. If a rewrite fails or
 * cannot be evaluated, fusion->failure is the reason. */
struct selfcheck;

/* The `count` fusions, options and effort live until selfcheck_end; the checks subtract their cost from effort. The
 * result is freed by selfcheck_free. */
struct selfcheck *selfcheck_begin(struct model *model, const struct onnx_fuse_options *options, struct effort *effort,
                                  struct fusion **fusions, size_t count);

/* Checks one more, on behalf of thread 0 .. jobs - 1; thread 0 is the caller's and reports
 * progress. False: none remains. The closure is the struct selfcheck. */
bool selfcheck_next(void *closure, int thread);
/* Checks all remaining ones, on all cores. */
void selfcheck_run(struct selfcheck *check);
/* Starts checks on other threads, while the caller does work that does not change graphs, forms and tensors. They
 * continue until selfcheck_pause, selfcheck_run or selfcheck_free. */
void selfcheck_start(struct selfcheck *check);
void selfcheck_pause(struct selfcheck *check);
/* Call it when no thread works on it any more. Lands with OUT_OF_MEMORY or CANCELLED. */
void selfcheck_end(struct selfcheck *check);
void selfcheck_free(struct selfcheck *check); /* NULL is fine */

#endif
