/* diff/model.c: two models compared: interface, operator sets, functions, graphs. */
#include "diff/model.h"

#include <inttypes.h>
#include <stdlib.h>

#include "diff/cosmetic.h"
#include "diff/graph.h"
#include "diff/group.h"
#include "match/number.h"
#include "match/value.h"
#include "model/describe.h"
#include "model/external.h"

/* ---- interface ---- */

struct port {
    const Onnx__ValueInfoProto *info;
    struct value *value;
    size_t place;
    struct port *partner;
};

struct ports {
    struct port *items;
    size_t count;
};

/* Inputs that are constants under another name are none: before IR version 4 all are listed. */
static struct ports list_ports(struct arena *arena, struct graph *graph, bool inputs)
{
    size_t count = inputs ? graph->proto->n_input : graph->proto->n_output;
    struct ports ports = {NEW_ARRAY(arena, struct port, count + 1), 0};
    for (size_t i = 0; i < count; i++) {
        const Onnx__ValueInfoProto *info = inputs ? graph->proto->input[i] : graph->proto->output[i];
        struct value *value = inputs ? graph_input(graph, i) : graph_output(graph, i);
        if (inputs && (!value || value_is_stored(value)))
            continue;
        ports.items[ports.count] = (struct port){.info = info, .value = value, .place = ports.count};
        ports.count++;
    }
    return ports;
}

static void port_change(struct differ *differ, bool inputs, const struct port *x, const struct port *y,
                        const char *what, const char *old_text, const char *new_text)
{
    struct diff_change change = {.kind = inputs ? DIFF_input : DIFF_output,
                                 .graph = differ->models[0]->graphs.items[0],
                                 .what = what,
                                 .old_text = old_text,
                                 .new_text = new_text};
    change.subject =
        arena_format(differ->arena, "%s '%s'", inputs ? "input" : "output", text_or_empty((x ? x : y)->info->name));
    diff_add(differ, &change);
}

/* By name; what is left on both sides by position. */
static void pair_ports(struct arena *arena, struct ports *a, struct ports *b)
{
    struct map names = {0}, counts[2] = {{0}, {0}};
    size_t next = 0;
    for (size_t i = 0; i < a->count; i++)
        map_put(arena, &names, diff_key(arena, &counts[0], text_or_empty(a->items[i].info->name)), &a->items[i]);
    for (size_t i = 0; i < b->count; i++) {
        struct port *port = map_get(&names, diff_key(arena, &counts[1], text_or_empty(b->items[i].info->name)));
        if (port && !port->partner) {
            port->partner = &b->items[i];
            b->items[i].partner = port;
        }
    }
    if (a->count != b->count)
        return;
    for (size_t i = 0; i < b->count; i++) {
        if (b->items[i].partner)
            continue;
        while (a->items[next].partner)
            next++;
        a->items[next].partner = &b->items[i];
        b->items[i].partner = &a->items[next];
    }
}

static void compare_ports(struct differ *differ, bool inputs, const struct ports *a, const struct ports *b)
{
    struct arena *arena = differ->arena;
    size_t moved = 0;
    const struct port *first = NULL;
    for (size_t i = 0; i < a->count; i++) {
        const struct port *x = &a->items[i], *y = x->partner;
        const char *old_text = describe_type(arena, x->info->type);
        if (!y) {
            port_change(differ, inputs, x, NULL, "", old_text, NULL);
            continue;
        }
        if (strcmp(text_or_empty(x->info->name), text_or_empty(y->info->name)) != 0)
            port_change(differ, inputs, x, y, "name", text_or_empty(x->info->name), text_or_empty(y->info->name));
        const char *new_text = describe_type(arena, y->info->type);
        const Onnx__TypeProto *s = x->info->type, *t = y->info->type;
        if (strcmp(old_text, new_text) != 0) {
            bool tensors =
                s && t && s->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE && t->value_case == s->value_case;
            bool type = !tensors || s->tensor_type->elem_type != t->tensor_type->elem_type;
            port_change(differ, inputs, x, y, type ? "type" : "shape", old_text, new_text);
        }
        if (x->place != y->place && a->count == b->count && !moved++)
            first = x;
    }
    for (size_t i = 0; i < b->count; i++)
        if (!b->items[i].partner)
            port_change(differ, inputs, NULL, &b->items[i], "", NULL, describe_type(arena, b->items[i].info->type));
    if (moved) {
        struct diff_change change = {
            .kind = DIFF_order, .graph = differ->models[0]->graphs.items[0], .what = "place", .more = moved - 1};
        change.subject = arena_format(arena, "%s '%s'", inputs ? "input" : "output", text_or_empty(first->info->name));
        change.old_text = arena_format(arena, "%zu", first->place);
        change.new_text = arena_format(arena, "%zu", first->partner->place);
        diff_add(differ, &change);
    }
}

