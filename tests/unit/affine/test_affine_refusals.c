/* test_affine_refusals.c: the algebra refuses what would be wrong and nothing else: compositions at
 * borders, branches of other extents, other maps taken for the same one, and absurd arguments. */
#include <math.h>

#include "affine/laws.h"
#include "equal.h"
#include "plain.h"

enum { SEEDS = 3000, SHOWN = 5 };

/* outer after inner as if there were no borders, on a lattice of step 1 and in one group. */
static struct plain naive_composition(struct unit *unit, const struct plain *outer, const struct plain *inner)
{
    struct plain made = {.outputs = outer->outputs, .inputs = inner->inputs, .groups = 1};
    int64_t taps[AXES], outer_taps[AXES], inner_taps[AXES];
    for (int i = 0; i < AXES; i++) {
        struct affine_axis o = outer->axis[i], in = inner->axis[i];
        made.axis[i] = (struct affine_axis){.stride = o.stride * in.stride,
                                            .low = in.low + in.stride * o.low,
                                            .step = 1,
                                            .taps = in.stride * (o.taps - 1) * o.step + (in.taps - 1) * in.step + 1,
                                            .end = in.end + in.stride * o.end};
        taps[i] = made.axis[i].taps;
        outer_taps[i] = o.taps;
        inner_taps[i] = in.taps;
    }
    int64_t size = positions(taps), middles = outer->inputs / outer->groups;
    int64_t depth = inner->inputs / inner->groups;
    double *weights = constants(unit, made.outputs * made.inputs * size, 0);
    double *bias = constants(unit, made.outputs, 0);
    const double *from = outer->weights;
    for (int64_t o = 0; o < made.outputs; o++) {
        bias[o] = outer->bias ? outer->bias[o] : 0;
        for (int64_t k = 0; k < middles; k++) {
            int64_t m = o / (outer->outputs / outer->groups) * middles + k, t[AXES] = {0};
            int64_t first = m / (inner->outputs / inner->groups) * depth;
            do {
                const double *then = inner->weights + m * depth * positions(inner_taps);
                bias[o] += *from * (inner->bias ? inner->bias[m] : 0);
                for (int64_t c = first; c < first + depth; c++) {
                    int64_t j[AXES] = {0};
                    do {
                        int64_t place = 0;
                        for (int i = 0; i < AXES; i++)
                            place = place * taps[i] + inner->axis[i].stride * t[i] * outer->axis[i].step +
                                    j[i] * inner->axis[i].step;
                        weights[(o * made.inputs + c) * size + place] += *from * *then++;
                    } while (next_place(j, inner_taps));
                }
                from++;
            } while (next_place(t, outer_taps));
        }
    }
    made.weights = weights;
    made.bias = bias;
    return made;
}

/* Padding that holds values: what the inner form gives there, or one channel off by one. */
static const struct affine *draw_border(struct unit *unit, int axes, const struct plain *inner, struct plain *plain)
{
    const struct affine *form;
    int64_t begin[AXES], end[AXES], width = inner->outputs;
    double *border = constants(unit, width, 0);
    for (int64_t c = 0; inner->bias && c < width; c++)
        border[c] = inner->bias[c];
    if (chance(unit, 50))
        border[draw(unit, 0, width - 1)] += 1;
    *plain = (struct plain){.outputs = width, .inputs = width, .groups = width, .border = border};
    plain->weights = constants(unit, width, 1);
    for (int i = 0; i < AXES; i++) {
        plain->axis[i] = trivial;
        if (i >= axes)
            continue;
        begin[i] = draw(unit, 1, 2);
        end[i] = draw(unit, -1, 2);
        plain->axis[i].low = -begin[i];
        plain->axis[i].end = begin[i] + end[i];
    }
    must(unit, affine_pad(&unit->arena, axes, begin, end, width, border, 0, &form));
    return form;
}

