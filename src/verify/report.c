/* verify/report.c: a verdict as text and as JSON. Schema: docs/verify.md. */
#include "verify/report.h"

#include "base/decimal.h"
#include "base/text.h"

static const char *type_of(const struct value *value)
{
    const struct node *node = value->producer;
    return node && node->proto->op_type ? node->proto->op_type : "input";
}

static void print_departure(struct text *text, const struct verify_departure *departure)
{
    const char *graph = departure->right->graph->name;
    text_print(text, "first departure: '%s' (%s, graph %s)",
               text_plain(text->arena, departure->right->name),
               text_plain(text->arena, type_of(departure->right)), text_plain(text->arena, graph));
    if (strcmp(departure->left->name, departure->right->name) != 0)
        text_print(text, ", compared to '%s'", text_plain(text->arena, departure->left->name));
    text_print(text, departure->same_shape ? " at %s" : ": %s", departure->at);
    if (departure->same_shape)
        text_print(text, ": %s and %s", decimal_rounded(departure->left_number, 9).text,
                   decimal_rounded(departure->right_number, 9).text);
    if (departure->same_shape && departure->largest > 0)
        text_print(text, ", off by %s, %s of the largest",
                   decimal_rounded(departure->difference, 3).text,
                   decimal_rounded(departure->difference / departure->largest, 3).text);
    text_print(text, "\n");
}

const char *verify_text(struct arena *arena, const struct verify_result *result, const char *left,
                        const char *right)
{
    static const char *const verdicts[] = {"equal", "not equal", "cannot tell"};
    struct text text = {.arena = arena};
    text_print(&text, "%s and %s: %s", text_plain(arena, left), text_plain(arena, right),
               verdicts[result->verdict]);
    if (result->verdict != VERDICT_EQUAL)
        text_print(&text, ": %s", text_plain(arena, result->reason));
    text_print(&text, "\n");
    if (result->note[0])
        text_print(&text, "%s\n", text_plain(arena, result->note));
    if (result->departs)
        print_departure(&text, &result->departure);
    text_print(&text, "%zu values equal by structure, %zu by evaluation", result->by_structure,
               result->regions.count);
    if (result->whole_inputs)
        text_print(&text, ", the outputs by evaluation of both whole models on %d inputs",
                   result->whole_inputs);
    if (result->regions.count || result->whole_inputs)
        text_print(&text, ", largest relative difference %s of %s",
                   decimal_rounded(result->largest, 3).text,
                   decimal_rounded(result->tolerance, 3).text);
    text_print(&text, "\n");
    return text.bytes;
}

const char *verify_json(struct arena *arena, const struct verify_result *result, const char *left,
                        const char *right)
{
    static const char *const verdicts[] = {"equal", "different", "unknown"};
    struct text text = {.arena = arena};
    text_print(&text, "{\"schema\": 1, \"tool\": \"onnx-repvgg-fuse\", \"command\": \"verify\",\n");
    text_print(&text, " \"version\": \"%s\", \"a\": ", onnx_fuse_version());
    text_json(&text, left);
    text_print(&text, ", \"b\": ");
    text_json(&text, right);
    text_print(&text, ",\n \"verdict\": \"%s\", \"reason\": ", verdicts[result->verdict]);
    text_json(&text, result->reason);
    text_print(&text, ", \"note\": ");
    text_json(&text, result->note);
    text_print(&text, ",\n \"departure\": ");
    if (result->departs) {
        const struct verify_departure *departure = &result->departure;
        text_print(&text, "{\"graph\": ");
        text_json(&text, departure->right->graph->name);
        text_print(&text, ", \"a\": ");
        text_json(&text, departure->left->name);
        text_print(&text, ", \"b\": ");
        text_json(&text, departure->right->name);
        text_print(&text, ", \"op\": ");
        text_json(&text, type_of(departure->right));
        text_print(&text, ", \"at\": ");
        text_json(&text, departure->at);
        text_print(&text, ", \"a_number\": ");
        text_json_number(&text, departure->left_number);
        text_print(&text, ", \"b_number\": ");
        text_json_number(&text, departure->right_number);
        text_print(&text, ", \"difference\": ");
        text_json_number(&text, departure->difference);
        text_print(&text, ", \"largest\": ");
        text_json_number(&text, departure->largest);
        text_print(&text, "}");
    } else {
        text_print(&text, "null");
    }
    text_print(&text,
               ",\n \"equal_by_structure\": %zu, \"whole_inputs\": %d, \"largest_difference\": ",
               result->by_structure, result->whole_inputs);
    text_json_number(&text, result->largest);
    text_print(&text, ", \"tolerance\": ");
    text_json_number(&text, result->tolerance);
    text_print(&text, ",\n \"regions\": [");
    for (size_t i = 0; i < result->regions.count; i++) {
        const struct verify_region *region = result->regions.items[i];
        text_print(&text, "%s\n  {\"graph\": ", i ? "," : "");
        text_json(&text, region->right->graph->name);
        text_print(&text, ", \"a\": ");
        text_json(&text, region->left->name);
        text_print(&text, ", \"b\": ");
        text_json(&text, region->right->name);
        text_print(&text, ", \"a_ops\": %zu, \"b_ops\": %zu, \"trials\": %d, \"difference\": ",
                   region->left_ops, region->right_ops, region->trials);
        text_json_number(&text, region->difference);
        text_print(&text, "}");
    }
    text_print(&text, "]}\n");
    return text.bytes;
}
