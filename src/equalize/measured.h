/* equalize/measured.h: statistics that somebody measured, as JSON or as an archive of numpy's (io/npz.h).
 *
 *     {"VALUE": {"mean": [..], "deviation": [..], "low": [..], "high": [..]}, ...}
 *
 * One number for each channel: mean and standard deviation over images and positions, and the smallest and largest number
 * (or percentiles of them). examples/activation_statistics.py makes either. */
#ifndef EQUALIZE_MEASURED_H
#define EQUALIZE_MEASURED_H

#include "equalize/statistics.h"

/* Reads all of it into `values`, from names to struct measured. `path` is for messages. Lands with ARGUMENT, saying where,
 * when it is something else. */
void measured_read(struct arena *arena, const char *path, const uint8_t *bytes, size_t size, struct map *values);

#endif
