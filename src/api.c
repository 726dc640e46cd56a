/* api.c: the public functions, and the one place where errors land. */
#define _POSIX_C_SOURCE 200809L
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "emit.h"
#include "model.h"
#include "onnx_repvgg_fuse.h"
#include "passes.h"
#include "plan.h"
#include "report.h"
#include "shape.h"
#include "write.h"

#define TEXT_OF(number) #number
#define VERSION_TEXT(major, minor, patch) TEXT_OF(major) "." TEXT_OF(minor) "." TEXT_OF(patch)

struct onnx_fuse_report {
    char error[sizeof(((struct landing *)0)->message)];
    bool changed;
    size_t warnings;
    char *json, *explanation, *table;
};

/* All that one call owns. Freed by run_free, whatever happened. */
struct run {
    struct landing landing;
    struct arena arena;
    struct arena scratch; /* of the check that is running */
    struct onnx_fuse_options options;
    const char *input, *output_path; /* NULL from memory, to memory */
    const void *memory;
    size_t memory_size;
    struct model model;
    struct folder folder;
    bool has_folder;
    struct output output;
    uint8_t *result;
    size_t result_size;
    struct plan plan;
    struct map bans; /* kept while the plan is made again */
    LIST(struct refusal *) warnings;
    struct summary summary;
    struct onnx_fuse_report *report;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void progress(const struct run *run, const char *step, double fraction)
{
    if (run->options.progress)
        run->options.progress(run->options.closure, step, fraction);
}

/* ---- self-check ---- */

static double tolerance_of(const struct run *run, int32_t type)
{
    if (run->options.tolerance > 0)
        return run->options.tolerance;
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16: return 1e-2;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16: return 6e-2;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE: return 1e-12;
    default: return 1e-5;
    }
}

/* Shape of a trial input: a few positions of output per axis, borders included, no two axes alike.
 * A rewrite that holds for the declared size only is tried at that size. */
static int trial_shape(const struct fusion *fusion, int trial, int64_t *dims)
{
    const struct value *source = fusion->source;
    if (fusion->layout == LAYOUT_MATRIX) {
        int rank = source->rank >= 2 && source->rank <= AFFINE_AXES ? source->rank : 2;
        for (int i = 0; i < rank - 1; i++)
            dims[i] = 2 + i + trial;
        dims[rank - 1] = fusion->channels;
        return rank;
    }
    int rank = fusion->axes + 2;
    bool declared = fusion->sized && source->rank == rank;
    dims[0] = declared && source->dims[0] > 0 ? source->dims[0] : 1;
    dims[1] = fusion->channels;
    for (int i = 0; i < fusion->axes; i++) {
        struct affine_axis axis = affine_axis_of(fusion->form, fusion->form->axes ? i : 0);
        int64_t span = affine_axis_high(axis) - axis.low + 1;
        int64_t size = 2 * axis.stride + 1 - axis.end;
        size = size < span ? span : size;
        size = size < 3 ? 3 : size;
        dims[2 + i] = size + (i + trial) % 3 + trial;
        if (declared && source->dims[2 + i] > 0)
            dims[2 + i] = source->dims[2 + i];
    }
    return rank;
}

enum { TRIALS = 2, MORE_TRIALS = 6 };

/* Evaluates a rewrite on a few inputs. Returns NULL when it holds. */
static const char *check_fusion(struct run *run, struct fusion *fusion)
{
    int64_t dims[AFFINE_AXES + 2];
    const char *reason = NULL;
    int evaluated = 0;
    /* Sizes grow from trial to trial: ops between may need more than the smallest. */
    for (int trial = 0; trial < MORE_TRIALS && evaluated < TRIALS; trial++) {
        struct check_result result;
        struct check_case check = {.source = fusion->source,
                                   .target = fusion->target,
                                   .terms = fusion->terms.items,
                                   .term_count = fusion->terms.count,
                                   .shift = fusion->shift,
                                   .rank = trial_shape(fusion, trial, dims),
                                   .dims = dims,
                                   .channels = fusion->outputs,
                                   .seed = (uint64_t)trial + 1};
        check.channel_axis = fusion->layout == LAYOUT_CONV ? 1 : check.rank - 1;
        reason = check_region(&run->scratch, &check, &result);
        if (reason) {
            reason = arena_format(&run->arena, "the self-check cannot evaluate it: %s", reason);
        } else {
            evaluated++;
            fusion->difference = fmax(fusion->difference, result.difference);
            fusion->channels_checked = result.channels;
        }
        arena_reset(&run->scratch);
        if (fusion->sized)
            break;
    }
    if (!evaluated)
        return reason;
    double tolerance = tolerance_of(run, fusion->type);
    if (!isfinite(fusion->difference))
        return "its numbers are not finite: NaN or infinity in a weight, or larger than its type "
               "holds";
    if (fusion->difference <= tolerance)
        return NULL;
    return arena_format(&run->arena,
                        "the self-check found a relative difference of %.3g, more than %.3g",
                        fusion->difference, tolerance);
}

