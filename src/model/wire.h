/* model/wire.h: checks the protobuf wire format before it is trusted.
 *
 * wire_scan reads a message once. It checks every tag, length and nesting depth, and writes a skeleton: the same
 * message without its large payloads and without unknown fields. protobuf-c unpacks only the skeleton, so it never
 * sees hostile bytes, never recurses deeper than WIRE_DEPTH and never copies a weight. Nothing is lost: output
 * consists of spans of the original bytes (write/emit.c). */
#ifndef MODEL_WIRE_H
#define MODEL_WIRE_H

#include "base/arena.h"
#include "protobuf-c/protobuf-c.h"

/* Nested messages. protobuf's own default. */
enum { WIRE_DEPTH = 100 };

/* A bytes field of this size stands for payload number N in the skeleton (little-endian). Every
 * real bytes field of this size is cut too, so no input can imitate one. */
enum { WIRE_PLACEHOLDER = 8, WIRE_CUT = 64 };

struct wire_span {
    const uint8_t *data;
    size_t size;
};

struct wire_skeleton {
    uint8_t *bytes; /* malloc: freed by the caller once it is unpacked */
    size_t size, room;
    struct wire_span *payloads;
    size_t payload_count;
};

/* Lands with NOT_ONNX (offset and field in the message) or LIMIT (depth). On landing
 * skeleton->bytes must still be freed by the owner of `skeleton`. */
void wire_scan(struct arena *arena, const char *path, const uint8_t *data, size_t size,
               const ProtobufCMessageDescriptor *descriptor, struct wire_skeleton *skeleton);

/* One field of a message that was scanned before. It is checked again, because the file may have changed. */
struct wire_field {
    uint32_t number;
    const uint8_t *start;   /* of the tag */
    const uint8_t *content; /* of a length-delimited field */
    size_t size;            /* of the content */
    const uint8_t *end;
};
/* Moves *at past one field; false at `end`. Lands with IO if it differs from the scanned message. */
bool wire_next(struct landing *landing, const uint8_t **at, const uint8_t *end, struct wire_field *field);
/* Lands with IO: the fields differ from the scanned ones. */
noreturn void wire_changed(struct landing *landing);

/* Writes a tag and length of a length-delimited field into 16 bytes at most; returns their number. */
size_t wire_header(uint32_t number, uint64_t size, uint8_t out[16]);

#endif
