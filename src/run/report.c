/* run/report.c: the reports of a run, as JSON and as a page: whole files or none. */
#include "run/report.h"

#include "base/system_error.h"

void run_open_report(struct run *run, const char *path, struct output *report)
{
    if (!path)
        return;
    if (!path[0])
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "the report's file name is empty");
    report->no_sync = run->options.no_sync;
    report->no_sweep = run->source.path && output_sweeps(run->source.path);
    output_open(&run->arena, report, path);
    if (run->source.path && output_replaces(report, run->source.path))
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "%s: is the model itself, expected another file for the report", path);
}

void run_write_report(struct run *run, const char *path, struct output *report,
                      const char *(*tell)(const struct plan *plan, const struct summary *summary), bool again)
{
    if (!path || (again && !report->name))
        return;
    landing_extend(&run->landing);
    const char *text = tell(&run->plan, &run->summary);
    output_size(report, strlen(text), true);
    int error = output_put(report, 0, text, strlen(text));
    if (error)
        fail(&run->landing, ONNX_FUSE_IO, "%s: cannot write the report: %s", path, system_error(error));
}

void run_finish_report(const char *path, struct output *report)
{
    if (!path)
        return;
    output_commit(report);
    output_settle(report);
}
