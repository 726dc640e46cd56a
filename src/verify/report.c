/* verify/report.c: a verdict as text and as JSON. Schema: docs/verify.md. */
#include "verify/report.h"

#include "base/decimal.h"
#include "base/json.h"

const char *verify_maker(const struct value *value)
{
    const struct node *node = value->producer;
    return node && node->proto->op_type ? node->proto->op_type : "input";
}

const char *verify_sentence(struct arena *arena, const struct verify_result *result)
{
    static const char *const verdicts[] = {"equal", "not equal", "undecided"};
    const char *verdict = verdicts[result->verdict];
    return result->verdict == VERDICT_EQUAL ? verdict
                                            : arena_format(arena, "%s: %s", verdict, text_plain(arena, result->reason));
}

const char *verify_departure_line(struct arena *arena, const struct verify_departure *departure)
{
    struct text text = {.arena = arena};
    const char *graph = departure->right->graph->name;
    text_print(&text, "first difference: '%s' (%s, graph %s)", text_plain(arena, departure->right->name),
               text_plain(arena, verify_maker(departure->right)), text_plain(arena, graph));
    if (strcmp(departure->left->name, departure->right->name) != 0)
        text_print(&text, ", compared to '%s'", text_plain(arena, departure->left->name));
    text_print(&text, departure->same_shape ? " at %s" : ": %s", departure->at);
    if (departure->same_shape)
        text_print(&text, ": %s and %s", decimal_rounded(departure->left_number, 9).text,
                   decimal_rounded(departure->right_number, 9).text);
    if (departure->same_shape && departure->largest > 0)
        text_print(&text, ", off by %s, %s of the largest", decimal_rounded(departure->difference, 3).text,
                   decimal_rounded(departure->difference / departure->largest, 3).text);
    return text.bytes;
}

static void print_layers(struct text *text, const struct verify_result *result)
{
    text_print(text, "\n%14s  %14s  value\n", "of the largest", "off by");
    for (size_t i = 0; i < result->layers.count; i++) {
        const struct verify_layer *layer = result->layers.items[i];
        text_print(text, "%14s  %14s  '%s' (%s, graph %s)\n",
                   layer->same_shape ? decimal_rounded(layer->ratio, 3).text : "another shape",
                   layer->same_shape ? decimal_rounded(layer->difference, 3).text : "",
                   text_plain(text->arena, layer->right->name), text_plain(text->arena, verify_maker(layer->right)),
                   text_plain(text->arena, layer->right->graph->name));
    }
    if (result->layers_reason[0])
        text_print(text, "not evaluated: %s\n", text_plain(text->arena, result->layers_reason));
    else if (result->layers.count == 0)
        text_print(text, "no other values share a name\n");
}

const char *verify_text(struct arena *arena, const struct verify_result *result, const struct verify_options *options,
                        const char *left, const char *right)
{
    struct text text = {.arena = arena};
    text_print(&text, "%s and %s: %s\n", text_plain(arena, left), text_plain(arena, right),
               verify_sentence(arena, result));
    if (result->note[0])
        text_print(&text, "%s\n", text_plain(arena, result->note));
    if (result->given[0])
        text_print(&text, "%s\n", text_plain(arena, result->given));
    if (result->departs)
        text_print(&text, "%s\n", verify_departure_line(arena, &result->departure));
    text_print(&text, "%zu values equal by structure, %zu by evaluation", result->by_structure, result->regions.count);
    if (result->whole_inputs)
        text_print(&text, ", the outputs by evaluation of both whole models on %d inputs", result->whole_inputs);
    if (result->regions.count || result->whole_inputs)
        text_print(&text, ", largest relative difference %s of %s", decimal_rounded(result->largest, 3).text,
                   decimal_rounded(result->tolerance, 3).text);
    text_print(&text, "\n");
    if (options->layers)
        print_layers(&text, result);
    return text.bytes;
}

static void json_departure(struct json *json, const struct verify_departure *departure)
{
    json_open(json, "departure", '{');
    json_text(json, "graph", departure->right->graph->name);
    json_text(json, "a", departure->left->name);
    json_text(json, "b", departure->right->name);
    json_text(json, "op", verify_maker(departure->right));
    json_text(json, "at", departure->at);
    json_number(json, "a_number", departure->left_number);
    json_number(json, "b_number", departure->right_number);
    json_number(json, "difference", departure->difference);
    json_number(json, "largest", departure->largest);
    json_close(json, '}');
}

static void json_region(struct json *json, const struct verify_region *region)
{
    json_line(json, 2);
    json_open(json, NULL, '{');
    json_text(json, "graph", region->right->graph->name);
    json_text(json, "a", region->left->name);
    json_text(json, "b", region->right->name);
    json_count(json, "a_ops", region->left_ops);
    json_count(json, "b_ops", region->right_ops);
    json_integer(json, "trials", region->trials);
    json_number(json, "difference", region->difference);
    json_close(json, '}');
}

static void json_layers(struct json *json, const struct verify_result *result)
{
    json_text(json, "layers_reason", result->layers_reason);
    json_line(json, 1);
    json_open(json, "layers", '[');
    for (size_t i = 0; i < result->layers.count; i++) {
        const struct verify_layer *layer = result->layers.items[i];
        json_line(json, 2);
        json_open(json, NULL, '{');
        json_text(json, "a", layer->left->name);
        json_text(json, "b", layer->right->name);
        json_text(json, "op", verify_maker(layer->right));
        json_number(json, "difference", layer->difference);
        json_number(json, "largest", layer->largest);
        json_number(json, "ratio", layer->ratio);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_line(json, 1);
}

const char *verify_json(struct arena *arena, const struct verify_result *result, const struct verify_options *options,
                        const char *left, const char *right)
{
    static const char *const verdicts[] = {"equal", "different", "unknown"};
    struct json json = {.text = {.arena = arena}};
    json_open(&json, NULL, '{');
    json_count(&json, "schema", 1);
    json_text(&json, "tool", "onnx-repvgg-fuse");
    json_text(&json, "command", "verify");
    json_line(&json, 1);
    json_text(&json, "version", onnx_fuse_version());
    json_text(&json, "a", left);
    json_text(&json, "b", right);
    json_line(&json, 1);
    json_text(&json, "verdict", verdicts[result->verdict]);
    json_text(&json, "reason", result->reason);
    json_text(&json, "note", result->note);
    json_text(&json, "given", result->given);
    json_line(&json, 1);
    if (result->departs)
        json_departure(&json, &result->departure);
    else
        json_literal(&json, "departure", "null");
    json_line(&json, 1);
    json_count(&json, "equal_by_structure", result->by_structure);
    json_integer(&json, "whole_inputs", result->whole_inputs);
    json_number(&json, "largest_difference", result->largest);
    json_number(&json, "tolerance", result->tolerance);
    json_line(&json, 1);
    if (options->layers)
        json_layers(&json, result);
    json_open(&json, "regions", '[');
    for (size_t i = 0; i < result->regions.count; i++)
        json_region(&json, result->regions.items[i]);
    json_close(&json, ']');
    json_close(&json, '}');
    return json_end(&json);
}
