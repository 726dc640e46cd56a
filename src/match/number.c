/* match/number.c: numbers of nodes, bodies and local functions, from the numbers of their inputs. */
#include "match/number.h"

#include <stdlib.h>

#include "infer/constant.h"
#include "match/neutral.h"
#include "match/value.h"
#include "model/operator_default.h"
#include "model/operator_schema.h"

struct number_function {
    struct graph *graph;
    uint32_t signature;
    bool open;  /* being numbered: a call of it is recursion, which ONNX forbids */
    bool draws; /* something in it draws: no two calls of it are the same */
};

/* Functions that call functions are walked by recursion; deeper ones are never the same. */
enum { CALLS_DEEP = 200 };

uint32_t number_input(struct numbering *numbering, uint32_t level, uint32_t index)
{
    return number_words(numbering, KIND_INPUT, level, index);
}

/* ---- functions ---- */

static size_t side_of(const struct numbering *numbering, const struct graph *graph)
{
    return graph->model == numbering->models[1];
}

static struct number_function *find_function(const struct numbering *numbering, const struct node *node)
{
    const struct map *functions = &numbering->functions[side_of(numbering, node->graph)];
    if (!functions->count)
        return NULL;
    return map_get(functions, graph_function_key(numbering->arena, node->proto->domain, node->proto->op_type,
                                                 node->proto->overload));
}

struct graph *number_function_like(const struct numbering *numbering, size_t side, const Onnx__FunctionProto *function)
{
    const struct map *functions = &numbering->functions[side];
    const struct number_function *like =
        functions->count ? map_get(functions, graph_function_key(numbering->arena, function->domain, function->name,
                                                                 function->overload))
                         : NULL;
    return like ? like->graph : NULL;
}

struct graph *node_function(const struct numbering *numbering, const struct node *node)
{
    const struct number_function *function = find_function(numbering, node);
    return function ? function->graph : NULL;
}

void numbering_init(struct numbering *numbering, struct arena *arena, struct model *a, struct model *b, bool folds,
                    bool versions)
{
    *numbering = (struct numbering){.arena = arena, .models = {a, b}, .folds = folds, .versions = versions};
    numbering->secret = *landing_secret(arena->landing);
    struct number_entry *nobody = NEW(arena, struct number_entry);
    LIST_PUSH(arena, &numbering->entries, nobody);
    for (int side = 0; side < 2; side++) {
        const Onnx__ModelProto *proto = numbering->models[side]->proto;
        /* Numbers of an earlier comparison are another's. */
        numbering->models[side]->value_numbers = (struct memo){NULL, 0};
        numbering->models[side]->node_matches = (struct memo){NULL, 0};
        for (size_t i = 0; i < proto->n_opset_import; i++) {
            const char *domain = proto->opset_import[i]->domain;
            map_add(arena, &numbering->imports[side], domain ? domain : "", proto->opset_import[i]);
        }
        for (size_t i = 0; i < numbering->models[side]->graphs.count; i++) {
            struct graph *graph = numbering->models[side]->graphs.items[i];
            if (!graph->function)
                continue;
            struct number_function *function = NEW(arena, struct number_function);
            function->graph = graph;
            map_put(
                arena, &numbering->functions[side],
                graph_function_key(arena, graph->function->domain, graph->function->name, graph->function->overload),
                function);
        }
    }
}

/* ---- graphs from outside ---- */

void number_start(struct numbering *numbering, struct graph *graph, uint32_t level)
{
    size_t inputs = graph_input_count(graph);
    for (size_t i = 0; (graph->owner || graph->function) && i < inputs; i++) {
        struct value *value = graph_input(graph, i);
        if (value)
            value_number_set(value, number_input(numbering, level, (uint32_t)i));
    }
    const struct map sparse = number_sparse_by_name(numbering, graph->proto);
    for (size_t i = 0; i < graph->initializers.count; i++) {
        struct value *value = graph->initializers.items[i];
        uint32_t constant = number_initializer(numbering, value, &sparse);
        const struct number_entry *given = numbering->entries.items[value_number(value)];
        if (value_number(value) && given->key[0] == KIND_DEFAULTED) /* numbered before */
            continue;
        if (value->is_input && value->graph->model->ir_version >= 4)
            value_number_set(value, number_words(numbering, KIND_DEFAULTED, value_number(value), constant));
        else
            value_number_set(value, constant);
    }
}

