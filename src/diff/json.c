/* diff/json.c: a comparison for programs: JSON, GitHub's workflow commands, SARIF. */
#include "diff/json.h"

#include "diff/group.h"
#include "diff/text.h"

static void print_or_null(struct text *text, const char *string)
{
    if (string)
        text_json(text, string);
    else
        text_print(text, "null");
}

/* ---- JSON ---- */

static void json_node(struct text *text, const struct node *node)
{
    const struct value *output = node ? node_output(node, 0) : NULL;
    if (!node) {
        text_print(text, "null");
        return;
    }
    text_print(text, "{\"op\": ");
    text_json(text, node->proto->op_type);
    text_print(text, ", \"name\": ");
    text_json(text, node->proto->name);
    text_print(text, ", \"output\": ");
    text_json(text, output ? output->name : "");
    text_print(text, "}");
}

static void json_nodes(struct text *text, const char *name, const struct node_list *nodes)
{
    text_print(text, "\"%s\": [", name);
    for (size_t i = 0; i < nodes->count; i++) {
        text_print(text, "%s", i ? ", " : "");
        json_node(text, nodes->items[i]);
    }
    text_print(text, "]");
}

static void json_values(struct text *text, const char *name, const struct diff_values *values)
{
    text_print(text, ", \"%s\": [", name);
    for (size_t i = 0; i < values->count; i++) {
        text_print(text, "%s", i ? ", " : "");
        text_json(text, values->items[i]->name);
    }
    text_print(text, "]");
}

static void json_region(struct text *text, const struct diff_region *region)
{
    text_print(text, ",\n     \"region\": {");
    json_nodes(text, "a", &region->left);
    text_print(text, ", ");
    json_nodes(text, "b", &region->right);
    json_values(text, "a_inputs", &region->left_in);
    json_values(text, "a_outputs", &region->left_out);
    json_values(text, "b_inputs", &region->right_in);
    json_values(text, "b_outputs", &region->right_out);
    text_print(text, "}");
}

void diff_numbers_json(struct text *text, const struct diff_numbers *numbers)
{
    text_print(text,
               "\"count\": %lld, \"differing\": %lld, \"largest\": ", (long long)numbers->count,
               (long long)numbers->differing);
    text_json_number(text, numbers->largest);
    text_print(text, ", \"largest_relative\": ");
    text_json_number(text, numbers->largest_relative);
    text_print(text, ", \"first\": ");
    text_json(text, numbers->first);
    text_print(text, ", \"first_a\": ");
    text_json_number(text, numbers->first_left);
    text_print(text, ", \"first_b\": ");
    text_json_number(text, numbers->first_right);
    text_print(text, ", \"bins\": [");
    for (int i = 0; i < DIFF_BINS; i++)
        text_print(text, "%s%lld", i ? ", " : "", (long long)numbers->bins[i]);
    text_print(text, "]");
}

static void json_change(struct text *text, const struct diff_change *change)
{
    text_print(text,
               "\n    {\"kind\": \"%s\", \"counts\": %s, \"graph\": ", diff_kind_name(change->kind),
               change->counts ? "true" : "false");
    print_or_null(text, change->graph ? change->graph->name : NULL);
    text_print(text, ", \"subject\": ");
    text_json(text, change->subject);
    text_print(text, ", \"what\": ");
    text_json(text, change->what);
    text_print(text, ", \"old\": ");
    print_or_null(text, change->old_text);
    text_print(text, ", \"new\": ");
    print_or_null(text, change->new_text);
    text_print(text, ", \"more\": %zu, \"group\": %zu, \"part_of\": ", change->more, change->group);
    if (change->part_of)
        text_print(text, "%zu", change->part_of->place);
    else
        text_print(text, "null");
    text_print(text, ",\n     \"a\": ");
    json_node(text, change->left);
    text_print(text, ", \"b\": ");
    json_node(text, change->right);
    text_print(text, ",\n     \"text\": ");
    text_json(text, diff_sentence(text->arena, change));
    if (change->numbers) {
        text_print(text, ",\n     \"numbers\": {");
        diff_numbers_json(text, change->numbers);
        text_print(text, "}");
    }
    if (change->region)
        json_region(text, change->region);
    text_print(text, "}");
}

const char *diff_json(struct arena *arena, const struct diff_result *result, const char *left,
                      const char *right)
{
    struct text text = {.arena = arena};
    text_print(&text,
               "{\n  \"schema\": 1, \"tool\": \"onnx-repvgg-fuse\", \"command\": \"diff\","
               " \"version\": \"%s\",\n  \"a\": ",
               onnx_fuse_version());
    text_json(&text, left);
    text_print(&text, ", \"b\": ");
    text_json(&text, right);
    text_print(&text, ",\n  \"different\": %s, \"counted\": %zu, \"matched\": %zu, \"summary\": ",
               result->counted ? "true" : "false", result->counted, result->matched);
    text_json(&text, diff_headline(arena, result, true));
    text_print(&text, ",\n  \"by_kind\": {");
    for (size_t i = 0; i < DIFF_KIND_COUNT; i++)
        text_print(&text, "%s\"%s\": %zu", i ? ", " : "", diff_kind_name((enum diff_kind)i),
                   result->by_kind[i]);
    text_print(&text, "},\n  \"changes\": [");
    for (size_t i = 0; i < result->changes.count; i++) {
        text_print(&text, "%s", i ? "," : "");
        json_change(&text, result->changes.items[i]);
    }
    text_print(&text, "],\n");
    census_json(&text, "before", &result->before);
    text_print(&text, ",\n");
    census_json(&text, "after", &result->after);
    text_print(&text, "\n}\n");
    return text.bytes;
}

