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
#include "report/overview.h"
#include "report/picture.h"

enum { BARS = 48, PIECE = 512 };

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

/* The subject of one picture: a region, or all changes of a pair of nodes. */
struct subject {
    const struct graph *graph;
    const char *title;
    const struct node *left, *right;
    LIST(const struct diff_change *) changes;
};

static void json_subject(struct page *page, const struct block *block)
{
    const struct subject *subject = block->subject;
    struct json *json = &page->json;
    json_open(json, NULL, '{');
    page_text(page, "graph", subject->graph ? subject->graph->name : "");
    json_open(json, "texts", '[');
    for (size_t i = 0; i < subject->changes.count; i++)
        page_text(page, NULL, diff_sentence(page->arena, subject->changes.items[i]));
    json_close(json, ']');
    json_line(json, 0);
    picture_json(page, "before", block->before);
    json_line(json, 0);
    picture_json(page, "after", block->after);
    json_close(json, '}');
}

static void json_title(struct page *page, const void *closure, const struct block *block)
{
    (void)closure;
    page_text(page, "title", ((const struct subject *)block->subject)->title);
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
    return change->counts && change->left && change->right && !change->region && !change->part_of && !change->numbers;
}

static const char *kinds_of(struct arena *arena, const struct subject *subject)
{
    struct text text = {.arena = arena};
    for (size_t i = 0; i < subject->changes.count; i++)
        text_print(&text, "%s%s", i ? ", " : "",
                   subject->changes.items[i]->kind == DIFF_attribute ? subject->changes.items[i]->what
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
            *subject = (struct subject){.graph = change->graph, .left = change->left, .right = change->right};
            map_put(arena, &by_node, key, subject);
            LIST_PUSH(arena, &subjects, subject);
        }
        LIST_PUSH(arena, &subject->changes, change);
    }
    for (size_t i = 0; i < subjects.count; i++) {
        struct subject *subject = subjects.items[i];
        subject->title =
            arena_format(arena, "%s: %s", text_or_empty(subject->left->proto->op_type), kinds_of(arena, subject));
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
    if (!a || !b || a->rank < 1 || a->count != b->count || !a->count || a->dims[0] < 2 || !tensor_is_readable(a) ||
        !tensor_is_readable(b))
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
    struct json *json = &page->json;
    double bars[BARS];
    int count;
    int64_t channels;
    diff_numbers_json(json, change->numbers);
    bool known = find_bars(change, bars, &count, &channels);
    if (change->left && change->right) {
        model_give_back(change->left->graph->model);
        model_give_back(change->right->graph->model);
    }
    if (!known)
        return;
    json_integer(json, "channels", channels);
    json_open(json, "bars", '[');
    for (int i = 0; i < count; i++)
        json_literal(json, NULL, decimal_rounded(bars[i], 4).text);
    json_close(json, ']');
}

static void json_weights(struct page *page, const struct diff_result *result)
{
    size_t plots = 0, all = 0;
    struct json *json = &page->json;
    json_line(json, 0);
    json_open(json, "weights", '[');
    for (size_t i = 0; i < result->changes.count; i++) {
        const struct diff_change *change = result->changes.items[i];
        if (!change->numbers || !change->counts || all++ >= HTML_LINES)
            continue;
        json_line(json, 0);
        json_open(json, NULL, '{');
        page_text(page, "graph", change->graph ? change->graph->name : "");
        page_text(page, "subject", change->subject);
        page_text(page, "shape",
                  change->left_tensor ? picture_shape(page->arena, change->left_tensor->rank, change->left_tensor->dims)
                                      : "");
        if (plots++ < HTML_PLOTS)
            json_numbers(page, change);
        page_text(page, "text", diff_sentence(page->arena, change));
        json_close(json, '}');
    }
    json_close(json, ']');
    json_line(json, 0);
    json_count(json, "weights_in_all", all);
}

/* ---- the rest, as lines ---- */

/* Changes that count and stand nowhere else, or those that do not count. */
static void json_others(struct page *page, const struct diff_result *result, const char *name, bool counted)
{
    size_t count = 0;
    struct json *json = &page->json;
    json_line(json, 0);
    json_open(json, name, '[');
    for (size_t i = 0; i < result->changes.count; i++) {
        const struct diff_change *change = result->changes.items[i];
        bool elsewhere = counted && (change->region || change->part_of || change->numbers || is_of_nodes(change));
        if (change->counts != counted || elsewhere || count++ >= HTML_LINES)
            continue;
        json_line(json, 0);
        json_open(json, NULL, '{');
        json_text(json, "kind", diff_kind_name(change->kind));
        page_text(page, "text", diff_sentence(page->arena, change));
        json_close(json, '}');
    }
    json_close(json, ']');
    json_line(json, 0);
    json_count(json, arena_format(page->arena, "%s_in_all", name), count);
}

static void json_kinds(struct page *page, const struct diff_result *result)
{
    struct json *json = &page->json;
    json_open(json, "kinds", '[');
    for (size_t i = 0; i < DIFF_KIND_COUNT; i++) {
        if (!result->by_kind[i])
            continue;
        json_open(json, NULL, '[');
        json_text(json, NULL, diff_kind_name((enum diff_kind)i));
        json_count(json, NULL, result->by_kind[i]);
        json_text(json, NULL, diff_kind_purpose((enum diff_kind)i));
        json_close(json, ']');
    }
    json_close(json, ']');
}

/* ---- overviews ---- */

enum { UNPAIRED = 1, CHANGED };

static void mark_all(struct overview_marks *marks, const struct node_list *nodes)
{
    for (size_t i = 0; i < nodes->count; i++)
        overview_mark(marks, nodes->items[i], UNPAIRED);
}

static void json_overviews(struct page *page, const struct diff_result *result, const struct model *a,
                           const struct model *b)
{
    struct overview_marks left = {.arena = page->arena}, right = {.arena = page->arena};
    for (size_t i = 0; i < result->changes.count; i++) {
        const struct diff_change *change = result->changes.items[i];
        if (change->counts && change->region) {
            mark_all(&left, &change->region->left);
            mark_all(&right, &change->region->right);
        } else if (change->counts && change->left && change->right) {
            overview_mark(&left, change->left, CHANGED);
            overview_mark(&right, change->right, CHANGED);
        }
    }
    overview_json(page, "overview", a, &left);
    overview_json(page, "overview_after", b, &right);
}

const char *html_diff(struct arena *arena, const struct diff_result *result, const struct diff_options *options,
                      const struct model *a, const struct model *b, const char *left, const char *right)
{
    struct page page = page_begin(arena, "diff");
    struct diff_options plain = *options;
    plain.colour = false;
    page_text(&page, "a", left);
    page_text(&page, "b", right);
    json_bool(&page.json, "different", result->counted != 0);
    json_count(&page.json, "counted", result->counted);
    json_count(&page.json, "matched", result->matched);
    json_integer(&page.json, "drawn", HTML_GROUPS);
    page_text(&page, "summary", diff_headline(arena, result, true));
    json_kinds(&page, result);
    census_json(&page.json, "before", &result->before);
    census_json(&page.json, "after", &result->after);
    json_overviews(&page, result, a, b);
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
