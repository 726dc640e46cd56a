/* eval/reach.c: the magnitude of the summands of an array.
 *
 * Two ways to compute the same result differ by the rounding of their summands. If these mostly cancel, the
 * difference is large relative to the result, but proves nothing. */
#include "eval/reach.h"

#include <float.h>
#include <math.h>

#include "base/vector.h"

VECTORISED(double, largest_number, (const double *numbers, int64_t count), (numbers, count))
{
    double largest = 0;
    for (int64_t i = 0; i < count; i++) {
        double size = fabs(numbers[i]);
        largest = size > largest && size <= DBL_MAX ? size : largest;
    }
    return largest;
}

static double largest_of(struct array *array)
{
    if (array->largest == 0)
        array->largest = largest_number(array->reals, array->count);
    return array->largest;
}

/* The reach of any real array: without a sum, its largest number. */
static double eval_reach(struct array *array)
{
    return array->reach > 0 ? array->reach : largest_of(array);
}

void eval_note_reach(const struct node *node, struct array *const *inputs, struct array *out)
{
    enum { GROWTH_MOST = 64 }; /* so that numbers that are only rounding errors are not all equal */
    for (size_t i = 0; array_is_real(out) && i < node->input_count; i++) {
        struct array *in = inputs[i];
        if (!in || !array_is_real(in) || in == out)
            continue;
        if (operator_is(node->op, ADDS)) {
            out->reach = fmax(out->reach, eval_reach(in));
        } else if (in->reach > 0) {
            /* Results of a sum that cancelled are as uncertain, and scale with it. */
            double growth = largest_of(in) > 0 ? largest_of(out) / in->largest : 1;
            out->reach = fmax(out->reach, in->reach * fmin(growth, GROWTH_MOST));
        }
    }
}
