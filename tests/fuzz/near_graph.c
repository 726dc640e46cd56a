/* near_graph.c: changes that keep a graph nearly valid: ops put in between, branches put beside,
 * windows and weights of another size, scopes around nodes. */
#include "near_internal.h"

typedef Onnx__GraphProto Graph;
typedef Onnx__NodeProto Node;
typedef Onnx__TensorProto Tensor;
typedef Onnx__AttributeProto Attribute;

enum { FLOAT = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, INT64 = ONNX__TENSOR_PROTO__DATA_TYPE__INT64 };

/* ---- making ---- */

static Node *new_node(struct near *near, const char *type)
{
    Node *node = NEW(near->arena, Node);
    onnx__node_proto__init(node);
    node->op_type = arena_copy(near->arena, type);
    return node;
}

static void reads(struct near *near, Node *node, char *name)
{
    NEAR_APPEND(near, node->input, node->n_input, name);
}

static char *makes(struct near *near, Node *node, const char *stem)
{
    char *name = near_name(near, stem);
    NEAR_APPEND(near, node->output, node->n_output, name);
    return name;
}

static Attribute *new_attribute(struct near *near, Node *node, const char *name, int type)
{
    Attribute *attribute = NEW(near->arena, Attribute);
    onnx__attribute_proto__init(attribute);
    attribute->name = arena_copy(near->arena, name);
    attribute->has_type = 1;
    attribute->type = (Onnx__AttributeProto__AttributeType)type;
    NEAR_APPEND(near, node->attribute, node->n_attribute, attribute);
    return attribute;
}

