/* affine/rows.c: the numbers of a form, row by row, in double.
 *
 * A row is what one output channel reads: inputs / groups channels of taps. Rows do not depend on
 * each other, so any block of them can be computed alone, in any order, with the same result. */
#include "affine/rows.h"

#include <math.h>
#include <stdlib.h>

#include "base/vector.h"

/* All rows of a form, where they were computed before. */
static const double *dense_rows(const struct affine_dense *dense, const struct affine *form)
{
    while (dense && dense->form != form)
        dense = dense->next;
    return dense ? dense->rows : NULL;
}

/* The index of each tap of `from` among the taps of `to`, moved by `base` and stretched by `stretch` per axis. */
static void place_taps(const struct affine *to, const struct affine *from, const int64_t *stretch, const int64_t *base,
                       int64_t *place)
{
    int64_t count = 1, size = affine_taps(to);
    place[0] = 0;
    for (int i = 0; i < to->axes; i++) {
        struct affine_axis t = affine_axis_of(to, i), f = affine_axis_of(from, i);
        size /= t.taps;
        for (int64_t k = count - 1; k >= 0; k--)
            for (int64_t j = f.taps - 1; j >= 0; j--)
                place[k * f.taps + j] =
                    place[k] + (base[i] + stretch[i] * (f.low + j * f.step) - t.low) / t.step * size;
        count *= f.taps;
    }
}

/* Among all input channels, the first one that a row's group reads. */
static int64_t first_channel(const struct affine *form, int64_t width, int64_t row)
{
    if (!form->groups || form->groups == width)
        return form->groups && form->outputs ? row * (form->inputs / form->groups) : row;
    return row / (form->outputs / form->groups) * (form->inputs / form->groups);
}

static int64_t row_channels(const struct affine *form)
{
    return form->groups ? form->inputs / form->groups : 1;
}

/* A term whose rows have all taps and channels of the sum: it is computed in place, and the others are added. The
 * number of terms if there is none. */
static size_t whole_term(const struct affine *form)
{
    size_t k = 0;
    while (k < form->term_count &&
           (affine_taps(form->terms[k].form) != affine_taps(form) || form->terms[k].form->groups != form->groups))
        k++;
    return k;
}

VECTORISED(void, scale_numbers, (double *numbers, int64_t count, double factor), (numbers, count, factor))
{
    for (int64_t i = 0; i < count; i++)
        numbers[i] *= factor;
}

VECTORISED(void, add_numbers, (double *to, const double *from, int64_t count, double factor), (to, from, count, factor))
{
    for (int64_t i = 0; i < count; i++)
        to[i] += factor * from[i];
}

/* Which tap of a pick an output is. */
static int64_t tap_of(const struct affine *pick, int64_t output)
{
    return pick->tap ? pick->tap[output] : 0;
}

/* Adds a pick to rows of a sum: one number of each row, if any. place: of its taps. */
static void add_pick(const struct affine *form, const struct affine *pick, double factor, const int64_t *place,
                     int64_t width, int64_t first, int64_t count, double *out)
{
    int64_t taps = affine_taps(form), length = affine_row_length(form);
    for (int64_t o = first; o < first + count; o++)
        if (pick->from[o] >= 0)
            out[(o - first) * length + (pick->from[o] - first_channel(form, width, o)) * taps +
                place[tap_of(pick, o)]] += factor;
}

