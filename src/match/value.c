/* match/value.c: the numbers of constants and attributes, by what they hold; attributes that say what
 * their absence would say. */
#include "match/value.h"

#include "model/digest.h"
#include "model/external.h"

/* ---- constants ---- */

static void note_touch(void *closure, uint64_t bytes)
{
    struct numbering *numbering = closure;
    numbering->touched += bytes;
    if (numbering->touched < BUDGET_TOUCHED_MATCH)
        return;
    numbering->touched = 0;
    model_give_back(numbering->models[0]);
    model_give_back(numbering->models[1]);
}

/* A segment is not a complete tensor, but equal messages are equal. */
static uint32_t number_segment(struct numbering *numbering, const struct tensor *tensor)
{
    enum { BYTES_MOST = 1 << 20 };
    Onnx__TensorProto message = *tensor->proto;
    message.name = message.doc_string = NULL;
    message.n_metadata_props = 0;
    size_t size = onnx__tensor_proto__get_packed_size(&message);
    if (size > BYTES_MOST || message.data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        return number_unique(numbering);
    uint8_t *bytes = NEW_ARRAY(numbering->arena, uint8_t, size + 1);
    onnx__tensor_proto__pack(&message, bytes);
    KEY_BEGIN(numbering, key);
    key_add(&key, KIND_SEGMENT);
    key_bytes(&key, bytes, size);
    return number_key(numbering, &key)->number;
}

uint32_t number_tensor(struct numbering *numbering, const struct tensor *tensor)
{
    struct digest digest;
    struct touch touch = {note_touch, numbering};
    if (tensor->proto && tensor->proto->segment)
        return number_segment(numbering, tensor);
    if (!tensor_digest(tensor, &numbering->secret, &digest, &touch))
        return number_unique(numbering); /* its content is unknown */
    /* Two contents of one digest take different turns. */
    for (uint64_t turn = 0;; turn++) {
        uint64_t words[] = {KIND_TENSOR, digest.low, digest.high, turn};
        struct key key = {numbering->arena, words, COUNT_OF(words), COUNT_OF(words)};
        struct number_entry *entry = number_key(numbering, &key);
        if (!entry->tensor)
            entry->tensor = tensor;
        if (entry->tensor == tensor || tensor_same(entry->tensor, tensor, &touch))
            return entry->number;
    }
}

static uint32_t number_proto_tensor(struct numbering *numbering, struct model *model, const Onnx__TensorProto *proto)
{
    return proto ? number_tensor(numbering, model_tensor(model, proto)) : 0;
}

static uint32_t number_sparse(struct numbering *numbering, struct model *model, const Onnx__SparseTensorProto *sparse)
{
    KEY_BEGIN(numbering, key);
    key_add(&key, KIND_SPARSE);
    key_add(&key, number_proto_tensor(numbering, model, sparse->values));
    key_add(&key, number_proto_tensor(numbering, model, sparse->indices));
    key_bytes(&key, sparse->dims, sparse->n_dims * sizeof(*sparse->dims));
    return number_key(numbering, &key)->number;
}

struct map number_sparse_by_name(struct numbering *numbering, const Onnx__GraphProto *proto)
{
    struct map map = {0};
    for (size_t i = 0; proto && i < proto->n_sparse_initializer; i++) {
        Onnx__SparseTensorProto *sparse = proto->sparse_initializer[i];
        if (sparse->values && sparse->values->name)
            map_add(numbering->arena, &map, sparse->values->name, sparse);
    }
    return map;
}

uint32_t number_initializer(struct numbering *numbering, const struct value *value, const struct map *sparse)
{
    if (value->tensor)
        return number_tensor(numbering, value->tensor);
    const Onnx__SparseTensorProto *found = map_get(sparse, value->name);
    return found ? number_sparse(numbering, value->graph->model, found) : number_unique(numbering);
}

/* ---- attributes ---- */

static void attribute_contents(struct numbering *numbering, struct model *model, struct key *key,
                               const Onnx__AttributeProto *attribute)
{
    key_add(key, attribute->type);
    switch (attribute->type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT: key_add(key, (uint64_t)attribute->i); break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT: key_bytes(key, &attribute->f, 4); break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING: key_bytes(key, attribute->s.data, attribute->s.len); break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
        key_bytes(key, attribute->ints, attribute->n_ints * sizeof(int64_t));
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
        key_bytes(key, attribute->floats, attribute->n_floats * sizeof(float));
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS:
        for (size_t i = 0; i < attribute->n_strings; i++)
            key_bytes(key, attribute->strings[i].data, attribute->strings[i].len);
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
        key_add(key, number_proto_tensor(numbering, model, attribute->t));
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSORS:
        for (size_t i = 0; i < attribute->n_tensors; i++)
            key_add(key, number_proto_tensor(numbering, model, attribute->tensors[i]));
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSOR:
        key_add(key, attribute->sparse_tensor ? number_sparse(numbering, model, attribute->sparse_tensor) : 0);
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSORS:
        for (size_t i = 0; i < attribute->n_sparse_tensors; i++)
            key_add(key, number_sparse(numbering, model, attribute->sparse_tensors[i]));
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO: {
        /* Rare, and small: its encoding will do. */
        const Onnx__TypeProto *type = attribute->tp;
        size_t size = type ? onnx__type_proto__get_packed_size(type) : 0;
        uint8_t *bytes = arena_alloc(numbering->arena, size + 1, 1);
        if (type)
            onnx__type_proto__pack(type, bytes);
        key_bytes(key, bytes, size);
        break;
    }
    default: break; /* bodies are numbered with their node */
    }
}

uint32_t number_attribute(struct numbering *numbering, struct model *model, const Onnx__AttributeProto *attribute)
{
    KEY_BEGIN(numbering, key);
    key_add(&key, KIND_ATTRIBUTE);
    key_text(&key, attribute->name);
    key_text(&key, attribute->ref_attr_name);
    attribute_contents(numbering, model, &key, attribute);
    return number_key(numbering, &key)->number;
}
