/* affine/laws.c: how forms are made and combined: scale, pad, compose, join. */
#include "affine/laws.h"

#include <math.h>

#include "affine/rows.h"
#include "base/decimal.h"

/* ---- makers ---- */

static void read_filled(const void *closure, int64_t first, int64_t count, double *out)
{
    const struct affine *form = closure;
    (void)first;
    for (int64_t i = 0; i < count * affine_row_length(form); i++)
        out[i] = *form->filled;
}

const char *affine_fill(struct arena *arena, int axes, const struct affine_axis *axis, int64_t outputs, int64_t inputs,
                        int64_t groups, const double *number, const double *bias, const struct affine **result)
{
    const char *reason = affine_make(arena,
                                     &(struct affine_kernel){.axes = axes,
                                                             .axis = axis,
                                                             .outputs = outputs,
                                                             .inputs = inputs,
                                                             .groups = groups,
                                                             .read = read_filled,
                                                             .bias = bias},
                                     result);
    if (reason)
        return reason;
    struct affine *form = (struct affine *)(uintptr_t)*result;
    form->filled = number;
    form->closure = form;
    return NULL;
}

/* All channels are scaled alike. */
static bool scales_alike(const struct affine *form, double *scale)
{
    double inner;
    if (form->kind == AFFINE_COMPOSE) {
        if (!scales_alike(form->outer, scale) || !scales_alike(form->inner, &inner))
            return false;
        *scale *= inner;
        return true;
    }
    if (form->kind != AFFINE_DIAGONAL || affine_taps(form) != 1)
        return false;
    *scale = form->scale ? form->scale[0] : form->factor;
    for (int64_t c = 1; form->scale && c < form->outputs; c++)
        if (form->scale[c] != *scale)
            return false;
    return true;
}

bool affine_repeats(const struct affine *form, double *number)
{
    double scale;
    if (form->kind == AFFINE_KERNEL && form->filled) {
        *number = *form->filled;
        return true;
    }
    if (form->kind != AFFINE_COMPOSE || !((scales_alike(form->outer, &scale) && affine_repeats(form->inner, number)) ||
                                          (scales_alike(form->inner, &scale) && affine_repeats(form->outer, number))))
        return false;
    *number *= scale;
    return true;
}

const char *affine_scale_shift(struct arena *arena, int64_t channels, const double *scale, const double *shift,
                               const double *terms, const struct affine **result)
{
    if (channels < 1)
        return "no channels";
    struct affine *form = affine_uniform(arena, 1, 0);
    form->outputs = form->inputs = form->groups = channels;
    form->scale = scale;
    form->offset = shift;
    form->bias_terms = terms;
    *result = form;
    return NULL;
}

struct affine *affine_uniform(struct arena *arena, double factor, double shift)
{
    struct affine *form = NEW(arena, struct affine);
    *form = (struct affine){.kind = AFFINE_DIAGONAL, .axes = -1, .factor = factor, .shift = shift};
    return form;
}

const char *affine_box(struct arena *arena, int axes, const struct affine_axis *axis, double factor,
                       const struct affine **result)
{
    struct affine *form = affine_uniform(arena, factor, 0);
    *result = form;
    return affine_finish(arena, form, axes, axis);
}

/* True when the channels fall into so many blocks, in order, and each block of outputs reads its own block of inputs. */
static bool is_in_groups(int64_t inputs, int64_t outputs, const int64_t *from, int64_t groups)
{
    for (int64_t o = 0; o < outputs; o++)
        if (from[o] >= 0 && from[o] / (inputs / groups) != o / (outputs / groups))
            return false;
    return true;
}

/* The maximum number of channels of a pick, because every form that includes it stores them one by one. */
enum { PICK_WIDEST = 1 << 16, PICK_PARTS = 7 /* of 12 of the memory of a run */ };

