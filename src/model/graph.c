/* model/graph.c: builds the index and answers questions about it. */
#include <inttypes.h>

#include "io/output.h"
#include "model/external.h"

/* ---- values ---- */

bool graph_has_name(const struct model *model, const char *name)
{
    return map_get(&model->graphs.items[0]->values, name) || map_get(&model->inner_names, name);
}

struct value *graph_value(struct graph *graph, const char *name, bool *old)
{
    struct model *model = graph->model;
    struct value *value = NEW(model->arena, struct value);
    struct value *there = map_add(model->arena, &graph->values, name, value);
    *old = there != NULL;
    if (there)
        return there;
    value->name = name;
    value->graph = graph;
    value->index = model->value_count++;
    value->rank = -1;
    if (graph != model->graphs.items[0])
        map_put(model->arena, &model->inner_names, name, value);
    return value;
}

static bool is_named(const char *name)
{
    return name && name[0];
}

static noreturn void twice(const struct graph *graph, const char *name, const char *what)
{
    fail(graph->model->arena->landing, ONNX_FUSE_INVALID_MODEL,
         "%s: graph %s: value '%s' is defined twice (%s); ONNX allows one definition", graph->model->path, graph->name,
         name, what);
}

static int64_t new_symbol(struct model *model, int64_t multiple_of, int64_t factor)
{
    int64_t symbol = -2 - (int64_t)model->multiples.count;
    struct multiple multiple = {multiple_of ? multiple_of : symbol, factor};
    LIST_PUSH(model->arena, &model->multiples, multiple);
    return symbol;
}

struct multiple model_multiple(const struct model *model, int64_t size)
{
    if (size >= -1)
        return (struct multiple){0, size};
    bool is_known = -2 - size < (int64_t)model->multiples.count;
    return is_known ? model->multiples.items[-2 - size] : (struct multiple){size, 1};
}

int64_t model_size(struct model *model, struct multiple multiple)
{
    if (!multiple.symbol)
        return multiple.factor;
    if (multiple.factor <= 1)
        return multiple.factor == 1 ? multiple.symbol : -1;
    const char *key = arena_format(model->arena, "%" PRId64 "*%" PRId64, multiple.symbol, multiple.factor);
    const int64_t *old = map_get(&model->multiple_symbols, key);
    if (old)
        return *old;
    int64_t *symbol = NEW(model->arena, int64_t);
    *symbol = new_symbol(model, multiple.symbol, multiple.factor);
    map_put(model->arena, &model->multiple_symbols, key, symbol);
    return *symbol;
}

/* A size that an input of the main graph leaves open. Declared sizes of other values are not reliable. */
static int64_t symbol_of(struct value *value, const char *name)
{
    struct model *model = value->graph->model;
    bool is_source = value->is_input && value->graph->proto && !value->graph->parent;
    if (!is_source)
        return -1;
    const int64_t *old = is_named(name) ? map_get(&model->symbols, name) : NULL;
    if (old)
        return *old;
    int64_t *symbol = NEW(model->arena, int64_t);
    *symbol = new_symbol(model, 0, 1);
    if (is_named(name))
        map_put(model->arena, &model->symbols, name, symbol);
    return *symbol;
}

/* Type and shape as a ValueInfoProto gives them. */
static void value_describe(struct value *value, const Onnx__TypeProto *type)
{
    if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !type->tensor_type)
        return;
    value->type = type->tensor_type->elem_type;
    const Onnx__TensorShapeProto *shape = type->tensor_type->shape;
    if (!shape)
        return;
    value->rank = (int)shape->n_dim;
    value->dims = NEW_ARRAY(value->graph->model->arena, int64_t, shape->n_dim + 1);
    for (size_t i = 0; i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
        bool known = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        const char *name =
            dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM ? dim->dim_param : NULL;
        value->dims[i] = known && dim->dim_value >= 0 ? dim->dim_value : symbol_of(value, name);
    }
}

struct value *graph_find(const struct graph *graph, const char *name)
{
    for (; graph; graph = graph->parent) {
        struct value *value = map_get(&graph->values, name);
        if (value)
            return value;
    }
    return NULL;
}

bool use_is_live(const struct use *use)
{
    return !use->reader->removed && !use->inner->removed;
}