/* A rewrite that cannot stand is dropped: the plan is made again without it. */
static void ban(struct run *run, const struct fusion *fusion, const char *reason, bool is_warning)
{
    struct arena *arena = &run->arena;
    const char *target =
        fusion->target->is_new ? fusion->terms.items[0].value->name : fusion->target->name;
    map_put(arena, &run->bans, plan_key(arena, fusion->graph, target),
            arena_format(arena, "%s", reason));
    if (!is_warning)
        return;
    struct refusal *warning = NEW(arena, struct refusal);
    *warning = (struct refusal){fusion->pass, fusion->graph, fusion->node, fusion->target, reason};
    LIST_PUSH(arena, &run->warnings, warning);
}

static bool check_all(struct run *run)
{
    bool good = true;
    size_t count = run->plan.fusions.count;
    for (size_t i = 0; i < count; i++) {
        struct fusion *fusion = run->plan.fusions.items[i];
        if (!fusion_is_live(fusion))
            continue;
        const char *reason = check_fusion(run, fusion);
        if (reason) {
            /* A NaN in the file is not the rewrite's fault, but nothing can be checked with it. */
            ban(run, fusion, reason, fusion->difference >= 0 && isfinite(fusion->difference));
            good = false;
        }
        model_give_back(&run->model);
        progress(run, "checking", (double)i / (double)count);
    }
    return good;
}

/* ---- one run ---- */

static void load(struct run *run)
{
    struct model *model = &run->model;
    model->arena = &run->arena;
    if (run->input) {
        model->path = strcmp(run->input, "-") == 0 ? "standard input" : run->input;
        mapping_open(&run->landing, run->input, &model->bytes);
        folder_open(&run->arena, run->input, &run->folder);
        run->has_folder = true;
    } else {
        model->path = "model in memory";
        model->bytes =
            (struct mapping){.data = run->memory, .size = run->memory_size, .descriptor = -1};
        if (run->options.external_folder) {
            folder_open(&run->arena,
                        arena_format(&run->arena, "%s/.", run->options.external_folder),
                        &run->folder);
            run->has_folder = true;
        }
    }
    model->folder = run->has_folder ? &run->folder : NULL;
    progress(run, "reading", 0);
    model_load(model);
    shape_infer(model);
}

/* The index as the file has it. */
static void reload(struct model *model)
{
    model->graphs.count = 0;
    model->names = model->node_names = (struct map){0};
    graph_build(model);
    shape_infer(model);
}

static void make_plan(struct run *run)
{
    run->plan = (struct plan){.model = &run->model, .options = &run->options, .bans = run->bans};
    progress(run, "planning", 0);
    plan_run(&run->plan);
}

static bool is_changed(const struct model *model)
{
    for (size_t i = 0; i < model->graphs.count; i++)
        if (model->graphs.items[i]->changed)
            return true;
    return false;
}

static struct fusion *fusion_of(const struct plan *plan, const struct tensor *tensor)
{
    for (size_t i = 0; i < plan->fusions.count; i++) {
        struct fusion *fusion = plan->fusions.items[i];
        for (size_t k = 0; fusion_is_live(fusion) && k < fusion->made.count; k++)
            for (size_t j = 0; j < fusion->made.items[k]->input_count; j++) {
                const struct value *input = fusion->made.items[k]->inputs[j];
                if (input && input->tensor == tensor)
                    return fusion;
            }
    }
    return NULL;
}

static bool ban_failures(struct run *run, const struct write_result *result)
{
    for (size_t i = 0; i < result->failures.count; i++) {
        const struct write_failure *failure = &result->failures.items[i];
        struct fusion *fusion = fusion_of(&run->plan, failure->tensor);
        if (fusion)
            ban(run, fusion,
                arena_format(&run->arena, "the fused weight is %g at number %lld, not finite in %s",
                             failure->number, (long long)failure->index,
                             type_name(failure->tensor->type)),
                false);
    }
    return result->failures.count == 0;
}

