/* report/text.c: three views of one run. */
#include "report/text.h"

#include <inttypes.h>
#include <math.h>

#include "base/decimal.h"
#include "report/equalized.h"

/* ---- helpers ---- */

double report_largest_difference(const struct plan *plan)
{
    double largest = -1;
    for (size_t i = 0; i < plan->fusions.count; i++)
        if (fusion_is_live(plan->fusions.items[i]))
            largest = fmax(largest, plan->fusions.items[i]->difference);
    return largest;
}

static const char *name_of(const struct node *node)
{
    return node && node->proto->name ? node->proto->name : "";
}

static const char *type_of(const struct node *node)
{
    return node && node->proto->op_type ? node->proto->op_type : "";
}

/* ---- JSON ---- */

/* negative: not known */
static void json_if_known(struct json *json, const char *key, double number)
{
    json_number(json, key, number >= 0 ? number : NAN);
}

void report_json_fusion(struct json *json, const struct plan *plan, const struct fusion *fusion)
{
    const struct node **replaced = fusion_replaced(plan, fusion);
    json_text(json, "pass", fusion->pass);
    json_text(json, "graph", fusion->graph->name);
    json_text(json, "node", name_of(fusion->node));
    json_text(json, "output", fusion->target->name);
    json_text(json, "source", fusion->source ? value_now(fusion->source)->name : "");
    json_open(json, "replaced", '[');
    for (size_t i = 0; i < fusion->replaced.count; i++) {
        json_open(json, NULL, '{');
        json_text(json, "op", type_of(replaced[i]));
        json_text(json, "node", name_of(replaced[i]));
        json_close(json, '}');
    }
    json_close(json, ']');
    json_open(json, "new", '[');
    for (size_t i = 0; i < fusion->made.count; i++)
        json_text(json, NULL, type_of(fusion->made.items[i]));
    json_close(json, ']');
    json_number(json, "multiply_adds_before", fusion->multiply_adds_before);
    json_number(json, "multiply_adds_after", fusion->multiply_adds_after);
    json_number(json, "parameters_before", fusion->parameters_before);
    json_number(json, "parameters_after", fusion->parameters_after);
    json_if_known(json, "difference", fusion->difference);
    json_integer(json, "channels_checked", fusion->channels_checked);
}

static void json_refusals(struct json *json, const char *key, struct refusal *const *refusals, size_t count)
{
    json_line(json, 2);
    json_open(json, key, '[');
    for (size_t i = 0; i < count; i++) {
        const struct refusal *refusal = refusals[i];
        json_line(json, 4);
        json_open(json, NULL, '{');
        json_text(json, "pass", refusal->pass);
        json_text(json, "graph", refusal->graph->name);
        json_text(json, "node", name_of(refusal->node));
        json_text(json, "op", refusal->node ? type_of(refusal->node) : "model");
        json_text(json, "output", refusal->output ? refusal->output->name : "");
        json_text(json, "reason", refusal->reason);
        json_bool(json, "counts", refusal->counts);
        json_close(json, '}');
    }
    json_line(json, 2);
    json_close(json, ']');
}

static void json_names(struct json *json, const char *key, const char *const *names, size_t count)
{
    json_open(json, key, '[');
    for (size_t i = 0; i < count; i++)
        json_text(json, NULL, names[i]);
    json_close(json, ']');
}

static void json_interface(struct json *json, const struct interface *interface)
{
    json_line(json, 2);
    json_open(json, "interface", '{');
    json_names(json, "frozen", interface->frozen.items, interface->frozen.count);
    json_names(json, "outputs_removed", interface->outputs.items, interface->outputs.count);
    json_count(json, "ops_removed", interface->ops);
    json_open(json, "input_shapes", '{');
    for (size_t i = 0; i < interface->inputs.count; i++) {
        const struct sized_input *input = &interface->inputs.items[i];
        json_open(json, input->name, '[');
        for (int axis = 0; axis < input->rank; axis++)
            json_integer(json, NULL, input->dims[axis]);
        json_close(json, ']');
    }
    json_close(json, '}');
    json_open(json, "symbols", '{');
    for (size_t i = 0; i < interface->symbols.count; i++)
        json_integer(json, interface->symbols.items[i].name, interface->symbols.items[i].size);
    json_close(json, '}');
    json_close(json, '}');
}