/* Adds a term other than a pick to rows of a sum. place: of its taps. */
static bool add_rows(const struct affine *form, const struct affine_term *from, const struct affine_dense *dense,
                     const int64_t *place, int64_t width, int64_t first, int64_t count, double *out)
{
    const struct affine *term = from->form;
    int64_t taps = affine_taps(form), length = affine_row_length(form);
    int64_t term_taps = affine_taps(term), term_length = affine_row_length(term);
    int64_t channels = row_channels(term);
    double *rows = numbers_alloc(count, term_length);
    bool good = rows && affine_rows(term, dense, width, first, count, rows);
    bool same_taps = term_taps == taps; /* a sublattice as large as the lattice is the lattice */
    for (int64_t r = 0; good && r < count; r++) {
        int64_t shift = first_channel(term, width, first + r) - first_channel(form, width, first + r);
        double *to = out + r * length + shift * taps;
        const double *row = rows + r * term_length;
        if (same_taps) {
            add_numbers(to, row, term_length, from->factor);
            continue;
        }
        for (int64_t i = 0; i < channels; i++)
            for (int64_t t = 0; t < term_taps; t++)
                to[i * taps + place[t]] += from->factor * row[i * term_taps + t];
    }
    free(rows);
    return good;
}

static bool join_rows(const struct affine *form, const struct affine_dense *dense, int64_t width, int64_t first,
                      int64_t count, double *out)
{
    int64_t length = affine_row_length(form);
    size_t start = whole_term(form);
    const int64_t ones[AFFINE_AXES] = {1, 1, 1, 1, 1, 1, 1, 1}, zeros[AFFINE_AXES] = {0};
    if (start < form->term_count) {
        if (!affine_rows(form->terms[start].form, dense, width, first, count, out))
            return false;
        if (form->terms[start].factor != 1)
            scale_numbers(out, count * length, form->terms[start].factor);
    } else {
        memset(out, 0, (size_t)(count * length) * sizeof(double));
    }
    bool good = true;
    for (size_t k = 0; good && k < form->term_count; k++) {
        const struct affine_term *term = &form->terms[k];
        if (k == start)
            continue;
        int64_t *place = numbers_alloc(affine_taps(term->form), 1);
        good = place != NULL;
        if (good)
            place_taps(form, term->form, ones, zeros, place);
        if (good && term->form->kind == AFFINE_PICK)
            add_pick(form, term->form, term->factor, place, width, first, count, out);
        else
            good = good && add_rows(form, term, dense, place, width, first, count, out);
        free(place);
    }
    return good;
}

static bool stack_rows(const struct affine *form, const struct affine_dense *dense, int64_t first, int64_t count,
                       double *out)
{
    int64_t length = affine_row_length(form), begin = 0; /* of the term's rows */
    bool good = true;
    for (size_t k = 0; good && k < form->term_count; k++) {
        const struct affine *term = form->terms[k].form;
        int64_t from = first > begin ? first : begin, end = begin + term->outputs;
        end = end < first + count ? end : first + count;
        if (from < end)
            good = affine_rows(term, dense, term->outputs, from - begin, end - from, out + (from - first) * length);
        begin += term->outputs;
    }
    return good;
}

/* One row of the outer form over the rows of the inner one it reads. */
VECTORISED(void, compose_row,
           (const struct affine *form, const double *outer_row, const double *inner_rows, int64_t middles,
            const int64_t *place, const int64_t *shifts, double *to),
           (form, outer_row, inner_rows, middles, place, shifts, to))
{
    int64_t taps = affine_taps(form);
    int64_t outer_taps = affine_taps(form->outer), inner_taps = affine_taps(form->inner);
    int64_t inner_length = affine_row_length(form->inner), channels = row_channels(form->inner);
    for (int64_t m = 0; m < middles; m++) {
        const double *weights = outer_row + m * outer_taps;
        const double *from = inner_rows + m * inner_length;
        double *base = to + shifts[m] * taps;
        if (outer_taps == 1 && inner_taps == taps) {
            for (int64_t i = 0; i < inner_length; i++)
                base[i] += weights[0] * from[i];
        } else if (inner_taps == 1 && outer_taps == taps) {
            for (int64_t i = 0; i < channels; i++)
                for (int64_t t = 0; t < taps; t++)
                    base[i * taps + t] += weights[t] * from[i];
        } else {
            for (int64_t t = 0; t < outer_taps; t++)
                for (int64_t i = 0; i < channels; i++)
                    for (int64_t j = 0; j < inner_taps; j++)
                        base[i * taps + place[t * inner_taps + j]] += weights[t] * from[i * inner_taps + j];
        }
    }
}