const char *affine_pick_room(const struct arena *arena, int64_t inputs, int64_t outputs)
{
    if (inputs < 1 || outputs < 1)
        return "no channels";
    if (inputs > PICK_WIDEST || outputs > PICK_WIDEST)
        return "limit: it takes or places too many channels";
    return landing_has_taken(arena->landing, PICK_PARTS)
               ? "limit: following its channels would take too much memory for a model of this size"
               : NULL;
}

/* A box of one tap that copies each channel. */
static const char *move(struct arena *arena, const struct affine_picked *picked, const struct affine **result)
{
    struct affine *form = affine_uniform(arena, 1, 0);
    form->outputs = form->inputs = form->groups = picked->inputs;
    *result = form;
    return picked->axes < 0 ? NULL : affine_finish(arena, form, picked->axes, picked->axis);
}

const char *affine_pick(struct arena *arena, const struct affine_picked *picked, const struct affine **result)
{
    int64_t inputs = picked->inputs, outputs = picked->outputs;
    const char *reason = affine_pick_room(arena, inputs, outputs);
    if (reason)
        return reason;
    bool same = inputs == outputs && !picked->tap;
    for (int64_t o = 0; same && o < outputs; o++)
        same = picked->from[o] == o;
    if (same)
        return move(arena, picked, result);
    int64_t groups = greatest_common_divisor(inputs, outputs);
    while (inputs % groups || outputs % groups || !is_in_groups(inputs, outputs, picked->from, groups))
        groups--;
    struct affine *form = NEW(arena, struct affine);
    *form = (struct affine){.kind = AFFINE_PICK,
                            .outputs = outputs,
                            .inputs = inputs,
                            .groups = groups,
                            .from = picked->from,
                            .tap = picked->tap};
    *result = form;
    reason = affine_finish(arena, form, picked->axes < 0 ? 0 : picked->axes, picked->axis);
    form->axes = picked->axes;
    return reason;
}

const char *affine_pad(struct arena *arena, int axes, const int64_t *begin, const int64_t *end, int64_t channels,
                       const double *border, double rounding, const struct affine **result)
{
    struct affine_axis axis[AFFINE_AXES];
    if (axes > AFFINE_AXES)
        return affine_check_axes(arena, axes, NULL);
    for (int i = 0; i < axes; i++) {
        if (begin[i] > AFFINE_LIMIT || begin[i] < -AFFINE_LIMIT || end[i] > AFFINE_LIMIT || end[i] < -AFFINE_LIMIT)
            return "a padding is absurdly large";
        axis[i] = (struct affine_axis){.stride = 1, .low = -begin[i], .step = 1, .taps = 1, .end = begin[i] + end[i]};
    }
    struct affine *form = affine_uniform(arena, 1, 0);
    if (border) {
        form->outputs = form->inputs = form->groups = channels;
        form->border = border;
        form->border_rounding = rounding;
    }
    *result = form;
    return affine_finish(arena, form, axes, axis);
}

/* ---- compose ---- */

/* Unknown (0 or -1) agrees with anything. */
static bool unify(int64_t a, int64_t b, int64_t unknown, int64_t *result)
{
    *result = a == unknown ? b : a;
    return a == unknown || b == unknown || a == b;
}

static struct affine_axis compose_axis(struct affine_axis outer, struct affine_axis inner)
{
    struct affine_axis axis = {.stride = inner.stride * outer.stride,
                               .low = inner.low + inner.stride * outer.low,
                               .end = inner.end + inner.stride * outer.end};
    int64_t high = affine_axis_high(inner) + inner.stride * affine_axis_high(outer);
    int64_t outer_step = outer.taps > 1 ? inner.stride * outer.step : 0;
    int64_t inner_step = inner.taps > 1 ? inner.step : 0;
    int64_t step = greatest_common_divisor(outer_step, inner_step);
    axis.step = step ? step : 1;
    axis.taps = (high - axis.low) / axis.step + 1;
    return axis;
}

