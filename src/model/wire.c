/* model/wire.c: one pass over the bytes of a model. */
#include "model/wire.h"

#include <stdlib.h>

#include "model/foreign.h"

enum wire_type { VARINT = 0, FIXED64 = 1, DELIMITED = 2, GROUP_START = 3, GROUP_END = 4, FIXED32 = 5 };

struct scan {
    struct arena *arena;
    const char *path;
    const uint8_t *base;
    size_t size; /* of all there is at base */
    struct wire_skeleton *out;
    LIST(struct wire_span) payloads;
};

static noreturn void bad(const struct scan *scan, const uint8_t *at, const ProtobufCMessageDescriptor *descriptor,
                         const char *what)
{
    const char *kind = foreign_kind(scan->base, scan->size);
    if (kind)
        fail(scan->arena->landing, ONNX_FUSE_NOT_ONNX, "%s: not an ONNX model but %s", scan->path, kind);
    fail(scan->arena->landing, ONNX_FUSE_NOT_ONNX,
         "%s: offset %zu, in %s: %s; the file is cut short or is not an ONNX model", scan->path,
         (size_t)(at - scan->base), descriptor->short_name, what);
}

/* Reads a varint of at most 10 bytes. Returns false when it runs past the end or is too long. */
static bool read_varint(const uint8_t **at, const uint8_t *end, uint64_t *value)
{
    uint64_t result = 0;
    const uint8_t *p = *at;
    for (int shift = 0; shift < 70; shift += 7) {
        if (p == end)
            return false;
        uint8_t byte = *p++;
        result |= (uint64_t)(byte & 0x7f) << (shift < 63 ? shift : 63);
        if (!(byte & 0x80)) {
            *at = p;
            *value = result;
            return true;
        }
    }
    return false;
}

/* A tag has at most 32 bits in 5 bytes, and field numbers begin at 1. */
static bool read_tag(const uint8_t **at, const uint8_t *end, uint64_t *tag)
{
    const uint8_t *start = *at;
    return read_varint(at, end, tag) && *tag <= UINT32_MAX && *tag >> 3 != 0 && *at - start <= 5;
}

static size_t write_varint(uint8_t *out, uint64_t value)
{
    size_t size = 0;
    do {
        out[size] = (uint8_t)(value & 0x7f) | (value > 0x7f ? 0x80 : 0);
        value >>= 7;
        size++;
    } while (value);
    return size;
}

size_t wire_header(uint32_t number, uint64_t size, uint8_t out[16])
{
    size_t length = write_varint(out, (uint64_t)number << 3 | DELIMITED);
    return length + write_varint(out + length, size);
}

static void grow(struct scan *scan, size_t size)
{
    struct wire_skeleton *out = scan->out;
    size_t room = out->room ? out->room * 2 : 1 << 16;
    while (room - out->size < size)
        room *= 2;
    uint8_t *grown = realloc(out->bytes, room);
    if (!grown)
        fail(scan->arena->landing, ONNX_FUSE_OUT_OF_MEMORY, "%s: out of memory at %zu bytes", scan->path, room);
    out->bytes = grown;
    out->room = room;
}

static inline uint8_t *reserve(struct scan *scan, size_t size)
{
    struct wire_skeleton *out = scan->out;
    if (out->room - out->size < size)
        grow(scan, size);
    uint8_t *at = out->bytes + out->size;
    out->size += size;
    return at;
}

static inline void copy(struct scan *scan, const uint8_t *data, size_t size)
{
    if (size)
        memcpy(reserve(scan, size), data, size);
}

/* Of 16 bytes that are there the first `size` are meant: a copy without a call. */
static inline void copy_few(struct scan *scan, const uint8_t bytes[16], size_t size)
{
    struct wire_skeleton *out = scan->out;
    if (out->room - out->size < 16)
        grow(scan, 16);
    memcpy(out->bytes + out->size, bytes, 16);
    out->size += size;
}

/* The wire type a field of the schema is written with, packed fields aside. */
static enum wire_type natural_type(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
    case PROTOBUF_C_TYPE_FLOAT: return FIXED32;
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return FIXED64;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE: return DELIMITED;
    default: return VARINT;
    }
}

