/* view/value.c: the elements of tensors, as numbers or as a hash.
 *
 * Elements come from raw_data, typed fields or external data as the same little-endian entries, a
 * piece at a time; both the numbers and the hash are made of these. An entry is an element, but
 * half a complex number, and a byte of several elements where they have 2 or 4 bits: that is what
 * the parser puts into the typed fields. */
#include "view/value.h"

#include <inttypes.h>

#include "base/decimal.h"
#include "base/text.h"
#include "base/xxh64.h"
#include "model/external.h"
#include "view/type.h"

#define TYPE(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

enum {
    PIECE = 1024,          /* entries read at once */
    ENTRY = 8,             /* bytes of the largest one */
    QUIET_NAN = 0x7fc00000 /* the bits that the parser gives nan */
};

struct entries {
    const struct tensor *tensor;
    enum { FROM_BYTES, FROM_WORDS, FROM_LONGS, FROM_SIX_BITS } kind;
    const uint8_t *data;
    int64_t count, next;
    size_t size; /* of an entry */
};

/* Bytes of an entry as it is printed and hashed. */
static size_t entry_size(int32_t type)
{
    switch (type) {
    case TYPE(COMPLEX64): return 4;
    case TYPE(COMPLEX128): return 8;
    default: return type_size(type) ? type_size(type) : 1;
    }
}

static int64_t entry_count(int32_t type, int64_t count)
{
    switch (type) {
    case TYPE(COMPLEX64):
    case TYPE(COMPLEX128): return 2 * count;
    case TYPE(UINT4):
    case TYPE(INT4):
    case TYPE(FLOAT4E2M1): return count / 2 + count % 2;
    case TYPE(UINT2):
    case TYPE(INT2): return count / 4 + (count % 4 != 0);
    default: return count;
    }
}

/* A tensor of numbers, whose data is there. */
static void entries_open(struct entries *entries, const struct tensor *tensor)
{
    const Onnx__TensorProto *proto = tensor->proto;
    *entries = (struct entries){.tensor = tensor,
                                .data = tensor->data,
                                .count = entry_count(tensor->type, tensor->count),
                                .size = entry_size(tensor->type)};
    bool six = tensor->type == TYPE(FLOAT6E2M3) || tensor->type == TYPE(FLOAT6E3M2);
    if (tensor->external || proto->has_raw_data)
        entries->kind = six ? FROM_SIX_BITS : FROM_BYTES;
    else if (tensor->type == TYPE(UINT32))
        entries->kind = FROM_LONGS;
    else if (tensor->data == (const void *)proto->int32_data)
        entries->kind = FROM_WORDS;
}

/* Element number `at` of a stream of 6-bit elements, the first in the lowest bits. */
static uint8_t six_bits(const uint8_t *data, int64_t at)
{
    size_t bit = (size_t)at * 6, byte = bit / 8;
    unsigned window = data[byte];
    if (bit % 8 > 2)
        window |= (unsigned)data[byte + 1] << 8;
    return (window >> bit % 8) & 0x3f;
}

/* The next PIECE entries at most: their number, 0 at the end. */
static int64_t entries_next(struct dump *dump, struct entries *entries, uint8_t buffer[PIECE * ENTRY])
{
    int64_t left = entries->count - entries->next, count = left < PIECE ? left : PIECE;
    size_t size = entries->size, first = (size_t)entries->next;
    if (entries->kind == FROM_BYTES && count)
        memcpy(buffer, entries->data + first * size, (size_t)count * size);
    for (int64_t i = 0; i < count && entries->kind != FROM_BYTES; i++) {
        size_t at = first + (size_t)i;
        if (entries->kind == FROM_SIX_BITS)
            buffer[i] = six_bits(entries->data, (int64_t)at);
        else
            memcpy(buffer + (size_t)i * size, entries->data + at * (entries->kind == FROM_WORDS ? 4 : 8), size);
    }
    entries->next += count;
    dump->touched += (size_t)count * size;
    if (dump->touched >= BUDGET_TOUCHED_DUMP) {
        model_give_back(dump->model);
        dump->touched = 0;
    }
    return count;
}