const char *report_json(const struct plan *plan, const struct summary *summary)
{
    struct json json = {.text = {.arena = plan->model->arena}};
    json_open(&json, NULL, '{');
    json_line(&json, 2);
    json_count(&json, "schema", 1);
    json_line(&json, 2);
    json_text(&json, "tool", "onnx-repvgg-fuse");
    json_line(&json, 2);
    json_text(&json, "version", onnx_fuse_version());
    json_line(&json, 2);
    json_text(&json, "input", summary->input);
    json_line(&json, 2);
    json_text(&json, "output", summary->output);
    json_line(&json, 2);
    json_bool(&json, "changed", summary->changed);
    json_interface(&json, &summary->interface);
    json_line(&json, 2);
    json_open(&json, "fusions", '[');
    for (size_t i = 0; i < plan->fusions.count; i++)
        if (fusion_is_live(plan->fusions.items[i])) {
            json_line(&json, 4);
            json_open(&json, NULL, '{');
            report_json_fusion(&json, plan, plan->fusions.items[i]);
            json_close(&json, '}');
        }
    json_line(&json, 2);
    json_close(&json, ']');
    json_refusals(&json, "refusals", plan->refusals.items, plan->refusals.count);
    json_refusals(&json, "warnings", plan->warnings.items, plan->warnings.count);
    if (plan->options->equalize)
        equalized_json(&json, "equalized", &plan->equalized);
    census_json(&json, "before", &summary->before);
    census_json(&json, "after", &summary->after);
    json_line(&json, 2);
    json_if_known(&json, "largest_difference", report_largest_difference(plan));
    json_line(&json, 2);
    json_literal(&json, "seconds", decimal_fixed(summary->seconds, 6).text);
    json_line(&json, 0);
    json_close(&json, '}');
    return json_end(&json);
}

/* ---- lines ---- */

void report_ops(struct text *text, const struct plan *plan, const struct fusion *fusion)
{
    const struct node **nodes = fusion_replaced(plan, fusion);
    struct map seen = {0};
    LIST(struct census_entry *) entries = {0};
    for (size_t i = 0; i < fusion->replaced.count; i++) {
        struct census_entry *entry = map_get(&seen, type_of(nodes[i]));
        if (!entry) {
            entry = NEW(text->arena, struct census_entry);
            entry->type = type_of(nodes[i]);
            map_put(text->arena, &seen, entry->type, entry);
            LIST_PUSH(text->arena, &entries, entry);
        }
        entry->count++;
    }
    for (size_t i = 0; i < entries.count; i++)
        text_print(text, "%s%zu %s", i ? ", " : "", entries.items[i]->count, entries.items[i]->type);
}

/* Names are whatever a file holds: a line of the text stays one. */
static void end_line(struct text *text, size_t start)
{
    const char *line = text->bytes + start, *plain = text_plain(text->arena, line);
    if (plain != line) {
        text->size = start;
        text_append(text, plain, strlen(plain));
    }
    text_append(text, "\n", 1);
}

/* One line; `alike` further refusals have the same pass, graph, operator and reason. */
static void print_refusal(struct text *text, const char *word, const struct refusal *refusal, size_t alike)
{
    if (!refusal->node && strcmp(refusal->pass, PLAN_WHOLE_MODEL) == 0) {
        text_print(text, "%s the whole model: %s\n", word, text_plain(text->arena, refusal->reason));
        return;
    }
    size_t start = text->size;
    text_print(text, "%s %s", word, refusal->pass);
    if (strcmp(refusal->graph->name, "main") != 0)
        text_print(text, " in %s", refusal->graph->name);
    if (refusal->node)
        text_print(text, ": %s '%s' -> '%s'", type_of(refusal->node), name_of(refusal->node),
                   refusal->output ? refusal->output->name : "");
    if (alike)
        text_print(text, " and %zu more %s", alike, refusal->node ? type_of(refusal->node) : "places");
    text_print(text, ": %s", refusal->reason);
    end_line(text, start);
}

