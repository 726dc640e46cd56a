/* equalize/ranges.h: the quantities of the law, of channels and of the ops between them. */
#ifndef EQUALIZE_RANGES_H
#define EQUALIZE_RANGES_H

#include "equalize/groups.h"

/* Reads all weights once. What cannot be measured is pinned. */
void ranges_measure(struct equalization *e);

/* The largest absolute number of an activation's channel, as it was in the file; NaN where nobody knows. */
double range_of_channel(struct equalization *e, const struct channels *channels, int64_t index);
/* Second moments of what an op reads, as it was in the file, by input channel. */
const double *second_moments(struct equalization *e, struct seam *seam);
/* The sum of them for each group of channels times taps, of numbers times 2^(factor * exponent). In e->powers[1]. */
const double *moments_read(struct equalization *e, struct seam *seam, int factor);
/* The range of each output's row, as what the op reads is scaled now, and of each input's column, as what it makes is. */
const double *row_ranges(struct equalization *e, struct seam *seam);
const double *column_ranges(struct equalization *e, struct seam *seam);
/* The sum of the second moments of what an op makes. */
double signal_of(struct seam *seam, const double *second);
/* 2^(factor * exponent) of each of `count` channels, into `powers`. */
double *powers_of(struct equalization *e, const struct channels *channels, int64_t count, int factor, double *powers);

/* The largest range of an activation's channel over the median of those that are not dead, exponents by class of the
 * group that is looked at; NULL: as it was in the file. */
double spread_of(struct equalization *e, const struct channels *channels, const int *exponents);
/* Moves them about. `count` is at least 1. */
double median_of(double *numbers, size_t count);

#endif
