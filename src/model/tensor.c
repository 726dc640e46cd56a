/* model/tensor.c: element types, reading as double, rounding back once. */
#include "model/tensor.h"

#include <math.h>

#include "base/vector.h"

#define TYPE(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

/* bits: of one element, 0 for strings and types unknown here. */
static const struct {
    int32_t type;
    int bits;
    const char *name;
} types[] = {
    {TYPE(UNDEFINED), 0, "undefined"},
    {TYPE(FLOAT), 32, "float"},
    {TYPE(UINT8), 8, "uint8"},
    {TYPE(INT8), 8, "int8"},
    {TYPE(UINT16), 16, "uint16"},
    {TYPE(INT16), 16, "int16"},
    {TYPE(INT32), 32, "int32"},
    {TYPE(INT64), 64, "int64"},
    {TYPE(STRING), 0, "string"},
    {TYPE(BOOL), 8, "bool"},
    {TYPE(FLOAT16), 16, "float16"},
    {TYPE(DOUBLE), 64, "double"},
    {TYPE(UINT32), 32, "uint32"},
    {TYPE(UINT64), 64, "uint64"},
    {TYPE(COMPLEX64), 64, "complex64"},
    {TYPE(COMPLEX128), 128, "complex128"},
    {TYPE(BFLOAT16), 16, "bfloat16"},
    {TYPE(FLOAT8E4M3FN), 8, "float8e4m3fn"},
    {TYPE(FLOAT8E4M3FNUZ), 8, "float8e4m3fnuz"},
    {TYPE(FLOAT8E5M2), 8, "float8e5m2"},
    {TYPE(FLOAT8E5M2FNUZ), 8, "float8e5m2fnuz"},
    {TYPE(UINT4), 4, "uint4"},
    {TYPE(INT4), 4, "int4"},
    {TYPE(FLOAT4E2M1), 4, "float4e2m1"},
    {TYPE(FLOAT8E8M0), 8, "float8e8m0"},
    {TYPE(UINT2), 2, "uint2"},
    {TYPE(INT2), 2, "int2"},
    {TYPE(FLOAT6E2M3), 6, "float6e2m3"},
    {TYPE(FLOAT6E3M2), 6, "float6e3m2"},
};

int type_bits(int32_t type)
{
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (types[i].type == type)
            return types[i].bits;
    return 0;
}

const char *type_name(int32_t type)
{
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (types[i].type == type)
            return types[i].name;
    return "a type unknown here";
}

size_t type_size(int32_t type)
{
    int bits = type_bits(type);
    return bits % 8 == 0 ? (size_t)bits / 8 : 0;
}

bool type_is_float(int32_t type)
{
    return type == TYPE(FLOAT) || type == TYPE(DOUBLE) || type == TYPE(FLOAT16) || type == TYPE(BFLOAT16);
}

bool type_is_integer(int32_t type)
{
    switch (type) {
    case TYPE(UINT8):
    case TYPE(INT8):
    case TYPE(UINT16):
    case TYPE(INT16):
    case TYPE(INT32):
    case TYPE(INT64):
    case TYPE(UINT32):
    case TYPE(UINT64):
    case TYPE(BOOL): return true;
    default: return false;
    }
}

size_t tensor_stored_bytes(const struct tensor *tensor)
{
    /* A weight of more bytes than a size_t holds is in no file. */
    int64_t bits;
    bool fits = multiply_fits(tensor->count, type_bits(tensor->type), &bits) && (uint64_t)bits / 8 < SIZE_MAX;
    return fits ? (size_t)(((uint64_t)bits + 7) / 8) : 0;
}

double type_rounding(int32_t type)
{
    switch (type) {
    case TYPE(FLOAT16): return 0x1p-11;
    case TYPE(BFLOAT16): return 0x1p-8;
    case TYPE(DOUBLE): return 0x1p-53;
    default: return 0x1p-24;
    }
}

double type_tolerance(int32_t type)
{
    switch (type) {
    case TYPE(FLOAT16): return 1e-2;
    case TYPE(BFLOAT16): return 6e-2;
    case TYPE(DOUBLE): return 1e-12;
    default: return 1e-5;
    }
}

