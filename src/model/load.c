/* model/load.c: from bytes to messages: scan, unpack the skeleton, point payloads into the mapping. */
#include "model/load.h"

#include <stdlib.h>

#include "model/foreign.h"

static void *skeleton_alloc(void *arena, size_t size)
{
    return arena_try_alloc(arena, size);
}

/* Only what is large comes back: the tables of a message of many fields, once it is unpacked. */
static void skeleton_free(void *arena, void *memory)
{
    arena_give_back(arena, memory);
}

/* ---- payloads ---- */

static void restore(const struct wire_skeleton *skeleton, ProtobufCBinaryData *bytes)
{
    uint64_t number;
    if (bytes->len != WIRE_PLACEHOLDER)
        return;
    memcpy(&number, bytes->data, sizeof(number));
    if (number >= skeleton->payload_count) /* only where the file changed under the scan */
        return;
    /* protobuf-c wants a pointer to bytes it may own; nothing here writes through it. */
    bytes->data = (uint8_t *)(uintptr_t)skeleton->payloads[number].data;
    bytes->len = skeleton->payloads[number].size;
}

static void restore_graph(const struct wire_skeleton *skeleton, const Onnx__GraphProto *graph);

static void restore_tensor(const struct wire_skeleton *skeleton, Onnx__TensorProto *tensor)
{
    if (!tensor)
        return;
    restore(skeleton, &tensor->raw_data);
    for (size_t i = 0; i < tensor->n_string_data; i++)
        restore(skeleton, &tensor->string_data[i]);
}

static void restore_sparse(const struct wire_skeleton *skeleton, Onnx__SparseTensorProto *sparse)
{
    if (!sparse)
        return;
    restore_tensor(skeleton, sparse->values);
    restore_tensor(skeleton, sparse->indices);
}

static void restore_attribute(const struct wire_skeleton *skeleton, Onnx__AttributeProto *attribute)
{
    restore(skeleton, &attribute->s);
    for (size_t i = 0; i < attribute->n_strings; i++)
        restore(skeleton, &attribute->strings[i]);
    restore_tensor(skeleton, attribute->t);
    for (size_t i = 0; i < attribute->n_tensors; i++)
        restore_tensor(skeleton, attribute->tensors[i]);
    restore_sparse(skeleton, attribute->sparse_tensor);
    for (size_t i = 0; i < attribute->n_sparse_tensors; i++)
        restore_sparse(skeleton, attribute->sparse_tensors[i]);
    restore_graph(skeleton, attribute->g);
    for (size_t i = 0; i < attribute->n_graphs; i++)
        restore_graph(skeleton, attribute->graphs[i]);
}

static void restore_nodes(const struct wire_skeleton *skeleton, Onnx__NodeProto *const *nodes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < nodes[i]->n_attribute; k++)
            restore_attribute(skeleton, nodes[i]->attribute[k]);
}

static void restore_graph(const struct wire_skeleton *skeleton, const Onnx__GraphProto *graph)
{
    if (!graph)
        return;
    restore_nodes(skeleton, graph->node, graph->n_node);
    for (size_t i = 0; i < graph->n_initializer; i++)
        restore_tensor(skeleton, graph->initializer[i]);
    for (size_t i = 0; i < graph->n_sparse_initializer; i++)
        restore_sparse(skeleton, graph->sparse_initializer[i]);
}

/* ---- external data ---- */

/* Bytes of external data that the model asks for: those of its tensors, and of no file more than it has,
 * whatever its names. */
static size_t claimed_bytes(const struct model *model)
{
    struct map seen = {0};
    uint64_t bytes = 0;
    for (const struct external_file *file = model->folder ? model->folder->files : NULL; file; file = file->next) {
        const struct file_mark *mark = &file->mapping.mark;
        const char *key =
            arena_format(model->arena, "%llu %llu", (unsigned long long)mark->device, (unsigned long long)mark->inode);
        uint64_t *left = map_get(&seen, key); /* of the file */
        if (!left) {
            left = NEW(model->arena, uint64_t);
            *left = file->mapping.size;
            map_put(model->arena, &seen, key, left);
        }
        uint64_t more = file->claimed < *left ? file->claimed : *left;
        *left -= more;
        bytes += more;
    }
    return bytes < SIZE_MAX ? (size_t)bytes : SIZE_MAX;
}

void model_parse(struct model *model)
{
    struct wire_skeleton *skeleton = &model->skeleton;
    if (model->bytes.size == 0)
        fail(model->arena->landing, ONNX_FUSE_NOT_ONNX, "%s: is empty, expected an ONNX model", model->path);
    if (model->bytes.size > INT32_MAX)
        fail(model->arena->landing, ONNX_FUSE_LIMIT,
             "%s: has %zu bytes, but a protobuf message is limited to 2 GiB (2147483647 bytes): save the "
             "model with its weights as external data",
             model->path, model->bytes.size);
    landing_bound(model->arena->landing, model->path, model->arena->landing->input + model->bytes.size);
    wire_scan(model->arena, model->path, model->bytes.data, model->bytes.size, &onnx__model_proto__descriptor,
              skeleton);
    ProtobufCAllocator allocator = {skeleton_alloc, skeleton_free, model->arena};
    Onnx__ModelProto *proto = onnx__model_proto__unpack(&allocator, skeleton->size, skeleton->bytes);
    free(skeleton->bytes);
    skeleton->bytes = NULL;
    if (!proto && model->arena->landing->is_over)
        fail_over(model->arena->landing);
    if (!proto)
        fail(model->arena->landing, ONNX_FUSE_OUT_OF_MEMORY, "%s: out of memory while decoding %zu bytes of structure",
             model->path, skeleton->size);
    if (!proto->graph) {
        const char *kind = foreign_kind(model->bytes.data, model->bytes.size);
        fail(model->arena->landing, ONNX_FUSE_NOT_ONNX, "%s: %s%s", model->path,
             kind ? "not an ONNX model but " : "has no graph; it is not an ONNX model", kind ? kind : "");
    }
    model->proto = proto;
    model->ir_version = proto->has_ir_version ? proto->ir_version : 0;
    restore_graph(skeleton, proto->graph);
    for (size_t i = 0; i < proto->n_functions; i++)
        restore_nodes(skeleton, proto->functions[i]->node, proto->functions[i]->n_node);
}

void model_build(struct model *model)
{
    graph_build(model);
    size_t input = model->arena->landing->input + claimed_bytes(model);
    landing_bound(model->arena->landing, model->path, input);
    model->folding = effort_for(input);
}

void model_load(struct model *model)
{
    model_parse(model);
    model_build(model);
}