/* Compares the outer form's padding with what the inner form gives there. */
static const char *compare_border(struct arena *arena, const struct affine *outer, const struct affine *inner)
{
    int64_t channels;
    unify(outer->inputs, inner->outputs, 0, &channels);
    channels = channels ? channels : 1; /* of unknown width: all channels are alike */
    const double *bias = affine_bias(arena, inner, channels);
    if (!affine_has_border(outer) && !bias)
        return NULL;
    if (!affine_has_border(outer))
        return "border: the outer op pads with 0, but the inner op would give its bias there, "
               "which is not "
               "0";
    const double *terms = affine_bias_terms(arena, inner, channels);
    for (int64_t c = 0; c < channels; c++) {
        double inside = bias ? bias[c] : 0;
        double largest = fmax(terms[c], fabs(outer->border[c]));
        if (!(fabs(inside - outer->border[c]) <= 8 * outer->border_rounding * largest))
            return arena_format(arena, "border: the padding holds %s in channel %lld, where the inner op would give %s",
                                decimal_rounded(outer->border[c], 9).text, (long long)c,
                                decimal_rounded(inside, 9).text);
    }
    return NULL;
}

/* The memory for computing rows of a composition: affine/rows.c. The product of two thin kernels may be as large as
 * the square of the file's size. */
static const char *compare_room(struct arena *arena, const struct affine *outer, const struct affine *inner)
{
    double outer_taps = (double)affine_taps(outer), inner_taps = (double)affine_taps(inner);
    bool moves = outer->kind == AFFINE_PICK || inner->kind == AFFINE_PICK; /* rows or columns */
    int64_t depth = outer->groups ? outer->inputs / outer->groups : 1;
    double middles = (double)depth;
    double numbers = outer_taps * inner_taps;
    if (!moves)
        numbers += middles * outer_taps + middles * (double)affine_row_length(inner);
    if (!moves && !affine_is_diagonal(outer) && !affine_is_diagonal(inner))
        numbers += (double)affine_weights(inner);
    if (affine_is_held(arena->landing, numbers))
        return NULL;
    return arena_format(arena,
                        "limit: composing the two kernels would take %.0f intermediate numbers, "
                        "too many for a model of this size",
                        numbers);
}

/* True for a pick and for what takes each channel at other positions. */
static bool picks(const struct affine *form)
{
    return form->kind == AFFINE_PICK || (form->kind == AFFINE_DIAGONAL && affine_taps(form) == 1 && !form->scale &&
                                         form->factor == 1 && !form->offset && form->shift == 0 && !form->border);
}

static int64_t picked_from(const struct affine *form, int64_t output)
{
    return form->kind == AFFINE_PICK ? form->from[output] : output;
}

static int64_t picked_tap(const struct affine *form, int64_t output)
{
    return form->kind == AFFINE_PICK && form->tap ? form->tap[output] : 0;
}

/* A pick of a pick, as one pick. form: the composition of the two, whose axes are known. */
static const char *pick_twice(struct arena *arena, const struct affine *form, const struct affine **result)
{
    const struct affine *outer = form->outer, *inner = form->inner;
    const char *reason = affine_pick_room(arena, form->inputs, form->outputs);
    if (reason)
        return reason;
    int64_t inner_taps = affine_taps(inner), outputs = form->outputs;
    int64_t *from = NEW_ARRAY(arena, int64_t, outputs), *tap = NULL;
    if (affine_taps(form) > 1) {
        int64_t *place = NEW_ARRAY(arena, int64_t, affine_taps(outer) * inner_taps);
        affine_places(form, outer, inner, place);
        tap = NEW_ARRAY(arena, int64_t, outputs);
        for (int64_t o = 0; o < outputs; o++) {
            int64_t middle = picked_from(outer, o);
            tap[o] = middle < 0 ? 0 : place[picked_tap(outer, o) * inner_taps + picked_tap(inner, middle)];
        }
    }
    for (int64_t o = 0; o < outputs; o++) {
        int64_t middle = picked_from(outer, o);
        from[o] = middle < 0 ? -1 : picked_from(inner, middle);
    }
    return affine_pick(arena,
                       &(struct affine_picked){.axes = form->axes,
                                               .axis = form->axis,
                                               .inputs = form->inputs,
                                               .outputs = outputs,
                                               .from = from,
                                               .tap = tap},
                       result);
}

