/* net.h: small models for unit tests, made of messages and read by the loader as a file would be. */
#ifndef NET_H
#define NET_H

#include <stdlib.h>
#include <string.h>

#include "infer/call.h"
#include "model/load.h"
#include "unit.h"

enum { NET_MOST = 32 }; /* of each kind */

struct net {
    struct unit *unit;
    Onnx__ModelProto model;
    Onnx__GraphProto graph;
    Onnx__OperatorSetIdProto opset, *opsets[1];
    Onnx__ValueInfoProto *inputs[NET_MOST], *outputs[NET_MOST];
    Onnx__NodeProto *nodes[NET_MOST];
    Onnx__TensorProto *tensors[NET_MOST];
};

static inline void net_begin(struct net *net, struct unit *unit)
{
    *net = (struct net){.unit = unit};
    onnx__model_proto__init(&net->model);
    onnx__graph_proto__init(&net->graph);
    onnx__operator_set_id_proto__init(&net->opset);
    net->opset.has_version = net->model.has_ir_version = 1;
    net->opset.version = 17;
    net->opset.domain = "";
    net->model.ir_version = 8;
    net->opsets[0] = &net->opset;
    net->model.opset_import = net->opsets;
    net->model.n_opset_import = 1;
    net->model.graph = &net->graph;
    net->graph.name = "g";
    net->graph.input = net->inputs;
    net->graph.output = net->outputs;
    net->graph.node = net->nodes;
    net->graph.initializer = net->tensors;
}

/* A value of floats. A size of -1 is open, with a name of its own. */
static inline Onnx__ValueInfoProto *net_value(struct net *net, const char *name, int rank, const int64_t *dims)
{
    struct arena *arena = &net->unit->arena;
    Onnx__ValueInfoProto *info = NEW(arena, Onnx__ValueInfoProto);
    Onnx__TypeProto *type = NEW(arena, Onnx__TypeProto);
    Onnx__TypeProto__Tensor *tensor = NEW(arena, Onnx__TypeProto__Tensor);
    Onnx__TensorShapeProto *shape = NEW(arena, Onnx__TensorShapeProto);
    onnx__value_info_proto__init(info);
    onnx__type_proto__init(type);
    onnx__type_proto__tensor__init(tensor);
    onnx__tensor_shape_proto__init(shape);
    shape->dim = NEW_ARRAY(arena, Onnx__TensorShapeProto__Dimension *, rank + 1);
    for (int i = 0; i < rank; i++) {
        Onnx__TensorShapeProto__Dimension *dim = NEW(arena, Onnx__TensorShapeProto__Dimension);
        onnx__tensor_shape_proto__dimension__init(dim);
        dim->value_case = dims[i] < 0 ? ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM
                                      : ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        if (dims[i] < 0)
            dim->dim_param = arena_format(arena, "%s_%d", name, i);
        else
            dim->dim_value = dims[i];
        shape->dim[shape->n_dim++] = dim;
    }
    tensor->has_elem_type = 1;
    tensor->elem_type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    tensor->shape = rank < 0 ? NULL : shape;
    type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type->tensor_type = tensor;
    info->name = arena_copy(arena, name);
    info->type = type;
    return info;
}

#define NET_DIMS(...)                                                                                                  \
    (int)(sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[])                                 \
    {                                                                                                                  \
        __VA_ARGS__                                                                                                    \
    }

static inline void net_input(struct net *net, const char *name, int rank, const int64_t *dims)
{
    net->inputs[net->graph.n_input++] = net_value(net, name, rank, dims);
}

static inline void net_output(struct net *net, const char *name)
{
    net->outputs[net->graph.n_output++] = net_value(net, name, -1, NULL);
}

static inline Onnx__TensorProto *net_tensor(struct net *net, const char *name, int32_t type, int rank,
                                            const int64_t *dims)
{
    struct arena *arena = &net->unit->arena;
    Onnx__TensorProto *tensor = NEW(arena, Onnx__TensorProto);
    onnx__tensor_proto__init(tensor);
    tensor->name = arena_copy(arena, name);
    tensor->has_data_type = 1;
    tensor->data_type = type;
    tensor->dims = NEW_ARRAY(arena, int64_t, rank + 1);
    memcpy(tensor->dims, dims, (size_t)rank * sizeof(*dims));
    tensor->n_dims = (size_t)rank;
    return net->tensors[net->graph.n_initializer++] = tensor;
}

