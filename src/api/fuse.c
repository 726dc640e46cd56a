/* api/fuse.c: the public functions for fusing and its report. Their errors land here. */
#include <stdlib.h>

#include "base/system.h"
#include "passes/passes.h"
#include "report/page_fuse.h"
#include "run/options.h"
#include "run/run.h"

/* A report is its run, with the files closed. A text is made on the first request, and stored. Several threads may
 * request texts at once, so a lock guards everything that this changes, and the other getters do not read it. An
 * error of such a text also lands in run.landing. */
struct onnx_fuse_report {
    struct run run;
    enum onnx_fuse_status status; /* of the run */
    const char *error;
    struct onnx_fuse_report *self; /* what a getter may change of a report that it only reads */
    struct mutex mutex;            /* guards run and the texts */
    const char *json, *explanation, *table, *html, *sentence;
};

static struct onnx_fuse_report *report_new(void)
{
    struct onnx_fuse_report *report = calloc(1, sizeof(*report));
    if (report && !mutex_open(&report->mutex)) {
        free(report);
        report = NULL;
    }
    if (report)
        report->self = report;
    return report;
}

struct call {
    struct run *run;
    const struct onnx_fuse_options *options;
};

static void run_once(void *closure)
{
    const struct call *call = closure;
    run_options(call->run, call->options);
    run_fuse(call->run);
}

static void run_guarded(struct onnx_fuse_report *report, const struct onnx_fuse_options *options)
{
    struct run *run = &report->run;
    struct call call = {run, options};
    run_init(run);
    landing_call(&run->landing, run_once, &call);
    while (run_again(run))
        landing_call(&run->landing, run_once, &call);
    run_close(run);
    report->status = run->landing.status;
    report->error = report->status == ONNX_FUSE_OK ? "" : run->landing.message;
    if (report->status != ONNX_FUSE_OK) { /* its progress does not matter */
        run->summary = (struct summary){0};
        run->warnings.count = 0;
    }
}

/* Runs, and hands the report over or frees it. */
static enum onnx_fuse_status finish(struct onnx_fuse_report *report, const struct onnx_fuse_options *options,
                                    struct onnx_fuse_report **wanted)
{
    run_guarded(report, options);
    enum onnx_fuse_status status = report->status;
    if (wanted)
        *wanted = report;
    else
        onnx_fuse_report_free(report);
    return status;
}

enum onnx_fuse_status onnx_fuse_file(const char *input, const char *output, const struct onnx_fuse_options *options,
                                     struct onnx_fuse_report **report)
{
    struct onnx_fuse_report *own = report_new();
    if (report)
        *report = NULL;
    if (!own)
        return ONNX_FUSE_OUT_OF_MEMORY;
    own->run.source.path = input;
    own->run.output_path = output;
    return finish(own, options, report);
}

enum onnx_fuse_status onnx_fuse_memory(const void *model, size_t size, void **result, size_t *result_size,
                                       const struct onnx_fuse_options *options, struct onnx_fuse_report **report)
{
    struct onnx_fuse_report *own = report_new();
    *result = NULL;
    *result_size = 0;
    if (report)
        *report = NULL;
    if (!own)
        return ONNX_FUSE_OUT_OF_MEMORY;
    own->run.source.memory = model;
    own->run.source.size = size;
    run_guarded(own, options);
    enum onnx_fuse_status status = own->status;
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
    options_default(options);
}

void onnx_fuse_report_free(struct onnx_fuse_report *report)
{
    if (!report)
        return;
    arena_free(&report->run.arena);
    mutex_close(&report->mutex);
    free(report);
}

const char *onnx_fuse_report_error(const struct onnx_fuse_report *report)
{
    return report->error;
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

typedef const char *make_text(const struct plan *plan, const struct summary *summary);

struct text_call {
    struct run *run;
    make_text *make;
    const char **kept;
};

static void make_once(void *closure)
{
    const struct text_call *call = closure;
    *call->kept = call->make(&call->run->plan, &call->run->summary);
}

/* Makes one text and stores it. "" after a failed run, and if memory runs out. */
static const char *text_of(struct onnx_fuse_report *report, const char **kept, make_text *make)
{
    if (report->status != ONNX_FUSE_OK)
        return "";
    mutex_lock(&report->mutex);
    if (!*kept) {
        landing_extend(&report->run.landing);
        landing_call(&report->run.landing, make_once, &(struct text_call){&report->run, make, kept});
    }
    const char *text = *kept ? *kept : "";
    mutex_unlock(&report->mutex);
    return text;
}

const char *onnx_fuse_report_json(const struct onnx_fuse_report *report)
{
    return text_of(report->self, &report->self->json, report_json);
}

const char *onnx_fuse_report_explanation(const struct onnx_fuse_report *report)
{
    return text_of(report->self, &report->self->explanation, report_explanation);
}

const char *onnx_fuse_report_table(const struct onnx_fuse_report *report)
{
    return text_of(report->self, &report->self->table, report_table);
}

const char *onnx_fuse_report_sentence(const struct onnx_fuse_report *report)
{
    return text_of(report->self, &report->self->sentence, report_sentence);
}

const char *onnx_fuse_report_html(const struct onnx_fuse_report *report)
{
    return text_of(report->self, &report->self->html, html_fuse);
}

const char *onnx_fuse_pass_name(size_t index)
{
    return index < pass_count ? passes[index].name : NULL;
}

const char *onnx_fuse_pass_purpose(size_t index)
{
    return index < pass_count ? passes[index].purpose : NULL;
}
