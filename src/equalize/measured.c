/* equalize/measured.c: a reader of the one kind of JSON that statistics come in. */
#include "equalize/measured.h"

#include <math.h>

#include "base/decimal.h"
#include "io/npz.h"

struct reader {
    struct arena *arena;
    const char *path;
    const uint8_t *text;
    size_t size, at;
};

typedef LIST(double) numbers;

static noreturn void expected(const struct reader *reader, const char *what)
{
    fail(reader->arena->landing, ONNX_FUSE_ARGUMENT,
         "%s: offset %zu: expected %s: statistics are {\"VALUE\": {\"mean\": [...], \"deviation\": "
         "[...], \"low\": [...], \"high\": [...]}, ...}",
         reader->path, reader->at, what);
}

static int peek(struct reader *reader)
{
    while (reader->at < reader->size && memchr(" \t\r\n", reader->text[reader->at], 4))
        reader->at++;
    return reader->at < reader->size ? reader->text[reader->at] : -1;
}

static void take(struct reader *reader, char character, const char *what)
{
    if (peek(reader) != character)
        expected(reader, what);
    reader->at++;
}

/* More of a list or an object: a comma, or its end. */
static bool goes_on(struct reader *reader, char end)
{
    int next = peek(reader);
    if (next != ',' && next != end)
        expected(reader, end == ']' ? "',' or ']'" : "',' or '}'");
    reader->at++;
    return next == ',';
}

static unsigned read_hex(struct reader *reader)
{
    static const char digits[] = "0123456789abcdef";
    unsigned code = 0;
    for (int i = 0; i < 4; i++, reader->at++) {
        int digit = reader->at < reader->size ? reader->text[reader->at] : 0;
        digit = digit >= 'A' && digit <= 'F' ? digit - 'A' + 'a' : digit;
        const char *found = digit ? strchr(digits, digit) : NULL;
        if (!found)
            expected(reader, "four hexadecimal digits");
        code = code << 4 | (unsigned)(found - digits);
    }
    return code;
}

static size_t put_utf8(char *out, unsigned code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    size_t more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static const unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(first[more] | code >> (6 * more));
    for (size_t i = 1; i <= more; i++)
        out[i] = (char)(0x80 | (code >> (6 * (more - i)) & 0x3f));
    return more + 1;
}