/* An initializer of floats, drawn. */
static inline const float *net_weight(struct net *net, const char *name, int rank, const int64_t *dims)
{
    Onnx__TensorProto *tensor = net_tensor(net, name, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, rank, dims);
    size_t count = 1;
    for (int i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    tensor->n_float_data = count;
    tensor->float_data = NEW_ARRAY(&net->unit->arena, float, count);
    for (size_t i = 0; i < count; i++)
        tensor->float_data[i] = (float)unit_number(&net->unit->state);
    return tensor->float_data;
}

/* An initializer of integers, of one axis. */
static inline void net_integers(struct net *net, const char *name, int count, const int64_t *numbers)
{
    const int64_t dims[] = {count};
    Onnx__TensorProto *tensor = net_tensor(net, name, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, dims);
    tensor->n_int64_data = (size_t)count;
    tensor->int64_data = NEW_ARRAY(&net->unit->arena, int64_t, count);
    memcpy(tensor->int64_data, numbers, (size_t)count * sizeof(*numbers));
}

/* "a b" as an array of names. */
static inline char **net_names(struct net *net, const char *names, size_t *count)
{
    char **list = NEW_ARRAY(&net->unit->arena, char *, NET_MOST);
    char *rest = arena_copy(&net->unit->arena, names);
    *count = 0;
    while (rest) {
        char *end = strchr(rest, ' ');
        if (end)
            *end++ = 0;
        list[(*count)++] = rest;
        rest = end;
    }
    return list;
}

static inline Onnx__NodeProto *net_node(struct net *net, const char *op, const char *inputs, const char *outputs)
{
    struct arena *arena = &net->unit->arena;
    Onnx__NodeProto *node = NEW(arena, Onnx__NodeProto);
    onnx__node_proto__init(node);
    node->op_type = arena_copy(arena, op);
    node->input = net_names(net, inputs, &node->n_input);
    node->output = net_names(net, outputs, &node->n_output);
    node->attribute = NEW_ARRAY(arena, Onnx__AttributeProto *, NET_MOST);
    return net->nodes[net->graph.n_node++] = node;
}

static inline Onnx__AttributeProto *net_attribute(struct net *net, Onnx__NodeProto *node, const char *name, int type)
{
    Onnx__AttributeProto *attribute = NEW(&net->unit->arena, Onnx__AttributeProto);
    onnx__attribute_proto__init(attribute);
    attribute->name = arena_copy(&net->unit->arena, name);
    attribute->has_type = 1;
    attribute->type = (Onnx__AttributeProto__AttributeType)type;
    return node->attribute[node->n_attribute++] = attribute;
}

static inline void net_set(struct net *net, Onnx__NodeProto *node, const char *name, int64_t value)
{
    Onnx__AttributeProto *attribute = net_attribute(net, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    attribute->has_i = 1;
    attribute->i = value;
}

static inline void net_set_list(struct net *net, Onnx__NodeProto *node, const char *name, int count,
                                const int64_t *values)
{
    Onnx__AttributeProto *attribute = net_attribute(net, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    attribute->n_ints = (size_t)count;
    attribute->ints = NEW_ARRAY(&net->unit->arena, int64_t, count);
    memcpy(attribute->ints, values, (size_t)count * sizeof(*values));
}

/* The model, loaded from its bytes, with its shapes. It lies in the arena. */
static inline struct model *net_load(struct net *net, const char *path)
{
    struct arena *arena = &net->unit->arena;
    struct model *model = NEW(arena, struct model);
    size_t size = onnx__model_proto__get_packed_size(&net->model);
    uint8_t *bytes = arena_alloc(arena, size, 1);
    onnx__model_proto__pack(&net->model, bytes);
    *model = (struct model){.arena = arena, .path = path, .bytes = {.data = bytes, .size = size, .descriptor = -1}};
    model_load(model);
    shape_infer(model);
    return model;
}

static inline struct value *net_find(const struct model *model, const char *name)
{
    return graph_find(model->graphs.items[0], name);
}

static inline void net_close(struct model *model)
{
    free(model->skeleton.bytes);
    model->skeleton.bytes = NULL;
}

#endif
