/* diff/weight.c: constants of two models, a piece at a time. */
#include "diff/weight.h"

#include <inttypes.h>
#include <math.h>

#include "base/decimal.h"
#include "model/describe.h"
#include "model/external.h"

enum { PIECE = 256 }; /* numbers read at a time */
enum { FEW = 8 };     /* so many numbers are shown as they are */

const char *diff_constant_text(struct arena *arena, const struct tensor *tensor, bool numbers)
{
    struct text text = {.arena = arena};
    if (numbers && tensor->count <= FEW && tensor->count > 0 && tensor_is_readable(tensor)) {
        double values[FEW];
        tensor_read(tensor, 0, tensor->count, values);
        for (int64_t i = 0; i < tensor->count; i++)
            text_print(&text, "%s%s", i ? ", " : tensor->rank ? "[" : "", decimal_rounded(values[i], 9).text);
        text_print(&text, "%s", tensor->rank ? "]" : "");
        return text.bytes;
    }
    text_print(&text, "%s [", type_name(tensor->type));
    for (int i = 0; i < tensor->rank; i++)
        text_print(&text, "%s%" PRId64, i ? ", " : "", tensor->dims[i]);
    text_print(&text, "]");
    return text.bytes;
}

static const char *place_text(struct arena *arena, const struct tensor *tensor, int64_t at)
{
    const char *text = "]";
    for (int i = tensor->rank - 1; i >= 0; i--) {
        int64_t extent = tensor->dims[i] ? tensor->dims[i] : 1;
        text = arena_format(arena, "%" PRId64 "%s%s", at % extent, i == tensor->rank - 1 ? "" : ", ", text);
        at /= extent;
    }
    return arena_format(arena, "[%s", text);
}

/* Numbers that are both NaN, or the same infinity, are the same. */
static double difference_of(double a, double b)
{
    if (a == b || (isnan(a) && isnan(b)))
        return 0;
    double difference = fabs(a - b);
    return isfinite(difference) ? difference : (double)INFINITY;
}

static bool is_within(const struct diff_options *options, double a, double difference)
{
    return difference <= options->atol + options->rtol * fabs(a);
}

/* Pages of large constants count as memory until they are given back. */
static void let_go(const struct differ *differ, int64_t first)
{
    if (first == 0 || first % (PIECE * INT64_C(16384)) != 0)
        return;
    model_give_back(differ->models[0]);
    model_give_back(differ->models[1]);
}

/* The numbers of both from `first` on, PIECE at most. Returns how many. */
static int64_t read_piece(const struct differ *differ, const struct tensor *x, const struct tensor *y, int64_t first,
                          double *left, double *right)
{
    int64_t count = x->count - first < PIECE ? x->count - first : PIECE;
    let_go(differ, first);
    tensor_read(x, first, count, left);
    tensor_read(y, first, count, right);
    return count;
}

static void fill_bins(const struct differ *differ, const struct tensor *x, const struct tensor *y,
                      struct diff_numbers *numbers)
{
    double left[PIECE], right[PIECE];
    for (int64_t first = 0; first < x->count; first += PIECE) {
        int64_t count = read_piece(differ, x, y, first, left, right);
        for (int64_t i = 0; i < count; i++) {
            double ratio = (right[i] - left[i]) / numbers->largest;
            if (!(ratio >= -1 && ratio <= 1) || difference_of(left[i], right[i]) <= 0)
                continue;
            int bin = (int)((ratio + 1) / 2 * DIFF_BINS);
            numbers->bins[bin < DIFF_BINS ? bin : DIFF_BINS - 1]++;
        }
    }
}

/* NULL: the same, within the tolerance. */
static struct diff_numbers *compare(struct differ *differ, const struct tensor *x, const struct tensor *y)
{
    struct diff_numbers *numbers = NEW(differ->arena, struct diff_numbers);
    double left[PIECE], right[PIECE];
    bool beyond = false;
    numbers->count = x->count;
    for (int64_t first = 0; first < x->count; first += PIECE) {
        int64_t count = read_piece(differ, x, y, first, left, right);
        for (int64_t i = 0; i < count; i++) {
            double difference = difference_of(left[i], right[i]);
            if (!(difference > 0))
                continue;
            if (!numbers->differing++) {
                numbers->first = place_text(differ->arena, x, first + i);
                numbers->first_left = left[i];
                numbers->first_right = right[i];
            }
            double relative = left[i] != 0 ? difference / fabs(left[i]) : (double)INFINITY;
            numbers->largest = fmax(numbers->largest, difference);
            numbers->largest_relative = fmax(numbers->largest_relative, relative);
            beyond = beyond || !is_within(differ->options, left[i], difference);
        }
    }
    if (!beyond)
        return NULL;
    if (isfinite(numbers->largest))
        fill_bins(differ, x, y, numbers);
    return numbers;
}

static bool same_shape(const struct tensor *x, const struct tensor *y)
{
    if (x->rank != y->rank)
        return false;
    for (int i = 0; i < x->rank; i++)
        if (x->dims[i] != y->dims[i])
            return false;
    return true;
}

void diff_weights(struct differ *differ, const struct node *left, const struct node *right, size_t index,
                  const struct value *x, const struct value *y)
{
    struct arena *arena = differ->arena;
    const struct tensor *a = x->tensor, *b = y->tensor;
    if (value_number(x) == value_number(y))
        return;
    /* A constant that several nodes read is one change. */
    const char *key = arena_format(arena, "%p %p", (const void *)x, (const void *)y);
    if (map_get(&differ->weights, key))
        return;
    map_put(arena, &differ->weights, key, differ);
    struct diff_change change = {
        .kind = DIFF_weight,
        .graph = left->graph,
        .left = left,
        .right = right,
        .left_tensor = a,
        .right_tensor = b,
        .subject = arena_format(arena, "weight '%s', input %zu of %s", x->name, index, describe_node(arena, left))};
    if (a->type != b->type) {
        change.what = "type";
        change.old_text = type_name(a->type);
        change.new_text = type_name(b->type);
        diff_add(differ, &change);
    }
    if (!same_shape(a, b)) {
        bool few = a->count <= FEW && b->count <= FEW;
        change.what = few ? "values" : "shape";
        change.old_text = diff_constant_text(arena, a, few);
        change.new_text = diff_constant_text(arena, b, few);
        diff_add(differ, &change);
        return;
    }
    change.what = "values";
    change.old_text = diff_constant_text(arena, a, true);
    change.new_text = diff_constant_text(arena, b, true);
    if (tensor_is_readable(a) && tensor_is_readable(b)) {
        change.numbers = compare(differ, a, b);
        model_give_back(differ->models[0]);
        model_give_back(differ->models[1]);
        /* Only the type changed, or integers that are equal in double. */
        if (!change.numbers &&
            (a->type != b->type || type_is_float(a->type) || differ->options->rtol > 0 || differ->options->atol > 0))
            return;
    } else if (a->type != b->type) {
        return;
    }
    diff_add(differ, &change);
}
