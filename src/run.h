/* run.h: one call of the library: what it owns, and the order things happen in. */
#ifndef RUN_H
#define RUN_H

#include "model.h"
#include "onnx_repvgg_fuse.h"
#include "output.h"
#include "plan.h"
#include "report.h"

struct run {
    struct landing landing;
    struct arena arena;
    struct onnx_fuse_options options;
    const char *input, *output_path; /* NULL from memory, to memory */
    const void *memory;
    size_t memory_size;
    struct model model;
    struct folder folder;
    bool has_folder;
    struct output output, data_output; /* the model and its new data file */
    struct output page, json;          /* the report as HTML and as JSON */
    bool moved;                        /* bytes that no rewrite touched go elsewhere */
    uint8_t *result;                   /* options.allocate or malloc, to memory */
    size_t result_size;
    struct plan plan;
    struct selfcheck *check; /* of the plan, until it is done; or NULL */
    struct effort checking;  /* what is left of it for the self-check */
    struct map bans;         /* kept while the plan is made again */
    bool is_short;           /* of memory: this time without any rewrite */
    bool is_second;          /* run_again */
    bool is_written;         /* to a stream, perhaps, which takes nothing back */
    LIST(struct refusal *) warnings;
    struct summary summary;
};

/* Makes a zeroed run safe to close. Must come before anything that may land. */
void run_init(struct run *run);
/* Takes over the caller's options, NULL for the defaults. Lands with ARGUMENT. */
void run_options(struct run *run, const struct onnx_fuse_options *options);
/* Reads, indexes and infers shapes. Lands as model_load does. */
void run_load(struct run *run);
/* The whole of it: load, plan, check, write, rename. */
void run_fuse(struct run *run);
/* After it landed: makes it ready to be run once more, without rewrites, with all memory given back.
 * False where that would be of no use: it did not land for memory, or has been tried. */
bool run_again(struct run *run);
/* Frees a result that the caller will not get; one in room of the caller's is the caller's. */
void run_forget_result(struct run *run);
/* Closes and unmaps everything, removes an unfinished output. The arena stays: a report reads it. */
void run_close(struct run *run);

/* The self-check of a plan: evaluates rewrites on a few inputs each and notes the difference in them
 * and, where one does not hold or cannot be told, the reason in fusion->failure. */
struct selfcheck;

/* fusions: `count` of them, live until selfcheck_end. The result is freed by selfcheck_free. */
struct selfcheck *selfcheck_begin(struct run *run, struct fusion **fusions, size_t count);
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
