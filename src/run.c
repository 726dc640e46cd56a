/* run.c: load, plan, check, write; and again without what did not hold. */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "decimal.h"
#include "html.h"
#include "passes.h"
#include "run_internal.h"
#include "shape.h"
#include "write.h"

void run_init(struct run *run)
{
    run->output.descriptor = run->output.folder = -1;
    run->data_output.descriptor = run->data_output.folder = -1;
    run->page.descriptor = run->page.folder = -1;
    run->json.descriptor = run->json.folder = -1;
    run->folder.descriptor = -1;
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
    free(run->model.skeleton.bytes);
    run->model.skeleton.bytes = NULL;
    if (run->input)
        mapping_close(&run->model.bytes);
    if (run->has_folder)
        folder_close(&run->folder);
    arena_settle(&run->arena);
}

bool run_again(struct run *run)
{
    if (run->landing.status != ONNX_FUSE_LIMIT || !run->plan.model || run->is_second ||
        run->is_written)
        return false;
    struct run again = {.options = run->options,
                        .input = run->input,
                        .output_path = run->output_path,
                        .memory = run->memory,
                        .memory_size = run->memory_size,
                        .is_short = true,
                        .is_second = true};
    struct mapping bytes = run->model.bytes;
    run->model.bytes = (struct mapping){.descriptor = -1};
    run_close(run);
    run_forget_result(run);
    arena_free(&run->arena);
    *run = again;
    run_init(run);
    run->model.bytes = bytes;
    return true;
}

/* ---- options ---- */

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

void run_options(struct run *run, const struct onnx_fuse_options *options)
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
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "max_growth is %s, expected a number above 0",
             decimal_rounded(run->options.max_growth, 6).text);
    if (!(run->options.tolerance >= 0) || !isfinite(run->options.tolerance))
        fail(&run->landing, ONNX_FUSE_ARGUMENT,
             "tolerance is %s, expected a number that is not negative",
             decimal_rounded(run->options.tolerance, 6).text);
    if (run->options.jobs < 0)
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "jobs is %d, expected 0 or more",
             run->options.jobs);
    if (run->options.jobs == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        run->options.jobs = cores < 1 ? 1 : cores > 64 ? 64 : (int)cores;
    }
    if (run->options.jobs > 1)
        arena_run_ahead(&run->arena);
}

/* ---- steps ---- */

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void progress(struct run *run, const char *step, double fraction)
{
    if (run->options.progress && !run->options.progress(run->options.closure, step, fraction))
        fail(&run->landing, ONNX_FUSE_CANCELLED, "%s: stopped by the caller", run->model.path);
}

void run_load(struct run *run)
{
    struct model *model = &run->model;
    model->arena = &run->arena;
    if (run->input) {
        model->path = strcmp(run->input, "-") == 0 ? "standard input" : run->input;
        if (!run->is_second) /* else it is open since the first time */
            mapping_open(&run->landing, run->input, run->options.no_map, &model->bytes);
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
    run->folder.follow_links = run->options.follow_symlinks;
    run->folder.read_files = run->options.no_map;
    progress(run, "reading", 0);
    model_load(model);
    shape_infer(model);
}

/* The index as the file has it. */
static void reload(struct model *model)
{
    model->graphs.count = 0;
    model->inner_names = model->node_names = (struct map){0};
    graph_build(model);
    shape_infer(model);
}

static void make_plan(struct run *run)
{
    run->plan = (struct plan){
        .model = &run->model, .options = &run->options, .bans = run->bans, .full = run->is_short};
    progress(run, "planning", 0);
    plan_run(&run->plan);
}

/* Said once, and as a warning: what is written is right, and less than what could be. */
static void warn_of_memory(struct run *run)
{
    if (!run->plan.full)
        return;
    struct refusal *warning = NEW(&run->arena, struct refusal);
    *warning = (struct refusal){
        PLAN_WHOLE_MODEL, run->model.graphs.items[0], NULL, NULL,
        arena_format(&run->arena,
                     "memory limit: written without the remaining rewrites, since they take more "
                     "than the %zu MiB allowed for %zu bytes of input",
                     run->landing.most >> 20, run->landing.input)};
    LIST_PUSH(&run->arena, &run->warnings, warning);
}

static bool is_changed(const struct model *model)
{
    for (size_t i = 0; i < model->graphs.count; i++)
        if (model->graphs.items[i]->changed)
            return true;
    return false;
}

/* A rewrite that cannot stand is dropped: the plan is made again without it. */
static void ban(struct run *run, const struct fusion *fusion, const char *reason, bool is_warning)
{
    struct arena *arena = &run->arena;
    const char *target =
        fusion->target->is_new ? fusion->terms.items[0].value->name : fusion->target->name;
    map_put(arena, &run->bans, plan_key(arena, fusion->graph, target), arena_copy(arena, reason));
    if (!is_warning)
        return;
    struct refusal *warning = NEW(arena, struct refusal);
    *warning = (struct refusal){fusion->pass, fusion->graph, fusion->node, fusion->target, reason};
    LIST_PUSH(arena, &run->warnings, warning);
}

static void begin_check(struct run *run)
{
    size_t count = 0;
    struct fusion **live = NEW_ARRAY(&run->arena, struct fusion *, run->plan.fusions.count + 1);
    for (size_t i = 0; i < run->plan.fusions.count; i++)
        if (run->plan.fusions.items[i]->node && fusion_is_live(run->plan.fusions.items[i]))
            live[count++] = run->plan.fusions.items[i];
    run->check = selfcheck_begin(run, live, count);
}

/* False: a rewrite failed. */
static bool end_check(struct run *run)
{
    bool good = true;
    if (!run->check)
        return true;
    selfcheck_end(run->check);
    selfcheck_free(run->check);
    run->check = NULL;
    for (size_t i = 0; i < run->plan.fusions.count; i++) {
        const struct fusion *fusion = run->plan.fusions.items[i];
        if (!fusion->node || !fusion_is_live(fusion) || !fusion->failure)
            continue;
        /* A NaN in the file is not the rewrite's fault, but nothing can be checked with it. */
        ban(run, fusion, fusion->failure, fusion->difference >= 0 && isfinite(fusion->difference));
        good = false;
    }
    return good;
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
                arena_format(&run->arena, "the fused weight is %s at number %lld, not finite in %s",
                             decimal_rounded(failure->number, 6).text, (long long)failure->index,
                             type_name(failure->tensor->type)),
                false);
    }
    return result->failures.count == 0;
}

