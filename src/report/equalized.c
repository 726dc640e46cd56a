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
        const char *line = arena_format(
            text->arena,
            "equalized '%s': %" PRId64 " of %" PRId64
            " channels by 2^%d to 2^%d; largest range over the median %s -> %s, predicted signal "
            "to noise %s -> %s dB",
            group->value->name, group->scaled, group->channels, -group->most, -group->least,
            decimal_rounded(group->spread_before, 3).text,
            decimal_rounded(group->spread_after, 3).text, decimal_rounded(group->before, 3).text,
            decimal_rounded(group->after, 3).text);
        text_print(text, "%s\n", text_plain(text->arena, line));
    }
}

static int worst_first(const void *a, const void *b)
{
    const struct equalized *x = *(struct equalized *const *)a, *y = *(struct equalized *const *)b;
    if (x->before != y->before)
        return x->before < y->before ? -1 : 1;
    return strcmp(x->value->name, y->value->name);
}

static void one_json(struct text *text, const struct equalized *group)
{
    text_print(text, "\n    {\"graph\": ");
    text_json(text, group->graph->name);
    text_print(text, ", \"node\": ");
    text_json(text, name_of(group));
    text_print(text, ", \"value\": ");
    text_json(text, group->value->name);
    text_print(text, ", \"channels\": %" PRId64 ", \"scaled\": %" PRId64 ", \"spread_before\": ",
               group->channels, group->scaled);
    text_json_number(text, group->spread_before);
    text_print(text, ", \"spread_after\": ");
    text_json_number(text, group->spread_after);
    text_print(text, ", \"decibels_before\": ");
    text_json_number(text, group->before);
    text_print(text, ", \"decibels_after\": ");
    text_json_number(text, group->after);
    text_print(text, ", \"ranges\": [");
    for (int64_t c = 0; c < group->channels; c++) {
        text_print(text, "%s", c ? ", " : "");
        text_json_number(text, group->ranges[c]);
    }
    text_print(text, "], \"exponents\": [");
    for (int64_t c = 0; c < group->channels; c++)
        text_print(text, "%s%d", c ? ", " : "", -group->exponents[c]);
    text_print(text, "]}");
}

static struct equalized **sorted(struct arena *arena, const equalized_list *groups)
{
    struct equalized **copy = NEW_ARRAY(arena, struct equalized *, groups->count + 1);
    if (groups->count) {
        memcpy(copy, groups->items, groups->count * sizeof(*copy));
        qsort(copy, groups->count, sizeof(*copy), worst_first);
    }
    return copy;
}

void equalized_json(struct text *text, const char *name, const equalized_list *groups)
{
    struct equalized **all = sorted(text->arena, groups);
    text_print(text, "\"%s\": [", name);
    for (size_t i = 0; i < groups->count; i++) {
        text_print(text, "%s", i ? "," : "");
        one_json(text, all[i]);
    }
    text_print(text, "%s]", groups->count ? "\n  " : "");
}

void equalized_foreseen(struct text *text, const char *grain, const equalized_list *groups)
{
    enum { MOST = 5 };
    struct equalized **all = sorted(text->arena, groups);
    if (!groups->count)
        return;
    text_print(text,
               "\nINT8 with weights per %s: predicted signal to noise of what reads a value, as "
               "fused and with --equalize %s\n",
               grain, grain);
    for (size_t i = 0; i < groups->count && i < MOST; i++)
        text_print(text, "  %7s -> %7s dB, ranges %s -> %s times the median: '%s'\n",
                   decimal_fixed(all[i]->before, 1).text, decimal_fixed(all[i]->after, 1).text,
                   decimal_rounded(all[i]->spread_before, 3).text,
                   decimal_rounded(all[i]->spread_after, 3).text,
                   text_plain(text->arena, all[i]->value->name));
    if (groups->count > MOST)
        text_print(text, "  and %zu more\n", groups->count - MOST);
}