size_t value_use_count(const struct value *value)
{
    size_t count = 0;
    for (const struct use *use = value->uses; use; use = use->next)
        count += use_is_live(use);
    return count;
}

bool value_is_needed(const struct value *value)
{
    return value && (value->is_output || value->is_annotated || value_use_count(value) > 0);
}

struct node *value_only_reader(const struct value *value)
{
    struct node *reader = NULL;
    if (value->is_output || value->is_annotated)
        return NULL;
    for (const struct use *use = value->uses; use; use = use->next)
        if (use_is_live(use)) {
            if (reader)
                return NULL;
            reader = use->reader;
        }
    return reader;
}

/* ---- attributes ---- */

const Onnx__AttributeProto *node_attribute(const struct node *node, const char *name)
{
    for (size_t i = 0; i < node->proto->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->proto->attribute[i];
        if (attribute->name && strcmp(attribute->name, name) == 0 && !is_named(attribute->ref_attr_name))
            return attribute;
    }
    return NULL;
}

int64_t node_integer(const struct node *node, const char *name, int64_t otherwise)
{
    const Onnx__AttributeProto *attribute = node_attribute(node, name);
    return attribute ? attribute->i : otherwise;
}

double node_float(const struct node *node, const char *name, double otherwise)
{
    const Onnx__AttributeProto *attribute = node_attribute(node, name);
    return attribute ? (double)attribute->f : otherwise;
}

const char *node_string(struct arena *arena, const struct node *node, const char *name, const char *otherwise)
{
    const Onnx__AttributeProto *attribute = node_attribute(node, name);
    if (!attribute)
        return otherwise;
    return arena_format(arena, "%.*s", attribute->s.len < 256 ? (int)attribute->s.len : 256,
                        attribute->s.data ? (const char *)attribute->s.data : "");
}

const int64_t *node_integers(const struct node *node, const char *name, size_t *count)
{
    const Onnx__AttributeProto *attribute = node_attribute(node, name);
    static const int64_t none[1];
    *count = attribute ? attribute->n_ints : 0;
    return !attribute ? NULL : attribute->n_ints ? attribute->ints : none;
}

bool node_has_references(const struct node *node)
{
    for (size_t i = 0; i < node->proto->n_attribute; i++)
        if (is_named(node->proto->attribute[i]->ref_attr_name))
            return true;
    return false;
}

/* ---- building ---- */

static void add_use(struct graph *graph, struct value *value, struct node *reader, size_t index)
{
    struct node *inner = reader;
    /* A value of an outer scope is read, for that scope, by the node that holds this one. */
    while (reader->graph != value->graph && reader->graph->owner)
        reader = reader->graph->owner;
    struct use *use = NEW(graph->model->arena, struct use);
    *use = (struct use){reader, inner, value->uses, (uint32_t)index};
    value->uses = use;
}

static void build_inputs(struct graph *graph)
{
    size_t count = graph->proto ? graph->proto->n_input : graph->function->n_input;
    for (size_t i = 0; i < count; i++) {
        const char *name = graph->proto ? graph->proto->input[i]->name : graph->function->input[i];
        if (!is_named(name))
            continue;
        bool old;
        struct value *value = graph_value(graph, name, &old);
        if (old)
            twice(graph, name, "two inputs have this name");
        value->is_input = true;
        if (graph->proto)
            value_describe(value, graph->proto->input[i]->type);
    }
}

void value_takes_shape(struct value *value, const struct tensor *tensor)
{
    value->type = tensor->type;
    value->rank = tensor->rank;
    value->dims = (int64_t *)(uintptr_t)tensor->dims;
}

static void build_initializer(struct graph *graph, const char *name, struct tensor *tensor)
{
    if (!is_named(name))
        return;
    bool old;
    struct value *value = graph_value(graph, name, &old);
    if (value->is_initializer)
        twice(graph, name, "two initializers have this name");
    value->is_initializer = true;
    value->tensor = tensor;
    LIST_PUSH(graph->model->arena, &graph->initializers, value);
    if (tensor && value->rank < 0)
        value_takes_shape(value, tensor);
}

