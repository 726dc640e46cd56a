/* hash.c: digests by streaming: a piece of the canonical bytes at a time, whatever the storage. */
#include "hash.h"

#include <string.h>

#include "file.h"

#define TYPE(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

enum { PIECE = 16384 };  /* bytes; a multiple of every element's size */
enum { TELL = 1 << 20 }; /* bytes between two calls of touch */

/* The little-endian elements of a tensor, as raw_data would hold them. */
struct stream {
    const struct tensor *tensor;
    enum { FROM_BYTES, FROM_WORDS, FROM_LONGS, FROM_ROUNDING, FROM_STRINGS } kind;
    const uint8_t *bytes; /* FROM_BYTES: all of them */
    uint64_t size, at;    /* in bytes; strings: unused */
    size_t element;
    size_t string; /* the next one */
};

static bool open_opaque(struct stream *stream)
{
    const struct tensor *tensor = stream->tensor;
    const Onnx__TensorProto *proto = tensor->proto;
    if (!proto || proto->segment)
        return false;
    if (tensor->type == TYPE(STRING)) {
        stream->kind = FROM_STRINGS;
        return true;
    }
    if (tensor->external) {
        if (!tensor->data)
            return tensor->count == 0;
        stream->bytes = tensor->data;
        stream->size = tensor->external->size;
        return true;
    }
    if (proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        return false;
    if (proto->has_raw_data) {
        stream->bytes = proto->raw_data.data;
        stream->size = proto->raw_data.len;
    } else if (proto->n_float_data) {
        stream->bytes = (const uint8_t *)proto->float_data;
        stream->size = (uint64_t)proto->n_float_data * sizeof(float);
    } else if (proto->n_double_data) {
        stream->bytes = (const uint8_t *)proto->double_data;
        stream->size = (uint64_t)proto->n_double_data * sizeof(double);
    } else if (proto->n_int32_data) {
        stream->kind = FROM_WORDS;
        stream->element = 1; /* packed elements fill one byte of each entry */
        stream->size = proto->n_int32_data;
    } else {
        return tensor->count == 0;
    }
    return true;
}

static bool stream_open(struct stream *stream, const struct tensor *tensor)
{
    size_t size = type_size(tensor->type);
    *stream = (struct stream){.tensor = tensor, .element = size};
    stream->size = (uint64_t)tensor->count * size;
    stream->bytes = tensor->data;
    switch (tensor->storage) {
    case STORAGE_BYTES:
    case STORAGE_FLOATS: stream->kind = FROM_BYTES; return true;
    case STORAGE_DOUBLES:
        stream->kind = tensor->type == TYPE(DOUBLE) ? FROM_BYTES : FROM_ROUNDING;
        return true;
    case STORAGE_LONGS:
    case STORAGE_ULONGS:
        stream->kind = size == sizeof(int64_t) ? FROM_BYTES : FROM_LONGS;
        return true;
    case STORAGE_WORDS: stream->kind = FROM_WORDS; return true;
    case STORAGE_OPAQUE: return open_opaque(stream);
    default: return false; /* fused: not written yet */
    }
}

/* The next piece: its size, 0 at the end. *piece points into `buffer` or into the tensor. */
static size_t stream_next(struct stream *stream, uint8_t buffer[PIECE], const uint8_t **piece)
{
    const struct tensor *tensor = stream->tensor;
    uint64_t left = stream->size - stream->at;
    size_t size = left < PIECE ? (size_t)left : PIECE, element = stream->element;
    *piece = buffer;
    if (stream->kind == FROM_STRINGS) {
        const Onnx__TensorProto *proto = tensor->proto;
        if (stream->string == proto->n_string_data)
            return 0;
        /* Each string by its own digest, so that "ab", "c" is not "a", "bc". */
        const ProtobufCBinaryData *string = &proto->string_data[stream->string++];
        uint64_t words[2] = {string->len, hash_bytes(1, string->data, string->len)};
        memcpy(buffer, words, sizeof(words));
        return sizeof(words);
    }
    if (size == 0)
        return 0;
    size_t first = element ? (size_t)(stream->at / element) : 0,
           count = element ? size / element : 0;
    switch (stream->kind) {
    case FROM_WORDS: {
        const int32_t *words = tensor->data ? (const int32_t *)tensor->data
                                            : (const int32_t *)tensor->proto->int32_data;
        for (size_t i = 0; i < count; i++)
            memcpy(buffer + i * element, &words[first + i], element);
        if (tensor->type == TYPE(BOOL))
            for (size_t i = 0; i < count; i++)
                buffer[i] = words[first + i] != 0;
        break;
    }
    case FROM_LONGS:
        for (size_t i = 0; i < count; i++)
            memcpy(buffer + i * element, (const int64_t *)tensor->data + first + i, element);
        break;
    case FROM_ROUNDING:
        tensor_round(tensor->type, (const double *)tensor->data + first, (int64_t)count, buffer);
        break;
    default: *piece = stream->bytes + stream->at;
    }
    stream->at += size;
    return size;
}

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

#define PRIME_1 UINT64_C(0x9e3779b185ebca87)
#define PRIME_2 UINT64_C(0xc2b2ae3d27d4eb4f)
#define PRIME_3 UINT64_C(0x165667b19e3779f9)

static uint64_t finish(uint64_t x)
{
    x = (x ^ x >> 33) * PRIME_2;
    x = (x ^ x >> 29) * PRIME_3;
    return x ^ x >> 32;
}

/* Four lanes, so that one multiplication need not wait for the last. */
struct lanes {
    uint64_t lane[4];
    uint64_t total;
};

static void lanes_add(struct lanes *lanes, const uint8_t *bytes, size_t size)
{
    lanes->total += size;
    uint64_t words[4];
    for (; size >= sizeof(words); bytes += sizeof(words), size -= sizeof(words)) {
        memcpy(words, bytes, sizeof(words));
        for (int i = 0; i < 4; i++)
            lanes->lane[i] = rotate(lanes->lane[i] + words[i] * PRIME_2, 31) * PRIME_1;
    }
    if (size) {
        memset(words, 0, sizeof(words));
        memcpy(words, bytes, size);
        for (int i = 0; i < 4; i++)
            lanes->lane[i] = rotate(lanes->lane[i] + words[i] * PRIME_2, 31) * PRIME_1;
    }
}

static struct digest lanes_end(const struct lanes *lanes)
{
    struct digest digest = {lanes->total, lanes->total + PRIME_3};
    for (int i = 0; i < 4; i++) {
        digest.low = finish(digest.low ^ lanes->lane[i]) * PRIME_1;
        digest.high = finish(digest.high + rotate(lanes->lane[3 - i], 17)) * PRIME_3;
    }
    return digest;
}

uint64_t hash_bytes(uint64_t seed, const void *data, size_t size)
{
    struct lanes lanes = {.lane = {seed, seed + PRIME_1, seed ^ PRIME_2, seed - PRIME_3}};
    lanes_add(&lanes, data, size);
    return lanes_end(&lanes).low;
}

/* The last call of a stream has a size of TELL, so that nothing stays untold. */
static void tell(const struct touch *touch, uint64_t *untold, uint64_t size)
{
    *untold += size;
    if (*untold < TELL)
        return;
    touch->read(touch->closure, *untold);
    *untold = 0;
}

bool tensor_digest(const struct tensor *tensor, struct digest *digest, const struct touch *touch)
{
    struct stream stream;
    uint8_t buffer[PIECE];
    const uint8_t *piece;
    if (!stream_open(&stream, tensor))
        return false;
    struct lanes lanes = {.lane = {(uint64_t)tensor->type, (uint64_t)tensor->rank, PRIME_2, 0}};
    lanes_add(&lanes, (const uint8_t *)tensor->dims, (size_t)tensor->rank * sizeof(*tensor->dims));
    size_t size;
    uint64_t untold = 0;
    while ((size = stream_next(&stream, buffer, &piece))) {
        lanes_add(&lanes, piece, size);
        tell(touch, &untold, size);
    }
    tell(touch, &untold, TELL);
    *digest = lanes_end(&lanes);
    return true;
}

static bool same_strings(const Onnx__TensorProto *a, const Onnx__TensorProto *b)
{
    if (a->n_string_data != b->n_string_data)
        return false;
    for (size_t i = 0; i < a->n_string_data; i++) {
        const ProtobufCBinaryData *x = &a->string_data[i], *y = &b->string_data[i];
        if (x->len != y->len || (x->len && memcmp(x->data, y->data, x->len) != 0))
            return false;
    }
    return true;
}

bool tensor_same(const struct tensor *a, const struct tensor *b, const struct touch *touch)
{
    struct stream one, two;
    uint8_t buffers[2][PIECE];
    const uint8_t *pieces[2];
    if (a->type != b->type || a->rank != b->rank || !stream_open(&one, a) || !stream_open(&two, b))
        return false;
    for (int i = 0; i < a->rank; i++)
        if (a->dims[i] != b->dims[i])
            return false;
    if (one.kind == FROM_STRINGS)
        return same_strings(a->proto, b->proto);
    if (one.size != two.size)
        return false;
    size_t size;
    uint64_t untold = 0;
    while ((size = stream_next(&one, buffers[0], &pieces[0]))) {
        stream_next(&two, buffers[1], &pieces[1]);
        if (pieces[0] != pieces[1] && memcmp(pieces[0], pieces[1], size) != 0)
            return false;
        tell(touch, &untold, 2 * size);
    }
    return true;
}
