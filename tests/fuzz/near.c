/* near.c: unpack, change, pack. */
#include "near.h"

#include "model/wire.h"
#include "near_internal.h"

#include <math.h>
#include <stdlib.h>

uint64_t near_bits(struct near *near)
{
    uint64_t z = near->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

size_t near_below(struct near *near, size_t limit)
{
    return limit ? (size_t)(near_bits(near) % limit) : 0;
}

bool near_chance(struct near *near, unsigned percent)
{
    return near_below(near, 100) < percent;
}

int64_t near_integer(struct near *near)
{
    static const int64_t edges[] = {INT64_MAX,
                                    INT64_MIN,
                                    INT32_MAX,
                                    INT32_MIN,
                                    (int64_t)1 << 32,
                                    (int64_t)1 << 40,
                                    (int64_t)1 << 62,
                                    65536,
                                    100000,
                                    -1,
                                    -2,
                                    1000,
                                    255,
                                    256};
    if (near_chance(near, 25))
        return edges[near_below(near, COUNT_OF(edges))];
    return (int64_t)near_below(near, 9) - 1;
}

double near_number(struct near *near)
{
    static const double edges[] = {0, -1, 1, 1e-30, 1e30, 3.4e38, 1e-45, 65504, 1e300};
    if (near_chance(near, 4))
        return near_chance(near, 50) ? (double)NAN : (double)INFINITY;
    if (near_chance(near, 10))
        return edges[near_below(near, COUNT_OF(edges))];
    return ((double)near_below(near, 33) - 16) / 8;
}

char *near_name(struct near *near, const char *stem)
{
    return arena_format(near->arena, "%s_%u_%u", stem, near->fresh++, (unsigned)near_below(near, 1000));
}

void *near_grown(struct arena *arena, const void *items, size_t count, size_t size)
{
    uint8_t *grown = arena_alloc(arena, count + 1, size);
    if (count)
        memcpy(grown, items, count * size);
    return grown;
}

/* ---- index ---- */

static void index_message(struct near *near, ProtobufCMessage *message, int depth)
{
    struct place place = {message, depth};
    LIST_PUSH(near->arena, &near->places, place);
    if (message->descriptor == &onnx__graph_proto__descriptor)
        LIST_PUSH(near->arena, &near->graphs, (Onnx__GraphProto *)message);
    if (message->descriptor == &onnx__node_proto__descriptor)
        LIST_PUSH(near->arena, &near->nodes, (Onnx__NodeProto *)message);
    if (message->descriptor == &onnx__tensor_proto__descriptor)
        LIST_PUSH(near->arena, &near->tensors, (Onnx__TensorProto *)message);
    for (unsigned i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        uint8_t *base = (uint8_t *)message;
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            continue;
        if (field->label == PROTOBUF_C_LABEL_REPEATED) {
            size_t count = *(size_t *)(void *)(base + field->quantifier_offset);
            ProtobufCMessage **items = *(ProtobufCMessage ***)(void *)(base + field->offset);
            for (size_t k = 0; k < count; k++)
                index_message(near, items[k], depth + 1);
        } else {
            bool other = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) &&
                         *(uint32_t *)(void *)(base + field->quantifier_offset) != field->id;
            ProtobufCMessage *inside = *(ProtobufCMessage **)(void *)(base + field->offset);
            if (inside && !other)
                index_message(near, inside, depth + 1);
        }
    }
}

void near_index(struct near *near)
{
    near->places.count = near->graphs.count = near->nodes.count = 0;
    near->tensors.count = near->names.count = 0;
    index_message(near, &near->model->base, 1);
    for (size_t i = 0; i < near->nodes.count; i++)
        for (size_t k = 0; k < near->nodes.items[i]->n_output; k++)
            LIST_PUSH(near->arena, &near->names, near->nodes.items[i]->output[k]);
    for (size_t g = 0; g < near->graphs.count; g++) {
        const Onnx__GraphProto *graph = near->graphs.items[g];
        for (size_t i = 0; i < graph->n_input; i++)
            if (graph->input[i]->name)
                LIST_PUSH(near->arena, &near->names, graph->input[i]->name);
        for (size_t i = 0; i < graph->n_initializer; i++)
            if (graph->initializer[i]->name)
                LIST_PUSH(near->arena, &near->names, graph->initializer[i]->name);
    }
}

