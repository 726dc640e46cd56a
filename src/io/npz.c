/* io/npz.c: a zip archive of .npy arrays, stored.
 *
 * After PKWARE's APPNOTE.TXT 6.3, 4.3.6 to 4.3.16, and numpy's format.py. The central directory says what there is;
 * of an entry's own header only its length is of use. Nothing is trusted: each size is held against what is there. */
#include "io/npz.h"

#include <string.h>

enum {
    END_SIZE = 22, /* of the end of the central directory, without its comment */
    ENTRY_SIZE = 46,
    LOCAL_SIZE = 30,
    COMMENT_MOST = 0xffff
};

/* Bytes of the file that are still to be read; `entry` is for messages. */
struct span {
    struct arena *arena;
    const char *path, *expected, *entry;
    const uint8_t *bytes;
    size_t size;
};

static noreturn void refuse(const struct span *span, const char *what)
{
    fail(span->arena->landing, ONNX_FUSE_ARGUMENT, "%s: %s%s: expected %s", span->path,
         span->entry ? arena_format(span->arena, "'%s' ", span->entry) : "", what, span->expected);
}

static uint32_t little(const uint8_t *bytes, int count)
{
    uint32_t number = 0;
    for (int i = 0; i < count; i++)
        number |= (uint32_t)bytes[i] << 8 * i;
    return number;
}

static bool begins(const uint8_t *bytes, size_t size, const char *with, size_t length)
{
    return size >= length && memcmp(bytes, with, length) == 0;
}

/* Bytes [first, first + count) of it. */
static struct span part(const struct span *span, uint64_t first, uint64_t count)
{
    if (first > span->size || count > span->size - first)
        refuse(span, "ends before its last byte");
    struct span result = *span;
    result.bytes += first;
    result.size = (size_t)count;
    return result;
}

static uint32_t checksum(const struct span *span)
{
    uint32_t sum = ~UINT32_C(0);
    for (size_t i = 0; i < span->size; i++) {
        sum ^= span->bytes[i];
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? UINT32_C(0xedb88320) : 0);
    }
    return ~sum;
}

/* ---- an array ---- */

/* The text behind 'key': in a header, which ends with a 0. */
static const char *behind(const struct span *span, const char *text, const char *key)
{
    const char *found = strstr(text, key);
    if (!found)
        refuse(span, "has a header without descr, fortran_order or shape");
    found += strlen(key);
    return found + strspn(found, ": ");
}

static bool take(const char **text, char character)
{
    bool there = **text == character;
    *text += there;
    return there;
}

static int64_t read_count(const char **text)
{
    int64_t number = -1;
    for (*text += strspn(*text, " "); **text >= '0' && **text <= '9'; ++*text) {
        number = (number < 0 ? 0 : number) * 10 + (**text - '0');
        if (number > INT32_MAX)
            return -1;
    }
    *text += strspn(*text, " ");
    return number;
}

/* "(2, 3)", "(2,)", "()". */
static void read_shape(const struct span *span, const char *text, struct npz_array *array)
{
    array->count = 1;
    bool good = take(&text, '(');
    while (good && *text != ')') {
        int64_t dim = read_count(&text);
        good = dim >= 0 && array->rank < NPZ_AXES && multiply_fits(array->count, dim, &array->count) &&
               (take(&text, ',') || *text == ')');
        text += strspn(text, " ");
        if (good)
            array->dims[array->rank++] = dim;
    }
    if (!good)
        refuse(span, "has a shape of more axes or numbers than are supported");
}

static struct npz_array read_header(const struct span *span, const struct span *header)
{
    char *text = NEW_ARRAY(span->arena, char, header->size + 1);
    memcpy(text, header->bytes, header->size);
    struct npz_array array = {.name = span->entry};
    const char *type = behind(span, text, "'descr'");
    /* "'<f4'": the order of bytes, the kind, the size */
    if (type[0] != '\'' || !type[1] || !strchr("<|", type[1]) || !type[2] || !strchr("fiub", type[2]) || !type[3] ||
        !strchr("1248", type[3]) || type[4] != '\'')
        refuse(span, "holds numbers of an unsupported type");
    array.kind = type[2];
    array.size = (size_t)(type[3] - '0');
    array.by_columns = strncmp(behind(span, text, "'fortran_order'"), "True", 4) == 0;
    read_shape(span, behind(span, text, "'shape'"), &array);
    return array;
}

