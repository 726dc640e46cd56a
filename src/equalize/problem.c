/* equalize/problem.c: which range and which weight of the sum each class has in which summand of the law,
 *
 *     noise = D1^2 * q1 * sum(s^2 n2)  +  Da^2 * sum(s^2 n2)  +  D2^2 * K * sum(E / s^2)
 *
 * for all ops that make a value of the group and all that read one. */
#include "equalize/problem.h"

#include <math.h>

#include "base/real.h"
#include "equalize/flow.h"
#include "equalize/ranges.h"

static size_t id_of(struct problem *p, const struct channels *channels, int64_t index)
{
    return p->e->ids[root_of(p->e, channels, index)];
}

static size_t grids_of(struct equalization *e, const struct group *group)
{
    size_t grids = group->before.count + group->behind.count;
    for (size_t i = 0; i < group->behind.count; i++)
        grids += e->grain == GRAIN_CHANNEL ? (size_t)group->behind.items[i]->weight.outputs : 1;
    return grids;
}

/* As large as the largest group needs. */
static struct problem *problem_new(struct equalization *e)
{
    struct problem *p = NEW(e->arena, struct problem);
    size_t classes = 1, grids = 1;
    p->e = e;
    for (size_t i = 0; i < e->groups.count; i++) {
        const struct group *group = e->groups.items[i];
        size_t count = grids_of(e, group);
        classes = group->classes.count + 1 > classes ? group->classes.count + 1 : classes;
        grids = count > grids ? count : grids;
    }
    objective_init(&p->objective, e->arena, classes, grids);
    p->roots = NEW_ARRAY(e->arena, size_t, classes);
    p->now = NEW_ARRAY(e->arena, int, classes);
    p->rows = NEW_ARRAY(e->arena, double, classes);
    p->columns = NEW_ARRAY(e->arena, double, classes);
    p->ranges = NEW_ARRAY(e->arena, double, classes);
    p->logs = NEW_ARRAY(e->arena, double, classes);
    p->sorted = NEW_ARRAY(e->arena, double, classes);
    for (size_t s = 0; s < STARTS; s++)
        p->starts[s] = NEW_ARRAY(e->arena, int, classes);
    return p;
}

static void number_classes(struct problem *p)
{
    struct equalization *e = p->e;
    size_t count = 1;
    for (size_t i = 0; i < p->group->classes.count; i++) {
        size_t root = p->group->classes.items[i];
        bool is_free = !class_at(e, root)->pin;
        e->behind[root] = 0;
        e->ids[root] = is_free ? count : 0;
        if (is_free)
            p->roots[count++] = root;
    }
    objective_begin(&p->objective, count, grids_of(e, p->group));
    for (size_t c = 0; c < count; c++) {
        p->now[c] = c ? class_at(e, p->roots[c])->exponent : 0;
        p->rows[c] = p->columns[c] = p->ranges[c] = 0;
    }
}

static void note(double *largest, size_t class, double number)
{
    largest[class] = fmax(largest[class], number);
}

static double sum_of(const double *numbers, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += numbers[i];
    return sum;
}

/* The value and its results behind pools and moves are all quantised: the widest range counts. */
static void mark_way(struct problem *p, const struct channels *channels, size_t grid)
{
    enum { MOST = 32 };
    for (int i = 0; i < MOST && channels; i++, channels = flow_only_source(channels)) {
        for (int64_t c = 0; c < channels->count; c++) {
            size_t root = root_of(p->e, channels, c), class = p->e->ids[root];
            double range = fmax(range_of_channel(p->e, channels, c), 0); /* 0 where it is not known */
            /* Channels that the op behind does not read may belong to no class. */
            if (class >= p->objective.class_count || p->roots[class] != root)
                class = 0;
            objective_mark(&p->objective, class, grid, range, 0);
            note(p->ranges, class, range);
        }
    }
}

/* Da^2 * sum(s^2 n2) of an op behind, on its grid; and n2 for the ops before. */
static void mark_activation(struct problem *p, struct seam *seam, size_t grid, double signal)
{
    p->objective.grids[grid].direction = -1;
    for (int64_t i = 0; i < seam->weight.inputs; i++) {
        double weight = seam->weight.norm[i] / signal;
        p->e->behind[root_of(p->e, seam->input, i)] += weight;
        objective_mark(&p->objective, id_of(p, seam->input, i), grid, 0, weight);
    }
    mark_way(p, seam->input, grid);
}

/* D2^2 * K * sum(E / s^2) of an op behind, with one step for the tensor. */
static void mark_columns(struct problem *p, struct seam *seam, size_t grid, const double *second, double signal)
{
    const struct weight *weight = &seam->weight;
    const double *ranges = column_ranges(p->e, seam);
    const double *outputs = powers_of(p->e, seam->output, weight->outputs, 2, p->e->powers[0]);
    int64_t inputs = weight_group_inputs(weight), of_group = weight_group_outputs(weight);
    double readers = 0; /* of the inputs of one group */
    for (int64_t i = 0; i < weight->inputs; i++) {
        size_t class = id_of(p, seam->input, i);
        if (i % inputs == 0)
            readers = sum_of(outputs + i / inputs * of_group, of_group);
        objective_mark(&p->objective, class, grid, ranges[i], (double)weight->taps * readers * second[i] / signal);
        note(p->columns, class, ranges[i]);
    }
}

