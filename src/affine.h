/* affine.h: the algebra. It knows no ONNX.
 *
 * A tensor y is an affine convolution of a source x when, for output channel o and position p,
 *
 *     y[n,o,p] = bias[o] + sum over i, t of  w[o,i,t] * x[n, group(o) + i, stride*p + t]
 *
 * with x taken as 0 outside its extent. Per spatial axis, t runs over the lattice
 * low, low + step, ..., low + (taps-1)*step; a dilated kernel is a lattice with step > 1. With H
 * the source's extent, y's is floor((H - 1 + end) / stride) + 1: `end` is the padding at the end
 * less the highest tap. No axis: a matrix product.
 *
 * Forms are immutable and made in an arena. Making one costs no arithmetic on weights: a form is
 * an expression, and affine_rows computes any of its rows when someone needs the numbers, in
 * double. A channel count of 0 means "as many as the source has", which is known once the form
 * meets another one.
 *
 * Source: arXiv 2101.03697, section 3.3, for the case of Conv, BatchNormalization and Add. */
#ifndef AFFINE_H
#define AFFINE_H

#include "base.h"

enum { AFFINE_AXES = 8 };

struct affine_axis {
    int64_t stride, low, step, taps, end;
};

/* Reads `count` rows from `first` on: count * (inputs / groups) * taps numbers, the last axis of
 * the kernel running fastest. */
typedef void affine_reader(const void *closure, int64_t first, int64_t count, double *out);

struct affine_term {
    const struct affine *form;
    double factor;
};

enum affine_kind { AFFINE_KERNEL, AFFINE_DIAGONAL, AFFINE_COMPOSE, AFFINE_JOIN };

struct affine {
    enum affine_kind kind;
    int axes;                        /* spatial axes; -1: any number, all trivial */
    const struct affine_axis *axis;  /* NULL: all trivial (one tap at 0, stride 1, end 0) */
    int64_t outputs, inputs, groups; /* all 0: a diagonal form of unknown width */
    const double *offset;            /* KERNEL, DIAGONAL: bias, `outputs` numbers, or NULL for 0 */
    union {                          /* a plan has a few of them for each op: they are kept small */
        struct {                     /* AFFINE_KERNEL: borrowed for the life of the form */
            affine_reader *read;
            const void *closure;
            const double *filled; /* every number of it, or NULL; borrowed */
        };
        struct {                 /* AFFINE_DIAGONAL */
            const double *scale; /* of every tap of channel c; borrowed; then the width is known */
            double factor;       /* the same where scale is NULL */
            double shift;        /* bias where `offset` is NULL */
            const double
                *bias_terms;      /* absolute numbers that each bias is the sum of; NULL: |bias| */
            const double *border; /* what lies in the padding, per channel, instead of 0; or NULL */
            double border_rounding;
        };
        struct { /* AFFINE_COMPOSE */
            const struct affine *outer, *inner;
        };
        struct { /* AFFINE_JOIN; one term is a change of lattice */
            const struct affine_term *terms;
            size_t term_count;
        };
    };
    double visits;      /* of the forms it is made of, to read it once; 0: it is made of none */
    const double *bias; /* memo of affine_bias */
    int64_t bias_width;
};

struct affine_axis affine_axis_of(const struct affine *form, int index);
int64_t affine_axis_high(struct affine_axis axis);
/* Taps of all axes together. */
int64_t affine_taps(const struct affine *form);
/* Numbers in one row, inputs / groups * taps, and in all rows. 0 while the width is unknown. */
int64_t affine_row_length(const struct affine *form);
int64_t affine_weights(const struct affine *form);
/* What it takes to read all rows: numbers looked at, those of a form that it is made of in many ways each
 * time. */
double affine_effort(const struct affine *form);
/* True for a form that treats each channel by itself. */
bool affine_is_diagonal(const struct affine *form);
/* True for one tap at 0, stride 1 and end 0 on every axis. */
bool affine_is_pointwise(const struct affine *form);
bool affine_is_identity(const struct affine *form);
/* Output extent along an axis, or -1 where that is not positive. */
int64_t affine_extent(struct affine_axis axis, int64_t source_extent);

/* Every maker below returns NULL and sets *result, or returns the reason why there is no such
 * form. Reasons live in the arena. */

/* A kernel [outputs, inputs / groups, taps...]. axis: `axes` of them, copied. bias: NULL for 0. */
const char *affine_make(struct arena *arena, int axes, const struct affine_axis *axis,
                        int64_t outputs, int64_t inputs, int64_t groups, affine_reader *read,
                        const void *closure, const double *bias, const struct affine **result);

