/* eval_reach.c: how large the numbers were that were added up to make an array.
 *
 * Two ways to compute the same differ by the rounding of what they add. Where most of it cancels, that
 * is no small part of the result, and shows nothing. */
#include <math.h>

#include "eval_internal.h"

static void find_largest(struct array *array)
{
    if (!array_is_real(array) || array->largest > 0)
        return;
    for (int64_t i = 0; i < array->count; i++)
        if (isfinite(array->reals[i]))
            array->largest = fmax(array->largest, fabs(array->reals[i]));
    array->reach = fmax(array->reach, array->largest);
}

void eval_note_reach(const struct node *node, struct array *const *inputs, struct array *out)
{
    enum { GROWTH_MOST = 64 }; /* so that numbers made of nothing but rounding are not all alike */
    find_largest(out);
    for (size_t i = 0; node && i < node->input_count; i++) {
        struct array *in = inputs[i];
        if (!in || !array_is_real(in) || !array_is_real(out) || in == out)
            continue;
        find_largest(in);
        switch (node->op) {
        case OP_Add:
        case OP_Mean:
        case OP_ReduceMean:
        case OP_ReduceSum:
        case OP_Sub:
        case OP_Sum: out->reach = fmax(out->reach, in->reach); break;
        default: {
            /* What follows a sum that cancelled is as uncertain, and grows or shrinks with it. */
            double growth = in->largest > 0 ? out->largest / in->largest : 1;
            if (in->reach > in->largest)
                out->reach = fmax(out->reach, in->reach * fmin(growth, GROWTH_MOST));
        }
        }
    }
}

double eval_least(double reach, int32_t type, double tolerance)
{
    return fmin(4 * type_rounding(type) / tolerance, 1) * reach;
}