/* True for what has one number, or none, in each row and tap: scales, and picks with scales around them. */
static bool is_light(const struct affine *form, bool *moves)
{
    *moves = *moves || form->kind == AFFINE_PICK;
    return form->kind == AFFINE_PICK || affine_is_diagonal(form) ||
           (form->kind == AFFINE_COMPOSE && is_light(form->outer, moves) && is_light(form->inner, moves));
}

/* A kernel after scales after a pick: the kernel absorbs both in turn, without a product with a matrix of zeros. */
static bool compose_one_by_one(struct arena *arena, const struct affine *outer, const struct affine *inner,
                               const struct affine **result)
{
    const struct affine *form;
    bool moves = false;
    return inner->kind == AFFINE_COMPOSE && !is_light(outer, &(bool){false}) && is_light(inner, &moves) && moves &&
           !affine_compose(arena, outer, inner->outer, &form) && !affine_compose(arena, form, inner->inner, result);
}

const char *affine_compose(struct arena *arena, const struct affine *outer, const struct affine *inner,
                           const struct affine **result)
{
    int64_t middle, axes;
    if (affine_has_border(inner))
        return "border: the padding holds values that do not come from the padded value";
    if (!unify(outer->inputs, inner->outputs, 0, &middle))
        return arena_format(arena, "the outer op takes %lld channels, the inner one gives %lld",
                            (long long)outer->inputs, (long long)inner->outputs);
    if (!unify(outer->axes, inner->axes, -1, &axes))
        return arena_format(arena, "the outer op has %d spatial axes, the inner one %d", outer->axes, inner->axes);
    if (affine_is_identity(outer) || (affine_is_identity(inner) && !affine_has_border(outer))) {
        /* The identity may know a width that the other does not. */
        *result = affine_settle(arena, affine_is_identity(outer) ? inner : outer, (int)axes, middle);
        return NULL;
    }
    if (compose_one_by_one(arena, outer, inner, result))
        return NULL;
    struct affine_axis axis[AFFINE_AXES];
    bool outside = false;
    for (int i = 0; i < axes; i++) {
        struct affine_axis o = affine_axis_of(outer, i), in = affine_axis_of(inner, i);
        if (o.low < 0) {
            outside = true;
            if (affine_axis_high(in) >= in.stride)
                return "border: at the edge a fused kernel would read input values where the outer "
                       "op reads its padding";
        }
        if (o.end + affine_axis_high(o) > 0) {
            outside = true;
            if (in.end + in.low < 0)
                return "border: at the edge a fused kernel would read input values where the outer "
                       "op reads its padding";
        }
        axis[i] = compose_axis(o, in);
    }
    const char *large = compare_room(arena, outer, inner);
    if (large)
        return large;
    if (outside || affine_has_border(outer)) {
        const char *reason = compare_border(arena, outer, inner);
        if (reason)
            return reason;
    }
    struct affine *form = NEW(arena, struct affine);
    *form = (struct affine){.kind = AFFINE_COMPOSE,
                            .outer = outer,
                            .inner = inner,
                            .outputs = outer->outputs ? outer->outputs : middle,
                            .inputs = inner->inputs ? inner->inputs : middle,
                            .groups = greatest_common_divisor(outer->groups ? outer->groups : middle,
                                                              inner->groups ? inner->groups : middle)};
    *result = form;
    const char *reason = affine_finish(arena, form, (int)axes, axis);
    bool merges = picks(outer) && picks(inner) && (outer->kind == AFFINE_PICK || inner->kind == AFFINE_PICK);
    return reason || !merges ? reason : pick_twice(arena, form, result);
}

/* ---- join ---- */

