/* test_affine.c: random expressions of composed and joined forms do what their parts do, one after
 * the other and side by side. Forms are also stated in other words and computed block by block. */
#include "affine/laws.h"
#include "equal.h"
#include "plain.h"

/* ---- random forms ---- */

/* An expression: what a form is meant to be. */
struct expression {
    enum { LEAF, COMPOSE, JOIN } kind;
    const struct affine *form;
    struct plain plain;          /* LEAF */
    struct expression *parts[3]; /* COMPOSE: outer, inner; JOIN: the terms */
    double factors[3];
    int count;
};

/* What a form must have, so that it can be joined to others. */
struct want {
    int axes;
    int64_t inputs, outputs;
    int64_t stride[AXES], end[AXES];
    bool inside; /* reads no padding */
};

static void draw_axes(struct unit *unit, const struct want *want, struct affine_axis *axis)
{
    for (int i = 0; i < AXES; i++) {
        struct affine_axis *a = &axis[i];
        *a = trivial;
        if (i >= want->axes)
            continue;
        a->stride = want->stride[i];
        a->end = want->end[i];
        if (chance(unit, 25))
            continue;
        a->step = draw(unit, 1, want->axes == 3 ? 2 : 3);
        a->taps = draw(unit, 1, want->axes == 1 ? 4 : 4 - want->axes + 1);
        a->low = chance(unit, 20) ? draw(unit, -7, 7) : draw(unit, -3, 1);
        if (want->inside) {
            a->low = draw(unit, 0, 1);
            while (a->taps > 1 && a->end + affine_axis_high(*a) > 0)
                a->taps--;
            if (a->end + a->low > 0)
                a->low = 0;
        }
    }
}

static bool strides_are_1(const struct want *want)
{
    for (int i = 0; i < want->axes; i++)
        if (want->stride[i] != 1)
            return false;
    return true;
}

static bool is_trivial(const struct want *want)
{
    for (int i = 0; i < want->axes; i++)
        if (want->end[i] != 0)
            return false;
    return strides_are_1(want);
}

/* Each output is a number of the source, some of them 0. */
static struct expression *draw_pick(struct unit *unit, const struct want *want)
{
    struct arena *arena = &unit->arena;
    struct expression *leaf = NEW(arena, struct expression);
    struct plain *plain = &leaf->plain;
    int64_t *from = NEW_ARRAY(arena, int64_t, want->outputs), *tap = NULL, taps = 1;
    *plain = (struct plain){.outputs = want->outputs, .inputs = want->inputs, .groups = 1};
    draw_axes(unit, want, plain->axis);
    for (int i = 0; i < AXES; i++)
        taps *= plain->axis[i].taps;
    tap = taps > 1 ? NEW_ARRAY(arena, int64_t, want->outputs) : NULL;
    double *weights = constants(unit, want->outputs * want->inputs * taps, 0);
    bool in_order = chance(unit, 30);
    for (int64_t o = 0; o < want->outputs; o++) {
        from[o] = in_order ? o * want->inputs / want->outputs : draw(unit, -1, want->inputs - 1);
        if (tap)
            tap[o] = draw(unit, 0, taps - 1);
        if (from[o] >= 0)
            weights[(o * want->inputs + from[o]) * taps + (tap ? tap[o] : 0)] = 1;
    }
    plain->weights = weights;
    bool open = is_trivial(want) && !tap && want->axes < 2 && plain->axis[0].low == 0;
    const struct affine_picked picked = {.axes = open ? -1 : want->axes,
                                         .axis = plain->axis,
                                         .inputs = want->inputs,
                                         .outputs = want->outputs,
                                         .from = from,
                                         .tap = tap};
    must(unit, affine_pick(arena, &picked, &leaf->form));
    return leaf;
}

