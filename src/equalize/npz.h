/* equalize/npz.h: statistics that somebody measured, as numpy.savez writes them.
 *
 * One array a value, under its name, of shape [4, channels]: the rows are mean, deviation, low, high, as in
 * equalize/measured.h. float32 or float64. An archive that is compressed is refused: statistics are small. */
#ifndef EQUALIZE_NPZ_H
#define EQUALIZE_NPZ_H

#include "base/map.h"

/* Whether a file begins as an archive does. */
bool npz_is(const uint8_t *bytes, size_t size);

/* Reads all of it into `values`, from names to struct measured. `path` is for messages. Lands with ARGUMENT, saying
 * which entry, when it is something else. */
void npz_read(struct arena *arena, const char *path, const uint8_t *bytes, size_t size,
              struct map *values);

#endif
