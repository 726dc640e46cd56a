/* test_affine.c: the laws of the algebra, on random forms.
 *
 * All numbers are small integers, so sums are exact in any order and equal means equal. What a
 * form must do is computed by `apply`, straight from the definition on top of affine.h. */
#include "affine.h"

#include <math.h>
#include <string.h>

#include "unit.h"

enum { AXES = 3 };

/* A form as numbers. Axes that it lacks are trivial. */
struct plain {
    int64_t outputs, inputs, groups;
    struct affine_axis axis[AXES];
    const double *weights, *bias, *border;
};

struct image {
    int64_t channels, size[AXES];
    double *data;
};

static const struct affine_axis trivial = {.stride = 1, .step = 1, .taps = 1};

static int64_t draw(struct unit *unit, int64_t low, int64_t high)
{
    return unit_integer(&unit->state, low, high);
}

static bool chance(struct unit *unit, int percent)
{
    return draw(unit, 0, 99) < percent;
}

/* `count` integers of at most `most`, none of them 0; below 0 only when `negative`. */
static double *draw_numbers(struct unit *unit, int64_t count, int64_t most, bool negative)
{
    double *numbers = NEW_ARRAY(&unit->arena, double, count + 1);
    for (int64_t i = 0; i < count; i++)
        numbers[i] = (double)(draw(unit, 1, most) * (negative && chance(unit, 50) ? -1 : 1));
    return numbers;
}

/* ---- the definition ---- */

static int64_t extent_of(struct affine_axis axis, int64_t size)
{
    int64_t last = size - 1 + axis.end; /* the last source position that a first tap may have */
    return last < 0 ? 0 : last / axis.stride + 1;
}

static int64_t positions(const int64_t *size)
{
    return size[0] * size[1] * size[2];
}

static double read_at(const struct plain *form, const struct image *x, int64_t channel,
                      const int64_t *at)
{
    for (int i = 0; i < AXES; i++)
        if (at[i] < 0 || at[i] >= x->size[i])
            return form->border ? form->border[channel] : 0;
    return x->data[((channel * x->size[0] + at[0]) * x->size[1] + at[1]) * x->size[2] + at[2]];
}

/* Steps through a box, last axis first; false after the last place. */
static bool next_place(int64_t *at, const int64_t *size)
{
    for (int i = AXES - 1; i >= 0; at[i--] = 0)
        if (++at[i] < size[i])
            return true;
    return false;
}

/* NULL where the output would be empty. */
static struct image *apply(struct unit *unit, const struct plain *form, const struct image *x)
{
    struct image *y = NEW(&unit->arena, struct image);
    int64_t taps[AXES], depth = form->inputs / form->groups;
    y->channels = form->outputs;
    for (int i = 0; i < AXES; i++) {
        taps[i] = form->axis[i].taps;
        y->size[i] = extent_of(form->axis[i], x->size[i]);
        if (y->size[i] < 1)
            return NULL;
    }
    y->data = NEW_ARRAY(&unit->arena, double, y->channels *positions(y->size));
    double *to = y->data;
    for (int64_t o = 0; o < form->outputs; o++) {
        int64_t first = o / (form->outputs / form->groups) * depth, p[AXES] = {0};
        do {
            const double *weight = form->weights + o * depth * positions(taps);
            *to = form->bias ? form->bias[o] : 0;
            for (int64_t c = first; c < first + depth; c++) {
                int64_t t[AXES] = {0}, at[AXES];
                do {
                    for (int i = 0; i < AXES; i++)
                        at[i] = form->axis[i].stride * p[i] + form->axis[i].low +
                                t[i] * form->axis[i].step;
                    *to += *weight++ * read_at(form, x, c, at);
                } while (next_place(t, taps));
            }
            to++;
        } while (next_place(p, y->size));
    }
    return y;
}

static bool same_image(const struct image *a, const struct image *b)
{
    if (!a || !b)
        return a == b;
    return a->channels == b->channels && memcmp(a->size, b->size, sizeof(a->size)) == 0 &&
           memcmp(a->data, b->data,
                  (size_t)(a->channels * positions(a->size)) * sizeof(double)) == 0;
}

static struct image *draw_image(struct unit *unit, int axes, int64_t channels, int64_t smallest,
                                int64_t largest)
{
    struct image *x = NEW(&unit->arena, struct image);
    x->channels = channels;
    for (int i = 0; i < AXES; i++)
        x->size[i] = i < axes ? draw(unit, smallest, largest) : 1;
    x->data = draw_numbers(unit, channels * positions(x->size), 4, true);
    return x;
}

