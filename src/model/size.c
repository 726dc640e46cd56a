/* model/size.c: descriptions of values, with numbers in the place of symbols. */
#include "model/size.h"

int64_t size_declared(const Onnx__TensorShapeProto__Dimension *dim)
{
    bool known = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
    return known && dim->dim_value >= 0 ? dim->dim_value : -1;
}

const Onnx__TensorShapeProto *size_shape(const Onnx__ValueInfoProto *info)
{
    const Onnx__TypeProto *type = info->type;
    bool tensor = type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE && type->tensor_type;
    return tensor ? type->tensor_type->shape : NULL;
}

/* A value whose own sizes are set, in addition to symbols; or NULL. */
static int64_t size_of(const struct model *model, const struct value *value, const Onnx__TensorShapeProto *shape,
                       size_t axis)
{
    const Onnx__TensorShapeProto__Dimension *dim = shape->dim[axis];
    if (size_declared(dim) >= 0)
        return -1; /* nothing to tell */
    if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && dim->dim_param) {
        const int64_t *size = map_get(&model->sizes, dim->dim_param);
        if (size)
            return *size;
    }
    return value && value->rank == (int)shape->n_dim ? value->dims[axis] : -1;
}

static Onnx__TensorShapeProto *shape_with_sizes(const struct model *model, const Onnx__TensorShapeProto *shape,
                                                const struct value *value)
{
    struct arena *arena = model->arena;
    Onnx__TensorShapeProto *copy = NULL;
    for (size_t i = 0; shape && i < shape->n_dim; i++) {
        int64_t size = size_of(model, value, shape, i);
        if (size < 0)
            continue;
        if (!copy) {
            copy = NEW(arena, Onnx__TensorShapeProto);
            *copy = *shape;
            copy->dim = NEW_ARRAY(arena, Onnx__TensorShapeProto__Dimension *, shape->n_dim);
            memcpy(copy->dim, shape->dim, shape->n_dim * sizeof(*copy->dim));
        }
        copy->dim[i] = NEW(arena, Onnx__TensorShapeProto__Dimension);
        *copy->dim[i] = *shape->dim[i]; /* its denotation stays */
        copy->dim[i]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        copy->dim[i]->dim_value = size;
    }
    return copy;
}

static Onnx__TensorShapeProto *shape_of(struct arena *arena, const struct value *value)
{
    Onnx__TensorShapeProto *shape = NEW(arena, Onnx__TensorShapeProto);
    onnx__tensor_shape_proto__init(shape);
    shape->n_dim = (size_t)value->rank;
    shape->dim = NEW_ARRAY(arena, Onnx__TensorShapeProto__Dimension *, shape->n_dim + 1);
    for (size_t i = 0; i < shape->n_dim; i++) {
        shape->dim[i] = NEW(arena, Onnx__TensorShapeProto__Dimension);
        onnx__tensor_shape_proto__dimension__init(shape->dim[i]);
        shape->dim[i]->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        shape->dim[i]->dim_value = value->dims[i];
    }
    return shape;
}

/* NULL: nothing changes. Types are inside each other no deeper than the wire format allows. */
static Onnx__TypeProto *type_with_sizes(const struct model *model, const Onnx__TypeProto *type,
                                        const struct value *value)
{
    struct arena *arena = model->arena;
    Onnx__TypeProto made;
    if (!type)
        return NULL;
    made = *type;
    switch (type->value_case) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE: {
        Onnx__TensorShapeProto *shape = shape_with_sizes(model, type->tensor_type->shape, value);
        if (!type->tensor_type->shape && value && value->is_sized)
            shape = shape_of(arena, value);
        if (!shape)
            return NULL;
        made.tensor_type = NEW(arena, Onnx__TypeProto__Tensor);
        *made.tensor_type = *type->tensor_type;
        made.tensor_type->shape = shape;
        break;
    }
    case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE: {
        Onnx__TensorShapeProto *shape = shape_with_sizes(model, type->sparse_tensor_type->shape, NULL);
        if (!shape)
            return NULL;
        made.sparse_tensor_type = NEW(arena, Onnx__TypeProto__SparseTensor);
        *made.sparse_tensor_type = *type->sparse_tensor_type;
        made.sparse_tensor_type->shape = shape;
        break;
    }
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE: {
        Onnx__TypeProto *inner = type_with_sizes(model, type->sequence_type->elem_type, NULL);
        if (!inner)
            return NULL;
        made.sequence_type = NEW(arena, Onnx__TypeProto__Sequence);
        *made.sequence_type = *type->sequence_type;
        made.sequence_type->elem_type = inner;
        break;
    }
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE: {
        Onnx__TypeProto *inner = type_with_sizes(model, type->optional_type->elem_type, NULL);
        if (!inner)
            return NULL;
        made.optional_type = NEW(arena, Onnx__TypeProto__Optional);
        *made.optional_type = *type->optional_type;
        made.optional_type->elem_type = inner;
        break;
    }
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE: {
        Onnx__TypeProto *inner = type_with_sizes(model, type->map_type->value_type, NULL);
        if (!inner)
            return NULL;
        made.map_type = NEW(arena, Onnx__TypeProto__Map);
        *made.map_type = *type->map_type;
        made.map_type->value_type = inner;
        break;
    }
    default: return NULL;
    }
    Onnx__TypeProto *copy = NEW(arena, Onnx__TypeProto);
    *copy = made;
    return copy;
}

const Onnx__ValueInfoProto *size_described(const struct graph *graph, const Onnx__ValueInfoProto *info)
{
    const struct model *model = graph->model;
    if (!model->is_sized || graph->function)
        return NULL;
    const struct value *value = info->name ? map_get(&graph->values, info->name) : NULL;
    /* The resulting sizes of computed values are declared too, as the purpose of fixing sizes. */
    bool is_told = value && !graph->parent && (value->is_sized || value->first_producer) && !value->disputed;
    Onnx__TypeProto *type = type_with_sizes(model, info->type, is_told ? value : NULL);
    if (!type)
        return NULL;
    Onnx__ValueInfoProto *copy = NEW(model->arena, Onnx__ValueInfoProto);
    *copy = *info;
    copy->type = type;
    return copy;
}
