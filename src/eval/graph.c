/* eval/graph.c: whole graphs: bodies of If, Loop and Scan, local functions, models.
 *
 * A body sees the values of the graphs around it. A function sees nothing but its inputs, and the
 * attributes of its call. */
#include "eval/graph.h"

#include "eval/reach.h"
#include "model/model.h"

enum { BODIES_MOST = 64 }; /* inside one another */

/* ---- arrays by value ---- */

static size_t place_of(const struct scope *scope, const struct value *value)
{
    size_t at = ((uintptr_t)value >> 4) * 0x9e3779b97f4a7c15u >> 7 & (scope->room - 1);
    while (scope->values[at] && scope->values[at] != value)
        at = (at + 1) & (scope->room - 1);
    return at;
}

static struct array *scope_get(const struct scope *scope, const struct value *value)
{
    return scope->room ? scope->arrays[place_of(scope, value)] : NULL;
}

static void scope_put(struct scope *scope, const struct value *value, struct array *array)
{
    size_t at = place_of(scope, value);
    scope->values[at] = value;
    scope->arrays[at] = array;
}

/* The array of a value, wherever it is made. */
static const char *find(const struct scope *scope, struct arena *arena, struct value *value, struct array **array)
{
    for (; scope; scope = scope->outer) {
        if (scope->find)
            return scope->find(scope->context, value, array);
        if (scope->graph == value->graph) {
            *array = scope_get(scope, value);
            return *array ? NULL : arena_format(arena, "'%s' has no value", value->name);
        }
    }
    return arena_format(arena, "'%s' is not seen from here", value->name);
}

/* ---- functions ---- */

struct graph *eval_function(const struct node *node)
{
    const struct model *model = node->graph->model;
    const char *overload = node->proto->overload ? node->proto->overload : "";
    for (size_t i = 0; node->proto->op_type && i < model->graphs.count; i++) {
        const Onnx__FunctionProto *function = model->graphs.items[i]->function;
        if (function && function->name && strcmp(function->name, node->proto->op_type) == 0 &&
            strcmp(operator_domain(function->domain), operator_domain(node->proto->domain)) == 0 &&
            strcmp(function->overload ? function->overload : "", overload) == 0)
            return model->graphs.items[i];
    }
    return NULL;
}

/* The value of an attribute that refers to one of the function's, or NULL if it is omitted. */
static const Onnx__AttributeProto *referred(const struct scope *scope, const char *name)
{
    const struct node *call = scope->call;
    const Onnx__AttributeProto *given = call ? node_attribute(call, name) : NULL;
    const Onnx__FunctionProto *function = scope->function;
    for (size_t i = 0; !given && function && i < function->n_attribute_proto; i++)
        if (function->attribute_proto[i]->name && strcmp(function->attribute_proto[i]->name, name) == 0)
            given = function->attribute_proto[i];
    return given;
}

/* The node with the attributes of the call in place. */
static const struct node *bind(struct arena *arena, const struct scope *scope, const struct node *node)
{
    struct node *bound = NEW(arena, struct node);
    Onnx__NodeProto *proto = NEW(arena, Onnx__NodeProto);
    *bound = *node;
    *proto = *node->proto;
    proto->attribute = NEW_ARRAY(arena, Onnx__AttributeProto *, node->proto->n_attribute + 1);
    proto->n_attribute = 0;
    for (size_t i = 0; i < node->proto->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->proto->attribute[i];
        Onnx__AttributeProto *copy = NEW(arena, Onnx__AttributeProto);
        if (attribute->ref_attr_name && attribute->ref_attr_name[0]) {
            const Onnx__AttributeProto *given = referred(scope, attribute->ref_attr_name);
            if (!given)
                continue;
            *copy = *given;
            copy->name = attribute->name;
            copy->ref_attr_name = NULL;
        } else {
            *copy = *attribute;
        }
        proto->attribute[proto->n_attribute++] = copy;
    }
    bound->proto = proto;
    bound->op = operator_find(proto->domain, proto->op_type, node->opset);
    return bound;
}

/* ---- running ---- */

static const char *load_initializers(struct evaluation *e, struct scope *scope)
{
    const struct graph *graph = scope->graph;
    const char *reason = NULL;
    for (size_t i = 0; i < graph->initializers.count && !reason; i++) {
        const struct value *value = graph->initializers.items[i];
        struct array *array = NULL;
        if (!value->tensor)
            return "a sparse initializer";
        reason = array_load(e->arena, e->pool, value->tensor, &array);
        scope_put(scope, value, array);
    }
    return reason;
}

