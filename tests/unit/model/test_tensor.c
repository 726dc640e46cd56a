/* test_tensor.c: element types against a slow and exact reference, and tensors that are broken. */
#include "eval/array.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "unit.h"

#define TYPE(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

/* ---- 16 bits ---- */

struct format {
    const char *name;
    int32_t type;
    int fraction, bias;
};

static const struct format formats[] = {
    {"float16", TYPE(FLOAT16), 10, 15},
    {"bfloat16", TYPE(BFLOAT16), 7, 127},
};

/* What the bits mean, by the definition; infinity counts as the next number, for the midpoints. */
static double meaning(const struct format *format, uint16_t bits)
{
    int exponent = (bits & 0x7fff) >> format->fraction;
    int fraction = bits & ((1 << format->fraction) - 1);
    int least = 1 - format->bias - format->fraction; /* of the smallest number */
    double size =
        exponent == 0 ? ldexp(fraction, least) : ldexp(fraction + (1 << format->fraction), least + exponent - 1);
    return bits & 0x8000 ? -size : size;
}

static uint16_t infinity_of(const struct format *format)
{
    return (uint16_t)((2 * format->bias + 1) << format->fraction);
}

static uint16_t rounded_bits(const struct format *format, double value)
{
    uint16_t bits;
    tensor_round(format->type, &value, 1, &bits);
    return bits;
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof(a)) == 0;
}

/* All 65536 of them, from bytes and from int32_data, and back. */
static void check_all_halves(struct unit *unit, const struct format *format)
{
    enum { ALL = 65536 };
    uint16_t *halves = NEW_ARRAY(&unit->arena, uint16_t, ALL), infinity = infinity_of(format);
    int32_t *words = NEW_ARRAY(&unit->arena, int32_t, ALL);
    double *read = NEW_ARRAY(&unit->arena, double, ALL), *again = NEW_ARRAY(&unit->arena, double, ALL);
    for (int i = 0; i < ALL; i++)
        words[i] = halves[i] = (uint16_t)i;
    struct tensor tensor = {.type = format->type, .count = ALL, .storage = STORAGE_BYTES, .data = halves};
    tensor_read(&tensor, 0, ALL, read);
    tensor.storage = STORAGE_WORDS;
    tensor.data = words;
    tensor_read(&tensor, 0, ALL, again);
    int misread = 0, unlike = 0, unreturned = 0;
    for (int i = 0; i < ALL; i++) {
        uint16_t size = (uint16_t)(i & 0x7fff);
        double expected =
            size == infinity ? (i & 0x8000 ? -(double)INFINITY : (double)INFINITY) : meaning(format, (uint16_t)i);
        misread += size > infinity ? !isnan(read[i]) : !same_bits(read[i], expected);
        unlike += size > infinity ? !isnan(again[i]) : !same_bits(read[i], again[i]);
        uint16_t back = rounded_bits(format, read[i]);
        unreturned += size > infinity ? (back & 0x7fff) <= infinity : back != i;
    }
    expect(misread == 0, "%s: %d of 65536 are misread", format->name, misread);
    expect(unlike == 0, "%s: %d of 65536 differ between bytes and int32_data", format->name, unlike);
    expect(unreturned == 0, "%s: %d of 65536 do not come back", format->name, unreturned);
}

/* Between any two neighbours, the last two being the largest number and infinity: the midpoint goes
 * to the even one, and the double just beside it, which a float does not hold, to the nearer one. */
static void check_midpoints(const struct format *format)
{
    uint16_t infinity = infinity_of(format);
    int ties = 0, below = 0, above = 0, negative = 0;
    for (uint16_t bits = 0; bits < infinity; bits++) {
        double low = meaning(format, bits), high = meaning(format, (uint16_t)(bits + 1));
        double middle = low + (high - low) / 2; /* exact in double */
        uint16_t even = (uint16_t)(bits + (bits & 1)), next = (uint16_t)(bits + 1);
        ties += rounded_bits(format, middle) != even;
        negative += rounded_bits(format, -middle) != (even | 0x8000);
        below += rounded_bits(format, nextafter(middle, 0)) != bits;
        above += rounded_bits(format, nextafter(middle, HUGE_VAL)) != next;
    }
    expect(ties == 0 && negative == 0, "%s: %d midpoints do not go to even, nor %d below 0", format->name, ties,
           negative);
    expect(below == 0 && above == 0, "%s: %d go up from below a midpoint, %d down from above", format->name, below,
           above);
    const double extremes[] = {HUGE_VAL, DBL_MAX, 0x1p200, DBL_MIN, 0x1p-1074, 0};
    for (size_t i = 0; i < COUNT_OF(extremes); i++) {
        uint16_t expected = i < 3 ? infinity : 0;
        expect(rounded_bits(format, extremes[i]) == expected &&
                   rounded_bits(format, -extremes[i]) == (expected | 0x8000),
               "%s: %g rounds to %#x", format->name, extremes[i], expected);
    }
}

