/* base/arena.c: arena, landing, growing arrays, string map. */
#include "base/arena.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/ahead.h"
#include "base/system.h"

enum {
    ARENA_BLOCK = 64 * 1024,
    ARENA_MOST = 32 << 20, /* blocks grow with the arena, from one to the other */
    ARENA_LARGE = 2 << 20, /* from here on by pages_map, in large pages */
    ARENA_AHEAD = 8 << 20  /* from here on another thread may make the next one ready */
};

/* Under AddressSanitizer what no allocation owns is out of bounds, and between two lies a gap. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_GUARDED 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_GUARDED 1
#endif
#ifdef ARENA_GUARDED
#include <sanitizer/asan_interface.h>
enum { ARENA_GAP = 16 };
static void fence(const void *bytes, size_t size)
{
    ASAN_POISON_MEMORY_REGION(bytes, size);
}
static void admit(const void *bytes, size_t size)
{
    ASAN_UNPOISON_MEMORY_REGION(bytes, size);
}
#else
enum { ARENA_GAP = 0 };
static inline void fence(const void *bytes, size_t size)
{
    (void)bytes;
    (void)size;
}
static inline void admit(const void *bytes, size_t size)
{
    (void)bytes;
    (void)size;
}
#endif

struct arena_block {
    struct arena_block *next;
    size_t used, room;
    bool mapped; /* by pages_map, not calloc */
    bool large;  /* made for one allocation */
    _Alignas(ARENA_ALIGNMENT) unsigned char bytes[];
};

void memory_is_large(void *bytes, size_t size)
{
    /* Whole pages only, because other data surrounds them. If there are no large pages, small ones are used. */
    uintptr_t page = page_size();
    uintptr_t from = ((uintptr_t)bytes + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)bytes + size) / page * page;
    if (size >= ARENA_LARGE && from < to)
        pages_large((void *)from, to - from);
}

void arena_init(struct arena *arena, struct landing *landing)
{
    *arena = (struct arena){.landing = landing};
}

static void free_block(struct arena *arena, struct arena_block *block)
{
    admit(block->bytes, block->room);
    atomic_fetch_sub(&arena->landing->bytes, sizeof(*block) + block->room);
    if (block->mapped)
        pages_unmap(block, sizeof(*block) + block->room);
    else
        free(block);
}

bool arena_give_back(struct arena *arena, const void *memory)
{
    for (struct arena_block **at = &arena->blocks; memory && *at; at = &(*at)->next) {
        struct arena_block *block = *at;
        if (block->bytes != memory)
            continue;
        if (!block->large)
            return false;
        *at = block->next;
        arena->allocated -= block->room;
        free_block(arena, block);
        return true;
    }
    return false;
}

void arena_free(struct arena *arena)
{
    struct arena_block *block = arena->blocks;
    arena_settle(arena);
    while (block) {
        struct arena_block *next = block->next;
        free_block(arena, block);
        block = next;
    }
    arena->blocks = NULL;
    arena->allocated = 0;
}

void arena_reset(struct arena *arena)
{
    for (struct arena_block *block = arena->blocks; block; block = block->next) {
        admit(block->bytes, block->used);
        memset(block->bytes, 0, block->used);
        fence(block->bytes, block->used);
        block->used = 0;
        block->large = false;
    }
}

/* A large block asks for large pages: a model of a million nodes is filled in with hundreds of page
 * faults instead of hundreds of thousands. */
static struct arena_block *map_block(size_t room)
{
    size_t size = sizeof(struct arena_block) + room;
    struct arena_block *block = pages_map(size);
    if (!block)
        return NULL;
    memory_is_large(block, size);
    block->room = room;
    block->mapped = true;
    return block;
}

/* Size of the next block for small pieces: it grows with the arena, in steps, so that sizes recur. */
static size_t block_room(const struct arena *arena)
{
    size_t room = ARENA_BLOCK;
#ifdef ARENA_APART /* tests of failing allocations: each is one of the system's */
    return 0;
#endif
    while (room < ARENA_MOST && room <= arena->allocated / 16)
        room *= 2;
    return room;
}

static void stop_ahead(struct arena *arena)
{
    ahead_end(arena->ahead);
    arena->ahead = NULL;
    if (arena->spare)
        pages_unmap(arena->spare, sizeof(struct arena_block) + arena->spare->room);
    arena->spare = NULL;
}

/* The next block is mapped, and its pages are made ready while this one is filled. */
static void prepare_spare(struct arena *arena)
{
    size_t room = block_room(arena);
    if (room < ARENA_AHEAD || (arena->spare && arena->spare->room == room) || landing_left(arena->landing) < 2 * room)
        return;
    if (arena->spare) /* of another size: it must not go while the thread is at it */
        stop_ahead(arena);
    if (!arena->ahead)
        arena->ahead = ahead_begin();
    if (arena->ahead)
        arena->spare = map_block(room);
    if (arena->spare)
        ahead_prepare(arena->ahead, arena->spare, sizeof(struct arena_block) + room);
}

