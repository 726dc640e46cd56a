/* eval/type.c: element types: which cells they have, how they round, their bits.
 *
 * Floats of a byte and less are those of ONNX's "Float stored in 8 bits" and "Float stored in 4
 * bits": a sign, an exponent and a fraction, with few or no infinities and NaNs. */
#include <math.h>

#include "eval/array.h"

#define TYPE(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

struct format {
    int32_t type;
    int exponent_bits, fraction_bits, bias;
    double largest;
    bool has_infinity;
    int nan; /* bits of a NaN, without the sign for those that have two; -1: there is none */
};

static const struct format formats[] = {
    {TYPE(FLOAT8E4M3FN), 4, 3, 7, 448, false, 0x7f}, {TYPE(FLOAT8E4M3FNUZ), 4, 3, 8, 240, false, 0x80},
    {TYPE(FLOAT8E5M2), 5, 2, 15, 57344, true, 0x7f}, {TYPE(FLOAT8E5M2FNUZ), 5, 2, 16, 57344, false, 0x80},
    {TYPE(FLOAT6E2M3), 2, 3, 1, 7.5, false, -1},     {TYPE(FLOAT6E3M2), 3, 2, 3, 28, false, -1},
    {TYPE(FLOAT4E2M1), 2, 1, 1, 6, false, -1},
};

static const struct format *format_of(int32_t type)
{
    for (size_t i = 0; i < COUNT_OF(formats); i++)
        if (formats[i].type == type)
            return &formats[i];
    return NULL;
}

bool type_is_real(int32_t type)
{
    return type_is_float(type) || type == TYPE(FLOAT8E8M0) || format_of(type);
}

bool type_is_whole(int32_t type)
{
    switch (type) {
    case TYPE(BOOL):
    case TYPE(UINT2):
    case TYPE(INT2):
    case TYPE(UINT4):
    case TYPE(INT4):
    case TYPE(UINT8):
    case TYPE(INT8):
    case TYPE(UINT16):
    case TYPE(INT16):
    case TYPE(UINT32):
    case TYPE(INT32):
    case TYPE(UINT64):
    case TYPE(INT64): return true;
    default: return false;
    }
}

/* The lowest bits, in two's complement. */
int64_t eval_wrapped(int32_t type, int64_t value)
{
    switch (type) {
    case TYPE(UINT2): return value & 3;
    case TYPE(INT2): return ((value & 3) ^ 2) - 2;
    case TYPE(UINT4): return value & 15;
    case TYPE(INT4): return ((value & 15) ^ 8) - 8;
    case TYPE(UINT8): return (uint8_t)value;
    case TYPE(INT8): return (int8_t)value;
    case TYPE(UINT16): return (uint16_t)value;
    case TYPE(INT16): return (int16_t)value;
    case TYPE(UINT32): return (uint32_t)value;
    case TYPE(INT32): return (int32_t)value;
    default: return value;
    }
}

bool eval_integer_fits(int32_t type, int64_t value)
{
    if (type == TYPE(BOOL))
        return value == 0 || value == 1;
    return type_is_whole(type) && eval_wrapped(type, value) == value;
}

void eval_integer_range(int32_t type, int64_t *least, int64_t *most)
{
    int bits = type == TYPE(BOOL) ? 1 : type_bits(type);
    bool has_sign = type != TYPE(UINT64) && type != TYPE(BOOL) && eval_wrapped(type, -1) == -1;
    *least = has_sign ? INT64_MIN >> (64 - bits) : 0;
    *most = has_sign ? INT64_MAX >> (64 - bits) : (int64_t)(UINT64_MAX >> (64 - bits));
}

/* ---- floats of a byte and less ---- */

static double small_from_bits(const struct format *format, unsigned bits)
{
    unsigned sign_bit = 1u << (format->exponent_bits + format->fraction_bits);
    unsigned magnitude = bits & (sign_bit - 1);
    double sign = bits & sign_bit ? -1 : 1;
    if (format->nan == (int)bits || format->nan == (int)magnitude)
        return (double)NAN;
    int exponent = (int)(magnitude >> format->fraction_bits);
    unsigned fraction = magnitude & ((1u << format->fraction_bits) - 1);
    if (format->has_infinity && exponent == (1 << format->exponent_bits) - 1)
        return fraction ? (double)NAN : sign * (double)INFINITY;
    if (exponent == 0)
        return sign * ldexp(fraction, 1 - format->bias - format->fraction_bits);
    return sign *
           ldexp((double)fraction + (1 << format->fraction_bits), exponent - format->bias - format->fraction_bits);
}

static double small_rounded(const struct format *format, double value, bool saturate)
{
    if (isnan(value))
        return format->nan >= 0 ? value : -0.0;
    int exponent = 0;
    frexp(value, &exponent); /* value is below 2^exponent */
    exponent = exponent - 1 < 1 - format->bias ? 1 - format->bias : exponent - 1;
    double step = ldexp(1, exponent - format->fraction_bits);
    double rounded = isinf(value) ? value : rint(value / step) * step;
    if (fabs(rounded) > format->largest) {
        if (saturate || (!format->has_infinity && format->nan < 0))
            return copysign(format->largest, value);
        return format->has_infinity ? copysign((double)INFINITY, value) : (double)NAN;
    }
    /* If the bits of -0 mean NaN, there is only one 0. */
    return rounded == 0 && format->nan == 0x80 ? 0 : rounded;
}

