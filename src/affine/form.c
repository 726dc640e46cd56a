/* affine/form.c: a form, its sizes and bounds. Its numbers are in affine/rows.c, what may be done with it in affine/laws.c. */
#include "affine/form.h"

#include <math.h>

#include "base/budget.h"

static const struct affine_axis trivial = {.stride = 1, .step = 1, .taps = 1};

struct affine_axis affine_axis_of(const struct affine *form, int index)
{
    return form->axis ? form->axis[index] : trivial;
}

int64_t affine_axis_high(struct affine_axis axis)
{
    return axis.low + (axis.taps - 1) * axis.step;
}

int64_t affine_taps(const struct affine *form)
{
    int64_t taps = 1;
    for (int i = 0; i < form->axes; i++)
        taps *= affine_axis_of(form, i).taps;
    return taps;
}

int64_t affine_row_length(const struct affine *form)
{
    return form->groups ? form->inputs / form->groups * affine_taps(form) : affine_taps(form);
}

int64_t affine_weights(const struct affine *form)
{
    return form->outputs * affine_row_length(form);
}

bool affine_is_diagonal(const struct affine *form)
{
    return form->groups == form->inputs && form->groups == form->outputs;
}

bool affine_is_pointwise(const struct affine *form)
{
    for (int i = 0; i < form->axes; i++) {
        struct affine_axis axis = affine_axis_of(form, i);
        if (axis.stride != 1 || axis.low != 0 || axis.taps != 1 || axis.end != 0)
            return false;
    }
    return true;
}

bool affine_is_identity(const struct affine *form)
{
    return form->kind == AFFINE_DIAGONAL && affine_is_pointwise(form) && !form->scale && form->factor == 1 &&
           !form->offset && form->shift == 0 && !form->border;
}

bool affine_has_border(const struct affine *form)
{
    return form->kind == AFFINE_DIAGONAL && form->border;
}

bool affine_is_pick(const struct affine *form)
{
    return (form->kind == AFFINE_PICK && affine_is_pointwise(form)) || affine_is_identity(form);
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t affine_extent(struct affine_axis axis, int64_t source_extent)
{
    int64_t extent = floor_divide(source_extent - 1 + axis.end, axis.stride) + 1;
    return extent > 0 ? extent : -1;
}

/* ---- makers ---- */

const char *affine_check_axes(struct arena *arena, int axes, const struct affine_axis *axis)
{
    if (axes > AFFINE_AXES)
        return arena_format(arena, "%d spatial axes, at most %d are supported", axes, AFFINE_AXES);
    for (int i = 0; i < axes; i++) {
        struct affine_axis a = axis[i];
        if (a.stride < 1 || a.step < 1 || a.taps < 1)
            return "a stride, dilation or kernel size is not positive";
        if (a.stride > AFFINE_LIMIT || a.step > AFFINE_LIMIT || a.taps > AFFINE_LIMIT || a.low > AFFINE_LIMIT ||
            a.low < -AFFINE_LIMIT || a.end > AFFINE_LIMIT || a.end < -AFFINE_LIMIT ||
            (a.taps - 1) > AFFINE_LIMIT / a.step)
            return "a stride, dilation, padding or kernel size is absurdly large";
    }
    return NULL;
}

/* A pick is not read: it says which rows or columns of another form are. */
static double visits_of(const struct affine *form)
{
    if (form->kind == AFFINE_PICK)
        return 0;
    return form->visits > 0 ? form->visits : 1;
}

static double count_visits(const struct affine *form)
{
    double visits = 1;
    if (form->kind == AFFINE_COMPOSE)
        visits += visits_of(form->outer) + visits_of(form->inner);
    for (size_t k = 0; form->kind == AFFINE_JOIN && k < form->term_count; k++)
        visits += visits_of(form->terms[k].form);
    /* Every row of a stack is a row of one of them. */
    double most = 0;
    for (size_t k = 0; form->kind == AFFINE_STACK && k < form->term_count; k++)
        most = fmax(most, visits_of(form->terms[k].form));
    return visits + most;
}

double affine_effort(const struct affine *form)
{
    enum { VISIT = 128 }; /* a visit is worth so many numbers */
    double numbers = (double)affine_weights(form);
    return visits_of(form) * (numbers > VISIT ? numbers : VISIT);
}

const char *affine_finish(struct arena *arena, struct affine *form, int axes, const struct affine_axis *axis)
{
    const char *reason = affine_check_axes(arena, axes, axis);
    if (reason)
        return reason;
    form->axes = axes;
    form->axis = NULL;
    if (axes > 0) {
        struct affine_axis *copy = NEW_ARRAY(arena, struct affine_axis, axes);
        memcpy(copy, axis, (size_t)axes * sizeof(*axis));
        form->axis = copy;
    }
    int64_t weights = form->outputs ? form->outputs : 1;
    bool fits = !form->groups || multiply_fits(weights, form->inputs / form->groups, &weights);
    for (int i = 0; i < axes && fits; i++)
        fits = multiply_fits(weights, axis[i].taps, &weights);
    if (!fits || weights > BUDGET_FORM_WEIGHTS)
        return "the kernel would have more than 2^31 numbers";
    /* Sums of sums with several readers each double with every step. */
    form->visits = count_visits(form);
    if (affine_effort(form) > BUDGET_FORM_READ + 8 * (double)arena->landing->input)
        return "limit: it combines the same ops in too many ways";
    return NULL;
}

const char *affine_make(struct arena *arena, const struct affine_kernel *kernel, const struct affine **result)
{
    int64_t outputs = kernel->outputs, inputs = kernel->inputs, groups = kernel->groups;
    if (groups < 1 || outputs < 1 || inputs < 1 || outputs % groups || inputs % groups)
        return arena_format(arena, "%lld input and %lld output channels do not divide into %lld groups",
                            (long long)inputs, (long long)outputs, (long long)groups);
    struct affine *form = NEW(arena, struct affine);
    *form = (struct affine){.kind = AFFINE_KERNEL,
                            .outputs = outputs,
                            .inputs = inputs,
                            .groups = groups,
                            .read = kernel->read,
                            .closure = kernel->closure,
                            .offset = kernel->bias};
    *result = form;
    return affine_finish(arena, form, kernel->axes, kernel->axis);
}

bool affine_is_held(const struct landing *landing, double numbers)
{
    return numbers <= BUDGET_FORM_HELD + (double)landing->input;
}