/* ---- GitHub ---- */

/* A workflow command ends at a line break; in a property a comma and a colon end it as well. */
static void print_escaped(struct text *text, const char *string, bool property)
{
    for (; *string; string++) {
        if (*string == '%' || *string == '\r' || *string == '\n' ||
            (property && (*string == ':' || *string == ',')))
            text_print(text, "%%%02X", (unsigned char)*string);
        else
            text_append(text, string, 1);
    }
}

const char *diff_github(struct arena *arena, const struct diff_result *result, const char *left,
                        const char *right)
{
    struct text text = {.arena = arena};
    text_append(&text, "", 0);
    for (size_t i = 0; i < result->groups.count; i++) {
        const struct diff_change *change = result->groups.items[i]->first;
        const char *sentence = diff_group_sentence(arena, result->groups.items[i]);
        if (!change->counts || !sentence)
            continue;
        text_print(&text, "::warning file=");
        print_escaped(&text, right, true);
        text_print(&text, ",title=%s::", diff_kind_name(change->kind));
        print_escaped(&text, sentence, false);
        text_print(&text, "\n");
    }
    if (!result->counted)
        return text.bytes;
    text_print(&text, "::notice file=");
    print_escaped(&text, right, true);
    text_print(&text, ",title=summary::");
    print_escaped(&text,
                  arena_format(arena, "%s, from %s: ops %zu -> %zu, parameters %s -> %s",
                               diff_headline(arena, result, true), left, result->before.ops,
                               result->after.ops, text_grouped(arena, result->before.parameters),
                               text_grouped(arena, result->after.parameters)),
                  false);
    text_print(&text, "\n");
    return text.bytes;
}

/* ---- SARIF 2.1.0 ---- */

/* A path as the URI of an artifact: bytes that a URI does not admit are escaped. */
static void print_uri(struct text *text, const char *path)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    text_print(text, "\"%s", path[0] == '/' ? "file://" : "");
    for (; *path; path++) {
        if (strchr(plain, *path))
            text_append(text, path, 1);
        else
            text_print(text, "%%%02X", (unsigned char)*path);
    }
    text_print(text, "\"");
}

static const char *logical_name(struct arena *arena, const struct diff_change *change)
{
    const struct node *node = change->right ? change->right : change->left;
    const struct value *output = node ? node_output(node, 0) : NULL;
    const char *graph = change->graph ? change->graph->name : "model";
    const char *name = node ? text_or_empty(node->proto->name) : "";
    if (!name[0] && output)
        name = output->name;
    return name[0] ? arena_format(arena, "%s/%s", graph, name) : graph;
}

static void sarif_rules(struct text *text)
{
    for (size_t i = 0; i < DIFF_KIND_COUNT; i++) {
        text_print(text,
                   "%s\n        {\"id\": \"%s\", \"shortDescription\": {\"text\": ", i ? "," : "",
                   diff_kind_name((enum diff_kind)i));
        text_json(text, diff_kind_purpose((enum diff_kind)i));
        text_print(text, "}}");
    }
}

const char *diff_sarif(struct arena *arena, const struct diff_result *result, const char *left,
                       const char *right)
{
    struct text text = {.arena = arena};
    bool first = true;
    text_print(&text,
               "{\"$schema\": \"https://json.schemastore.org/sarif-2.1.0.json\","
               " \"version\": \"2.1.0\",\n"
               "  \"runs\": [{\n    \"tool\": {\"driver\": {\"name\": \"onnx-repvgg-fuse\","
               " \"version\": \"%s\",\n      \"rules\": [",
               onnx_fuse_version());
    sarif_rules(&text);
    text_print(&text, "]}},\n    \"properties\": {\"before\": ");
    text_json(&text, left);
    text_print(&text, "},\n    \"results\": [");
    for (size_t i = 0; i < result->groups.count; i++) {
        const struct diff_change *change = result->groups.items[i]->first;
        const char *sentence = diff_group_sentence(arena, result->groups.items[i]);
        if (!change->counts || !sentence)
            continue;
        text_print(&text,
                   "%s\n      {\"ruleId\": \"%s\", \"ruleIndex\": %d, \"level\": \"warning\",",
                   first ? "" : ",", diff_kind_name(change->kind), (int)change->kind);
        text_print(&text, " \"message\": {\"text\": ");
        text_json(&text, sentence);
        text_print(&text, "},\n       \"locations\": [{\"physicalLocation\": "
                          "{\"artifactLocation\": {\"uri\": ");
        print_uri(&text, right);
        text_print(&text, "}},\n        \"logicalLocations\": [{\"fullyQualifiedName\": ");
        text_json(&text, logical_name(arena, change));
        text_print(&text, "}]}]}");
        first = false;
    }
    text_print(&text, "]\n  }]\n}\n");
    return text.bytes;
}
