/* run/run.c: load, plan, check, write; and again without what did not hold. */
#include "run/run.h"

#include <math.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "base/system.h"
#include "check/equality.h"
#include "check/selfcheck.h"
#include "equalize/measured.h"
#include "infer/call.h"
#include "infer/rules.h"
#include "model/external.h"
#include "model/load.h"
#include "passes/passes.h"
#include "report/page_fuse.h"
#include "run/debug.h"
#include "run/interface.h"
#include "run/place.h"
#include "run/report.h"
#include "run/size.h"
#include "write/write.h"

static void load(struct run *run)
{
    source_open(&run->source, &run->model, &run->arena);
    run_progress(run, "reading", 0);
    model_load(&run->model);
    shape_infer(&run->model);
}

/* The index as the file has it. */
static void reload(struct model *model)
{
    model->graphs.count = 0;
    model->inner_names = model->node_names = model->sizes = (struct map){0};
    model->is_sized = false;
    graph_build(model);
    shape_infer(model);
}

static void read_statistics(struct run *run)
{
    const char *path = run->options.statistics;
    size_t size;
    if (!path)
        return;
    const uint8_t *text = file_copy(&run->arena, path, &size);
    run->measured = (struct map){0};
    measured_read(&run->arena, path, text, size, &run->measured);
}

static void make_plan(struct run *run)
{
    run->plan = (struct plan){.model = &run->model,
                              .options = &run->options,
                              .measured = run->measured,
                              .bans = run->bans,
                              .full = run->is_short};
    debug_begin(run);
    run_progress(run, "planning", 0);
    plan_run(&run->plan);
    debug_plan(run);
}

static void warn(struct run *run, struct refusal warning)
{
    struct refusal *kept = NEW(&run->arena, struct refusal);
    *kept = warning;
    kept->counts = true;
    LIST_PUSH(&run->arena, &run->warnings, kept);
}

/* Said once, and as a warning: what is written is right, and less than what could be. */
static void warn_of_memory(struct run *run)
{
    if (!run->plan.full)
        return;
    const char *reason = arena_format(&run->arena,
                                      "memory limit: the remaining rewrites were left out, because they need more than "
                                      "the %zu MiB allowed for %zu bytes of input",
                                      run->landing.most >> 20, run->landing.input);
    warn(run, (struct refusal){PLAN_WHOLE_MODEL, run->model.graphs.items[0], .reason = reason});
}

/* What memory did not suffice for in an earlier run. One without rewrites says so instead. */
static void leave_ranges(struct run *run)
{
    const char *what = run->options.equalize ? "the network is not equalised"
                       : run->foresees       ? "what equalisation would gain is not predicted"
                                             : NULL;
    if (!run->leaves_ranges || !what)
        return;
    const char *reason = arena_format(
        &run->arena, "memory limit: %s, because that needs more than the %zu MiB allowed for %zu bytes of input", what,
        run->landing.most >> 20, run->landing.input);
    if (!run->is_short)
        warn(run, (struct refusal){"equalize", run->model.graphs.items[0], .reason = reason});
    run->options.equalize = ONNX_FUSE_EQUALIZE_OFF;
    run->foresees = false;
}

/* Warns of nodes that no runtime loads: nothing folds across them (fuse/lift.c), and nothing repairs them. */
static void warn_of_rules(struct run *run)
{
    enum { TOLD_MOST = 20 };
    size_t found = 0;
    for (size_t g = 0; g < run->model.graphs.count; g++) {
        const struct graph *graph = run->model.graphs.items[g];
        for (size_t i = 0; i < graph->node_count; i++) {
            const struct node *node = graph->nodes[i];
            const char *reason = rules_node(&run->arena, node);
            if (!reason || found++ >= TOLD_MOST)
                continue;
            reason = arena_format(&run->arena, "not valid ONNX: %s", reason);
            warn(run, (struct refusal){PLAN_WHOLE_MODEL, graph, node, node_output(node, 0), .reason = reason});
        }
    }
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
    const struct value *target = fusion->first_target ? fusion->first_target : fusion->target;
    map_put(arena, &run->bans, plan_key(arena, fusion->graph, target), arena_copy(arena, reason));
    if (is_warning)
        warn(run, (struct refusal){fusion->pass, fusion->graph, fusion->node, fusion->target, .reason = reason});
}