/* Refusals of one pass, graph and operator for one reason. */
struct alike {
    size_t count;
    bool told;
};

/* A detector has a hundred nonlinear activations, so they share a line, which names two. */
static void print_refusals(struct text *text, const char *word, struct refusal *const *refusals, size_t count)
{
    enum { NAMED_MOST = 2 };
    struct map groups = {.count = 0};
    struct alike **of = NEW_ARRAY(text->arena, struct alike *, count);
    for (size_t i = 0; i < count; i++) {
        const struct refusal *refusal = refusals[i];
        if (!refusal->counts)
            continue;
        const char *key = arena_format(text->arena, "%s\n%s\n%s\n%s", refusal->pass, refusal->graph->name,
                                       refusal->node ? type_of(refusal->node) : "", refusal->reason);
        of[i] = map_get(&groups, key);
        if (!of[i]) {
            of[i] = NEW(text->arena, struct alike);
            map_put(text->arena, &groups, key, of[i]);
        }
        of[i]->count++;
    }
    for (size_t i = 0; i < count; i++) {
        if (!of[i])
            continue;
        bool groups_up = of[i]->count > NAMED_MOST;
        if (!groups_up || !of[i]->told)
            print_refusal(text, word, refusals[i], groups_up ? of[i]->count - 1 : 0);
        of[i]->told = true;
    }
}

/* Refusals that do not count: one line per operator and reason; the reason of a sum is without those of its
 * branches. */
static void print_by_nature(struct text *text, const struct plan *plan)
{
    struct map seen = {.count = 0};
    LIST(struct census_entry *) groups = {0};
    for (size_t i = 0; i < plan->refusals.count; i++) {
        const struct refusal *refusal = plan->refusals.items[i];
        if (refusal->counts)
            continue;
        const char *branches = strstr(refusal->reason, REASON_OF_BRANCH);
        int length = (int)(branches ? branches - refusal->reason : (ptrdiff_t)strlen(refusal->reason));
        const char *key = arena_format(text->arena, "%s: %.*s", type_of(refusal->node), length, refusal->reason);
        struct census_entry *group = map_get(&seen, key);
        if (!group) {
            group = NEW(text->arena, struct census_entry);
            group->type = key;
            map_put(text->arena, &seen, key, group);
            LIST_PUSH(text->arena, &groups, group);
        }
        group->count++;
    }
    for (size_t i = 0; i < groups.count; i++) {
        size_t start = text->size;
        text_print(text, "left alone: %zu %s", groups.items[i]->count, groups.items[i]->type);
        end_line(text, start);
    }
}

static void print_some(struct text *text, const char *const *names, size_t count)
{
    enum { NAMED_MOST = 8 };
    for (size_t i = 0; i < count && i < NAMED_MOST; i++)
        text_print(text, "%s'%s'", i ? ", " : "", names[i]);
    if (count > NAMED_MOST)
        text_print(text, " and %zu more", count - NAMED_MOST);
}

const char *report_interface(struct arena *arena, const struct interface *interface)
{
    struct text text = {.arena = arena};
    size_t start = 0;
    text_append(&text, "", 0);
    if (interface->frozen.count) {
        text_print(&text, "frozen, no longer inputs: ");
        print_some(&text, interface->frozen.items, interface->frozen.count);
        end_line(&text, start);
    }
    start = text.size;
    if (interface->outputs.count) {
        text_print(&text, "outputs removed, and %zu ops that only they needed: ", interface->ops);
        print_some(&text, interface->outputs.items, interface->outputs.count);
        end_line(&text, start);
    }
    for (size_t i = 0; i < interface->inputs.count; i++) {
        const struct sized_input *input = &interface->inputs.items[i];
        start = text.size;
        text_print(&text, "sizes of input '%s': ", input->name);
        for (int axis = 0; axis < input->rank; axis++)
            text_print(&text, "%s%" PRId64, axis ? ", " : "", input->dims[axis]);
        end_line(&text, start);
    }
    for (size_t i = 0; i < interface->symbols.count; i++) {
        start = text.size;
        text_print(&text, "'%s' is %" PRId64 " in every shape", interface->symbols.items[i].name,
                   interface->symbols.items[i].size);
        end_line(&text, start);
    }
    return text.bytes;
}