void affine_places(const struct affine *form, const struct affine *outer, const struct affine *inner, int64_t *place)
{
    int64_t outer_taps = affine_taps(outer), inner_taps = affine_taps(inner);
    int64_t index[AFFINE_AXES] = {0}, stretch[AFFINE_AXES], base[AFFINE_AXES];
    for (int64_t t = 0; t < outer_taps; t++) {
        for (int i = 0; i < form->axes; i++) {
            struct affine_axis o = affine_axis_of(outer, i), in = affine_axis_of(inner, i);
            stretch[i] = 1;
            base[i] = in.stride * (o.low + index[i] * o.step);
        }
        place_taps(form, inner, stretch, base, place + t * inner_taps);
        for (int i = form->axes - 1; i >= 0 && ++index[i] == affine_axis_of(outer, i).taps; i--)
            index[i] = 0;
    }
}

static bool pick_rows(const struct affine *form, int64_t width, int64_t first, int64_t count, double *out)
{
    int64_t length = affine_row_length(form), taps = affine_taps(form);
    memset(out, 0, (size_t)(count * length) * sizeof(double));
    for (int64_t o = first; o < first + count; o++)
        if (form->from[o] >= 0)
            out[(o - first) * length + (form->from[o] - first_channel(form, width, o)) * taps + tap_of(form, o)] = 1;
    return true;
}

/* Puts the row of the inner form that an output of a pick is where the composition has its channels and taps. */
static void place_row(const struct affine *form, int64_t width, int64_t inner_width, int64_t output,
                      const int64_t *place, const double *row, double *to)
{
    const struct affine *outer = form->outer, *inner = form->inner;
    int64_t taps = affine_taps(form), inner_taps = affine_taps(inner);
    int64_t channels = row_channels(inner);
    to += (first_channel(inner, inner_width, outer->from[output]) - first_channel(form, width, output)) * taps;
    place += tap_of(outer, output) * inner_taps;
    for (int64_t i = 0; i < channels; i++)
        for (int64_t t = 0; t < inner_taps; t++)
            to[i * taps + place[t]] = row[i * inner_taps + t];
}

/* A pick of a form: its rows, those that follow each other together. */
static bool picked_rows(const struct affine *form, const struct affine_dense *dense, int64_t width, int64_t first,
                        int64_t count, const int64_t *place, double *out)
{
    const struct affine *inner = form->inner;
    const int64_t *from = form->outer->from + first;
    int64_t inner_width = inner->outputs ? inner->outputs : form->outer->inputs;
    int64_t length = affine_row_length(form), inner_length = affine_row_length(inner), some;
    /* Else they have fewer taps, or what they read is in smaller groups. */
    bool good = true, whole = inner_length == length;
    double *rows = whole ? out : numbers_alloc(count, inner_length);
    if (!rows)
        return false;
    memset(out, 0, (size_t)(count * length) * sizeof(double));
    for (int64_t r = 0; good && r < count; r += some) {
        for (some = 1; from[r] >= 0 && r + some < count && from[r + some] == from[r] + some;)
            some++;
        if (from[r] < 0)
            continue;
        good = affine_rows(inner, dense, inner_width, from[r], some, whole ? out + r * length : rows);
        for (int64_t i = 0; good && !whole && i < some; i++)
            place_row(form, width, inner_width, first + r + i, place, rows + i * inner_length, out + (r + i) * length);
    }
    if (!whole)
        free(rows);
    return good;
}