static unsigned small_bits(const struct format *format, double value)
{
    int width = format->exponent_bits + format->fraction_bits;
    unsigned sign = signbit(value) ? 1u << width : 0;
    if (isnan(value))
        return (unsigned)format->nan;
    if (isinf(value))
        return sign | ((1u << format->exponent_bits) - 1) << format->fraction_bits;
    double size = fabs(value);
    int exponent = 0;
    frexp(size, &exponent);
    if (size == 0 || exponent - 1 < 1 - format->bias)
        return sign | (unsigned)ldexp(size, format->bias - 1 + format->fraction_bits);
    unsigned whole = (unsigned)ldexp(size, format->fraction_bits - (exponent - 1));
    return sign | ((unsigned)(exponent - 1 + format->bias) << format->fraction_bits |
                   (whole & ((1u << format->fraction_bits) - 1)));
}

/* ---- every type ---- */

double eval_rounded(int32_t type, double value, bool saturate)
{
    const struct format *format = format_of(type);
    if (format)
        return small_rounded(format, value, saturate);
    if (type != TYPE(FLOAT8E8M0))
        return tensor_rounded(type, value);
    /* A power of two: to the nearest, in ONNX's default the next above. */
    int exponent = 0;
    if (isnan(value) || value < 0)
        return (double)NAN;
    double part = frexp(value, &exponent);
    exponent = isinf(value) ? 129 : value == 0 ? -127 : part == 0.5 ? exponent - 1 : exponent;
    if (exponent > 127)
        return saturate ? 0x1p127 : (double)NAN;
    return ldexp(1, exponent < -127 ? -127 : exponent);
}

uint64_t eval_bits(int32_t type, const void *cell)
{
    const struct format *format = format_of(type);
    uint64_t bits = 0;
    double value;
    memcpy(&bits, cell, sizeof(bits));
    memcpy(&value, cell, sizeof(value));
    if (!type_is_real(type) || type == TYPE(DOUBLE))
        return bits;
    if (format)
        return small_bits(format, value);
    int exponent = 0;
    if (type == TYPE(FLOAT8E8M0)) {
        frexp(value, &exponent);
        return isnan(value) ? 255 : (uint64_t)(exponent - 1 + 127);
    }
    bits = 0;
    tensor_round(type, &value, 1, &bits);
    return bits;
}

void eval_from_bits(int32_t type, uint64_t bits, void *cell)
{
    const struct format *format = format_of(type);
    int64_t integer = eval_wrapped(type, (int64_t)bits);
    double value = 0;
    if (!type_is_real(type) || type == TYPE(DOUBLE)) {
        memcpy(cell, &integer, sizeof(integer));
        return;
    }
    if (format)
        value = small_from_bits(format, (unsigned)bits);
    else if (type == TYPE(FLOAT8E8M0))
        value = bits == 255 ? (double)NAN : ldexp(1, (int)bits - 127);
    else {
        struct tensor one = {.type = type, .count = 1, .storage = STORAGE_BYTES, .data = (const void *)&bits};
        tensor_read(&one, 0, 1, &value);
    }
    memcpy(cell, &value, sizeof(value));
}

double eval_real(const struct array *array, int64_t at)
{
    if (array_is_real(array))
        return array->reals[at];
    return array->type == TYPE(UINT64) ? (double)(uint64_t)array->integers[at] : (double)array->integers[at];
}

/* ---- constants that tensor.h does not read ---- */

/* Elements of less than a byte lie side by side, the first in the lowest bits. */
static uint64_t packed_bits(const uint8_t *bytes, int64_t at, int bits)
{
    uint64_t result = 0;
    for (int i = 0; i < bits; i++) {
        int64_t bit = at * bits + i;
        result |= (uint64_t)(bytes[bit / 8] >> bit % 8 & 1) << i;
    }
    return result;
}

bool eval_is_loadable(const struct tensor *tensor)
{
    if (tensor_is_readable(tensor))
        return true;
    const Onnx__TensorProto *proto = tensor->proto;
    if (tensor->storage != STORAGE_OPAQUE || !proto || proto->segment)
        return false;
    if (tensor->type == TYPE(STRING))
        return (int64_t)proto->n_string_data == tensor->count;
    return tensor->count == 0 || (tensor->data && (type_is_real(tensor->type) || type_is_whole(tensor->type)));
}

/* Cells of a tensor that is loadable and not readable. */
void eval_load_opaque(const struct tensor *tensor, unsigned char *cells)
{
    const Onnx__TensorProto *proto = tensor->proto;
    bool in_bytes = proto->has_raw_data || tensor->external;
    int bits = type_bits(tensor->type);
    for (int64_t i = 0; i < tensor->count; i++) {
        if (tensor->type == TYPE(STRING)) {
            const ProtobufCBinaryData *text = &proto->string_data[i];
            memcpy(cells + i * EVAL_CELL, &text, sizeof(text));
            continue;
        }
        const int32_t *words = tensor->data;
        int apart = bits < 8 && 8 % bits == 0 ? 8 / bits : 1; /* elements in a word */
        uint64_t element = in_bytes ? packed_bits(tensor->data, i, bits)
                                    : ((uint64_t)words[i / apart] >> (i % apart * bits)) & ((UINT64_C(1) << bits) - 1);
        eval_from_bits(tensor->type, element, cells + i * EVAL_CELL);
    }
}