static void read_array(const struct span *span, npz_take *take_array, void *closure)
{
    static const char magic[] = "\x93NUMPY";
    size_t fixed = span->size > 6 && span->bytes[6] == 1 ? 10 : 12;
    if (!begins(span->bytes, span->size, magic, 6) || span->size < fixed)
        refuse(span, "is not a .npy array");
    uint32_t length = little(span->bytes + 8, fixed == 10 ? 2 : 4);
    struct span header = part(span, fixed, length);
    struct npz_array array = read_header(span, &header);
    struct span numbers = part(span, fixed + (uint64_t)length, span->size - fixed - length);
    int64_t size;
    if (!multiply_fits(array.count, (int64_t)array.size, &size) || (uint64_t)size != numbers.size)
        refuse(span, "does not have the size of its shape");
    array.bytes = numbers.bytes;
    const char *reason = take_array(closure, &array);
    if (reason)
        refuse(span, reason);
}

/* ---- the archive ---- */

/* One entry of the central directory, `at` its first byte. Returns the one behind it. left: bytes that entries may
 * still have, all of them together as many as the file, so that they do not lie on each other. */
static uint64_t read_entry(const struct span *file, uint64_t at, uint64_t *left, npz_take *take_array, void *closure)
{
    struct span entry = part(file, at, ENTRY_SIZE);
    if (!begins(entry.bytes, entry.size, "PK\1\2", 4))
        refuse(file, "has a damaged directory");
    uint32_t method = little(entry.bytes + 10, 2), sum = little(entry.bytes + 16, 4);
    uint32_t stored = little(entry.bytes + 20, 4), size = little(entry.bytes + 24, 4);
    uint32_t name_size = little(entry.bytes + 28, 2), local = little(entry.bytes + 42, 4);
    uint64_t more = (uint64_t)little(entry.bytes + 30, 2) + little(entry.bytes + 32, 2);
    struct span name = part(file, at + ENTRY_SIZE, name_size);
    char *text = NEW_ARRAY(file->arena, char, name.size + 1);
    memcpy(text, name.bytes, name.size);
    struct span own = *file;
    own.entry = text;
    if (method != 0)
        refuse(&own, "is compressed: write it by numpy.savez, not savez_compressed");
    if (little(entry.bytes + 8, 2) & 1 || stored != size || size == UINT32_MAX || size > *left ||
        strlen(text) != name.size)
        refuse(&own, "is encrypted, damaged or too large");
    *left -= size;
    struct span head = part(&own, local, LOCAL_SIZE);
    if (!begins(head.bytes, head.size, "PK\3\4", 4))
        refuse(&own, "is not where the directory says");
    uint64_t skip = LOCAL_SIZE + (uint64_t)little(head.bytes + 26, 2) + little(head.bytes + 28, 2);
    struct span data = part(&own, local + skip, size);
    if (checksum(&data) != sum)
        refuse(&own, "is damaged: its checksum differs");
    size_t length = name.size;
    if (length < 4 || strcmp(text + length - 4, ".npy") != 0)
        refuse(&own, "is not a .npy array");
    text[length - 4] = '\0';
    read_array(&data, take_array, closure);
    return at + ENTRY_SIZE + name_size + more;
}

bool npz_is(const uint8_t *bytes, size_t size)
{
    return begins(bytes, size, "PK\3\4", 4) || begins(bytes, size, "PK\5\6", 4);
}

void npz_read(struct arena *arena, const char *path, const char *expected, const uint8_t *bytes, size_t size,
              npz_take *take_array, void *closure)
{
    struct span file = {arena, path, expected, NULL, bytes, size};
    size_t end = size < END_SIZE ? 0 : size - END_SIZE;
    size_t least = end > COMMENT_MOST ? end - COMMENT_MOST : 0;
    while (end > least && !begins(bytes + end, size - end, "PK\5\6", 4))
        end--;
    if (size < END_SIZE || !begins(bytes + end, size - end, "PK\5\6", 4))
        refuse(&file, "has no directory");
    uint32_t count = little(bytes + end + 10, 2);
    uint64_t at = little(bytes + end + 16, 4);
    if (count == 0xffff || at == UINT32_MAX)
        refuse(&file, "has too many entries");
    uint64_t left = size;
    for (uint32_t i = 0; i < count; i++)
        at = read_entry(&file, at, &left, take_array, closure);
}
