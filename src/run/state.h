/* run/state.h: the state of one call of the library. */
#ifndef RUN_STATE_H
#define RUN_STATE_H

#include "base/progress.h"
#include "io/output.h"
#include "report/text.h"
#include "run/source.h"

/* run/debug.c: the requested parts, and the nodes already shown. */
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
    bool moved;                        /* unchanged bytes move elsewhere */
    uint8_t *result;                   /* options.allocate or malloc, to memory */
    size_t result_size;
    struct plan plan;
    struct debug debug;
    struct selfcheck *check; /* of the plan, until it is done; or NULL */
    struct effort checking;  /* remaining budget of the self-check */
    bool foresees;           /* predict the gain of equalisation: for info */
    struct map measured;     /* options.statistics, read once */
    struct map bans;         /* kept between plans */
    bool leaves_ranges;      /* memory was short: run without equalisation, and without a prediction of it */
    bool is_short;           /* of memory: run without any rewrite */
    bool is_last;            /* run_again has nothing more to leave out */
    bool is_written;         /* perhaps to a stream, which cannot be undone */
    LIST(struct refusal *) warnings;
    struct summary summary;
};

/* Makes a zeroed run safe to close. Call it before anything that may land. */
void run_init(struct run *run);

/* After a landing: prepares another run, without equalisation or, the next time, without rewrites, with all memory
 * released. False if that would not help: memory was not the cause, or it was tried before. */
bool run_again(struct run *run);
/* Frees a result that the caller will not get, unless the caller allocated it. */
void run_forget_result(struct run *run);
/* Closes and unmaps everything, removes an unfinished output. The arena stays: a report reads it. */
void run_close(struct run *run);

/* Reports the progress of a step. Lands with CANCELLED if the caller stops the run. */
void run_progress(struct run *run, const char *step, double fraction);

#endif