static void set_int(struct near *near, Node *node, const char *name, int64_t value)
{
    Attribute *a = new_attribute(near, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    a->has_i = 1;
    a->i = value;
}

static void set_ints(struct near *near, Node *node, const char *name, size_t count,
                     const int64_t *values)
{
    Attribute *a = new_attribute(near, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    a->ints = NEW_ARRAY(near->arena, int64_t, count + 1);
    if (count)
        memcpy(a->ints, values, count * sizeof(*values));
    a->n_ints = count;
}

/* Numbers of a new float or int64 tensor, stored in one of the ways there are. */
static Tensor *new_tensor(struct near *near, int type, size_t rank, const int64_t *dims,
                          const double *values)
{
    Tensor *tensor = NEW(near->arena, Tensor);
    onnx__tensor_proto__init(tensor);
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    tensor->has_data_type = 1;
    tensor->data_type = type;
    tensor->dims = NEW_ARRAY(near->arena, int64_t, rank + 1);
    if (rank)
        memcpy(tensor->dims, dims, rank * sizeof(*dims));
    tensor->n_dims = rank;
    float *floats = NEW_ARRAY(near->arena, float, count + 1);
    int64_t *longs = NEW_ARRAY(near->arena, int64_t, count + 1);
    for (size_t i = 0; i < count; i++) {
        if (type == FLOAT)
            floats[i] = (float)values[i];
        else
            longs[i] = (int64_t)values[i];
    }
    bool is_raw = near_chance(near, 60);
    if (is_raw) {
        tensor->has_raw_data = 1;
        tensor->raw_data.data = type == FLOAT ? (uint8_t *)floats : (uint8_t *)longs;
        tensor->raw_data.len = count * (type == FLOAT ? sizeof(float) : sizeof(int64_t));
    } else if (type == FLOAT) {
        tensor->float_data = floats;
        tensor->n_float_data = count;
    } else {
        tensor->int64_data = longs;
        tensor->n_int64_data = count;
    }
    return tensor;
}

/* A constant in a graph: an initializer, or a Constant node in front of all others. */
static char *add_constant(struct near *near, Graph *graph, Tensor *tensor)
{
    char *name = near_name(near, "c");
    if (near_chance(near, 75)) {
        tensor->name = name;
        NEAR_APPEND(near, graph->initializer, graph->n_initializer, tensor);
        return name;
    }
    Node *node = new_node(near, "Constant");
    NEAR_APPEND(near, node->output, node->n_output, name);
    Attribute *a =
        new_attribute(near, node, "value", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
    a->t = tensor;
    NEAR_APPEND(near, graph->node, graph->n_node, node);
    memmove(graph->node + 1, graph->node, (graph->n_node - 1) * sizeof(*graph->node));
    graph->node[0] = node;
    return name;
}

static char *floats(struct near *near, Graph *graph, size_t rank, const int64_t *dims,
                    bool positive)
{
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    if (count > 4096)
        return arena_copy(near->arena, "nothing");
    double *values = NEW_ARRAY(near->arena, double, count + 1);
    for (size_t i = 0; i < count; i++) {
        values[i] = near_number(near);
        if (positive && !(values[i] > 0.1))
            values[i] = 1;
    }
    return add_constant(near, graph, new_tensor(near, FLOAT, rank, dims, values));
}

static char *integers(struct near *near, Graph *graph, size_t count, const int64_t *numbers)
{
    double *values = NEW_ARRAY(near->arena, double, count + 1);
    int64_t dims[1] = {(int64_t)count};
    for (size_t i = 0; i < count; i++)
        values[i] = (double)numbers[i];
    return add_constant(near, graph, new_tensor(near, INT64, 1, dims, values));
}

/* ---- what is known of a value ---- */

static Node *producer_of(const Graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_output; k++)
            if (strcmp(graph->node[i]->output[k], name) == 0)
                return graph->node[i];
    return NULL;
}

static const Tensor *initializer_of(const Graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (graph->initializer[i]->name && strcmp(graph->initializer[i]->name, name) == 0)
            return graph->initializer[i];
    return NULL;
}

/* Channels (dim 1) and rank, as far as one walk up the first inputs tells; a guess otherwise. */
static void shape_of(struct near *near, const Graph *graph, const char *name, int64_t *channels,
                     size_t *rank)
{
    *channels = 0;
    *rank = 0;
    for (int steps = 0; steps < 50 && name; steps++) {
        for (size_t i = 0; i < graph->n_input; i++) {
            const Onnx__ValueInfoProto *info = graph->input[i];
            if (!info->name || strcmp(info->name, name) != 0 || !info->type ||
                info->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
                !info->type->tensor_type->shape)
                continue;
            const Onnx__TensorShapeProto *shape = info->type->tensor_type->shape;
            *rank = shape->n_dim;
            if (!*channels && shape->n_dim > 1 &&
                shape->dim[1]->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
                *channels = shape->dim[1]->dim_value;
        }
        const Node *node = producer_of(graph, name);
        if (!node || !node->n_input || *rank)
            break;
        if (node->op_type && strcmp(node->op_type, "Conv") == 0 && node->n_input > 1) {
            const Tensor *weight = initializer_of(graph, node->input[1]);
            if (weight && weight->n_dims) {
                *channels = *channels ? *channels : weight->dims[0];
                *rank = weight->n_dims;
            }
        }
        name = node->input[0];
    }
    if (*channels < 1 || *channels > 64)
        *channels = 1 + (int64_t)near_below(near, 6);
    if (*rank < 2 || *rank > 5)
        *rank = 4;
}

static int64_t divisor(struct near *near, int64_t a, int64_t b)
{
    int64_t group = 1 + (int64_t)near_below(near, (size_t)(a < b ? a : b));
    while (a % group || b % group)
        group--;
    return group;
}

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
    memmove(graph->node + at + 1, graph->node + at,
            (graph->n_node - 1 - at) * sizeof(*graph->node));
    graph->node[at] = node;
}

/* Readers of a value read another one; the given nodes do not. */
static void redirect(Graph *graph, const char *from, char *to, const Node *except,
                     const Node *except_too)
{
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; graph->node[i] != except && graph->node[i] != except_too &&
                           k < graph->node[i]->n_input;
             k++)
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

/* A convolution of `name` with `outputs` channels; mostly of the same extent. */
static Node *draw_conv(struct near *near, Graph *graph, char *name, int64_t channels, size_t rank,
                       int64_t outputs)
{
    Node *node = new_node(near, "Conv");
    int64_t group = near_chance(near, 60) ? 1 : divisor(near, channels, outputs);
    int64_t dims[8] = {outputs, channels / group}, pads[16], kernel[8], strides[8], dilations[8];
    size_t axes = rank - 2;
    bool plain = near_chance(near, 80);
    for (size_t i = 0; i < axes; i++) {
        kernel[i] = dims[2 + i] = near_chance(near, 50) ? 1 : 1 + 2 * (int64_t)near_below(near, 3);
        dilations[i] = plain ? 1 : 1 + (int64_t)near_below(near, 2);
        strides[i] = plain ? 1 : 1 + (int64_t)near_below(near, 2);
        pads[i] = pads[axes + i] = (kernel[i] - 1) * dilations[i] / 2;
    }
    reads(near, node, name);
    reads(near, node, floats(near, graph, rank, dims, false));
    if (near_chance(near, 50))
        reads(near, node, floats(near, graph, 1, dims, false));
    if (near_chance(near, 70))
        set_ints(near, node, "kernel_shape", axes, kernel);
    set_ints(near, node, "pads", 2 * axes, pads);
    if (!plain) {
        set_ints(near, node, "strides", axes, strides);
        set_ints(near, node, "dilations", axes, dilations);
    }
    if (group != 1 || near_chance(near, 30))
        set_int(near, node, "group", group);
    return node;
}

static Node *draw_op(struct near *near, Graph *graph, char *name)
{
    static const char *const unary[] = {"Identity", "Relu", "Neg",  "Dropout", "Sigmoid",
                                        "Softmax",  "Abs",  "Tanh", "Sqrt",    "Flatten"};
    static const char *const binary[] = {"Add", "Mul", "Sub", "Div", "Pow", "Max", "PRelu"};
    int64_t channels;
    size_t rank;
    shape_of(near, graph, name, &channels, &rank);
    int64_t per_channel[8] = {1, channels, 1, 1, 1, 1, 1, 1};
    Node *node;
    switch (near_below(near, 9)) {
    case 0:
        node = new_node(near, unary[near_below(near, COUNT_OF(unary))]);
        reads(near, node, name);
        return node;
    case 1:
    case 2:
        node = new_node(near, "BatchNormalization");
        reads(near, node, name);
        for (int i = 0; i < 4; i++)
            reads(near, node, floats(near, graph, 1, &channels, i == 3));
        return node;
    case 3:
    case 4:
        node = new_node(near, binary[near_below(near, COUNT_OF(binary))]);
        if (near_chance(near, 15))
            per_channel[near_below(near, rank)] = near_integer(near) & 7;
        reads(near, node,
              floats(near, graph, near_chance(near, 15) ? 0 : rank, per_channel, false));
        reads(near, node, name);
        if (near_chance(near, 60)) {
            char *swap = node->input[0];
            node->input[0] = node->input[1];
            node->input[1] = swap;
        }
        return node;
    case 5: {
        int64_t pads[16] = {0};
        node = new_node(near, "Pad");
        for (size_t i = 0; i < 2 * rank; i++)
            pads[i] = i % rank >= 2 || near_chance(near, 5) ? (int64_t)near_below(near, 3) : 0;
        reads(near, node, name);
        reads(near, node, integers(near, graph, 2 * rank, pads));
        return node;
    }
    case 6: {
        int64_t kernel[8], pads[16], ones[8];
        node = new_node(near, near_chance(near, 70) ? "AveragePool" : "MaxPool");
        for (size_t i = 0; i + 2 < rank; i++) {
            kernel[i] = 1 + 2 * (int64_t)near_below(near, 2);
            pads[i] = pads[rank - 2 + i] = kernel[i] / 2;
            ones[i] = 1;
        }
        reads(near, node, name);
        set_ints(near, node, "kernel_shape", rank - 2, kernel);
        set_ints(near, node, "pads", 2 * (rank - 2), pads);
        set_ints(near, node, "strides", rank - 2, ones);
        if (near_chance(near, 60))
            set_int(near, node, "count_include_pad", 1);
        return node;
    }
    default:
        return draw_conv(near, graph, name, channels, rank,
                         near_chance(near, 85) ? channels : 1 + (int64_t)near_below(near, 6));
    }
}

/* A value is followed by a new op, which its readers read instead. */
static void insert(struct near *near, Graph *graph)
{
    char *name = any_value(near, graph);
    if (!name)
        return;
    Node *producer = producer_of(graph, name), *node = draw_op(near, graph, name);
    char *made = makes(near, node, "v");
    redirect(graph, name, made, node, NULL);
    put_behind(near, graph, producer, node);
}

/* A node gets a second one beside it, drawn or a copy, and what reads it reads their sum. */
static void branch(struct near *near, Graph *graph)
{
    if (!graph->n_node)
        return;
    Node *one = graph->node[near_below(near, graph->n_node)];
    if (!one->n_output || !one->n_input)
        return;
    int64_t channels, outputs;
    size_t rank;
    shape_of(near, graph, one->input[0], &channels, &rank);
    shape_of(near, graph, one->output[0], &outputs, &rank);
    Node *two = NULL, *sum = new_node(near, near_chance(near, 85) ? "Add" : "Sub");
    char *other = one->input[0];
    unsigned choice = (unsigned)near_below(near, 4);
    if (choice == 0) {
        two = NEW(near->arena, Node);
        *two = *one;
        two->output = NULL;
        two->n_output = 0;
    } else if (choice == 1) {
        two = draw_op(near, graph, one->input[0]);
    } else if (choice == 2) {
        two = draw_conv(near, graph, one->input[0], channels, rank, outputs);
    }
    if (two)
        other = makes(near, two, "b");
    reads(near, sum, one->output[0]);
    reads(near, sum, other);
    redirect(graph, one->output[0], makes(near, sum, "s"), sum, two);
    if (two)
        put_behind(near, graph, one, two);
    put_behind(near, graph, two ? two : one, sum);
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
    memmove(graph->node + at, graph->node + at + 1,
            (graph->n_node - at - 1) * sizeof(*graph->node));
    graph->n_node--;
}

static void rewire(struct near *near)
{
    if (!near->nodes.count || !near->names.count)
        return;
    Node *node = near->nodes.items[near_below(near, near->nodes.count)];
    char *name = near->names.items[near_below(near, near->names.count)];
    if (!node->n_input || near_chance(near, 10))
        reads(near, node, near_chance(near, 80) ? name : arena_copy(near->arena, ""));
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
            attribute->i =
                near_by ? (int64_t)((uint64_t)attribute->i + near_below(near, 3) - 1) : value;
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
        *dim = near_chance(near, 50) ? (int64_t)((uint64_t)*dim + near_below(near, 3) - 1)
                                     : near_integer(near);
        if (near_chance(near, 50)) {
            /* As many numbers as the dims say. */
            uint64_t count = 1;
            for (size_t i = 0; i < tensor->n_dims && count < 5000; i++)
                count *= tensor->dims[i] < 0 || tensor->dims[i] > 5000 ? 5000
                                                                       : (uint64_t)tensor->dims[i];
            if (count < 5000 && tensor->has_raw_data) {
                uint8_t *data = arena_alloc(near->arena, count * 8 + 1, 1);
                size_t size = count * (tensor->data_type == FLOAT ? 4 : 8);
                if (tensor->raw_data.len)
                    memcpy(data, tensor->raw_data.data,
                           size < tensor->raw_data.len ? size : tensor->raw_data.len);
                tensor->raw_data = (ProtobufCBinaryData){size, data};
            }
        }
        return;
    }
    static const int types[] = {1, 1, 1, 2, 3, 5, 6, 7, 7, 9, 10, 11, 12, 13, 16, 17, 22};
    tensor->has_data_type = 1;
    tensor->data_type = types[near_below(near, COUNT_OF(types))];
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
    char *made = makes(near, copy, "i");
    if (near_chance(near, 50)) {
        outer = new_node(near, "If");
        int64_t none[1] = {0};
        double yes[1] = {1};
        Tensor *condition = new_tensor(near, INT64, 0, none, yes);
        condition->data_type = ONNX__TENSOR_PROTO__DATA_TYPE__BOOL;
        reads(near, outer, add_constant(near, graph, condition));
        for (int i = 0; i < 2; i++) {
            Graph *body = NEW(near->arena, Graph);
            onnx__graph_proto__init(body);
            body->name = arena_copy(near->arena, "body");
            NEAR_APPEND(near, body->node, body->n_node, copy);
            Onnx__ValueInfoProto *info = NEW(near->arena, Onnx__ValueInfoProto);
            onnx__value_info_proto__init(info);
            info->name = made;
            NEAR_APPEND(near, body->output, body->n_output, info);
            Attribute *a = new_attribute(near, outer, i ? "else_branch" : "then_branch",
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
            NEAR_APPEND(near, function->opset_import, function->n_opset_import,
                        near->model->opset_import[i]);
        NEAR_APPEND(near, near->model->functions, near->model->n_functions, function);
        outer = new_node(near, function->name);
        outer->domain = function->domain;
        for (size_t i = 0; i < copy->n_input; i++)
            reads(near, outer, copy->input[i]);
    }
    NEAR_APPEND(near, outer->output, outer->n_output, inner->output[0]);
    for (size_t i = 0; i < graph->n_node; i++)
        if (graph->node[i] == inner)
            graph->node[i] = outer;
}

void near_graph(struct near *near)
{
    Graph *graph = near_chance(near, 80) ? near->model->graph
                                         : near->graphs.items[near_below(near, near->graphs.count)];
    switch (near_below(near, 16)) {
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
    case 14: change_tensor(near); break;
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
    size_t rank = near_chance(near, 80) ? 4 : 3 + near_below(near, 3);
    Onnx__TensorShapeProto *shape = NEW(near->arena, Onnx__TensorShapeProto);
    onnx__tensor_shape_proto__init(shape);
    for (size_t i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim =
            NEW(near->arena, Onnx__TensorShapeProto__Dimension);
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
    Node *node = new_node(near, "Identity");
    reads(near, node, ends[0]->name);
    NEAR_APPEND(near, node->output, node->n_output, ends[1]->name);
    NEAR_APPEND(near, graph->node, graph->n_node, node);
    near->model = model;
    near->fresh = (unsigned)near_below(near, 1000);
}