/* ---- operator sets, functions ---- */

struct import {
    const Onnx__OperatorSetIdProto *proto;
    const char *domain, *key;
};

struct imports {
    Onnx__OperatorSetIdProto *const *protos;
    size_t count;
};

static struct import *list_imports(struct arena *arena, const struct imports *of, struct map *by_key)
{
    struct import *imports = NEW_ARRAY(arena, struct import, of->count + 1);
    struct map counts = {0};
    for (size_t i = 0; i < of->count; i++) {
        const char *domain = operator_domain(of->protos[i]->domain);
        const char *key = diff_key(arena, &counts, domain);
        imports[i] = (struct import){of->protos[i], domain, key};
        map_put(arena, by_key, key, &imports[i]);
    }
    return imports;
}

/* Domains of the nodes that an import is for: those of a function, or of all graphs of a model that are none. */
static void list_domains(struct arena *arena, const struct model *model, const struct graph *function,
                         struct map *domains)
{
    for (size_t i = 0; i < model->graphs.count; i++) {
        const struct graph *graph = model->graphs.items[i], *outer = graph;
        while (outer->parent)
            outer = outer->parent;
        if (function ? outer != function : outer->function != NULL)
            continue;
        for (size_t k = 0; k < graph->node_count; k++)
            map_put(arena, domains, operator_domain(graph->nodes[k]->proto->domain), (void *)(uintptr_t)graph);
    }
}

static void name_import(struct arena *arena, const char **list, const struct import *import)
{
    *list = arena_format(arena, "%s%s%s %" PRId64, text_or_empty(*list), *list ? ", " : "",
                         import->domain[0] ? import->domain : "ai.onnx", import->proto->version);
}

/* Compares the operator sets of two models, or of two functions. Converters import everything they know: sets that
 * no node needs share one line, which does not count. */
static void compare_opsets(struct differ *differ, const struct graph *const functions[2], const struct imports of[2])
{
    struct arena *arena = differ->arena;
    struct map by_key[2] = {{0}, {0}}, domains = {0};
    const char *unused[2] = {NULL, NULL};
    const struct import *const imports[2] = {list_imports(arena, &of[0], &by_key[0]),
                                             list_imports(arena, &of[1], &by_key[1])};
    for (int side = 0; side < 2; side++)
        list_domains(arena, differ->models[side], functions[side], &domains);
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < of[side].count; i++) {
            const struct import *own = &imports[side][i];
            const struct import *other = map_get(&by_key[1 - side], own->key);
            if (other && other->proto->version == own->proto->version)
                continue;
            if (!map_get(&domains, own->domain)) {
                name_import(arena, &unused[side], own);
                continue;
            }
            if (other && side)
                continue;
            struct diff_change change = {.kind = DIFF_opset, .graph = functions[0], .what = ""};
            change.subject = arena_format(arena, "operator set %s", own->domain[0] ? own->domain : "ai.onnx");
            const char *text = arena_format(arena, "%" PRId64, own->proto->version);
            change.old_text = side ? NULL : text;
            change.new_text = side ? text : other ? arena_format(arena, "%" PRId64, other->proto->version) : NULL;
            diff_add(differ, &change);
        }
    if (unused[0] || unused[1])
        diff_add(differ, &(struct diff_change){.kind = DIFF_dead,
                                               .graph = functions[0],
                                               .subject = "operator sets that no node needs",
                                               .old_text = unused[0],
                                               .new_text = unused[1]});
}

static bool is_among(char *const *names, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(text_or_empty(names[i]), name) == 0)
            return true;
    return false;
}

