/* base/arena.h: memory, lists and checked arithmetic, which every file needs.
 *
 * Everything that belongs to one run lives in its arena and is freed by one call. Single allocations are not freed;
 * large, short-lived data gets its own arena. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>

#include "base/error.h"

/* Weights are little-endian in the file, and are read, hashed and written without conversion. For compilers without
 * these macros, meson.build checks it. */
#ifdef __BYTE_ORDER__
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "expected a little-endian machine");
#endif

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

enum { ARENA_ALIGNMENT = 8 };

struct arena_block;

struct arena {
    struct arena_block *blocks;
    struct landing *landing;
    size_t allocated; /* bytes requested from the system so far */
    bool runs_ahead;
    struct ahead *ahead;
    struct arena_block *spare; /* the next large block, whose pages `ahead` prepares */
};

void arena_init(struct arena *arena, struct landing *landing);
void arena_free(struct arena *arena);
/* From here on a second thread prepares a large arena's next pages, until arena_settle or arena_free. Only the run
 * time depends on it. */
void arena_run_ahead(struct arena *arena);
void arena_settle(struct arena *arena);
/* Empties the arena but keeps its memory for reuse. */
void arena_reset(struct arena *arena);

/* Announces that all of this memory will be used: the system may then use large pages, which are many times faster.
 * Does nothing for small sizes. */
void memory_is_large(void *bytes, size_t size);

/* count * size bytes, zeroed, aligned to 8. Lands with OUT_OF_MEMORY if the product overflows or the system has no
 * memory, with LIMIT if the landing's limit is reached. */
void *arena_alloc(struct arena *arena, uint64_t count, size_t size);

/* The same, but returns NULL instead of landing: for protobuf-c, because a longjmp must not skip it. */
void *arena_try_alloc(struct arena *arena, size_t size);

/* Memory for rows * length numbers of eight bytes, by malloc; the count may be 0. NULL: out of memory, or too large
 * for size_t. */
void *numbers_alloc(int64_t rows, int64_t length);

/* Frees one allocation if it is large enough to have its own block. False: it stays. */
bool arena_give_back(struct arena *arena, const void *memory);

char *arena_copy(struct arena *arena, const char *text);
char *arena_format(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vformat(struct arena *arena, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0), nonnull));

/* sizeof(type), of types that need no more alignment than an arena gives. */
#define SIZE_IN_ARENA(type) (sizeof(type) * sizeof(char[_Alignof(type) <= ARENA_ALIGNMENT ? 1 : -1]))
#define NEW(arena, type) ((type *)arena_alloc((arena), 1, SIZE_IN_ARENA(type)))
#define NEW_ARRAY(arena, type, count) ((type *)arena_alloc((arena), (uint64_t)(count), SIZE_IN_ARENA(type)))

/* A growing array. push doubles the room, so n pushes cost O(n). */
#define LIST(type)                                                                                                     \
    struct {                                                                                                           \
        type *items;                                                                                                   \
        size_t count, room;                                                                                            \
    }
#define LIST_PUSH(arena, list, item)                                                                                   \
    do {                                                                                                               \
        if ((list)->count == (list)->room)                                                                             \
            (list)->items = list_grow((arena), (list)->items, (list)->count, sizeof(*(list)->items), &(list)->room);   \
        (list)->items[(list)->count++] = (item);                                                                       \
    } while (0)
/* Reserves `more` items at once, if their number is known. */
#define LIST_RESERVE(arena, list, more)                                                                                \
    ((list)->items = list_reserve((arena), (list)->items, (list)->count, (more), sizeof(*(list)->items), &(list)->room))
void *list_grow(struct arena *arena, void *items, size_t count, size_t size, size_t *room);
void *list_reserve(struct arena *arena, void *items, size_t count, size_t more, size_t size, size_t *room);

/* Checked arithmetic: false when the result does not fit. */
static inline bool multiply_fits(int64_t a, int64_t b, int64_t *product)
{
    return !__builtin_mul_overflow(a, b, product);
}
static inline bool add_fits(int64_t a, int64_t b, int64_t *sum)
{
    return !__builtin_add_overflow(a, b, sum);
}

/* Number of elements of a shape; false when a dimension is negative or the product overflows. */
bool count_elements(const int64_t *dims, size_t rank, int64_t *count);

int64_t greatest_common_divisor(int64_t a, int64_t b);

#endif
