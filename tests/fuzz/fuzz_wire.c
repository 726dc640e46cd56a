/* fuzz_wire.c: the scan of the wire format. What it lets through, protobuf-c must unpack. */
#include "target.h"

static void *take(void *arena, size_t size)
{
    return arena_try_alloc(arena, size);
}

static void drop(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

static void walk(struct landing *landing, const uint8_t *data, size_t size)
{
    struct wire_field field;
    const uint8_t *at = data, *before = data;
    while (wire_next(landing, &at, data + size, &field)) {
        PROMISE(field.start == before && field.end > field.start && field.end <= data + size, "field %u", field.number);
        before = at;
    }
}

static void scan(const uint8_t *data, size_t size, struct arena *arena, struct wire_skeleton *skeleton)
{
    jmp_buf jump;
    arena->landing->jump = &jump;
    if (setjmp(jump) != 0)
        return;
    wire_scan(arena, "input", data, size, &onnx__model_proto__descriptor, skeleton);
    ProtobufCAllocator allocator = {take, drop, arena};
    PROMISE(onnx__model_proto__unpack(&allocator, skeleton->size, skeleton->bytes), "%zu bytes of skeleton",
            skeleton->size);
    walk(arena->landing, data, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct landing landing = {.status = ONNX_FUSE_OK};
    struct wire_skeleton skeleton = {0};
    struct arena arena;
    arena_init(&arena, &landing);
    target_begin();
    scan(data, size, &arena, &skeleton);
    target_end("wire_scan", size);
    PROMISE(landing.status != ONNX_FUSE_OUT_OF_MEMORY, "%s", landing.message);
    free(skeleton.bytes);
    arena_free(&arena);
    return 0;
}
