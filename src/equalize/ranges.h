/* equalize/ranges.h: the quantities of the objective, for channels and the ops between them. */
#ifndef EQUALIZE_RANGES_H
#define EQUALIZE_RANGES_H

#include "equalize/groups.h"

/* Reads all weights once, and pins channels that cannot be measured. */
void ranges_measure(struct equalization *e);

/* The largest absolute number of an activation's channel, unscaled; NaN if unknown. */
double range_of_channel(struct equalization *e, const struct channels *channels, int64_t index);
/* Second moments of an op's input, unscaled, by input channel. */
const double *second_moments(struct equalization *e, struct seam *seam);
/* The sum of them for each group of channels times taps, of numbers times 2^(factor * exponent). In e->powers[1]. */
const double *moments_read(struct equalization *e, struct seam *seam, int factor);
/* The range of each output's row with the present scales of the op's input, and of each input's column with those of
 * its output. */
const double *row_ranges(struct equalization *e, struct seam *seam);
const double *column_ranges(struct equalization *e, struct seam *seam);
/* The sum of the second moments of an op's output. */
double signal_of(struct seam *seam, const double *second);
/* 2^(factor * exponent) of each of `count` channels, into `powers`. */
double *powers_of(struct equalization *e, const struct channels *channels, int64_t count, int factor, double *powers);

/* The ratio of the largest range of an activation's channels to the median of those that are not dead. exponents: by
 * class of the present group; NULL: unscaled. */
double spread_of(struct equalization *e, const struct channels *channels, const int *exponents);
/* Reorders them. `count` is at least 1. */
double median_of(double *numbers, size_t count);

#endif