/* A form of a pick: its columns, each where its channel comes from. */
static bool scattered_rows(const struct affine *form, const struct affine_dense *dense, int64_t width, int64_t first,
                           int64_t count, const int64_t *place, double *out)
{
    const struct affine *outer = form->outer, *inner = form->inner;
    int64_t middles = row_channels(outer), taps = affine_taps(form);
    int64_t outer_taps = affine_taps(outer), inner_taps = affine_taps(inner);
    int64_t length = affine_row_length(form), outer_length = affine_row_length(outer);
    double *rows = numbers_alloc(count, outer_length);
    bool good = rows && affine_rows(outer, dense, width, first, count, rows);
    if (good)
        memset(out, 0, (size_t)(count * length) * sizeof(double));
    for (int64_t r = 0; good && r < count; r++) {
        int64_t middle = first_channel(outer, width, first + r);
        double *to = out + r * length - first_channel(form, width, first + r) * taps;
        const double *row = rows + r * outer_length;
        for (int64_t m = middle; m < middle + middles; m++, row += outer_taps)
            for (int64_t t = 0; inner->from[m] >= 0 && t < outer_taps; t++)
                to[inner->from[m] * taps + place[t * inner_taps + tap_of(inner, m)]] += row[t];
    }
    free(rows);
    return good;
}

/* A composition with a pick. */
static bool moved_rows(const struct affine *form, const struct affine_dense *dense, int64_t width, int64_t first,
                       int64_t count, double *out)
{
    int64_t pairs = affine_taps(form->outer) * affine_taps(form->inner);
    int64_t *place = numbers_alloc(pairs, 1);
    if (!place)
        return false;
    affine_places(form, form->outer, form->inner, place);
    bool good = form->outer->kind == AFFINE_PICK ? picked_rows(form, dense, width, first, count, place, out)
                                                 : scattered_rows(form, dense, width, first, count, place, out);
    free(place);
    return good;
}

/* True when the inner rows a block of outer rows needs are few: one each. */
static bool is_cheap_inner(const struct affine *form)
{
    return form->outer->kind == AFFINE_PICK || form->inner->kind == AFFINE_PICK || affine_is_diagonal(form->outer) ||
           affine_is_diagonal(form->inner);
}

static bool compose_rows(const struct affine *form, const struct affine_dense *dense, int64_t width, int64_t first,
                         int64_t count, double *out)
{
    const struct affine *outer = form->outer, *inner = form->inner;
    if (outer->kind == AFFINE_PICK || inner->kind == AFFINE_PICK)
        return moved_rows(form, dense, width, first, count, out);
    if (outer->kind == AFFINE_DIAGONAL && affine_taps(outer) == 1) {
        int64_t numbers = affine_row_length(form);
        if (!affine_rows(inner, dense, width, first, count, out))
            return false;
        for (int64_t r = 0; r < count; r++) {
            double scale = outer->scale ? outer->scale[first + r] : outer->factor;
            if (scale != 1)
                scale_numbers(out + r * numbers, numbers, scale);
        }
        return true;
    }
    int64_t inner_width = inner->outputs ? inner->outputs : outer->inputs ? outer->inputs : width;
    int64_t middles = row_channels(outer), length = affine_row_length(form);
    int64_t outer_length = affine_row_length(outer), inner_length = affine_row_length(inner);
    int64_t outer_taps = affine_taps(outer), inner_taps = affine_taps(inner);
    double *outer_rows = numbers_alloc(count, outer_length);
    double *inner_rows = numbers_alloc(middles, inner_length);
    int64_t *place = numbers_alloc(outer_taps, inner_taps);
    int64_t *shifts = numbers_alloc(middles, 1);
    bool good =
        outer_rows && inner_rows && place && shifts && affine_rows(outer, dense, width, first, count, outer_rows);
    if (good) {
        memset(out, 0, (size_t)(count * length) * sizeof(double));
        affine_places(form, outer, inner, place);
    }
    const double *known = dense_rows(dense, inner);
    int64_t loaded = -1;
    for (int64_t r = 0; good && r < count; r++) {
        int64_t row = first + r, middle = first_channel(outer, width, row);
        const double *from = known ? known + middle * inner_length : inner_rows;
        if (!known && middle != loaded) {
            good = affine_rows(inner, dense, inner_width, middle, middles, inner_rows);
            loaded = middle;
        }
        for (int64_t m = 0; m < middles; m++)
            shifts[m] = first_channel(inner, inner_width, middle + m) - first_channel(form, width, row);
        if (good)
            compose_row(form, outer_rows + r * outer_length, from, middles, place, shifts, out + r * length);
    }
    free(outer_rows);
    free(inner_rows);
    free(place);
    free(shifts);
    return good;
}