/* A spare block counts from when it is taken, so that what fits does not depend on threads. */
static struct arena_block *new_block(struct arena *arena, size_t room)
{
    struct landing *landing = arena->landing;
    struct arena_block *block;
    size_t size = sizeof(*block) + room;
    size_t before = atomic_load(&landing->bytes);
    landing->is_over = landing->most && (before > landing->most || size > landing->most - before);
    if (landing->is_over)
        return NULL;
    if (arena->spare && arena->spare->room == room) {
        block = arena->spare;
        arena->spare = NULL;
    } else if (room >= ARENA_LARGE) {
        block = map_block(room);
    } else {
        block = calloc(1, size);
    }
    if (!block)
        return NULL;
    block->room = room;
    atomic_fetch_add(&landing->bytes, size);
    fence(block->bytes, room);
    return block;
}

void arena_run_ahead(struct arena *arena)
{
    arena->runs_ahead = true;
}

void arena_settle(struct arena *arena)
{
    stop_ahead(arena);
    arena->runs_ahead = false;
}

void *arena_try_alloc(struct arena *arena, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size_t asked = size;
    size = (size + ARENA_ALIGNMENT - 1) / ARENA_ALIGNMENT * ARENA_ALIGNMENT + ARENA_GAP;
    struct arena_block *block = arena->blocks;
    /* Blocks behind the first have room again after a reset. */
    for (int tries = 0; tries < 16 && block && block->room - block->used < size; tries++)
        block = block->next;
    if (!block || block->room - block->used < size) {
        size_t room = block_room(arena);
        bool large = size > room / 4;
        if (large)
            room = size;
        block = new_block(arena, room);
        if (!block && room > size && room > ARENA_BLOCK) /* where little is left, ask for little */
            block = new_block(arena, room = size > ARENA_BLOCK ? size : ARENA_BLOCK);
        if (!block)
            return NULL;
        arena->allocated += room;
        block->large = large && block->room == size;
        if (large && arena->blocks) {
            /* A large piece gets its own block behind the open one, whose rest stays in use. */
            block->next = arena->blocks->next;
            arena->blocks->next = block;
        } else {
            block->next = arena->blocks;
            arena->blocks = block;
            if (arena->runs_ahead)
                prepare_spare(arena);
        }
    }
    void *memory = block->bytes + block->used;
    block->used += size;
    admit(memory, asked);
    return memory;
}

void *numbers_alloc(int64_t rows, int64_t length)
{
    int64_t count;
    bool fits =
        rows >= 0 && length >= 0 && multiply_fits(rows, length, &count) && (uint64_t)count < SIZE_MAX / sizeof(double);
    return fits ? malloc((size_t)count * sizeof(double) + 1) : NULL;
}

void *arena_alloc(struct arena *arena, uint64_t count, size_t size)
{
    size_t bytes;
    void *memory = NULL;
    if (!__builtin_mul_overflow(count, size, &bytes))
        memory = arena_try_alloc(arena, bytes);
    if (!memory && arena->landing->is_over)
        fail_over(arena->landing);
    if (!memory)
        fail(arena->landing, ONNX_FUSE_OUT_OF_MEMORY, "out of memory: %llu times %zu bytes asked for",
             (unsigned long long)count, size);
    return memory;
}

char *arena_copy(struct arena *arena, const char *text)
{
    size_t size = strlen(text) + 1;
    return memcpy(arena_alloc(arena, size, 1), text, size);
}

char *arena_vformat(struct arena *arena, const char *format, va_list arguments)
{
    va_list copy;
    va_copy(copy, arguments);
    int length = vsnprintf(NULL, 0, format, copy);
    va_end(copy);
    if (length < 0)
        length = 0;
    char *text = arena_alloc(arena, (size_t)length + 1, 1);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    return text;
}

char *arena_format(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *text = arena_vformat(arena, format, arguments);
    va_end(arguments);
    return text;
}

void *list_reserve(struct arena *arena, void *items, size_t count, size_t more, size_t size, size_t *room)
{
    if (*room - count >= more)
        return items;
    *room = count + more;
    void *grown = arena_alloc(arena, *room, size);
    if (count)
        memcpy(grown, items, count * size);
    return grown;
}

void *list_grow(struct arena *arena, void *items, size_t count, size_t size, size_t *room)
{
    *room = *room ? *room * 2 : 4;
    void *grown = arena_alloc(arena, *room, size);
    if (count)
        memcpy(grown, items, count * size);
    return grown;
}

bool count_elements(const int64_t *dims, size_t rank, int64_t *count)
{
    int64_t product = 1;
    bool zero = false;
    for (size_t i = 0; i < rank; i++) {
        if (dims[i] < 0)
            return false;
        if (dims[i] == 0)
            zero = true;
        else if (!multiply_fits(product, dims[i], &product))
            return false;
    }
    *count = zero ? 0 : product;
    return true;
}

int64_t greatest_common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a < 0 ? -a : a;
}