/* Attributes that a call of a function has to give. */
static void compare_asked(struct differ *differ, struct graph *a, struct graph *b)
{
    enum { NAMES_MOST = 1000 }; /* each is compared with each */
    const Onnx__FunctionProto *const functions[2] = {a->function, b->function};
    for (int side = 0; side < 2; side++) {
        const Onnx__FunctionProto *own = functions[side], *other = functions[1 - side];
        for (size_t i = 0; i < own->n_attribute && i < NAMES_MOST; i++) {
            const char *name = text_or_empty(own->attribute[i]);
            struct diff_change change = {.kind = DIFF_attribute, .graph = a, .subject = a->name};
            if (is_among(other->attribute, other->n_attribute, name))
                continue;
            change.what = arena_format(differ->arena, "attribute %s of calls", name);
            change.old_text = side ? NULL : "asked for";
            change.new_text = side ? "asked for" : NULL;
            diff_add(differ, &change);
        }
    }
}

/* The default of a function's attribute; NULL: a call must set it. */
static const Onnx__AttributeProto *default_of(const struct graph *graph, const char *name)
{
    const Onnx__FunctionProto *function = graph->function;
    for (size_t i = 0; i < function->n_attribute_proto; i++)
        if (function->attribute_proto[i]->name && strcmp(function->attribute_proto[i]->name, name) == 0)
            return function->attribute_proto[i];
    return NULL;
}

static void compare_defaults(struct differ *differ, struct graph *a, struct graph *b)
{
    for (int side = 0; side < 2; side++) {
        const struct graph *own = side ? b : a;
        for (size_t i = 0; i < own->function->n_attribute_proto; i++) {
            const char *name = own->function->attribute_proto[i]->name;
            const Onnx__AttributeProto *x = name ? default_of(a, name) : NULL;
            const Onnx__AttributeProto *y = name ? default_of(b, name) : NULL;
            struct diff_change change = {.kind = DIFF_attribute, .graph = a, .subject = a->name};
            if (!name || (side && x) ||
                (x && y &&
                 number_attribute(&differ->numbering, a->model, x) ==
                     number_attribute(&differ->numbering, b->model, y)))
                continue;
            change.what = arena_format(differ->arena, "default of %s", name);
            change.old_text = x ? describe_attribute(differ->arena, x) : NULL;
            change.new_text = y ? describe_attribute(differ->arena, y) : NULL;
            diff_add(differ, &change);
        }
    }
}

static void compare_function(struct differ *differ, struct graph *a, struct graph *b)
{
    struct arena *arena = differ->arena;
    size_t count = graph_output_count(a);
    count = count < graph_output_count(b) ? count : graph_output_count(b);
    struct value_pair *outputs = NEW_ARRAY(arena, struct value_pair, count + 1);
    for (size_t i = 0; i < count; i++)
        outputs[i] = (struct value_pair){graph_output(a, i), graph_output(b, i)};
    for (int inputs = 0; inputs < 2; inputs++) {
        size_t x = inputs ? graph_input_count(a) : graph_output_count(a);
        size_t y = inputs ? graph_input_count(b) : graph_output_count(b);
        struct diff_change change = {.kind = inputs ? DIFF_input : DIFF_output, .graph = a};
        if (x == y)
            continue;
        change.subject = a->name;
        change.what = inputs ? "number of inputs" : "number of outputs";
        change.old_text = arena_format(arena, "%zu", x);
        change.new_text = arena_format(arena, "%zu", y);
        diff_add(differ, &change);
    }
    const struct imports imports[2] = {{a->function->opset_import, a->function->n_opset_import},
                                       {b->function->opset_import, b->function->n_opset_import}};
    compare_opsets(differ, (const struct graph *const[2]){a, b}, imports);
    compare_asked(differ, a, b);
    compare_defaults(differ, a, b);
    diff_graphs(differ, a, b, outputs, count);
}

static void compare_functions(struct differ *differ)
{
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < differ->models[side]->graphs.count; i++) {
            struct graph *graph = differ->models[side]->graphs.items[i];
            struct graph *other = NULL;
            if (!graph->function || number_function_like(&differ->numbering, (size_t)side, graph->function) != graph)
                continue; /* or a later function has the same names, and this one is never called */
            other = number_function_like(&differ->numbering, (size_t)(1 - side), graph->function);
            if (other && side == 0)
                compare_function(differ, graph, other);
            if (other)
                continue;
            struct diff_change change = {.kind = DIFF_function, .graph = graph, .what = ""};
            const char *text = arena_format(differ->arena, "%zu nodes", graph->node_count);
            change.subject = graph->name;
            change.old_text = side ? NULL : text;
            change.new_text = side ? text : NULL;
            diff_add(differ, &change);
        }
}

