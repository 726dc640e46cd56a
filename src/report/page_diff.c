/* report/page_diff.c: a comparison of two models, for the page's script. */
#include "report/page_diff.h"

#include <inttypes.h>
#include <math.h>

#include "base/decimal.h"
#include "diff/group.h"
#include "diff/json.h"
#include "diff/text.h"
#include "fuse/region.h"
#include "model/external.h"
#include "report/picture.h"

enum { BARS = 48, PIECE = 4096 };

/* ---- pictures ---- */

static struct picture *picture_of(struct arena *arena, const struct node_list *nodes)
{
    struct picture_wish wish = {.context = true, .state = PICTURE_CHANGED};
    if (!nodes->count)
        return NULL;
    return picture_make(arena, (const struct node *const *)nodes->items, nodes->count, &wish);
}

static struct picture *picture_of_node(struct arena *arena, const struct node *node)
{
    struct node *one = (struct node *)(uintptr_t)node;
    struct node_list nodes = {&one, 1, 1};
    return picture_of(arena, &nodes);
}

/* What one picture is about: a region, or all that changed in a pair of nodes. */
struct subject {
    const struct graph *graph;
    const char *title;
    const struct node *left, *right;
    LIST(const struct diff_change *) changes;
};

static void json_subject(struct page *page, const struct block *block)
{
    const struct subject *subject = block->subject;
    text_print(&page->json, "{\"graph\":");
    page_json(page, subject->graph ? subject->graph->name : "");
    text_print(&page->json, ",\"texts\":[");
    for (size_t i = 0; i < subject->changes.count; i++) {
        text_print(&page->json, "%s", i ? "," : "");
        page_json(page, diff_sentence(page->arena, subject->changes.items[i]));
    }
    text_print(&page->json, "],\n\"before\":");
    picture_json(page, block->before);
    text_print(&page->json, ",\n\"after\":");
    picture_json(page, block->after);
    text_print(&page->json, "}");
}

static void json_title(struct page *page, const void *closure, const struct block *block)
{
    (void)closure;
    text_print(&page->json, "\"title\":");
    page_json(page, ((const struct subject *)block->subject)->title);
}

static void json_regions(struct page *page, const struct diff_result *result)
{
    struct arena *arena = page->arena;
    struct block_groups groups = {.list = {NULL, 0, 0}};
    for (size_t i = 0; i < result->changes.count; i++) {
        const struct diff_change *change = result->changes.items[i];
        if (!change->region || !change->counts)
            continue;
        struct subject *subject = NEW(arena, struct subject);
        *subject = (struct subject){.graph = change->graph, .title = change->subject};
        LIST_PUSH(arena, &subject->changes, change);
        for (size_t k = 0; k < change->region->parts.count; k++)
            LIST_PUSH(arena, &subject->changes, change->region->parts.items[k]);
        block_add(arena, &groups, change->subject, picture_of(arena, &change->region->left),
                  picture_of(arena, &change->region->right), subject);
    }
    block_json(page, "regions", &groups, json_title, json_subject, NULL);
}

/* ---- pairs of nodes that differ ---- */

static bool is_of_nodes(const struct diff_change *change)
{
    return change->counts && change->left && change->right && !change->region && !change->part_of &&
           !change->numbers;
}

static const char *kinds_of(struct arena *arena, const struct subject *subject)
{
    struct text text = {.arena = arena};
    for (size_t i = 0; i < subject->changes.count; i++)
        text_print(&text, "%s%s", i ? ", " : "",
                   subject->changes.items[i]->kind == DIFF_attribute
                       ? subject->changes.items[i]->what
                       : diff_kind_name(subject->changes.items[i]->kind));
    return text.bytes;
}

static void json_nodes(struct page *page, const struct diff_result *result)
{
    struct arena *arena = page->arena;
    struct map by_node = {0};
    LIST(struct subject *) subjects = {NULL, 0, 0};
    struct block_groups groups = {.list = {NULL, 0, 0}};
    for (size_t i = 0; i < result->changes.count; i++) {
        const struct diff_change *change = result->changes.items[i];
        if (!is_of_nodes(change))
            continue;
        const char *key = arena_format(arena, "%p", (const void *)change->left);
        struct subject *subject = map_get(&by_node, key);
        if (!subject) {
            subject = NEW(arena, struct subject);
            *subject = (struct subject){
                .graph = change->graph, .left = change->left, .right = change->right};
            map_put(arena, &by_node, key, subject);
            LIST_PUSH(arena, &subjects, subject);
        }
        LIST_PUSH(arena, &subject->changes, change);
    }
    for (size_t i = 0; i < subjects.count; i++) {
        struct subject *subject = subjects.items[i];
        subject->title = arena_format(arena, "%s: %s", text_or_empty(subject->left->proto->op_type),
                                      kinds_of(arena, subject));
        block_add(arena, &groups, subject->title, picture_of_node(arena, subject->left),
                  picture_of_node(arena, subject->right), subject);
    }
    block_json(page, "nodes", &groups, json_title, json_subject, NULL);
}

/* ---- weights ---- */

/* Largest |difference| of neighbours along the first axis: at most BARS bars. False: not to be
 * had. */