/* Writes the plan. False: a weight is not finite, what was written is of no use. */
static bool write_out(struct run *run)
{
    struct pieces pieces;
    struct sink sink = {0};
    struct write_result result = {0};
    bool apart =
        run->output_path && run->has_folder && !folder_is_same(&run->folder, run->output_path);
    emit_model(&run->model, run->model.has_external && (apart || !run->output_path), &pieces);
    census_take(&run->model, pieces.size, &run->summary.after);
    if (!run->options.dry_run && run->output_path) {
        output_open(&run->arena, &run->output, run->output_path);
        output_size(&run->output, pieces.size);
        sink.output = &run->output;
    } else if (!run->options.dry_run) {
        free(run->result);
        run->result = malloc(pieces.size ? pieces.size : 1);
        if (!run->result)
            fail(&run->landing, ONNX_FUSE_OUT_OF_MEMORY, "out of memory: %llu bytes for the result",
                 (unsigned long long)pieces.size);
        run->result_size = pieces.size;
        sink.memory = run->result;
    }
    /* A pipe takes nothing back: everything is computed once before the first byte is sent. */
    if (sink.output && !output_is_seekable(sink.output)) {
        struct sink nowhere = {0};
        write_pieces(&run->model, &pieces, &nowhere, run->options.jobs, NULL, NULL, &result);
        if (result.failures.count)
            return ban_failures(run, &result);
    }
    write_pieces(&run->model, &pieces, &sink, run->options.jobs, run->options.progress,
                 run->options.closure, &result);
    return ban_failures(run, &result);
}

/* A model with more bad rewrites than this comes out without any. */
enum { ATTEMPTS = 64 };
static const char *const no_passes[] = {NULL};

static void fuse(struct run *run)
{
    double start = now();
    load(run);
    census_take(&run->model, run->model.bytes.size, &run->summary.before);
    for (int attempt = 0;; attempt++) {
        make_plan(run);
        bool good = run->options.no_check || check_all(run);
        if (good && write_out(run))
            break;
        output_abandon(&run->output);
        if (attempt == ATTEMPTS)
            run->options.only = no_passes;
        reload(&run->model);
    }
    run->plan.warnings.items = run->warnings.items;
    run->plan.warnings.count = run->warnings.count;
    run->summary.changed = is_changed(&run->model);
    run->summary.input = run->input ? run->input : "";
    run->summary.output = run->output_path ? run->output_path : "";
    run->summary.seconds = now() - start;
    if (run->report) {
        struct onnx_fuse_report *report = run->report;
        report->changed = run->summary.changed;
        report->warnings = run->warnings.count;
        report->json = strdup(report_json(&run->plan, &run->summary));
        report->explanation = strdup(report_explanation(&run->plan, &run->summary));
        report->table = strdup(report_table(&run->plan, &run->summary));
        if (!report->json || !report->explanation || !report->table)
            fail(&run->landing, ONNX_FUSE_OUT_OF_MEMORY, "out of memory while reporting");
    }
    if (run->output_path && !run->options.dry_run)
        output_commit(&run->output);
}

static void run_free(struct run *run)
{
    output_abandon(&run->output);
    arena_free(&run->scratch);
    free(run->model.skeleton.bytes);
    if (run->input)
        mapping_close(&run->model.bytes);
    if (run->has_folder)
        folder_close(&run->folder);
    arena_free(&run->arena);
}

static bool pass_exists(const char *name)
{
    for (size_t i = 0; i < pass_count; i++)
        if (strcmp(passes[i].name, name) == 0)
            return true;
    return false;
}

static void check_names(struct run *run, const char *const *names)
{
    const char *known = passes[0].name;
    for (size_t i = 1; i < pass_count; i++)
        known = arena_format(&run->arena, "%s %s", known, passes[i].name);
    for (; names && *names; names++)
        if (!pass_exists(*names))
            fail(&run->landing, ONNX_FUSE_ARGUMENT, "there is no pass '%s'; there are %s", *names,
                 known);
}

