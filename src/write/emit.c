/* write/emit.c: splits changed messages, and copies everything else. */
#include "write/emit.h"

#include <stdlib.h>

#include "model/edit.h"
#include "model/external.h"
#include "model/size.h"

/* Field numbers of onnx.proto. */
enum {
    MODEL_GRAPH = 7,
    MODEL_FUNCTIONS = 25,
    GRAPH_NODE = 1,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_VALUE_INFO = 13,
    GRAPH_SPARSE_INITIALIZER = 15,
    FUNCTION_NODE = 7,
    FUNCTION_VALUE_INFO = 12,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_ATTRIBUTE = 5,
    ATTRIBUTE_TENSOR = 5,
    ATTRIBUTE_TENSORS = 10,
    SPARSE_VALUES = 1,
    SPARSE_INDICES = 2,
    ATTRIBUTE_GRAPH = 6,
    ATTRIBUTE_GRAPHS = 11,
    TENSOR_RAW_DATA = 9,
    TENSOR_EXTERNAL_DATA = 13,
    TENSOR_DATA_LOCATION = 14,
};

#define MESSAGE_LIMIT ((uint64_t)INT32_MAX)

/* Tensors of fewer bytes stay in the model; larger ones start on a page, so that a runtime can map
 * them (ONNX, external data, attribute offset). */
enum { EXTERNAL_LEAST = 1024, EXTERNAL_PAGE = 4096 };

struct emitter {
    struct model *model;
    struct arena *arena;
    const struct emit_placement *placement;
    struct pieces *data; /* of the new data file */
    size_t function;     /* index of the next one */
    struct memo emitted; /* by node: bool, true for a new one that is out */
    uint8_t *room;       /* for new messages: one behind the other, they make one piece */
    size_t left;
};

enum { ROOM = 16 * 1024 };

/* The position of a walk over a graph. Fields of one kind are counted. */
struct cursor {
    size_t node, initializer, sparse, input, output, value_info;
    size_t named;       /* initializers so far that have a value */
    struct node **made; /* new nodes by position */
    size_t made_count, next_made;
    bool wrote_initializers, wrote_inputs;
};

/* ---- pieces ---- */

static void add_bytes(struct emitter *emitter, struct pieces *to, const uint8_t *data, size_t size,
                      const struct mapping *mapping)
{
    if (!size)
        return;
    struct piece *last = to->list.count ? &to->list.items[to->list.count - 1] : NULL;
    if (last && !last->tensor && last->mapping == mapping && last->data + last->size == data) {
        last->size += size;
    } else {
        struct piece piece = {.data = data, .mapping = mapping, .size = size};
        LIST_PUSH(emitter->arena, &to->list, piece);
    }
    to->size += size;
}

static void add_span(struct emitter *emitter, struct pieces *to, const uint8_t *from, const uint8_t *end)
{
    add_bytes(emitter, to, from, (size_t)(end - from), &emitter->model->bytes);
}

static uint8_t *take_room(struct emitter *emitter, size_t size)
{
    if (size > emitter->left) {
        emitter->left = size > ROOM ? size : ROOM;
        emitter->room = arena_alloc(emitter->arena, emitter->left, 1);
    }
    uint8_t *bytes = emitter->room;
    emitter->room += size;
    emitter->left -= size;
    return bytes;
}

static const uint8_t *make_header(struct emitter *emitter, uint32_t number, uint64_t size, size_t *length)
{
    uint8_t header[16];
    *length = wire_header(number, size, header);
    return memcpy(take_room(emitter, *length), header, *length);
}

static void add_header(struct emitter *emitter, struct pieces *to, uint32_t number, uint64_t size)
{
    size_t length;
    const uint8_t *header = make_header(emitter, number, size, &length);
    add_bytes(emitter, to, header, length, NULL);
}

/* A field whose content is made piece by piece. Its header stands in front and is known at the end. */
struct open_field {
    size_t header;
    uint64_t before;
};

static struct open_field field_open(struct emitter *emitter, struct pieces *to)
{
    static const uint8_t nothing[1];
    struct open_field field = {to->list.count, to->size};
    LIST_PUSH(emitter->arena, &to->list, (struct piece){.data = nothing});
    return field;
}