/* The same with a step per output channel; a sample of channels represents a large weight. */
static size_t mark_rows(struct problem *p, struct seam *seam, size_t grid, const double *second, double signal)
{
    enum { MARKS = 1 << 15 };
    const struct weight *weight = &seam->weight;
    int64_t inputs = weight_group_inputs(weight), of_group = weight_group_outputs(weight);
    int64_t step = (weight->outputs * inputs + MARKS - 1) / MARKS;
    for (int64_t o = 0; o < weight->outputs; o += step, grid++)
        for (int64_t i = 0; i < inputs; i++) {
            int64_t input = o / of_group * inputs + i;
            size_t class = id_of(p, seam->input, input);
            double range = weight_largest(weight, o, i);
            objective_mark(&p->objective, class, grid, range, (double)(weight->taps * step) * second[input] / signal);
            note(p->columns, class, range);
        }
    return grid;
}

/* D1^2 * q1 * sum(s^2 n2) of an op before. */
static void mark_before(struct problem *p, struct seam *seam, size_t grid)
{
    const struct weight *weight = &seam->weight;
    const double *ranges = row_ranges(p->e, seam), *read = moments_read(p->e, seam, -2);
    int64_t outputs = weight_group_outputs(weight);
    p->objective.grids[grid].direction = -1;
    for (int64_t o = 0; o < weight->outputs; o++) {
        size_t root = root_of(p->e, seam->output, o), class = p->e->ids[root];
        double noise = read[o / outputs] * p->e->behind[root];
        note(p->rows, class, ranges[o]);
        if (p->e->grain == GRAIN_TENSOR)
            objective_mark(&p->objective, class, grid, ranges[o], noise);
        else
            p->constant += ranges[o] / 127 * (ranges[o] / 127) * noise;
    }
}

/* Channels that an op makes and no op behind reads are of no class here. */
static void clear_before(struct problem *p)
{
    for (size_t i = 0; i < p->group->before.count; i++) {
        struct seam *seam = p->group->before.items[i];
        for (int64_t o = 0; o < seam->weight.outputs; o++) {
            p->e->ids[root_of(p->e, seam->output, o)] = 0;
            p->e->behind[root_of(p->e, seam->output, o)] = 0;
        }
    }
}

struct problem *problem_of(struct equalization *e, struct group *group)
{
    struct problem *p = e->problem ? e->problem : problem_new(e);
    e->problem = p;
    p->group = group;
    p->constant = 0;
    clear_before(p);
    number_classes(p);
    size_t grid = 0;
    for (size_t i = 0; i < group->behind.count; i++) {
        struct seam *seam = group->behind.items[i];
        const double *second = second_moments(e, seam);
        double signal = signal_of(seam, second);
        mark_activation(p, seam, grid++, signal);
        if (e->grain == GRAIN_TENSOR)
            mark_columns(p, seam, grid++, second, signal);
        else
            grid = mark_rows(p, seam, grid, second, signal);
    }
    for (size_t i = 0; i < group->before.count; i++)
        mark_before(p, group->before.items[i], grid++);
    objective_ready(&p->objective);
    return p;
}

double problem_noise(struct problem *p, const int *exponents)
{
    memcpy(p->objective.exponents, exponents, p->objective.class_count * sizeof(*exponents));
    return objective_at(&p->objective) + p->constant;
}

/* ---- where to start ---- */

static void take_logs(struct problem *p)
{
    for (size_t c = 1; c < p->objective.class_count; c++) {
        p->rows[c] = real_log2(p->rows[c]);
        p->ranges[c] = real_log2(p->ranges[c]);
        p->columns[c] = real_log2(p->columns[c]);
    }
}

/* From logarithms. All exponents may be shifted together: the median class stays unchanged. With a + b + c = 1 the
 * result does not depend on the starting point, so a second run changes nothing. */
static void start_at(struct problem *p, double row, double range, double column, int *start)
{
    size_t count = p->objective.class_count;
    double *logs = p->logs, *sorted = p->sorted;
    for (size_t c = 1; c < count; c++)
        sorted[c - 1] = logs[c] = row * p->rows[c] + range * p->ranges[c] - column * p->columns[c] - p->now[c];
    double middle = count > 1 ? median_of(sorted, count - 1) : 0;
    for (size_t c = 1; c < count; c++) {
        double exponent = round(logs[c] - middle) + p->now[c];
        start[c] = !(exponent > -EXPONENT_MOST)  ? -EXPONENT_MOST
                   : !(exponent < EXPONENT_MOST) ? EXPONENT_MOST
                                                 : (int)exponent;
    }
}

void problem_find_starts(struct problem *p)
{
    memcpy(p->starts[0], p->now, p->objective.class_count * sizeof(*p->now));
    take_logs(p);
    start_at(p, 0.5, 0, 0.5, p->starts[1]);
    start_at(p, 0.25, 0.25, 0.5, p->starts[2]);
}
