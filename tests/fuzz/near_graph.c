/* near_graph.c: changes that keep a graph nearly valid: ops put in between, branches put beside,
 * windows and weights of another size, scopes around nodes. */
#include "near_graph.h"
#include "base/arena.h"

/* ---- nodes in between ---- */

/* The node's place is behind `after`, or last. */
static void put_behind(struct near *near, Graph *graph, const Node *after, Node *node)
{
    size_t at = 0;
    while (after && at < graph->n_node && graph->node[at] != after)
        at++;
    at = after ? at + 1 : 0;
    NEAR_APPEND(near, graph->node, graph->n_node, node);
    if (at >= graph->n_node)
        return;
    memmove(graph->node + at + 1, graph->node + at, (graph->n_node - 1 - at) * sizeof(*graph->node));
    graph->node[at] = node;
}

/* What must come before a drawn node, and the node. */
static void put_drawn(struct near *near, Graph *graph, const Node *after, Node *node)
{
    for (size_t i = 0; i < near->ahead.count; i++) {
        put_behind(near, graph, after, near->ahead.items[i]);
        after = near->ahead.items[i];
    }
    near->ahead.count = 0;
    put_behind(near, graph, after, node);
}

/* Readers of a value read another one; the given nodes do not. */
static void redirect(Graph *graph, const char *from, char *to, const Node *except, const Node *except_too)
{
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; graph->node[i] != except && graph->node[i] != except_too && k < graph->node[i]->n_input; k++)
            if (strcmp(graph->node[i]->input[k], from) == 0)
                graph->node[i]->input[k] = to;
    for (size_t i = 0; i < graph->n_output; i++)
        if (graph->output[i]->name && strcmp(graph->output[i]->name, from) == 0)
            graph->output[i]->name = to;
}

static char *any_value(struct near *near, const Graph *graph)
{
    size_t at = near_below(near, graph->n_node + graph->n_input);
    if (at < graph->n_node && graph->node[at]->n_output)
        return graph->node[at]->output[0];
    if (graph->n_input)
        return graph->input[near_below(near, graph->n_input)]->name;
    return NULL;
}

/* A value is followed by a new op, which its readers read instead. */
static void insert(struct near *near, Graph *graph)
{
    char *name = any_value(near, graph);
    if (!name)
        return;
    Node *producer = near_producer(graph, name), *node = near_draw_op(near, graph, name);
    char *made = near_makes(near, node, "v");
    redirect(graph, name, made, node, NULL);
    put_drawn(near, graph, producer, node);
}

/* A node gets a second one beside it, drawn or a copy, and what reads it reads their sum. */
static void branch(struct near *near, Graph *graph)
{
    if (!graph->n_node)
        return;
    Node *one = graph->node[near_below(near, graph->n_node)];
    if (!one->n_output || !one->n_input)
        return;
    struct shape from = near_shape(near, graph, one->input[0]);
    struct shape to = near_shape(near, graph, one->output[0]);
    near->ahead.count = 0;
    Node *two = NULL, *sum = near_node(near, near_chance(near, 85) ? "Add" : "Sub");
    char *other = one->input[0];
    unsigned choice = (unsigned)near_below(near, 4);
    if (choice == 0) {
        two = NEW(near->arena, Node);
        *two = *one;
        two->output = NULL;
        two->n_output = 0;
    } else if (choice == 1) {
        two = near_draw_op(near, graph, one->input[0]);
    } else if (choice == 2) {
        two = near_draw_conv(near, graph, one->input[0], from.dims[1], to.rank, to.dims[1]);
    }
    if (two)
        other = near_makes(near, two, "b");
    near_reads(near, sum, one->output[0]);
    near_reads(near, sum, other);
    redirect(graph, one->output[0], near_makes(near, sum, "s"), sum, two);
    if (two)
        put_drawn(near, graph, one, two);
    put_behind(near, graph, two ? two : one, sum);
}

/* ---- weights that are computed ---- */

