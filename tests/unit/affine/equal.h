/* unit/affine/equal.h: whether two forms are the same map. */
#ifndef TESTS_UNIT_AFFINE_EQUAL_H
#define TESTS_UNIT_AFFINE_EQUAL_H

#include <math.h>

#include "affine/laws.h"
#include "affine/rows.h"

/* True if the two are the same map: equal extents, and numbers within `tolerance` of the largest. */
static inline bool affine_equal(struct arena *arena, const struct affine *a, const struct affine *b, double tolerance)
{
    /* a - b is the zero map when they are equal; join refuses when the extents are not. */
    struct affine_term terms[2] = {{a, 1}, {b, -1}};
    const struct affine *difference = NULL, *one = NULL, *other = NULL;
    bool used = false;
    if (a->outputs != b->outputs || affine_join(arena, terms, 2, NULL, &difference, &used))
        return false;
    int64_t width = difference->outputs ? difference->outputs : 1;
    int64_t length = affine_row_length(difference);
    if (affine_join(arena, terms, 1, NULL, &one, &used) || affine_join(arena, terms + 1, 1, NULL, &other, &used))
        return false;
    double *row = NEW_ARRAY(arena, double, length);
    double largest = 0, apart = 0;
    const struct affine *forms[3] = {one, other, difference};
    for (int k = 0; k < 3; k++) {
        const double *bias = affine_bias(arena, forms[k], width);
        double *target = k < 2 ? &largest : &apart;
        int64_t numbers = affine_row_length(forms[k]);
        for (int64_t o = 0; o < width; o++) {
            if (!affine_rows(forms[k], NULL, width, o, 1, row))
                return false;
            for (int64_t i = 0; i < numbers; i++)
                *target = fmax(*target, fabs(row[i]));
            *target = fmax(*target, bias ? fabs(bias[o]) : 0);
        }
    }
    return apart <= tolerance * largest;
}

#endif
