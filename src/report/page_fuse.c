/* report/page_fuse.c: what a run did, for the page's script. */
#include "report/page_fuse.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>

#include "report/equalized.h"
#include "report/overview.h"
#include "report/picture.h"

void html_keep(const struct plan *plan)
{
    for (size_t i = 0; i < plan->fusions.count; i++) {
        const struct fusion *fusion = plan->fusions.items[i];
        if (!fusion_is_live(fusion))
            continue;
        for (size_t k = 0; k < fusion->replaced.count + fusion->made.count; k++) {
            const struct node *node =
                k < fusion->replaced.count ? fusion->replaced.items[k] : fusion->made.items[k - fusion->replaced.count];
            picture_keep(plan->model->arena, node);
        }
    }
}

/* ---- blocks ---- */

static struct picture *picture_before(const struct plan *plan, const struct fusion *fusion)
{
    struct picture_wish wish = {.as_filed = true, .value = fusion->target};
    return picture_make(plan->model->arena, fusion_replaced(plan, fusion), fusion->replaced.count, &wish);
}

static struct picture *picture_after(const struct plan *plan, const struct fusion *fusion)
{
    struct picture_wish wish = {.value = fusion->target};
    if (!fusion->node)
        return picture_stored(plan->model->arena, fusion->target);
    return picture_make(plan->model->arena, fusion->made.items, fusion->made.count, &wish);
}

static void json_known(struct page *page, const char *key, double number, bool known)
{
    json_number(&page->json, key, known ? number : (double)NAN);
}

static void json_block(struct page *page, const struct block *block)
{
    const struct fusion *fusion = block->subject;
    const struct node *node = fusion->node;
    struct json *json = &page->json;
    json_open(json, NULL, '{');
    json_count(json, "id", fusion->target->index);
    page_text(page, "graph", fusion->graph->name);
    page_text(page, "node", node ? node->proto->name : "");
    page_text(page, "output", fusion->target->name);
    page_text(page, "source", fusion->source ? value_now(fusion->source)->name : "");
    page_text(page, "shape", picture_shape(page->arena, fusion->target->rank, fusion->target->dims));
    json_known(page, "multiply_adds_before", fusion->multiply_adds_before, node != NULL);
    json_known(page, "multiply_adds_after", fusion->multiply_adds_after, node != NULL);
    json_number(json, "parameters_before", fusion->parameters_before);
    json_number(json, "parameters_after", fusion->parameters_after);
    json_known(page, "difference", fusion->difference, fusion->difference >= 0);
    json_integer(json, "channels_checked", fusion->channels_checked);
    json_integer(json, "channels", fusion->outputs);
    json_line(json, 0);
    picture_json(page, "before", block->before);
    json_line(json, 0);
    picture_json(page, "after", block->after);
    json_close(json, '}');
}

static void json_title(struct page *page, const void *closure, const struct block *block)
{
    const struct plan *plan = closure;
    const struct fusion *fusion = block->subject;
    struct text title = {.arena = page->arena};
    report_ops(&title, plan, fusion);
    text_print(&title, " \u2192 %s", fusion->node ? "" : "a stored constant");
    for (size_t i = 0; i < fusion->made.count; i++)
        text_print(&title, "%s%s", i ? ", " : "", text_or_empty(fusion->made.items[i]->proto->op_type));
    json_text(&page->json, "pass", fusion->pass);
    page_text(page, "title", title.bytes);
}

static void json_blocks(struct page *page, const struct plan *plan)
{
    struct block_groups groups = {.list = {NULL, 0, 0}};
    size_t count = 0;
    for (size_t i = 0; i < plan->fusions.count; i++) {
        const struct fusion *fusion = plan->fusions.items[i];
        if (!fusion_is_live(fusion) || fusion->redirects)
            continue;
        block_add(page->arena, &groups, fusion->pass, picture_before(plan, fusion), picture_after(plan, fusion),
                  fusion);
        count++;
    }
    json_line(&page->json, 0);
    json_count(&page->json, "fused", count);
    block_json(page, "blocks", &groups, json_title, json_block, plan);
}

