/* model/inline.c: calls of local functions replaced by what the functions hold. */
#include "model/inline.h"

#include "model/operator_schema.h"

enum {
    CALLS_DEEP = 200,  /* calls in calls are walked by recursion */
    FORMALS_MOST = 256 /* inputs and outputs of a function that are looked at for each name in it */
};

static bool same_text(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

struct inlining {
    struct model *model;
    struct arena *arena;
    struct map functions;  /* struct callee by key */
    const char *separator; /* that no name of the model has */
};

struct callee {
    const Onnx__FunctionProto *function;
    size_t count; /* of nodes it becomes; 0: not counted yet */
    bool open;    /* being counted */
    bool fits;    /* its nodes mean the same in the model */
};

/* One call: the meaning of names and attributes in the function. */
struct call {
    const Onnx__FunctionProto *function;
    const Onnx__NodeProto *node; /* the call, of the names outside */
    const char *prefix;
};

struct nodes {
    Onnx__NodeProto **items;
    size_t count, room;
};

/* ---- which functions ---- */

static int64_t imported(Onnx__OperatorSetIdProto *const *imports, size_t count, const char *domain)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(operator_domain(imports[i]->domain), operator_domain(domain)) == 0)
            return imports[i]->version;
    return -1;
}

static struct callee *callee_of(const struct inlining *inlining, const Onnx__NodeProto *node)
{
    return inlining->functions.count ? map_get(&inlining->functions, graph_function_key(inlining->arena, node->domain,
                                                                                        node->op_type, node->overload))
                                     : NULL;
}

static bool nodes_fit(const struct inlining *inlining, const Onnx__FunctionProto *function,
                      Onnx__NodeProto *const *nodes, size_t count);

static bool bodies_fit(const struct inlining *inlining, const Onnx__FunctionProto *function,
                       const Onnx__NodeProto *node)
{
    bool fit = true;
    for (size_t i = 0; fit && i < node->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->attribute[i];
        if (attribute->g)
            fit = nodes_fit(inlining, function, attribute->g->node, attribute->g->n_node);
        for (size_t k = 0; fit && k < attribute->n_graphs; k++)
            fit = nodes_fit(inlining, function, attribute->graphs[k]->node, attribute->graphs[k]->n_node);
    }
    return fit;
}

/* True when the node computes the same by both operator sets, and neither lacks an attribute of it. */
static bool is_same_operator(const Onnx__NodeProto *node, int64_t inner, int64_t outer)
{
    const struct operator_schema *a = operator_schema(node->domain, node->op_type, inner),
                                 *b = operator_schema(node->domain, node->op_type, outer);
    bool same = a && b && a->meaning == b->meaning && strcmp(a->types, b->types) == 0;
    for (size_t i = 0; same && a != b && i < node->n_attribute; i++)
        same = node->attribute[i]->name && operator_has_attribute(b, node->attribute[i]->name);
    return same;
}

/* True when nodes of a function mean the same by the operator sets of the model. */
static bool nodes_fit(const struct inlining *inlining, const Onnx__FunctionProto *function,
                      Onnx__NodeProto *const *nodes, size_t count)
{
    const Onnx__ModelProto *model = inlining->model->proto;
    bool fit = true;
    for (size_t i = 0; fit && i < count; i++) {
        const Onnx__NodeProto *node = nodes[i];
        int64_t inner = imported(function->opset_import, function->n_opset_import, node->domain);
        int64_t outer = imported(model->opset_import, model->n_opset_import, node->domain);
        bool known = inner >= OPSET_OLDEST && inner <= OPSET_NEWEST && outer >= OPSET_OLDEST && outer <= OPSET_NEWEST;
        fit = (inner == outer && inner >= 0) || callee_of(inlining, node) ||
              (known && is_same_operator(node, inner, outer));
        fit = fit && bodies_fit(inlining, function, node);
    }
    return fit;
}