/* Bytes of initializers in force that lie outside the model. */
static uint64_t external_bytes(const struct model *model)
{
    uint64_t bytes = 0;
    for (size_t g = 0; g < model->graphs.count; g++) {
        const struct graph *graph = model->graphs.items[g];
        for (size_t i = 0; i < graph->initializers.count; i++) {
            const struct value *value = graph->initializers.items[i];
            if (!value->removed && value->tensor && value->tensor->external)
                bytes += value->tensor->external->size;
        }
    }
    return bytes;
}

/* Bytes of new weights that would go into the model. */
static uint64_t new_bytes(const struct model *model)
{
    uint64_t bytes = 0;
    for (size_t g = 0; g < model->graphs.count; g++) {
        const struct graph *graph = model->graphs.items[g];
        for (size_t i = 0; i < graph->new_initializers.count; i++)
            if (!graph->new_initializers.items[i]->removed)
                bytes += tensor_bytes(graph->new_initializers.items[i]->tensor);
    }
    return bytes;
}

/* Plans the bytes. Under "auto", new weights that do not fit into the model go beside it. */
static const char *plan_bytes(struct run *run, struct pieces *pieces, struct pieces *data)
{
    struct emit_placement placement = run_place(run);
    bool automatic = !run->options.external_data || strcmp(run->options.external_data, "auto") == 0;
    bool to_file = run->output_path && output_is_file(run->output_path);
    if (automatic && to_file && !placement.location &&
        new_bytes(&run->model) + run->model.bytes.size > INT32_MAX) {
        placement.location = run_free_name(run);
        placement.move_new = true;
    }
    run->moved = placement.move_external || placement.move_inline;
    emit_model(&run->model, &placement, pieces, data);
    return data->list.count ? placement.location : NULL;
}

/* Writes, and takes the self-check along while there is one. Rewrites that fail it say nothing about
 * the numbers of the others: those are judged next time. */
static bool write_to(struct run *run, const struct pieces *pieces, const struct sink *sink)
{
    struct write_result result = {0};
    struct write_company company = {selfcheck_next, run->check};
    write_pieces(&run->model, pieces, sink, run->options.jobs, run->options.progress,
                 run->options.closure, run->check ? &company : NULL, &result);
    return end_check(run) && ban_failures(run, &result);
}

/* Bytes that come from files as they are. */
static uint64_t copied_bytes(const struct pieces *pieces)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < pieces->list.count; i++)
        if (pieces->list.items[i].mapping)
            bytes += pieces->list.items[i].size;
    return bytes;
}

static bool write_pieces_to(struct run *run, const struct pieces *pieces, struct output *output)
{
    struct sink sink = {.output = output};
    output_size(output, pieces->size, copied_bytes(pieces) <= pieces->size / 2);
    /* A pipe takes nothing back: everything is computed once before the first byte is sent. */
    if (!output_is_seekable(output)) {
        struct sink nowhere = {0};
        if (!write_to(run, pieces, &nowhere))
            return false;
    }
    return write_to(run, pieces, &sink);
}

void run_forget_result(struct run *run)
{
    if (!run->options.allocate)
        free(run->result);
    run->result = NULL;
}