uint32_t number_parameters(struct numbering *numbering, const struct graph *graph)
{
    KEY_BEGIN(numbering, key);
    const Onnx__FunctionProto *function = graph->function;
    key_add(&key, KIND_FUNCTION);
    for (size_t i = 0; function && i < function->n_attribute; i++)
        key_add(&key, number_text(numbering, function->attribute[i]));
    for (size_t i = 0; function && i < function->n_attribute_proto; i++)
        key_add(&key, number_attribute(numbering, graph->model, function->attribute_proto[i]));
    return number_key(numbering, &key)->number;
}

/* The number of what a body or function computes, from its outputs' numbers. */
static uint32_t number_signature(struct numbering *numbering, const struct graph *graph)
{
    KEY_BEGIN(numbering, key);
    key_add(&key, graph->function ? KIND_FUNCTION : KIND_BODY);
    key_add(&key, graph_input_count(graph));
    for (size_t i = 0; i < graph_output_count(graph); i++) {
        const struct value *value = graph_output(graph, i);
        key_add(&key, value ? value_number(value) : 0);
    }
    key_add(&key, number_parameters(numbering, graph));
    return number_key(numbering, &key)->number;
}

void number_graph(struct numbering *numbering, struct graph *graph, uint32_t level)
{
    number_start(numbering, graph, level);
    for (size_t i = 0; i < graph->order.count; i++)
        number_node(numbering, graph->order.items[i], level);
}

/* ---- nodes ---- */

/* The function around a node, or NULL. */
static const Onnx__FunctionProto *function_around(const struct node *node)
{
    const struct graph *graph = node->graph;
    while (graph->parent)
        graph = graph->parent;
    return graph->function;
}