static void test_borders(struct unit *unit)
{
    int wrong = 0, needless = 0, accepted = 0, refused = 0, other = 0;
    for (int seed = 1; seed <= SEEDS; seed++) {
        unit->state = (uint64_t)seed;
        int axes = chance(unit, 75) ? 1 : 2;
        int64_t middle = draw(unit, 1, 4);
        struct plain outer, inner;
        const struct affine *in = draw_positive(unit, axes, draw(unit, 1, 4), middle, false, &inner), *form = NULL;
        const struct affine *out = chance(unit, 30) ? draw_border(unit, axes, &inner, &outer)
                                                    : draw_positive(unit, axes, middle, draw(unit, 1, 4), true, &outer);
        const char *reason = affine_compose(&unit->arena, out, in, &form);
        struct plain naive = naive_composition(unit, &outer, &inner), made;
        if (!reason)
            made = plain_of(unit, form, outer.outputs);
        bool differs = false, broken = false;
        for (int64_t size = 22; size < 22 + inner.axis[0].stride * inner.axis[1].stride; size++) {
            const struct image *x = draw_image(unit, axes, inner.inputs, size, size);
            for (int64_t i = 0; i < x->channels * positions(x->size); i++)
                x->data[i] = fabs(x->data[i]);
            const struct image *y = apply(unit, &outer, apply(unit, &inner, x));
            differs = differs || !same_image(y, apply(unit, &naive, x));
            broken = broken || (!reason && !same_image(y, apply(unit, &made, x)));
        }
        wrong += broken;
        needless += reason && !differs;
        accepted += !reason;
        refused += reason != NULL;
        other += reason && strncmp(reason, "border: ", 8) != 0;
        if ((broken || (reason && !differs)) && wrong + needless <= SHOWN)
            printf("# seed %d: %s\n", seed, reason ? reason : "wrong");
        arena_free(&unit->arena);
    }
    expect(wrong == 0 && accepted > SEEDS / 20, "%d accepted compositions: %d wrong", accepted, wrong);
    expect(needless == 0 && refused > SEEDS / 20, "%d refused compositions would be wrong at a border: %d would not",
           refused, needless);
    expect(other == 0, "a refusal for its border says so: %d do not", other);
}

/* Two branches whose extents may agree at one size of the source only. */
static void test_extents(struct unit *unit)
{
    int wrong = 0, joined = 0, sized = 0, refused = 0;
    for (int seed = 1; seed <= SEEDS; seed++) {
        unit->state = (uint64_t)seed;
        int axes = (int)draw(unit, 1, 2);
        int64_t inputs = draw(unit, 1, 4), outputs = draw(unit, 1, 4);
        struct plain one, two;
        const struct affine *forms[2], *form;
        struct image *x = draw_image(unit, axes, inputs, 5, 12);
        bool agree = true, equal = true, used = false, blind_used = false;
        draw_positive(unit, axes, inputs, outputs, false, &one);
        draw_positive(unit, axes, inputs, outputs, false, &two);
        for (int i = 0; i < axes; i++) {
            one.axis[i].stride = two.axis[i].stride = draw(unit, 1, 4);
            if (chance(unit, 30))
                two.axis[i].end = one.axis[i].end;
            agree = agree && extent_of(one.axis[i], x->size[i]) == extent_of(two.axis[i], x->size[i]);
            equal = equal && one.axis[i].end == two.axis[i].end;
        }
        must(unit, make_plain(unit, axes, &one, &forms[0]));
        must(unit, make_plain(unit, axes, &two, &forms[1]));
        struct affine_term terms[2] = {{forms[0], 1}, {forms[1], -2}};
        const char *blind = affine_join(&unit->arena, terms, 2, NULL, &form, &blind_used);
        const char *reason = affine_join(&unit->arena, terms, 2, x->size, &form, &used);
        bool good = !reason == agree && !blind == equal && !blind_used;
        if (!reason && good) {
            struct plain sum = plain_of(unit, form, outputs);
            struct image *a = apply(unit, &one, x);
            const struct image *b = apply(unit, &two, x);
            for (int64_t i = 0; i < a->channels * positions(a->size); i++)
                a->data[i] -= 2 * b->data[i];
            good = used == !equal && same_image(a, apply(unit, &sum, x));
        }
        joined += !reason;
        sized += !reason && !equal;
        refused += reason != NULL;
        if (!good && wrong++ < SHOWN)
            printf("# seed %d: %s\n", seed, reason ? reason : "joined");
        arena_free(&unit->arena);
    }
    expect(wrong == 0 && sized > SEEDS / 50 && refused > SEEDS / 50,
           "%d joins at a known size, %d of them for that size only, and %d refused: %d wrong", joined, sized, refused,
           wrong);
}