/* ---- all of it ---- */

struct ranked {
    struct diff_change *change;
    size_t found;
};

/* Kinds in the order of their table; weights from the largest difference to the smallest, behind those of another
 * type or shape; of equals, the one found first. */
static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    const struct diff_numbers *m = x->change->numbers, *n = y->change->numbers;
    if (x->change->kind != y->change->kind)
        return x->change->kind < y->change->kind ? -1 : 1;
    if (!m != !n)
        return n ? -1 : 1;
    if (m && (m->largest < n->largest || m->largest > n->largest))
        return m->largest > n->largest ? -1 : 1;
    return x->found < y->found ? -1 : 1;
}

static void sort_changes(struct differ *differ)
{
    struct diff_result *result = differ->result;
    size_t count = result->changes.count;
    struct ranked *ranked = NEW_ARRAY(differ->arena, struct ranked, count + 1);
    for (size_t i = 0; i < count; i++)
        ranked[i] = (struct ranked){result->changes.items[i], i};
    if (count)
        qsort(ranked, count, sizeof(*ranked), by_rank);
    for (size_t i = 0; i < count; i++)
        result->changes.items[i] = ranked[i].change;
}

static void progress(const struct differ *differ, double fraction)
{
    const struct diff_options *options = differ->options;
    if (!progress_tell(&options->progress, "comparing", fraction))
        fail(differ->arena->landing, ONNX_FUSE_CANCELLED, "stopped by the caller");
}

void diff_models(struct arena *arena, struct model *a, struct model *b, const struct diff_options *options,
                 struct diff_result *result)
{
    struct differ differ = {.arena = arena, .options = options, .result = result, .models = {a, b}};
    struct graph *left = a->graphs.items[0], *right = b->graphs.items[0];
    *result = (struct diff_result){.counted = 0};
    census_take(a, a->bytes.size, &result->before);
    census_take(b, b->bytes.size, &result->after);
    numbering_init(&differ.numbering, arena, a, b, false, false);

    struct ports inputs[2], outputs[2];
    for (int side = 0; side < 2; side++) {
        inputs[side] = list_ports(arena, side ? right : left, true);
        outputs[side] = list_ports(arena, side ? right : left, false);
    }
    pair_ports(arena, &inputs[0], &inputs[1]);
    pair_ports(arena, &outputs[0], &outputs[1]);
    /* A partner has the number of its partner; all others have numbers beyond. */
    for (size_t i = 0; i < inputs[0].count; i++)
        value_number_set(inputs[0].items[i].value, number_input(&differ.numbering, 0, (uint32_t)i));
    for (size_t i = 0; i < inputs[1].count; i++) {
        const struct port *partner = inputs[1].items[i].partner;
        value_number_set(inputs[1].items[i].value,
                         partner ? value_number(partner->value)
                                 : number_input(&differ.numbering, 0, (uint32_t)(inputs[0].count + i)));
    }
    progress(&differ, 0);
    number_graph(&differ.numbering, left, 0);
    progress(&differ, 0.4);
    number_graph(&differ.numbering, right, 0);
    number_functions(&differ.numbering);
    progress(&differ, 0.8);

    compare_ports(&differ, true, &inputs[0], &inputs[1]);
    compare_ports(&differ, false, &outputs[0], &outputs[1]);
    const struct imports imports[2] = {{a->proto->opset_import, a->proto->n_opset_import},
                                       {b->proto->opset_import, b->proto->n_opset_import}};
    compare_opsets(&differ, (const struct graph *const[2]){NULL, NULL}, imports);
    struct value_pair *pairs = NEW_ARRAY(arena, struct value_pair, outputs[0].count + 1);
    size_t count = 0;
    for (size_t i = 0; i < outputs[0].count; i++)
        if (outputs[0].items[i].partner)
            pairs[count++] = (struct value_pair){outputs[0].items[i].value, outputs[0].items[i].partner->value};
    diff_graphs(&differ, left, right, pairs, count);
    compare_functions(&differ);
    diff_model_cosmetic(&differ);
    sort_changes(&differ);
    diff_group_changes(&differ);
    model_give_back(a);
    model_give_back(b);
    progress(&differ, 1);
}
