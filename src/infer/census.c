/* infer/census.c: nodes and constants counted. */
#include "infer/census.h"

#include <stdlib.h>

#include "infer/window.h"

/* ---- census ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct census_entry *)a)->type, ((const struct census_entry *)b)->type);
}

struct counter {
    struct census *census;
    struct arena *arena;
    struct map seen;
    LIST(struct census_entry *) entries;
};

static void count_constant(struct census *census, const struct value *value)
{
    if (value && value->tensor && type_is_float(value->tensor->type))
        census->parameters += (double)value->tensor->count;
}

static void count_node(struct counter *counter, struct node *node)
{
    struct census *census = counter->census;
    const char *type = node->proto->op_type ? node->proto->op_type : "";
    if (node->removed)
        return;
    if (strcmp(type, "Constant") == 0 && node->op == OP_Constant) {
        count_constant(census, node_output(node, 0));
        return;
    }
    census->ops++;
    struct census_entry *entry = map_get(&counter->seen, type);
    if (!entry) {
        entry = NEW(counter->arena, struct census_entry);
        entry->type = type;
        map_put(counter->arena, &counter->seen, type, entry);
        LIST_PUSH(counter->arena, &counter->entries, entry);
    }
    entry->count++;
    int64_t multiply_adds = shape_multiply_adds(node);
    if (multiply_adds < 0)
        census->multiply_adds = -1;
    else if (census->multiply_adds >= 0)
        census->multiply_adds += (double)multiply_adds;
}

void census_take(struct model *model, uint64_t bytes, struct census *census)
{
    *census = (struct census){.bytes = bytes};
    struct counter counter = {.census = census, .arena = model->arena};
    for (size_t g = 0; g < model->graphs.count; g++) {
        struct graph *graph = model->graphs.items[g];
        if (graph->owner && graph->owner->removed)
            continue;
        for (size_t i = 0; i < graph->initializers.count; i++)
            if (!graph->initializers.items[i]->removed)
                count_constant(census, graph->initializers.items[i]);
        for (size_t i = 0; i < graph->new_initializers.count; i++)
            if (!graph->new_initializers.items[i]->removed)
                count_constant(census, graph->new_initializers.items[i]);
        for (size_t i = 0; i < graph->node_count; i++)
            count_node(&counter, graph->nodes[i]);
        for (size_t i = 0; i < graph->new_nodes.count; i++)
            count_node(&counter, graph->new_nodes.items[i]);
    }
    census->type_count = counter.entries.count;
    census->by_type = NEW_ARRAY(model->arena, struct census_entry, census->type_count + 1);
    for (size_t i = 0; i < census->type_count; i++)
        census->by_type[i] = *counter.entries.items[i];
    if (census->type_count)
        qsort(census->by_type, census->type_count, sizeof(*census->by_type), by_name);
}

size_t census_count(const struct census *census, const char *type)
{
    const struct census_entry wanted = {.type = type}, *found = NULL;
    if (census->type_count)
        found = bsearch(&wanted, census->by_type, census->type_count, sizeof(wanted), by_name);
    return found ? found->count : 0;
}

void census_json(struct json *json, const char *key, const struct census *census)
{
    struct arena *arena = json->text.arena;
    json_line(json, 2);
    json_open(json, key, '{');
    json_count(json, "ops", census->ops);
    json_open(json, "by_type", '{');
    for (size_t i = 0; i < census->type_count; i++)
        json_count(json, census->by_type[i].type, census->by_type[i].count);
    json_close(json, '}');
    json_literal(json, "parameters", arena_format(arena, "%.0f", census->parameters));
    json_literal(json, "multiply_adds",
                 census->multiply_adds < 0 ? "null" : arena_format(arena, "%.0f", census->multiply_adds));
    json_count(json, "bytes", census->bytes);
    json_close(json, '}');
}
