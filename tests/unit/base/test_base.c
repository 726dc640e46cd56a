/* test_base.c: arenas, with and without a thread that runs ahead; limits; the map of names and its hash. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "unit.h"

/* More than the blocks that are made ready ahead begin with, by pieces of many sizes. */
enum { PIECES = 60000, LARGEST = 6000 };

struct piece {
    unsigned char *bytes;
    size_t size;
};

/* Fills an arena, and returns what the landing counts for it. */
static size_t fill(struct unit *unit, struct arena *arena, struct piece *pieces)
{
    bool zero = true, aligned = true;
    for (size_t i = 0; i < PIECES; i++) {
        size_t size = (size_t)unit_integer(&unit->state, 1, i % 5000 ? LARGEST : LARGEST * 2000);
        unsigned char *bytes = arena_alloc(arena, size, 1);
        aligned = aligned && (uintptr_t)bytes % 8 == 0;
        zero = zero && bytes[0] == 0 && bytes[size / 2] == 0 && bytes[size - 1] == 0;
        memset(bytes, (int)(i % 251), size);
        pieces[i] = (struct piece){bytes, size};
    }
    expect(zero, "memory of an arena is zero");
    expect(aligned, "memory of an arena is aligned to 8 bytes");
    bool whole = true;
    for (size_t i = 0; i < PIECES; i++)
        whole = whole && pieces[i].bytes[0] == i % 251 && pieces[i].bytes[pieces[i].size - 1] == i % 251;
    expect(whole, "no piece lies over another");
    return atomic_load(&unit->landing.bytes);
}

static size_t turn; /* outlives a jump */

/* What does not fit a size_t is refused, and not cut off: of 2^32 + 1 there would be 1. */
static void test_sizes(struct unit *unit)
{
    static const int64_t many = (INT64_C(1) << 32) + 1;
    const struct {
        int64_t rows, length;
    } sizes[] = {{many, many}, {INT64_MAX, 1}, {1, INT64_MAX / 8 + 1}, {-1, 1}, {-1, -1}};
    for (size_t i = 0; i < COUNT_OF(sizes); i++)
        expect(!numbers_alloc(sizes[i].rows, sizes[i].length), "%lld times %lld numbers are refused",
               (long long)sizes[i].rows, (long long)sizes[i].length);
    void *none = numbers_alloc(0, 5);
    expect(none, "there is room for no number");
    free(none);
    static const uint64_t counts[] = {(UINT64_C(1) << 32) + 1, (UINT64_C(1) << 61) + 1, UINT64_MAX};
    jmp_buf *outer = unit->landing.jump, jump;
    landing_bound(&unit->landing, "sizes", 0);
    unit->landing.jump = &jump;
    for (turn = 0; turn < COUNT_OF(counts); turn++) {
        volatile bool landed = true;
        if (setjmp(jump) == 0) {
            arena_alloc(&unit->arena, counts[turn], 8);
            landed = false;
        }
        expect(landed, "%llu times 8 bytes of an arena are refused", (unsigned long long)counts[turn]);
    }
    unit->landing.jump = outer;
}

static void test_ahead(struct unit *unit)
{
    struct piece *pieces = calloc(PIECES, sizeof(*pieces));
    size_t counted[2];
    expect(pieces != NULL, "room for the test");
    for (int ahead = 0; pieces && ahead < 2; ahead++) {
        struct arena arena;
        arena_init(&arena, &unit->landing);
        if (ahead)
            arena_run_ahead(&arena);
        unit->state = 7;
        counted[ahead] = fill(unit, &arena, pieces);
        expect((arena.ahead != NULL) == (ahead == 1), "a thread runs ahead where it may, run %d", ahead);
        if (ahead) {
            arena_settle(&arena);
            expect(!arena.ahead && !arena.spare, "after arena_settle nothing runs ahead");
            expect(pieces[PIECES - 1].bytes[0] == (PIECES - 1) % 251, "what was allocated stays");
        }
        arena_free(&arena);
        expect(atomic_load(&unit->landing.bytes) == 0, "a freed arena counts for nothing, run %d", ahead);
    }
    expect(pieces && counted[0] == counted[1], "what counts against a limit does not depend on threads");
    free(pieces);
}