/* ---- conversions of one element ---- */

static inline double half_to_double(uint16_t half)
{
    /* Moved into a float's exponent field, a half is too small by 2^112, subnormals included. */
    uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
    float value;
    if (bits >= 0x0f800000u)
        bits |= 0x70000000u; /* infinity and NaN keep their meaning */
    memcpy(&value, &bits, sizeof(value));
    double result = bits >= 0x7f800000u ? (double)value : (double)value * 0x1p112;
    return half & 0x8000 ? -result : result;
}

static inline double bfloat_to_double(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof(value));
    return (double)value;
}

/* Rounds a double once, to nearest even, to a format of 16 bits with `fraction` fraction bits and
 * the given exponent bias. Going through float would round twice. */
static inline uint16_t double_to_16(double value, int fraction, int bias)
{
    uint64_t bits, limit;
    memcpy(&bits, &value, sizeof(bits));
    uint16_t sign = (uint16_t)(bits >> 48 & 0x8000);
    bits &= INT64_MAX;
    int drop = 52 - fraction;
    uint64_t rebias = (uint64_t)(1023 - bias) << 52;
    /* the largest finite number and half a step: from there on it rounds to infinity */
    limit = ((uint64_t)(1023 + bias) << 52 | ((UINT64_C(1) << 52) - 1)) & ~((UINT64_C(1) << (drop - 1)) - 1);
    uint64_t infinity = ((uint64_t)(2 * bias + 1)) << fraction;
    if (bits > 0x7ff0000000000000u)
        return (uint16_t)(sign | infinity | UINT64_C(1) << (fraction - 1));
    if (bits >= limit)
        return (uint16_t)(sign | infinity);
    if (bits < rebias + (UINT64_C(1) << 52)) {
        /* Subnormal: adding 2^52 of its steps leaves the rounded number of steps in the low bits. */
        double steps = fabs(value) + ldexp(1.0, 52 + 1 - bias - fraction);
        memcpy(&bits, &steps, sizeof(bits));
        return (uint16_t)(sign | (bits & 0xffff));
    }
    bits += ((UINT64_C(1) << (drop - 1)) - 1) + (bits >> drop & 1);
    return (uint16_t)(sign | (bits - rebias) >> drop);
}

static inline uint16_t double_to_half(double value)
{
    return double_to_16(value, 10, 15);
}

static inline uint16_t double_to_bfloat(double value)
{
    return double_to_16(value, 7, 127);
}

static double bits_to_double(int32_t type, const void *at)
{
    uint16_t half;
    float single;
    double value;
    switch (type) {
    case TYPE(FLOAT16): memcpy(&half, at, sizeof(half)); return half_to_double(half);
    case TYPE(BFLOAT16): memcpy(&half, at, sizeof(half)); return bfloat_to_double(half);
    case TYPE(FLOAT): memcpy(&single, at, sizeof(single)); return (double)single;
    default: memcpy(&value, at, sizeof(value)); return value;
    }
}

double tensor_rounded(int32_t type, double value)
{
    unsigned char bytes[sizeof(double)];
    tensor_round(type, &value, 1, bytes);
    return bits_to_double(type, bytes);
}

VECTORISED(int64_t, round_numbers, (int32_t type, const double *values, int64_t count, void *out),
           (type, values, count, out))
{
    unsigned char *bytes = out;
    /* Set once an exponent is all ones: infinity or NaN. A sum of flags keeps the loops vectors. */
    uint32_t bad = 0;
    switch (type) {
    case TYPE(FLOAT):
        for (int64_t i = 0; i < count; i++) {
            float single = (float)values[i];
            uint32_t bits;
            memcpy(&bits, &single, sizeof(bits));
            memcpy(bytes + 4 * i, &single, sizeof(single));
            bad |= (bits & 0x7f800000u) == 0x7f800000u;
        }
        break;
    case TYPE(FLOAT16):
        for (int64_t i = 0; i < count; i++) {
            uint16_t half = double_to_half(values[i]);
            memcpy(bytes + 2 * i, &half, sizeof(half));
            bad |= (half & 0x7c00) == 0x7c00;
        }
        break;
    case TYPE(BFLOAT16):
        for (int64_t i = 0; i < count; i++) {
            uint16_t half = double_to_bfloat(values[i]);
            memcpy(bytes + 2 * i, &half, sizeof(half));
            bad |= (half & 0x7f80) == 0x7f80;
        }
        break;
    default:
        memcpy(out, values, (size_t)count * sizeof(double));
        for (int64_t i = 0; i < count; i++)
            bad |= !isfinite(values[i]);
    }
    if (!bad)
        return -1;
    for (int64_t i = 0; i < count; i++)
        if (!isfinite(bits_to_double(type, bytes + (size_t)i * type_size(type))))
            return i;
    return -1;
}