/* The value of a Constant node, whichever attribute holds it; NULL for strings and sparse ones. */
static struct tensor *constant_tensor(struct model *model, const struct node *node)
{
    struct arena *arena = model->arena;
    const Onnx__AttributeProto *a;
    int64_t *integer;
    double *number;
    if ((a = node_attribute(node, "value")) && a->t)
        return model_tensor(model, a->t);
    if ((a = node_attribute(node, "value_float"))) {
        number = NEW(arena, double);
        *number = (double)a->f;
        return tensor_of_doubles(arena, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 0, NULL, number);
    }
    if ((a = node_attribute(node, "value_int"))) {
        integer = NEW(arena, int64_t);
        *integer = a->i;
        return tensor_of_integers(arena, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 0, NULL, integer);
    }
    if ((a = node_attribute(node, "value_floats"))) {
        int64_t count = (int64_t)a->n_floats;
        number = NEW_ARRAY(arena, double, count + 1);
        for (int64_t i = 0; i < count; i++)
            number[i] = (double)a->floats[i];
        return tensor_of_doubles(arena, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 1, &count, number);
    }
    if ((a = node_attribute(node, "value_ints"))) {
        int64_t count = (int64_t)a->n_ints;
        return tensor_of_integers(arena, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &count, a->ints);
    }
    return NULL;
}

static bool has_graphs(const Onnx__NodeProto *proto)
{
    for (size_t i = 0; i < proto->n_attribute; i++)
        if (proto->attribute[i]->g || proto->attribute[i]->n_graphs)
            return true;
    return false;
}

static void build_node(struct graph *graph, size_t position, const Onnx__NodeProto *proto)
{
    struct arena *arena = graph->model->arena;
    struct node *node = NEW(arena, struct node);
    graph->nodes[position] = node;
    *node = (struct node){
        .proto = proto, .graph = graph, .position = (uint32_t)position, .index = graph->model->node_count++};
    const char *domain = operator_domain(proto->domain);
    node->opset = domain[0] ? 0 : graph->opset;
    node->op = operator_find(domain, proto->op_type, node->opset);
    if (node_has_references(node) || is_named(proto->overload) || has_graphs(proto) != operator_is(node->op, BODIES))
        node->op = OP_UNKNOWN;
    node->input_count = (uint32_t)proto->n_input;
    node->inputs = NEW_ARRAY(arena, struct value *, proto->n_input + 1);
    node->output_count = (uint32_t)proto->n_output;
    node->outputs = NEW_ARRAY(arena, struct value *, proto->n_output + !proto->n_output);
    for (size_t i = 0; i < proto->n_output; i++) {
        const char *name = proto->output[i];
        if (!is_named(name))
            continue;
        bool old;
        struct value *value = graph_value(graph, name, &old);
        if (old)
            twice(graph, name,
                  value->producer         ? "two nodes have this output"
                  : value->is_initializer ? "a node and an initializer"
                                          : "a node and an input");
        node->outputs[i] = value;
        value->producer = value->first_producer = node;
    }
    if (node->op == OP_Constant && node_output(node, 0))
        node->outputs[0]->tensor = constant_tensor(graph->model, node);
}

static void check_attribute_tensors(struct graph *graph, const struct node *node)
{
    if (node->op == OP_Constant)
        return;
    for (size_t i = 0; i < node->proto->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->proto->attribute[i];
        if (attribute->t)
            model_tensor(graph->model, attribute->t);
        for (size_t k = 0; k < attribute->n_tensors; k++)
            model_tensor(graph->model, attribute->tensors[k]);
    }
}

static struct graph *graph_new(struct model *model, struct graph *parent, struct node *owner, const char *name)
{
    struct graph *graph = NEW(model->arena, struct graph);
    *graph = (struct graph){.model = model, .parent = parent, .owner = owner, .name = name};
    LIST_PUSH(model->arena, &model->graphs, graph);
    return graph;
}

static void build_contents(struct graph *graph);

static void build_body(struct node *node, const char *attribute, const Onnx__GraphProto *proto)
{
    struct graph *outer = node->graph;
    struct arena *arena = outer->model->arena;
    const char *name = is_named(node->proto->name) ? node->proto->name : node->proto->op_type;
    struct graph *body =
        graph_new(outer->model, outer, node, arena_format(arena, "%s/%s.%s", outer->name, name ? name : "", attribute));
    body->proto = proto;
    body->opset = outer->opset;
    node->bodies[node->body_count++] = body;
    build_contents(body);
}

