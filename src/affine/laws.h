/* affine/laws.h: what forms can be made of, and what may be done with them: scale, pad, compose, join. */
#ifndef AFFINE_LAWS_H
#define AFFINE_LAWS_H

#include "affine/form.h"

/* A kernel of which every number is *number, borrowed for the life of the form. */
const char *affine_fill(struct arena *arena, int axes, const struct affine_axis *axis, int64_t outputs, int64_t inputs,
                        int64_t groups, const double *number, const double *bias, const struct affine **result);
/* True when all numbers of all rows are one, and then which. It sees what is plain: a filled kernel that is
 * scaled alike in all channels. */
bool affine_repeats(const struct affine *form, double *number);

/* y = scale[c] * x + shift[c]; NULL means 1 or 0. Any number of axes. terms: of each shift, the largest sum of
 * the absolute numbers that it was computed from, so that what rounding left of them can be told; NULL:
 * |shift|. */
const char *affine_scale_shift(struct arena *arena, int64_t channels, const double *scale, const double *shift,
                               const double *terms, const struct affine **result);
/* y = factor * x + shift, of any width. */
struct affine *affine_uniform(struct arena *arena, double factor, double shift);
/* Every tap of the lattice is `factor`: an average pool has factor 1 / taps. */
const char *affine_box(struct arena *arena, int axes, const struct affine_axis *axis, double factor,
                       const struct affine **result);
/* The reason why so many channels are not followed one by one, or NULL. */
const char *affine_pick_room(const struct arena *arena, int64_t inputs, int64_t outputs);
/* A form that takes, repeats or places: y[o,p] = x[from[o], stride*p + low + tap[o]*step], or 0 where from[o] is -1. */
struct affine_picked {
    int axes; /* -1: any number, at each position */
    const struct affine_axis *axis;
    int64_t inputs, outputs;
    const int64_t *from, *tap; /* of each output; borrowed. tap NULL: there is one */
};
/* Of all channels in order it is a diagonal form. */
const char *affine_pick(struct arena *arena, const struct affine_picked *picked, const struct affine **result);
/* Moves the extent: begin and end are added (a negative one crops). border: per channel what the
 * new positions hold, NULL for 0; rounding: their precision, relative to the terms of the bias that they
 * stand for. */
const char *affine_pad(struct arena *arena, int axes, const int64_t *begin, const int64_t *end, int64_t channels,
                       const double *border, double rounding, const struct affine **result);

/* outer after inner, which may be one of the two as it is. Exact, or refused: where the outer form
 * reads outside the inner's extent it finds its padding, and that must be what the inner form gives
 * there. */
const char *affine_compose(struct arena *arena, const struct affine *outer, const struct affine *inner,
                           const struct affine **result);

/* Sum of factor * form. Strides must agree and so must extents: by equal `end`, or, where
 * source_extent (one per axis, -1 unknown; may be NULL) is known, by value. *used_extent is set
 * when the result holds for that source extent only. */
const char *affine_join(struct arena *arena, const struct affine_term *terms, size_t count,
                        const int64_t *source_extent, const struct affine **result, bool *used_extent);

/* The outputs of all forms, one form's after the other's: Concat on the channels. Strides and extents must agree as
 * they must for affine_join. A form of unknown width is taken as wide as the others say the source is. */
const char *affine_stack(struct arena *arena, const struct affine *const *forms, size_t count,
                         const int64_t *source_extent, const struct affine **result, bool *used_extent);

/* The same, where each form reads channels of its own: the first those in front, the next those behind them. All have as
 * many. */
const char *affine_beside(struct arena *arena, const struct affine *const *forms, size_t count,
                          const int64_t *source_extent, const struct affine **result, bool *used_extent);

/* The same map with `groups` groups, a divisor of the form's. */
const char *affine_widen(struct arena *arena, const struct affine *form, int64_t groups, const struct affine **result);

/* The same map as a convolution can state it: the padding on no axis is negative. It may be `form`. */
const char *affine_lowerable(struct arena *arena, const struct affine *form, const struct affine **result);
/* The same form where what it left open is known: its number of axes, and its width. */
const struct affine *affine_settle(struct arena *arena, const struct affine *form, int axes, int64_t width);

/* The same map without one of its axes, on which it has one tap and nothing is padded: of a source that has one position
 * there. */
const char *affine_drop_axis(struct arena *arena, const struct affine *form, int index, const struct affine **result);

/* True when the two are the same map: extents, and numbers within `tolerance` of the largest. */
bool affine_equal(struct arena *arena, const struct affine *a, const struct affine *b, double tolerance);

#endif