int64_t tensor_round(int32_t type, const double *values, int64_t count, void *out)
{
    return round_numbers(type, values, count, out);
}

/* ---- reading ---- */

static int64_t bytes_to_integer(int32_t type, const uint8_t *at)
{
    int16_t two;
    int32_t four;
    int64_t eight;
    uint16_t unsigned_two;
    uint32_t unsigned_four;
    switch (type) {
    case TYPE(UINT8): return at[0];
    case TYPE(BOOL): return at[0] != 0;
    case TYPE(INT8): return (int8_t)at[0];
    case TYPE(INT16): memcpy(&two, at, sizeof(two)); return two;
    case TYPE(UINT16): memcpy(&unsigned_two, at, sizeof(unsigned_two)); return unsigned_two;
    case TYPE(INT32): memcpy(&four, at, sizeof(four)); return four;
    case TYPE(UINT32): memcpy(&unsigned_four, at, sizeof(unsigned_four)); return unsigned_four;
    default: memcpy(&eight, at, sizeof(eight)); return eight;
    }
}

bool tensor_is_readable(const struct tensor *tensor)
{
    return tensor->storage != STORAGE_OPAQUE && tensor->storage != STORAGE_FUSED;
}

/* Numbers as they lie in a file. */
VECTORISED(void, read_bytes, (int32_t type, const uint8_t *bytes, int64_t count, double *out),
           (type, bytes, count, out))
{
    switch (type) {
    case TYPE(FLOAT):
        for (int64_t i = 0; i < count; i++) {
            float single;
            memcpy(&single, bytes + 4 * i, sizeof(single));
            out[i] = (double)single;
        }
        return;
    case TYPE(FLOAT16):
        for (int64_t i = 0; i < count; i++) {
            uint16_t half;
            memcpy(&half, bytes + 2 * i, sizeof(half));
            out[i] = half_to_double(half);
        }
        return;
    case TYPE(BFLOAT16):
        for (int64_t i = 0; i < count; i++) {
            uint16_t half;
            memcpy(&half, bytes + 2 * i, sizeof(half));
            out[i] = bfloat_to_double(half);
        }
        return;
    case TYPE(DOUBLE): memcpy(out, bytes, (size_t)count * sizeof(double)); return;
    case TYPE(UINT64):
        for (int64_t i = 0; i < count; i++) {
            uint64_t number;
            memcpy(&number, bytes + 8 * i, sizeof(number));
            out[i] = (double)number;
        }
        return;
    default:
        for (int64_t i = 0; i < count; i++)
            out[i] = (double)bytes_to_integer(type, bytes + (size_t)i * type_size(type));
    }
}