static void build_bodies(struct node *node)
{
    size_t count = 0;
    for (size_t i = 0; i < node->proto->n_attribute; i++)
        count += (node->proto->attribute[i]->g != NULL) + node->proto->attribute[i]->n_graphs;
    if (!count)
        return;
    node->bodies = NEW_ARRAY(node->graph->model->arena, struct graph *, count);
    for (size_t i = 0; i < node->proto->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->proto->attribute[i];
        const char *name = attribute->name ? attribute->name : "";
        if (attribute->g)
            build_body(node, name, attribute->g);
        for (size_t k = 0; k < attribute->n_graphs; k++)
            build_body(node, name, attribute->graphs[k]);
    }
}

static bool is_sorted(const struct graph *graph)
{
    for (size_t i = 0; i < graph->node_count; i++)
        for (size_t k = 0; k < graph->nodes[i]->output_count; k++) {
            const struct value *value = graph->nodes[i]->outputs[k];
            for (const struct use *use = value ? value->uses : NULL; use; use = use->next)
                if (use->reader->graph == graph && use->reader->position <= i)
                    return false;
        }
    return true;
}

/* For each node how many of its inputs are made by other nodes, each use counted. */
static uint32_t *count_waiting(struct graph *graph)
{
    uint32_t *waiting = NEW_ARRAY(graph->model->arena, uint32_t, graph->node_count + 1);
    for (size_t i = 0; i < graph->node_count; i++)
        for (size_t k = 0; k < graph->nodes[i]->output_count; k++) {
            const struct value *value = graph->nodes[i]->outputs[k];
            for (const struct use *use = value ? value->uses : NULL; use; use = use->next)
                if (use->reader->graph == graph)
                    waiting[use->reader->position]++;
        }
    return waiting;
}

/* Topological order. A file that is in order already, as ONNX asks, keeps its order. */
static void build_order(struct graph *graph)
{
    struct arena *arena = graph->model->arena;
    size_t count = graph->node_count;
    bool sorted = is_sorted(graph);
    uint32_t *waiting = sorted ? NULL : count_waiting(graph);
    size_t next = 0;
    if (sorted) {
        graph->order.items = graph->nodes; /* neither changes any more */
        graph->order.count = graph->order.room = count;
    } else {
        LIST_RESERVE(arena, &graph->order, count);
        for (size_t i = 0; i < count; i++)
            if (!waiting[i])
                LIST_PUSH(arena, &graph->order, graph->nodes[i]);
    }
    for (; next < graph->order.count; next++) {
        struct node *node = graph->order.items[next];
        for (size_t k = 0; k < node->output_count; k++) {
            const struct value *value = node->outputs[k];
            for (const struct use *use = value ? value->uses : NULL; use; use = use->next) {
                struct node *reader = use->reader;
                if (reader->graph != graph)
                    continue;
                if (reader->depth < node->depth + 1)
                    reader->depth = node->depth + 1;
                if (!sorted && --waiting[reader->position] == 0)
                    LIST_PUSH(arena, &graph->order, reader);
            }
        }
    }
    if (graph->order.count != count) {
        size_t stuck = 0;
        while (!waiting[stuck])
            stuck++;
        const Onnx__NodeProto *proto = graph->nodes[stuck]->proto;
        fail(arena->landing, ONNX_FUSE_INVALID_MODEL,
             "%s: graph %s: node %zu '%s' (%s) depends on its own output: the graph has a cycle", graph->model->path,
             graph->name, stuck, proto->name ? proto->name : "", proto->op_type ? proto->op_type : "");
    }
}

static void build_outputs(struct graph *graph)
{
    size_t count = graph->proto ? graph->proto->n_output : graph->function->n_output;
    for (size_t i = 0; i < count; i++) {
        const char *name = graph->proto ? graph->proto->output[i]->name : graph->function->output[i];
        struct value *value = is_named(name) ? graph_find(graph, name) : NULL;
        if (!value)
            continue;
        value->is_output = true;
        if (graph->proto && value->rank < 0 && value->graph == graph)
            value_describe(value, graph->proto->output[i]->type);
    }
}