static void field_close(struct emitter *emitter, struct pieces *to, struct open_field field, uint32_t number)
{
    size_t length;
    struct piece *piece = &to->list.items[field.header];
    piece->data = make_header(emitter, number, to->size - field.before, &length);
    piece->size = length;
    to->size += length;
}

/* ---- new messages ---- */

struct packer {
    ProtobufCBuffer base;
    struct emitter *emitter;
    struct pieces *to;
    const struct tensor *tensor; /* whose numbers the message asks for, or NULL */
    uint8_t *bytes;
    size_t used;
};

static void pack_append(ProtobufCBuffer *buffer, size_t size, const uint8_t *data)
{
    struct packer *packer = (struct packer *)buffer;
    if (data == (const uint8_t *)packer->tensor && data) {
        struct piece piece = {.tensor = packer->tensor, .size = size};
        LIST_PUSH(packer->emitter->arena, &packer->to->list, piece);
        packer->to->size += size;
        return;
    }
    if (size)
        memcpy(packer->bytes + packer->used, data, size);
    add_bytes(packer->emitter, packer->to, packer->bytes + packer->used, size, NULL);
    packer->used += size;
}

/* The bytes of a message without tag and length. */
static void add_packed(struct emitter *emitter, struct pieces *to, const ProtobufCMessage *message,
                       const struct tensor *tensor)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    size_t numbers = tensor ? tensor_bytes(tensor) : 0;
    struct packer packer = {.base = {pack_append}, .emitter = emitter, .to = to, .tensor = tensor};
    packer.bytes = take_room(emitter, size - numbers);
    protobuf_c_message_pack_to_buffer(message, &packer.base);
}

static void add_message(struct emitter *emitter, struct pieces *to, uint32_t number, const ProtobufCMessage *message,
                        const struct tensor *tensor)
{
    add_header(emitter, to, number, protobuf_c_message_get_packed_size(message));
    add_packed(emitter, to, message, tensor);
}

/* A new initializer is listed as an input too where ONNX asks for it: below IR 4. */
static void add_input(struct emitter *emitter, struct pieces *to, const struct value *value)
{
    Onnx__ValueInfoProto info = ONNX__VALUE_INFO_PROTO__INIT;
    Onnx__TypeProto type = ONNX__TYPE_PROTO__INIT;
    Onnx__TypeProto__Tensor tensor = ONNX__TYPE_PROTO__TENSOR__INIT;
    Onnx__TensorShapeProto shape = ONNX__TENSOR_SHAPE_PROTO__INIT;
    int rank = value->tensor->rank;
    Onnx__TensorShapeProto__Dimension *dims = NEW_ARRAY(emitter->arena, Onnx__TensorShapeProto__Dimension, rank + 1);
    shape.n_dim = (size_t)rank;
    shape.dim = NEW_ARRAY(emitter->arena, Onnx__TensorShapeProto__Dimension *, rank + 1);
    for (int i = 0; i < rank; i++) {
        onnx__tensor_shape_proto__dimension__init(&dims[i]);
        dims[i].value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        dims[i].dim_value = value->tensor->dims[i];
        shape.dim[i] = &dims[i];
    }
    tensor.has_elem_type = true;
    tensor.elem_type = value->tensor->type;
    tensor.shape = &shape;
    type.value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    type.tensor_type = &tensor;
    info.name = arena_copy(emitter->arena, value->name);
    info.type = &type;
    add_message(emitter, to, GRAPH_INPUT, &info.base, NULL);
}

/* ---- graphs ---- */

static bool graph_is_dirty(const struct graph *graph);

/* External data of other tensors than initializers moves too, if it can be read. */
static bool proto_moves(const struct emitter *emitter, const Onnx__TensorProto *proto)
{
    return proto && emitter->placement->move_external && emitter->model->folder &&
           proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
}

static bool attribute_moves(const struct emitter *emitter, const Onnx__AttributeProto *attribute)
{
    bool moves = proto_moves(emitter, attribute->t);
    for (size_t i = 0; i < attribute->n_tensors; i++)
        moves = moves || proto_moves(emitter, attribute->tensors[i]);
    return moves;
}

static bool moves_anything(const struct emitter *emitter)
{
    return emitter->placement->move_external || emitter->placement->move_inline;
}

