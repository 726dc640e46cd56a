/* io/npz.h: arrays as numpy.savez writes them: a zip archive of .npy files, stored.
 *
 * An archive that is compressed is refused: to unpack it would take a library, and what is read here is small. */
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
    const uint8_t *bytes; /* they, little-endian, one behind the other; not aligned */
};

/* Takes one array. Returns NULL, or what is wrong with it: "is not of ...". */
typedef const char *npz_take(void *closure, const struct npz_array *array);

/* Whether a file begins as an archive does. */
bool npz_is(const uint8_t *bytes, size_t size);

/* Gives all arrays to `take`, in their order. `path` and `expected` ("statistics by numpy.savez, ...") are for messages.
 * Lands with ARGUMENT, saying which entry, when the archive is something else or `take` has a reason. */
void npz_read(struct arena *arena, const char *path, const char *expected, const uint8_t *bytes, size_t size,
              npz_take *take, void *closure);

#endif