/* An op that makes a weight of an initializer, mostly the same one; NULL: of none such. */
static Node *draw_weight(struct near *near, Graph *graph, char *name)
{
    const Tensor *tensor = near_initializer(graph, name);
    static const char *const kinds[] = {"Identity", "Transpose", "Reshape",   "Mul",    "Add",  "Neg", "Concat",
                                        "Pad",      "Div",       "Unsqueeze", "Einsum", "Cast", "Sub", "Squeeze"};
    if (!tensor || !tensor->n_dims || tensor->n_dims > 5)
        return NULL;
    Node *node = near_node(near, kinds[near_below(near, COUNT_OF(kinds))]);
    int64_t dims[8] = {0}, pads[16] = {0};
    for (size_t i = 0; i < tensor->n_dims; i++)
        dims[i] = near_chance(near, 90) ? tensor->dims[i] : -1;
    near_reads(near, node, name);
    if (strcmp(node->op_type, "Reshape") == 0) {
        near_reads(near, node, near_integers(near, graph, tensor->n_dims, dims));
    } else if (strcmp(node->op_type, "Transpose") == 0) {
        int64_t order[8] = {0};
        for (size_t i = 0; i < tensor->n_dims; i++)
            order[i] = (int64_t)i;
        if (tensor->n_dims > 1) { /* two that undo each other where both exchange the first two */
            order[0] = 1;
            order[1] = 0;
        }
        Node *first = near_node(near, "Transpose");
        near_reads(near, first, name);
        near_set_ints(near, first, "perm", tensor->n_dims, order);
        node->input[0] = near_ahead(near, first);
        near_set_ints(near, node, "perm", tensor->n_dims, order);
    } else if (strcmp(node->op_type, "Concat") == 0) {
        near_set_int(near, node, "axis", 0);
        if (near_chance(near, 30))
            near_reads(near, node, name);
    } else if (strcmp(node->op_type, "Pad") == 0) {
        for (size_t i = 0; i < 2 * tensor->n_dims; i++)
            pads[i] = i % tensor->n_dims >= 2 && near_chance(near, 50);
        near_reads(near, node, near_integers(near, graph, 2 * tensor->n_dims, pads));
    } else if (strcmp(node->op_type, "Einsum") == 0) {
        int64_t square[2] = {dims[0], dims[0]};
        Attribute *a = near_attribute(near, node, "equation", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
        static const char *const equations[] = {"i...,ij->j...", "oihw,op->pihw", "oi,op->pi"};
        const char *equation = equations[near_below(near, COUNT_OF(equations))];
        a->has_s = 1;
        a->s = (ProtobufCBinaryData){strlen(equation), (uint8_t *)arena_copy(near->arena, equation)};
        near_reads(near, node, near_floats(near, graph, 2, square, false));
    } else if (strcmp(node->op_type, "Cast") == 0) {
        near_set_int(near, node, "to", tensor->data_type);
    } else if (strcmp(node->op_type, "Unsqueeze") == 0 || strcmp(node->op_type, "Squeeze") == 0) {
        int64_t axis = (int64_t)tensor->n_dims;
        Node *first = near_node(near, "Unsqueeze");
        near_reads(near, first, name);
        near_reads(near, first, near_integers(near, graph, 1, &axis));
        node->op_type = arena_copy(near->arena, "Squeeze");
        node->input[0] = near_ahead(near, first);
        near_reads(near, node, near_integers(near, graph, 1, &axis));
    } else if (strlen(node->op_type) == 3 && strcmp(node->op_type, "Neg") != 0) {
        int64_t per_channel[8] = {dims[0], 1, 1, 1, 1, 1, 1, 1};
        near_reads(near, node,
                   near_floats(near, graph, near_chance(near, 50) ? 0 : tensor->n_dims, per_channel,
                               strcmp(node->op_type, "Div") == 0));
    }
    return node;
}

/* A constant is computed, for one of its readers. */
static void compute(struct near *near, Graph *graph)
{
    for (int tries = 0; tries < 8 && graph->n_node; tries++) {
        Node *reader = graph->node[near_below(near, graph->n_node)];
        if (!reader->n_input)
            continue;
        char **input = &reader->input[near_below(near, reader->n_input)];
        near->ahead.count = 0;
        Node *node = draw_weight(near, graph, *input);
        if (!node)
            continue;
        *input = near_makes(near, node, "w");
        put_drawn(near, graph, NULL, node);
        return;
    }
}

/* A node goes; its readers read what it read. */
static void bypass(struct near *near, Graph *graph)
{
    if (!graph->n_node)
        return;
    size_t at = near_below(near, graph->n_node);
    Node *node = graph->node[at];
    if (node->n_output && node->n_input)
        redirect(graph, node->output[0], node->input[0], node, NULL);
    memmove(graph->node + at, graph->node + at + 1, (graph->n_node - at - 1) * sizeof(*graph->node));
    graph->n_node--;
}

static void rewire(struct near *near)
{
    if (!near->nodes.count || !near->names.count)
        return;
    Node *node = near->nodes.items[near_below(near, near->nodes.count)];
    char *name = near->names.items[near_below(near, near->names.count)];
    if (!node->n_input || near_chance(near, 10))
        near_reads(near, node, near_chance(near, 80) ? name : arena_copy(near->arena, ""));
    else
        node->input[near_below(near, node->n_input)] = name;
}

/* One more reader, from outside. */
static void add_output(struct near *near, Graph *graph)
{
    char *name = any_value(near, graph);
    if (!name)
        return;
    Onnx__ValueInfoProto *info = NEW(near->arena, Onnx__ValueInfoProto);
    onnx__value_info_proto__init(info);
    info->name = name;
    NEAR_APPEND(near, graph->output, graph->n_output, info);
}

/* An integer of an attribute changes by one, or to an edge. */
static void change_attribute(struct near *near)
{
    for (int tries = 0; tries < 8 && near->nodes.count; tries++) {
        Node *node = near->nodes.items[near_below(near, near->nodes.count)];
        if (!node->n_attribute)
            continue;
        Attribute *attribute = node->attribute[near_below(near, node->n_attribute)];
        int64_t value = near_integer(near);
        bool near_by = near_chance(near, 60);
        if (attribute->n_ints) {
            int64_t *one = &attribute->ints[near_below(near, attribute->n_ints)];
            *one = near_by ? (int64_t)((uint64_t)*one + (uint64_t)near_below(near, 3) - 1) : value;
        } else if (attribute->has_i) {
            attribute->i = near_by ? (int64_t)((uint64_t)attribute->i + near_below(near, 3) - 1) : value;
        } else if (attribute->has_f) {
            attribute->f = (float)near_number(near);
        }
        return;
    }
}

/* Dims and numbers change together, or dims alone. */
static void change_tensor(struct near *near)
{
    if (!near->tensors.count)
        return;
    Tensor *tensor = near->tensors.items[near_below(near, near->tensors.count)];
    if (near_chance(near, 30) && tensor->raw_data.len >= 4) {
        uint8_t *copy = arena_alloc(near->arena, tensor->raw_data.len, 1);
        memcpy(copy, tensor->raw_data.data, tensor->raw_data.len);
        float number = (float)near_number(near);
        memcpy(copy + near_below(near, tensor->raw_data.len / 4) * 4, &number, sizeof(number));
        tensor->raw_data.data = copy;
        return;
    }
    if (near_chance(near, 30) && tensor->n_dims < 12) {
        /* Another shape of as many numbers. */
        tensor->dims = near_grown(near->arena, tensor->dims, tensor->n_dims, sizeof(int64_t));
        tensor->dims[tensor->n_dims++] = 1;
        int64_t *a = &tensor->dims[near_below(near, tensor->n_dims)];
        int64_t *b = &tensor->dims[near_below(near, tensor->n_dims)], swap = *a;
        *a = *b;
        *b = swap;
        return;
    }
    if (tensor->n_dims && near_chance(near, 70)) {
        int64_t *dim = &tensor->dims[near_below(near, tensor->n_dims)];
        *dim = near_chance(near, 50) ? (int64_t)((uint64_t)*dim + near_below(near, 3) - 1) : near_integer(near);
        if (near_chance(near, 50)) {
            /* As many numbers as the dims say. */
            uint64_t count = 1;
            for (size_t i = 0; i < tensor->n_dims && count < 5000; i++)
                count *= tensor->dims[i] < 0 || tensor->dims[i] > 5000 ? 5000 : (uint64_t)tensor->dims[i];
            if (count < 5000 && tensor->has_raw_data) {
                uint8_t *data = arena_alloc(near->arena, count * 8 + 1, 1);
                size_t size = count * (tensor->data_type == FLOAT ? 4 : 8);
                if (tensor->raw_data.len)
                    memcpy(data, tensor->raw_data.data, size < tensor->raw_data.len ? size : tensor->raw_data.len);
                tensor->raw_data = (ProtobufCBinaryData){size, data};
            }
        }
        return;
    }
    static const int types[] = {1, 1, 1, 2, 3, 5, 6, 7, 7, 9, 10, 11, 12, 13, 16, 17, 22};
    tensor->has_data_type = 1;
    tensor->data_type = types[near_below(near, COUNT_OF(types))];
}

static void add_entry(struct near *near, Tensor *tensor, const char *key, const char *value)
{
    Onnx__StringStringEntryProto *entry = NEW(near->arena, Onnx__StringStringEntryProto);
    onnx__string_string_entry_proto__init(entry);
    entry->key = arena_copy(near->arena, key);
    entry->value = arena_copy(near->arena, value);
    NEAR_APPEND(near, tensor->external_data, tensor->n_external_data, entry);
}

/* Numbers go to one of the files that fuzz_files.c lays out. */
static void put_outside(struct near *near)
{
    static const char *const places[] = {
        "w.bin",        "sub/w.bin",  "w.bin", "./w.bin",  "link.bin", "hard.bin", "../secret.bin", "up/secret.bin",
        "sub/../w.bin", "model.onnx", "pipe",  "none.bin", "sub",      "",         "sub//w.bin",    "/dev/zero"};
    if (!near->tensors.count)
        return;
    Tensor *tensor = near->tensors.items[near_below(near, near->tensors.count)];
    size_t size = tensor->raw_data.len + tensor->n_float_data * 4 + tensor->n_int64_data * 8;
    size_t place = near_below(near, near_chance(near, 70) ? 3 : COUNT_OF(places));
    tensor->has_data_location = 1;
    tensor->data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    tensor->has_raw_data = 0;
    tensor->raw_data.len = tensor->n_float_data = tensor->n_int64_data = 0;
    tensor->n_external_data = 0;
    add_entry(near, tensor, "location", places[place]);
    if (near_chance(near, 70))
        add_entry(
            near, tensor, "offset",
            arena_format(near->arena, "%lld",
                         near_chance(near, 90) ? (long long)near_below(near, 9) * 64 : (long long)near_integer(near)));
    if (near_chance(near, 90))
        add_entry(
            near, tensor, "length",
            arena_format(near->arena, "%lld", near_chance(near, 90) ? (long long)size : (long long)near_integer(near)));
}

/* A node goes into both bodies of an If, or into a local function. */
static void enclose(struct near *near, Graph *graph)
{
    if (!graph->n_node)
        return;
    size_t at = near_below(near, graph->n_node);
    Node *inner = graph->node[at], *outer;
    if (!inner->n_output)
        return;
    Node *copy = NEW(near->arena, Node);
    *copy = *inner;
    copy->output = NULL;
    copy->n_output = 0;
    char *made = near_makes(near, copy, "i");
    if (near_chance(near, 50)) {
        outer = near_node(near, "If");
        int64_t none[1] = {0};
        double yes[1] = {1};
        Tensor *condition = near_tensor(near, INT64, 0, none, yes);
        condition->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__BOOL;
        near_reads(near, outer, near_constant(near, graph, condition));
        for (int i = 0; i < 2; i++) {
            Graph *body = NEW(near->arena, Graph);
            onnx__graph_proto__init(body);
            body->name = arena_copy(near->arena, "body");
            NEAR_APPEND(near, body->node, body->n_node, copy);
            Onnx__ValueInfoProto *info = NEW(near->arena, Onnx__ValueInfoProto);
            onnx__value_info_proto__init(info);
            info->name = made;
            NEAR_APPEND(near, body->output, body->n_output, info);
            Attribute *a = near_attribute(near, outer, i ? "else_branch" : "then_branch",
                                          ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH);
            a->g = body;
        }
    } else {
        Onnx__FunctionProto *function = NEW(near->arena, Onnx__FunctionProto);
        onnx__function_proto__init(function);
        function->name = near_name(near, "F");
        function->domain = arena_copy(near->arena, "local");
        function->input = copy->input;
        function->n_input = copy->n_input;
        NEAR_APPEND(near, function->output, function->n_output, made);
        NEAR_APPEND(near, function->node, function->n_node, copy);
        for (size_t i = 0; i < near->model->n_opset_import; i++)
            NEAR_APPEND(near, function->opset_import, function->n_opset_import, near->model->opset_import[i]);
        NEAR_APPEND(near, near->model->functions, near->model->n_functions, function);
        outer = near_node(near, function->name);
        outer->domain = function->domain;
        for (size_t i = 0; i < copy->n_input; i++)
            near_reads(near, outer, copy->input[i]);
    }
    NEAR_APPEND(near, outer->output, outer->n_output, inner->output[0]);
    for (size_t i = 0; i < graph->n_node; i++)
        if (graph->node[i] == inner)
            graph->node[i] = outer;
}

void near_graph(struct near *near)
{
    Graph *graph =
        near_chance(near, 80) ? near->model->graph : near->graphs.items[near_below(near, near->graphs.count)];
    switch (near_below(near, 17)) {
    case 0:
    case 1:
    case 2: insert(near, graph); break;
    case 3:
    case 4:
    case 5:
    case 6: branch(near, graph); break;
    case 7: bypass(near, graph); break;
    case 8: rewire(near); break;
    case 9: add_output(near, graph); break;
    case 10:
    case 11:
    case 12: change_attribute(near); break;
    case 13:
    case 14:
        if (near_chance(near, 20))
            put_outside(near);
        else
            change_tensor(near);
        break;
    case 15: compute(near, graph); break;
    default: enclose(near, graph);
    }
}

void near_begin(struct near *near)
{
    Onnx__ModelProto *model = NEW(near->arena, Onnx__ModelProto);
    onnx__model_proto__init(model);
    model->has_ir_version = 1;
    model->ir_version = 8;
    Onnx__OperatorSetIdProto *opset = NEW(near->arena, Onnx__OperatorSetIdProto);
    onnx__operator_set_id_proto__init(opset);
    opset->has_version = 1;
    opset->version = near_chance(near, 80) ? 17 : 7 + (int64_t)near_below(near, 22);
    NEAR_APPEND(near, model->opset_import, model->n_opset_import, opset);
    Graph *graph = model->graph = NEW(near->arena, Graph);
    onnx__graph_proto__init(graph);
    graph->name = arena_copy(near->arena, "g");
    size_t rank = near_chance(near, 80) ? 4 : 2 + near_below(near, 4);
    Onnx__TensorShapeProto *shape = NEW(near->arena, Onnx__TensorShapeProto);
    onnx__tensor_shape_proto__init(shape);
    for (size_t i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = NEW(near->arena, Onnx__TensorShapeProto__Dimension);
        onnx__tensor_shape_proto__dimension__init(dim);
        dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dim->dim_value = i == 0 ? 1 : i == 1 ? 1 + (int64_t)near_below(near, 6) : 5;
        NEAR_APPEND(near, shape->dim, shape->n_dim, dim);
    }
    Onnx__ValueInfoProto *ends[2];
    for (int i = 0; i < 2; i++) {
        Onnx__TypeProto *type = NEW(near->arena, Onnx__TypeProto);
        Onnx__TypeProto__Tensor *tensor = NEW(near->arena, Onnx__TypeProto__Tensor);
        onnx__type_proto__init(type);
        onnx__type_proto__tensor__init(tensor);
        tensor->has_elem_type = 1;
        tensor->elem_type = FLOAT;
        tensor->shape = i ? NULL : shape;
        type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
        type->tensor_type = tensor;
        ends[i] = NEW(near->arena, Onnx__ValueInfoProto);
        onnx__value_info_proto__init(ends[i]);
        ends[i]->name = arena_copy(near->arena, i ? "y" : "x");
        ends[i]->type = type;
    }
    NEAR_APPEND(near, graph->input, graph->n_input, ends[0]);
    NEAR_APPEND(near, graph->output, graph->n_output, ends[1]);
    Node *node = near_node(near, "Identity");
    near_reads(near, node, ends[0]->name);
    NEAR_APPEND(near, node->output, node->n_output, ends[1]->name);
    NEAR_APPEND(near, graph->node, graph->n_node, node);
    near->model = model;
    near->fresh = (unsigned)near_below(near, 1000);
}