/* ---- numbers ---- */

/* Writes one entry; returns its length. */
static size_t write_entry(char out[DECIMAL_ROOM], int32_t type, const uint8_t *at, size_t *odd_nans)
{
    uint64_t bits = 0;
    memcpy(&bits, at, entry_size(type));
    bool negative = false;
    switch (type) {
    case TYPE(FLOAT):
    case TYPE(COMPLEX64): {
        float value;
        memcpy(&value, at, sizeof(value));
        *odd_nans += (bits & 0x7fffffff) > 0x7f800000 && (bits & 0x7fffffff) != QUIET_NAN;
        return decimal_float(out, value);
    }
    case TYPE(DOUBLE):
    case TYPE(COMPLEX128): {
        double value;
        memcpy(&value, at, sizeof(value));
        uint64_t magnitude = bits & INT64_MAX;
        *odd_nans += magnitude > UINT64_C(0x7ff0000000000000) && magnitude != UINT64_C(0x7ff8000000000000);
        return decimal_double(out, value);
    }
    case TYPE(INT8): negative = (int8_t)bits < 0, bits |= negative ? ~UINT64_C(0xff) : 0; break;
    case TYPE(INT16): negative = (int16_t)bits < 0, bits |= negative ? ~UINT64_C(0xffff) : 0; break;
    case TYPE(INT32): negative = (int32_t)bits < 0, bits |= negative ? ~UINT64_C(0xffffffff) : 0; break;
    case TYPE(INT64): negative = (int64_t)bits < 0; break;
    default: break;
    }
    char digits[20];
    size_t count = 0, length = 0;
    if (negative) {
        out[length++] = '-';
        bits = 0 - bits;
    }
    do
        digits[count++] = (char)('0' + bits % 10);
    while (bits /= 10);
    while (count)
        out[length++] = digits[--count];
    return length;
}

void dump_float(struct dump *dump, float value)
{
    char text[DECIMAL_ROOM];
    uint8_t bytes[sizeof(value)];
    size_t odd_nans = 0;
    memcpy(bytes, &value, sizeof(value));
    dump_put(dump, text, write_entry(text, TYPE(FLOAT), bytes, &odd_nans));
    if (odd_nans)
        dump_note(dump, "a NaN whose bits are 0x%02x%02x%02x%02x", bytes[3], bytes[2], bytes[1], bytes[0]);
}

/* ---- hashes ---- */

/* Hashes the entries as in raw_data; for strings, each length as 8 bytes and then the string. */
static uint64_t tensor_hash(struct dump *dump, const struct tensor *tensor)
{
    struct xxh64 hash;
    xxh64_start(&hash);
    if (tensor->type == TYPE(STRING)) {
        for (size_t i = 0; i < tensor->proto->n_string_data; i++) {
            const ProtobufCBinaryData *string = &tensor->proto->string_data[i];
            uint64_t length = string->len;
            xxh64_add(&hash, &length, sizeof(length));
            xxh64_add(&hash, string->data, string->len);
        }
        return xxh64_end(&hash);
    }
    struct entries entries;
    uint8_t buffer[PIECE * ENTRY];
    int64_t count;
    entries_open(&entries, tensor);
    while ((count = entries_next(dump, &entries, buffer)))
        xxh64_add(&hash, buffer, (size_t)count * entries.size);
    return xxh64_end(&hash);
}

/* ---- tensors ---- */

/* False: its data is in a file that was not opened. */
static bool is_there(const Onnx__TensorProto *proto, const struct tensor *tensor)
{
    return tensor->count == 0 || tensor->type == TYPE(STRING) ||
           (tensor->data && (tensor->external || proto->data_location != ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL));
}

const char *dump_tensor_problem(struct dump *dump, const Onnx__TensorProto *proto)
{
    if (!proto)
        return "it is missing";
    if (!dump_has_type_name(proto->data_type))
        return "its element type has no name";
    if (proto->segment)
        return "it is a segment of a tensor";
    model_tensor(dump->model, proto); /* lands when it is broken */
    return NULL;
}

