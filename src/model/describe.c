/* model/describe.c: nodes, attributes and types as texts. */
#include "model/describe.h"

#include <inttypes.h>

#include "base/decimal.h"
#include "base/text.h"

const char *describe_node(struct arena *arena, const struct node *node)
{
    const char *type = text_or_empty(node->proto->op_type);
    const struct value *output = node_output(node, 0);
    if (node->proto->name && node->proto->name[0])
        return arena_format(arena, "%s '%s'", type, node->proto->name);
    return arena_format(arena, "%s that makes '%s'", type, output ? output->name : "");
}

enum { LIST_MOST = 32 }; /* entries of a list that are shown */

const char *describe_attribute(struct arena *arena, const Onnx__AttributeProto *attribute)
{
    struct text text = {.arena = arena};
    size_t count;
    bool ints, floats;
    if (attribute->ref_attr_name && attribute->ref_attr_name[0])
        return arena_format(arena, "@%s", attribute->ref_attr_name);
    switch (attribute->type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT: return arena_format(arena, "%" PRId64, attribute->i);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
        return arena_copy(arena, decimal_rounded((double)attribute->f, 9).text);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        return arena_format(arena, "\"%.*s\"", (int)(attribute->s.len < 256 ? attribute->s.len : 256),
                            attribute->s.data ? (const char *)attribute->s.data : "");
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS:
        /* A hostile file may fill several of them. The type determines the valid one. */
        ints = attribute->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
        floats = attribute->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS;
        count = ints ? attribute->n_ints : floats ? attribute->n_floats : attribute->n_strings;
        text_print(&text, "[");
        for (size_t i = 0; i < count && i < LIST_MOST; i++) {
            text_print(&text, "%s", i ? ", " : "");
            if (ints)
                text_print(&text, "%" PRId64, attribute->ints[i]);
            else if (floats)
                text_print(&text, "%s", decimal_rounded((double)attribute->floats[i], 9).text);
            else
                text_print(&text, "\"%.*s\"", (int)(attribute->strings[i].len < 64 ? attribute->strings[i].len : 64),
                           attribute->strings[i].data ? (const char *)attribute->strings[i].data : "");
        }
        text_print(&text, count > LIST_MOST ? ", ... %zu in all]" : "]", count);
        return text.bytes;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
        if (!attribute->t)
            return "a tensor";
        text_print(&text, "%s [", type_name(attribute->t->data_type));
        for (size_t i = 0; i < attribute->t->n_dims; i++)
            text_print(&text, "%s%" PRId64, i ? ", " : "", attribute->t->dims[i]);
        text_print(&text, "]");
        return text.bytes;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH:
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPHS: return "a graph";
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO:
        return attribute->tp ? describe_type(arena, attribute->tp) : "a type";
    default: return "a value of another type";
    }
}

static void print_shape(struct text *text, const Onnx__TensorShapeProto *shape)
{
    if (!shape) {
        text_print(text, " of any shape");
        return;
    }
    text_print(text, " [");
    for (size_t i = 0; i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
        text_print(text, "%s", i ? ", " : "");
        if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
            text_print(text, "%" PRId64, dim->dim_value);
        else if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && dim->dim_param &&
                 dim->dim_param[0])
            text_print(text, "%s", dim->dim_param);
        else
            text_print(text, "?");
    }
    text_print(text, "]");
}

const char *describe_type(struct arena *arena, const Onnx__TypeProto *type)
{
    struct text text = {.arena = arena};
    if (!type)
        return "of any type";
    switch (type->value_case) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
        text_print(&text, "%s", type_name(type->tensor_type->elem_type));
        print_shape(&text, type->tensor_type->shape);
        return text.bytes;
    case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        text_print(&text, "sparse %s", type_name(type->sparse_tensor_type->elem_type));
        print_shape(&text, type->sparse_tensor_type->shape);
        return text.bytes;
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        return arena_format(arena, "sequence of %s", describe_type(arena, type->sequence_type->elem_type));
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        return arena_format(arena, "optional %s", describe_type(arena, type->optional_type->elem_type));
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        return arena_format(arena, "map from %s to %s", type_name(type->map_type->key_type),
                            describe_type(arena, type->map_type->value_type));
    default: return "of any type";
    }
}