static void test_halves(struct unit *unit)
{
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        check_all_halves(unit, &formats[i]);
        check_midpoints(&formats[i]);
    }
}

/* ---- float and double ---- */

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static void test_floats(struct unit *unit)
{
    int wrong = 0, many = 200000;
    for (int i = 0; i < many; i++) {
        /* Every exponent, subnormals and the largest number included. */
        uint32_t bits = (uint32_t)unit_random(&unit->state) & 0x7fffffff;
        bits = i == 0 ? 0x7f7fffff : bits >= 0x7f800000 ? bits & 0x007fffff : bits;
        double low = (double)float_of(bits);
        double high = bits == 0x7f7fffff ? 0x1p128 : (double)float_of(bits + 1);
        double middle = low + (high - low) / 2;
        double even = bits & 1 ? high : low, infinite = (double)INFINITY;
        double up = high == 0x1p128 ? infinite : high;
        even = even == 0x1p128 ? infinite : even;
        wrong += tensor_rounded(TYPE(FLOAT), middle) != even || tensor_rounded(TYPE(FLOAT), -middle) != -even ||
                 tensor_rounded(TYPE(FLOAT), nextafter(middle, 0)) != low ||
                 tensor_rounded(TYPE(FLOAT), nextafter(middle, HUGE_VAL)) != up;
    }
    expect(wrong == 0, "float: %d of %d midpoints round wrongly", wrong, many);
    expect(tensor_rounded(TYPE(DOUBLE), 0x1.123456789abcdp-1022) == 0x1.123456789abcdp-1022,
           "double: nothing is rounded");
    expect(type_rounding(TYPE(FLOAT)) == FLT_EPSILON / 2.0 && type_rounding(TYPE(DOUBLE)) == DBL_EPSILON / 2 &&
               type_rounding(TYPE(FLOAT16)) == 0x1p-11 && type_rounding(TYPE(BFLOAT16)) == 0x1p-8,
           "half a step at 1 is the rounding of a type");
}

/* Where the first number lies that its type cannot hold. */
static void test_not_finite(struct unit *unit)
{
    static const struct {
        int32_t type;
        double fits, too_large;
    } cases[] = {
        {TYPE(FLOAT16), 65519.99, 65520},
        {TYPE(BFLOAT16), 0x1.feffffp127, 0x1.ffp127},
        {TYPE(FLOAT), 0x1.fffffefffffffp127, 0x1.ffffffp127},
        {TYPE(DOUBLE), DBL_MAX, HUGE_VAL},
    };
    enum { COUNT = 9 };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        double values[COUNT], out[COUNT];
        for (int k = 0; k < COUNT; k++)
            values[k] = k % 2 ? -cases[i].fits : cases[i].fits;
        const char *name = type_name(cases[i].type);
        int64_t at = tensor_round(cases[i].type, values, COUNT, out);
        expect(at == -1, "%s: %.17g fits", name, cases[i].fits);
        values[4] = -cases[i].too_large;
        values[7] = cases[i].too_large;
        at = tensor_round(cases[i].type, values, COUNT, out);
        expect(at == 4, "%s: %.17g does not fit (first at %d)", name, -cases[i].too_large, (int)at);
        values[4] = 0;
        values[8] = (double)NAN;
        expect(tensor_round(cases[i].type, values, COUNT, out) == 7, "%s: infinity is first", name);
        values[7] = 0;
        expect(tensor_round(cases[i].type, values, COUNT, out) == 8, "%s: NaN does not fit", name);
        expect(isnan(tensor_rounded(cases[i].type, (double)NAN)), "%s: NaN stays NaN", name);
        expect(tensor_round(cases[i].type, values, 0, out) == -1, "%s: nothing fits", name);
    }
    (void)unit;
}

