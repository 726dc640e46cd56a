/* affine/laws.h: how forms are made and combined: scale, pad, compose, join. */
#ifndef AFFINE_LAWS_H
#define AFFINE_LAWS_H

#include "affine/form.h"

/* A kernel whose numbers are all *number, borrowed for the life of the form. */
const char *affine_fill(struct arena *arena, int axes, const struct affine_axis *axis, int64_t outputs, int64_t inputs,
                        int64_t groups, const double *number, const double *bias, const struct affine **result);
/* True if all numbers of all rows are equal, and which number it is. It detects the obvious case: a filled kernel
 * that is scaled equally in all channels. */
bool affine_repeats(const struct affine *form, double *number);

/* y = scale[c] * x + shift[c]; NULL means 1 or 0. Any number of axes. terms: for each shift, the largest sum of the
 * absolute numbers from which it was computed, to bound its rounding error; NULL: |shift|. */
const char *affine_scale_shift(struct arena *arena, int64_t channels, const double *scale, const double *shift,
                               const double *terms, const struct affine **result);
/* y = factor * x + shift, of any width. */
struct affine *affine_uniform(struct arena *arena, double factor, double shift);
/* Every tap of the lattice is `factor`: an average pool has factor 1 / taps. */
const char *affine_box(struct arena *arena, int axes, const struct affine_axis *axis, double factor,
                       const struct affine **result);
/* The reason why this many channels are not tracked one by one, or NULL. */
const char *affine_pick_room(const struct arena *arena, int64_t inputs, int64_t outputs);
/* A form that selects, repeats or places channels: y[o,p] = x[from[o], stride*p + low + tap[o]*step], or 0 if
 * from[o] is -1. */
struct affine_picked {
    int axes; /* -1: any number, at each position */
    const struct affine_axis *axis;
    int64_t inputs, outputs;
    const int64_t *from, *tap; /* of each output; borrowed. tap NULL: there is one */
};
/* For all channels in order, the result is a diagonal form. */
const char *affine_pick(struct arena *arena, const struct affine_picked *picked, const struct affine **result);
/* Changes the extent: begin and end are added (a negative one crops). border: the value of the new positions per
 * channel, NULL for 0; rounding: their precision, relative to the terms of the bias that they replace. */
const char *affine_pad(struct arena *arena, int axes, const int64_t *begin, const int64_t *end, int64_t channels,
                       const double *border, double rounding, const struct affine **result);

/* outer after inner; the result may be one of the two. Exact, or refused: outside the inner form's extent, the outer
 * form reads its padding, and that must equal what the inner form gives there. */
const char *affine_compose(struct arena *arena, const struct affine *outer, const struct affine *inner,
                           const struct affine **result);

/* Sum of factor * form. Strides must agree, and so must extents: by equal `end`, or by value if source_extent (one
 * per axis, -1 unknown; may be NULL) is known. *used_extent is set if the result is exact only for that source
 * extent. */
const char *affine_join(struct arena *arena, const struct affine_term *terms, size_t count,
                        const int64_t *source_extent, const struct affine **result, bool *used_extent);

/* The outputs of all forms, one after the other: Concat on the channels. Strides and extents must agree, as for
 * affine_join. A form of unknown width gets the width that the others give the source. */
const char *affine_stack(struct arena *arena, const struct affine *const *forms, size_t count,
                         const int64_t *source_extent, const struct affine **result, bool *used_extent);

/* The same, but each form reads its own channels, one part after the other. All parts have equal width. */
const char *affine_beside(struct arena *arena, const struct affine *const *forms, size_t count,
                          const int64_t *source_extent, const struct affine **result, bool *used_extent);

/* The same map with `groups` groups, a divisor of the form's. */
const char *affine_widen(struct arena *arena, const struct affine *form, int64_t groups, const struct affine **result);

/* The same map with no negative padding, as a convolution requires. It may be `form`. */
const char *affine_lowerable(struct arena *arena, const struct affine *form, const struct affine **result);
/* The same form with its open parts set: the number of axes and the width. */
const struct affine *affine_settle(struct arena *arena, const struct affine *form, int axes, int64_t width);

/* The same map without one of its axes, on which it has one tap and no padding: for a source with one position
 * there. */
const char *affine_drop_axis(struct arena *arena, const struct affine *form, int index, const struct affine **result);

#endif
