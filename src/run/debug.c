/* run/debug.c: nodes that each pass made and removed, steps of nodes, and the plan. */
#include "run/debug.h"

#include <string.h>

#include "base/text.h"
#include "fuse/lift.h"
#include "passes/passes.h"

static void say(const struct run *run, const struct text *text)
{
    if (text->bytes)
        run->options.trace(run->options.closure, text->bytes);
}

static const char *name_of(struct arena *arena, const struct value *value)
{
    return value ? text_plain(arena, value->name) : "";
}

/* "Conv 'node' (x, w) -> y" */
static void print_node(struct text *text, const struct node *node)
{
    struct arena *arena = text->arena;
    text_print(text, "%s '%s' (", text_plain(arena, text_or_empty(node->proto->op_type)),
               text_plain(arena, text_or_empty(node->proto->name)));
    for (size_t i = 0; i < node->input_count; i++)
        text_print(text, "%s%s", i ? ", " : "", name_of(arena, node->inputs[i]));
    text_print(text, ") ->");
    for (size_t i = 0; i < node->output_count; i++)
        text_print(text, "%s %s", i ? "," : "", name_of(arena, node->outputs[i]));
}

static struct node *node_at(const struct graph *graph, size_t index)
{
    return index < graph->node_count ? graph->nodes[index] : graph->new_nodes.items[index - graph->node_count];
}

/* After a pass: the nodes that it made and removed. */
static void tell_pass(struct plan *plan, int round)
{
    struct run *run = plan->closure;
    struct debug *debug = &run->debug;
    struct text text = {.arena = &run->arena};
    for (size_t g = 0; g < plan->model->graphs.count; g++) {
        const struct graph *graph = plan->model->graphs.items[g];
        for (size_t i = 0; i < graph->node_count + graph->new_nodes.count; i++) {
            const struct node *node = node_at(graph, i);
            const char *key = arena_format(&run->arena, "%zu %zu", g, i);
            bool known = !node->is_new || map_get(&debug->made, key);
            bool gone = map_get(&debug->gone, key) != NULL;
            if (known && (gone || !node->removed))
                continue;
            map_put(&run->arena, &debug->made, key, debug);
            if (node->removed)
                map_put(&run->arena, &debug->gone, key, debug);
            if (!known && node->removed)
                continue; /* one pass made it and took it away again */
            if (!text.bytes)
                text_print(&text, "round %d, %s:\n", round + 1, plan->pass);
            text_print(&text, "  %c ", node->removed ? '-' : '+');
            print_node(&text, node);
            text_print(&text, "\n");
        }
    }
    say(run, &text);
}

static void tell_steps(struct run *run)
{
    static const char *const layouts[] = {"conv", "matrix"};
    for (size_t g = 0; g < run->model.graphs.count; g++) {
        const struct graph *graph = run->model.graphs.items[g];
        struct text text = {.arena = &run->arena};
        text_print(&text, "steps of %s:\n", text_plain(&run->arena, graph->name));
        for (size_t i = 0; i < graph->node_count + graph->new_nodes.count; i++) {
            struct node *node = node_at(graph, i);
            if (node->removed || node->op == OP_Constant)
                continue;
            text_print(&text, "  ");
            print_node(&text, node);
            for (int layout = LAYOUT_CONV; layout <= LAYOUT_MATRIX; layout++) {
                const struct step *step = lift_node(node, (enum layout)layout);
                text_print(&text, "\n    %s: ", layouts[layout]);
                if (step->reason)
                    text_print(&text, "%s", step->reason);
                else
                    step_print_form(&text, step->form);
                for (size_t k = 0; !step->reason && k < step->term_count; k++)
                    text_print(&text, "%s%s", k ? ", " : " of ", name_of(&run->arena, step->terms[k].value));
                if (!step->reason && step->input)
                    text_print(&text, " of %s", name_of(&run->arena, step->input));
            }
            text_print(&text, "\n");
        }
        say(run, &text);
    }
}

static void tell_plan(struct run *run)
{
    struct text text = {.arena = &run->arena};
    text_print(&text, "plan:\n");
    for (size_t i = 0; i < run->plan.fusions.count; i++) {
        const struct fusion *fusion = run->plan.fusions.items[i];
        if (!fusion_is_checked(fusion))
            continue;
        text_print(&text, "  %s: %s", fusion->pass, name_of(&run->arena, fusion->target));
        if (fusion->source)
            text_print(&text, " from %s", name_of(&run->arena, fusion->source));
        if (fusion->form) {
            text_print(&text, ", ");
            step_print_form(&text, fusion->form);
        }
        text_print(&text, "\n");
        for (size_t k = 0; k < fusion->replaced.count; k++) {
            text_print(&text, "    - ");
            print_node(&text, fusion->replaced.items[k]);
            text_print(&text, "\n");
        }
        for (size_t k = 0; k < fusion->made.count; k++) {
            text_print(&text, "    + ");
            print_node(&text, fusion->made.items[k]);
            text_print(&text, "\n");
        }
    }
    say(run, &text);
}

static const char *const kinds[] = {"passes", "steps", "plan"};

void debug_begin(struct run *run)
{
    const struct onnx_fuse_options *options = &run->options;
    run->debug = (struct debug){.asked = {false}};
    if (!options->debug || !options->trace)
        return;
    for (const char *name = options->debug; *name;) {
        size_t length = strcspn(name, ","), kind = 0;
        while (kind < COUNT_OF(kinds) && (strlen(kinds[kind]) != length || memcmp(kinds[kind], name, length) != 0))
            kind++;
        if (kind == COUNT_OF(kinds))
            fail(&run->landing, ONNX_FUSE_ARGUMENT,
                 "debug: '%s' is not a list of passes, steps and plan, separated by commas", options->debug);
        run->debug.asked[kind] = true;
        name += length + (name[length] == ',');
    }
    if (run->debug.asked[0]) {
        run->plan.ran = tell_pass;
        run->plan.closure = run;
    }
}

void debug_plan(struct run *run)
{
    if (run->debug.asked[1])
        tell_steps(run);
    if (run->debug.asked[2])
        tell_plan(run);
}