static void read_numbers(const struct tensor *tensor, int64_t first, int64_t count, double *out)
{
    switch (tensor->storage) {
    case STORAGE_FLOATS: {
        const float *floats = (const float *)tensor->data + first;
        for (int64_t i = 0; i < count; i++)
            out[i] = (double)floats[i];
        return;
    }
    case STORAGE_DOUBLES: memcpy(out, (const double *)tensor->data + first, (size_t)count * sizeof(double)); return;
    case STORAGE_REPEATED:
        for (int64_t i = 0; i < count; i++)
            out[i] = *(const double *)tensor->data;
        return;
    case STORAGE_LONGS:
        for (int64_t i = 0; i < count; i++)
            out[i] = (double)((const int64_t *)tensor->data)[first + i];
        return;
    case STORAGE_ULONGS:
        for (int64_t i = 0; i < count; i++)
            out[i] = (double)((const uint64_t *)tensor->data)[first + i];
        return;
    case STORAGE_WORDS: {
        const int32_t *words = (const int32_t *)tensor->data + first;
        for (int64_t i = 0; i < count; i++)
            out[i] = tensor->type == TYPE(FLOAT16)    ? half_to_double((uint16_t)words[i])
                     : tensor->type == TYPE(BFLOAT16) ? bfloat_to_double((uint16_t)words[i])
                                                      : (double)words[i];
        return;
    }
    default:
        read_bytes(tensor->type, (const uint8_t *)tensor->data + (size_t)first * type_size(tensor->type), count, out);
    }
}

void tensor_read(const struct tensor *tensor, int64_t first, int64_t count, double *out)
{
    if (count) /* an empty tensor may have no data at all, and NULL + 0 is not defined */
        read_numbers(tensor, first, count, out);
}

void tensor_read_bits(const struct tensor *tensor, int64_t *out)
{
    size_t size = type_size(tensor->type);
    for (int64_t i = 0; i < tensor->count; i++) {
        if (tensor->storage == STORAGE_LONGS || tensor->storage == STORAGE_ULONGS)
            out[i] = ((const int64_t *)tensor->data)[i];
        else if (tensor->storage == STORAGE_WORDS)
            out[i] = ((const int32_t *)tensor->data)[i];
        else
            out[i] = bytes_to_integer(tensor->type, (const uint8_t *)tensor->data + (size_t)i * size);
    }
}

bool tensor_read_integers(const struct tensor *tensor, int64_t *out)
{
    if (!type_is_integer(tensor->type) || !tensor_is_readable(tensor))
        return false;
    tensor_read_bits(tensor, out);
    for (int64_t i = 0; tensor->type == TYPE(UINT64) && i < tensor->count; i++)
        if (out[i] < 0) /* 2^63 or more */
            return false;
    return true;
}

/* ---- making ---- */

static struct tensor *tensor_make(struct arena *arena, int32_t type, int rank, const int64_t *dims)
{
    struct tensor *tensor = NEW(arena, struct tensor);
    int64_t *copy = NEW_ARRAY(arena, int64_t, rank + 1);
    if (rank)
        memcpy(copy, dims, (size_t)rank * sizeof(*dims));
    *tensor = (struct tensor){.type = type, .rank = rank, .dims = copy};
    count_elements(copy, (size_t)rank, &tensor->count);
    return tensor;
}

struct tensor *tensor_of_bytes(struct arena *arena, int32_t type, int rank, const int64_t *dims, const void *bytes)
{
    struct tensor *tensor = tensor_make(arena, type, rank, dims);
    tensor->storage = STORAGE_BYTES;
    tensor->data = bytes;
    return tensor;
}

struct tensor *tensor_of_doubles(struct arena *arena, int32_t type, int rank, const int64_t *dims, const double *values)
{
    struct tensor *tensor = tensor_make(arena, type, rank, dims);
    tensor->storage = STORAGE_DOUBLES;
    tensor->data = values;
    return tensor;
}

struct tensor *tensor_of_repeated(struct arena *arena, int32_t type, int rank, const int64_t *dims, const double *value)
{
    struct tensor *tensor = tensor_of_doubles(arena, type, rank, dims, value);
    tensor->storage = STORAGE_REPEATED;
    return tensor;
}

struct tensor *tensor_of_integers(struct arena *arena, int32_t type, int rank, const int64_t *dims,
                                  const int64_t *values)
{
    struct tensor *tensor = tensor_make(arena, type, rank, dims);
    tensor->storage = type == TYPE(UINT64) ? STORAGE_ULONGS : STORAGE_LONGS;
    tensor->data = values;
    return tensor;
}

/* The field that holds the numbers of a tensor of its type, one by one. Source: onnx.proto, TensorProto. */
struct typed_data {
    const char *field;
    const void *numbers;
    uint64_t held, wanted;
    enum tensor_storage storage; /* where it is of a type that is read */
};

