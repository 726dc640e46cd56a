/* report/page_fuse.c: what a run did, for the page's script. */
#include "report/page_fuse.h"

#include <ctype.h>
#include <inttypes.h>
#include <math.h>

#include "report/picture.h"

void html_keep(const struct plan *plan)
{
    for (size_t i = 0; i < plan->fusions.count; i++) {
        const struct fusion *fusion = plan->fusions.items[i];
        if (!fusion_is_live(fusion))
            continue;
        for (size_t k = 0; k < fusion->replaced.count + fusion->made.count; k++) {
            const struct node *node = k < fusion->replaced.count
                                          ? fusion->replaced.items[k]
                                          : fusion->made.items[k - fusion->replaced.count];
            if (!node->says && picture_borrows(node))
                ((struct node *)(uintptr_t)node)->says =
                    picture_attributes(plan->model->arena, node);
        }
    }
}

/* ---- blocks ---- */

static struct picture *picture_before(const struct plan *plan, const struct fusion *fusion)
{
    struct picture_wish wish = {.as_filed = true, .value = fusion->target};
    return picture_make(plan->model->arena, fusion_replaced(plan, fusion), fusion->replaced.count,
                        &wish);
}

static struct picture *picture_after(const struct plan *plan, const struct fusion *fusion)
{
    struct picture_wish wish = {.value = fusion->target};
    if (!fusion->node)
        return picture_stored(plan->model->arena, fusion->target);
    return picture_make(plan->model->arena, fusion->made.items, fusion->made.count, &wish);
}

static void json_number(struct page *page, const char *name, double number, bool known)
{
    text_print(&page->json, ",\"%s\":", name);
    text_json_number(&page->json, known ? number : (double)NAN);
}

static void json_block(struct page *page, const struct block *block)
{
    const struct fusion *fusion = block->subject;
    const struct node *node = fusion->node;
    text_print(&page->json, "{\"graph\":");
    page_json(page, fusion->graph->name);
    text_print(&page->json, ",\"node\":");
    page_json(page, node ? node->proto->name : "");
    text_print(&page->json, ",\"output\":");
    page_json(page, fusion->target->name);
    text_print(&page->json, ",\"source\":");
    page_json(page, fusion->source ? value_now(fusion->source)->name : "");
    text_print(&page->json, ",\"shape\":");
    page_json(page, picture_shape(page->arena, fusion->target->rank, fusion->target->dims));
    json_number(page, "multiply_adds_before", fusion->multiply_adds_before, node != NULL);
    json_number(page, "multiply_adds_after", fusion->multiply_adds_after, node != NULL);
    json_number(page, "parameters_before", fusion->parameters_before, true);
    json_number(page, "parameters_after", fusion->parameters_after, true);
    json_number(page, "difference", fusion->difference, fusion->difference >= 0);
    text_print(&page->json, ",\"channels_checked\":%" PRId64 ",\"channels\":%" PRId64,
               fusion->channels_checked, fusion->outputs);
    text_print(&page->json, ",\n\"before\":");
    picture_json(page, block->before);
    text_print(&page->json, ",\n\"after\":");
    picture_json(page, block->after);
    text_print(&page->json, "}");
}

static void json_title(struct page *page, const void *closure, const struct block *block)
{
    const struct plan *plan = closure;
    const struct fusion *fusion = block->subject;
    struct text title = {.arena = page->arena};
    report_ops(&title, plan, fusion);
    text_print(&title, " \u2192 %s", fusion->node ? "" : "a stored constant");
    for (size_t i = 0; i < fusion->made.count; i++)
        text_print(&title, "%s%s", i ? ", " : "",
                   text_or_empty(fusion->made.items[i]->proto->op_type));
    text_print(&page->json, "\"pass\":\"%s\",\"title\":", fusion->pass);
    page_json(page, title.bytes);
}

static void json_blocks(struct page *page, const struct plan *plan)
{
    struct block_groups groups = {.list = {NULL, 0, 0}};
    size_t count = 0;
    for (size_t i = 0; i < plan->fusions.count; i++) {
        const struct fusion *fusion = plan->fusions.items[i];
        if (!fusion_is_live(fusion) || fusion->redirects)
            continue;
        block_add(page->arena, &groups, fusion->pass, picture_before(plan, fusion),
                  picture_after(plan, fusion), fusion);
        count++;
    }
    text_print(&page->json, ",\n\"fused\":%zu", count);
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
    text_print(&page->json, "{\"pass\":\"%s\",\"count\":%zu,\"reason\":", reason->pass,
               reason->places.count);
    page_json(page, text);
    text_print(&page->json, ",\"places\":[");
    for (size_t i = 0; i < reason->places.count && i < HTML_PLACES; i++) {
        const struct refusal *place = reason->places.items[i];
        text_print(&page->json, "%s{\"graph\":", i ? ",\n" : "\n");
        page_json(page, place->graph->name);
        text_print(&page->json, ",\"op\":");
        page_json(page, place->node ? place->node->proto->op_type : "model");
        text_print(&page->json, ",\"node\":");
        page_json(page, place->node ? place->node->proto->name : "");
        text_print(&page->json, ",\"output\":");
        page_json(page, place->output ? place->output->name : "");
        text_print(&page->json, ",\"reason\":");
        page_json(page, place->reason);
        text_print(&page->json, "}");
    }
    text_print(&page->json, "]}");
}

