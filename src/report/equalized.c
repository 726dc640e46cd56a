/* report/equalized.c: groups of values whose channels are scaled together. */
#include "report/equalized.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/decimal.h"

static const char *name_of(const struct equalized *group)
{
    return group->node && group->node->proto->name ? group->node->proto->name : "";
}

void equalized_lines(struct text *text, const struct plan *plan)
{
    for (size_t i = 0; i < plan->equalized.count; i++) {
        const struct equalized *group = plan->equalized.items[i];
        if (group->reason || !group->scaled)
            continue;
        const char *line =
            arena_format(text->arena,
                         "equalized '%s': %" PRId64 " of %" PRId64
                         " channels by 2^%d to 2^%d; largest range over the median %s -> %s, predicted signal "
                         "to noise %s -> %s dB",
                         group->value->name, group->scaled, group->channels, -group->most, -group->least,
                         decimal_rounded(group->spread_before, 3).text, decimal_rounded(group->spread_after, 3).text,
                         decimal_rounded(group->before, 3).text, decimal_rounded(group->after, 3).text);
        text_print(text, "%s", text_plain(text->arena, line));
        for (size_t k = 0; k < group->kept.count; k++)
            text_print(text, "; %" PRId64 " kept: %s", group->kept.items[k].channels,
                       text_plain(text->arena, group->kept.items[k].reason));
        text_print(text, "\n");
    }
}

static int worst_first(const void *a, const void *b)
{
    const struct equalized *x = *(struct equalized *const *)a, *y = *(struct equalized *const *)b;
    if (x->before != y->before)
        return x->before < y->before ? -1 : 1;
    return strcmp(x->value->name, y->value->name);
}

static void one_json(struct json *json, const struct equalized *group)
{
    json_line(json, 4);
    json_open(json, NULL, '{');
    json_text(json, "graph", group->graph->name);
    json_text(json, "node", name_of(group));
    json_text(json, "value", group->value->name);
    json_integer(json, "channels", group->channels);
    json_integer(json, "scaled", group->scaled);
    json_number(json, "spread_before", group->spread_before);
    json_number(json, "spread_after", group->spread_after);
    json_number(json, "decibels_before", group->before);
    json_number(json, "decibels_after", group->after);
    json_open(json, "ranges", '[');
    for (int64_t c = 0; c < group->channels; c++)
        json_number(json, NULL, group->ranges[c]);
    json_close(json, ']');
    json_open(json, "exponents", '[');
    for (int64_t c = 0; c < group->channels; c++)
        json_integer(json, NULL, -group->exponents[c]);
    json_close(json, ']');
    json_open(json, "kept", '[');
    for (size_t k = 0; k < group->kept.count; k++) {
        json_open(json, NULL, '{');
        json_text(json, "reason", group->kept.items[k].reason);
        json_integer(json, "channels", group->kept.items[k].channels);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

struct equalized **equalized_sorted(struct arena *arena, const equalized_list *groups)
{
    struct equalized **copy = NEW_ARRAY(arena, struct equalized *, groups->count + 1);
    if (groups->count) {
        memcpy(copy, groups->items, groups->count * sizeof(*copy));
        qsort(copy, groups->count, sizeof(*copy), worst_first);
    }
    return copy;
}

void equalized_json(struct json *json, const char *key, const equalized_list *groups)
{
    struct equalized **all = equalized_sorted(json->text.arena, groups);
    json_line(json, 2);
    json_open(json, key, '[');
    for (size_t i = 0; i < groups->count; i++)
        one_json(json, all[i]);
    json_line(json, 2);
    json_close(json, ']');
}

void equalized_foreseen(struct text *text, const char *grain, const equalized_list *groups)
{
    enum { MOST = 5 };
    struct equalized **all = equalized_sorted(text->arena, groups);
    if (!groups->count)
        return;
    text_print(text,
               "\nINT8 with weights per %s: predicted signal to noise of what reads a value, as "
               "fused and with --equalize %s\n",
               grain, grain);
    for (size_t i = 0; i < groups->count && i < MOST; i++)
        text_print(text, "  %7s -> %7s dB, ranges %s -> %s times the median: '%s'\n",
                   decimal_fixed(all[i]->before, 1).text, decimal_fixed(all[i]->after, 1).text,
                   decimal_rounded(all[i]->spread_before, 3).text, decimal_rounded(all[i]->spread_after, 3).text,
                   text_plain(text->arena, all[i]->value->name));
    if (groups->count > MOST)
        text_print(text, "  and %zu more\n", groups->count - MOST);
}