static void check_options(struct run *run, const struct onnx_fuse_options *options)
{
    onnx_fuse_options_init(&run->options);
    if (options) {
        /* A caller built against an older header knows a shorter struct. */
        size_t size = options->struct_size;
        if (size < offsetof(struct onnx_fuse_options, jobs) || size > sizeof(run->options))
            fail(&run->landing, ONNX_FUSE_ARGUMENT,
                 "options of %zu bytes, expected %zu: call onnx_fuse_options_init first", size,
                 sizeof(run->options));
        memcpy(&run->options, options, size);
    }
    check_names(run, run->options.only);
    check_names(run, run->options.skip);
    if (!(run->options.max_growth > 0) || !isfinite(run->options.max_growth))
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "max_growth is %g, expected a number above 0",
             run->options.max_growth);
    if (!(run->options.tolerance >= 0) || !isfinite(run->options.tolerance))
        fail(&run->landing, ONNX_FUSE_ARGUMENT,
             "tolerance is %g, expected a number that is not negative", run->options.tolerance);
    if (run->options.jobs < 0)
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "jobs is %d, expected 0 or more",
             run->options.jobs);
    if (run->options.jobs == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        run->options.jobs = cores < 1 ? 1 : cores > 64 ? 64 : (int)cores;
    }
}

/* Everything below may land here. `run` lives in the caller's frame, so no local is clobbered. */
static enum onnx_fuse_status run_guarded(struct run *run, const struct onnx_fuse_options *options)
{
    run->output.descriptor = -1;
    run->folder.descriptor = -1;
    run->model.bytes.descriptor = -1;
    arena_init(&run->arena, &run->landing);
    arena_init(&run->scratch, &run->landing);
    if (setjmp(run->landing.jump) == 0) {
        check_options(run, options);
        fuse(run);
    }
    run_free(run);
    if (run->report)
        snprintf(run->report->error, sizeof(run->report->error), "%s", run->landing.message);
    return run->landing.status;
}

static enum onnx_fuse_status start(struct run *run, const struct onnx_fuse_options *options,
                                   struct onnx_fuse_report **report)
{
    if (report) {
        *report = calloc(1, sizeof(**report));
        if (!*report)
            return ONNX_FUSE_OUT_OF_MEMORY;
        run->report = *report;
    }
    return run_guarded(run, options);
}

enum onnx_fuse_status onnx_fuse_file(const char *input, const char *output,
                                     const struct onnx_fuse_options *options,
                                     struct onnx_fuse_report **report)
{
    struct run run = {.input = input, .output_path = output};
    return start(&run, options, report);
}

enum onnx_fuse_status onnx_fuse_memory(const void *model, size_t size, void **result,
                                       size_t *result_size, const struct onnx_fuse_options *options,
                                       struct onnx_fuse_report **report)
{
    struct run run = {.memory = model, .memory_size = size};
    enum onnx_fuse_status status = start(&run, options, report);
    *result = status == ONNX_FUSE_OK ? run.result : NULL;
    *result_size = *result ? run.result_size : 0;
    if (status != ONNX_FUSE_OK)
        free(run.result);
    return status;
}

void onnx_fuse_options_init(struct onnx_fuse_options *options)
{
    *options = (struct onnx_fuse_options){.struct_size = sizeof(*options), .max_growth = 1};
}

void onnx_fuse_report_free(struct onnx_fuse_report *report)
{
    if (!report)
        return;
    free(report->json);
    free(report->explanation);
    free(report->table);
    free(report);
}

const char *onnx_fuse_report_error(const struct onnx_fuse_report *report)
{
    return report->error;
}

bool onnx_fuse_report_changed(const struct onnx_fuse_report *report)
{
    return report->changed;
}

size_t onnx_fuse_report_warnings(const struct onnx_fuse_report *report)
{
    return report->warnings;
}

const char *onnx_fuse_report_json(const struct onnx_fuse_report *report)
{
    return report->json ? report->json : "";
}

const char *onnx_fuse_report_explanation(const struct onnx_fuse_report *report)
{
    return report->explanation ? report->explanation : "";
}

const char *onnx_fuse_report_table(const struct onnx_fuse_report *report)
{
    return report->table ? report->table : "";
}

const char *onnx_fuse_pass_name(size_t index)
{
    return index < pass_count ? passes[index].name : NULL;
}

const char *onnx_fuse_pass_purpose(size_t index)
{
    return index < pass_count ? passes[index].purpose : NULL;
}

const char *onnx_fuse_version(void)
{
    return VERSION_TEXT(ONNX_FUSE_VERSION_MAJOR, ONNX_FUSE_VERSION_MINOR, ONNX_FUSE_VERSION_PATCH);
}