static bool find_bars(const struct diff_change *change, double *bars, int *count, int64_t *channels)
{
    const struct tensor *a = change->left_tensor, *b = change->right_tensor;
    double left[PIECE], right[PIECE];
    if (!a || !b || a->rank < 1 || a->count != b->count || !a->count || a->dims[0] < 2 ||
        !tensor_is_readable(a) || !tensor_is_readable(b))
        return false;
    *channels = a->dims[0];
    *count = (int)(*channels < BARS ? *channels : BARS);
    memset(bars, 0, BARS * sizeof(*bars));
    int64_t row = a->count / a->dims[0];
    for (int64_t first = 0; first < a->count; first += PIECE) {
        int64_t size = a->count - first < PIECE ? a->count - first : PIECE;
        tensor_read(a, first, size, left);
        tensor_read(b, first, size, right);
        for (int64_t i = 0; i < size; i++) {
            double difference = fabs(left[i] - right[i]);
            int64_t channel = (first + i) / row;
            int bar = (int)((double)channel / (double)*channels * *count);
            if (isfinite(difference))
                bars[bar] = fmax(bars[bar], difference);
        }
    }
    return true;
}

static void json_numbers(struct page *page, const struct diff_change *change)
{
    struct text *json = &page->json;
    double bars[BARS];
    int count;
    int64_t channels;
    text_print(json, ",");
    diff_numbers_json(json, change->numbers);
    bool known = find_bars(change, bars, &count, &channels);
    if (change->left && change->right) {
        model_give_back(change->left->graph->model);
        model_give_back(change->right->graph->model);
    }
    if (!known)
        return;
    text_print(json, ",\"channels\":%" PRId64 ",\"bars\":[", channels);
    for (int i = 0; i < count; i++)
        text_print(json, "%s%s", i ? "," : "", decimal_rounded(bars[i], 4).text);
    text_print(json, "]");
}

static void json_weights(struct page *page, const struct diff_result *result)
{
    size_t plots = 0, all = 0;
    text_print(&page->json, ",\n\"weights\":[");
    for (size_t i = 0; i < result->changes.count; i++) {
        const struct diff_change *change = result->changes.items[i];
        if (!change->numbers || !change->counts || all++ >= HTML_LINES)
            continue;
        text_print(&page->json, "%s{\"graph\":", all > 1 ? ",\n" : "\n");
        page_json(page, change->graph ? change->graph->name : "");
        text_print(&page->json, ",\"subject\":");
        page_json(page, change->subject);
        text_print(&page->json, ",\"shape\":");
        page_json(page, change->left_tensor ? picture_shape(page->arena, change->left_tensor->rank,
                                                            change->left_tensor->dims)
                                            : "");
        if (plots++ < HTML_PLOTS)
            json_numbers(page, change);
        text_print(&page->json, ",\"text\":");
        page_json(page, diff_sentence(page->arena, change));
        text_print(&page->json, "}");
    }
    text_print(&page->json, "],\n\"weights_in_all\":%zu", all);
}

/* ---- the rest, as lines ---- */

/* Changes that count and stand nowhere else, or those that do not count. */
static void json_others(struct page *page, const struct diff_result *result, const char *name,
                        bool counted)
{
    size_t count = 0;
    text_print(&page->json, ",\n\"%s\":[", name);
    for (size_t i = 0; i < result->changes.count; i++) {
        const struct diff_change *change = result->changes.items[i];
        bool elsewhere = counted && (change->region || change->part_of || change->numbers ||
                                     is_of_nodes(change));
        if (change->counts != counted || elsewhere || count++ >= HTML_LINES)
            continue;
        text_print(&page->json, "%s{\"kind\":\"%s\",\"text\":", count > 1 ? ",\n" : "\n",
                   diff_kind_name(change->kind));
        page_json(page, diff_sentence(page->arena, change));
        text_print(&page->json, "}");
    }
    text_print(&page->json, "],\n\"%s_in_all\":%zu", name, count);
}

static void json_kinds(struct page *page, const struct diff_result *result)
{
    bool first = true;
    text_print(&page->json, ",\"kinds\":[");
    for (size_t i = 0; i < DIFF_KIND_COUNT; i++) {
        if (!result->by_kind[i])
            continue;
        text_print(&page->json, "%s[\"%s\",%zu,\"%s\"]", first ? "" : ",",
                   diff_kind_name((enum diff_kind)i), result->by_kind[i],
                   diff_kind_purpose((enum diff_kind)i));
        first = false;
    }
    text_print(&page->json, "]");
}

const char *html_diff(struct arena *arena, const struct diff_result *result,
                      const struct diff_options *options, const char *left, const char *right)
{
    struct page page = {.arena = arena, .json = {.arena = arena}};
    struct diff_options plain = *options;
    plain.colour = false;
    text_print(&page.json, "{\"kind\":\"diff\",\"version\":\"%s\",\n\"a\":", onnx_fuse_version());
    page_json(&page, left);
    text_print(&page.json, ",\"b\":");
    page_json(&page, right);
    text_print(&page.json, ",\"different\":%s,\"counted\":%zu,\"matched\":%zu,\"drawn\":%d",
               result->counted ? "true" : "false", result->counted, result->matched, HTML_GROUPS);
    text_print(&page.json, ",\"summary\":");
    page_json(&page, diff_headline(arena, result, true));
    json_kinds(&page, result);
    text_print(&page.json, ",\n");
    census_json(&page.json, "before", &result->before);
    text_print(&page.json, ",\n");
    census_json(&page.json, "after", &result->after);
    json_regions(&page, result);
    json_nodes(&page, result);
    json_weights(&page, result);
    json_others(&page, result, "others", true);
    json_others(&page, result, "uncounted", false);
    /* No more changes than the listing has room for. */
    struct diff_result first = *result;
    if (first.groups.count > HTML_LISTED)
        first.groups.count = HTML_LISTED;
    const char *listing = diff_text(arena, &first, &plain, left, right);
    if (first.groups.count < result->groups.count && listing[0])
        listing = arena_format(arena, "%s\n%zu more changes are left out\n", listing,
                               result->groups.count - first.groups.count);
    return page_finish(&page, arena_format(arena, "onnx-repvgg-fuse diff: %s, %s", left, right),
                       listing[0] ? listing : "The models are the same.\n");
}
