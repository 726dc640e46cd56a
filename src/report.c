/* report.c: three views of one run. */
#include "report.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx_repvgg_fuse.h"
#include "shape.h"

/* ---- text ---- */

struct text {
    struct arena *arena;
    char *bytes;
    size_t size, room;
};

static void append(struct text *text, const char *bytes, size_t size)
{
    if (text->room - text->size <= size) {
        size_t room = text->room ? text->room * 2 : 4096;
        while (room - text->size <= size)
            room *= 2;
        char *grown = arena_alloc(text->arena, room, 1);
        if (text->size)
            memcpy(grown, text->bytes, text->size);
        text->bytes = grown;
        text->room = room;
    }
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = 0;
}

static void print(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void print(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    const char *piece = arena_vformat(text->arena, format, arguments);
    va_end(arguments);
    append(text, piece, strlen(piece));
}

/* Length of a well-formed UTF-8 character at `s`, or 0. */
static size_t utf8_length(const unsigned char *s)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {{0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    if (s[0] < 0x80)
        return 1;
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        if ((s[0] & forms[i].mask) != forms[i].lead)
            continue;
        uint32_t code = s[0] & (unsigned char)~forms[i].mask;
        for (size_t k = 1; k <= i + 1; k++) {
            if ((s[k] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (s[k] & 0x3f);
        }
        bool surrogate = code >= 0xd800 && code < 0xe000;
        return code >= forms[i].least && code < 0x110000 && !surrogate ? i + 2 : 0;
    }
    return 0;
}

/* A string as JSON wants it. Names are whatever bytes a file holds: what is no UTF-8 is replaced. */
static void print_string(struct text *text, const char *string)
{
    const unsigned char *s = (const unsigned char *)(string ? string : "");
    append(text, "\"", 1);
    while (*s) {
        size_t length = utf8_length(s);
        if (length == 0) {
            append(text, "\\ufffd", 6);
            s++;
        } else if (*s == '"' || *s == '\\') {
            print(text, "\\%c", *s++);
        } else if (*s < 0x20 || *s == 0x7f) {
            print(text, "\\u%04x", *s++);
        } else {
            append(text, (const char *)s, length);
            s += length;
        }
    }
    append(text, "\"", 1);
}

/* ---- census ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct census_entry *)a)->type, ((const struct census_entry *)b)->type);
}

struct counter {
    struct census *census;
    struct arena *arena;
    struct map seen;
    LIST(struct census_entry *) entries;
};

static void count_constant(struct census *census, const struct value *value)
{
    if (value && value->tensor && type_is_float(value->tensor->type))
        census->parameters += (double)value->tensor->count;
}

static void count_node(struct counter *counter, struct node *node)
{
    struct census *census = counter->census;
    const char *type = node->proto->op_type ? node->proto->op_type : "";
    if (node->removed)
        return;
    if (strcmp(type, "Constant") == 0 && node->op == OP_Constant) {
        count_constant(census, node_output(node, 0));
        return;
    }
    census->ops++;
    struct census_entry *entry = map_get(&counter->seen, type);
    if (!entry) {
        entry = NEW(counter->arena, struct census_entry);
        entry->type = type;
        map_put(counter->arena, &counter->seen, type, entry);
        LIST_PUSH(counter->arena, &counter->entries, entry);
    }
    entry->count++;
    int64_t multiply_adds = shape_multiply_adds(node);
    if (multiply_adds < 0)
        census->multiply_adds = -1;
    else if (census->multiply_adds >= 0)
        census->multiply_adds += (double)multiply_adds;
}

void census_take(struct model *model, uint64_t bytes, struct census *census)
{
    *census = (struct census){.bytes = bytes};
    struct counter counter = {.census = census, .arena = model->arena};
    for (size_t g = 0; g < model->graphs.count; g++) {
        struct graph *graph = model->graphs.items[g];
        if (graph->owner && graph->owner->removed)
            continue;
        for (size_t i = 0; i < graph->initializers.count; i++)
            if (!graph->initializers.items[i]->removed)
                count_constant(census, graph->initializers.items[i]);
        for (size_t i = 0; i < graph->new_initializers.count; i++)
            if (!graph->new_initializers.items[i]->removed)
                count_constant(census, graph->new_initializers.items[i]);
        for (size_t i = 0; i < graph->node_count; i++)
            count_node(&counter, graph->nodes[i]);
        for (size_t i = 0; i < graph->new_nodes.count; i++)
            count_node(&counter, graph->new_nodes.items[i]);
    }
    census->type_count = counter.entries.count;
    census->by_type = NEW_ARRAY(model->arena, struct census_entry, census->type_count + 1);
    for (size_t i = 0; i < census->type_count; i++)
        census->by_type[i] = *counter.entries.items[i];
    if (census->type_count)
        qsort(census->by_type, census->type_count, sizeof(*census->by_type), by_name);
}

/* ---- helpers ---- */

bool fusion_is_live(const struct fusion *fusion)
{
    return !fusion->superseded && !fusion->node->removed;
}

static double largest_difference(const struct plan *plan)
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

/* In the file's order, whatever order the walk found them in. */
static int by_place(const void *a, const void *b)
{
    const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
    return (x->position > y->position) - (x->position < y->position);
}

static const struct node **sorted_replaced(const struct plan *plan, const struct fusion *fusion)
{
    size_t count = fusion->replaced.count;
    const struct node **nodes = NEW_ARRAY(plan->model->arena, const struct node *, count + 1);
    if (count) {
        memcpy(nodes, fusion->replaced.items, count * sizeof(*nodes));
        qsort(nodes, count, sizeof(*nodes), by_place);
    }
    return nodes;
}

/* ---- JSON ---- */

static void json_number(struct text *text, double number, bool known)
{
    if (known && isfinite(number))
        print(text, "%.17g", number);
    else
        print(text, "null");
}

static void json_census(struct text *text, const char *name, const struct census *census)
{
    print(text, "  \"%s\": {\"ops\": %zu, \"by_type\": {", name, census->ops);
    for (size_t i = 0; i < census->type_count; i++) {
        print(text, "%s", i ? ", " : "");
        print_string(text, census->by_type[i].type);
        print(text, ": %zu", census->by_type[i].count);
    }
    print(text, "}, \"parameters\": %.0f, \"multiply_adds\": ", census->parameters);
    if (census->multiply_adds < 0)
        print(text, "null");
    else
        print(text, "%.0f", census->multiply_adds);
    print(text, ", \"bytes\": %" PRIu64 "}", census->bytes);
}

static void json_fusion(struct text *text, const struct plan *plan, const struct fusion *fusion)
{
    const struct node **replaced = sorted_replaced(plan, fusion);
    print(text, "\n    {\"pass\": \"%s\", \"graph\": ", fusion->pass);
    print_string(text, fusion->graph->name);
    print(text, ", \"node\": ");
    print_string(text, name_of(fusion->node));
    print(text, ", \"output\": ");
    print_string(text, fusion->target->name);
    print(text, ", \"source\": ");
    print_string(text, fusion->source->name);
    print(text, ", \"replaced\": [");
    for (size_t i = 0; i < fusion->replaced.count; i++) {
        print(text, "%s{\"op\": ", i ? ", " : "");
        print_string(text, type_of(replaced[i]));
        print(text, ", \"node\": ");
        print_string(text, name_of(replaced[i]));
        print(text, "}");
    }
    print(text, "], \"new\": [");
    for (size_t i = 0; i < fusion->made.count; i++) {
        print(text, "%s", i ? ", " : "");
        print_string(text, type_of(fusion->made.items[i]));
    }
    print(text, "], \"multiply_adds_before\": ");
    json_number(text, fusion->multiply_adds_before, true);
    print(text, ", \"multiply_adds_after\": ");
    json_number(text, fusion->multiply_adds_after, true);
    print(text, ", \"parameters_before\": ");
    json_number(text, fusion->parameters_before, true);
    print(text, ", \"parameters_after\": ");
    json_number(text, fusion->parameters_after, true);
    print(text, ", \"difference\": ");
    json_number(text, fusion->difference, fusion->difference >= 0);
    print(text, ", \"channels_checked\": %" PRId64 "}", fusion->channels_checked);
}

static void json_refusal(struct text *text, const struct refusal *refusal)
{
    print(text, "\n    {\"pass\": \"%s\", \"graph\": ", refusal->pass);
    print_string(text, refusal->graph->name);
    print(text, ", \"node\": ");
    print_string(text, name_of(refusal->node));
    print(text, ", \"op\": ");
    print_string(text, refusal->node ? type_of(refusal->node) : "model");
    print(text, ", \"output\": ");
    print_string(text, refusal->output ? refusal->output->name : "");
    print(text, ", \"reason\": ");
    print_string(text, refusal->reason);
    print(text, "}");
}

const char *report_json(const struct plan *plan, const struct summary *summary)
{
    struct text text = {.arena = plan->model->arena};
    bool first = true;
    print(&text, "{\n  \"schema\": 1,\n  \"tool\": \"onnx-repvgg-fuse\",\n  \"version\": \"%s\",\n",
          onnx_fuse_version());
    print(&text, "  \"input\": ");
    print_string(&text, summary->input);
    print(&text, ",\n  \"output\": ");
    print_string(&text, summary->output);
    print(&text, ",\n  \"changed\": %s,\n  \"fusions\": [", summary->changed ? "true" : "false");
    for (size_t i = 0; i < plan->fusions.count; i++)
        if (fusion_is_live(plan->fusions.items[i])) {
            print(&text, "%s", first ? "" : ",");
            json_fusion(&text, plan, plan->fusions.items[i]);
            first = false;
        }
    print(&text, "%s],\n  \"refusals\": [", first ? "" : "\n  ");
    for (size_t i = 0; i < plan->refusals.count; i++) {
        print(&text, "%s", i ? "," : "");
        json_refusal(&text, plan->refusals.items[i]);
    }
    print(&text, "%s],\n  \"warnings\": [", plan->refusals.count ? "\n  " : "");
    for (size_t i = 0; i < plan->warnings.count; i++) {
        print(&text, "%s", i ? "," : "");
        json_refusal(&text, plan->warnings.items[i]);
    }
    print(&text, "%s],\n", plan->warnings.count ? "\n  " : "");
    json_census(&text, "before", &summary->before);
    print(&text, ",\n");
    json_census(&text, "after", &summary->after);
    double largest = largest_difference(plan);
    print(&text, ",\n  \"largest_difference\": ");
    json_number(&text, largest, largest >= 0);
    print(&text, ",\n  \"seconds\": %.6f\n}\n", summary->seconds);
    return text.bytes;
}

/* ---- lines ---- */

/* "3 Conv, 3 BatchNormalization, 2 Add", in the file's order */
static void print_ops(struct text *text, const struct plan *plan, const struct fusion *fusion)
{
    const struct node **nodes = sorted_replaced(plan, fusion);
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
        print(text, "%s%zu %s", i ? ", " : "", entries.items[i]->count, entries.items[i]->type);
}

static void print_refusal(struct text *text, const char *word, const struct refusal *refusal)
{
    print(text, "%s %s", word, refusal->pass);
    if (strcmp(refusal->graph->name, "main") != 0)
        print(text, " in %s", refusal->graph->name);
    if (refusal->node)
        print(text, ": %s '%s' -> '%s'", type_of(refusal->node), name_of(refusal->node),
              refusal->output ? refusal->output->name : "");
    print(text, ": %s\n", refusal->reason);
}

const char *report_explanation(const struct plan *plan, const struct summary *summary)
{
    struct text text = {.arena = plan->model->arena};
    append(&text, "", 0);
    for (size_t i = 0; i < plan->fusions.count; i++) {
        const struct fusion *fusion = plan->fusions.items[i];
        if (!fusion_is_live(fusion))
            continue;
        print(&text, "fused %s", fusion->pass);
        if (strcmp(fusion->graph->name, "main") != 0)
            print(&text, " in %s", fusion->graph->name);
        print(&text, ": ");
        print_ops(&text, plan, fusion);
        print(&text, " -> ");
        for (size_t k = 0; k < fusion->made.count; k++)
            print(&text, "%s%s", k ? ", " : "", type_of(fusion->made.items[k]));
        print(&text,
              " '%s' from '%s' to '%s'; multiply-adds per position %.0f -> %.0f, parameters %.0f "
              "-> %.0f",
              name_of(fusion->node), fusion->source->name, fusion->target->name,
              fusion->multiply_adds_before, fusion->multiply_adds_after, fusion->parameters_before,
              fusion->parameters_after);
        if (fusion->difference >= 0)
            print(&text, "; difference %.2g over %" PRId64 " of %" PRId64 " channels",
                  fusion->difference, fusion->channels_checked, fusion->outputs);
        print(&text, "\n");
    }
    for (size_t i = 0; i < plan->refusals.count; i++)
        print_refusal(&text, "refused", plan->refusals.items[i]);
    for (size_t i = 0; i < plan->warnings.count; i++)
        print_refusal(&text, "warning", plan->warnings.items[i]);
    (void)summary;
    return text.bytes;
}

/* ---- table ---- */

static size_t count_of(const struct census *census, const char *type)
{
    for (size_t i = 0; i < census->type_count; i++)
        if (strcmp(census->by_type[i].type, type) == 0)
            return census->by_type[i].count;
    return 0;
}

/* 12345678 as "12 345 678". */
static const char *grouped(struct arena *arena, double number)
{
    if (number < 0)
        return "unknown";
    const char *digits = arena_format(arena, "%.0f", number);
    size_t length = strlen(digits), used = 0;
    char *out = arena_alloc(arena, length + length / 3 + 2, 1);
    for (size_t i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            out[used++] = ' ';
        out[used++] = digits[i];
    }
    return out;
}

static void row(struct text *text, const char *label, double before, double after)
{
    print(text, "%-20s %15s -> %15s\n", label, grouped(text->arena, before),
          grouped(text->arena, after));
}

const char *report_table(const struct plan *plan, const struct summary *summary)
{
    struct text text = {.arena = plan->model->arena};
    const struct census *before = &summary->before, *after = &summary->after;
    print(&text, "%-20s %15s    %15s\n", "", "before", "after");
    /* Merge of two sorted lists; a row only where the numbers differ. */
    size_t a = 0, b = 0, same = 0;
    while (a < before->type_count || b < after->type_count) {
        const char *type;
        int order = a == before->type_count ? 1
                    : b == after->type_count
                        ? -1
                        : strcmp(before->by_type[a].type, after->by_type[b].type);
        type = order <= 0 ? before->by_type[a].type : after->by_type[b].type;
        a += order <= 0;
        b += order >= 0;
        if (count_of(before, type) != count_of(after, type))
            row(&text, type, (double)count_of(before, type), (double)count_of(after, type));
        else
            same += count_of(before, type);
    }
    if (same)
        row(&text, "other ops", (double)same, (double)same);
    row(&text, "ops", (double)before->ops, (double)after->ops);
    row(&text, "parameters", before->parameters, after->parameters);
    row(&text, "multiply-adds", before->multiply_adds, after->multiply_adds);
    row(&text, "bytes", (double)before->bytes, (double)after->bytes);
    double largest = largest_difference(plan);
    if (largest >= 0)
        print(&text, "largest relative difference of the self-check: %.2g\n", largest);
    print(&text, "time: %.3f s\n", summary->seconds);
    return text.bytes;
}