/* A limit holds to the byte whoever runs ahead, and says so. */
static void test_limit(struct unit *unit)
{
    for (int ahead = 0; ahead < 2; ahead++) {
        struct arena arena;
        size_t got = 0;
        arena_init(&arena, &unit->landing);
        if (ahead)
            arena_run_ahead(&arena);
        unit->landing.most = 200 << 20;
        while (arena_try_alloc(&arena, 100000))
            got += 100000;
        expect(unit->landing.is_over, "the limit is what stops it");
        expect(got > 150 << 20 && atomic_load(&unit->landing.bytes) <= unit->landing.most,
               "most of the limit can be used, and no more: %zu MB", got >> 20);
        unit->landing.most = 0;
        arena_free(&arena);
    }
}

static void test_give_back(struct unit *unit)
{
    size_t before = atomic_load(&unit->landing.bytes);
    void *large = arena_alloc(&unit->arena, 3 << 20, 1), *small = arena_alloc(&unit->arena, 100, 1);
    expect(atomic_load(&unit->landing.bytes) > before + (3 << 20), "a large piece counts");
    arena_give_back(&unit->arena, large);
    expect(atomic_load(&unit->landing.bytes) < before + (1 << 20), "and goes as a whole");
    arena_give_back(&unit->arena, small);
    arena_give_back(&unit->arena, NULL);
    expect(memset(small, 1, 100) == small, "a small one stays");
}

static void test_map(struct unit *unit)
{
    enum { KEYS = 5000 };
    struct map map = {0}, reserved = {0};
    static char names[KEYS][16];
    static int items[KEYS];
    expect(map_get(&map, "a") == NULL, "an empty map has nothing");
    map_reserve(&unit->arena, &reserved, KEYS);
    size_t room = reserved.room;
    for (int i = 0; i < KEYS; i++) {
        snprintf(names[i], sizeof(names[i]), "%*d", i % 11 + 1, i);
        map_put(&unit->arena, &map, names[i], &items[i]);
        map_put(&unit->arena, &reserved, names[i], &items[i]);
    }
    bool all = map.count == KEYS && reserved.count == KEYS;
    for (int i = 0; i < KEYS; i++) {
        char other[32];
        snprintf(other, sizeof(other), "%.15s", names[i]); /* by content, not by address */
        all = all && map_get(&map, other) == &items[i] && map_get(&reserved, other) == &items[i];
        snprintf(other, sizeof(other), "%.15sx", names[i]);
        all = all && !map_get(&map, other);
    }
    expect(all, "every key has its item, and no other");
    expect(reserved.room == room, "a map that was reserved does not grow");
    expect(map_add(&unit->arena, &map, names[3], &items[4]) == &items[3] && map_get(&map, names[3]) == &items[3],
           "map_add leaves what is there");
    expect(map_add(&unit->arena, &map, "new", &items[4]) == NULL && map_get(&map, "new") == &items[4] &&
               map.count == KEYS + 1,
           "map_add adds what is not");
    map_put(&unit->arena, &map, names[3], &items[4]);
    expect(map_get(&map, names[3]) == &items[4] && map.count == KEYS + 1, "map_put replaces");
}

static void test_folds(struct unit *unit)
{
    bool same = true;
    for (int i = 0; i < 10000; i++) {
        /* Numbers of every length, so that every carry happens. */
        uint64_t a = unit_random(&unit->state) >> unit_random(&unit->state) % 64;
        uint64_t b = unit_random(&unit->state) >> unit_random(&unit->state) % 64;
        same =
            same && secret_fold(a, b) == secret_fold_halves(a, b) && secret_fold(~a, ~b) == secret_fold_halves(~a, ~b);
    }
    expect(same, "a product of halves is the product");
    expect(secret_fold_halves(UINT64_MAX, UINT64_MAX) == UINT64_MAX, "the largest product");
}

