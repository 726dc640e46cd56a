/* diff/json.c: a comparison for programs: JSON, GitHub's workflow commands, SARIF. */
#include "diff/json.h"

#include "base/system.h"
#include "diff/group.h"
#include "diff/text.h"

static void json_node(struct json *json, const char *key, const struct node *node)
{
    const struct value *output = node ? node_output(node, 0) : NULL;
    if (!node) {
        json_literal(json, key, "null");
        return;
    }
    json_open(json, key, '{');
    json_text(json, "op", node->proto->op_type);
    json_text(json, "name", node->proto->name);
    json_text(json, "output", output ? output->name : "");
    json_close(json, '}');
}

static void json_nodes(struct json *json, const char *key, const struct node_list *nodes)
{
    json_open(json, key, '[');
    for (size_t i = 0; i < nodes->count; i++)
        json_node(json, NULL, nodes->items[i]);
    json_close(json, ']');
}

static void json_values(struct json *json, const char *key, const struct diff_values *values)
{
    json_open(json, key, '[');
    for (size_t i = 0; i < values->count; i++)
        json_text(json, NULL, values->items[i]->name);
    json_close(json, ']');
}

static void json_region(struct json *json, const struct diff_region *region)
{
    json_line(json, 5);
    json_open(json, "region", '{');
    json_nodes(json, "a", &region->left);
    json_nodes(json, "b", &region->right);
    json_values(json, "a_inputs", &region->left_in);
    json_values(json, "a_outputs", &region->left_out);
    json_values(json, "b_inputs", &region->right_in);
    json_values(json, "b_outputs", &region->right_out);
    json_close(json, '}');
}

void diff_numbers_json(struct json *json, const struct diff_numbers *numbers)
{
    json_integer(json, "count", numbers->count);
    json_integer(json, "differing", numbers->differing);
    json_number(json, "largest", numbers->largest);
    json_number(json, "largest_relative", numbers->largest_relative);
    json_text(json, "first", numbers->first);
    json_number(json, "first_a", numbers->first_left);
    json_number(json, "first_b", numbers->first_right);
    json_open(json, "bins", '[');
    for (int i = 0; i < DIFF_BINS; i++)
        json_integer(json, NULL, numbers->bins[i]);
    json_close(json, ']');
}

static void json_change(struct json *json, const struct diff_change *change)
{
    json_line(json, 4);
    json_open(json, NULL, '{');
    json_text(json, "kind", diff_kind_name(change->kind));
    json_bool(json, "counts", change->counts);
    json_text_or_null(json, "graph", change->graph ? change->graph->name : NULL);
    json_text(json, "subject", change->subject);
    json_text(json, "what", change->what);
    json_text_or_null(json, "old", change->old_text);
    json_text_or_null(json, "new", change->new_text);
    json_count(json, "more", change->more);
    json_count(json, "group", change->group);
    if (change->part_of)
        json_count(json, "part_of", change->part_of->place);
    else
        json_literal(json, "part_of", "null");
    json_line(json, 5);
    json_node(json, "a", change->left);
    json_node(json, "b", change->right);
    json_line(json, 5);
    json_text(json, "text", diff_sentence(json->text.arena, change));
    if (change->numbers) {
        json_line(json, 5);
        json_open(json, "numbers", '{');
        diff_numbers_json(json, change->numbers);
        json_close(json, '}');
    }
    if (change->region)
        json_region(json, change->region);
    json_close(json, '}');
}

const char *diff_json(struct arena *arena, const struct diff_result *result, const char *left, const char *right)
{
    struct json json = {.text = {.arena = arena}};
    json_open(&json, NULL, '{');
    json_line(&json, 2);
    json_count(&json, "schema", 1);
    json_text(&json, "tool", "onnx-repvgg-fuse");
    json_text(&json, "command", "diff");
    json_text(&json, "version", onnx_fuse_version());
    json_line(&json, 2);
    json_text(&json, "a", left);
    json_text(&json, "b", right);
    json_line(&json, 2);
    json_bool(&json, "different", result->counted != 0);
    json_count(&json, "counted", result->counted);
    json_count(&json, "matched", result->matched);
    json_text(&json, "summary", diff_headline(arena, result, true));
    json_line(&json, 2);
    json_open(&json, "by_kind", '{');
    for (size_t i = 0; i < DIFF_KIND_COUNT; i++)
        json_count(&json, diff_kind_name((enum diff_kind)i), result->by_kind[i]);
    json_close(&json, '}');
    json_line(&json, 2);
    json_open(&json, "changes", '[');
    for (size_t i = 0; i < result->changes.count; i++)
        json_change(&json, result->changes.items[i]);
    json_close(&json, ']');
    census_json(&json, "before", &result->before);
    census_json(&json, "after", &result->after);
    json_line(&json, 0);
    json_close(&json, '}');
    return json_end(&json);
}