bool affine_rows(const struct affine *form, const struct affine_dense *dense, int64_t width, int64_t first,
                 int64_t count, double *out)
{
    const double *known = dense_rows(dense, form);
    int64_t length = affine_row_length(form), taps = affine_taps(form);
    if (known) {
        memcpy(out, known + first * length, (size_t)(count * length) * sizeof(double));
        return true;
    }
    switch (form->kind) {
    case AFFINE_KERNEL: form->read(form->closure, first, count, out); return true;
    case AFFINE_DIAGONAL:
        for (int64_t r = 0; r < count; r++)
            for (int64_t t = 0; t < taps; t++)
                out[r * taps + t] = form->scale ? form->scale[first + r] : form->factor;
        return true;
    case AFFINE_COMPOSE: return compose_rows(form, dense, width, first, count, out);
    case AFFINE_STACK: return stack_rows(form, dense, first, count, out);
    case AFFINE_PICK: return pick_rows(form, width, first, count, out);
    default: return join_rows(form, dense, width, first, count, out);
    }
}

bool affine_prepare(const struct affine *form, struct affine_dense **dense)
{
    bool good = true;
    bool has_terms = form->kind == AFFINE_JOIN || form->kind == AFFINE_STACK;
    for (size_t k = 0; has_terms && k < form->term_count; k++)
        good = good && affine_prepare(form->terms[k].form, dense);
    if (form->kind != AFFINE_COMPOSE)
        return good;
    const struct affine *inner = form->inner;
    good = affine_prepare(form->outer, dense) && affine_prepare(inner, dense);
    if (!good || is_cheap_inner(form) || dense_rows(*dense, inner))
        return good;
    struct affine_dense *entry = malloc(sizeof(*entry));
    if (!entry)
        return false;
    *entry = (struct affine_dense){inner, numbers_alloc(affine_weights(inner), 1), NULL};
    good = entry->rows && affine_rows(inner, *dense, inner->outputs, 0, inner->outputs, entry->rows);
    if (!good) {
        free(entry->rows);
        free(entry);
        return false;
    }
    entry->next = *dense;
    *dense = entry;
    return true;
}

void affine_release(struct affine_dense **dense)
{
    while (*dense) {
        struct affine_dense *next = (*dense)->next;
        free((*dense)->rows);
        free(*dense);
        *dense = next;
    }
}

/* ---- bias ---- */

/* Adds the outer form of the inner form's bias, or of its terms. */
static void add_outer_bias(struct arena *arena, const struct affine *form, int64_t width, const double *inner_bias,
                           bool terms, double *bias)
{
    const struct affine *outer = form->outer;
    int64_t length = affine_row_length(outer), middles = row_channels(outer);
    int64_t taps = affine_taps(outer);
    if (outer->kind == AFFINE_PICK) {
        for (int64_t o = 0; o < width; o++)
            bias[o] = outer->from[o] < 0 ? 0 : inner_bias[outer->from[o]];
        return;
    }
    double *row = calloc((size_t)length, sizeof(double));
    struct affine_dense *dense = NULL;
    bool good = row && affine_prepare(outer, &dense);
    for (int64_t o = 0; good && o < width; o++) {
        good = affine_rows(outer, dense, width, o, 1, row);
        if (!good)
            break;
        const double *from = inner_bias + first_channel(outer, width, o);
        for (int64_t m = 0; m < middles; m++)
            for (int64_t t = 0; t < taps; t++) {
                double weight = row[m * taps + t];
                bias[o] += (terms ? fabs(weight) : weight) * from[m];
            }
    }
    affine_release(&dense);
    free(row);
    if (!good)
        fail(arena->landing, ONNX_FUSE_OUT_OF_MEMORY, "out of memory while composing two kernels");
}