static bool write_to_memory(struct run *run, const struct pieces *pieces)
{
    struct sink sink = {0};
    run_forget_result(run);
    if (!run->options.dry_run) {
        size_t size = pieces->size ? pieces->size : 1;
        run->result = run->options.allocate ? run->options.allocate(run->options.closure, size)
                                            : malloc(size);
        if (!run->result)
            fail(&run->landing, ONNX_FUSE_OUT_OF_MEMORY, "out of memory: %llu bytes for the result",
                 (unsigned long long)pieces->size);
        run->result_size = pieces->size;
        memory_is_large(run->result, size);
        sink.memory = run->result;
    }
    return write_to(run, pieces, &sink);
}

/* Checks and writes the plan. False: a rewrite does not hold or a weight is not finite; what was
 * written is of no use. */
static bool write_out(struct run *run)
{
    struct pieces pieces, data;
    if (!run->options.no_check) {
        begin_check(run);
        selfcheck_start(run->check);
    }
    const char *location = plan_bytes(run, &pieces, &data);
    census_take(&run->model,
                pieces.size + data.size + (run->moved ? 0 : external_bytes(&run->model)),
                &run->summary.after);
    /* A large output is written while the checks go on: most often they find nothing. */
    if (run->check && run->options.jobs > 1 && write_takes_company(location ? &data : &pieces)) {
        selfcheck_pause(run->check);
    } else if (run->check) {
        selfcheck_run(run->check);
        if (!end_check(run))
            return false;
    }
    if (run->options.dry_run)
        run_check_dry(run);
    if (!run->output_path || run->options.dry_run)
        return write_to_memory(run, &pieces) && (!location || write_to_memory(run, &data));
    run->output.no_sync = run->data_output.no_sync = run->options.no_sync;
    run->output.no_sweep = run->data_output.no_sweep = run_reads_temporary(run);
    run->data_output.fresh = true;
    run->data_output.family = run_base_name(run->output_path);
    if (location) {
        output_open(&run->arena, &run->data_output,
                    output_beside(&run->arena, run->output_path, location));
        run_check_apart(run, &run->data_output);
        if (!write_pieces_to(run, &data, &run->data_output))
            return false;
    }
    output_open(&run->arena, &run->output, run->output_path);
    run_check_apart(run, &run->output);
    return write_pieces_to(run, &pieces, &run->output);
}

/* The output takes its place. False: another run has taken the name of the data file meanwhile. */
static bool appear(struct run *run)
{
    if (!run->output_path || run->options.dry_run)
        return true;
    /* The data first: a model never stands without it. */
    if (run->data_output.name) {
        if (!output_commit(&run->data_output)) {
            if (run_names_data(run->options.external_data))
                fail(&run->landing, ONNX_FUSE_IO,
                     "external data '%s' has come to exist beside the output: name another file or "
                     "remove it",
                     run->options.external_data);
            return false;
        }
        output_settle(&run->data_output);
    }
    output_commit(&run->output);
    output_keep(&run->data_output);
    output_settle(&run->output);
    return true;
}

/* A model with more bad rewrites than this comes out without any. */
enum { ATTEMPTS = 64 };
static const char *const no_passes[] = {NULL};

/* What the report says of the plan as it stands now. */
static void summarise(struct run *run)
{
    warn_of_memory(run);
    run->plan.warnings.items = run->warnings.items;
    run->plan.warnings.count = run->warnings.count;
    run->summary.changed = run->moved || is_changed(&run->model);
    run->summary.input = arena_copy(&run->arena, run->input ? run->input : "");
    run->summary.output = arena_copy(&run->arena, run->output_path ? run->output_path : "");
    html_keep(&run->plan);
}

void run_fuse(struct run *run)
{
    double start = now();
    bool again = false; /* the output's name was taken: reports are written anew */
    run_open_report(run, run->options.html_report, &run->page);
    run_open_report(run, run->options.json_report, &run->json);
    if (run->options.html_report && output_is_same(&run->page, &run->json))
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "%s: both reports go there, expected two files",
             run->options.html_report);
    run_load(run);
    run_check_data(run, &run->page);
    run_check_data(run, &run->json);
    census_take(&run->model, run->model.bytes.size + external_bytes(&run->model),
                &run->summary.before);
    run->checking = effort_for(run->landing.input);
    for (int attempt = 0;; attempt++) {
        make_plan(run);
        if (write_out(run)) {
            run->is_written = !run->options.dry_run;
            model_check_files(&run->model);
            progress(run, "finishing", 1);
            run->summary.seconds = now() - start;
            summarise(run);
            run_write_report(run, run->options.html_report, &run->page, html_fuse, again);
            run_write_report(run, run->options.json_report, &run->json, report_json, again);
            again = true;
            if (appear(run))
                break;
        }
        output_abandon(&run->output);
        output_abandon(&run->data_output);
        /* What an attempt took stays taken. */
        if (attempt == ATTEMPTS)
            run->options.only = no_passes;
        run->is_short = run->is_short || landing_has_taken(&run->landing, 6);
        reload(&run->model);
    }
    run->summary.seconds = now() - start;
    run_finish_report(run->options.html_report, &run->page);
    run_finish_report(run->options.json_report, &run->json);
}
