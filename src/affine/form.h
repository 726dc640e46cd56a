/* affine/form.h: the algebra. It knows no ONNX.
 *
 * A tensor y is an affine convolution of a source x when, for output channel o and position p,
 *
 *     y[n,o,p] = bias[o] + sum over i, t of  w[o,i,t] * x[n, group(o) + i, stride*p + t]
 *
 * with x taken as 0 outside its extent. Per spatial axis, t runs over the lattice
 * low, low + step, ..., low + (taps-1)*step; a dilated kernel is a lattice with step > 1. If H is the source's extent,
 * y's is floor((H - 1 + end) / stride) + 1: `end` is the padding at the end minus the highest tap. A form without axes
 * is a matrix product.
 *
 * Forms are immutable and live in an arena. Making one does no arithmetic on weights: a form is an expression, and
 * affine_rows computes any of its rows in double when they are needed. A channel count of 0 means "as many as the
 * source has"; it becomes known when the form is combined with another one.
 *
 * Source: arXiv 2101.03697, section 3.3, for the case of Conv, BatchNormalization and Add. */
#ifndef AFFINE_FORM_H
#define AFFINE_FORM_H

#include "base/arena.h"

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

enum affine_kind { AFFINE_KERNEL, AFFINE_DIAGONAL, AFFINE_COMPOSE, AFFINE_JOIN, AFFINE_STACK, AFFINE_PICK };

struct affine {
    enum affine_kind kind;
    int axes;                        /* spatial axes; -1: any number, all trivial */
    const struct affine_axis *axis;  /* NULL: all trivial (one tap at 0, stride 1, end 0) */
    int64_t outputs, inputs, groups; /* all 0: a diagonal form of unknown width */
    const double *offset;            /* KERNEL, DIAGONAL: bias, `outputs` numbers, or NULL for 0 */
    union {                          /* a plan has several forms per op, so they are small */
        struct {                     /* AFFINE_KERNEL: borrowed for the life of the form */
            affine_reader *read;
            const void *closure;
            const double *filled; /* every number of it, or NULL; borrowed */
        };
        struct {                      /* AFFINE_DIAGONAL */
            const double *scale;      /* of every tap of channel c; borrowed; then the width is known */
            double factor;            /* the same where scale is NULL */
            double shift;             /* bias where `offset` is NULL */
            const double *bias_terms; /* absolute numbers that each bias is the sum of; NULL: |bias| */
            const double *border;     /* the value of the padding per channel, instead of 0; or NULL */
            double border_rounding;
        };
        struct { /* AFFINE_COMPOSE */
            const struct affine *outer, *inner;
        };
        struct { /* AFFINE_JOIN; one term is a change of lattice. AFFINE_STACK: the rows of one form after
                    those of the other; all have its lattice and the factor 1, and all read all of it, in
                    one group, or each a part of it, in groups of that */
            const struct affine_term *terms;
            size_t term_count;
        };
        struct {                 /* AFFINE_PICK: each output is one number of the source, or 0; borrowed */
            const int64_t *from; /* the input channel, -1: 0 */
            const int64_t *tap;  /* which tap; NULL: there is one */
        };
    };
    double visits;      /* of its operands, to read it once; 0: it has none */
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
/* The cost of reading all rows: numbers read, where a shared operand counts each time. */
double affine_effort(const struct affine *form);
/* True for a form that keeps channels separate. */
bool affine_is_diagonal(const struct affine *form);
/* True for a form that selects, repeats, permutes or places channels at each position, and for the identity. */
bool affine_is_pick(const struct affine *form);
/* True for one tap at 0, stride 1 and end 0 on every axis. */
bool affine_is_pointwise(const struct affine *form);
bool affine_is_identity(const struct affine *form);
/* Output extent along an axis, or -1 if it is not positive. */
int64_t affine_extent(struct affine_axis axis, int64_t source_extent);

/* Every function below returns NULL and sets *result, or returns the reason why no such form exists. Reasons live in
 * the arena. */

/* A kernel of shape [outputs, inputs / groups, taps...]. */
struct affine_kernel {
    int axes;
    const struct affine_axis *axis; /* `axes` of them, copied */
    int64_t outputs, inputs, groups;
    affine_reader *read;
    const void *closure; /* of `read` */
    const double *bias;  /* NULL for 0 */
};

const char *affine_make(struct arena *arena, const struct affine_kernel *kernel, const struct affine **result);

/* True if this many numbers (in double) may be held at once to compute one form, for a model of this size: 2 Mi,
 * plus one per byte of input. */
bool affine_is_held(const struct landing *landing, double numbers);

/* Far above real models. Larger strides, dilations and paddings are refused, so sums and products of a few of them
 * cannot overflow. */
#define AFFINE_LIMIT (INT64_C(1) << 28)

/* True for a diagonal form that defines the padding. */
bool affine_has_border(const struct affine *form);

/* NULL if the stride, step and taps of every axis are valid; otherwise the reason. */
const char *affine_check_axes(struct arena *arena, int axes, const struct affine_axis *axis);

/* The last step of making a form: checks its size, and copies it to the arena. Returns the reason why no such form
 * exists, or NULL and *result. */
const char *affine_finish(struct arena *arena, struct affine *form, int axes, const struct affine_axis *axis);

#endif