/* What the library says the numbers of a form are; -0 becomes 0. */
static struct plain plain_of(struct unit *unit, const struct affine *form, int64_t width)
{
    struct plain plain = {.outputs = form->outputs ? form->outputs : width,
                          .inputs = form->inputs ? form->inputs : width,
                          .groups = form->groups ? form->groups : width,
                          .border = form->border};
    int64_t length = affine_row_length(form);
    double *rows = NEW_ARRAY(&unit->arena, double, plain.outputs *length);
    for (int i = 0; i < AXES; i++)
        plain.axis[i] = i < form->axes ? affine_axis_of(form, i) : trivial;
    if (!affine_prepare(form) || !affine_rows(form, plain.outputs, 0, plain.outputs, rows))
        fail(&unit->landing, ONNX_FUSE_OUT_OF_MEMORY, "no memory");
    /* Any block of rows is the same as those rows of the whole. */
    int64_t first = draw(unit, 0, plain.outputs - 1), count = draw(unit, 1, plain.outputs - first);
    double *block = NEW_ARRAY(&unit->arena, double, count *length);
    if (!affine_rows(form, plain.outputs, first, count, block) ||
        memcmp(block, rows + first * length, (size_t)(count * length) * sizeof(double)) != 0)
        fail(&unit->landing, ONNX_FUSE_OK, "rows %lld to %lld alone differ from those of the whole",
             (long long)first, (long long)(first + count - 1));
    affine_release(form);
    plain.weights = rows;
    plain.bias = affine_bias(&unit->arena, form, plain.outputs);
    return plain;
}

/* ---- random forms ---- */

/* An expression: what a form is meant to be. */
struct expression {
    enum { LEAF, COMPOSE, JOIN } kind;
    struct affine *form;
    struct plain plain; /* LEAF */
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

static void read_rows(const void *closure, int64_t first, int64_t count, double *out)
{
    const struct plain *plain = closure;
    int64_t length = plain->inputs / plain->groups;
    for (int i = 0; i < AXES; i++)
        length *= plain->axis[i].taps;
    memcpy(out, plain->weights + first * length, (size_t)(count * length) * sizeof(double));
}

static void must(struct unit *unit, const char *reason)
{
    if (reason)
        fail(&unit->landing, ONNX_FUSE_OK, "refused: %s", reason);
}

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

static bool is_trivial(const struct want *want)
{
    for (int i = 0; i < want->axes; i++)
        if (want->stride[i] != 1 || want->end[i] != 0)
            return false;
    return true;
}

static int64_t draw_groups(struct unit *unit, int64_t inputs, int64_t outputs)
{
    int64_t common = greatest_common_divisor(inputs, outputs), groups = draw(unit, 1, common);
    return common % groups == 0 ? groups : chance(unit, 50) ? 1 : common;
}

static double *constants(struct unit *unit, int64_t count, double value)
{
    double *numbers = NEW_ARRAY(&unit->arena, double, count + 1);
    for (int64_t i = 0; i < count; i++)
        numbers[i] = value;
    return numbers;
}

/* A kernel, or one of the diagonal forms where they fit. */
static struct expression *draw_leaf(struct unit *unit, const struct want *want)
{
    struct arena *arena = &unit->arena;
    struct expression *leaf = NEW(arena, struct expression);
    struct plain *plain = &leaf->plain;
    *plain = (struct plain){.outputs = want->outputs, .inputs = want->inputs};
    plain->bias = chance(unit, 50) ? draw_numbers(unit, want->outputs, 4, true) : NULL;
    draw_axes(unit, want, plain->axis);
    int kind = want->inputs == want->outputs ? (int)draw(unit, 0, 6) : 0;
    if (kind >= 4 && !is_trivial(want))
        kind = 3;
    if (kind == 2 && want->inside)
        kind = 3;
    if (kind <= 2) {
        plain->groups = draw_groups(unit, want->inputs, want->outputs);
        int64_t count = want->outputs * (want->inputs / plain->groups);
        for (int i = 0; i < AXES; i++)
            count *= plain->axis[i].taps;
        plain->weights = draw_numbers(unit, count, 3, true);
        must(unit, affine_make(arena, want->axes, plain->axis, want->outputs, want->inputs,
                               plain->groups, read_rows, plain, plain->bias, &leaf->form));
        return leaf;
    }
    plain->groups = want->outputs;
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
        must(unit, affine_scale_shift(arena, want->outputs, plain->weights, plain->bias,
                                      &leaf->form));
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
    return affine_compose(&unit->arena, made->parts[0]->form, made->parts[1]->form, &made->form)
               ? NULL
               : made;
}

static struct expression *draw_join(struct unit *unit, const struct want *want, int depth)
{
    struct expression *made = NEW(&unit->arena, struct expression);
    struct affine_term terms[3];
    bool used = false, known = false;
    made->kind = JOIN;
    made->count = (int)draw(unit, 1, 3);
    for (int k = 0; k < made->count; k++) {
        made->parts[k] = draw_expression(unit, want, depth - 1);
        made->factors[k] = chance(unit, 60) ? 1 : (double)draw(unit, -2, 3);
        terms[k] = (struct affine_term){made->parts[k]->form, made->factors[k]};
        known = known || made->parts[k]->form->outputs;
    }
    must(unit,
         affine_join(&unit->arena, terms, (size_t)made->count, NULL, &made->form, &used));
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
    struct affine *form = made->form, *other = NULL;
    if (chance(unit, 10) && form->groups)
        must(unit, affine_widen(&unit->arena, form,
                                draw_groups(unit, form->groups, form->groups), &other));
    else if (chance(unit, 10))
        must(unit, affine_lowerable(&unit->arena, form, &other));
    if (!other)
        return made;
    /* The same map in other words; `made` keeps its own for whoever holds it. */
    made = memcpy(NEW(&unit->arena, struct expression), made, sizeof(*made));
    made->form = other;
    return made;
}

static struct image *evaluate(struct unit *unit, const struct expression *of,
                              const struct image *x)
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