static int64_t middle_width(const struct affine *form, int64_t width)
{
    return form->inner->outputs ? form->inner->outputs : form->outer->inputs ? form->outer->inputs : width;
}

const double *affine_bias(struct arena *arena, const struct affine *form, int64_t width)
{
    if (form->bias && form->bias_width == width)
        return form->bias;
    if (form->kind == AFFINE_KERNEL || (form->kind == AFFINE_DIAGONAL && form->offset)) {
        const double *offset = form->offset;
        for (int64_t o = 0; offset && o < width; o++)
            if (offset[o] != 0)
                return offset;
        return NULL;
    }
    if (form->kind == AFFINE_PICK || (form->kind == AFFINE_DIAGONAL && form->shift == 0))
        return NULL;
    double *bias = NEW_ARRAY(arena, double, width + 1);
    bool any = false;
    if (form->kind == AFFINE_DIAGONAL) {
        for (int64_t o = 0; o < width; o++)
            bias[o] = form->shift;
    } else if (form->kind == AFFINE_COMPOSE) {
        int64_t middle = middle_width(form, width);
        const double *outer = affine_bias(arena, form->outer, width);
        const double *inner = affine_bias(arena, form->inner, middle);
        for (int64_t o = 0; outer && o < width; o++)
            bias[o] = outer[o];
        if (inner)
            add_outer_bias(arena, form, width, inner, false, bias);
    } else if (form->kind == AFFINE_STACK) {
        double *to = bias;
        for (size_t k = 0; k < form->term_count; to += form->terms[k++].form->outputs) {
            const struct affine *part = form->terms[k].form;
            const double *from = affine_bias(arena, part, part->outputs);
            if (from)
                memcpy(to, from, (size_t)part->outputs * sizeof(*to));
        }
    } else {
        for (size_t k = 0; k < form->term_count; k++) {
            const double *term = affine_bias(arena, form->terms[k].form, width);
            for (int64_t o = 0; term && o < width; o++)
                bias[o] += form->terms[k].factor * term[o];
        }
    }
    for (int64_t o = 0; o < width; o++)
        any = any || bias[o] != 0;
    if (!any)
        return NULL;
    struct affine *memo = (struct affine *)(uintptr_t)form;
    memo->bias = bias;
    memo->bias_width = width;
    return bias;
}

const double *affine_bias_terms(struct arena *arena, const struct affine *form, int64_t width)
{
    double *terms = NEW_ARRAY(arena, double, width);
    const double *part;
    switch (form->kind) {
    case AFFINE_KERNEL:
        for (int64_t o = 0; form->offset && o < width; o++)
            terms[o] = fabs(form->offset[o]);
        break;
    case AFFINE_DIAGONAL:
        for (int64_t o = 0; o < width; o++)
            terms[o] = form->bias_terms ? form->bias_terms[o] : fabs(form->offset ? form->offset[o] : form->shift);
        break;
    case AFFINE_COMPOSE:
        part = affine_bias_terms(arena, form->outer, width);
        memcpy(terms, part, (size_t)width * sizeof(double));
        part = affine_bias_terms(arena, form->inner, middle_width(form, width));
        add_outer_bias(arena, form, width, part, true, terms);
        break;
    case AFFINE_STACK:
        for (size_t k = 0, at = 0; k < form->term_count; k++) {
            size_t some = (size_t)form->terms[k].form->outputs;
            part = affine_bias_terms(arena, form->terms[k].form, (int64_t)some);
            memcpy(terms + at, part, some * sizeof(*terms));
            at += some;
        }
        break;
    case AFFINE_PICK: break;
    case AFFINE_JOIN:
        for (size_t k = 0; k < form->term_count; k++) {
            part = affine_bias_terms(arena, form->terms[k].form, width);
            for (int64_t o = 0; o < width; o++)
                terms[o] += fabs(form->terms[k].factor) * part[o];
        }
    }
    return terms;
}