static int64_t version_of(const struct numbering *numbering, const struct node *node)
{
    const char *domain = node->proto->domain ? node->proto->domain : "";
    const struct operator_schema *schema =
        node->opset <= OPSET_NEWEST ? operator_schema(node->proto->domain, node->proto->op_type, node->opset) : NULL;
    if (node->opset)
        return schema ? schema->meaning : node->opset;
    const Onnx__FunctionProto *function = function_around(node);
    if (function) { /* which imports for itself */
        for (size_t i = 0; i < function->n_opset_import; i++) {
            const char *imported = function->opset_import[i]->domain;
            if (strcmp(imported ? imported : "", domain) == 0)
                return function->opset_import[i]->version;
        }
        return -1;
    }
    const Onnx__OperatorSetIdProto *imported = map_get(&numbering->imports[side_of(numbering, node->graph)], domain);
    return imported ? imported->version : -1;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Unused results do not matter, unless their number selects a mode. */
static bool counts_outputs(const struct node *node)
{
    return node->opset == 0 || node->op == OP_BatchNormalization || node->op == OP_Split ||
           !operator_schema(node->proto->domain, node->proto->op_type, node->opset);
}

static size_t outputs_named(const struct node *node)
{
    size_t count = 0;
    for (size_t i = 0; i < node->output_count; i++)
        count += node->outputs[i] != NULL;
    return count;
}

uint32_t number_operator(struct numbering *numbering, const struct node *node)
{
    KEY_BEGIN(numbering, key);
    key_add(&key, KIND_OPERATOR);
    key_text(&key, operator_domain(node->proto->domain));
    key_text(&key, node->proto->op_type);
    key_text(&key, node->proto->overload);
    key_add(&key, numbering->versions ? (uint64_t)version_of(numbering, node) : 0);
    key_add(&key, counts_outputs(node) ? outputs_named(node) : 0);
    size_t first = key.count;
    for (size_t i = 0; i < node->proto->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->proto->attribute[i];
        size_t index;
        const struct tensor *tensor;
        if (attribute_is_default(node, attribute) ||
            (numbering->folds && neutral_moved(numbering->arena, node, attribute, &index, &tensor)))
            continue;
        key_add(&key, number_attribute(numbering, node->graph->model, attribute));
    }
    if (key.count > first)
        qsort(key.items + first, key.count - first, sizeof(*key.items), by_number);
    return number_key(numbering, &key)->number;
}

/* A body is identified by the name of its attribute. */
static void add_bodies(struct numbering *numbering, struct key *key, const struct node *node, uint32_t level)
{
    size_t body = 0, first = key->count;
    for (size_t i = 0; i < node->proto->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->proto->attribute[i];
        size_t count = (attribute->g != NULL) + attribute->n_graphs;
        for (size_t k = 0; k < count; k++) {
            struct graph *graph = node->bodies[body++];
            number_graph(numbering, graph, level + 1);
            key_add(key, number_words(numbering, KIND_BODY, (uint64_t)number_text(numbering, attribute->name) << 32 | k,
                                      number_signature(numbering, graph)));
        }
    }
    if (key->count > first)
        qsort(key->items + first, key->count - first, sizeof(*key->items), by_number);
}

static uint32_t function_signature(struct numbering *numbering, struct number_function *function)
{
    if (!function || function->open)
        return 0;
    if (!function->signature && numbering->calls == CALLS_DEEP)
        return number_unique(numbering);
    if (!function->signature) {
        bool drew = numbering->drew;
        numbering->calls++;
        numbering->drew = false;
        function->open = true;
        number_graph(numbering, function->graph, NUMBER_FUNCTION_LEVEL);
        function->signature = number_signature(numbering, function->graph);
        function->draws = numbering->drew;
        numbering->drew = drew;
        function->open = false;
        numbering->calls--;
    }
    return function->signature;
}

static uint32_t call_signature(struct numbering *numbering, const struct node *node)
{
    return function_signature(numbering, find_function(numbering, node));
}

void number_functions(struct numbering *numbering)
{
    /* In the file's order: where the map has them changes from run to run. */
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < numbering->models[side]->graphs.count; i++) {
            const Onnx__FunctionProto *function = numbering->models[side]->graphs.items[i]->function;
            if (function)
                function_signature(numbering, map_get(&numbering->functions[side],
                                                      graph_function_key(numbering->arena, function->domain,
                                                                         function->name, function->overload)));
        }
}

void number_adopt_function(struct numbering *numbering, const struct node *node, const struct node *model)
{
    struct number_function *function = find_function(numbering, node);
    struct number_function *like = find_function(numbering, model);
    if (function) {
        function->signature = function_signature(numbering, like);
        function->draws = like && like->draws;
    }
}

/* The result of operators on constants. */
static bool fold_outputs(struct numbering *numbering, const struct node *node)
{
    bool all = numbering->folds;
    for (size_t i = 0; all && i < node->output_count; i++) {
        const struct tensor *tensor;
        struct value *value = node->outputs[i];
        if (!value)
            continue;
        all = !constant_of(value, &tensor) && tensor_is_readable(tensor);
        if (all)
            value_number_set(value, number_tensor(numbering, tensor));
    }
    return all;
}

bool number_is_draw(const struct numbering *numbering, const struct node *node)
{
    const struct number_entry *entry = numbering->entries.items[node_number(node)];
    return node_number(node) && entry->words > 1 && number_entry_word(entry, 0) == KIND_DRAW;
}

/* The number of an operand; 0: there is none. */
static uint32_t number_operand(struct numbering *numbering, const struct node *node, size_t index)
{
    struct value *value = node_input(node, index);
    if (value && !value_number(value))
        value_number_set(value, number_words(numbering, KIND_UNKNOWN, number_text(numbering, value->name), 0));
    if (!value || (numbering->folds && neutral_is_absent(node, index)))
        return 0;
    return value_number(value);
}