static const char *join_axis(struct arena *arena, const struct affine_term *terms, size_t count, int index,
                             int64_t source_extent, struct affine_axis *result, bool *used_extent)
{
    struct affine_axis axis = affine_axis_of(terms[0].form, index);
    int64_t high = affine_axis_high(axis);
    for (size_t k = 1; k < count; k++) {
        struct affine_axis other = affine_axis_of(terms[k].form, index);
        if (other.stride != axis.stride)
            return arena_format(arena, "the branches' strides differ: %lld and %lld", (long long)axis.stride,
                                (long long)other.stride);
        if (other.end != axis.end) {
            if (source_extent < 1 || affine_extent(axis, source_extent) != affine_extent(other, source_extent))
                return arena_format(
                    arena,
                    "the branches' outputs differ in size: they end %+lld and %+lld from the end of the "
                    "source on spatial axis %d",
                    (long long)axis.end, (long long)other.end, index);
            *used_extent = true;
            axis.end = axis.end > other.end ? axis.end : other.end;
        }
        axis.low = axis.low < other.low ? axis.low : other.low;
        high = high > affine_axis_high(other) ? high : affine_axis_high(other);
    }
    int64_t step = 0;
    for (size_t k = 0; k < count; k++) {
        struct affine_axis other = affine_axis_of(terms[k].form, index);
        if (other.taps > 1)
            step = greatest_common_divisor(step, other.step);
        step = greatest_common_divisor(step, other.low - axis.low);
    }
    axis.step = step ? step : 1;
    axis.taps = (high - axis.low) / axis.step + 1;
    *result = axis;
    return NULL;
}

const char *affine_join(struct arena *arena, const struct affine_term *terms, size_t count,
                        const int64_t *source_extent, const struct affine **result, bool *used_extent)
{
    int64_t axes = -1, outputs = 0, inputs = 0, groups = 0;
    bool unknown = false;
    for (size_t k = 0; k < count; k++) {
        const struct affine *form = terms[k].form;
        if (affine_has_border(form))
            return "border: the padding holds values that do not come from the padded value";
        if (!unify(axes, form->axes, -1, &axes))
            return "the branches' numbers of spatial axes differ";
        if (!unify(outputs, form->outputs, 0, &outputs))
            return arena_format(arena, "the branches' channels differ: %lld and %lld", (long long)outputs,
                                (long long)form->outputs);
        if (!unify(inputs, form->inputs, 0, &inputs))
            return arena_format(arena, "the branches take %lld and %lld channels of one source", (long long)inputs,
                                (long long)form->inputs);
        groups = greatest_common_divisor(groups, form->groups);
        unknown |= !form->outputs;
    }
    if (unknown && inputs != outputs)
        return arena_format(arena,
                            "the identity branch has %lld channels and the others %lld, so the sum broadcasts it",
                            (long long)inputs, (long long)outputs);
    struct affine_axis axis[AFFINE_AXES];
    for (int i = 0; i < axes; i++) {
        const char *reason =
            join_axis(arena, terms, count, i, source_extent ? source_extent[i] : -1, &axis[i], used_extent);
        if (reason)
            return reason;
    }
    struct affine *form = NEW(arena, struct affine);
    struct affine_term *copy = NEW_ARRAY(arena, struct affine_term, count);
    memcpy(copy, terms, count * sizeof(*terms));
    *form = (struct affine){.kind = AFFINE_JOIN,
                            .outputs = outputs,
                            .inputs = inputs,
                            .groups = groups,
                            .terms = copy,
                            .term_count = count};
    *result = form;
    return affine_finish(arena, form, (int)axes, axis);
}

/* One term on another lattice or in wider groups. */
static const char *restate(struct arena *arena, const struct affine *form, int64_t groups,
                           const struct affine_axis *axis, const struct affine **result)
{
    struct affine *wider = NEW(arena, struct affine);
    struct affine_term *term = NEW(arena, struct affine_term);
    *term = (struct affine_term){form, 1};
    *wider = (struct affine){.kind = AFFINE_JOIN,
                             .outputs = form->outputs,
                             .inputs = form->inputs,
                             .groups = groups,
                             .terms = term,
                             .term_count = 1};
    *result = wider;
    return affine_finish(arena, wider, form->axes, axis);
}

