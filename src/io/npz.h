/* io/npz.h: arrays from numpy.savez: a zip archive of uncompressed .npy files.
 *
 * A compressed archive is refused: unpacking it would need a library, and these files are small. */
#ifndef IO_NPZ_H
#define IO_NPZ_H

#include "base/arena.h"

enum { NPZ_AXES = 16 };

struct npz_array {
    const char *name; /* without its .npy; lives as long as the arena */
    char kind;        /* of a number, numpy's: f float, i integer, u unsigned, b bool */
    size_t size;      /* of a number, in bytes: 1, 2, 4 or 8 */
    bool by_columns;  /* the first axis varies fastest */
    int rank;
    int64_t dims[NPZ_AXES];
    int64_t count;        /* of numbers */
    const uint8_t *bytes; /* the numbers, little-endian, dense; not aligned */
};

/* Takes one array. Returns NULL, or what is wrong with it: "is not of ...". */
typedef const char *npz_take(void *closure, const struct npz_array *array);

/* Whether a file begins like an archive. */
bool npz_is(const uint8_t *bytes, size_t size);

/* Gives all arrays to `take`, in their order. `path` and `expected` ("statistics by numpy.savez, ...") are for messages.
 * Lands with ARGUMENT and the name of the entry if the archive is invalid or `take` returns a reason. */
void npz_read(struct arena *arena, const char *path, const char *expected, const uint8_t *bytes, size_t size,
              npz_take *take, void *closure);

#endif