/* The operands, in the places that the latest version of the operator has for them. */
static void add_operands(struct numbering *numbering, struct key *key, const struct node *node)
{
    enum { MOVED_MOST = 8 };
    uint32_t moved[MOVED_MOST] = {0};
    size_t count = node_input_end(node);
    for (size_t i = 0; numbering->folds && i < node->proto->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->proto->attribute[i];
        size_t index;
        const struct tensor *tensor;
        if (attribute_is_default(node, attribute) ||
            !neutral_moved(numbering->arena, node, attribute, &index, &tensor) || node_input(node, index))
            continue;
        moved[index] = number_tensor(numbering, tensor);
        count = index >= count ? index + 1 : count;
    }
    while (count > 0 && !(count <= MOVED_MOST && moved[count - 1]) && !number_operand(numbering, node, count - 1))
        count--;
    key_add(key, count);
    size_t first = key->count;
    for (size_t i = 0; i < count; i++)
        key_add(key, i < MOVED_MOST && moved[i] ? moved[i] : number_operand(numbering, node, i));
    if (node_commutes(node))
        qsort(key->items + first, count, sizeof(*key->items), by_number);
}

static bool take_number(struct numbering *numbering, struct node *node, uint32_t number)
{
    node_number_set(node, number);
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i])
            value_number_set(node->outputs[i], i ? number_words(numbering, KIND_OUTPUT, number, i) : number);
    return true;
}

/* Nodes that pass their input on, reshape or transpose it are numbered by the value before the whole chain. */
static bool number_move(struct numbering *numbering, struct node *node)
{
    enum { AXES_MOST = 16 };
    const struct value *root = numbering->folds ? neutral_input(node) : NULL;
    int64_t axes[AXES_MOST];
    const int64_t *words = axes;
    int rank;
    if (root && value_number(root))
        return take_number(numbering, node, value_number(root));
    if (!numbering->folds)
        return false;
    KEY_BEGIN(numbering, key);
    if (neutral_is_view(node, &root)) {
        key_add(&key, KIND_VIEW);
        rank = node->outputs[0]->rank;
        words = node->outputs[0]->dims;
    } else if (neutral_transpose(node, &root, axes, &rank)) {
        key_add(&key, KIND_TRANSPOSE);
    } else {
        return false;
    }
    if (!value_number(root))
        return false;
    key_add(&key, value_number(root));
    for (int i = 0; i < rank; i++)
        key_add(&key, (uint64_t)words[i]);
    return take_number(numbering, node, number_key(numbering, &key)->number);
}

void number_node(struct numbering *numbering, struct node *node, uint32_t level)
{
    struct value *first = node_output(node, 0);
    if (node->op == OP_Constant && first && first->tensor) {
        value_number_set(first, number_tensor(numbering, first->tensor));
        return;
    }
    if (fold_outputs(numbering, node) || number_move(numbering, node))
        return;
    bool drew = numbering->drew;
    numbering->drew = node_draws(node);
    KEY_BEGIN(numbering, key);
    key_add(&key, KIND_NODE);
    key_add(&key, number_operator(numbering, node));
    key_add(&key, call_signature(numbering, node));
    add_operands(numbering, &key, node);
    add_bodies(numbering, &key, node, level);
    struct number_entry *entry = number_key(numbering, &key);
    /* A node that draws is the same draw when it is numbered again. */
    const struct number_entry *before = numbering->entries.items[node_number(node)];
    bool again = number_is_draw(numbering, node) && number_entry_word(before, 1) == entry->number;
    const struct number_function *function = find_function(numbering, node);
    bool draws = numbering->drew || (function && function->draws);
    numbering->drew = drew || draws;
    if (!draws)
        node_number_set(node, entry->number);
    else if (!again)
        node_number_set(
            node, number_words(numbering, KIND_DRAW, entry->number, entry->draws[side_of(numbering, node->graph)]++));
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i])
            value_number_set(node->outputs[i], number_words(numbering, KIND_OUTPUT, node_number(node), i));
}
