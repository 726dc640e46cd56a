/* passes/passes.c: the table, and the rounds that run it. */
#include "passes/passes.h"

#include <assert.h>

#include "fuse/account.h"
#include "fuse/trace.h"
#include "infer/call.h"

const struct pass passes[] = {
#define X(name, kind, purpose) {#name, purpose, kind, name},
    PASSES(X)
#undef X
};

const size_t pass_count = COUNT_OF(passes);

/* Each round removes an op; a model that needs more rounds than this keeps the remaining ops. */
enum { ROUNDS = 1000 };

/* Each round reports its refusals anew; earlier ones are dropped. */
static void forget_refusals(struct plan *plan)
{
    plan->refusals.count = 0;
    plan->refused = (struct map){0};
}

/* Reasons that hold for the whole model. */
static const char *frozen(const struct model *model)
{
    const struct graph *main = model->graphs.items[0];
    if (model->proto->n_training_info)
        return "the model has training_info, which changes its initializers while it runs";
    if (main->opset > OPSET_NEWEST)
        return arena_format(model->arena, "opset %lld is newer than %d, the newest supported", (long long)main->opset,
                            OPSET_NEWEST);
    if (main->opset < OPSET_OLDEST && model->graphs.count == 1)
        return arena_format(model->arena, "opset %lld is older than %d, the oldest supported", (long long)main->opset,
                            OPSET_OLDEST);
    return NULL;
}

#ifndef NDEBUG
static bool is_there(const struct value *value)
{
    return !value || (!value->removed && (!value->producer || !value->producer->removed));
}

/* Between passes, in test builds: every value that is read or is a graph output must exist. A pass that removed a
 * node with a needed result would make a model that does not load. */
static bool is_whole(const struct model *model)
{
    for (size_t g = 0; g < model->graphs.count; g++) {
        const struct graph *graph = model->graphs.items[g];
        for (size_t i = 0; i < graph->node_count + graph->new_nodes.count; i++) {
            const struct node *node =
                i < graph->node_count ? graph->nodes[i] : graph->new_nodes.items[i - graph->node_count];
            for (size_t k = 0; !node->removed && k < node->input_count; k++)
                if (!is_there(node->inputs[k]))
                    return false;
            for (size_t k = 0; k < node->output_count; k++)
                if (node->outputs[k] && node->outputs[k]->is_output && !is_there(node->outputs[k]))
                    return false;
        }
    }
    return true;
}
#endif

static void run_pass(struct plan *plan, const struct pass *pass, int round)
{
    plan->pass = pass->name;
    pass->run(plan);
    assert(is_whole(plan->model));
    if (plan->ran)
        plan->ran(plan, round);
}

static void run_passes(struct plan *plan)
{
    bool any = false, edited = false;
    for (int round = 0; round < ROUNDS; round++) {
        plan->changed = false;
        forget_refusals(plan);
        for (size_t i = 0; i < pass_count; i++) {
            bool cleans = passes[i].kind == PASS_CLEANS;
            bool asked = cleans && plan->options->only; /* if it is enabled, it is in the list */
            if (!pass_is_enabled(plan, passes[i].name) || passes[i].kind == PASS_ENDS || (cleans && !any && !asked) ||
                (!cleans && plan_is_full(plan)))
                continue;
            run_pass(plan, &passes[i], round);
            any = any || plan->changed;
        }
        edited = edited || plan->changed;
        if (plan->full)
            return;
        if (plan->changed)
            continue;
        /* Nothing is left to do with the known shapes. The new ops imply shapes of their inputs and outputs, as they
         * would in the written file. */
        if (!edited || !shape_infer(plan->model))
            return;
        edited = false;
        lift_forget_reasons(plan->model);
    }
}

/* Runs the passes that run once, and those that clean up after them. */
static void run_last(struct plan *plan)
{
    plan->changed = false;
    for (size_t i = 0; i < pass_count; i++) {
        bool ends = passes[i].kind == PASS_ENDS && !plan_is_full(plan);
        if (!pass_is_enabled(plan, passes[i].name) || !(ends || (passes[i].kind == PASS_CLEANS && plan->changed)))
            continue;
        run_pass(plan, &passes[i], ROUNDS);
    }
}

void plan_run(struct plan *plan)
{
    plan->pass = PLAN_WHOLE_MODEL;
    const char *reason = frozen(plan->model);
    if (reason) {
        plan_refuse(plan, NULL, NULL, reason);
        return;
    }
    run_passes(plan);
    if (plan->options->equalize)
        run_last(plan);
    account_share_constants(plan);
    account_parameters(plan);
}