static void build_descriptions(struct graph *graph)
{
    Onnx__ValueInfoProto *const *infos = graph->proto ? graph->proto->value_info : graph->function->value_info;
    size_t count = graph->proto ? graph->proto->n_value_info : graph->function->n_value_info;
    for (size_t i = 0; i < count; i++) {
        struct value *value = infos[i]->name ? map_get(&graph->values, infos[i]->name) : NULL;
        if (value && value->rank < 0)
            value_describe(value, infos[i]->type);
        else if (!value && is_named(infos[i]->name)) /* left behind: it would describe a new value */
            map_put(graph->model->arena, &graph->model->inner_names, infos[i]->name, graph);
    }
    for (size_t i = 0; graph->proto && i < graph->proto->n_quantization_annotation; i++) {
        const Onnx__TensorAnnotation *annotation = graph->proto->quantization_annotation[i];
        struct value *value = annotation->tensor_name ? map_get(&graph->values, annotation->tensor_name) : NULL;
        if (value)
            value->is_annotated = true;
        /* The scales and zero points it names are read by whoever reads the annotation. */
        for (size_t k = 0; k < annotation->n_quant_parameter_tensor_names; k++) {
            const char *name = annotation->quant_parameter_tensor_names[k]->value;
            struct value *parameter = name ? map_get(&graph->values, name) : NULL;
            if (parameter)
                parameter->is_annotated = true;
        }
    }
}

/* Most inputs are what the node before made, or the initializer after the one read last: looking there
 * first spares most searches in a table that is too large for any cache. */
struct guess {
    struct value *made;
    size_t initializer;
};

static struct value *find_read(struct graph *graph, const char *name, struct guess *guess)
{
    if (guess->made && strcmp(guess->made->name, name) == 0)
        return guess->made;
    size_t next = guess->initializer;
    if (next < graph->initializers.count && strcmp(graph->initializers.items[next]->name, name) == 0) {
        guess->initializer++;
        return graph->initializers.items[next];
    }
    struct value *value = graph_find(graph, name);
    bool old;
    return value ? value : graph_value(graph, name, &old); /* new: it has no producer */
}

static void build_reads(struct graph *graph, struct node *node, struct guess *guess)
{
    for (size_t k = 0; k < node->input_count; k++) {
        const char *name = node->proto->input[k];
        if (!is_named(name))
            continue;
        node->inputs[k] = find_read(graph, name, guess);
        add_use(graph, node->inputs[k], node, k);
    }
    guess->made = node_output(node, 0);
}

static void build_contents(struct graph *graph)
{
    struct arena *arena = graph->model->arena;
    Onnx__NodeProto *const *nodes = graph->proto ? graph->proto->node : graph->function->node;
    graph->node_count = graph->proto ? graph->proto->n_node : graph->function->n_node;
    graph->nodes = NEW_ARRAY(arena, struct node *, graph->node_count + 1);
    /* Most nodes make one value. A table that grows leaves its old ones behind. */
    map_reserve(arena, &graph->values, graph->node_count + (graph->proto ? graph->proto->n_initializer : 0));
    build_inputs(graph);
    if (graph->proto) {
        LIST_RESERVE(arena, &graph->initializers, graph->proto->n_initializer);
        for (size_t i = 0; i < graph->proto->n_initializer; i++)
            build_initializer(graph, graph->proto->initializer[i]->name,
                              model_tensor(graph->model, graph->proto->initializer[i]));
        for (size_t i = 0; i < graph->proto->n_sparse_initializer; i++) {
            const Onnx__SparseTensorProto *sparse = graph->proto->sparse_initializer[i];
            const Onnx__TensorProto *values = sparse->values, *indices = sparse->indices;
            if (values)
                build_initializer(graph, values->name, NULL);
            if (values && values->data_location) /* looked at only for where its data lies */
                model_tensor(graph->model, values);
            if (indices && indices->data_location)
                model_tensor(graph->model, indices);
        }
    }
    for (size_t i = 0; i < graph->node_count; i++)
        build_node(graph, i, nodes[i]);
    struct guess guess = {0};
    for (size_t i = 0; i < graph->node_count; i++) {
        struct node *node = graph->nodes[i];
        build_reads(graph, node, &guess);
        check_attribute_tensors(graph, node);
    }
    for (size_t i = 0; i < graph->node_count; i++)
        build_bodies(graph->nodes[i]);
    build_outputs(graph);
    build_descriptions(graph);
    build_order(graph);
}

