/* equalize/ranges.c: ranges and moments, of activations by their statistics and of weights by their numbers. */
#include "equalize/ranges.h"

#include <math.h>
#include <stdatomic.h>

#include "base/system.h"
#include "base/vector.h"
#include "model/external.h"

static void find_room(struct equalization *e)
{
    int64_t most = 1;
    for (size_t i = 0; i < e->classes.seams.count; i++) {
        const struct weight *weight = &e->classes.seams.items[i].weight;
        most = weight->inputs > most ? weight->inputs : most;
        most = weight->outputs > most ? weight->outputs : most;
    }
    e->most_channels = most;
    e->powers[0] = NEW_ARRAY(e->arena, double, most);
    e->powers[1] = NEW_ARRAY(e->arena, double, most);
    e->sorted = NEW_ARRAY(e->arena, double, most);
}

/* Weights that threads take one after another. The result does not depend on the assignment. */
struct measuring {
    struct equalization *e;
    atomic_size_t next;
    atomic_bool failed;
};

static void measure(void *closure)
{
    enum { LARGE = 1 << 20 }; /* numbers: pages of the input that were read are given back */
    struct measuring *measuring = closure;
    struct equalization *e = measuring->e;
    for (size_t i; (i = atomic_fetch_add(&measuring->next, 1)) < e->classes.seams.count;) {
        struct weight *weight = &e->classes.seams.items[i].weight;
        if (weight->largest && !weight_measure(weight))
            atomic_store(&measuring->failed, true);
        if (weight->tensor->count > LARGE)
            model_give_back(e->plan->model);
    }
}

static void measure_all(struct equalization *e)
{
    enum { FEW = 1 << 20, MOST = 64 }; /* numbers: a thread must be worth its start */
    struct measuring measuring = {.e = e};
    struct thread threads[MOST];
    int64_t numbers = 0;
    int count = 0;
    for (size_t i = 0; i < e->classes.seams.count; i++)
        numbers += e->classes.seams.items[i].weight.tensor->count;
    while (count < MOST && numbers > FEW && count + 1 < e->plan->options->jobs &&
           thread_start(&threads[count], measure, &measuring))
        count++;
    measure(&measuring);
    while (count > 0)
        thread_join(&threads[--count]);
    if (atomic_load(&measuring.failed))
        fail(e->arena->landing, ONNX_FUSE_OUT_OF_MEMORY, "out of memory while a weight is measured");
}

/* It belongs to no group and has no numbers. */
static void leave_seam(struct equalization *e, struct seam *seam, const char *reason)
{
    for (int64_t c = 0; seam->input && c < seam->weight.inputs; c++)
        class_pin(&e->classes, class_of(&e->classes, seam->input, c), seam->node, reason);
    for (int64_t c = 0; seam->output && c < seam->weight.outputs; c++)
        class_pin(&e->classes, class_of(&e->classes, seam->output, c), seam->node, reason);
    seam->input = seam->output = NULL;
}

void ranges_measure(struct equalization *e)
{
    find_room(e);
    for (size_t i = 0; i < e->classes.seams.count; i++) {
        struct seam *seam = &e->classes.seams.items[i];
        const char *reason = weight_make_room(e->arena, &seam->weight);
        if (reason)
            leave_seam(e, seam, reason);
    }
    measure_all(e);
    for (size_t i = 0; i < e->classes.seams.count; i++) {
        struct seam *seam = &e->classes.seams.items[i];
        if (!isfinite(seam->weight.total))
            leave_seam(e, seam, "its weight holds a number that is not finite, or too large");
    }
}

double *powers_of(struct equalization *e, const struct channels *channels, int64_t count, int factor, double *powers)
{
    for (int64_t c = 0; c < count; c++)
        powers[c] = ldexp(1, factor * class_exponent(&e->classes, channels, c));
    return powers;
}

/* ---- activations ---- */

double range_of_channel(struct equalization *e, const struct channels *channels, int64_t index)
{
    struct moments x = channel_of(e, channels, index)->moments;
    return moments_known(x) ? moments_range(x) : (double)NAN;
}

/* If the input is unknown, estimate it from the magnitude of the op's results. */
const double *second_moments(struct equalization *e, struct seam *seam)
{
    const struct weight *weight = &seam->weight;
    if (seam->second)
        return seam->second;
    double *second = NEW_ARRAY(e->arena, double, weight->inputs), sum = 0;
    int64_t known = 0;
    for (int64_t i = 0; i < weight->inputs; i++) {
        struct moments x = seam->input ? channel_of(e, seam->input, i)->moments : moments_unknown;
        second[i] = moments_known(x) ? moments_second(x) : (double)NAN;
        known += moments_known(x);
        sum += moments_known(x) ? second[i] : 0;
    }
    double otherwise = known ? sum / (double)known : 1;
    double made = 0, norm = 0;
    for (int64_t o = 0; !known && seam->output && o < weight->outputs; o++) {
        struct moments y = channel_of(e, seam->output, o)->moments;
        made += moments_known(y) ? moments_second(y) : 0;
        norm += moments_known(y) ? weight->row_norm[o] : 0;
    }
    if (made > 0 && norm > 0)
        otherwise = made / norm;
    for (int64_t i = 0; i < weight->inputs; i++)
        second[i] = isnan(second[i]) ? otherwise : second[i];
    seam->second = second;
    return second;
}