static struct typed_data typed_data(const Onnx__TensorProto *proto, const struct tensor *tensor)
{
    uint64_t count = (uint64_t)tensor->count;
    int bits = type_bits(tensor->type);
    switch (tensor->type) {
    case TYPE(FLOAT):
    case TYPE(COMPLEX64):
        return (struct typed_data){"float_data", proto->float_data, proto->n_float_data,
                                   tensor->type == TYPE(FLOAT) ? count : 2 * count, STORAGE_FLOATS};
    case TYPE(DOUBLE):
    case TYPE(COMPLEX128):
        return (struct typed_data){"double_data", proto->double_data, proto->n_double_data,
                                   tensor->type == TYPE(DOUBLE) ? count : 2 * count, STORAGE_DOUBLES};
    case TYPE(INT64):
        return (struct typed_data){"int64_data", proto->int64_data, proto->n_int64_data, count, STORAGE_LONGS};
    case TYPE(UINT32):
    case TYPE(UINT64):
        return (struct typed_data){"uint64_data", proto->uint64_data, proto->n_uint64_data, count, STORAGE_ULONGS};
    default: /* several of few bits share a word */
        return (struct typed_data){"int32_data", proto->int32_data, proto->n_int32_data,
                                   bits == 4   ? count / 2 + count % 2
                                   : bits == 2 ? count / 4 + (count % 4 != 0)
                                               : count,
                                   STORAGE_WORDS};
    }
}

static const char *broken(struct arena *arena, const struct tensor *tensor, const char *what, uint64_t found,
                          uint64_t expected)
{
    return arena_format(arena, "tensor '%s' (%s): %s holds %llu, but its dims need %llu; export the model again",
                        tensor->name, type_name(tensor->type), what, (unsigned long long)found,
                        (unsigned long long)expected);
}

const char *tensor_from_proto(struct arena *arena, const Onnx__TensorProto *proto, struct external *external,
                              struct tensor **result)
{
    struct tensor *tensor = tensor_make(arena, proto->data_type, (int)proto->n_dims, proto->dims);
    *result = tensor;
    tensor->name = proto->name ? proto->name : "";
    tensor->proto = proto;
    tensor->external = external;
    tensor->storage = STORAGE_OPAQUE;
    if (!count_elements(tensor->dims, proto->n_dims, &tensor->count))
        return arena_format(arena, "tensor '%s': dims are negative or their product overflows", tensor->name);
    if (proto->segment || type_bits(tensor->type) == 0) {
        if (tensor->type == TYPE(STRING) && (int64_t)proto->n_string_data != tensor->count && !proto->segment)
            return broken(arena, tensor, "string_data", proto->n_string_data, (uint64_t)tensor->count);
        return NULL;
    }
    int64_t bits;
    if (!multiply_fits(tensor->count, type_bits(tensor->type), &bits))
        return arena_format(arena, "tensor '%s': its size in bytes overflows", tensor->name);
    uint64_t bytes = ((uint64_t)bits + 7) / 8;
    bool computable = type_is_float(tensor->type) || type_is_integer(tensor->type);
    if (proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL) {
        if (!external)
            return NULL; /* its folder is unknown */
        if (external->size < bytes)
            return broken(arena, tensor, "external data", external->size, bytes);
        external->size = (size_t)bytes;
        tensor->data = external->data;
        tensor->storage = computable ? STORAGE_BYTES : STORAGE_OPAQUE;
    } else if (proto->has_raw_data) {
        if (proto->raw_data.len != bytes)
            return broken(arena, tensor, "raw_data", proto->raw_data.len, bytes);
        tensor->data = proto->raw_data.data;
        tensor->storage = computable ? STORAGE_BYTES : STORAGE_OPAQUE;
    } else {
        struct typed_data typed = typed_data(proto, tensor);
        if (typed.held != typed.wanted)
            return broken(arena, tensor, typed.field, typed.held, typed.wanted);
        tensor->data = typed.numbers;
        tensor->storage = computable ? typed.storage : STORAGE_OPAQUE;
    }
    return NULL;
}
