/* report/page_verify.c: a verdict, and how far two models drift apart along the way, for the page's script. */
#include "report/page_verify.h"

#include <math.h>

#include "report/overview.h"
#include "verify/report.h"

/* Another shape is as far apart as can be: null in JSON. */
static double drift_of(const struct verify_layer *layer)
{
    return layer->same_shape ? layer->ratio : (double)NAN;
}

/* A bar for each value, or for neighbours the worst of them. */
static void json_bars(struct page *page, const struct verify_result *result)
{
    size_t count = result->layers.count, bars = count < HTML_BARS ? count : HTML_BARS, at = 0;
    json_open(&page->json, "bars", '[');
    for (size_t i = 0; i < bars; i++) {
        double worst = 0;
        for (size_t end = (i + 1) * count / bars; at < end; at++) {
            double drift = drift_of(result->layers.items[at]);
            worst = isnan(drift) || drift > worst ? drift : worst;
        }
        json_number(&page->json, NULL, worst);
    }
    json_close(&page->json, ']');
}

static void json_layers(struct page *page, const struct verify_result *result)
{
    struct json *json = &page->json;
    json_bars(page, result);
    page_text(page, "layers_reason", result->layers_reason);
    json_count(json, "layers_in_all", result->layers.count);
    json_open(json, "layers", '[');
    for (size_t i = 0; i < result->layers.count && i < HTML_LINES; i++) {
        const struct verify_layer *layer = result->layers.items[i];
        json_line(json, 0);
        json_open(json, NULL, '{');
        page_text(page, "value", layer->right->name);
        page_text(page, "op", verify_maker(layer->right));
        page_text(page, "graph", layer->right->graph->name);
        json_number(json, "ratio", drift_of(layer));
        json_number(json, "difference", layer->same_shape ? layer->difference : (double)NAN);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void json_regions(struct page *page, const struct verify_result *result)
{
    struct json *json = &page->json;
    json_count(json, "regions_in_all", result->regions.count);
    json_open(json, "regions", '[');
    for (size_t i = 0; i < result->regions.count && i < HTML_LINES; i++) {
        const struct verify_region *region = result->regions.items[i];
        json_line(json, 0);
        json_open(json, NULL, '{');
        page_text(page, "a", region->left->name);
        page_text(page, "b", region->right->name);
        page_text(page, "graph", region->right->graph->name);
        json_count(json, "a_ops", region->left_ops);
        json_count(json, "b_ops", region->right_ops);
        json_number(json, "difference", region->difference);
        json_close(json, '}');
    }
    json_close(json, ']');
}

/* ---- overview ---- */

enum { APART = 1, EVALUATED, WITHIN };

static void mark_maker(struct overview_marks *marks, const struct value *value, int64_t mark)
{
    if (value && value->producer)
        overview_mark(marks, value->producer, mark);
}

static void json_overview(struct page *page, const struct verify_result *result, const struct model *b)
{
    struct overview_marks marks = {.arena = page->arena};
    if (result->departs)
        mark_maker(&marks, result->departure.right, APART);
    for (size_t i = 0; i < result->layers.count; i++) {
        const struct verify_layer *layer = result->layers.items[i];
        if (!layer->same_shape || (result->tolerance > 0 && !(layer->ratio <= result->tolerance)))
            mark_maker(&marks, layer->right, APART);
    }
    for (size_t i = 0; i < result->regions.count; i++)
        mark_maker(&marks, result->regions.items[i]->right, EVALUATED);
    for (size_t i = 0; i < result->layers.count; i++)
        mark_maker(&marks, result->layers.items[i]->right, WITHIN);
    overview_json(page, "overview", b, &marks);
}

const char *html_verify(struct arena *arena, const struct verify_result *result, const struct verify_options *options,
                        const struct model *b, const char *left, const char *right)
{
    struct page page = page_begin(arena, "verify");
    struct json *json = &page.json;
    page_text(&page, "a", left);
    page_text(&page, "b", right);
    json_integer(json, "verdict", result->verdict);
    page_text(&page, "sentence", verify_sentence(arena, result));
    page_text(&page, "note", result->note);
    page_text(&page, "given", result->given);
    page_text(&page, "departure", result->departs ? verify_departure_line(arena, &result->departure) : "");
    json_count(json, "by_structure", result->by_structure);
    json_integer(json, "whole_inputs", result->whole_inputs);
    json_number(json, "largest", result->largest);
    json_number(json, "tolerance", result->tolerance);
    json_bool(json, "has_layers", options->layers);
    json_overview(&page, result, b);
    json_layers(&page, result);
    json_regions(&page, result);
    return page_finish(&page, arena_format(arena, "onnx-repvgg-fuse verify: %s, %s", left, right),
                       verify_text(arena, result, options, left, right));
}