const double *moments_read(struct equalization *e, struct seam *seam, int factor)
{
    const struct weight *weight = &seam->weight;
    const double *second = second_moments(e, seam);
    const double *scale = powers_of(e, seam->input, weight->inputs, factor, e->powers[0]);
    int64_t inputs = weight_group_inputs(weight);
    double *read = e->powers[1];
    memset(read, 0, (size_t)weight->groups * sizeof(*read));
    for (int64_t i = 0; i < weight->inputs; i++)
        read[i / inputs] += (double)weight->taps * second[i] * scale[i];
    return read;
}

double signal_of(struct seam *seam, const double *second)
{
    double signal = 0;
    for (int64_t i = 0; i < seam->weight.inputs; i++)
        signal += seam->weight.norm[i] * second[i];
    return signal > 0 ? signal : 1;
}

/* ---- spread ---- */

/* The number that would stand at count / 2 were they sorted: halves are put to either side of a guess, and the one
 * with the middle is looked at again. */
double median_of(double *numbers, size_t count)
{
    size_t first = 0, last = count - 1, middle = count / 2;
    while (first < last) {
        double guess = numbers[first + (last - first) / 2];
        size_t i = first, j = last;
        for (;;) {
            while (numbers[i] < guess)
                i++;
            while (numbers[j] > guess)
                j--;
            if (i >= j)
                break;
            double larger = numbers[i];
            numbers[i++] = numbers[j];
            numbers[j--] = larger;
        }
        if (middle <= j)
            last = j;
        else
            first = j + 1;
    }
    return numbers[middle];
}

double spread_of(struct equalization *e, const struct channels *channels, const int *exponents)
{
    double *ranges = e->sorted, largest = 0;
    size_t count = 0;
    for (int64_t c = 0; c < channels->count; c++) {
        size_t id = exponents ? e->ids[root_of(e, channels, c)] : 0;
        double range = ldexp(range_of_channel(e, channels, c), exponents ? -exponents[id] : 0);
        if (!(range > 0))
            continue;
        largest = fmax(largest, range);
        ranges[count++] = range;
    }
    return count ? largest / median_of(ranges, count) : 1;
}

/* ---- weights ---- */

/* The largest of a row, each number times its column's scale. */
VECTORISED(double, largest_of, (const float *numbers, int64_t count, const double *scale), (numbers, count, scale))
{
    double most = 0;
    for (int64_t c = 0; c < count; c++) {
        double number = (double)numbers[c] * scale[c];
        most = number > most ? number : most;
    }
    return most;
}

/* Adds a row with one scale to the ranges of the columns. */
VECTORISED(void, widen, (const float *numbers, int64_t count, double scale, double *columns),
           (numbers, count, scale, columns))
{
    for (int64_t c = 0; c < count; c++) {
        double number = (double)numbers[c] * scale;
        columns[c] = number > columns[c] ? number : columns[c];
    }
}

/* Ranges of the stored rows, or of what lies across them. */
static void find_ranges(const struct weight *weight, bool along, const double *scale, double *ranges)
{
    memset(ranges, 0, (size_t)(along == weight->by_input ? weight->inputs : weight->outputs) * sizeof(*ranges));
    for (int64_t r = 0; r < weight->rows; r++) {
        int64_t first = r / (weight->rows / weight->groups) * weight->columns;
        const float *numbers = weight->largest + r * weight->columns;
        if (along)
            ranges[r] = largest_of(numbers, weight->columns, scale + first);
        else
            widen(numbers, weight->columns, scale[r], ranges + first);
    }
}

const double *row_ranges(struct equalization *e, struct seam *seam)
{
    const struct weight *weight = &seam->weight;
    if (seam->rows_hold)
        return seam->rows;
    if (!seam->rows)
        seam->rows = NEW_ARRAY(e->arena, double, weight->outputs);
    const double *inputs = powers_of(e, seam->input, weight->inputs, 1, e->powers[0]);
    find_ranges(weight, !weight->by_input, inputs, seam->rows);
    seam->rows_hold = true;
    return seam->rows;
}

const double *column_ranges(struct equalization *e, struct seam *seam)
{
    const struct weight *weight = &seam->weight;
    if (seam->columns_hold)
        return seam->columns;
    if (!seam->columns)
        seam->columns = NEW_ARRAY(e->arena, double, weight->inputs);
    const double *outputs = powers_of(e, seam->output, weight->outputs, -1, e->powers[0]);
    find_ranges(weight, weight->by_input, outputs, seam->columns);
    seam->columns_hold = true;
    return seam->columns;
}