/* ---- in and out ---- */

static void *take(void *arena, size_t size)
{
    return arena_try_alloc(arena, size);
}

static void drop(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

/* protobuf-c recurses: what nests too deep, or is damaged, is not unpacked. */
static Onnx__ModelProto *unpack(struct arena *arena, const uint8_t *data, size_t size)
{
    struct landing *outer = arena->landing, landing = {.status = ONNX_FUSE_OK};
    /* Not on the stack: it is read after a jump. */
    struct wire_skeleton *skeleton = NEW(arena, struct wire_skeleton);
    volatile bool good = false;
    arena->landing = &landing;
    jmp_buf jump;
    landing.jump = &jump;
    if (setjmp(jump) == 0) {
        wire_scan(arena, "", data, size, &onnx__model_proto__descriptor, skeleton);
        good = true;
    }
    arena->landing = outer;
    free(skeleton->bytes);
    ProtobufCAllocator allocator = {take, drop, arena};
    return good ? onnx__model_proto__unpack(&allocator, size, data) : NULL;
}

static size_t pack(const Onnx__ModelProto *model, uint8_t *out, size_t room)
{
    size_t size = onnx__model_proto__get_packed_size(model);
    if (size > room)
        return 0;
    return onnx__model_proto__pack(model, out);
}

static void change(struct near *near)
{
    size_t changes = 1 + near_below(near, near_chance(near, 20) ? 8 : 2);
    for (size_t i = 0; i < changes && near->model->graph; i++) {
        near_index(near);
        if (near_chance(near, 65))
            near_graph(near);
        else
            near_field(near);
    }
}

size_t near_draw(uint8_t *data, size_t room, uint64_t seed)
{
    struct landing landing = {.status = ONNX_FUSE_OK};
    struct arena arena;
    volatile size_t size = 0;
    arena_init(&arena, &landing);
    jmp_buf jump;
    landing.jump = &jump;
    if (setjmp(jump) == 0) {
        struct near near = {.arena = &arena, .state = seed};
        near_begin(&near);
        for (size_t i = 2 + near_below(&near, 10); i && near.model->graph; i--) {
            near_index(&near);
            near_graph(&near);
        }
        size = pack(near.model, data, room);
    }
    arena_free(&arena);
    return size;
}

size_t near_mutate(uint8_t *data, size_t size, size_t room, uint64_t seed)
{
    struct landing landing = {.status = ONNX_FUSE_OK};
    struct arena arena;
    volatile size_t mutated = 0;
    arena_init(&arena, &landing);
    jmp_buf jump;
    landing.jump = &jump;
    if (setjmp(jump) == 0) {
        struct near near = {.arena = &arena, .state = seed};
        near.model = near_chance(&near, 1) ? NULL : unpack(&arena, data, size);
        if (near.model && near.model->graph) {
            change(&near);
            mutated = pack(near.model, data, room);
        } else {
            mutated = near_draw(data, room, seed);
        }
    }
    arena_free(&arena);
    return mutated;
}

size_t near_cross(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out, size_t room,
                  uint64_t seed)
{
    struct landing landing = {.status = ONNX_FUSE_OK};
    struct arena arena;
    volatile size_t crossed = 0;
    arena_init(&arena, &landing);
    jmp_buf jump;
    landing.jump = &jump;
    if (setjmp(jump) == 0) {
        struct near near = {.arena = &arena, .state = seed}, other = {.arena = &arena};
        near.model = unpack(&arena, a, a_size);
        other.model = unpack(&arena, b, b_size);
        if (near.model && near.model->graph && other.model) {
            LIST(ProtobufCMessage *) messages = {NULL, 0, 0};
            near_index(&other);
            for (size_t i = 0; i < other.places.count; i++)
                LIST_PUSH(&arena, &messages, other.places.items[i].message);
            for (size_t i = 1 + near_below(&near, 4); i; i--) {
                near_index(&near);
                near_graft(&near, messages.items, messages.count);
            }
            crossed = pack(near.model, out, room);
        }
    }
    arena_free(&arena);
    return crossed;
}