static void begin_check(struct run *run)
{
    size_t count = 0;
    struct fusion **live = NEW_ARRAY(&run->arena, struct fusion *, run->plan.fusions.count + 1);
    for (size_t i = 0; i < run->plan.fusions.count; i++)
        if (run->plan.fusions.items[i]->node && fusion_is_checked(run->plan.fusions.items[i]))
            live[count++] = run->plan.fusions.items[i];
    run->check = selfcheck_begin(&run->model, &run->options, &run->checking, live, count);
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
        if (!fusion->node || !fusion_is_checked(fusion) || !fusion->failure)
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

/* Writes, and takes the self-check along while there is one. Rewrites that fail it say nothing about
 * the numbers of the others: those are judged next time. */
static bool write_to(struct run *run, const struct pieces *pieces, const struct sink *sink)
{
    struct write_result result = {0};
    struct write_company company = {selfcheck_next, run->check};
    write_pieces(&run->model, pieces, sink, run->options.jobs, &run->progress, run->check ? &company : NULL, &result);
    return end_check(run) && ban_failures(run, &result);
}

static bool write_pieces_to(struct run *run, const struct pieces *pieces, struct output *output)
{
    struct sink sink = {.output = output};
    output_size(output, pieces->size, run_copied_bytes(pieces) <= pieces->size / 2);
    /* A pipe takes nothing back: everything is computed once before the first byte is sent. */
    if (!output_is_seekable(output)) {
        struct sink nowhere = {0};
        if (!write_to(run, pieces, &nowhere))
            return false;
    }
    return write_to(run, pieces, &sink);
}

static bool write_to_memory(struct run *run, const struct pieces *pieces)
{
    struct sink sink = {0};
    run_forget_result(run);
    if (!run->options.dry_run) {
        size_t size = pieces->size ? (size_t)pieces->size : 1;
        if (pieces->size <= SIZE_MAX)
            run->result = run->options.allocate ? run->options.allocate(run->options.closure, size) : malloc(size);
        if (!run->result)
            fail(&run->landing, ONNX_FUSE_OUT_OF_MEMORY, "out of memory: %llu bytes for the result",
                 (unsigned long long)pieces->size);
        run->result_size = (size_t)pieces->size;
        memory_is_large(run->result, size);
        sink.memory = run->result;
    }
    return write_to(run, pieces, &sink);
}

/* Equalisation changes nothing or is not made. False: the plan is made again without. */
static bool check_equalized(struct run *run)
{
    const char *reason = run->plan.scalings.count && !run->options.no_check ? check_equality(&run->model) : NULL;
    if (!reason)
        return true;
    reason = arena_copy(&run->arena, reason);
    warn(run, (struct refusal){"equalize", run->model.graphs.items[0], .reason = reason});
    run->options.equalize = ONNX_FUSE_EQUALIZE_OFF;
    return false;
}

/* Checks and writes the plan. False: a rewrite does not hold or a weight is not finite; what was
 * written is of no use. */
static bool write_out(struct run *run)
{
    struct pieces pieces, data;
    if (!check_equalized(run))
        return false;
    if (!run->options.no_check) {
        begin_check(run);
        selfcheck_start(run->check);
    }
    const char *location = run_plan_bytes(run, &pieces, &data);
    census_take(&run->model, pieces.size + data.size + (run->moved ? 0 : run_external_bytes(&run->model)),
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
    run->data_output.family = path_name(run->output_path);
    if (location) {
        output_open(&run->arena, &run->data_output, output_beside(&run->arena, run->output_path, location));
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
                     "external data '%s' appeared beside the output during the run: name another file or "
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

/* Fills the report from the present plan. */
static void summarise(struct run *run)
{
    warn_of_memory(run);
    run->plan.warnings.items = run->warnings.items;
    run->plan.warnings.count = run->warnings.count;
    run->summary.changed = run->moved || is_changed(&run->model);
    run->summary.input = arena_copy(&run->arena, run->source.path ? run->source.path : "");
    run->summary.output = arena_copy(&run->arena, run->output_path ? run->output_path : "");
    html_keep(&run->plan);
}

void run_fuse(struct run *run)
{
    double start = system_seconds();
    bool again = false; /* the output's name was taken: write the reports again */
    run_open_report(run, run->options.html_report, &run->page);
    run_open_report(run, run->options.json_report, &run->json);
    if (run->options.html_report && output_is_same(&run->page, &run->json))
        fail(&run->landing, ONNX_FUSE_ARGUMENT, "%s: both reports go there, expected two files",
             run->options.html_report);
    load(run);
    warn_of_rules(run);
    leave_ranges(run);
    run_check_data(run, &run->page);
    run_check_data(run, &run->json);
    census_take(&run->model, run->model.bytes.size + run_external_bytes(&run->model), &run->summary.before);
    if (interface_is_asked(run))
        interface_apply(run);
    run->checking = effort_for(run->landing.input);
    read_statistics(run);
    for (int attempt = 0;; attempt++) {
        make_plan(run);
        if (write_out(run)) {
            run->is_written = !run->options.dry_run;
            model_check_files(&run->model);
            run_progress(run, "finishing", 1);
            run->summary.seconds = system_seconds() - start;
            if (run->foresees)
                foresee_equalize(&run->plan);
            summarise(run);
            run_write_report(run, run->options.html_report, &run->page, html_fuse, again);
            run_write_report(run, run->options.json_report, &run->json, report_json, again);
            again = true;
            if (appear(run))
                break;
        }
        output_abandon(&run->output);
        output_abandon(&run->data_output);
        /* Effort of an earlier attempt stays spent. */
        if (attempt == ATTEMPTS)
            run->options.only = no_passes;
        run->is_short = run->is_short || landing_has_taken(&run->landing, 6);
        reload(&run->model);
        if (interface_is_asked(run))
            interface_apply(run);
    }
    run->summary.seconds = system_seconds() - start;
    run_finish_report(run->options.html_report, &run->page);
    run_finish_report(run->options.json_report, &run->json);
}