/* The ops that went because another value holds the same, by pass and graph: a line each. */
static void print_redirected(struct text *text, const struct plan *plan)
{
    struct map groups = {.count = 0};
    LIST(struct fusion *) lines = {NULL, 0, 0};
    for (size_t i = 0; i < plan->fusions.count; i++) {
        const struct fusion *fusion = plan->fusions.items[i];
        if (!fusion_is_live(fusion) || !fusion->redirects)
            continue;
        const char *key = arena_format(text->arena, "%s\n%s", fusion->pass, fusion->graph->name);
        struct fusion *line = map_get(&groups, key);
        if (!line) {
            line = NEW(text->arena, struct fusion);
            *line = (struct fusion){.pass = fusion->pass, .graph = fusion->graph};
            map_put(text->arena, &groups, key, line);
            LIST_PUSH(text->arena, &lines, line);
        }
        for (size_t k = 0; k < fusion->replaced.count; k++)
            LIST_PUSH(text->arena, &line->replaced, fusion->replaced.items[k]);
        line->parameters_before += fusion->parameters_before;
    }
    for (size_t i = 0; i < lines.count; i++) {
        const struct fusion *line = lines.items[i];
        size_t start = text->size;
        text_print(text, "removed %s", line->pass);
        if (strcmp(line->graph->name, "main") != 0)
            text_print(text, " in %s", line->graph->name);
        text_print(text, ": ");
        report_ops(text, plan, line);
        text_print(text, "; parameters %.0f -> 0", line->parameters_before);
        end_line(text, start);
    }
}

const char *report_explanation(const struct plan *plan, const struct summary *summary)
{
    struct text text = {.arena = plan->model->arena};
    text_print(&text, "%s", report_interface(text.arena, &summary->interface));
    text_append(&text, "", 0);
    print_redirected(&text, plan);
    for (size_t i = 0; i < plan->fusions.count; i++) {
        const struct fusion *fusion = plan->fusions.items[i];
        if (!fusion_is_live(fusion) || fusion->redirects)
            continue;
        size_t start = text.size;
        text_print(&text, "fused %s", fusion->pass);
        if (strcmp(fusion->graph->name, "main") != 0)
            text_print(&text, " in %s", fusion->graph->name);
        text_print(&text, ": ");
        report_ops(&text, plan, fusion);
        text_print(&text, " -> %s", fusion->node ? "" : "a stored constant");
        for (size_t k = 0; k < fusion->made.count; k++)
            text_print(&text, "%s%s", k ? ", " : "", type_of(fusion->made.items[k]));
        if (fusion->node)
            text_print(&text, " '%s' from '%s'", name_of(fusion->node), value_now(fusion->source)->name);
        text_print(&text, " to '%s'; ", fusion->target->name);
        if (fusion->node)
            text_print(&text, "multiply-adds per position %.0f -> %.0f, ", fusion->multiply_adds_before,
                       fusion->multiply_adds_after);
        text_print(&text, "parameters %.0f -> %.0f", fusion->parameters_before, fusion->parameters_after);
        if (fusion->difference >= 0)
            text_print(&text, "; difference %s over %" PRId64 " of %" PRId64 " channels",
                       decimal_rounded(fusion->difference, 2).text, fusion->channels_checked, fusion->outputs);
        end_line(&text, start);
    }
    equalized_lines(&text, plan);
    if (!summary->changed && !plan->refusals.count && !plan->warnings.count)
        text_print(&text, "nothing to fuse: no rewrite applies to any op of this model\n");
    print_refusals(&text, "refused", plan->refusals.items, plan->refusals.count);
    print_by_nature(&text, plan);
    print_refusals(&text, "warning", plan->warnings.items, plan->warnings.count);
    return text.bytes;
}

