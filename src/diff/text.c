/* diff/text.c: a comparison for people. */
#include "diff/text.h"

#include "base/decimal.h"

enum { NODES_MOST = 24 }; /* of one side of a region that are listed */

static const char *type_of(const struct node *node)
{
    return node->proto->op_type ? node->proto->op_type : "";
}

static void print_values(struct text *text, const struct diff_values *values)
{
    for (size_t i = 0; i < values->count; i++)
        text_print(text, "%s'%s'", i ? ", " : "", values->items[i]->name);
    if (!values->count)
        text_print(text, "nothing");
}

/* "from 'x' to 'y'": the first model's side, or the second's where there is only that. */
static void print_boundary(struct text *text, const struct diff_region *region)
{
    bool left = region->left.count > 0;
    text_print(text, "from ");
    print_values(text, left ? &region->left_in : &region->right_in);
    text_print(text, " to ");
    print_values(text, left ? &region->left_out : &region->right_out);
}

static void print_graph(struct text *text, const struct diff_change *change)
{
    if (change->graph && strcmp(change->graph->name, "main") != 0)
        text_print(text, " in %s%s", change->graph->function ? "" : "graph ", change->graph->name);
}

static void print_numbers(struct text *text, const struct diff_numbers *numbers)
{
    text_print(text, "%lld of %lld numbers differ", (long long)numbers->differing,
               (long long)numbers->count);
    text_print(text, ", by at most %s (relative %s)", decimal_rounded(numbers->largest, 3).text,
               decimal_rounded(numbers->largest_relative, 3).text);
    text_print(text, ", first at %s: %s -> %s", numbers->first,
               decimal_rounded(numbers->first_left, 9).text,
               decimal_rounded(numbers->first_right, 9).text);
}

const char *diff_sentence(struct arena *arena, const struct diff_change *change)
{
    struct text text = {.arena = arena};
    text_print(&text, "%s", change->subject);
    if (change->region) {
        print_graph(&text, change);
        text_print(&text, ", ");
        print_boundary(&text, change->region);
        return text_plain(arena, text.bytes);
    }
    print_graph(&text, change);
    text_print(&text, ": ");
    if (change->what[0])
        text_print(&text, "%s ", change->what);
    if (change->numbers) {
        print_numbers(&text, change->numbers);
    } else if (!change->old_text) {
        text_print(&text, "added");
        if (change->new_text)
            text_print(&text, ": %s", change->new_text);
    } else if (!change->new_text) {
        text_print(&text, "removed: %s", change->old_text);
    } else if (strcmp(change->old_text, change->new_text) == 0) {
        text_print(&text, "differ: %s", change->old_text); /* contents nobody here reads */
    } else {
        text_print(&text, "%s -> %s", change->old_text, change->new_text);
    }
    if (change->more)
        text_print(&text, " (and %zu more)", change->more);
    return text_plain(arena, text.bytes);
}

struct paint {
    const char *removed, *added, *heading, *off;
};

static void print_nodes(struct text *text, const struct node_list *nodes, const char *sign,
                        const char *colour, const char *off)
{
    for (size_t i = 0; i < nodes->count && i < NODES_MOST; i++) {
        const struct node *node = nodes->items[i];
        const struct value *output = node_output(node, 0);
        const char *name = node->proto->name ? node->proto->name : "";
        text_print(text, "%s  %s %s", colour, sign, text_plain(text->arena, type_of(node)));
        if (name[0])
            text_print(text, " '%s'", text_plain(text->arena, name));
        if (output)
            text_print(text, " -> '%s'", text_plain(text->arena, output->name));
        text_print(text, "%s\n", off);
    }
    if (nodes->count > NODES_MOST)
        text_print(text, "%s  %s ... and %zu more%s\n", colour, sign, nodes->count - NODES_MOST,
                   off);
}

static void print_change(struct text *text, const struct diff_change *change,
                         const struct paint *paint)
{
    text_print(text, "%s%s:%s %s\n", paint->heading, diff_kind_name(change->kind), paint->off,
               diff_sentence(text->arena, change));
    if (!change->region)
        return;
    print_nodes(text, &change->region->left, "-", paint->removed, paint->off);
    print_nodes(text, &change->region->right, "+", paint->added, paint->off);
}

/* ---- summary ---- */

static void print_row(struct text *text, const char *name, double before, double after)
{
    bool same = before < 0 ? after < 0 : !(before < after || before > after);
    if (same)
        return;
    text_print(text, "  %-24s %20s %20s\n", text_plain(text->arena, name),
               text_grouped(text->arena, before), text_grouped(text->arena, after));
}

static void print_summary(struct text *text, const struct diff_result *result)
{
    const struct census *before = &result->before, *after = &result->after;
    struct text rows = {.arena = text->arena};
    for (size_t i = 0; i < before->type_count; i++)
        print_row(&rows, before->by_type[i].type, (double)before->by_type[i].count,
                  (double)census_count(after, before->by_type[i].type));
    for (size_t i = 0; i < after->type_count; i++)
        if (!census_count(before, after->by_type[i].type))
            print_row(&rows, after->by_type[i].type, 0, (double)after->by_type[i].count);
    print_row(&rows, "ops", (double)before->ops, (double)after->ops);
    print_row(&rows, "parameters", before->parameters, after->parameters);
    print_row(&rows, "multiply-adds", before->multiply_adds, after->multiply_adds);
    if (rows.size)
        text_print(text, "\n  %-24s %20s %20s\n%s", "", "before", "after", rows.bytes);
}

const char *diff_text(struct arena *arena, const struct diff_result *result,
                      const struct diff_options *options, const char *left, const char *right)
{
    static const struct paint plain = {"", "", "", ""};
    static const struct paint bright = {"\033[31m", "\033[32m", "\033[1m", "\033[0m"};
    const struct paint *paint = options->colour ? &bright : &plain;
    struct text text = {.arena = arena};
    text_append(&text, "", 0);
    if (!result->counted)
        return text.bytes;
    text_print(&text, "%s--- %s%s\n%s+++ %s%s\n", paint->removed, text_plain(arena, left),
               paint->off, paint->added, text_plain(arena, right), paint->off);
    for (size_t i = 0; i < result->changes.count; i++)
        if (result->changes.items[i]->counts)
            print_change(&text, result->changes.items[i], paint);
    print_summary(&text, result);
    return text.bytes;
}
