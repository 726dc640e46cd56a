/* model/digest.c: digests by streaming: a piece of the canonical bytes at a time, whatever the storage. */
#include "model/digest.h"

#define TYPE(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

enum { PIECE = 4096 };   /* bytes; a multiple of every element's size */
enum { TELL = 1 << 20 }; /* bytes between two calls of touch */

/* The little-endian elements of a tensor, as raw_data would hold them. */
struct stream {
    const struct tensor *tensor;
    const struct secret *secret; /* for strings; may be NULL */
    enum { FROM_BYTES, FROM_WORDS, FROM_LONGS, FROM_ROUNDING, FROM_REPEATED, FROM_STRINGS } kind;
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

static bool stream_open(struct stream *stream, const struct tensor *tensor, const struct secret *secret)
{
    size_t size = type_size(tensor->type);
    *stream = (struct stream){.tensor = tensor, .secret = secret, .element = size};
    stream->size = (uint64_t)tensor->count * size;
    stream->bytes = tensor->data;
    switch (tensor->storage) {
    case STORAGE_BYTES:
    case STORAGE_FLOATS: stream->kind = FROM_BYTES; return true;
    case STORAGE_DOUBLES: stream->kind = tensor->type == TYPE(DOUBLE) ? FROM_BYTES : FROM_ROUNDING; return true;
    case STORAGE_LONGS:
    case STORAGE_ULONGS: stream->kind = size == sizeof(int64_t) ? FROM_BYTES : FROM_LONGS; return true;
    case STORAGE_WORDS: stream->kind = FROM_WORDS; return true;
    case STORAGE_REPEATED: stream->kind = FROM_REPEATED; return true;
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
        uint64_t words[2] = {string->len, secret_hash(stream->secret, string->data, string->len)};
        memcpy(buffer, words, sizeof(words));
        return sizeof(words);
    }
    if (size == 0)
        return 0;
    size_t first = element ? (size_t)(stream->at / element) : 0, count = element ? size / element : 0;
    switch (stream->kind) {
    case FROM_WORDS: {
        const int32_t *words =
            tensor->data ? (const int32_t *)tensor->data : (const int32_t *)tensor->proto->int32_data;
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
    case FROM_ROUNDING: tensor_round(tensor->type, (const double *)tensor->data + first, (int64_t)count, buffer); break;
    case FROM_REPEATED: /* the first piece is as long as any that follows, and stays in the buffer */
        if (stream->at == 0)
            tensor_round(tensor->type, tensor->data, 1, buffer);
        for (size_t i = 1; stream->at == 0 && i < count; i++)
            memcpy(buffer + i * element, buffer, element);
        break;
    default: *piece = stream->bytes + stream->at;
    }
    stream->at += size;
    return size;
}

/* Two lanes, so that one multiplication need not wait for the last. */
struct lanes {
    const struct secret *secret;
    uint64_t lane[2];
    uint64_t total;
};

static void lanes_add(struct lanes *lanes, const uint8_t *bytes, size_t size)
{
    const uint64_t *key = lanes->secret->words;
    uint64_t words[4], one = lanes->lane[0], two = lanes->lane[1];
    lanes->total += size;
    for (; size >= sizeof(words); bytes += sizeof(words), size -= sizeof(words)) {
        memcpy(words, bytes, sizeof(words));
        one = secret_fold(words[0] ^ key[0], words[1] ^ one);
        two = secret_fold(words[2] ^ key[1], words[3] ^ two);
    }
    if (size) {
        memset(words, 0, sizeof(words));
        memcpy(words, bytes, size);
        one = secret_fold(words[0] ^ key[0], words[1] ^ one);
        two = secret_fold(words[2] ^ key[1], words[3] ^ two);
    }
    lanes->lane[0] = one;
    lanes->lane[1] = two;
}

/* Each half of the digest depends on both lanes. */
static struct digest lanes_end(const struct lanes *lanes)
{
    const uint64_t *key = lanes->secret->words;
    return (struct digest){secret_hash(lanes->secret, lanes->lane, sizeof(lanes->lane)),
                           secret_fold(lanes->lane[0] ^ key[2], lanes->lane[1] ^ key[1]) + lanes->total};
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

bool tensor_digest(const struct tensor *tensor, const struct secret *secret, struct digest *digest,
                   const struct touch *touch)
{
    struct stream stream;
    uint8_t buffer[PIECE];
    const uint8_t *piece;
    if (!stream_open(&stream, tensor, secret))
        return false;
    struct lanes lanes = {
        .secret = secret,
        .lane = {secret->words[1] ^ (uint64_t)tensor->type, secret->words[2] ^ (uint64_t)tensor->rank}};
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
    if (a->type != b->type || a->rank != b->rank || !stream_open(&one, a, NULL) || !stream_open(&two, b, NULL))
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