/* One changed number, tap or extent is another map. */
static void test_equality(struct unit *unit)
{
    int wrong = 0;
    for (int seed = 1; seed <= SEEDS; seed++) {
        unit->state = (uint64_t)seed;
        int axes = (int)draw(unit, 0, 3);
        int64_t inputs = draw(unit, 1, 6), outputs = draw(unit, 1, 6);
        struct plain plain;
        const struct affine *form = draw_positive(unit, axes, inputs, outputs, false, &plain), *other;
        struct plain changed = plain;
        double *weights = draw_numbers(unit, affine_weights(form), 1, false);
        double *bias = constants(unit, plain.outputs, 0);
        memcpy(weights, plain.weights, (size_t)affine_weights(form) * sizeof(double));
        if (plain.bias)
            memcpy(bias, plain.bias, (size_t)plain.outputs * sizeof(double));
        changed.weights = weights;
        changed.bias = bias;
        int what = (int)draw(unit, 0, axes ? 4 : 1);
        int axis = axes ? (int)draw(unit, 0, axes - 1) : 0;
        double step = 0x1p-20;
        if (what == 0)
            weights[draw(unit, 0, affine_weights(form) - 1)] += step;
        else if (what == 1)
            bias[draw(unit, 0, plain.outputs - 1)] += step;
        else if (what == 2)
            changed.axis[axis].low += draw(unit, 0, 1) ? 1 : -1;
        else if (what == 3)
            changed.axis[axis].end += draw(unit, 0, 1) ? 1 : -1;
        else
            changed.axis[axis].stride += 1;
        must(unit, make_plain(unit, axes, &changed, &other));
        bool good = !affine_equal(&unit->arena, form, other, 1e-9) && !affine_equal(&unit->arena, other, form, 1e-9);
        if (what < 2) /* within the tolerance after all */
            good =
                good && affine_equal(&unit->arena, form, other, 1e-4) && affine_equal(&unit->arena, other, form, 1e-4);
        if (!good && wrong++ < SHOWN)
            printf("# seed %d: change %d\n", seed, what);
        arena_free(&unit->arena);
    }
    expect(wrong == 0, "one change is seen, from either side, in all but %d of %d forms", wrong, SEEDS);
}

/* ---- what there is no form for ---- */

static void no_rows(const void *closure, int64_t first, int64_t count, double *out)
{
    (void)closure, (void)first, (void)count, (void)out;
}

static const char *make(struct unit *unit, int axes, struct affine_axis axis, int64_t outputs, int64_t inputs,
                        int64_t groups, const struct affine **form)
{
    struct affine_axis all[AFFINE_AXES + 1];
    for (int i = 0; i < AFFINE_AXES + 1; i++)
        all[i] = axis;
    return affine_make(
        &unit->arena,
        &(struct affine_kernel){
            .axes = axes, .axis = all, .outputs = outputs, .inputs = inputs, .groups = groups, .read = no_rows},
        form);
}

static void refuses(const char *reason, const char *part, const char *what)
{
    expect(reason && strstr(reason, part), "%s: %s", what, reason ? reason : "no reason given");
}

#define AXIS(...) ((struct affine_axis){__VA_ARGS__})