/* ---- one sentence ---- */

static size_t count_blocks(const struct plan *plan)
{
    size_t blocks = 0;
    for (size_t i = 0; i < plan->fusions.count; i++)
        blocks += fusion_is_live(plan->fusions.items[i]) && plan->fusions.items[i]->node;
    return blocks;
}

static void counted(struct text *text, size_t count, const char *thing)
{
    text_print(text, "%zu %s%s", count, thing, count == 1 ? "" : "s");
}

const char *report_sentence(const struct plan *plan, const struct summary *summary)
{
    struct text text = {.arena = plan->model->arena};
    const struct refusal *first = plan->refusals.count ? plan->refusals.items[0] : NULL;
    if (summary->changed) {
        counted(&text, count_blocks(plan), "block");
        text_print(&text, " fused, %zu -> %zu ops", summary->before.ops, summary->after.ops);
        return text.bytes;
    }
    text_print(&text, "nothing to fuse");
    if (first && strcmp(first->pass, PLAN_WHOLE_MODEL) == 0) {
        text_print(&text, " (%s)", text_plain(text.arena, first->reason));
    } else if (plan->warnings.count) {
        text_print(&text, " (");
        counted(&text, plan->warnings.count, "warning");
        text_print(&text, ")");
    } else if (plan_count_refusals(plan)) {
        text_print(&text, " (");
        counted(&text, plan_count_refusals(plan), "rewrite");
        text_print(&text, " refused)");
    }
    return text.bytes;
}

/* ---- table ---- */

static void row(struct text *text, const char *label, double before, double after)
{
    text_print(text, "%-20s %15s -> %15s", label, text_grouped(text->arena, before), text_grouped(text->arena, after));
    if (before > 0 && after >= 0 && before != after)
        text_print(text, " %8s %%",
                   arena_format(text->arena, "%s%s", after > before ? "+" : "",
                                decimal_fixed(100 * (after - before) / before, 1).text));
    text_append(text, "\n", 1);
}

void report_table_rows(struct text *text, const struct plan *plan, const struct summary *summary)
{
    const struct census *before = &summary->before, *after = &summary->after;
    text_print(text, "%-20s %15s    %15s\n", "", "before", "after");
    /* Merge of two sorted lists; a row only where the numbers differ. */
    size_t a = 0, b = 0, same = 0;
    while (a < before->type_count || b < after->type_count) {
        const char *type;
        int order = a == before->type_count  ? 1
                    : b == after->type_count ? -1
                                             : strcmp(before->by_type[a].type, after->by_type[b].type);
        type = order <= 0 ? before->by_type[a].type : after->by_type[b].type;
        a += order <= 0;
        b += order >= 0;
        size_t was = census_count(before, type), is = census_count(after, type);
        if (was != is)
            row(text, type, (double)was, (double)is);
        else
            same += was;
    }
    if (same)
        row(text, "other ops", (double)same, (double)same);
    row(text, "ops", (double)before->ops, (double)after->ops);
    row(text, "parameters", before->parameters, after->parameters);
    row(text, "multiply-adds", before->multiply_adds, after->multiply_adds);
    row(text, "bytes", (double)before->bytes, (double)after->bytes);
    double largest = report_largest_difference(plan);
    if (largest >= 0)
        text_print(text, "largest relative difference of the self-check: %s\n", decimal_rounded(largest, 2).text);
}

const char *report_table(const struct plan *plan, const struct summary *summary)
{
    struct text text = {.arena = plan->model->arena};
    report_table_rows(&text, plan, summary);
    text_print(&text, "time: %s s\n", decimal_fixed(summary->seconds, 3).text);
    return text.bytes;
}
