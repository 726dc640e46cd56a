/* fuzz_statistics.c: files of --statistics. Chance makes no archive, so an input that begins as neither JSON nor one is what
 * to change in an archive that is good: where, in two bytes, and the byte that stands there then. */
#include "target.h"

#include <string.h>

#include "equalize/measured.h"

/* As numpy.savez({"v": [4, 2] of float64}) writes it: the local header, the array, the directory, its end. */
static const char header[] = "\x93NUMPY\x01\0\x76\0{'descr': '<f8', 'fortran_order': False, 'shape': (4, 2), }";
enum { LOCAL = 35, HEADER = 128, ARRAY = HEADER + 64, ENTRY = 51, END = 22, SIZE = LOCAL + ARRAY + ENTRY + END };

static void put(uint8_t *at, unsigned long value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        at[i] = (uint8_t)(value >> 8 * i);
}

/* Of what the entry holds: else the first byte that changes would be the end of it. */
static void seal(uint8_t *at)
{
    uint32_t sum = ~UINT32_C(0);
    for (size_t i = LOCAL; i < LOCAL + ARRAY; i++) {
        sum ^= at[i];
        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? UINT32_C(0xedb88320) : 0);
    }
    put(at + 14, ~sum, 4);
    put(at + LOCAL + ARRAY + 16, ~sum, 4);
}

static void lay_out(uint8_t *at)
{
    uint8_t *entry = at + LOCAL + ARRAY, *end = entry + ENTRY;
    memset(at, 0, SIZE);
    memcpy(at, "PK\3\4\24", 5);
    put(at + 18, ARRAY, 4);
    put(at + 22, ARRAY, 4);
    put(at + 26, 5, 2);
    memcpy(at + 30, "v.npy", 5);
    memcpy(at + LOCAL, header, sizeof(header) - 1);
    memset(at + LOCAL + sizeof(header) - 1, ' ', HEADER - sizeof(header));
    at[LOCAL + HEADER - 1] = '\n';
    memcpy(entry, "PK\1\2\24\0\24", 7);
    put(entry + 20, ARRAY, 4);
    put(entry + 24, ARRAY, 4);
    put(entry + 28, 5, 2);
    memcpy(entry + 46, "v.npy", 5);
    memcpy(end, "PK\5\6", 4);
    put(end + 8, 1, 2);
    put(end + 10, 1, 2);
    put(end + 12, ENTRY, 4);
    put(end + 16, LOCAL + ARRAY, 4);
}

static bool read(struct arena *arena, const uint8_t *bytes, size_t size)
{
    struct map values = {0};
    jmp_buf jump;
    arena->landing->jump = &jump;
    if (setjmp(jump) != 0)
        return false;
    measured_read(arena, "statistics", bytes, size, &values);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct landing landing = {.status = ONNX_FUSE_OK};
    struct arena arena;
    uint8_t archive[SIZE];
    bool whole = size > 0 && (data[0] == '{' || data[0] == 'P');
    lay_out(archive);
    for (size_t i = 0; !whole && i + 3 <= size; i += 3)
        archive[(data[i] | data[i + 1] << 8) % SIZE] = data[i + 2];
    seal(archive);
    arena_init(&arena, &landing);
    target_begin();
    bool good = read(&arena, whole ? data : archive, whole ? size : SIZE);
    target_end("statistics", whole ? size : SIZE);
    PROMISE(good || landing.status == ONNX_FUSE_ARGUMENT, "%s", landing.message);
    PROMISE(good || size > 0, "the archive is good: %s", landing.message);
    arena_free(&arena);
    return 0;
}