static size_t add_counts(size_t a, size_t b)
{
    return a > SIZE_MAX / 4 || b > SIZE_MAX / 4 ? SIZE_MAX / 2 : a + b;
}

static size_t count_nodes(struct inlining *inlining, Onnx__NodeProto *const *nodes, size_t count, int depth);

static size_t count_body(struct inlining *inlining, const Onnx__GraphProto *body, int depth)
{
    size_t names = body->n_input + body->n_output + body->n_value_info + body->n_initializer;
    return add_counts(names, count_nodes(inlining, body->node, body->n_node, depth));
}

static size_t count_nodes(struct inlining *inlining, Onnx__NodeProto *const *nodes, size_t count, int depth)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        const Onnx__NodeProto *node = nodes[i];
        struct callee *callee = callee_of(inlining, node);
        if (callee && callee->fits && (callee->open || depth == CALLS_DEEP))
            return SIZE_MAX / 2;
        if (callee && callee->fits && !callee->count) {
            callee->open = true;
            callee->count = 1 + count_nodes(inlining, callee->function->node, callee->function->n_node, depth + 1);
            callee->open = false;
        }
        total = add_counts(total, callee && callee->fits ? callee->count : 1);
        total = add_counts(total, node->n_input + node->n_output + node->n_attribute);
        for (size_t k = 0; k < node->n_attribute; k++) {
            const Onnx__AttributeProto *attribute = node->attribute[k];
            if (attribute->g)
                total = add_counts(total, count_body(inlining, attribute->g, depth));
            for (size_t g = 0; g < attribute->n_graphs; g++)
                total = add_counts(total, count_body(inlining, attribute->graphs[g], depth));
        }
    }
    return total;
}

static void start(struct inlining *inlining, struct model *model)
{
    struct arena *arena = model->arena;
    *inlining = (struct inlining){.model = model, .arena = arena};
    for (size_t i = 0; i < model->proto->n_functions; i++) {
        struct callee *callee = NEW(arena, struct callee);
        callee->function = model->proto->functions[i];
        map_put(arena, &inlining->functions, /* of two alike the last is called */
                graph_function_key(arena, callee->function->domain, callee->function->name, callee->function->overload),
                callee);
    }
    for (size_t i = 0; i < model->proto->n_functions; i++) {
        const Onnx__FunctionProto *function = model->proto->functions[i];
        struct callee *callee = map_get(
            &inlining->functions, graph_function_key(arena, function->domain, function->name, function->overload));
        callee->fits = callee->function->n_input + callee->function->n_output <= FORMALS_MOST &&
                       nodes_fit(inlining, callee->function, callee->function->node, callee->function->n_node);
    }
}

size_t inline_count(struct model *model)
{
    struct inlining inlining;
    start(&inlining, model);
    return count_nodes(&inlining, model->proto->graph->node, model->proto->graph->n_node, 0);
}

/* ---- names ---- */

static bool nodes_have(const struct inlining *inlining, Onnx__NodeProto *const *nodes, size_t count);

static bool graph_has(const struct inlining *inlining, const Onnx__GraphProto *graph)
{
    bool found = nodes_have(inlining, graph->node, graph->n_node);
    for (size_t i = 0; !found && i < graph->n_input; i++)
        found = graph->input[i]->name && strstr(graph->input[i]->name, inlining->separator);
    for (size_t i = 0; !found && i < graph->n_initializer; i++)
        found = graph->initializer[i]->name && strstr(graph->initializer[i]->name, inlining->separator);
    return found;
}

/* True when a name has the separator in it. */
static bool nodes_have(const struct inlining *inlining, Onnx__NodeProto *const *nodes, size_t count)
{
    bool found = false;
    for (size_t i = 0; !found && i < count; i++) {
        for (size_t k = 0; k < nodes[i]->n_output; k++)
            found = found || strstr(nodes[i]->output[k], inlining->separator);
        for (size_t k = 0; k < nodes[i]->n_input; k++)
            found = found || strstr(nodes[i]->input[k], inlining->separator);
        for (size_t k = 0; !found && k < nodes[i]->n_attribute; k++) {
            const Onnx__AttributeProto *attribute = nodes[i]->attribute[k];
            found = attribute->g && graph_has(inlining, attribute->g);
            for (size_t g = 0; !found && g < attribute->n_graphs; g++)
                found = graph_has(inlining, attribute->graphs[g]);
        }
    }
    return found;
}

