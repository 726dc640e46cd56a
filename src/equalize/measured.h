/* equalize/measured.h: measured statistics, as JSON or as a NumPy archive (io/npz.h).
 *
 *     {"VALUE": {"mean": [..], "deviation": [..], "low": [..], "high": [..]}, ...}
 *
 * One number for each channel: mean and standard deviation over images and positions, and the smallest and largest number
 * (or percentiles of them). examples/activation_statistics.py writes both formats. */
#ifndef EQUALIZE_MEASURED_H
#define EQUALIZE_MEASURED_H

#include "equalize/statistics.h"

/* Reads all of it into `values`, from names to struct measured. `path` is for messages. Lands with ARGUMENT and the
 * place of the error if the file is invalid. */
void measured_read(struct arena *arena, const char *path, const uint8_t *bytes, size_t size, struct map *values);

#endif