/* The terms on one lattice and with so many groups each, one's rows after the other's. */
static const char *pile(struct arena *arena, struct affine_term *terms, size_t count, int axes, int64_t groups,
                        const int64_t *source_extent, struct affine *form, bool *used_extent)
{
    struct affine_axis axis[AFFINE_AXES];
    for (size_t k = 0; k < count; k++) {
        if (form->outputs > AFFINE_LIMIT || terms[k].form->outputs > AFFINE_LIMIT)
            return "the number of channels is absurdly large";
        form->outputs += terms[k].form->outputs;
    }
    for (int i = 0; i < axes; i++) {
        const char *reason =
            join_axis(arena, terms, count, i, source_extent ? source_extent[i] : -1, &axis[i], used_extent);
        if (reason)
            return reason;
    }
    for (size_t k = 0; k < count; k++) {
        const char *reason = restate(arena, terms[k].form, groups, axis, &terms[k].form);
        if (reason)
            return reason;
    }
    form->kind = AFFINE_STACK;
    form->terms = terms;
    form->term_count = count;
    return affine_finish(arena, form, axes, axis);
}

/* Picks of one source, one's outputs after the other's, are a pick. */
static const char *stack_picks(struct arena *arena, const struct affine *const *forms, size_t count, int axes,
                               int64_t inputs, const struct affine **result)
{
    const struct affine *form;
    int64_t outputs = 0, *to;
    for (size_t k = 0; k < count && outputs <= PICK_WIDEST; k++)
        outputs += forms[k]->outputs ? forms[k]->outputs : inputs;
    const char *reason = affine_pick_room(arena, inputs, outputs);
    if (reason)
        return reason;
    int64_t *from = to = NEW_ARRAY(arena, int64_t, outputs);
    for (size_t k = 0; k < count; k++) {
        int64_t some = forms[k]->outputs ? forms[k]->outputs : inputs;
        for (int64_t o = 0; o < some; o++)
            *to++ = picked_from(forms[k], o);
    }
    reason = affine_pick(arena, &(struct affine_picked){.axes = -1, .inputs = inputs, .outputs = outputs, .from = from},
                         &form);
    if (!reason)
        *result = affine_settle(arena, form, axes, 0);
    return reason;
}

const char *affine_stack(struct arena *arena, const struct affine *const *forms, size_t count,
                         const int64_t *source_extent, const struct affine **result, bool *used_extent)
{
    int64_t axes = -1, inputs = 0;
    struct affine_term *terms = NEW_ARRAY(arena, struct affine_term, count);
    for (size_t k = 0; k < count; k++) {
        if (affine_has_border(forms[k]))
            return "border: the padding holds values that do not come from the padded value";
        if (!unify(axes, forms[k]->axes, -1, &axes))
            return "the branches' numbers of spatial axes differ";
        if (!unify(inputs, forms[k]->inputs, 0, &inputs))
            return arena_format(arena, "the branches take %lld and %lld channels of one source", (long long)inputs,
                                (long long)forms[k]->inputs);
    }
    if (!inputs)
        return "the number of channels is not known";
    bool picks = true;
    for (size_t k = 0; k < count; k++)
        picks = picks && affine_is_pick(forms[k]);
    if (picks)
        return stack_picks(arena, forms, count, (int)axes, inputs, result);
    for (size_t k = 0; k < count; k++)
        terms[k] = (struct affine_term){affine_settle(arena, forms[k], (int)axes, inputs), 1};
    struct affine *form = NEW(arena, struct affine);
    *form = (struct affine){.inputs = inputs, .groups = 1};
    *result = form;
    return pile(arena, terms, count, (int)axes, 1, source_extent, form, used_extent);
}