static int by_hash(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool all_differ(uint64_t *hashes, size_t count)
{
    bool differ = true;
    qsort(hashes, count, sizeof(*hashes), by_hash);
    for (size_t i = 1; i < count; i++)
        differ = differ && hashes[i] != hashes[i - 1];
    return differ;
}

/* What a multiplication alone lets through: high bits, complements, words that change places, zeros. */
static void test_hash(struct unit *unit)
{
    enum { WORDS = 8, BITS = 64 * WORDS };
    static uint64_t hashes[BITS * BITS / 2 + BITS + 1];
    const struct secret *secret = landing_secret(&unit->landing);
    uint64_t words[WORDS] = {0};
    size_t count = 0;
    hashes[count++] = secret_hash(secret, words, sizeof(words));
    for (size_t i = 0; i < BITS; i++)
        for (size_t k = i; k < BITS; k++) {
            words[i / 64] ^= UINT64_C(1) << i % 64;
            words[k / 64] ^= i == k ? 0 : UINT64_C(1) << k % 64;
            hashes[count++] = secret_hash(secret, words, sizeof(words));
            memset(words, 0, sizeof(words));
        }
    expect(all_differ(hashes, count), "%zu inputs of one or two bits have hashes of their own", count);
    count = 0;
    for (size_t size = 0; size <= sizeof(words); size++) {
        memset(words, 0, sizeof(words));
        hashes[count++] = secret_hash(secret, words, size);
        memset(words, 0xff, sizeof(words));
        if (size)
            hashes[count++] = secret_hash(secret, words, size);
    }
    for (size_t i = 1; i < 1 << WORDS; i++)
        for (size_t k = 0; k < 1 << WORDS; k++) {
            for (size_t n = 0; n < WORDS; n++)
                words[n] = (uint64_t)(i >> n & 1) << 63 | (k >> n & 1);
            hashes[count++] = secret_hash(secret, words, sizeof(words));
        }
    expect(all_differ(hashes, count), "%zu inputs of zeros, ones and high bits too", count);
    struct landing other = {.status = ONNX_FUSE_OK};
    expect(secret_hash(secret, "name", 4) != secret_hash(landing_secret(&other), "name", 4),
           "another call has another secret");
    expect(secret == landing_secret(&unit->landing) && memcmp(secret, landing_secret(&other), sizeof(*secret)) != 0,
           "which is drawn once");
}

/* A map that is filled on behalf of one call and grows on behalf of another finds what it had. */
static void test_two_secrets(struct unit *unit)
{
    enum { KEYS = 500 };
    struct landing other = {.status = ONNX_FUSE_OK};
    struct map map = {0}, mirror = {0};
    char *names[KEYS];
    bool all = true, same = true;
    struct arena arena;
    arena_init(&arena, &other);
    for (int i = 0; i < KEYS; i++) {
        names[i] = arena_format(&unit->arena, "name %d", i);
        map_put(i < KEYS / 2 ? &unit->arena : &arena, &map, names[i], names[i]);
        map_put(&arena, &mirror, names[i], names[i]);
    }
    for (int i = 0; i < KEYS; i++)
        all = all && map_get(&map, names[i]) == names[i];
    for (size_t i = 0; i < map.room && i < mirror.room; i++)
        same = same && map.entries[i].key == mirror.entries[i].key;
    expect(all && map.count == KEYS, "a map keeps its secret when it grows");
    expect(!same, "the order of its entries is another in every call");
    arena_free(&arena);
}

int main(void)
{
    unit_run("sizes", test_sizes);
    unit_run("arenas and a thread that runs ahead", test_ahead);
    unit_run("the limit of a landing", test_limit);
    unit_run("memory given back", test_give_back);
    unit_run("maps", test_map);
    unit_run("products", test_folds);
    unit_run("hashes", test_hash);
    unit_run("secrets", test_two_secrets);
    return unit_finish();
}