/* Passes over a group that the schema does not know; ONNX has none, but protobuf allows them. */
static const uint8_t *skip_group(const struct scan *scan, const ProtobufCMessageDescriptor *descriptor,
                                 const uint8_t *at, const uint8_t *end, uint64_t number)
{
    uint64_t open[WIRE_DEPTH];
    size_t depth = 0;
    open[depth++] = number;
    while (depth) {
        const uint8_t *start = at;
        uint64_t tag, value;
        if (!read_tag(&at, end, &tag))
            bad(scan, start, descriptor, "a group has no end");
        switch (tag & 7) {
        case VARINT:
            if (!read_varint(&at, end, &value))
                bad(scan, start, descriptor, "a number has no end");
            break;
        case FIXED64:
        case FIXED32:
        case DELIMITED:
            value = (tag & 7) == FIXED64 ? 8 : 4;
            if ((tag & 7) == DELIMITED && !read_varint(&at, end, &value))
                bad(scan, start, descriptor, "a length has no end");
            if (value > (uint64_t)(end - at))
                bad(scan, start, descriptor, "a field runs past the end of its message");
            at += value;
            break;
        case GROUP_START:
            if (depth == WIRE_DEPTH)
                fail(scan->arena->landing, ONNX_FUSE_LIMIT,
                     "%s: offset %zu: groups nest deeper than %d; it is not an ONNX model", scan->path,
                     (size_t)(start - scan->base), WIRE_DEPTH);
            open[depth++] = tag >> 3;
            break;
        case GROUP_END:
            if (open[--depth] != tag >> 3)
                bad(scan, start, descriptor, "a group ends that was not opened");
            break;
        default: bad(scan, start, descriptor, "wire type 6 or 7 does not exist");
        }
    }
    return at;
}

static void check_packed(const struct scan *scan, const ProtobufCMessageDescriptor *descriptor, ProtobufCType type,
                         const uint8_t *at, size_t size)
{
    const uint8_t *end = at + size;
    uint64_t value;
    switch (natural_type(type)) {
    case FIXED32:
    case FIXED64:
        if (size % (natural_type(type) == FIXED32 ? 4 : 8) != 0)
            bad(scan, at, descriptor, "a packed field ends inside a number");
        break;
    default:
        while (at < end) {
            const uint8_t *start = at;
            if (!read_varint(&at, end, &value))
                bad(scan, start, descriptor, "a packed field ends inside a number");
        }
    }
}

/* Names with a zero byte inside would be two names to protobuf and one to C. Prose may have them. */
static void check_name(const struct scan *scan, const ProtobufCMessageDescriptor *descriptor,
                       const ProtobufCFieldDescriptor *field, const uint8_t *content, size_t size)
{
    if (memchr(content, 0, size) && strcmp(field->name, "doc_string") != 0 &&
        strcmp(descriptor->short_name, "StringStringEntryProto") != 0)
        bad(scan, content, descriptor, "a name has a zero byte in it");
}

static void scan_message(struct scan *scan, const ProtobufCMessageDescriptor *descriptor, const uint8_t *at,
                         const uint8_t *end, int depth);

static void scan_delimited(struct scan *scan, const ProtobufCMessageDescriptor *descriptor,
                           const ProtobufCFieldDescriptor *field, const uint8_t *content, size_t size, int depth)
{
    uint8_t header[16] = {0};
    switch (field->type) {
    case PROTOBUF_C_TYPE_MESSAGE: {
        if (depth == WIRE_DEPTH)
            fail(scan->arena->landing, ONNX_FUSE_LIMIT, "%s: offset %zu: messages nest deeper than %d, the limit",
                 scan->path, (size_t)(content - scan->base), WIRE_DEPTH);
        /* The length is known after the inside is written: five bytes are kept for it. */
        copy_few(scan, header, write_varint(header, (uint64_t)field->id << 3 | DELIMITED));
        reserve(scan, 5);
        size_t start = scan->out->size;
        scan_message(scan, field->descriptor, content, content + size, depth + 1);
        size_t inside = scan->out->size - start;
        if (inside > INT32_MAX)
            fail(scan->arena->landing, ONNX_FUSE_LIMIT,
                 "%s: offset %zu: more than 2 GiB of structure without the weights", scan->path,
                 (size_t)(content - scan->base));
        uint8_t *length = scan->out->bytes + start - 5;
        for (int i = 0; i < 5; i++)
            length[i] = (uint8_t)((inside >> 7 * i & 0x7f) | (i < 4 ? 0x80 : 0));
        return;
    }
    case PROTOBUF_C_TYPE_BYTES:
        if (size == WIRE_PLACEHOLDER || size >= WIRE_CUT) {
            copy_few(scan, header, wire_header(field->id, WIRE_PLACEHOLDER, header));
            uint64_t number = scan->payloads.count;
            LIST_PUSH(scan->arena, &scan->payloads, ((struct wire_span){content, size}));
            copy(scan, (const uint8_t *)&number, sizeof(number));
            return;
        }
        break;
    case PROTOBUF_C_TYPE_STRING: check_name(scan, descriptor, field, content, size); break;
    default: /* a packed field */ check_packed(scan, descriptor, field->type, content, size);
    }
    if (size > INT32_MAX)
        fail(scan->arena->landing, ONNX_FUSE_LIMIT, "%s: offset %zu: %s.%s is larger than 2 GiB", scan->path,
             (size_t)(content - scan->base), descriptor->short_name, field->name);
    copy_few(scan, header, wire_header(field->id, size, header));
    copy(scan, content, size);
}

/* A number is encoded again from the checked value: another process may change the file between two reads, and
 * protobuf-c must never see an unchecked tag. */