const char *scope_begin(struct evaluation *e, struct scope *scope, struct graph *graph)
{
    *scope = (struct scope){.outer = e->scope, .graph = graph};
    if (e->scope) {
        scope->depth = e->scope->depth + 1;
        scope->call = e->scope->call;
        scope->function = e->scope->function;
    }
    if (scope->depth > BODIES_MOST)
        return "graphs inside each other too deep";
    size_t count = graph->values.count;
    scope->room = 16;
    while (scope->room < 2 * count)
        scope->room *= 2;
    if (!pool_affords(e->pool, BUDGET_NODE + (double)scope->room, 2 * (double)scope->room))
        return eval_too_dear;
    scope->values = NEW_ARRAY(e->arena, const struct value *, scope->room);
    scope->arrays = NEW_ARRAY(e->arena, struct array *, scope->room);
    return load_initializers(e, scope);
}

static const char *run_node(struct evaluation *outer, struct scope *scope, const struct node *node)
{
    struct arena *arena = outer->arena;
    if (!pool_affords(outer->pool, BUDGET_NODE, BUDGET_NODE_CELLS))
        return eval_too_dear;
    if (node_has_references(node) && !scope->function)
        return "an attribute refers to an attribute of a function that is not called here";
    if (node_has_references(node))
        node = bind(arena, scope, node);
    struct array **inputs = NEW_ARRAY(arena, struct array *, node->input_count + 1);
    for (size_t i = 0; i < node->input_count; i++) {
        const char *reason = node->inputs[i] ? find(scope, arena, node->inputs[i], &inputs[i]) : NULL;
        if (reason)
            return reason;
    }
    struct evaluation e = *outer;
    e.node = node;
    e.inputs = inputs;
    e.outputs = NULL;
    e.scope = scope;
    const char *reason = e.evaluate(&e);
    if (reason)
        return arena_format(arena, "%s '%s': %s", node->proto->op_type ? node->proto->op_type : "",
                            node->proto->name ? node->proto->name : "", reason);
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] && e.outputs[i]) {
            eval_note_reach(node, inputs, e.outputs[i]);
            scope_put(scope, node->outputs[i], e.outputs[i]);
        }
    return NULL;
}

static size_t input_count_of(const struct graph *graph)
{
    return graph->proto ? graph->proto->n_input : graph->function->n_input;
}

size_t eval_output_count(const struct graph *graph)
{
    return graph->proto ? graph->proto->n_output : graph->function->n_output;
}

struct value *eval_output(const struct graph *graph, size_t index)
{
    const char *name = graph->proto ? graph->proto->output[index]->name : graph->function->output[index];
    return name ? map_get(&graph->values, name) : NULL;
}

const char *scope_run(struct evaluation *e, struct scope *scope, struct array *const *inputs, size_t count,
                      struct array **outputs)
{
    struct graph *graph = scope->graph;
    const char *reason = NULL;
    if (count > input_count_of(graph))
        return "a graph takes fewer inputs than it is given";
    if (!pool_affords(e->pool, BUDGET_NODE, BUDGET_NODE_CELLS))
        return eval_too_dear;
    for (size_t i = 0; i < count; i++) {
        const char *name = graph->proto ? graph->proto->input[i]->name : graph->function->input[i];
        const struct value *value = name ? map_get(&graph->values, name) : NULL;
        if (value && inputs[i])
            scope_put(scope, value, inputs[i]);
    }
    for (size_t i = 0; i < graph->order.count && !reason; i++)
        reason = run_node(e, scope, graph->order.items[i]);
    for (size_t i = 0; i < eval_output_count(graph) && !reason; i++) {
        struct value *value = eval_output(graph, i);
        struct array *array = NULL;
        if (!value)
            return "an output without a name";
        reason = find(scope, e->arena, value, &array);
        /* Outputs that others own, or that the next run reuses, are copied. */
        if (!reason)
            reason = array_copy(e->arena, e->pool, e->limit, array, &outputs[i]);
        if (!reason)
            outputs[i]->reach = array->reach;
    }
    graph->was_run = graph->was_run || !reason;
    return reason;
}

void eval_reads(struct arena *arena, const struct node *node, struct value_reads *reads)
{
    for (size_t i = 0; i < node->input_count; i++)
        LIST_PUSH(arena, reads, node->inputs[i]);
    for (size_t i = 0; i < node->body_count; i++)
        graph_captures(arena, node->bodies[i], reads);
}

const char *eval_call(struct evaluation *e, struct graph *function)
{
    struct scope scope;
    struct array **outputs = NEW_ARRAY(e->arena, struct array *, eval_output_count(function) + 1);
    const char *reason = scope_begin(e, &scope, function);
    scope.outer = NULL;
    scope.call = e->node;
    scope.function = function->function;
    if (!reason)
        reason = scope_run(e, &scope, e->inputs, e->node->input_count, outputs);
    for (size_t i = 0; !reason && i < e->node->output_count && i < eval_output_count(function); i++)
        e->outputs[i] = outputs[i];
    return reason;
}