static void test_refusals(struct unit *unit)
{
    const struct affine *form, *a, *b;
    const int64_t huge = INT64_MAX, one = 1;
    refuses(make(unit, 1, trivial, 4, 6, 4, &form), "groups", "inputs that do not divide");
    refuses(make(unit, 1, trivial, 6, 4, 4, &form), "groups", "outputs that do not divide");
    refuses(make(unit, 1, trivial, 4, 4, 0, &form), "groups", "no groups");
    refuses(make(unit, 1, trivial, 0, 4, 1, &form), "groups", "no outputs");
    refuses(make(unit, 9, trivial, 1, 1, 1, &form), "at most 8", "nine axes");
    expect(!make(unit, 8, trivial, 1, 1, 1, &form), "eight axes are a form");
    refuses(make(unit, 1, AXIS(0, 0, 1, 1, 0), 1, 1, 1, &form), "positive", "stride 0");
    refuses(make(unit, 1, AXIS(1, 0, 0, 1, 0), 1, 1, 1, &form), "positive", "dilation 0");
    refuses(make(unit, 1, AXIS(1, 0, 1, 0, 0), 1, 1, 1, &form), "positive", "no taps");
    refuses(make(unit, 1, AXIS(huge, 0, 1, 1, 0), 1, 1, 1, &form), "absurd", "a huge stride");
    refuses(make(unit, 1, AXIS(1, huge, 1, 1, 0), 1, 1, 1, &form), "absurd", "a huge low");
    refuses(make(unit, 1, AXIS(1, INT64_MIN, 1, 1, 0), 1, 1, 1, &form), "absurd", "the lowest low");
    refuses(make(unit, 1, AXIS(1, 0, huge, 2, 0), 1, 1, 1, &form), "absurd", "a huge dilation");
    refuses(make(unit, 1, AXIS(1, 0, 1, huge, 0), 1, 1, 1, &form), "absurd", "a huge kernel");
    refuses(make(unit, 1, AXIS(1, 0, 1, 1, INT64_MIN), 1, 1, 1, &form), "absurd", "the lowest end");
    refuses(make(unit, 1, AXIS(1, 0, 1 << 20, 1 << 20, 0), 1, 1, 1, &form), "absurd", "a huge lattice");
    refuses(make(unit, 8, AXIS(1, 0, 1, 1 << 20, 0), 1, 1, 1, &form), "2^31", "2^160 taps");
    refuses(make(unit, 1, trivial, huge, huge, 1, &form), "2^31", "2^126 weights");
    refuses(make(unit, 0, trivial, 1 << 16, 1 << 16, 1, &form), "2^31", "2^32 weights");
    refuses(affine_scale_shift(&unit->arena, 0, NULL, NULL, NULL, &form), "no channels", "no channels");
    refuses(affine_pad(&unit->arena, 1, &huge, &one, 0, NULL, 0, &form), "absurd", "a huge padding");
    refuses(affine_pad(&unit->arena, 1, &one, &(int64_t){INT64_MIN}, 0, NULL, 0, &form), "absurd",
            "the lowest padding");
    refuses(affine_pad(&unit->arena, 9, &one, &one, 0, NULL, 0, &form), "at most 8", "nine axes of padding");
    must(unit, make(unit, 1, AXIS(1 << 20, 0, 1, 1, 0), 2, 2, 1, &a));
    refuses(affine_compose(&unit->arena, a, a, &form), "absurd", "strides that multiply");
    must(unit, make(unit, 1, AXIS(1, 0, 1 << 27, 2, -(1 << 27)), 8, 8, 1, &a));
    must(unit, make(unit, 1, AXIS(1, 0, (1 << 27) - 1, 2, -(1 << 27)), 8, 8, 1, &b));
    refuses(affine_join(&unit->arena, (struct affine_term[]){{a, 1}, {b, 1}}, 2, NULL, &form, &(bool){false}), "2^31",
            "lattices that share no step");
    must(unit, make(unit, 2, trivial, 2, 2, 1, &a));
    must(unit, make(unit, 1, trivial, 2, 2, 1, &b));
    refuses(affine_compose(&unit->arena, a, b, &form), "spatial axes", "composed axes");
    refuses(affine_join(&unit->arena, (struct affine_term[]){{a, 1}, {b, 1}}, 2, NULL, &form, &(bool){false}),
            "spatial axes", "joined axes");
    must(unit, make(unit, 2, trivial, 3, 2, 1, &b));
    refuses(affine_compose(&unit->arena, a, b, &form), "channels", "channels in a row");
    refuses(affine_join(&unit->arena, (struct affine_term[]){{a, 1}, {b, 1}}, 2, NULL, &form, &(bool){false}),
            "channels", "channels side by side");
    refuses(affine_join(&unit->arena, (struct affine_term[]){{affine_uniform(&unit->arena, 1, 0), 1}, {b, 1}}, 2, NULL,
                        &form, &(bool){false}),
            "broadcast", "an identity of other width");
    must(unit, make(unit, 2, AXIS(2, 0, 1, 1, 0), 2, 2, 1, &b));
    refuses(affine_join(&unit->arena, (struct affine_term[]){{a, 1}, {b, 1}}, 2, NULL, &form, &(bool){false}),
            "strides differ: 1 and 2", "strides");
    must(unit, make(unit, 0, trivial, 6, 6, 6, &a));
    refuses(affine_widen(&unit->arena, a, 4, &form), "cannot become", "groups that do not divide");
    refuses(affine_widen(&unit->arena, a, 0, &form), "cannot become", "no groups to widen to");
    expect(affine_extent(AXIS(2, 0, 1, 3, -5), 5) == -1, "an empty output has no extent");
    expect(affine_extent(AXIS(2, 0, 1, 3, -4), 5) == 1, "an output of one position");
}

int main(void)
{
    unit_run("borders", test_borders);
    unit_run("extents", test_extents);
    unit_run("equality", test_equality);
    unit_run("refusals", test_refusals);
    return unit_finish();
}