static bool node_is_dirty(const struct emitter *emitter, const struct node *node)
{
    if (node->filed)
        return true;
    for (size_t i = 0; i < node->body_count; i++)
        if (graph_is_dirty(node->bodies[i]) || moves_anything(emitter))
            return true;
    for (size_t i = 0; i < node->proto->n_attribute; i++)
        if (attribute_moves(emitter, node->proto->attribute[i]))
            return true;
    return false;
}

static bool graph_is_dirty(const struct graph *graph)
{
    if (graph->changed)
        return true;
    for (size_t i = 0; i < graph->node_count; i++)
        for (size_t k = 0; k < graph->nodes[i]->body_count; k++)
            if (graph_is_dirty(graph->nodes[i]->bodies[k]))
                return true;
    return false;
}

/* The place of the next field of a kind among those that were unpacked. The file may have changed
 * since then. */
static size_t next_of(const struct emitter *emitter, size_t *next, size_t count)
{
    if (*next >= count)
        wire_changed(emitter->arena->landing);
    return (*next)++;
}

/* Gives a piece its place in the data file and says so in fields of a TensorProto. */
static void add_external(struct emitter *emitter, struct pieces *to, struct piece piece)
{
    struct pieces *data = emitter->data;
    data->size = (data->size + EXTERNAL_PAGE - 1) / EXTERNAL_PAGE * EXTERNAL_PAGE;
    piece.offset = data->size;
    data->size += piece.size;
    LIST_PUSH(emitter->arena, &data->list, piece);
    const char *entries[][2] = {{"location", emitter->placement->location},
                                {"offset", arena_format(emitter->arena, "%llu", (unsigned long long)piece.offset)},
                                {"length", arena_format(emitter->arena, "%llu", (unsigned long long)piece.size)}};
    for (size_t i = 0; i < COUNT_OF(entries); i++) {
        Onnx__StringStringEntryProto entry = ONNX__STRING_STRING_ENTRY_PROTO__INIT;
        entry.key = (char *)(uintptr_t)entries[i][0];
        entry.value = (char *)(uintptr_t)entries[i][1];
        add_message(emitter, to, TENSOR_EXTERNAL_DATA, &entry.base, NULL);
    }
    static const uint8_t external[] = {TENSOR_DATA_LOCATION << 3, 1};
    add_bytes(emitter, to, external, sizeof(external), NULL);
}

/* True for a tensor of the file whose bytes are to move. */
static bool tensor_moves(const struct emitter *emitter, const struct tensor *tensor)
{
    if (tensor->external)
        return emitter->placement->move_external;
    return emitter->placement->move_inline && tensor->proto && tensor->proto->has_raw_data &&
           tensor->proto->raw_data.len >= EXTERNAL_LEAST;
}

/* The same tensor with its bytes elsewhere: into the model, or to the new data file. */
static void move_tensor(struct emitter *emitter, struct pieces *to, uint32_t number, const struct wire_field *field,
                        const struct tensor *tensor)
{
    struct open_field moved = field_open(emitter, to);
    struct wire_field inner;
    const uint8_t *at = field->content, *end = at + field->size;
    while (wire_next(emitter->arena->landing, &at, end, &inner))
        if (inner.number != TENSOR_EXTERNAL_DATA && inner.number != TENSOR_DATA_LOCATION &&
            inner.number != TENSOR_RAW_DATA)
            add_span(emitter, to, inner.start, inner.end);
    struct piece piece = {
        .data = tensor->proto->raw_data.data, .size = tensor->proto->raw_data.len, .mapping = &emitter->model->bytes};
    if (tensor->external)
        piece = (struct piece){.data = tensor->external->data,
                               .size = tensor->external->size,
                               .mapping = &tensor->external->file->mapping};
    if (emitter->placement->location && piece.size >= EXTERNAL_LEAST) {
        add_external(emitter, to, piece);
    } else {
        add_header(emitter, to, TENSOR_RAW_DATA, piece.size);
        add_bytes(emitter, to, piece.data, piece.size, piece.mapping);
    }
    field_close(emitter, to, moved, number);
}

static void emit_graph(struct emitter *emitter, struct graph *graph, struct cursor *cursor, const uint8_t *at,
                       const uint8_t *end, struct pieces *to);

