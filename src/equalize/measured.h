/* equalize/measured.h: statistics that somebody measured, as JSON.
 *
 *     {"VALUE": {"mean": [..], "deviation": [..], "low": [..], "high": [..]}, ...}
 *
 * One number for each channel: mean and standard deviation over images and positions, and the smallest and largest number
 * (or percentiles of them). docs/equalize.md has a script that makes it. */
#ifndef EQUALIZE_MEASURED_H
#define EQUALIZE_MEASURED_H

#include "equalize/statistics.h"

struct measured {
    int64_t count;
    struct moments *moments;
};

/* Reads all of it into `values`, from names to struct measured. `path` is for messages. Lands with ARGUMENT, saying where,
 * when it is something else. */
void measured_read(struct arena *arena, const char *path, const uint8_t *text, size_t size,
                   struct map *values);

#endif
