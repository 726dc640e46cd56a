/* run/state.h: what one call of the library owns. */
#ifndef RUN_STATE_H
#define RUN_STATE_H

#include "base/progress.h"
#include "io/output.h"
#include "report/text.h"
#include "run/source.h"

/* run/debug.c: what was asked for, and the nodes that have been told of. */
struct debug {
    bool asked[3];
    struct map made, gone;
};

struct run {
    struct landing landing;
    struct arena arena;
    struct onnx_fuse_options options;
    struct progress progress; /* of the options */
    struct source source;
    const char *output_path; /* NULL: to memory */
    struct model model;
    struct output output, data_output; /* the model and its new data file */
    struct output page, json;          /* the report as HTML and as JSON */
    bool moved;                        /* bytes that no rewrite touched go elsewhere */
    uint8_t *result;                   /* options.allocate or malloc, to memory */
    size_t result_size;
    struct plan plan;
    struct debug debug;
    struct selfcheck *check; /* of the plan, until it is done; or NULL */
    struct effort checking;  /* what is left of it for the self-check */
    bool foresees;           /* what equalisation would bring: for info */
    struct map measured;     /* options.statistics, read once */
    struct map bans;         /* kept while the plan is made again */
    bool is_short;           /* of memory: this time without any rewrite */
    bool is_second;          /* run_again */
    bool is_written;         /* to a stream, perhaps, which takes nothing back */
    LIST(struct refusal *) warnings;
    struct summary summary;
};

/* Makes a zeroed run safe to close. Must come before anything that may land. */
void run_init(struct run *run);

/* After it landed: makes it ready to be run once more, without rewrites, with all memory given back.
 * False where that would be of no use: it did not land for memory, or has been tried. */
bool run_again(struct run *run);
/* Frees a result that the caller will not get; one in room of the caller's is the caller's. */
void run_forget_result(struct run *run);
/* Closes and unmaps everything, removes an unfinished output. The arena stays: a report reads it. */
void run_close(struct run *run);

/* Tells the caller how far a step is. Lands with CANCELLED when the caller wants no more. */
void run_progress(struct run *run, const char *step, double fraction);

#endif