/* ---- GitHub ---- */

/* A workflow command ends at a line break; in a property a comma and a colon end it as well. */
static void print_escaped(struct text *text, const char *string, bool property)
{
    for (; *string; string++) {
        if (*string == '%' || *string == '\r' || *string == '\n' || (property && (*string == ':' || *string == ',')))
            text_print(text, "%%%02X", (unsigned char)*string);
        else
            text_append(text, string, 1);
    }
}

const char *diff_github(struct arena *arena, const struct diff_result *result, const char *left, const char *right)
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
                               diff_headline(arena, result, true), left, result->before.ops, result->after.ops,
                               text_grouped(arena, result->before.parameters),
                               text_grouped(arena, result->after.parameters)),
                  false);
    text_print(&text, "\n");
    return text.bytes;
}

/* ---- SARIF 2.1.0 ---- */

/* A path as the URI of an artifact: bytes that a URI does not admit are escaped. */
static const char *uri_of(struct arena *arena, const char *path)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/";
    struct text text = {.arena = arena};
    const char *below = path + path_root(path);
    text_print(&text, "%s", below == path ? "" : path_separates(path[0]) ? "file://" : "file:///");
    for (; *path; path++) {
        if (path_separates(*path))
            text_append(&text, "/", 1);
        else if (strchr(plain, *path) || (*path == ':' && path < below)) /* the colon of a drive */
            text_append(&text, path, 1);
        else
            text_print(&text, "%%%02X", (unsigned char)*path);
    }
    return text.bytes;
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

static void sarif_rules(struct json *json)
{
    json_open(json, "rules", '[');
    for (size_t i = 0; i < DIFF_KIND_COUNT; i++) {
        json_line(json, 8);
        json_open(json, NULL, '{');
        json_text(json, "id", diff_kind_name((enum diff_kind)i));
        json_open(json, "shortDescription", '{');
        json_text(json, "text", diff_kind_purpose((enum diff_kind)i));
        json_close(json, '}');
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void sarif_result(struct json *json, const struct diff_group *group, const char *right)
{
    struct arena *arena = json->text.arena;
    const struct diff_change *change = group->first;
    const char *sentence = diff_group_sentence(arena, group);
    if (!change->counts || !sentence)
        return;
    json_line(json, 6);
    json_open(json, NULL, '{');
    json_text(json, "ruleId", diff_kind_name(change->kind));
    json_integer(json, "ruleIndex", change->kind);
    json_text(json, "level", "warning");
    json_open(json, "message", '{');
    json_text(json, "text", sentence);
    json_close(json, '}');
    json_line(json, 7);
    json_open(json, "locations", '[');
    json_open(json, NULL, '{');
    json_open(json, "physicalLocation", '{');
    json_open(json, "artifactLocation", '{');
    json_text(json, "uri", uri_of(arena, right));
    json_close(json, '}');
    json_close(json, '}');
    json_line(json, 8);
    json_open(json, "logicalLocations", '[');
    json_open(json, NULL, '{');
    json_text(json, "fullyQualifiedName", logical_name(arena, change));
    json_close(json, '}');
    json_close(json, ']');
    json_close(json, '}');
    json_close(json, ']');
    json_close(json, '}');
}

const char *diff_sarif(struct arena *arena, const struct diff_result *result, const char *left, const char *right)
{
    struct json json = {.text = {.arena = arena}};
    json_open(&json, NULL, '{');
    json_text(&json, "$schema", "https://json.schemastore.org/sarif-2.1.0.json");
    json_text(&json, "version", "2.1.0");
    json_line(&json, 2);
    json_open(&json, "runs", '[');
    json_open(&json, NULL, '{');
    json_line(&json, 4);
    json_open(&json, "tool", '{');
    json_open(&json, "driver", '{');
    json_text(&json, "name", "onnx-repvgg-fuse");
    json_text(&json, "version", onnx_fuse_version());
    json_line(&json, 6);
    sarif_rules(&json);
    json_close(&json, '}');
    json_close(&json, '}');
    json_line(&json, 4);
    json_open(&json, "properties", '{');
    json_text(&json, "before", left);
    json_close(&json, '}');
    json_line(&json, 4);
    json_open(&json, "results", '[');
    for (size_t i = 0; i < result->groups.count; i++)
        sarif_result(&json, result->groups.items[i], right);
    json_close(&json, ']');
    json_line(&json, 2);
    json_close(&json, '}');
    json_close(&json, ']');
    json_line(&json, 0);
    json_close(&json, '}');
    return json_end(&json);
}