/* A kernel, a pick, or one of the diagonal forms where they fit. */
static struct expression *draw_leaf(struct unit *unit, const struct want *want)
{
    if (chance(unit, 25))
        return draw_pick(unit, want);
    struct arena *arena = &unit->arena;
    struct expression *leaf = NEW(arena, struct expression);
    struct plain *plain = &leaf->plain;
    *plain = (struct plain){.outputs = want->outputs, .inputs = want->inputs};
    plain->bias = chance(unit, 50) ? draw_numbers(unit, want->outputs, 4, true) : NULL;
    draw_axes(unit, want, plain->axis);
    int kind = want->inputs == want->outputs ? (int)draw(unit, 0, 6) : 0;
    if (kind >= 4 && !is_trivial(want))
        kind = 3;
    if (kind <= 2) {
        plain->groups = draw_groups(unit, want->inputs, want->outputs);
        int64_t count = want->outputs * (want->inputs / plain->groups);
        for (int i = 0; i < AXES; i++)
            count *= plain->axis[i].taps;
        plain->weights = draw_numbers(unit, count, 3, true);
        must(unit, make_plain(unit, want->axes, plain, &leaf->form));
        return leaf;
    }
    plain->groups = want->outputs;
    if (kind == 3 && strides_are_1(want) && chance(unit, 50)) { /* moves the extent only */
        int64_t begin[AXES], end[AXES];
        for (int i = 0; i < want->axes; i++) {
            plain->axis[i].taps = plain->axis[i].step = 1;
            begin[i] = -plain->axis[i].low;
            end[i] = want->end[i] - begin[i];
        }
        plain->bias = NULL;
        plain->weights = constants(unit, want->outputs, 1);
        must(unit, affine_pad(arena, want->axes, begin, end, 0, NULL, 0, &leaf->form));
        return leaf;
    }
    if (kind == 3) { /* an average; its factor is a power of two, to be exact */
        int64_t taps = 1;
        for (int i = 0; i < AXES; i++)
            taps *= plain->axis[i].taps;
        plain->bias = NULL;
        plain->weights = constants(unit, want->outputs * taps, 0.5);
        must(unit, affine_box(arena, want->axes, plain->axis, 0.5, &leaf->form));
        return leaf;
    }
    for (int i = 0; i < AXES; i++)
        plain->axis[i] = trivial;
    if (kind == 4) {
        plain->weights = draw_numbers(unit, want->outputs, 4, true);
        must(unit, affine_scale_shift(arena, want->outputs, plain->weights, plain->bias, NULL, &leaf->form));
        return leaf;
    }
    double factor = kind == 5 ? 1 : (double)draw(unit, -3, 3);
    double shift = kind == 5 || chance(unit, 50) ? 0 : (double)draw(unit, 1, 3);
    plain->weights = constants(unit, want->outputs, factor);
    plain->bias = constants(unit, want->outputs, shift);
    leaf->form = affine_uniform(arena, factor, shift);
    return leaf;
}

static struct expression *draw_expression(struct unit *unit, const struct want *want, int depth);

/* NULL when the algebra refuses it. */
static struct expression *draw_compose(struct unit *unit, const struct want *want, int depth)
{
    struct expression *made = NEW(&unit->arena, struct expression);
    struct want outer = *want, inner = *want;
    inner.outputs = outer.inputs = draw(unit, 0, 2) ? want->inputs : draw(unit, 1, 6);
    inner.inside = false;
    outer.inside = want->inside || chance(unit, 50);
    for (int i = 0; i < want->axes; i++) {
        outer.stride[i] = chance(unit, 50) ? want->stride[i] : 1;
        inner.stride[i] = want->stride[i] / outer.stride[i];
        outer.end[i] = outer.inside ? draw(unit, -2, 0) : chance(unit, 40) ? 0 : draw(unit, -1, 1);
        inner.end[i] = want->end[i] - inner.stride[i] * outer.end[i];
    }
    made->kind = COMPOSE;
    made->parts[0] = draw_expression(unit, &outer, depth - 1);
    made->parts[1] = draw_expression(unit, &inner, depth - 1);
    return affine_compose(&unit->arena, made->parts[0]->form, made->parts[1]->form, &made->form) ? NULL : made;
}

static struct expression *draw_join(struct unit *unit, const struct want *want, int depth)
{
    struct expression *made = NEW(&unit->arena, struct expression);
    struct affine_term terms[3];
    bool used = false;
    made->kind = JOIN;
    made->count = (int)draw(unit, 1, 3);
    for (int k = 0; k < made->count; k++) {
        made->parts[k] = draw_expression(unit, want, depth - 1);
        made->factors[k] = chance(unit, 60) ? 1 : (double)draw(unit, -2, 3);
        terms[k] = (struct affine_term){made->parts[k]->form, made->factors[k]};
    }
    must(unit, affine_join(&unit->arena, terms, (size_t)made->count, NULL, &made->form, &used));
    if (used)
        fail(&unit->landing, ONNX_FUSE_OK, "a join used an extent that it was not told");
    return made;
}

static struct expression *draw_expression(struct unit *unit, const struct want *want, int depth)
{
    struct expression *made = NULL;
    if (depth > 0 && chance(unit, 45))
        for (int attempt = 0; attempt < 4 && !made; attempt++)
            made = draw_compose(unit, want, depth);
    else if (depth > 0 && chance(unit, 60))
        made = draw_join(unit, want, depth);
    if (!made)
        made = draw_leaf(unit, want);
    const struct affine *form = made->form, *other = NULL;
    if (chance(unit, 10) && form->groups)
        must(unit, affine_widen(&unit->arena, form, draw_groups(unit, form->groups, form->groups), &other));
    else if (chance(unit, 10))
        must(unit, affine_lowerable(&unit->arena, form, &other));
    if (!other)
        return made;
    /* The same map in other words; `made` keeps its own for whoever holds it. */
    made = memcpy(NEW(&unit->arena, struct expression), made, sizeof(*made));
    made->form = other;
    return made;
}