static void json_refusals(struct page *page, const char *name, struct refusal *const *refusals,
                          size_t count)
{
    struct map seen = {0};
    LIST(struct reason *) reasons = {NULL, 0, 0};
    for (size_t i = 0; i < count; i++) {
        const struct refusal *refusal = refusals[i];
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
        reason->alike =
            reason->alike && strcmp(reason->places.items[0]->reason, refusal->reason) == 0;
    }
    text_print(&page->json, ",\n\"%s\":{\"count\":%zu,\"left_out\":%zu,\"reasons\":[", name, count,
               reasons.count > HTML_REASONS ? reasons.count - HTML_REASONS : 0);
    for (size_t i = 0; i < reasons.count && i < HTML_REASONS; i++) {
        text_print(&page->json, "%s", i ? ",\n" : "\n");
        json_reason(page, reasons.items[i]);
    }
    text_print(&page->json, "]}");
}

/* ---- equalisation ---- */

enum { BARS = 96, EQUALIZED = 48 };

/* The largest range of each bar's channels, as it was or as it is now. */
static void json_bars(struct page *page, const char *name, const struct equalized *group, bool now)
{
    int64_t bars = group->channels < BARS ? group->channels : BARS;
    text_print(&page->json, ",\"%s\":[", name);
    for (int64_t b = 0; b < bars; b++) {
        double most = 0;
        for (int64_t c = b * group->channels / bars; c < (b + 1) * group->channels / bars; c++)
            most = fmax(most, ldexp(group->ranges[c], now ? -group->exponents[c] : 0));
        text_print(&page->json, "%s", b ? "," : "");
        text_json_number(&page->json, most);
    }
    text_print(&page->json, "]");
}

static void json_equalized(struct page *page, const struct plan *plan)
{
    size_t count = 0;
    text_print(&page->json, ",\n\"equalized\":[");
    for (size_t i = 0; i < plan->equalized.count && count < EQUALIZED; i++) {
        const struct equalized *group = plan->equalized.items[i];
        if (!group->scaled)
            continue;
        text_print(&page->json, "%s{\"value\":", count++ ? ",\n" : "\n");
        page_json(page, group->value->name);
        text_print(&page->json, ",\"channels\":%" PRId64 ",\"scaled\":%" PRId64, group->channels,
                   group->scaled);
        json_number(page, "spread_before", group->spread_before, true);
        json_number(page, "spread_after", group->spread_after, true);
        json_number(page, "decibels_before", group->before, true);
        json_number(page, "decibels_after", group->after, true);
        json_bars(page, "before", group, false);
        json_bars(page, "after", group, true);
        text_print(&page->json, "}");
    }
    text_print(&page->json, "]");
}

const char *html_fuse(const struct plan *plan, const struct summary *summary)
{
    struct arena *arena = plan->model->arena;
    struct page page = {.arena = arena, .json = {.arena = arena}};
    double largest = report_largest_difference(plan);
    text_print(&page.json,
               "{\"kind\":\"fuse\",\"version\":\"%s\",\n\"input\":", onnx_fuse_version());
    page_json(&page, summary->input);
    text_print(&page.json, ",\"output\":");
    page_json(&page, summary->output);
    text_print(&page.json, ",\"interface\":");
    page_json(&page, report_interface(arena, &summary->interface));
    text_print(&page.json, ",\"changed\":%s,\"drawn\":%d", summary->changed ? "true" : "false",
               HTML_GROUPS);
    json_number(&page, "largest_difference", largest, largest >= 0);
    text_print(&page.json, ",\n");
    census_json(&page.json, "before", &summary->before);
    text_print(&page.json, ",\n");
    census_json(&page.json, "after", &summary->after);
    json_blocks(&page, plan);
    if (plan->options->equalize)
        json_equalized(&page, plan);
    json_refusals(&page, "refusals", plan->refusals.items, plan->refusals.count);
    json_refusals(&page, "warnings", plan->warnings.items, plan->warnings.count);
    struct text listing = {.arena = arena};
    text_print(&listing, "%s -> %s\n\n%s\n", summary->input, summary->output,
               report_explanation(plan, summary));
    report_table_rows(&listing, plan, summary);
    return page_finish(&page,
                       arena_format(arena, "onnx-repvgg-fuse: %s",
                                    summary->input[0] ? summary->input : "model in memory"),
                       listing.bytes);
}
