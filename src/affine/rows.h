/* affine/rows.h: the numbers of a form, row by row. */
#ifndef AFFINE_ROWS_H
#define AFFINE_ROWS_H

#include "affine/form.h"

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
bool affine_rows(const struct affine *form, const struct affine_dense *dense, int64_t width, int64_t first,
                 int64_t count, double *out);

/* Where, among the taps of a composition on the lattice of `form`, each pair of taps lies: those of the inner one run faster. */
void affine_places(const struct affine *form, const struct affine *outer, const struct affine *inner, int64_t *place);

/* The bias, `width` numbers, or NULL when it is 0 everywhere. Kept in the arena with the form. */
const double *affine_bias(struct arena *arena, const struct affine *form, int64_t width);

/* What the bias is the sum of, in absolute numbers: `width` of them, in the arena. */
const double *affine_bias_terms(struct arena *arena, const struct affine *form, int64_t width);

#endif