/* The outer name of a name in a function. */
static char *name_of(const struct inlining *inlining, const struct call *call, char *name)
{
    const Onnx__FunctionProto *function = call ? call->function : NULL;
    if (!function || !name || !name[0])
        return name;
    for (size_t i = 0; i < function->n_input; i++)
        if (strcmp(function->input[i], name) == 0)
            return i < call->node->n_input ? call->node->input[i] : "";
    for (size_t i = 0; i < function->n_output; i++)
        if (i < call->node->n_output && call->node->output[i][0] && strcmp(function->output[i], name) == 0)
            return call->node->output[i];
    return arena_format(inlining->arena, "%s%s%s", call->prefix, inlining->separator, name);
}

static char **names_of(const struct inlining *inlining, const struct call *call, char *const *names, size_t count)
{
    char **renamed = NEW_ARRAY(inlining->arena, char *, count + 1);
    for (size_t i = 0; i < count; i++)
        renamed[i] = name_of(inlining, call, names[i]);
    return renamed;
}

/* ---- copies ---- */

static void expand(const struct inlining *inlining, const struct call *call, Onnx__NodeProto *const *nodes,
                   size_t count, struct nodes *out);

static Onnx__ValueInfoProto **infos_of(const struct inlining *inlining, const struct call *call,
                                       Onnx__ValueInfoProto *const *infos, size_t count)
{
    Onnx__ValueInfoProto **renamed = NEW_ARRAY(inlining->arena, Onnx__ValueInfoProto *, count + 1);
    for (size_t i = 0; i < count; i++) {
        renamed[i] = NEW(inlining->arena, Onnx__ValueInfoProto);
        *renamed[i] = *infos[i];
        renamed[i]->name = name_of(inlining, call, infos[i]->name);
    }
    return renamed;
}

static Onnx__GraphProto *body_of(const struct inlining *inlining, const struct call *call, const Onnx__GraphProto *body)
{
    struct arena *arena = inlining->arena;
    Onnx__GraphProto *copy = NEW(arena, Onnx__GraphProto);
    struct nodes nodes = {NULL, 0, 0};
    *copy = *body;
    expand(inlining, call, body->node, body->n_node, &nodes);
    copy->node = nodes.items;
    copy->n_node = nodes.count;
    copy->input = infos_of(inlining, call, body->input, body->n_input);
    copy->output = infos_of(inlining, call, body->output, body->n_output);
    copy->value_info = infos_of(inlining, call, body->value_info, body->n_value_info);
    copy->initializer = NEW_ARRAY(arena, Onnx__TensorProto *, body->n_initializer + 1);
    for (size_t i = 0; i < body->n_initializer; i++) {
        copy->initializer[i] = NEW(arena, Onnx__TensorProto);
        *copy->initializer[i] = *body->initializer[i];
        copy->initializer[i]->name = name_of(inlining, call, body->initializer[i]->name);
    }
    return copy;
}

/* The value of a function's attribute, or NULL if the call does not set it and there is no default. */
static const Onnx__AttributeProto *attribute_meant(const struct call *call, const Onnx__AttributeProto *attribute)
{
    const char *name = attribute->ref_attr_name;
    if (!call || !name || !name[0])
        return attribute;
    for (size_t i = 0; i < call->node->n_attribute; i++)
        if (same_text(call->node->attribute[i]->name, name))
            return call->node->attribute[i];
    for (size_t i = 0; i < call->function->n_attribute_proto; i++)
        if (same_text(call->function->attribute_proto[i]->name, name))
            return call->function->attribute_proto[i];
    return NULL;
}

