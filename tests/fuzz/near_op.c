/* near_op.c: nodes, attributes, constants, and ops drawn to follow a value. */
#include "base/arena.h"
#include "near_graph.h"

/* ---- making ---- */

Node *near_node(struct near *near, const char *type)
{
    Node *node = NEW(near->arena, Node);
    onnx__node_proto__init(node);
    node->op_type = arena_copy(near->arena, type);
    return node;
}

void near_reads(struct near *near, Node *node, char *name)
{
    NEAR_APPEND(near, node->input, node->n_input, name);
}

char *near_makes(struct near *near, Node *node, const char *stem)
{
    char *name = near_name(near, stem);
    NEAR_APPEND(near, node->output, node->n_output, name);
    return name;
}

Attribute *near_attribute(struct near *near, Node *node, const char *name, int type)
{
    Attribute *attribute = NEW(near->arena, Attribute);
    onnx__attribute_proto__init(attribute);
    attribute->name = arena_copy(near->arena, name);
    attribute->has_type = 1;
    attribute->type = (Onnx__AttributeProto__AttributeType)type;
    NEAR_APPEND(near, node->attribute, node->n_attribute, attribute);
    return attribute;
}

void near_set_int(struct near *near, Node *node, const char *name, int64_t value)
{
    Attribute *a = near_attribute(near, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    a->has_i = 1;
    a->i = value;
}

void near_set_ints(struct near *near, Node *node, const char *name, size_t count, const int64_t *values)
{
    Attribute *a = near_attribute(near, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    a->ints = NEW_ARRAY(near->arena, int64_t, count + 1);
    if (count)
        memcpy(a->ints, values, count * sizeof(*values));
    a->n_ints = count;
}

/* Numbers of a new float or int64 tensor, stored in one of the ways there are. */
Tensor *near_tensor(struct near *near, int type, size_t rank, const int64_t *dims, const double *values)
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
char *near_constant(struct near *near, Graph *graph, Tensor *tensor)
{
    char *name = near_name(near, "c");
    if (near_chance(near, 75)) {
        tensor->name = name;
        NEAR_APPEND(near, graph->initializer, graph->n_initializer, tensor);
        return name;
    }
    Node *node = near_node(near, "Constant");
    NEAR_APPEND(near, node->output, node->n_output, name);
    Attribute *a = near_attribute(near, node, "value", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
    a->t = tensor;
    NEAR_APPEND(near, graph->node, graph->n_node, node);
    memmove(graph->node + 1, graph->node, (graph->n_node - 1) * sizeof(*graph->node));
    graph->node[0] = node;
    return name;
}

char *near_floats(struct near *near, Graph *graph, size_t rank, const int64_t *dims, bool positive)
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
    return near_constant(near, graph, near_tensor(near, FLOAT, rank, dims, values));
}

char *near_integers(struct near *near, Graph *graph, size_t count, const int64_t *numbers)
{
    double *values = NEW_ARRAY(near->arena, double, count + 1);
    int64_t dims[1] = {(int64_t)count};
    for (size_t i = 0; i < count; i++)
        values[i] = (double)numbers[i];
    return near_constant(near, graph, near_tensor(near, INT64, 1, dims, values));
}

/* ---- what is known of a value ---- */

Node *near_producer(const Graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_node; i++)
        for (size_t k = 0; k < graph->node[i]->n_output; k++)
            if (strcmp(graph->node[i]->output[k], name) == 0)
                return graph->node[i];
    return NULL;
}

const Tensor *near_initializer(const Graph *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (graph->initializer[i]->name && strcmp(graph->initializer[i]->name, name) == 0)
            return graph->initializer[i];
    return NULL;
}

struct shape near_shape(struct near *near, const Graph *graph, const char *name)
{
    int64_t channels = 0;
    struct shape found = {0, {1, 0, 5, 5, 5, 5, 5, 5}};
    for (int steps = 0; steps < 50 && name; steps++) {
        for (size_t i = 0; i < graph->n_input; i++) {
            const Onnx__ValueInfoProto *info = graph->input[i];
            if (!info->name || strcmp(info->name, name) != 0 || !info->type ||
                info->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !info->type->tensor_type->shape)
                continue;
            const Onnx__TensorShapeProto *shape = info->type->tensor_type->shape;
            found.rank = shape->n_dim;
            for (size_t k = 0; k < shape->n_dim && k < COUNT_OF(found.dims); k++)
                if (shape->dim[k]->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
                    shape->dim[k]->dim_value > 0 && shape->dim[k]->dim_value < 100)
                    found.dims[k] = shape->dim[k]->dim_value;
        }
        const Node *node = near_producer(graph, name);
        if (!node || !node->n_input || found.rank)
            break;
        if (node->op_type && strcmp(node->op_type, "Conv") == 0 && node->n_input > 1) {
            const Tensor *weight = near_initializer(graph, node->input[1]);
            if (weight && weight->n_dims) {
                channels = channels ? channels : weight->dims[0];
                found.rank = weight->n_dims;
            }
        }
        name = node->input[0];
    }
    if (channels)
        found.dims[1] = channels;
    if (found.dims[1] < 1 || found.dims[1] > 64)
        found.dims[1] = 1 + (int64_t)near_below(near, 6);
    if (found.rank < 2 || found.rank > 5)
        found.rank = 4;
    return found;
}

static int64_t divisor(struct near *near, int64_t a, int64_t b)
{
    int64_t group = 1 + (int64_t)near_below(near, (size_t)(a < b ? a : b));
    while (a % group || b % group)
        group--;
    return group;
}

/* ---- ops ---- */

/* A convolution of `name` with `outputs` channels; mostly of the same extent. */
Node *near_draw_conv(struct near *near, Graph *graph, char *name, int64_t channels, size_t rank, int64_t outputs)
{
    Node *node = near_node(near, "Conv");
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
    near_reads(near, node, name);
    near_reads(near, node, near_floats(near, graph, rank, dims, false));
    if (near_chance(near, 50))
        near_reads(near, node, near_floats(near, graph, 1, dims, false));
    if (near_chance(near, 70))
        near_set_ints(near, node, "kernel_shape", axes, kernel);
    near_set_ints(near, node, "pads", 2 * axes, pads);
    if (!plain) {
        near_set_ints(near, node, "strides", axes, strides);
        near_set_ints(near, node, "dilations", axes, dilations);
    }
    if (group != 1 || near_chance(near, 30))
        near_set_int(near, node, "group", group);
    return node;
}

char *near_ahead(struct near *near, Node *node)
{
    char *made = near_makes(near, node, "a");
    LIST_PUSH(near->arena, &near->ahead, node);
    return made;
}

static Node *draw_window(struct near *near, char *name, size_t rank)
{
    int64_t kernel[8], pads[16], ones[8];
    Node *node = near_node(near, near_chance(near, 70) ? "AveragePool" : "MaxPool");
    for (size_t i = 0; i + 2 < rank; i++) {
        kernel[i] = 1 + 2 * (int64_t)near_below(near, 2);
        pads[i] = pads[rank - 2 + i] = kernel[i] / 2;
        ones[i] = 1;
    }
    near_reads(near, node, name);
    near_set_ints(near, node, "kernel_shape", rank - 2, kernel);
    near_set_ints(near, node, "pads", 2 * (rank - 2), pads);
    near_set_ints(near, node, "strides", rank - 2, ones);
    if (near_chance(near, 60))
        near_set_int(near, node, "count_include_pad", 1);
    return node;
}

static Node *draw_transposed(struct near *near, Graph *graph, char *name, const struct shape *shape)
{
    Node *node = near_node(near, "ConvTranspose");
    int64_t outputs = 1 + (int64_t)near_below(near, 4);
    int64_t group = near_chance(near, 60) ? 1 : divisor(near, shape->dims[1], outputs);
    int64_t dims[8] = {shape->dims[1], outputs / group}, pads[16], strides[8];
    for (size_t i = 0; i + 2 < shape->rank; i++) {
        dims[2 + i] = 1 + 2 * (int64_t)near_below(near, 2);
        pads[i] = pads[shape->rank - 2 + i] = dims[2 + i] / 2;
        strides[i] = 1 + (int64_t)near_below(near, 2);
    }
    near_reads(near, node, name);
    near_reads(near, node, near_floats(near, graph, shape->rank, dims, false));
    if (near_chance(near, 50))
        near_reads(near, node, near_floats(near, graph, 1, &outputs, false));
    near_set_ints(near, node, "pads", 2 * (shape->rank - 2), pads);
    if (near_chance(near, 50))
        near_set_ints(near, node, "strides", shape->rank - 2, strides);
    if (group != 1)
        near_set_int(near, node, "group", group);
    return node;
}

/* On the last axis; behind a Flatten the matrix has that axis and more. */
static Node *draw_matrix(struct near *near, Graph *graph, char *name, const struct shape *shape)
{
    int64_t length = shape->dims[shape->rank - 1], outputs = 1 + (int64_t)near_below(near, 6);
    bool flat = shape->rank != 2 && near_chance(near, 50);
    Node *node = near_node(near, shape->rank == 2 || flat ? "Gemm" : "MatMul");
    if (flat) {
        Node *flatten = near_node(near, "Flatten");
        near_reads(near, flatten, name);
        near_set_int(near, flatten, "axis", near_chance(near, 50) ? 1 : (int64_t)shape->rank - 1);
        name = near_ahead(near, flatten);
        length = near_chance(near, 50) ? length : shape->dims[1] * 25;
    }
    bool turned = strcmp(node->op_type, "Gemm") == 0 && near_chance(near, 50);
    int64_t dims[2] = {turned ? outputs : length, turned ? length : outputs};
    near_reads(near, node, name);
    near_reads(near, node, near_floats(near, graph, 2, dims, false));
    if (turned)
        near_set_int(near, node, "transB", 1);
    if (strcmp(node->op_type, "Gemm") == 0 && near_chance(near, 60))
        near_reads(near, node, near_floats(near, graph, 1, &outputs, false));
    return node;
}

static Node *draw_slice(struct near *near, Graph *graph, char *name, const struct shape *shape)
{
    int64_t starts[8], ends[8], axes[8], steps[8];
    size_t count = 0;
    bool plain = near_chance(near, 80);
    for (size_t i = plain ? 2 : 0; i < shape->rank; i++) {
        starts[count] = (int64_t)near_below(near, 3);
        ends[count] = near_chance(near, 50) ? INT64_MAX : -1 - (int64_t)near_below(near, 2);
        steps[count] = plain ? 1 : 1 + (int64_t)near_below(near, 2);
        axes[count++] = (int64_t)i;
    }
    Node *node = near_node(near, "Slice");
    near_reads(near, node, name);
    near_reads(near, node, near_integers(near, graph, count, starts));
    near_reads(near, node, near_integers(near, graph, count, ends));
    near_reads(near, node, near_integers(near, graph, count, axes));
    if (near_chance(near, 50))
        near_reads(near, node, near_integers(near, graph, count, steps));
    return node;
}

/* A Pad whose border gets a value per channel, as Diverse Branch Block is exported. */
static Node *draw_border(struct near *near, Graph *graph, char *name, const struct shape *shape)
{
    int64_t pads[16] = {0}, dims[8] = {0}, begin = 1 + (int64_t)near_below(near, 2), count = 1;
    double values[64];
    size_t rank = shape->rank, parts = 1 + near_below(near, 3);
    Node *node = near_node(near, "Pad");
    for (size_t i = 0; i < rank; i++) {
        pads[i] = pads[rank + i] = i < 2 ? 0 : begin;
        dims[i] = shape->dims[i] + 2 * pads[i];
        count *= dims[i];
    }
    near_reads(near, node, name);
    near_reads(near, node, near_integers(near, graph, 2 * rank, pads));
    for (int64_t c = 0; c < dims[1]; c++)
        values[c] = near_number(near);
    if (count > 1000 || rank < 3)
        return node;
    size_t depth = near_chance(near, 50) || rank < 4 ? rank : rank - 1;
    double *indices = NEW_ARRAY(near->arena, double, (size_t)count *rank);
    double *updates = NEW_ARRAY(near->arena, double, (size_t)count);
    for (size_t part = 0; part < parts; part++) {
        int64_t places = 0, block = 0;
        for (int64_t at = 0; at < count; at++) {
            int64_t place[8], rest = at;
            bool border = false;
            for (size_t i = rank; i-- > 0; rest /= dims[i]) {
                place[i] = rest % dims[i];
                border = border || (i >= 2 && (place[i] < begin || place[i] >= dims[i] - begin));
            }
            bool whole = place[2] < begin || place[2] >= dims[2] - begin;
            if (!border || (depth < rank && (part == 0) != whole) || (depth == rank && (size_t)at % parts != part))
                continue;
            size_t used = part == 0 ? depth : rank;
            updates[block++] = near_chance(near, 1) ? near_number(near) : values[place[1]];
            if (used < rank && place[rank - 1])
                continue;
            for (size_t i = 0; i < used; i++)
                indices[(size_t)places * used + i] = (double)place[i];
            places++;
        }
        if (!places)
            continue;
        int64_t used = (int64_t)(part == 0 ? depth : rank);
        int64_t shapes[2][2] = {{places, used}, {places, block / places}};
        Node *scatter = near_node(near, "ScatterND");
        near_reads(near, scatter, near_ahead(near, node));
        near_reads(near, scatter, near_constant(near, graph, near_tensor(near, INT64, 2, shapes[0], indices)));
        near_reads(
            near, scatter,
            near_constant(near, graph, near_tensor(near, FLOAT, used < (int64_t)rank ? 2 : 1, shapes[1], updates)));
        node = scatter;
        if (depth < rank && part == 1)
            break;
    }
    return node;
}

/* A shape that is computed, and an op that takes it. */
static Node *draw_shaped(struct near *near, Graph *graph, char *name, const struct shape *shape)
{
    static const char *const takers[] = {"Reshape", "Expand", "ConstantOfShape", "Resize"};
    const char *taker = takers[near_below(near, COUNT_OF(takers))];
    Node *size = near_node(near, "Shape");
    near_reads(near, size, name);
    char *text = near_ahead(near, size);
    if (near_chance(near, 50)) {
        int64_t axes[8];
        Node *gather = near_node(near, "Gather");
        for (size_t i = 0; i < shape->rank; i++)
            axes[i] = near_chance(near, 90) ? (int64_t)i : (int64_t)near_below(near, shape->rank);
        near_reads(near, gather, text);
        near_reads(near, gather, near_integers(near, graph, shape->rank, axes));
        text = near_ahead(near, gather);
    }
    Node *node = near_node(near, taker);
    if (strcmp(taker, "ConstantOfShape") == 0) {
        near_reads(near, node, text);
        Node *sum = near_node(near, near_chance(near, 50) ? "Add" : "Mul");
        near_reads(near, sum, name);
        near_reads(near, sum, near_ahead(near, node));
        return sum;
    }
    near_reads(near, node, name);
    if (strcmp(taker, "Resize") == 0) {
        near_reads(near, node, arena_copy(near->arena, ""));
        near_reads(near, node, arena_copy(near->arena, ""));
    }
    near_reads(near, node, text);
    return node;
}

/* Parts along an axis, and the whole again. */
static Node *draw_split(struct near *near, Graph *graph, char *name, const struct shape *shape)
{
    int64_t axis = (int64_t)near_below(near, shape->rank), extent = shape->dims[axis];
    int64_t sizes[2] = {extent / 2, extent - extent / 2};
    Node *split = near_node(near, "Split"), *whole = near_node(near, "Concat");
    near_reads(near, split, name);
    if (near_chance(near, 70))
        near_reads(near, split, near_integers(near, graph, 2, sizes));
    near_set_int(near, split, "axis", axis);
    char *first = near_ahead(near, split), *second = near_makes(near, split, "p");
    near_reads(near, whole, first);
    near_reads(near, whole, second);
    near_set_int(near, whole, "axis", axis);
    return whole;
}

static Node *draw_unary(struct near *near, char *name, size_t rank)
{
    static const char *const unary[] = {"Identity",    "Relu",      "Neg",        "Dropout",       "Sigmoid",
                                        "Softmax",     "Abs",       "Tanh",       "Sqrt",          "Flatten",
                                        "HardSwish",   "Mish",      "Selu",       "Gelu",          "Softplus",
                                        "HardSigmoid", "Elu",       "LeakyRelu",  "Exp",           "Log",
                                        "Erf",         "Floor",     "Ceil",       "Reciprocal",    "GlobalAveragePool",
                                        "ReduceMean",  "ReduceSum", "Clip",       "Cast",          "Transpose",
                                        "Squeeze",     "Unsqueeze", "LogSoftmax", "GlobalMaxPool", "Softsign",
                                        "Sin",         "Cos",       "Sign",       "Round",         "CumSum"};
    Node *node = near_node(near, unary[near_below(near, near_chance(near, 50) ? 10 : COUNT_OF(unary))]);
    near_reads(near, node, name);
    if (strcmp(node->op_type, "Cast") == 0)
        near_set_int(near, node, "to", 1 + (int64_t)near_below(near, near_chance(near, 60) ? 1 : 16));
    if (strcmp(node->op_type, "Transpose") == 0) {
        int64_t order[8];
        for (size_t i = 0; i < rank; i++)
            order[i] = (int64_t)i;
        size_t a = near_below(near, rank), b = near_below(near, rank);
        int64_t swap = order[a];
        order[a] = order[b];
        order[b] = swap;
        near_set_ints(near, node, "perm", rank, order);
    }
    if (strncmp(node->op_type, "Reduce", 6) == 0)
        near_set_int(near, node, "keepdims", (int64_t)near_below(near, 2));
    return node;
}

static Node *draw_binary(struct near *near, Graph *graph, char *name, const struct shape *shape)
{
    static const char *const binary[] = {"Add",   "Mul", "Sub", "Div",  "Pow", "Max",
                                         "PRelu", "Min", "Mod", "Mean", "Sum", "Where"};
    int64_t per_channel[8] = {1, shape->dims[1], 1, 1, 1, 1, 1, 1};
    Node *node = near_node(near, binary[near_below(near, near_chance(near, 75) ? 4 : COUNT_OF(binary))]);
    if (near_chance(near, 15))
        per_channel[near_below(near, shape->rank)] = near_integer(near) & 7;
    size_t rank = near_chance(near, 15) ? 0 : shape->rank;
    if (strcmp(node->op_type, "Where") == 0) {
        Node *less = near_node(near, near_chance(near, 50) ? "Less" : "Greater");
        near_reads(near, less, name);
        near_reads(near, less, near_floats(near, graph, 0, per_channel, false));
        near_reads(near, node, near_ahead(near, less));
    }
    near_reads(near, node, near_floats(near, graph, rank, per_channel, false));
    near_reads(near, node, name);
    if (near_chance(near, 60)) {
        char *swap = node->input[node->n_input - 2];
        node->input[node->n_input - 2] = node->input[node->n_input - 1];
        node->input[node->n_input - 1] = swap;
    }
    if (strcmp(node->op_type, "Mod") == 0)
        near_set_int(near, node, "fmod", near_chance(near, 80));
    return node;
}

Node *near_draw_op(struct near *near, Graph *graph, char *name)
{
    struct shape shape = near_shape(near, graph, name);
    size_t rank = shape.rank;
    int64_t channels = shape.dims[1];
    Node *node;
    near->ahead.count = 0;
    switch (near_below(near, 20)) {
    case 0:
    case 1: return draw_unary(near, name, rank);
    case 2:
    case 3:
    case 4:
    case 5:
        node = near_node(near, "BatchNormalization");
        near_reads(near, node, name);
        for (int i = 0; i < 4; i++)
            near_reads(near, node, near_floats(near, graph, 1, &channels, i == 3));
        return node;
    case 6:
    case 7:
    case 8: return draw_binary(near, graph, name, &shape);
    case 9: {
        int64_t pads[16] = {0};
        node = near_node(near, "Pad");
        for (size_t i = 0; i < 2 * rank; i++)
            pads[i] = i % rank >= 2 || near_chance(near, 5) ? (int64_t)near_below(near, 3) : 0;
        near_reads(near, node, name);
        near_reads(near, node, near_integers(near, graph, 2 * rank, pads));
        return node;
    }
    case 10: return draw_window(near, name, rank);
    case 11: return draw_slice(near, graph, name, &shape);
    case 12: return draw_transposed(near, graph, name, &shape);
    case 13: return draw_matrix(near, graph, name, &shape);
    case 14: return draw_border(near, graph, name, &shape);
    case 15:
        return near_chance(near, 50) ? draw_shaped(near, graph, name, &shape) : draw_split(near, graph, name, &shape);
    default:
        return near_draw_conv(near, graph, name, channels, rank,
                              near_chance(near, 85) ? channels : 1 + (int64_t)near_below(near, 6));
    }
}