static size_t read_escape(struct reader *reader, char *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    int character = reader->at < reader->size ? reader->text[reader->at++] : 0;
    const char *found = character ? strchr(from, character) : NULL;
    if (found) {
        *out = to[found - from];
        return 1;
    }
    if (character != 'u')
        expected(reader, "an escape of JSON");
    unsigned code = read_hex(reader);
    if (code >= 0xd800 && code < 0xdc00 && reader->at + 1 < reader->size && reader->text[reader->at] == '\\' &&
        reader->text[reader->at + 1] == 'u') {
        reader->at += 2;
        unsigned low = read_hex(reader);
        if (low < 0xdc00 || low > 0xdfff)
            expected(reader, "the second half of a character");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    if (code == 0 || (code >= 0xd800 && code < 0xe000))
        expected(reader, "a character");
    return put_utf8(out, code);
}

static const char *read_string(struct reader *reader)
{
    take(reader, '"', "a string");
    const uint8_t *end = memchr(reader->text + reader->at, '"', reader->size - reader->at);
    size_t room = end ? (size_t)(end - (reader->text + reader->at)) : 0, length = 0;
    /* Where quotes are escaped it is longer. */
    for (size_t i = reader->at + room; i < reader->size && room && reader->text[i - 1] == '\\';) {
        end = memchr(reader->text + i + 1, '"', reader->size - i - 1);
        i = end ? (size_t)(end - reader->text) : reader->size;
        room = i - reader->at;
    }
    char *string = NEW_ARRAY(reader->arena, char, room + 8);
    while (reader->at < reader->size && reader->text[reader->at] != '"') {
        if (length > room || reader->text[reader->at] < 0x20)
            expected(reader, "the end of a string");
        if (reader->text[reader->at] != '\\')
            string[length++] = (char)reader->text[reader->at++];
        else {
            reader->at++;
            length += read_escape(reader, string + length);
        }
    }
    take(reader, '"', "the end of a string");
    return string;
}

static double read_number(struct reader *reader)
{
    double number;
    peek(reader);
    size_t start = reader->at;
    while (reader->at < reader->size && strchr("+-.0123456789eE", reader->text[reader->at]) && reader->text[reader->at])
        reader->at++;
    if (!decimal_read((const char *)reader->text + start, reader->at - start, &number) || !isfinite(number)) {
        reader->at = start;
        expected(reader, "a number");
    }
    return number;
}

static numbers read_numbers(struct reader *reader)
{
    numbers list = {0};
    take(reader, '[', "'['");
    if (peek(reader) == ']') {
        reader->at++;
        return list;
    }
    do {
        double number = read_number(reader);
        LIST_PUSH(reader->arena, &list, number);
    } while (goes_on(reader, ']'));
    return list;
}

static struct measured *read_value(struct reader *reader)
{
    static const char *const names[] = {"mean", "deviation", "low", "high"};
    numbers lists[COUNT_OF(names)] = {0};
    take(reader, '{', "'{'");
    do {
        size_t k = 0;
        const char *name = read_string(reader);
        while (k < COUNT_OF(names) && strcmp(name, names[k]) != 0)
            k++;
        if (k == COUNT_OF(names))
            expected(reader, "mean, deviation, low or high");
        take(reader, ':', "':'");
        lists[k] = read_numbers(reader);
    } while (goes_on(reader, '}'));
    struct measured *measured = measured_new(reader->arena, (int64_t)lists[0].count);
    for (size_t k = 0; k < COUNT_OF(names); k++)
        if (!lists[k].count || lists[k].count != lists[0].count)
            expected(reader, "as many numbers in mean, deviation, low and high before here");
    for (size_t c = 0; c < lists[0].count; c++)
        measured->moments[c] =
            (struct moments){lists[0].items[c], lists[1].items[c], lists[2].items[c], lists[3].items[c]};
    const char *reason = measured_reason(measured);
    if (reason)
        expected(reader, arena_format(reader->arena, "statistics before here (%s)", reason));
    return measured;
}

static void read_json(struct arena *arena, const char *path, const uint8_t *text, size_t size, struct map *values)
{
    struct reader reader = {arena, path, text, size, 0};
    take(&reader, '{', "'{'");
    if (peek(&reader) == '}')
        reader.at++;
    else
        do {
            const char *name = read_string(&reader);
            take(&reader, ':', "':'");
            map_put(arena, values, name, read_value(&reader));
        } while (goes_on(&reader, '}'));
    if (peek(&reader) != -1)
        expected(&reader, "the end");
}

/* ---- an archive ---- */

struct archive {
    struct arena *arena;
    struct map *values;
};

static double number_at(const struct npz_array *array, int64_t row, int64_t channel)
{
    int64_t at = array->by_columns ? channel * 4 + row : row * array->dims[1] + channel;
    double wide;
    float narrow;
    if (array->size == 8)
        memcpy(&wide, array->bytes + at * 8, 8);
    else
        memcpy(&narrow, array->bytes + at * 4, 4);
    return array->size == 8 ? wide : (double)narrow;
}

static const char *take_array(void *closure, const struct npz_array *array)
{
    const struct archive *archive = closure;
    if (array->kind != 'f' || array->size < 4)
        return "is neither float32 nor float64";
    if (array->rank != 2 || array->dims[0] != 4 || array->dims[1] < 1)
        return "is not of shape [4, channels]";
    struct measured *measured = measured_new(archive->arena, array->dims[1]);
    for (int64_t c = 0; c < array->dims[1]; c++)
        measured->moments[c] = (struct moments){number_at(array, 0, c), number_at(array, 1, c), number_at(array, 2, c),
                                                number_at(array, 3, c)};
    const char *reason = measured_reason(measured);
    if (reason)
        return arena_format(archive->arena, "does not hold statistics (%s)", reason);
    map_put(archive->arena, archive->values, array->name, measured);
    return NULL;
}

void measured_read(struct arena *arena, const char *path, const uint8_t *bytes, size_t size, struct map *values)
{
    if (npz_is(bytes, size))
        npz_read(arena, path,
                 "statistics by numpy.savez, for each value an array [4, channels] of mean, "
                 "deviation, low and high",
                 bytes, size, take_array, &(struct archive){arena, values});
    else
        read_json(arena, path, bytes, size, values);
}