static Onnx__NodeProto *node_of(const struct inlining *inlining, const struct call *call, const Onnx__NodeProto *node)
{
    struct arena *arena = inlining->arena;
    Onnx__NodeProto *copy = NEW(arena, Onnx__NodeProto);
    *copy = *node;
    copy->input = names_of(inlining, call, node->input, node->n_input);
    copy->output = names_of(inlining, call, node->output, node->n_output);
    if (call && node->name && node->name[0])
        copy->name = arena_format(arena, "%s%s%s", call->prefix, inlining->separator, node->name);
    copy->attribute = NEW_ARRAY(arena, Onnx__AttributeProto *, node->n_attribute + 1);
    copy->n_attribute = 0;
    for (size_t i = 0; i < node->n_attribute; i++) {
        const Onnx__AttributeProto *meant = attribute_meant(call, node->attribute[i]);
        if (!meant)
            continue;
        Onnx__AttributeProto *attribute = NEW(arena, Onnx__AttributeProto);
        *attribute = *meant;
        attribute->name = node->attribute[i]->name;
        /* A body that the call gives has the names outside already. */
        if (meant == node->attribute[i]) {
            if (meant->g)
                attribute->g = body_of(inlining, call, meant->g);
            attribute->graphs = NEW_ARRAY(arena, Onnx__GraphProto *, meant->n_graphs + 1);
            for (size_t k = 0; k < meant->n_graphs; k++)
                attribute->graphs[k] = body_of(inlining, call, meant->graphs[k]);
        }
        copy->attribute[copy->n_attribute++] = attribute;
    }
    return copy;
}

/* Outputs of a function that are its inputs. */
static void pass_through(const struct inlining *inlining, const struct call *call, struct nodes *out)
{
    const Onnx__FunctionProto *function = call->function;
    for (size_t i = 0; i < function->n_output && i < call->node->n_output; i++)
        for (size_t k = 0; k < function->n_input && k < call->node->n_input; k++) {
            if (strcmp(function->output[i], function->input[k]) != 0 || !call->node->output[i][0])
                continue;
            Onnx__NodeProto *node = NEW(inlining->arena, Onnx__NodeProto);
            *node = (Onnx__NodeProto)ONNX__NODE_PROTO__INIT;
            node->op_type = "Identity";
            node->input = &call->node->input[k];
            node->output = &call->node->output[i];
            node->n_input = node->n_output = 1;
            LIST_PUSH(inlining->arena, out, node);
        }
}

/* Nodes of a graph, or of the function that `call` calls, as they are outside. */
static void expand(const struct inlining *inlining, const struct call *call, Onnx__NodeProto *const *nodes,
                   size_t count, struct nodes *out)
{
    for (size_t i = 0; i < count; i++) {
        Onnx__NodeProto *node = node_of(inlining, call, nodes[i]);
        const struct callee *callee = callee_of(inlining, node);
        if (!callee || !callee->fits) {
            LIST_PUSH(inlining->arena, out, node);
            continue;
        }
        struct call inner = {.function = callee->function, .node = node, .prefix = ""};
        for (size_t k = node->n_output; k-- > 0;)
            inner.prefix = node->output[k][0] ? node->output[k] : inner.prefix;
        expand(inlining, &inner, callee->function->node, callee->function->n_node, out);
        pass_through(inlining, &inner, out);
    }
}

void inline_functions(struct model *model)
{
    struct inlining inlining;
    Onnx__GraphProto *graph = model->proto->graph;
    struct nodes nodes = {NULL, 0, 0};
    start(&inlining, model);
    inlining.separator = "::";
    while (graph_has(&inlining, graph))
        inlining.separator = arena_format(model->arena, "%s:", inlining.separator);
    expand(&inlining, NULL, graph->node, graph->n_node, &nodes);
    graph->node = nodes.items;
    graph->n_node = nodes.count;
}