static struct image *evaluate(struct unit *unit, const struct expression *of, const struct image *x)
{
    if (of->kind == LEAF)
        return apply(unit, &of->plain, x);
    if (of->kind == COMPOSE) {
        const struct image *middle = evaluate(unit, of->parts[1], x);
        return middle ? evaluate(unit, of->parts[0], middle) : NULL;
    }
    struct image *sum = NULL;
    for (int k = 0; k < of->count; k++) {
        const struct image *term = evaluate(unit, of->parts[k], x);
        if (!term)
            return NULL;
        if (!sum) {
            sum = memcpy(NEW(&unit->arena, struct image), term, sizeof(*sum));
            sum->data = constants(unit, sum->channels * positions(sum->size), 0);
        }
        for (int64_t i = 0; i < sum->channels * positions(sum->size); i++)
            sum->data[i] += of->factors[k] * term->data[i];
    }
    return sum;
}

static struct want draw_want(struct unit *unit)
{
    struct want want = {.axes = (int)draw(unit, 0, 9)};
    want.axes = want.axes < 1 ? 0 : want.axes < 6 ? 1 : want.axes < 9 ? 2 : 3;
    want.inputs = draw(unit, 1, 6);
    want.outputs = chance(unit, 60) ? want.inputs : draw(unit, 1, 6);
    for (int i = 0; i < want.axes; i++) {
        want.stride[i] = chance(unit, 50) ? 1 : draw(unit, 1, 4);
        want.end[i] = chance(unit, 40) ? 0 : draw(unit, -3, 3);
    }
    return want;
}

/* ---- laws ---- */

enum { SEEDS = 3000, SHOWN = 5 };

static bool convolution_can_state(const struct affine *form)
{
    for (int i = 0; i < form->axes; i++) {
        struct affine_axis axis = affine_axis_of(form, i);
        if (axis.low > 0 || axis.end + affine_axis_high(axis) < 0)
            return false;
    }
    return true;
}

static void test_laws(struct unit *unit)
{
    int wrong = 0, compared = 0, composed = 0, unstated = 0, unequal = 0;
    for (int seed = 1; seed <= SEEDS; seed++) {
        unit->state = (uint64_t)seed;
        struct want want = draw_want(unit);
        const struct expression *meant = draw_expression(unit, &want, want.axes > 1 ? 2 : 3);
        struct plain plain = plain_of(unit, meant->form, want.outputs);
        const struct affine *stated;
        must(unit, affine_lowerable(&unit->arena, meant->form, &stated));
        struct plain lowered = plain_of(unit, stated, want.outputs);
        unstated += !convolution_can_state(stated);
        unequal += !affine_equal(&unit->arena, meant->form, stated, 0) ||
                   !affine_equal(&unit->arena, meant->form, meant->form, 0);
        composed += meant->kind == COMPOSE;
        for (int trial = 0; trial < 3; trial++) {
            const struct image *x = draw_image(unit, want.axes, want.inputs, 1, want.axes == 3 ? 6 : 11);
            const struct image *y = evaluate(unit, meant, x);
            compared += y != NULL;
            if (!y || (same_image(y, apply(unit, &plain, x)) && same_image(y, apply(unit, &lowered, x))))
                continue;
            if (wrong++ < SHOWN)
                printf("# seed %d trial %d: the form is not its expression\n", seed, trial);
        }
        arena_free(&unit->arena);
    }
    expect(wrong == 0 && compared > SEEDS && composed > SEEDS / 5,
           "%d random expressions, %d of them composed, are their forms on %d inputs: %d wrong", SEEDS, composed,
           compared, wrong);
    expect(unstated == 0, "a lowerable form has no negative padding (%d of %d have)", unstated, SEEDS);
    expect(unequal == 0, "a form equals itself and its lowerable one (%d of %d do not)", unequal, SEEDS);
}

/* Forms that fit any number of channels, asked about several. */
static void test_widths(struct unit *unit)
{
    const int64_t begin = 0, end = 1;
    const struct affine *pad, *form, *shift = affine_uniform(&unit->arena, -3, 2);
    must(unit, affine_pad(&unit->arena, 1, &begin, &end, 0, NULL, 0, &pad));
    const char *reason = affine_compose(&unit->arena, pad, shift, &form);
    expect(reason && strstr(reason, "border"), "a shift of any width before padding: %s", reason ? reason : "accepted");
    must(unit, affine_compose(&unit->arena, shift, pad, &form));
    bool wrong = false;
    const int64_t widths[] = {1, 5, 3, 40};
    for (size_t i = 0; i < COUNT_OF(widths); i++) {
        const double *bias = affine_bias(&unit->arena, form, widths[i]);
        for (int64_t o = 0; o < widths[i]; o++)
            wrong = wrong || !bias || bias[o] != 2;
    }
    expect(!wrong, "padding before a shift of any width has its bias in every channel");
}

int main(void)
{
    unit_run("expressions", test_laws);
    unit_run("widths", test_widths);
    return unit_finish();
}