void dump_tensor_type(struct dump *dump, const Onnx__TensorProto *proto)
{
    dump_puts(dump, type_name(proto->data_type));
    for (size_t i = 0; i < proto->n_dims; i++)
        dump_print(dump, "%s%" PRId64, i ? "," : "[", proto->dims[i]);
    dump_puts(dump, proto->n_dims ? "]" : "");
}

static void put_numbers(struct dump *dump, const struct tensor *tensor)
{
    struct entries entries;
    uint8_t buffer[PIECE * ENTRY];
    char text[DECIMAL_ROOM + 2];
    int64_t count;
    size_t odd_nans = 0;
    bool first = true;
    entries_open(&entries, tensor);
    while ((count = entries_next(dump, &entries, buffer)))
        for (int64_t i = 0; i < count; i++) {
            size_t length = first ? 0 : 2;
            memcpy(text, ", ", 2);
            length += write_entry(text + length, tensor->type, buffer + (size_t)i * entries.size, &odd_nans);
            dump_put(dump, text, length);
            first = false;
        }
    if (odd_nans)
        dump_note(dump, "the bits of %zu NaNs in tensor %s", odd_nans, dump_escaped_string(dump, tensor->name));
}

void dump_tensor_values(struct dump *dump, const Onnx__TensorProto *proto)
{
    const char *what =
        dump->counting ? "" : arena_format(dump->arena, "of tensor %s:", dump_escaped_string(dump, proto->name));
    const struct tensor *tensor = model_tensor(dump->model, proto);
    bool elide = dump->options->elide >= 0 && tensor->count > dump->options->elide;
    bool there = is_there(proto, tensor);
    dump_puts(dump, there ? "{" : "[");
    if (!there) {
        for (size_t i = 0; i < proto->n_external_data; i++) {
            dump_puts(dump, i ? ", " : "");
            dump_quoted_string(dump, proto->external_data[i]->key);
            dump_puts(dump, ": ");
            dump_quoted_string(dump, proto->external_data[i]->value);
        }
    } else if (elide) {
        dump->result.elided++;
        if (!dump->counting)
            dump_print(dump, "... %" PRId64 " elements, xxh64 %016" PRIx64, tensor->count, tensor_hash(dump, tensor));
    } else if (tensor->type == TYPE(STRING)) {
        for (size_t i = 0; i < proto->n_string_data; i++) {
            dump_puts(dump, i ? ", " : "");
            dump_quoted(dump, proto->string_data[i].data, proto->string_data[i].len);
        }
    } else if (!dump->counting) {
        put_numbers(dump, tensor);
    }
    dump_puts(dump, there ? "}" : "]");
    dump_note_doc(dump, what, proto->doc_string);
    dump_note_metadata(dump, what, proto->metadata_props, proto->n_metadata_props);
}

static void print_part(struct dump *dump, struct text *text, const char *name, const Onnx__TensorProto *proto)
{
    const char *problem = dump_tensor_problem(dump, proto);
    if (problem) {
        text_print(text, ", %s: %s", name, problem);
        return;
    }
    const struct tensor *tensor = model_tensor(dump->model, proto);
    text_print(text, ", %s %s[", name, type_name(proto->data_type));
    for (size_t i = 0; i < proto->n_dims; i++)
        text_print(text, "%s%" PRId64, i ? "," : "", proto->dims[i]);
    text_print(text, "]");
    if (is_there(proto, tensor))
        text_print(text, " xxh64 %016" PRIx64, tensor_hash(dump, tensor));
}

const char *dump_sparse(struct dump *dump, const Onnx__SparseTensorProto *sparse)
{
    struct text text = {.arena = dump->arena};
    if (!sparse)
        return "sparse_tensor, missing";
    if (dump->counting)
        return "";
    text_print(&text, "sparse_tensor[");
    for (size_t i = 0; i < sparse->n_dims; i++)
        text_print(&text, "%s%" PRId64, i ? "," : "", sparse->dims[i]);
    text_print(&text, "]");
    print_part(dump, &text, "values", sparse->values);
    print_part(dump, &text, "indices", sparse->indices);
    return text.bytes;
}
