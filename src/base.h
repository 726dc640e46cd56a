/* base.h: memory and errors, the two things every other file needs.
 *
 * Memory. Everything that belongs to one run lives in its arena and is freed by one call.
 * Nobody frees a single allocation; what is large and short-lived gets an arena of its own.
 *
 * Errors. A hard error (bad file, no memory, failed write) goes by longjmp to the landing of the
 * call, so the code between reads without error plumbing. Public functions set it, in api*.c, and
 * there what is open is closed and the caller gets the error; a thread of the self-check has one of
 * its own in selfcheck.c. A declined rewrite is no error: those functions return the reason as
 * text, NULL meaning success. */
#ifndef BASE_H
#define BASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#include "onnx_repvgg_fuse.h"
#include "secret.h"

/* For static inner loops: compiled once more for processors with AVX2, chosen when the program starts. Sums
 * keep their written order in both, so the numbers are the same. Without glibc's indirect functions,
 * and under a sanitizer, whose runtime starts later than the choice is made, one version does. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__OPTIMIZE__) && !defined(__clang__) &&   \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define VECTORISED __attribute__((target_clones("avx2", "default")))
#else
#define VECTORISED
#endif

/* Weights lie in the file as little-endian numbers, and are read, hashed and written as they lie. For
 * compilers that do not say, meson.build asks. */
#ifdef __BYTE_ORDER__
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "expected a little-endian machine");
#endif

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

struct landing {
    jmp_buf jump;
    enum onnx_fuse_status status;
    char message[1024];
    /* What all arenas of the landing may hold together; 0: no bound. Set by landing_bound. */
    size_t most, input;
    const char *path;    /* of the input, for the message */
    atomic_size_t bytes; /* that they hold */
    bool is_over;        /* the last allocation that failed would have passed `most` */
    bool has_secret;
    struct secret secret; /* by landing_secret */
};

/* Memory is bounded by the size of what is read: numbers that a small file states have no bound of
 * their own (what evaluation may cost: eval.h). The process as a whole stays below 64 MiB and 16 times
 * the input: arenas get 56 MiB and 15 times, the rest is for the program, the pages of the input and
 * the blocks of the writer. Beyond LIMIT_LARGE each byte counts for more: no small file gets there. */
enum { LIMIT_BASE = 56 << 20, LIMIT_FACTOR = 15, LIMIT_LARGE = 4 << 20, LIMIT_FACTOR_LARGE = 64 };
void landing_bound(struct landing *landing, const char *path, size_t input);
/* What is left of it. SIZE_MAX: there is no bound. */
size_t landing_left(const struct landing *landing);
/* A text that somebody asks for may take as much again. */
void landing_extend(struct landing *landing);
/* True when so many of 12 parts of the bound are taken: time to do without what is dear. */
bool landing_has_taken(const struct landing *landing, unsigned parts);

/* What the hash tables of the call are keyed with; drawn when it is first asked for. */
const struct secret *landing_secret(struct landing *landing);

/* Ends the run: never returns. The message should name the file, the place in it, what was
 * found, what was expected, and what to do. */
noreturn void fail(struct landing *landing, enum onnx_fuse_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Ends the run where arena_try_alloc returned NULL and landing->is_over is set. */
noreturn void fail_over(struct landing *landing);

struct arena_block;

struct arena {
    struct arena_block *blocks;
    struct landing *landing;
    size_t allocated; /* bytes asked of the system so far */
    bool runs_ahead;
    struct ahead *ahead;
    struct arena_block *spare; /* the next large block, its pages made ready by `ahead` */
};

void arena_init(struct arena *arena, struct landing *landing);
void arena_free(struct arena *arena);
/* From here on a second thread gets a large arena's next pages ready, until arena_settle or
 * arena_free. Nothing but time depends on it. */
void arena_run_ahead(struct arena *arena);
void arena_settle(struct arena *arena);
/* Empties it but keeps its memory, for a caller that will fill it again. */
void arena_reset(struct arena *arena);

/* Says that all of this memory will be used: the system may take large pages for it, which come many
 * times faster. Little is done for little. */
void memory_is_large(void *bytes, size_t size);

/* count * size bytes, zeroed, aligned to 8. Lands with OUT_OF_MEMORY when the product
 * overflows or the system has none, with LIMIT when the landing's bound is reached. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);

/* The same, but returns NULL instead of landing: for protobuf-c, which must not be jumped over. */
void *arena_try_alloc(struct arena *arena, size_t size);

/* Frees one allocation where it is large enough to have memory of its own; others stay: false. */
bool arena_give_back(struct arena *arena, const void *memory);

char *arena_copy(struct arena *arena, const char *text);
char *arena_format(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
char *arena_vformat(struct arena *arena, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0), nonnull));

#define NEW(arena, type) ((type *)arena_alloc((arena), 1, sizeof(type)))
#define NEW_ARRAY(arena, type, count) ((type *)arena_alloc((arena), (size_t)(count), sizeof(type)))

/* A growing array. push doubles the room, so n pushes cost O(n). */
#define LIST(type)                                                                                 \
    struct {                                                                                       \
        type *items;                                                                               \
        size_t count, room;                                                                        \
    }
#define LIST_PUSH(arena, list, item)                                                               \
    do {                                                                                           \
        if ((list)->count == (list)->room)                                                         \
            (list)->items = list_grow((arena), (list)->items, (list)->count,                       \
                                      sizeof(*(list)->items), &(list)->room);                      \
        (list)->items[(list)->count++] = (item);                                                   \
    } while (0)
/* Room for `more` items at once, where their number is known. */
#define LIST_RESERVE(arena, list, more)                                                            \
    ((list)->items = list_reserve((arena), (list)->items, (list)->count, (more),                   \
                                  sizeof(*(list)->items), &(list)->room))
void *list_grow(struct arena *arena, void *items, size_t count, size_t size, size_t *room);
void *list_reserve(struct arena *arena, void *items, size_t count, size_t more, size_t size,
                   size_t *room);

/* Strings to pointers, open addressing. Keys are borrowed. Where a key lies is another place in every
 * run (secret.h): nothing may depend on the order of the entries. */
struct map {
    struct map_entry *entries;
    size_t count, room;
    struct secret secret; /* of the landing; set when there is room */
};
struct map_entry {
    const char *key;
    void *item;
    uint64_t
        hash; /* kept: growing does not read the keys again, and most misses compare only this */
};
void *map_get(const struct map *map, const char *key);
void map_put(struct arena *arena, struct map *map, const char *key, void *item);
/* The same unless the key is there: then what it has is returned and stays. NULL: it was put. */
void *map_add(struct arena *arena, struct map *map, const char *key, void *item);
/* Room for `count` more keys, so that a map of known size does not grow step by step. */
void map_reserve(struct arena *arena, struct map *map, size_t count);

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