/* ---- reasons ---- */

/* A reason without the names in quotes and the numbers in it: equal for refusals of one kind. */
static const char *kind_of_reason(struct arena *arena, const char *reason)
{
    struct text text = {.arena = arena};
    text_append(&text, "", 0);
    for (const char *s = reason; *s;) {
        const char *end = *s == '\'' ? strchr(s + 1, '\'') : NULL;
        if (end) {
            text_print(&text, "\u2018\u2026\u2019");
            s = end + 1;
        } else if (isdigit((unsigned char)*s)) {
            text_print(&text, "N");
            while (isdigit((unsigned char)*s) || (*s == '.' && isdigit((unsigned char)s[1])))
                s++;
        } else {
            text_append(&text, s++, 1);
        }
    }
    return text.bytes;
}

struct reason {
    const char *pass, *kind;
    bool alike; /* all places have the very same text */
    LIST(const struct refusal *) places;
};

static void json_reason(struct page *page, const struct reason *reason)
{
    const char *text = reason->alike ? reason->places.items[0]->reason : reason->kind;
    struct json *json = &page->json;
    json_line(json, 0);
    json_open(json, NULL, '{');
    json_text(json, "pass", reason->pass);
    json_count(json, "count", reason->places.count);
    page_text(page, "reason", text);
    json_open(json, "places", '[');
    for (size_t i = 0; i < reason->places.count && i < HTML_PLACES; i++) {
        const struct refusal *place = reason->places.items[i];
        json_line(json, 0);
        json_open(json, NULL, '{');
        page_text(page, "graph", place->graph->name);
        page_text(page, "op", place->node ? place->node->proto->op_type : "model");
        page_text(page, "node", place->node ? place->node->proto->name : "");
        page_text(page, "output", place->output ? place->output->name : "");
        page_text(page, "reason", place->reason);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void json_refusals(struct page *page, const char *name, struct refusal *const *refusals, size_t listed,
                          bool counts)
{
    struct map seen = {0};
    LIST(struct reason *) reasons = {NULL, 0, 0};
    size_t count = 0;
    for (size_t i = 0; i < listed; i++) {
        const struct refusal *refusal = refusals[i];
        if (refusal->counts != counts)
            continue;
        count++;
        const char *kind = kind_of_reason(page->arena, refusal->reason);
        const char *key = arena_format(page->arena, "%s\n%s", refusal->pass, kind);
        struct reason *reason = map_get(&seen, key);
        if (!reason) {
            reason = NEW(page->arena, struct reason);
            *reason = (struct reason){.pass = refusal->pass, .kind = kind, .alike = true};
            map_put(page->arena, &seen, key, reason);
            LIST_PUSH(page->arena, &reasons, reason);
        }
        LIST_PUSH(page->arena, &reason->places, refusal);
        reason->alike = reason->alike && strcmp(reason->places.items[0]->reason, refusal->reason) == 0;
    }
    struct json *json = &page->json;
    json_line(json, 0);
    json_open(json, name, '{');
    json_count(json, "count", count);
    json_count(json, "left_out", reasons.count > HTML_REASONS ? reasons.count - HTML_REASONS : 0);
    json_open(json, "reasons", '[');
    for (size_t i = 0; i < reasons.count && i < HTML_REASONS; i++)
        json_reason(page, reasons.items[i]);
    json_close(json, ']');
    json_close(json, '}');
}

/* ---- equalisation ---- */

enum { BARS = 96, EQUALIZED = 48 };

/* The largest range of each bar's channels, before or after. */
static void json_bars(struct json *json, const char *key, const struct equalized *group, bool now)
{
    int64_t bars = group->channels < BARS ? group->channels : BARS;
    json_open(json, key, '[');
    for (int64_t b = 0; b < bars; b++) {
        double most = 0;
        for (int64_t c = b * group->channels / bars; c < (b + 1) * group->channels / bars; c++)
            most = fmax(most, ldexp(group->ranges[c], now ? -group->exponents[c] : 0));
        json_number(json, NULL, most);
    }
    json_close(json, ']');
}

static void json_equalized(struct page *page, const char *key, const equalized_list *groups)
{
    struct equalized **all = equalized_sorted(page->arena, groups);
    struct json *json = &page->json;
    size_t count = 0;
    json_line(json, 0);
    json_open(json, key, '[');
    for (size_t i = 0; i < groups->count && count < EQUALIZED; i++) {
        const struct equalized *group = all[i];
        if (!group->scaled)
            continue;
        count++;
        json_line(json, 0);
        json_open(json, NULL, '{');
        page_text(page, "value", group->value->name);
        json_integer(json, "channels", group->channels);
        json_integer(json, "scaled", group->scaled);
        json_number(json, "spread_before", group->spread_before);
        json_number(json, "spread_after", group->spread_after);
        json_number(json, "decibels_before", group->before);
        json_number(json, "decibels_after", group->after);
        json_bars(json, "before", group, false);
        json_bars(json, "after", group, true);
        json_close(json, '}');
    }
    json_close(json, ']');
}

/* ---- overview ---- */

/* Of a block the id and 1; of what stands beside all blocks: */
enum { DECLINED = -1, SCALED = -2 };

static void json_overview(struct page *page, const struct plan *plan)
{
    struct overview_marks marks = {.arena = page->arena};
    for (size_t i = 0; i < plan->fusions.count; i++) {
        const struct fusion *fusion = plan->fusions.items[i];
        for (size_t k = 0; fusion_is_live(fusion) && k < fusion->replaced.count; k++)
            overview_mark(&marks, fusion->replaced.items[k], (int64_t)fusion->target->index + 1);
    }
    for (size_t i = 0; i < plan->scalings.count; i++)
        overview_mark(&marks, plan->scalings.items[i].node, SCALED);
    for (size_t i = 0; i < plan->refusals.count; i++)
        if (plan->refusals.items[i]->counts && plan->refusals.items[i]->node)
            overview_mark(&marks, plan->refusals.items[i]->node, DECLINED);
    overview_json(page, "overview", plan->model, &marks);
}

const char *html_fuse(const struct plan *plan, const struct summary *summary)
{
    struct arena *arena = plan->model->arena;
    struct page page = page_begin(arena, "fuse");
    double largest = report_largest_difference(plan);
    page_text(&page, "input", summary->input);
    page_text(&page, "output", summary->output);
    page_text(&page, "interface", report_interface(arena, &summary->interface));
    json_bool(&page.json, "changed", summary->changed);
    json_integer(&page.json, "drawn", HTML_GROUPS);
    json_known(&page, "largest_difference", largest, largest >= 0);
    census_json(&page.json, "before", &summary->before);
    census_json(&page.json, "after", &summary->after);
    json_blocks(&page, plan);
    json_overview(&page, plan);
    if (plan->options->equalize)
        json_equalized(&page, "equalized", &plan->equalized);
    if (plan->foreseen[0].count)
        json_equalized(&page, "per_tensor", &plan->foreseen[0]);
    if (plan->foreseen[1].count)
        json_equalized(&page, "per_channel", &plan->foreseen[1]);
    json_refusals(&page, "refusals", plan->refusals.items, plan->refusals.count, true);
    json_refusals(&page, "left_alone", plan->refusals.items, plan->refusals.count, false);
    json_refusals(&page, "warnings", plan->warnings.items, plan->warnings.count, true);
    struct text listing = {.arena = arena};
    text_print(&listing, "%s -> %s\n\n%s\n", summary->input, summary->output, report_explanation(plan, summary));
    report_table_rows(&listing, plan, summary);
    return page_finish(
        &page, arena_format(arena, "onnx-repvgg-fuse: %s", summary->input[0] ? summary->input : "model in memory"),
        listing.bytes);
}