/* ---- storage ---- */

static void test_integers(struct unit *unit)
{
    (void)unit;
    static const uint8_t bytes[] = {0xff, 0x80, 0x01, 0x7f, 0x00, 0x00, 0x00, 0x80,
                                    0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    static const struct {
        int32_t type;
        int64_t count, expected[16];
    } cases[] = {
        {TYPE(UINT8), 4, {255, 128, 1, 127}},
        {TYPE(INT8), 4, {-1, -128, 1, 127}},
        {TYPE(BOOL), 5, {1, 1, 1, 1, 0}},
        {TYPE(UINT16), 4, {0x80ff, 0x7f01, 0, 0x8000}},
        {TYPE(INT16), 4, {0x80ff - 0x10000, 0x7f01, 0, -0x8000}},
        {TYPE(INT32), 3, {0x7f0180ff, INT32_MIN, -2}},
        {TYPE(UINT32), 3, {0x7f0180ff, 0x80000000, 0xfffffffe}},
        {TYPE(INT64), 2, {INT64_MIN + 0x7f0180ff, -2}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        int64_t numbers[16];
        double reals[16];
        bool same = true;
        struct tensor tensor = {
            .type = cases[i].type, .count = cases[i].count, .storage = STORAGE_BYTES, .data = bytes};
        bool good = tensor_read_integers(&tensor, numbers);
        tensor_read(&tensor, 1, tensor.count - 1, reals);
        for (int64_t k = 0; k < tensor.count; k++) {
            same = same && numbers[k] == cases[i].expected[k];
            same = same && (k == 0 || reals[k - 1] == (double)cases[i].expected[k]);
        }
        expect(good && same, "%s: numbers from bytes, as integers and as reals", type_name(tensor.type));
    }
    struct tensor real = {.type = TYPE(FLOAT), .count = 1, .storage = STORAGE_BYTES, .data = bytes};
    expect(!tensor_read_integers(&real, &(int64_t){0}), "a float is no integer");
}

/* From 2^63 on a uint64 is no int64: as a real it is itself, as an integer it is refused. */
static void test_unsigned(struct unit *unit)
{
    static const uint64_t numbers[] = {3, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};
    static const double reals[] = {3, 0x1p63, 0x1p63, 0x1p64};
    const enum tensor_storage storages[] = {STORAGE_BYTES, STORAGE_ULONGS};
    for (size_t i = 0; i < COUNT_OF(storages); i++) {
        struct tensor tensor = {.type = TYPE(UINT64), .storage = storages[i], .data = numbers};
        double out[COUNT_OF(numbers)];
        int64_t integers[COUNT_OF(numbers)] = {0};
        bool same = true;
        tensor_read(&tensor, 0, COUNT_OF(numbers), out);
        for (size_t k = 0; k < COUNT_OF(numbers); k++)
            same = same && out[k] == reals[k];
        expect(same, "uint64, storage %d: large numbers are not negative", (int)storages[i]);
        tensor.count = 2;
        expect(tensor_read_integers(&tensor, integers) && integers[1] == INT64_MAX,
               "uint64, storage %d: integers below 2^63", (int)storages[i]);
        tensor.count = 3;
        expect(!tensor_read_integers(&tensor, integers), "uint64, storage %d: 2^63 is refused", (int)storages[i]);
        struct array *array;
        struct pool pool = {.arena = &unit->arena};
        const char *reason = array_load(&unit->arena, &pool, &tensor, &array);
        expect(!reason && (uint64_t)array->integers[2] >> 63, "uint64, storage %d: 2^63 is evaluated as its bits: %s",
               (int)storages[i], reason ? reason : "evaluated");
    }
}

static void test_storages(struct unit *unit)
{
    const float floats[] = {1, 2, 3};
    const double doubles[] = {1, 2, 3};
    const int32_t words[] = {1, 2, 3};
    const int64_t longs[] = {1, 2, 3};
    const struct tensor tensors[] = {
        {.type = TYPE(FLOAT), .storage = STORAGE_FLOATS, .data = floats},
        {.type = TYPE(FLOAT), .storage = STORAGE_BYTES, .data = floats},
        {.type = TYPE(DOUBLE), .storage = STORAGE_BYTES, .data = doubles},
        {.type = TYPE(FLOAT16), .storage = STORAGE_DOUBLES, .data = doubles},
        {.type = TYPE(INT8), .storage = STORAGE_WORDS, .data = words},
        {.type = TYPE(INT64), .storage = STORAGE_LONGS, .data = longs},
    };
    for (size_t i = 0; i < COUNT_OF(tensors); i++) {
        double out[2] = {0, 0};
        tensor_read(&tensors[i], 1, 2, out);
        expect(out[0] == 2 && out[1] == 3 && tensor_is_readable(&tensors[i]),
               "storage %d of %s is read from the middle", (int)tensors[i].storage, type_name(tensors[i].type));
    }
    struct tensor *made = tensor_of_doubles(&unit->arena, TYPE(FLOAT), 2, (int64_t[]){1, 3}, doubles);
    expect(made->count == 3 && made->rank == 2 && made->dims[1] == 3, "a constant has its shape");
    made = tensor_of_integers(&unit->arena, TYPE(INT64), 0, NULL, longs);
    expect(made->count == 1 && made->rank == 0, "a scalar has one number");
}

/* ---- from a file ---- */

struct proto_case {
    int32_t type;
    size_t rank;
    int64_t dims[3];
    const char *expected; /* part of the reason, or NULL */
    enum tensor_storage storage;
    size_t raw, floats, doubles, words, longs, unsigned_longs, strings; /* lengths */
    bool has_raw, outside, segment;
    size_t external; /* bytes; 0: nobody knows where */
};

static void test_protos(struct unit *unit)
{
    static const struct proto_case cases[] = {
        {TYPE(FLOAT), 2, {2, 3}, NULL, STORAGE_FLOATS, .floats = 6},
        {TYPE(FLOAT), 2, {2, 3}, NULL, STORAGE_BYTES, .has_raw = true, .raw = 24},
        {TYPE(FLOAT), 2, {2, 3}, "float_data holds 5, but its dims need 6", .floats = 5},
        {TYPE(FLOAT), 2, {2, 3}, "float_data holds 7, but its dims need 6", .floats = 7},
        {TYPE(FLOAT), 2, {2, 3}, "raw_data holds 23, but its dims need 24", .has_raw = true, .raw = 23},
        {TYPE(FLOAT), 2, {2, 3}, "raw_data holds 25", .has_raw = true, .raw = 25},
        {TYPE(FLOAT), 2, {2, 3}, "float_data holds 0", .doubles = 6},
        {TYPE(FLOAT), 0, {0}, NULL, STORAGE_FLOATS, .floats = 1},
        {TYPE(FLOAT), 0, {0}, "float_data holds 0, but its dims need 1", .floats = 0},
        {TYPE(FLOAT), 2, {0, 3}, NULL, STORAGE_FLOATS, .floats = 0},
        {TYPE(FLOAT), 2, {2, -3}, "negative", .floats = 0},
        {TYPE(FLOAT), 3, {INT64_MAX, INT64_MAX, 0}, "overflows", .floats = 0},
        {TYPE(FLOAT), 2, {INT64_MAX, 2}, "overflows", .floats = 0},
        {TYPE(FLOAT), 1, {INT64_MAX / 4}, "overflows", .has_raw = true},
        {TYPE(FLOAT), 1, {INT64_MIN}, "negative", .floats = 0},
        {TYPE(DOUBLE), 1, {3}, NULL, STORAGE_DOUBLES, .doubles = 3},
        {TYPE(DOUBLE), 1, {3}, "double_data holds 2", .doubles = 2},
        {TYPE(COMPLEX64), 1, {3}, NULL, STORAGE_OPAQUE, .floats = 6},
        {TYPE(COMPLEX64), 1, {3}, "float_data holds 3", .floats = 3},
        {TYPE(COMPLEX128), 1, {3}, NULL, STORAGE_OPAQUE, .doubles = 6},
        {TYPE(INT64), 1, {3}, NULL, STORAGE_LONGS, .longs = 3},
        {TYPE(INT64), 1, {3}, "int64_data holds 4", .longs = 4},
        {TYPE(INT32), 1, {3}, NULL, STORAGE_WORDS, .words = 3},
        {TYPE(BOOL), 1, {3}, "int32_data holds 2", .words = 2},
        {TYPE(FLOAT16), 1, {3}, NULL, STORAGE_WORDS, .words = 3},
        {TYPE(FLOAT16), 1, {3}, NULL, STORAGE_BYTES, .has_raw = true, .raw = 6},
        {TYPE(FLOAT16), 1, {3}, "raw_data holds 12", .has_raw = true, .raw = 12},
        {TYPE(BFLOAT16), 1, {3}, "int32_data holds 0", .words = 0},
        {TYPE(UINT32), 1, {3}, NULL, STORAGE_ULONGS, .unsigned_longs = 3},
        {TYPE(UINT64), 1, {3}, NULL, STORAGE_ULONGS, .unsigned_longs = 3},
        {TYPE(UINT64), 1, {3}, "uint64_data holds 1", .unsigned_longs = 1},
        {TYPE(INT4), 1, {3}, NULL, STORAGE_OPAQUE, .has_raw = true, .raw = 2},
        {TYPE(INT4), 1, {3}, "raw_data holds 3, but its dims need 2", .has_raw = true, .raw = 3},
        {TYPE(FLOAT8E5M2), 1, {3}, "raw_data holds 2", .has_raw = true, .raw = 2},
        {TYPE(STRING), 1, {3}, NULL, STORAGE_OPAQUE, .strings = 3},
        {TYPE(STRING), 1, {3}, "string_data holds 2", .strings = 2},
        {TYPE(UNDEFINED), 1, {3}, NULL, STORAGE_OPAQUE, .raw = 0},
        {99, 1, {3}, NULL, STORAGE_OPAQUE, .has_raw = true, .raw = 1},
        {-1, 1, {3}, NULL, STORAGE_OPAQUE, .raw = 0},
        {TYPE(FLOAT), 1, {3}, NULL, STORAGE_OPAQUE, .floats = 1, .segment = true},
        {TYPE(FLOAT), 1, {3}, NULL, STORAGE_OPAQUE, .outside = true},
        {TYPE(FLOAT), 1, {3}, NULL, STORAGE_BYTES, .outside = true, .external = 12},
        {TYPE(FLOAT), 1, {3}, "external data holds 11, but its dims need 12", .outside = true, .external = 11},
    };
    static float floats[8];
    static double doubles[8];
    static int32_t words[8];
    static int64_t longs[8];
    static uint64_t unsigned_longs[8];
    static ProtobufCBinaryData strings[8];
    static uint8_t raw[64];
    static Onnx__TensorProto__Segment segment = ONNX__TENSOR_PROTO__SEGMENT__INIT;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const struct proto_case *c = &cases[i];
        int64_t dims[3] = {c->dims[0], c->dims[1], c->dims[2]};
        Onnx__TensorProto proto = ONNX__TENSOR_PROTO__INIT;
        proto.name = (char[]){"weight"};
        proto.data_type = c->type;
        proto.n_dims = c->rank;
        proto.dims = dims;
        proto.n_float_data = c->floats;
        proto.float_data = floats;
        proto.n_double_data = c->doubles;
        proto.double_data = doubles;
        proto.n_int32_data = c->words;
        proto.int32_data = words;
        proto.n_int64_data = c->longs;
        proto.int64_data = longs;
        proto.n_uint64_data = c->unsigned_longs;
        proto.uint64_data = unsigned_longs;
        proto.n_string_data = c->strings;
        proto.string_data = strings;
        proto.has_raw_data = c->has_raw;
        proto.raw_data = (ProtobufCBinaryData){c->raw, raw};
        proto.segment = c->segment ? &segment : NULL;
        if (c->outside)
            proto.data_location = ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
        struct external external = {.data = raw, .size = c->external};
        struct tensor *tensor = NULL;
        const char *reason = tensor_from_proto(&unit->arena, &proto, c->external ? &external : NULL, &tensor);
        bool good = c->expected ? reason && strstr(reason, c->expected) && strstr(reason, "'weight'")
                                : !reason && tensor->storage == c->storage;
        expect(good, "tensor %d, %s: %s", (int)i + 1, type_name(c->type), reason ? reason : "is taken");
    }
}

int main(void)
{
    unit_run("16 bits", test_halves);
    unit_run("float", test_floats);
    unit_run("not finite", test_not_finite);
    unit_run("integers", test_integers);
    unit_run("unsigned", test_unsigned);
    unit_run("storage", test_storages);
    unit_run("from a file", test_protos);
    return unit_finish();
}