const char *affine_beside(struct arena *arena, const struct affine *const *forms, size_t count,
                          const int64_t *source_extent, const struct affine **result, bool *used_extent)
{
    int64_t groups = 0, inputs;
    struct affine_term *terms = NEW_ARRAY(arena, struct affine_term, count);
    for (size_t k = 0; k < count; k++) {
        const struct affine *form = forms[k];
        if (affine_has_border(form))
            return "border: the padding holds values that do not come from the padded value";
        if (form->axes != forms[0]->axes || form->axes < 0 || form->inputs != forms[0]->inputs ||
            form->outputs != forms[0]->outputs)
            return "the parts' numbers of channels or spatial axes differ";
        groups = greatest_common_divisor(groups, form->groups);
        terms[k] = (struct affine_term){form, 1};
    }
    if (!groups || !multiply_fits(forms[0]->inputs, (int64_t)count, &inputs) || inputs > AFFINE_LIMIT)
        return "the number of channels is not known, or absurdly large";
    struct affine *form = NEW(arena, struct affine);
    *form = (struct affine){.inputs = inputs, .groups = groups * (int64_t)count};
    *result = form;
    return pile(arena, terms, count, forms[0]->axes, groups, source_extent, form, used_extent);
}

const char *affine_widen(struct arena *arena, const struct affine *form, int64_t groups, const struct affine **result)
{
    if (groups < 1 || form->groups % groups)
        return arena_format(arena, "%lld groups cannot become %lld", (long long)form->groups, (long long)groups);
    struct affine_axis axis[AFFINE_AXES];
    for (int i = 0; i < form->axes; i++)
        axis[i] = affine_axis_of(form, i);
    return restate(arena, form, groups, axis, result);
}

static void read_wider(const void *closure, int64_t first, int64_t count, double *out)
{
    const struct affine *wider = closure;
    if (affine_rows(wider, NULL, wider->outputs, first, count, out))
        return;
    for (int64_t i = 0; i < count * affine_row_length(wider); i++)
        out[i] = NAN; /* no memory: it is not written */
}

const char *affine_drop_axis(struct arena *arena, const struct affine *form, int index, const struct affine **result)
{
    struct affine_axis axis[AFFINE_AXES];
    int axes = 0;
    if (form->axes < 1 || !form->groups || affine_has_border(form))
        return "its number of axes or channels is not known";
    for (int i = 0; i < form->axes; i++) {
        struct affine_axis a = affine_axis_of(form, i);
        if (i != index)
            axis[axes++] = a;
        else if (a.taps != 1 || a.low != 0 || a.end != 0)
            return "its window has several taps, or padding, on an axis of one position";
    }
    const char *reason = affine_make(arena,
                                     &(struct affine_kernel){.axes = axes,
                                                             .axis = axis,
                                                             .outputs = form->outputs,
                                                             .inputs = form->inputs,
                                                             .groups = form->groups,
                                                             .read = read_wider,
                                                             .closure = form,
                                                             .bias = affine_bias(arena, form, form->outputs)},
                                     result);
    if (!reason)
        ((struct affine *)(uintptr_t)*result)->visits = form->visits;
    return reason;
}

const char *affine_lowerable(struct arena *arena, const struct affine *form, const struct affine **result)
{
    struct affine_axis axis[AFFINE_AXES];
    bool same = true;
    for (int i = 0; i < form->axes; i++) {
        struct affine_axis a = affine_axis_of(form, i);
        int64_t more;
        if (a.low > 0) { /* taps of weight 0 in front, up to where the padding is not negative */
            more = (a.low + a.step - 1) / a.step;
            a.low -= more * a.step;
            a.taps += more;
        }
        if (a.end + affine_axis_high(a) < 0) {
            more = (-(a.end + affine_axis_high(a)) + a.step - 1) / a.step;
            a.taps += more;
        }
        same = same && a.taps == affine_axis_of(form, i).taps;
        axis[i] = a;
    }
    *result = form;
    return same ? NULL : restate(arena, form, form->groups, axis, result);
}

const struct affine *affine_settle(struct arena *arena, const struct affine *form, int axes, int64_t width)
{
    bool open = !form->outputs && width;
    if (form->axes == axes && !open)
        return form;
    struct affine *settled = NEW(arena, struct affine);
    *settled = *form;
    settled->axes = axes;
    if (open)
        settled->outputs = settled->inputs = settled->groups = width;
    return settled;
}
