/* run/state.c: what one call of the library owns, from its beginning to its end. */
#include "run/state.h"

#include <stdlib.h>

#include "check/selfcheck.h"

void run_init(struct run *run)
{
    run->output.descriptor = run->output.folder = -1;
    run->data_output.descriptor = run->data_output.folder = -1;
    run->page.descriptor = run->page.folder = -1;
    run->json.descriptor = run->json.folder = -1;
    run->model.bytes.descriptor = -1;
    arena_init(&run->arena, &run->landing);
}

void run_close(struct run *run)
{
    selfcheck_free(run->check);
    run->check = NULL;
    output_abandon(&run->output);
    output_abandon(&run->data_output);
    output_abandon(&run->page);
    output_abandon(&run->json);
    source_close(&run->source, &run->model);
    arena_settle(&run->arena);
}

bool run_again(struct run *run)
{
    if (run->landing.status != ONNX_FUSE_LIMIT || !run->plan.model || run->is_last || run->is_written)
        return false;
    struct mapping bytes = run->model.bytes; /* standard input is read once */
    run->model.bytes = (struct mapping){.descriptor = -1};
    bool weighs_ranges = run->options.equalize || run->foresees;
    run_close(run);
    run_forget_result(run);
    struct run again = {.options = run->options,
                        .source = run->source,
                        .output_path = run->output_path,
                        .leaves_ranges = true,
                        .is_short = !weighs_ranges,
                        .is_last = !weighs_ranges};
    arena_free(&run->arena);
    *run = again;
    run_init(run);
    run->model.bytes = bytes;
    return true;
}

/* ---- steps ---- */

void run_progress(struct run *run, const char *step, double fraction)
{
    if (!progress_tell(&run->progress, step, fraction))
        fail(&run->landing, ONNX_FUSE_CANCELLED, "%s: stopped by the caller", run->model.path);
}

void run_forget_result(struct run *run)
{
    if (!run->options.allocate)
        free(run->result);
    run->result = NULL;
}