static void copy_scalar(struct scan *scan, uint64_t tag, uint64_t value, const uint8_t *content, size_t size)
{
    uint8_t bytes[16] = {0};
    copy_few(scan, bytes, write_varint(bytes, tag));
    if ((tag & 7) == VARINT)
        copy_few(scan, bytes, write_varint(bytes, value));
    else
        copy(scan, content, size);
}

/* Most messages number their fields from 1 on, nearly without a gap: then no search is needed. */
static const ProtobufCFieldDescriptor *find_field(const ProtobufCMessageDescriptor *descriptor, uint64_t number)
{
    const ProtobufCIntRange *ranges = descriptor->field_ranges;
    if (descriptor->n_field_ranges && number >= (uint64_t)ranges[0].start_value &&
        number - (uint64_t)ranges[0].start_value < ranges[1].orig_index)
        return descriptor->fields + (number - (uint64_t)ranges[0].start_value);
    return protobuf_c_message_descriptor_get_field(descriptor, (unsigned)number);
}

static void scan_message(struct scan *scan, const ProtobufCMessageDescriptor *descriptor, const uint8_t *at,
                         const uint8_t *end, int depth)
{
    while (at < end) {
        const uint8_t *start = at;
        uint64_t tag, value = 0;
        if (!read_tag(&at, end, &tag))
            bad(scan, start, descriptor, "no field starts here");
        const ProtobufCFieldDescriptor *field = find_field(descriptor, tag >> 3);
        const uint8_t *content = at;
        enum wire_type type = (enum wire_type)(tag & 7);
        switch (type) {
        case VARINT:
            if (!read_varint(&at, end, &value))
                bad(scan, start, descriptor, "a number has no end");
            break;
        case FIXED64:
        case FIXED32:
        case DELIMITED:
            value = type == FIXED64 ? 8 : 4;
            if (type == DELIMITED && !read_varint(&at, end, &value))
                bad(scan, start, descriptor, "a length has no end");
            if (value > (uint64_t)(end - at))
                bad(scan, start, descriptor, "a field runs past the end of its message");
            content = at;
            at += value;
            break;
        case GROUP_START: at = skip_group(scan, descriptor, at, end, tag >> 3); continue;
        default:
            bad(scan, start, descriptor,
                type == GROUP_END ? "a group ends that was not opened" : "wire type 6 or 7 does not exist");
        }
        if (!field)
            continue;
        bool packed =
            type == DELIMITED && field->label == PROTOBUF_C_LABEL_REPEATED && natural_type(field->type) != DELIMITED;
        if (type != natural_type(field->type) && !packed)
            continue; /* protobuf takes a field of another wire type for an unknown one */
        if (type == DELIMITED)
            scan_delimited(scan, descriptor, field, content, (size_t)value, depth);
        else
            copy_scalar(scan, tag, value, content, (size_t)(at - content));
    }
}

void wire_scan(struct arena *arena, const char *path, const uint8_t *data, size_t size,
               const ProtobufCMessageDescriptor *descriptor, struct wire_skeleton *skeleton)
{
    struct scan scan = {.arena = arena, .path = path, .base = data, .size = size, .out = skeleton};
    *skeleton = (struct wire_skeleton){0};
    grow(&scan, 0);
    scan_message(&scan, descriptor, data, data + size, 1);
    skeleton->payloads = scan.payloads.items;
    skeleton->payload_count = scan.payloads.count;
}

noreturn void wire_changed(struct landing *landing)
{
    fail(landing, ONNX_FUSE_IO, "the model changed while it was being read: run again when nothing writes to it");
}

bool wire_next(struct landing *landing, const uint8_t **at, const uint8_t *end, struct wire_field *field)
{
    uint64_t tag = 0, value = 0;
    if (*at >= end)
        return false;
    *field = (struct wire_field){.start = *at};
    if (!read_tag(at, end, &tag))
        wire_changed(landing);
    field->number = (uint32_t)(tag >> 3);
    switch (tag & 7) {
    case VARINT:
        if (!read_varint(at, end, &value))
            wire_changed(landing);
        break;
    case DELIMITED:
        if (!read_varint(at, end, &value) || value > (uint64_t)(end - *at))
            wire_changed(landing);
        field->content = *at;
        field->size = (size_t)value;
        *at += value;
        break;
    case GROUP_START: {
        static const ProtobufCMessageDescriptor any = {.short_name = "a message"};
        struct arena arena = {.landing = landing};
        struct scan scan = {.arena = &arena, .path = "model", .base = field->start};
        *at = skip_group(&scan, &any, *at, end, tag >> 3);
        break;
    }
    case FIXED64:
    case FIXED32:
        value = (tag & 7) == FIXED64 ? 8 : 4;
        if (value > (uint64_t)(end - *at))
            wire_changed(landing);
        *at += value;
        break;
    default: wire_changed(landing);
    }
    field->end = *at;
    return true;
}