const char *graph_function_key(struct arena *arena, const char *domain, const char *name, const char *overload)
{
    domain = operator_domain(domain);
    name = name ? name : "";
    return arena_format(arena, "%zu %zu %s%s%s", strlen(domain), strlen(name), domain, name, overload ? overload : "");
}

static int64_t default_opset(Onnx__OperatorSetIdProto *const *imports, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!is_named(imports[i]->domain) || strcmp(imports[i]->domain, "ai.onnx") == 0)
            return imports[i]->version;
    return 0;
}

void graph_build(struct model *model)
{
    const Onnx__ModelProto *proto = model->proto;
    struct graph *main = graph_new(model, NULL, NULL, "main");
    main->proto = proto->graph;
    main->opset = default_opset(proto->opset_import, proto->n_opset_import);
    build_contents(main);
    for (size_t i = 0; i < proto->n_functions; i++) {
        const Onnx__FunctionProto *function = proto->functions[i];
        struct graph *graph = graph_new(
            model, NULL, NULL, arena_format(model->arena, "function %s", function->name ? function->name : ""));
        graph->function = function;
        graph->opset = default_opset(function->opset_import, function->n_opset_import);
        build_contents(graph);
    }
}

/* ---- graphs from outside ---- */

size_t graph_output_count(const struct graph *graph)
{
    return graph->proto ? graph->proto->n_output : graph->function->n_output;
}

struct value *graph_output(const struct graph *graph, size_t index)
{
    if (index >= graph_output_count(graph))
        return NULL;
    const char *name = graph->proto ? graph->proto->output[index]->name : graph->function->output[index];
    return name && name[0] ? graph_find(graph, name) : NULL;
}

size_t graph_input_count(const struct graph *graph)
{
    return graph->proto ? graph->proto->n_input : graph->function->n_input;
}

struct value *graph_input(const struct graph *graph, size_t index)
{
    const char *name = graph->proto ? graph->proto->input[index]->name : graph->function->input[index];
    return name && name[0] ? map_get(&graph->values, name) : NULL;
}

/* ---- nodes ---- */

bool node_draws(const struct node *node)
{
    static const char *const random[] = {"Bernoulli",     "Dropout",          "Multinomial",      "RandomNormal",
                                         "RandomUniform", "RandomNormalLike", "RandomUniformLike"};
    for (size_t i = 0; i < COUNT_OF(random); i++)
        if (node->proto->op_type && strcmp(random[i], node->proto->op_type) == 0)
            return true;
    return false;
}

bool node_commutes(const struct node *node)
{
    return node->proto->n_input == 2 && node->opset != 0 && operator_is(node->op, COMMUTES);
}

size_t node_input_end(const struct node *node)
{
    size_t count = node->input_count;
    while (count && !node->inputs[count - 1])
        count--;
    return count;
}

bool value_is_stored(const struct value *value)
{
    bool overridable = value->is_initializer && value->is_input && value->graph->model->ir_version >= 4;
    return value->tensor && !overridable;
}

/* True for a value of a graph around `body`. */
static bool is_outside(const struct value *value, const struct graph *body)
{
    const struct graph *outer = body->parent;
    while (outer && outer != value->graph)
        outer = outer->parent;
    return outer != NULL;
}

/* `inner` is the body, or inside it. */
static void add_captures(struct arena *arena, const struct graph *body, const struct graph *inner,
                         struct value_reads *captures)
{
    for (size_t i = 0; i < inner->order.count; i++) {
        const struct node *node = inner->order.items[i];
        for (size_t k = 0; k < node->input_count; k++)
            if (node->inputs[k] && is_outside(node->inputs[k], body))
                LIST_PUSH(arena, captures, node->inputs[k]);
        for (size_t k = 0; k < node->body_count; k++) /* model/wire.h bounds how deep */
            add_captures(arena, body, node->bodies[k], captures);
    }
    for (size_t i = 0; i < graph_output_count(inner); i++) {
        struct value *value = graph_output(inner, i);
        if (value && is_outside(value, body))
            LIST_PUSH(arena, captures, value);
    }
}

void graph_captures(struct arena *arena, const struct graph *body, struct value_reads *captures)
{
    add_captures(arena, body, body, captures);
}
