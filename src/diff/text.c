/* diff/text.c: a comparison for people. */
#include "diff/text.h"

#include "base/decimal.h"
#include "diff/group.h"

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
    text_print(text, "%lld of %lld numbers differ", (long long)numbers->differing, (long long)numbers->count);
    text_print(text, ", by at most %s (relative %s)", decimal_rounded(numbers->largest, 3).text,
               decimal_rounded(numbers->largest_relative, 3).text);
    text_print(text, ", first at %s: %s -> %s", numbers->first, decimal_rounded(numbers->first_left, 9).text,
               decimal_rounded(numbers->first_right, 9).text);
}

static void print_difference(struct text *text, const struct diff_change *change)
{
    if (change->what[0])
        text_print(text, "%s ", change->what);
    if (change->numbers) {
        print_numbers(text, change->numbers);
    } else if (!change->old_text) {
        text_print(text, "added");
        if (change->new_text)
            text_print(text, ": %s", change->new_text);
    } else if (!change->new_text) {
        text_print(text, "removed: %s", change->old_text);
    } else if (strcmp(change->old_text, change->new_text) == 0) {
        text_print(text, "differ: %s", change->old_text); /* unreadable contents */
    } else {
        text_print(text, "%s -> %s", change->old_text, change->new_text);
    }
    if (change->more)
        text_print(text, " (and %zu more)", change->more);
}

const char *diff_sentence(struct arena *arena, const struct diff_change *change)
{
    struct text text = {.arena = arena};
    text_print(&text, "%s", change->subject);
    print_graph(&text, change);
    if (change->region) {
        text_print(&text, ", ");
        print_boundary(&text, change->region);
    } else {
        text_print(&text, ": ");
        print_difference(&text, change);
    }
    return text_plain(arena, text.bytes);
}

const char *diff_group_sentence(struct arena *arena, const struct diff_group *group)
{
    const struct diff_change *change = group->first;
    struct text text = {.arena = arena};
    if (group->is_hidden)
        return group->rest ? arena_format(arena, "%zu more, by at most %s (--all lists them)", group->rest,
                                          decimal_rounded(change->numbers->largest, 3).text)
                           : NULL;
    if (group->count == 1)
        return diff_sentence(arena, change);
    if (change->region)
        text_print(&text, "%s", change->subject);
    else
        print_difference(&text, change);
    text_print(&text, ", %zu times, first", group->count);
    if (!change->region)
        text_print(&text, " %s", change->subject);
    print_graph(&text, change);
    if (change->region) {
        text_print(&text, " ");
        print_boundary(&text, change->region);
    }
    return text_plain(arena, text.bytes);
}

struct paint {
    const char *removed, *added, *heading, *off;
};

static void print_nodes(struct text *text, const struct node_list *nodes, const char *sign, const char *colour,
                        const char *off, size_t most)
{
    for (size_t i = 0; i < nodes->count && i < most; i++) {
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
    if (nodes->count > most)
        text_print(text, "%s  %s ... and %zu more%s\n", colour, sign, nodes->count - most, off);
}

static void print_group(struct text *text, const struct diff_group *group, const struct paint *paint, size_t most)
{
    const struct diff_change *change = group->first;
    const char *sentence = diff_group_sentence(text->arena, group);
    if (!sentence)
        return;
    text_print(text, "%s%s:%s %s\n", paint->heading, diff_kind_name(change->kind), paint->off, sentence);
    if (!change->region)
        return;
    const struct diff_region *region = change->region;
    print_nodes(text, &region->left, "-", paint->removed, paint->off, most);
    print_nodes(text, &region->right, "+", paint->added, paint->off, most);
    for (size_t i = 0; i < region->parts.count && i < most; i++)
        text_print(text, "  %s: %s\n", diff_kind_name(region->parts.items[i]->kind),
                   diff_sentence(text->arena, region->parts.items[i]));
    if (region->parts.count > most)
        text_print(text, "  ... and %zu more\n", region->parts.count - most);
}

/* ---- summary ---- */

static void print_row(struct text *text, const char *name, double before, double after)
{
    bool same = before < 0 ? after < 0 : !(before < after || before > after);
    if (same)
        return;
    text_print(text, "  %-24s %20s %20s\n", text_plain(text->arena, name), text_grouped(text->arena, before),
               text_grouped(text->arena, after));
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

const char *diff_text(struct arena *arena, const struct diff_result *result, const struct diff_options *options,
                      const char *left, const char *right)
{
    static const struct paint plain = {"", "", "", ""};
    static const struct paint bright = {"\033[31m", "\033[32m", "\033[1m", "\033[0m"};
    const struct paint *paint = options->colour ? &bright : &plain;
    struct text text = {.arena = arena};
    text_append(&text, "", 0);
    if (!result->counted)
        return text.bytes;
    text_print(&text, "%s%s%s\n", paint->heading, diff_headline(arena, result, true), paint->off);
    text_print(&text, "%s--- %s%s\n%s+++ %s%s\n", paint->removed, text_plain(arena, left), paint->off, paint->added,
               text_plain(arena, right), paint->off);
    for (size_t i = 0; i < result->groups.count; i++)
        if (result->groups.items[i]->first->counts)
            print_group(&text, result->groups.items[i], paint, options->all ? SIZE_MAX : NODES_MOST);
    const char *others = diff_headline(arena, result, false);
    if (others[0])
        text_print(&text, "not counted without --strict: %s\n", others);
    print_summary(&text, result);
    return text.bytes;
}
