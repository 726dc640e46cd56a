/* plain.h: affine forms as numbers, and what they must do, straight from the definition on top of
 * affine/form.h. All numbers are small integers, so sums are exact in any order and equal means equal. */
#ifndef PLAIN_H
#define PLAIN_H

#include <string.h>

#include "affine/rows.h"
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

static inline int64_t draw(struct unit *unit, int64_t low, int64_t high)
{
    return unit_integer(&unit->state, low, high);
}

static inline bool chance(struct unit *unit, int percent)
{
    return draw(unit, 0, 99) < percent;
}

/* `count` integers of at most `most`, none of them 0; below 0 only when `negative`. */
static inline double *draw_numbers(struct unit *unit, int64_t count, int64_t most, bool negative)
{
    double *numbers = NEW_ARRAY(&unit->arena, double, count + 1);
    for (int64_t i = 0; i < count; i++)
        numbers[i] = (double)(draw(unit, 1, most) * (negative && chance(unit, 50) ? -1 : 1));
    return numbers;
}

/* ---- the definition ---- */

static inline int64_t extent_of(struct affine_axis axis, int64_t size)
{
    int64_t last = size - 1 + axis.end; /* the last source position that a first tap may have */
    return last < 0 ? 0 : last / axis.stride + 1;
}

static inline int64_t positions(const int64_t *size)
{
    return size[0] * size[1] * size[2];
}

static inline double read_at(const struct plain *form, const struct image *x, int64_t channel, const int64_t *at)
{
    for (int i = 0; i < AXES; i++)
        if (at[i] < 0 || at[i] >= x->size[i])
            return form->border ? form->border[channel] : 0;
    return x->data[((channel * x->size[0] + at[0]) * x->size[1] + at[1]) * x->size[2] + at[2]];
}

/* Steps through a box, last axis first; false after the last place. */
static inline bool next_place(int64_t *at, const int64_t *size)
{
    for (int i = AXES - 1; i >= 0; at[i--] = 0)
        if (++at[i] < size[i])
            return true;
    return false;
}

/* NULL where the output would be empty. */
static inline struct image *apply(struct unit *unit, const struct plain *form, const struct image *x)
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
                        at[i] = form->axis[i].stride * p[i] + form->axis[i].low + t[i] * form->axis[i].step;
                    *to += *weight++ * read_at(form, x, c, at);
                } while (next_place(t, taps));
            }
            to++;
        } while (next_place(p, y->size));
    }
    return y;
}

static inline bool same_image(const struct image *a, const struct image *b)
{
    if (!a || !b)
        return a == b;
    if (a->channels != b->channels || memcmp(a->size, b->size, sizeof(a->size)) != 0)
        return false;
    for (int64_t i = 0; i < a->channels * positions(a->size); i++)
        if (a->data[i] != b->data[i])
            return false;
    return true;
}

static inline struct image *draw_image(struct unit *unit, int axes, int64_t channels, int64_t smallest, int64_t largest)
{
    struct image *x = NEW(&unit->arena, struct image);
    x->channels = channels;
    for (int i = 0; i < AXES; i++)
        x->size[i] = i < axes ? draw(unit, smallest, largest) : 1;
    x->data = draw_numbers(unit, channels * positions(x->size), 4, true);
    return x;
}

/* What the library says the numbers of a form are. */
static inline struct plain plain_of(struct unit *unit, const struct affine *form, int64_t width)
{
    struct plain plain = {.outputs = form->outputs ? form->outputs : width,
                          .inputs = form->inputs ? form->inputs : width,
                          .groups = form->groups ? form->groups : width,
                          .border = form->border};
    int64_t length = affine_row_length(form);
    double *rows = NEW_ARRAY(&unit->arena, double, plain.outputs *length);
    for (int i = 0; i < AXES; i++)
        plain.axis[i] = i < form->axes ? affine_axis_of(form, i) : trivial;
    struct affine_dense *dense = NULL;
    if (!affine_prepare(form, &dense) || !affine_rows(form, dense, plain.outputs, 0, plain.outputs, rows))
        fail(&unit->landing, ONNX_FUSE_OUT_OF_MEMORY, "no memory");
    /* Any block of rows is the same as those rows of the whole. */
    int64_t first = draw(unit, 0, plain.outputs - 1), count = draw(unit, 1, plain.outputs - first);
    double *block = NEW_ARRAY(&unit->arena, double, count *length);
    if (!affine_rows(form, NULL, plain.outputs, first, count, block) ||
        memcmp(block, rows + first * length, (size_t)(count * length) * sizeof(double)) != 0)
        fail(&unit->landing, ONNX_FUSE_OK, "rows %lld to %lld alone differ from those of the whole", (long long)first,
             (long long)(first + count - 1));
    affine_release(&dense);
    plain.weights = rows;
    plain.bias = affine_bias(&unit->arena, form, plain.outputs);
    return plain;
}

static inline void read_rows(const void *closure, int64_t first, int64_t count, double *out)
{
    const struct plain *plain = closure;
    int64_t length = plain->inputs / plain->groups;
    for (int i = 0; i < AXES; i++)
        length *= plain->axis[i].taps;
    memcpy(out, plain->weights + first * length, (size_t)(count * length) * sizeof(double));
}

/* `plain` is borrowed by the form. */
static inline const char *make_plain(struct unit *unit, int axes, const struct plain *plain, const struct affine **form)
{
    return affine_make(&unit->arena,
                       &(struct affine_kernel){.axes = axes,
                                               .axis = plain->axis,
                                               .outputs = plain->outputs,
                                               .inputs = plain->inputs,
                                               .groups = plain->groups,
                                               .read = read_rows,
                                               .closure = plain,
                                               .bias = plain->bias},
                       form);
}

static inline void must(struct unit *unit, const char *reason)
{
    if (reason)
        fail(&unit->landing, ONNX_FUSE_OK, "refused: %s", reason);
}

static inline int64_t draw_groups(struct unit *unit, int64_t inputs, int64_t outputs)
{
    int64_t common = greatest_common_divisor(inputs, outputs), groups = draw(unit, 1, common);
    return common % groups == 0 ? groups : chance(unit, 50) ? 1 : common;
}

static inline double *constants(struct unit *unit, int64_t count, double value)
{
    double *numbers = NEW_ARRAY(&unit->arena, double, count + 1);
    for (int64_t i = 0; i < count; i++)
        numbers[i] = value;
    return numbers;
}

/* A kernel without negative numbers, so that an error at the border cannot cancel. */
static inline const struct affine *draw_positive(struct unit *unit, int axes, int64_t inputs, int64_t outputs,
                                                 bool dense, struct plain *plain)
{
    const struct affine *form;
    int64_t count = outputs;
    *plain = (struct plain){.outputs = outputs, .inputs = inputs};
    plain->groups = draw_groups(unit, inputs, outputs);
    for (int i = 0; i < AXES; i++) {
        plain->axis[i] = trivial;
        if (i < axes)
            plain->axis[i] = (struct affine_axis){.stride = dense ? 1 : draw(unit, 1, 3),
                                                  .low = draw(unit, -2, 1),
                                                  .step = dense ? 1 : draw(unit, 1, 2),
                                                  .taps = draw(unit, 1, 3),
                                                  .end = draw(unit, -3, 2)};
        count *= plain->axis[i].taps;
    }
    plain->weights = draw_numbers(unit, count * (inputs / plain->groups), 3, false);
    plain->bias = chance(unit, 50) ? draw_numbers(unit, outputs, 3, false) : NULL;
    must(unit, make_plain(unit, axes, plain, &form));
    return form;
}

#endif