/* A kernel of which every number is *number, borrowed for the life of the form. */
const char *affine_fill(struct arena *arena, int axes, const struct affine_axis *axis,
                        int64_t outputs, int64_t inputs, int64_t groups, const double *number,
                        const double *bias, const struct affine **result);
/* True when all numbers of all rows are one, and then which. It sees what is plain: a filled kernel that is
 * scaled alike in all channels. */
bool affine_repeats(const struct affine *form, double *number);

/* y = scale[c] * x + shift[c]; NULL means 1 or 0. Any number of axes. terms: of each shift, the largest sum of
 * the absolute numbers that it was computed from, so that what rounding left of them can be told; NULL:
 * |shift|. */
const char *affine_scale_shift(struct arena *arena, int64_t channels, const double *scale,
                               const double *shift, const double *terms,
                               const struct affine **result);
/* y = factor * x + shift, of any width. */
struct affine *affine_uniform(struct arena *arena, double factor, double shift);
/* Every tap of the lattice is `factor`: an average pool has factor 1 / taps. */
const char *affine_box(struct arena *arena, int axes, const struct affine_axis *axis, double factor,
                       const struct affine **result);
/* Moves the extent: begin and end are added (a negative one crops). border: per channel what the
 * new positions hold, NULL for 0; rounding: their precision, relative to the terms of the bias that they
 * stand for. */
const char *affine_pad(struct arena *arena, int axes, const int64_t *begin, const int64_t *end,
                       int64_t channels, const double *border, double rounding,
                       const struct affine **result);

/* outer after inner, which may be one of the two as it is. Exact, or refused: where the outer form
 * reads outside the inner's extent it finds its padding, and that must be what the inner form gives
 * there. */
const char *affine_compose(struct arena *arena, const struct affine *outer,
                           const struct affine *inner, const struct affine **result);

/* Sum of factor * form. Strides must agree and so must extents: by equal `end`, or, where
 * source_extent (one per axis, -1 unknown; may be NULL) is known, by value. *used_extent is set
 * when the result holds for that source extent only. */
const char *affine_join(struct arena *arena, const struct affine_term *terms, size_t count,
                        const int64_t *source_extent, const struct affine **result,
                        bool *used_extent);

/* The same map with `groups` groups, a divisor of the form's. */
const char *affine_widen(struct arena *arena, const struct affine *form, int64_t groups,
                         const struct affine **result);

/* The same map as a convolution can state it: the padding on no axis is negative. It may be `form`. */
const char *affine_lowerable(struct arena *arena, const struct affine *form,
                             const struct affine **result);
/* The same form where what it left open is known: its number of axes, and its width. */
const struct affine *affine_settle(struct arena *arena, const struct affine *form, int axes,
                                   int64_t width);

/* True when so many numbers (in double) may be held at once to compute one form of a model of this
 * size: 2 Mi, and one for each byte of input. */
bool affine_is_held(const struct landing *landing, double numbers);

/* ---- numbers ---- */

/* Inner kernels of compositions, all rows of them: every outer row needs them again. */
struct affine_dense {
    const struct affine *form;
    double *rows; /* malloc */
    struct affine_dense *next;
};

/* Computes what affine_rows would compute many times. *dense starts as NULL and must be released,
 * also after a failure. False: out of memory. */
bool affine_prepare(const struct affine *form, struct affine_dense **dense);
void affine_release(struct affine_dense **dense);
/* Rows [first, first + count) into count * affine_row_length numbers. `width` is the form's number of
 * output channels. dense: what affine_prepare made, only read, so that threads may share it; NULL
 * is slower for compositions and gives the same numbers. False: out of memory, and `out` holds nothing. */
bool affine_rows(const struct affine *form, const struct affine_dense *dense, int64_t width,
                 int64_t first, int64_t count, double *out);

/* The bias, `width` numbers, or NULL when it is 0 everywhere. Kept in the arena with the form. */
const double *affine_bias(struct arena *arena, const struct affine *form, int64_t width);

/* What the bias is the sum of, in absolute numbers: `width` of them, in the arena. */
const double *affine_bias_terms(struct arena *arena, const struct affine *form, int64_t width);

/* True when the two are the same map: extents, and numbers within `tolerance` of the largest. */
bool affine_equal(struct arena *arena, const struct affine *a, const struct affine *b,
                  double tolerance);

#endif
