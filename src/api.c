/* api.c: the public functions that fuse and tell of it. Their errors land here. */
#include <stdlib.h>

#include "html.h"
#include "passes.h"
#include "run.h"

/* A report is the run it tells of, its files closed. The texts are made when someone asks. */
struct onnx_fuse_report {
    struct run run;
    const char *json, *explanation, *table, *html;
};

/* Everything below run_fuse may land here. The report lives on the heap, so no local is clobbered. */
static void run_once(struct run *run, const struct onnx_fuse_options *options)
{
    if (setjmp(run->landing.jump) == 0) {
        run_options(run, options);
        run_fuse(run);
    }
}

static void run_guarded(struct onnx_fuse_report *report, const struct onnx_fuse_options *options)
{
    struct run *run = &report->run;
    run_init(run);
    run_once(run, options);
    if (run_again(run))
        run_once(run, options);
    run_close(run);
}

/* Runs, and hands the report over or frees it. */
static enum onnx_fuse_status finish(struct onnx_fuse_report *report,
                                    const struct onnx_fuse_options *options,
                                    struct onnx_fuse_report **wanted)
{
    run_guarded(report, options);
    enum onnx_fuse_status status = report->run.landing.status;
    if (wanted)
        *wanted = report;
    else
        onnx_fuse_report_free(report);
    return status;
}

enum onnx_fuse_status onnx_fuse_file(const char *input, const char *output,
                                     const struct onnx_fuse_options *options,
                                     struct onnx_fuse_report **report)
{
    struct onnx_fuse_report *own = calloc(1, sizeof(*own));
    if (report)
        *report = NULL;
    if (!own)
        return ONNX_FUSE_OUT_OF_MEMORY;
    own->run.input = input;
    own->run.output_path = output;
    return finish(own, options, report);
}

enum onnx_fuse_status onnx_fuse_memory(const void *model, size_t size, void **result,
                                       size_t *result_size, const struct onnx_fuse_options *options,
                                       struct onnx_fuse_report **report)
{
    struct onnx_fuse_report *own = calloc(1, sizeof(*own));
    *result = NULL;
    *result_size = 0;
    if (report)
        *report = NULL;
    if (!own)
        return ONNX_FUSE_OUT_OF_MEMORY;
    own->run.memory = model;
    own->run.memory_size = size;
    run_guarded(own, options);
    enum onnx_fuse_status status = own->run.landing.status;
    if (status == ONNX_FUSE_OK) {
        *result = own->run.result;
        *result_size = *result ? own->run.result_size : 0;
    } else {
        run_forget_result(&own->run);
    }
    if (report)
        *report = own;
    else
        onnx_fuse_report_free(own);
    return status;
}

void onnx_fuse_free(void *result)
{
    free(result);
}

void onnx_fuse_options_init(struct onnx_fuse_options *options)
{
    *options = (struct onnx_fuse_options){.struct_size = sizeof(*options), .max_growth = 1};
}

void onnx_fuse_report_free(struct onnx_fuse_report *report)
{
    if (!report)
        return;
    arena_free(&report->run.arena);
    free(report);
}

const char *onnx_fuse_report_error(const struct onnx_fuse_report *report)
{
    return report->run.landing.message;
}

bool onnx_fuse_report_changed(const struct onnx_fuse_report *report)
{
    return report->run.summary.changed;
}

size_t onnx_fuse_report_warnings(const struct onnx_fuse_report *report)
{
    return report->run.warnings.count;
}

size_t onnx_fuse_report_ops(const struct onnx_fuse_report *report, bool after)
{
    return after ? report->run.summary.after.ops : report->run.summary.before.ops;
}

double onnx_fuse_report_seconds(const struct onnx_fuse_report *report)
{
    return report->run.summary.seconds;
}

/* Makes one text and keeps it. "" after a failed run, and when there is no memory for it. */
static const char *text_of(const struct onnx_fuse_report *report, const char **kept,
                           const char *(*make)(const struct plan *, const struct summary *))
{
    struct run *run = (struct run *)(uintptr_t)&report->run;
    if (run->landing.status != ONNX_FUSE_OK)
        return "";
    if (!*kept)
        landing_extend(&run->landing);
    if (!*kept && setjmp(run->landing.jump) == 0)
        *kept = make(&run->plan, &run->summary);
    run->landing.status = ONNX_FUSE_OK; /* the run itself went well */
    run->landing.message[0] = 0;
    return *kept ? *kept : "";
}

const char *onnx_fuse_report_json(const struct onnx_fuse_report *report)
{
    return text_of(report, &((struct onnx_fuse_report *)(uintptr_t)report)->json, report_json);
}

const char *onnx_fuse_report_explanation(const struct onnx_fuse_report *report)
{
    return text_of(report, &((struct onnx_fuse_report *)(uintptr_t)report)->explanation,
                   report_explanation);
}

const char *onnx_fuse_report_table(const struct onnx_fuse_report *report)
{
    return text_of(report, &((struct onnx_fuse_report *)(uintptr_t)report)->table, report_table);
}

const char *onnx_fuse_report_html(const struct onnx_fuse_report *report)
{
    return text_of(report, &((struct onnx_fuse_report *)(uintptr_t)report)->html, html_fuse);
}

const char *onnx_fuse_pass_name(size_t index)
{
    return index < pass_count ? passes[index].name : NULL;
}

const char *onnx_fuse_pass_purpose(size_t index)
{
    return index < pass_count ? passes[index].purpose : NULL;
}