static int by_position(const void *a, const void *b)
{
    const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

static bool *was_emitted(struct emitter *emitter, const struct node *node)
{
    return memo_item(emitter->arena, &emitter->emitted, sizeof(bool), node->index);
}

static void cursor_open(struct emitter *emitter, struct graph *graph, struct cursor *cursor)
{
    *cursor = (struct cursor){0};
    cursor->made = NEW_ARRAY(emitter->arena, struct node *, graph->new_nodes.count + 1);
    for (size_t i = 0; i < graph->new_nodes.count; i++) {
        struct node *node = graph->new_nodes.items[i];
        *was_emitted(emitter, node) = false;
        if (!node->removed)
            cursor->made[cursor->made_count++] = node;
    }
    if (cursor->made_count)
        qsort(cursor->made, cursor->made_count, sizeof(*cursor->made), by_position);
}

static void emit_attribute(struct emitter *emitter, const struct node *node, size_t index, size_t *body,
                           const struct wire_field *field, struct pieces *to)
{
    const Onnx__AttributeProto *attribute = node->proto->attribute[index];
    struct open_field whole = field_open(emitter, to);
    struct wire_field inner;
    const uint8_t *at = field->content, *end = at + field->size;
    struct cursor single = {0};
    struct graph *of_single = NULL;
    size_t listed = 0;
    if (attribute->g) {
        of_single = node->bodies[next_of(emitter, body, node->body_count)];
        cursor_open(emitter, of_single, &single);
    }
    while (wire_next(emitter->arena->landing, &at, end, &inner)) {
        const Onnx__TensorProto *tensor = NULL;
        if (inner.content && inner.number == ATTRIBUTE_TENSOR)
            tensor = attribute->t;
        else if (inner.content && inner.number == ATTRIBUTE_TENSORS)
            tensor = attribute->tensors[next_of(emitter, &listed, attribute->n_tensors)];
        if (inner.content && (inner.number == ATTRIBUTE_GRAPH || inner.number == ATTRIBUTE_GRAPHS)) {
            struct cursor own;
            bool is_single = inner.number == ATTRIBUTE_GRAPH;
            struct graph *graph = of_single;
            if (!is_single) {
                graph = node->bodies[next_of(emitter, body, node->body_count)];
                cursor_open(emitter, graph, &own);
            } else if (!graph) {
                wire_changed(emitter->arena->landing);
            }
            struct open_field body_field = field_open(emitter, to);
            emit_graph(emitter, graph, is_single ? &single : &own, inner.content, inner.content + inner.size, to);
            field_close(emitter, to, body_field, inner.number);
        } else if (proto_moves(emitter, tensor)) {
            move_tensor(emitter, to, inner.number, &inner, model_tensor(emitter->model, tensor));
        } else {
            add_span(emitter, to, inner.start, inner.end);
        }
    }
    field_close(emitter, to, whole, NODE_ATTRIBUTE);
}

/* The name of what a node reads or makes: as the file has it, or that of another value. */
static void emit_name(struct emitter *emitter, const struct value *filed, const struct value *now,
                      const struct wire_field *field, struct pieces *to)
{
    if (filed == now) {
        add_span(emitter, to, field->start, field->end);
        return;
    }
    size_t size = strlen(now->name);
    add_header(emitter, to, field->number, size);
    add_bytes(emitter, to, memcpy(take_room(emitter, size), now->name, size), size, NULL);
}

static void emit_node(struct emitter *emitter, const struct node *node, uint32_t number, const struct wire_field *field,
                      struct pieces *to)
{
    struct wire_field inner;
    const uint8_t *at = field->content, *end = at + field->size;
    size_t attribute = 0, body = 0, input = 0, output = 0;
    if (!node_is_dirty(emitter, node)) {
        add_span(emitter, to, field->start, field->end);
        return;
    }
    struct open_field whole = field_open(emitter, to);
    while (wire_next(emitter->arena->landing, &at, end, &inner)) {
        if (inner.content && inner.number == NODE_ATTRIBUTE) {
            emit_attribute(emitter, node, next_of(emitter, &attribute, node->proto->n_attribute), &body, &inner, to);
        } else if (inner.content && inner.number == NODE_INPUT && node->filed) {
            size_t k = next_of(emitter, &input, node->input_count);
            emit_name(emitter, node->filed->inputs[k], node->inputs[k], &inner, to);
        } else if (inner.content && inner.number == NODE_OUTPUT && node->filed) {
            size_t k = next_of(emitter, &output, node->output_count);
            emit_name(emitter, node->filed->outputs[k], node->outputs[k], &inner, to);
        } else {
            add_span(emitter, to, inner.start, inner.end);
        }
    }
    field_close(emitter, to, whole, number);
}

static void emit_made(struct emitter *emitter, struct node *node, uint32_t number, struct pieces *to)
{
    if (*was_emitted(emitter, node))
        return;
    *was_emitted(emitter, node) = true;
    /* A later rewrite may have made what an earlier one reads: both stand at one position. */
    for (size_t k = 0; k < node->input_count; k++) {
        struct node *maker = node->inputs[k] ? node->inputs[k]->producer : NULL;
        if (maker && maker->is_new && maker->graph == node->graph && maker->position == node->position)
            emit_made(emitter, maker, number, to);
    }
    const struct tensor *tensor = node->op == OP_Constant ? node->outputs[0]->tensor : NULL;
    add_message(emitter, to, number, &node->proto->base, tensor);
}

static void add_new_initializer(struct emitter *emitter, struct pieces *to, const struct tensor *tensor)
{
    Onnx__TensorProto proto;
    edit_tensor_message(tensor, &proto);
    size_t size = proto.raw_data.len;
    if (!emitter->placement->move_new || size < EXTERNAL_LEAST) {
        add_message(emitter, to, GRAPH_INITIALIZER, &proto.base, tensor);
        return;
    }
    struct open_field whole = field_open(emitter, to);
    proto.has_raw_data = false;
    add_packed(emitter, to, &proto.base, NULL);
    add_external(emitter, to, (struct piece){.tensor = tensor, .size = size});
    field_close(emitter, to, whole, GRAPH_INITIALIZER);
}

static void emit_new_initializers(struct emitter *emitter, const struct graph *graph, struct pieces *to)
{
    for (size_t i = 0; i < graph->new_initializers.count; i++) {
        const struct value *value = graph->new_initializers.items[i];
        if (!value->removed)
            add_new_initializer(emitter, to, value->tensor);
    }
}

static void emit_new_inputs(struct emitter *emitter, const struct graph *graph, struct pieces *to)
{
    for (size_t i = 0; emitter->model->ir_version < 4 && i < graph->new_initializers.count; i++)
        if (!graph->new_initializers.items[i]->removed)
            add_input(emitter, to, graph->new_initializers.items[i]);
}

static bool is_removed(const struct graph *graph, const char *name)
{
    const struct value *value = name ? map_get(&graph->values, name) : NULL;
    return value && value->removed;
}

static void emit_initializer(struct emitter *emitter, const struct graph *graph, struct cursor *cursor,
                             const struct wire_field *field, struct pieces *to)
{
    size_t index = next_of(emitter, &cursor->initializer, graph->proto->n_initializer);
    const Onnx__TensorProto *proto = graph->proto->initializer[index];
    const char *name = proto->name;
    const struct value *value = name && name[0] ? graph->initializers.items[cursor->named++] : NULL;
    if (value && value->removed)
        return;
    if (value && value->tensor && tensor_moves(emitter, value->tensor))
        move_tensor(emitter, to, GRAPH_INITIALIZER, field, value->tensor);
    else if (!value && proto_moves(emitter, proto)) /* its elements are unreadable here, but its file is open */
        move_tensor(emitter, to, GRAPH_INITIALIZER, field, model_tensor(emitter->model, proto));
    else
        add_span(emitter, to, field->start, field->end);
}

static void emit_nodes_at(struct emitter *emitter, const struct graph *graph, struct cursor *cursor, uint32_t number,
                          const struct wire_field *field, struct pieces *to)
{
    size_t index = next_of(emitter, &cursor->node, graph->node_count);
    while (cursor->next_made < cursor->made_count && cursor->made[cursor->next_made]->position <= index)
        emit_made(emitter, cursor->made[cursor->next_made++], number, to);
    if (!graph->nodes[index]->removed)
        emit_node(emitter, graph->nodes[index], number, field, to);
}

static void emit_sparse(struct emitter *emitter, const Onnx__SparseTensorProto *sparse, const struct wire_field *field,
                        struct pieces *to)
{
    struct open_field whole = field_open(emitter, to);
    struct wire_field inner;
    const uint8_t *at = field->content, *end = at + field->size;
    while (wire_next(emitter->arena->landing, &at, end, &inner)) {
        const Onnx__TensorProto *part = NULL;
        if (inner.content && inner.number == SPARSE_VALUES)
            part = sparse->values;
        else if (inner.content && inner.number == SPARSE_INDICES)
            part = sparse->indices;
        if (proto_moves(emitter, part))
            move_tensor(emitter, to, inner.number, &inner, model_tensor(emitter->model, part));
        else
            add_span(emitter, to, inner.start, inner.end);
    }
    field_close(emitter, to, whole, GRAPH_SPARSE_INITIALIZER);
}

/* As it is in the file, unless sizes were fixed that it mentions. */
static void emit_description(struct emitter *emitter, const struct graph *graph, const Onnx__ValueInfoProto *info,
                             const struct wire_field *field, struct pieces *to)
{
    const Onnx__ValueInfoProto *described = size_described(graph, info);
    if (described)
        add_message(emitter, to, field->number, &described->base, NULL);
    else
        add_span(emitter, to, field->start, field->end);
}

static void emit_graph(struct emitter *emitter, struct graph *graph, struct cursor *cursor, const uint8_t *at,
                       const uint8_t *end, struct pieces *to)
{
    const Onnx__GraphProto *proto = graph->proto;
    struct wire_field field;
    if (!graph_is_dirty(graph) && !moves_anything(emitter)) {
        add_span(emitter, to, at, end);
        return;
    }
    while (wire_next(emitter->arena->landing, &at, end, &field)) {
        if (field.content && field.number == GRAPH_NODE) {
            emit_nodes_at(emitter, graph, cursor, GRAPH_NODE, &field, to);
        } else if (field.content && field.number == GRAPH_INITIALIZER) {
            emit_initializer(emitter, graph, cursor, &field, to);
            if (cursor->initializer == proto->n_initializer) {
                emit_new_initializers(emitter, graph, to);
                cursor->wrote_initializers = true;
            }
        } else if (field.content && field.number == GRAPH_SPARSE_INITIALIZER) {
            size_t index = next_of(emitter, &cursor->sparse, proto->n_sparse_initializer);
            const Onnx__SparseTensorProto *sparse = proto->sparse_initializer[index];
            if (sparse->values && is_removed(graph, sparse->values->name))
                continue;
            if (proto_moves(emitter, sparse->values) || proto_moves(emitter, sparse->indices))
                emit_sparse(emitter, sparse, &field, to);
            else
                add_span(emitter, to, field.start, field.end);
        } else if (field.content && field.number == GRAPH_INPUT) {
            const Onnx__ValueInfoProto *info = proto->input[next_of(emitter, &cursor->input, proto->n_input)];
            const struct value *value = map_get(&graph->values, info->name ? info->name : "");
            if (!value || (!value->removed && value->is_input))
                emit_description(emitter, graph, info, &field, to);
            if (cursor->input == proto->n_input) {
                emit_new_inputs(emitter, graph, to);
                cursor->wrote_inputs = true;
            }
        } else if (field.content && field.number == GRAPH_OUTPUT) {
            const Onnx__ValueInfoProto *info = proto->output[next_of(emitter, &cursor->output, proto->n_output)];
            const struct value *value = map_get(&graph->values, info->name ? info->name : "");
            if (!value || !value->is_withheld)
                emit_description(emitter, graph, info, &field, to);
        } else if (field.content && field.number == GRAPH_VALUE_INFO) {
            size_t index = next_of(emitter, &cursor->value_info, proto->n_value_info);
            if (!is_removed(graph, proto->value_info[index]->name))
                emit_description(emitter, graph, proto->value_info[index], &field, to);
        } else {
            add_span(emitter, to, field.start, field.end);
        }
    }
    if (!cursor->wrote_initializers && proto->n_initializer == 0)
        emit_new_initializers(emitter, graph, to);
    if (!cursor->wrote_inputs && proto->n_input == 0)
        emit_new_inputs(emitter, graph, to);
    cursor->wrote_initializers = cursor->wrote_inputs = true;
}

static void emit_function(struct emitter *emitter, struct graph *graph, const uint8_t *at, const uint8_t *end,
                          struct pieces *to)
{
    struct cursor cursor;
    struct wire_field field;
    cursor_open(emitter, graph, &cursor);
    while (wire_next(emitter->arena->landing, &at, end, &field)) {
        if (field.content && field.number == FUNCTION_NODE) {
            emit_nodes_at(emitter, graph, &cursor, FUNCTION_NODE, &field, to);
        } else if (field.content && field.number == FUNCTION_VALUE_INFO) {
            size_t index = next_of(emitter, &cursor.value_info, graph->function->n_value_info);
            if (!is_removed(graph, graph->function->value_info[index]->name))
                add_span(emitter, to, field.start, field.end);
        } else {
            add_span(emitter, to, field.start, field.end);
        }
    }
}

static struct graph *next_function(struct emitter *emitter)
{
    size_t index;
    do
        index = next_of(emitter, &emitter->function, emitter->model->graphs.count);
    while (!emitter->model->graphs.items[index]->function);
    return emitter->model->graphs.items[index];
}

/* Most of them: a new initializer is a message and its numbers, a new node a message, each between
 * two spans. A list that grows leaves its old ones behind. */
static size_t expected_pieces(const struct model *model)
{
    size_t count = 16;
    for (size_t g = 0; g < model->graphs.count; g++) {
        const struct graph *graph = model->graphs.items[g];
        for (size_t i = 0; i < graph->new_initializers.count; i++)
            count += graph->new_initializers.items[i]->removed ? 0 : 2;
        for (size_t i = 0; i < graph->new_nodes.count; i++)
            count += graph->new_nodes.items[i]->removed ? 0 : 2;
    }
    return count + count / 8; /* and where room for messages ends */
}

void emit_model(struct model *model, const struct emit_placement *placement, struct pieces *pieces, struct pieces *data)
{
    struct emitter emitter = {.model = model, .arena = model->arena, .placement = placement, .data = data};
    struct graph *main = model->graphs.items[0];
    struct cursor cursor;
    struct wire_field field;
    const uint8_t *at = model->bytes.data, *end = at + model->bytes.size;
    *pieces = *data = (struct pieces){0};
    cursor_open(&emitter, main, &cursor);
    LIST_RESERVE(emitter.arena, &pieces->list, expected_pieces(model));
    while (wire_next(emitter.arena->landing, &at, end, &field)) {
        if (field.content && field.number == MODEL_GRAPH) {
            if (!graph_is_dirty(main) && !moves_anything(&emitter)) {
                add_span(&emitter, pieces, field.start, field.end);
                continue;
            }
            struct open_field whole = field_open(&emitter, pieces);
            emit_graph(&emitter, main, &cursor, field.content, field.content + field.size, pieces);
            field_close(&emitter, pieces, whole, MODEL_GRAPH);
        } else if (field.content && field.number == MODEL_FUNCTIONS) {
            struct graph *function = next_function(&emitter);
            if (!graph_is_dirty(function) && !moves_anything(&emitter)) {
                add_span(&emitter, pieces, field.start, field.end);
                continue;
            }
            struct open_field whole = field_open(&emitter, pieces);
            emit_function(&emitter, function, field.content, field.content + field.size, pieces);
            field_close(&emitter, pieces, whole, MODEL_FUNCTIONS);
        } else {
            add_span(&emitter, pieces, field.start, field.end);
        }
    }
    if (pieces->size > MESSAGE_LIMIT)
        fail(model->arena->landing, ONNX_FUSE_LIMIT,
             "%s: the result has %llu bytes, but a protobuf message is limited to 2 GiB (2147483647 bytes): "
             "write the weights beside it (--external-data FILE)",
             model->path, (unsigned long long)pieces->size);
    uint64_t offset = 0;
    for (size_t i = 0; i < pieces->list.count; i++) {
        pieces->list.items[i].offset = offset;
        offset += pieces->list.items[i].size;
    }
}
