/* equalize/ranges.c: ranges and moments, of activations by their statistics and of weights by their numbers. */
#include "equalize/ranges.h"

#include <math.h>
#include <stdlib.h>

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

void ranges_measure(struct equalization *e)
{
    find_room(e);
    enum { LARGE = 1 << 20 }; /* numbers: pages of the input that were read are given back */
    for (size_t i = 0; i < e->classes.seams.count; i++) {
        struct seam *seam = &e->classes.seams.items[i];
        const char *reason = weight_measure(e->arena, &seam->weight);
        if (seam->weight.tensor->count > LARGE)
            model_give_back(e->plan->model);
        if (!reason)
            continue;
        for (int64_t c = 0; seam->input && c < seam->weight.inputs; c++)
            class_pin(&e->classes, class_of(&e->classes, seam->input, c), seam->node, reason);
        for (int64_t c = 0; seam->output && c < seam->weight.outputs; c++)
            class_pin(&e->classes, class_of(&e->classes, seam->output, c), seam->node, reason);
    }
}

double *powers_of(struct equalization *e, const struct channels *channels, int64_t count,
                  int factor, double *powers)
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

/* Where nothing is known of it, it is what makes the op's results as large as they are. */
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

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median_of(double *numbers, size_t count)
{
    qsort(numbers, count, sizeof(*numbers), by_number);
    return numbers[count / 2];
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

/* The largest numbers of each row and column, as the other side is scaled now. VECTORISED where rows are outputs. */
VECTORISED static void ranges_of_row(const float *largest, int64_t columns, const double *scale,
                                     double row_scale, double *row, double *column)
{
    double most = 0;
    for (int64_t c = 0; c < columns; c++) {
        double number = (double)largest[c];
        double in_row = number * scale[c], in_column = number * row_scale;
        most = in_row > most ? in_row : most;
        column[c] = in_column > column[c] ? in_column : column[c];
    }
    *row = most > *row ? most : *row;
}

static void find_ranges(struct equalization *e, struct seam *seam)
{
    const struct weight *weight = &seam->weight;
    bool turned = weight->by_input;
    if (!seam->rows) {
        seam->rows = NEW_ARRAY(e->arena, double, weight->outputs);
        seam->columns = NEW_ARRAY(e->arena, double, weight->inputs);
    }
    memset(seam->rows, 0, (size_t)weight->outputs * sizeof(double));
    memset(seam->columns, 0, (size_t)weight->inputs * sizeof(double));
    const double *inputs = powers_of(e, seam->input, weight->inputs, 1, e->powers[0]);
    const double *outputs = powers_of(e, seam->output, weight->outputs, -1, e->powers[1]);
    double *of_row = turned ? seam->columns : seam->rows;
    double *of_column = turned ? seam->rows : seam->columns;
    for (int64_t r = 0; r < weight->rows; r++) {
        int64_t first = r / (weight->rows / weight->groups) * weight->columns;
        ranges_of_row(weight->largest + r * weight->columns, weight->columns,
                      (turned ? outputs : inputs) + first, turned ? inputs[r] : outputs[r],
                      of_row + r, of_column + first);
    }
    seam->ranges_hold = true;
}

const double *row_ranges(struct equalization *e, struct seam *seam)
{
    if (!seam->ranges_hold)
        find_ranges(e, seam);
    return seam->rows;
}

const double *column_ranges(struct equalization *e, struct seam *seam)
{
    if (!seam->ranges_hold)
        find_ranges(e, seam);
    return seam->columns;
}
