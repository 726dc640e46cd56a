/* equalize/equalize.c: groups of values, their objective, the guards, and the edits. */
#include "equalize/equalize.h"

#include <math.h>
#include <stdlib.h>

#include "base/decimal.h"
#include "equalize/descent.h"
#include "equalize/flow.h"
#include "fuse/lift.h"
#include "infer/constant.h"
#include "model/edit.h"
#include "model/external.h"

enum { SWEEPS = 16, ROUNDS = 16 };
#define LEAST_GAIN 1.0  /* dB, of the whole network */
#define LEAST_STEP 0.05 /* dB, of one group */
#define DEAD 0x1p-12

/* Values that are decided together. */
struct group {
    LIST(struct seam *) before, behind; /* ops that make one of them, and that read one */
    LIST(size_t) classes;               /* that the ops behind read */
    bool waits;                         /* something about it changed since it was looked at */
    const char *reason;                 /* why nothing of it is scaled */
    double noise_before, noise;         /* relative, of all ops behind together */
};

struct equalization {
    struct plan *plan;
    struct arena *arena;
    enum grain grain;
    equalized_list *told;
    struct classes classes;
    LIST(struct group *) groups;
    size_t *ids;    /* of the group that is looked at: by channel, which class it is */
    double *behind; /* the same: what is read of it, squared norm of columns over signal */
    bool *seen;     /* it has been listed for its group */
};

/* ---- groups ---- */

static struct group *find_group(struct equalization *e, struct channels *channels)
{
    struct channels *head = group_of(channels);
    if (!head->decided) {
        head->decided = NEW(e->arena, struct group);
        LIST_PUSH(e->arena, &e->groups, head->decided);
    }
    return head->decided;
}

static void find_groups(struct equalization *e)
{
    for (size_t i = 0; i < e->classes.seams.count; i++) {
        struct seam *seam = &e->classes.seams.items[i];
        if (seam->output)
            LIST_PUSH(e->arena, &find_group(e, seam->output)->before, seam);
    }
    for (size_t i = 0; i < e->classes.seams.count; i++) {
        struct seam *seam = &e->classes.seams.items[i];
        if (seam->input)
            LIST_PUSH(e->arena, &find_group(e, seam->input)->behind, seam);
    }
}

static struct channel *channel_of(struct equalization *e, const struct channels *channels,
                                  int64_t index)
{
    return &e->classes.channels.items[channels->first + index];
}

static size_t root_of(struct equalization *e, const struct channels *channels, int64_t index)
{
    return (size_t)(class_of(&e->classes, channels, index) - e->classes.channels.items);
}

static struct channel *class_at(struct equalization *e, size_t root)
{
    return &e->classes.channels.items[root];
}

static void list_classes(struct equalization *e)
{
    for (size_t i = 0; i < e->groups.count; i++) {
        struct group *group = e->groups.items[i];
        for (size_t k = 0; k < group->behind.count; k++) {
            struct seam *seam = group->behind.items[k];
            for (int64_t c = 0; c < seam->input->count; c++) {
                size_t root = root_of(e, seam->input, c);
                if (!e->seen[root])
                    LIST_PUSH(e->arena, &group->classes, root);
                e->seen[root] = true;
            }
        }
    }
}

static bool has_free(struct equalization *e, const struct group *group)
{
    for (size_t i = 0; i < group->classes.count; i++)
        if (!class_at(e, group->classes.items[i])->pin)
            return true;
    return false;
}

/* ---- what the ops read ---- */

/* Second moments of what an op reads, as it was in the file, by input channel. Where nothing is known of it, it is what
 * makes the op's results as large as they are. */
static const double *second_moments(struct equalization *e, struct seam *seam)
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

static double *powers_of(struct equalization *e, const struct channels *channels, int64_t count,
                         int factor)
{
    double *powers = NEW_ARRAY(e->arena, double, count);
    for (int64_t c = 0; c < count; c++)
        powers[c] = ldexp(1, factor * class_exponent(&e->classes, channels, c));
    return powers;
}

/* ---- pins ---- */

static const char no_statistics[] =
    "no statistics: no BatchNormalization tells what it holds, and none is guessed";

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
    const double *inputs = powers_of(e, seam->input, weight->inputs, 1);
    const double *outputs = powers_of(e, seam->output, weight->outputs, -1);
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

/* The range of each output, as what the op reads is scaled now. */
static const double *row_ranges(struct equalization *e, struct seam *seam)
{
    if (!seam->ranges_hold)
        find_ranges(e, seam);
    return seam->rows;
}

/* The range of each input's column, as what the op makes is scaled now. */
static const double *column_ranges(struct equalization *e, struct seam *seam)
{
    if (!seam->ranges_hold)
        find_ranges(e, seam);
    return seam->columns;
}

static double *activation_ranges(struct equalization *e, const struct channels *channels)
{
    double *ranges = NEW_ARRAY(e->arena, double, channels->count);
    for (int64_t c = 0; c < channels->count; c++) {
        struct moments x = channel_of(e, channels, c)->moments;
        ranges[c] = moments_known(x) ? moments_range(x) : (double)NAN;
    }
    return ranges;
}

static void pin_unknown(struct equalization *e, struct seam *seam)
{
    for (int64_t c = 0; c < seam->input->count; c++) {
        struct channel *class = class_of(&e->classes, seam->input, c);
        struct moments x = channel_of(e, seam->input, c)->moments;
        if (!moments_known(x))
            class_pin(&e->classes, class, seam->node, no_statistics);
        else if (!(moments_second(x) > 0) || !(moments_range(x) > 0))
            class_pin(&e->classes, class, seam->node, "it is dead by its statistics");
        else if (!(seam->weight.norm[c] > 0))
            class_pin(&e->classes, class, seam->node, "its column has no weight");
    }
}

/* A row that hardly moves what its bias gives, or of which hardly anything comes: what one exponent would do it is no
 * matter of quantising. The two are compared, as both are scaled alike. */
static void pin_dead(struct equalization *e, struct seam *seam)
{
    const double *rows = row_ranges(e, seam), *second = second_moments(e, seam);
    const double *made = activation_ranges(e, seam->output);
    int64_t inputs = weight_group_inputs(&seam->weight);
    int64_t outputs = weight_group_outputs(&seam->weight);
    for (int64_t o = 0; o < seam->weight.outputs; o++) {
        double read = 0;
        for (int64_t i = 0; i < inputs; i++)
            read += (double)seam->weight.taps * second[o / outputs * inputs + i];
        double moves = rows[o] * sqrt(read);
        struct channel *class = class_of(&e->classes, seam->output, o);
        if (!(moves > made[o] * DEAD) && !isnan(made[o]))
            class_pin(&e->classes, class, seam->node, "its row has almost no weight");
        else if (made[o] < moves * DEAD)
            class_pin(&e->classes, class, seam->node, "it is dead by its statistics");
    }
}

/* What is not known, and what no number can be made of. */
static void pin_channels(struct equalization *e, struct group *group)
{
    for (size_t i = 0; i < group->behind.count; i++)
        pin_unknown(e, group->behind.items[i]);
    for (size_t i = 0; i < group->before.count; i++)
        pin_dead(e, group->before.items[i]);
}

/* ---- the objective of a group ---- */

struct problem {
    struct equalization *e;
    struct group *group;
    struct objective objective;
    size_t *roots; /* of the classes, from 1 on */
    bool *free;
    int *now;                        /* the exponents as they are */
    double constant;                 /* noise that no exponent changes */
    double *rows, *columns, *ranges; /* by class: the largest before it, behind it, between */
};

static size_t id_of(struct problem *p, const struct channels *channels, int64_t index)
{
    return p->e->ids[root_of(p->e, channels, index)];
}

static void number_classes(struct problem *p)
{
    struct equalization *e = p->e;
    size_t count = 1;
    p->roots = NEW_ARRAY(e->arena, size_t, p->group->classes.count + 1);
    for (size_t i = 0; i < p->group->classes.count; i++) {
        size_t root = p->group->classes.items[i];
        bool is_free = !class_at(e, root)->pin;
        e->behind[root] = 0;
        e->ids[root] = is_free ? count : 0;
        if (is_free)
            p->roots[count++] = root;
    }
    size_t grids = p->group->before.count + 2 * p->group->behind.count;
    if (e->grain == GRAIN_CHANNEL)
        for (size_t i = 0; i < p->group->behind.count; i++)
            grids += (size_t)p->group->behind.items[i]->weight.outputs;
    objective_init(&p->objective, e->arena, count, grids);
    p->free = NEW_ARRAY(e->arena, bool, count);
    p->now = NEW_ARRAY(e->arena, int, count);
    p->rows = NEW_ARRAY(e->arena, double, count);
    p->columns = NEW_ARRAY(e->arena, double, count);
    p->ranges = NEW_ARRAY(e->arena, double, count);
    for (size_t c = 1; c < count; c++) {
        p->free[c] = true;
        p->now[c] = class_at(e, p->roots[c])->exponent;
    }
}

static void note(double *largest, size_t class, double number)
{
    largest[class] = fmax(largest[class], number);
}

/* Da^2 * sum(s^2 n2) of an op behind, on its grid; and n2 for the ops before. */
static void mark_activation(struct problem *p, struct seam *seam, size_t grid, double signal)
{
    const double *ranges = activation_ranges(p->e, seam->input);
    p->objective.grids[grid].direction = -1;
    for (int64_t i = 0; i < seam->weight.inputs; i++) {
        size_t class = id_of(p, seam->input, i);
        double weight = seam->weight.norm[i] / signal;
        p->e->behind[root_of(p->e, seam->input, i)] += weight;
        objective_mark(&p->objective, p->e->arena, class, grid, isnan(ranges[i]) ? 0 : ranges[i],
                       weight);
        note(p->ranges, class, isnan(ranges[i]) ? 0 : ranges[i]);
    }
}

/* D2^2 * K * sum(E / s^2) of an op behind, with one step for the tensor. */
static void mark_columns(struct problem *p, struct seam *seam, size_t grid, const double *second,
                         double signal)
{
    const struct weight *weight = &seam->weight;
    const double *ranges = column_ranges(p->e, seam);
    const double *outputs = powers_of(p->e, seam->output, weight->outputs, 2);
    int64_t inputs = weight_group_inputs(weight), of_group = weight_group_outputs(weight);
    for (int64_t i = 0; i < weight->inputs; i++) {
        size_t class = id_of(p, seam->input, i);
        double readers = 0;
        for (int64_t k = 0; k < of_group; k++)
            readers += outputs[i / inputs * of_group + k];
        objective_mark(&p->objective, p->e->arena, class, grid, ranges[i],
                       (double)weight->taps * readers * second[i] / signal);
        note(p->columns, class, ranges[i]);
    }
}

/* The same with a step for each output channel; of a large weight some of them stand for all. */
static size_t mark_rows(struct problem *p, struct seam *seam, size_t grid, const double *second,
                        double signal)
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
            objective_mark(&p->objective, p->e->arena, class, grid, range,
                           (double)(weight->taps * step) * second[input] / signal);
            note(p->columns, class, range);
        }
    return grid;
}

/* D1^2 * q1 * sum(s^2 n2) of an op before. */
static void mark_before(struct problem *p, struct seam *seam, size_t grid)
{
    const struct weight *weight = &seam->weight;
    const double *ranges = row_ranges(p->e, seam), *second = second_moments(p->e, seam);
    const double *inputs = powers_of(p->e, seam->input, weight->inputs, -2);
    int64_t of_group = weight_group_inputs(weight), outputs = weight_group_outputs(weight);
    p->objective.grids[grid].direction = -1;
    for (int64_t o = 0; o < weight->outputs; o++) {
        size_t root = root_of(p->e, seam->output, o), class = p->e->ids[root];
        double read = 0;
        for (int64_t k = 0; k < of_group; k++) {
            int64_t i = o / outputs * of_group + k;
            read += (double)weight->taps * second[i] * inputs[i];
        }
        double noise = read * p->e->behind[root];
        note(p->rows, class, ranges[o]);
        if (p->e->grain == GRAIN_TENSOR)
            objective_mark(&p->objective, p->e->arena, class, grid, ranges[o], noise);
        else
            p->constant += ranges[o] / 127 * (ranges[o] / 127) * noise;
    }
}

static double signal_of(struct seam *seam, const double *second)
{
    double signal = 0;
    for (int64_t i = 0; i < seam->weight.inputs; i++)
        signal += seam->weight.norm[i] * second[i];
    return signal > 0 ? signal : 1;
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

static struct problem *pose(struct equalization *e, struct group *group)
{
    struct problem *p = NEW(e->arena, struct problem);
    *p = (struct problem){.e = e, .group = group};
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
    objective_ready(&p->objective, e->arena);
    return p;
}

/* ---- where to start ---- */

static int by_number(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median_of(struct arena *arena, const double *numbers, size_t count)
{
    double *sorted = NEW_ARRAY(arena, double, count + 1);
    memcpy(sorted, numbers, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), by_number);
    return sorted[count / 2];
}

/* The rounded logarithm of s = row^a * range^b / column^c. All of it may be moved together: the median class stays as
 * it is now. With a + b + c = 1 it is the same place from wherever one starts, so that who comes again finds
 * nothing to do. */
static int *start_at(struct problem *p, const int *now, double row, double range, double column)
{
    size_t count = p->objective.class_count;
    double *logs = NEW_ARRAY(p->e->arena, double, count);
    int *start = NEW_ARRAY(p->e->arena, int, count);
    for (size_t c = 1; c < count; c++)
        logs[c] = row * log2(p->rows[c]) + range * log2(p->ranges[c]) -
                  column * log2(p->columns[c]) - now[c];
    double middle = count > 1 ? median_of(p->e->arena, logs + 1, count - 1) : 0;
    for (size_t c = 1; c < count; c++) {
        double exponent = round(logs[c] - middle) + now[c];
        start[c] = !(exponent > -EXPONENT_MOST)  ? -EXPONENT_MOST
                   : !(exponent < EXPONENT_MOST) ? EXPONENT_MOST
                                                 : (int)exponent;
    }
    return start;
}

/* ---- guards ---- */

/* The largest range of a channel over the median of those that are not dead. */
static double spread_of(struct equalization *e, const struct channels *channels,
                        const int *exponents)
{
    double *ranges = activation_ranges(e, channels), largest = 0;
    size_t count = 0;
    for (int64_t c = 0; c < channels->count; c++) {
        size_t id = e->ids[root_of(e, channels, c)];
        double range = ldexp(ranges[c], exponents ? -exponents[id] : 0);
        if (!(range > 0))
            continue;
        largest = fmax(largest, range);
        ranges[count++] = range;
    }
    return count ? largest / median_of(e->arena, ranges, count) : 1;
}

/* The largest range of an activation over the median does not grow, or powers of two can do no better: it is under 2. */
static bool is_no_wider(void *closure, const int *exponents)
{
    struct problem *p = closure;
    for (size_t i = 0; i < p->group->behind.count; i++) {
        const struct channels *channels = p->group->behind.items[i]->input;
        double before = spread_of(p->e, channels, p->now), limit = fmax(before * (1 + 1e-9), 2);
        if (spread_of(p->e, channels, exponents) > limit)
            return false;
    }
    return true;
}

/* Groups that share an op with this one see other ranges from now on. */
static void disturb(struct equalization *e, struct group *group)
{
    group->waits = true;
    for (size_t i = 0; i < group->before.count; i++) {
        struct seam *seam = group->before.items[i];
        seam->ranges_hold = false;
        if (seam->input)
            find_group(e, seam->input)->waits = true;
    }
    for (size_t i = 0; i < group->behind.count; i++) {
        struct seam *seam = group->behind.items[i];
        seam->ranges_hold = false;
        if (seam->output)
            find_group(e, seam->output)->waits = true;
    }
}

static void take_over(struct problem *p)
{
    for (size_t c = 1; c < p->objective.class_count; c++)
        class_at(p->e, p->roots[c])->exponent = p->objective.exponents[c];
    disturb(p->e, p->group);
}

/* ---- solving ---- */

static double noise_at(struct problem *p, const int *exponents)
{
    memcpy(p->objective.exponents, exponents, p->objective.class_count * sizeof(*exponents));
    return objective_at(&p->objective) + p->constant;
}

static double decibels_between(double before, double after)
{
    return before > 0 && after > 0 ? 10 * log10(before / after) : 0;
}

/* Takes what gains enough over what is there, the other groups as they are. False: nothing does. */
static bool solve(struct equalization *e, struct group *group)
{
    struct problem *p = pose(e, group);
    size_t count = p->objective.class_count;
    group->waits = false;
    int *same = NEW_ARRAY(e->arena, int, count);
    memcpy(same, p->now, count * sizeof(*same));
    int *starts[] = {same, start_at(p, p->now, 0.5, 0, 0.5), start_at(p, p->now, 0, 1, 0),
                     start_at(p, p->now, 0.5, 0.5, 0), start_at(p, p->now, 0.25, 0.25, 0.5)};
    double before = noise_at(p, p->now);
    double after = descend(&p->objective, p->free, starts, COUNT_OF(starts), is_no_wider, p);
    double gain = isfinite(after) ? decibels_between(before, after + p->constant) : 0;
    if (gain < LEAST_STEP) {
        group->reason = "nothing is gained: its channels are even";
        return false;
    }
    take_over(p);
    return true;
}

static void clear(struct equalization *e, struct group *group)
{
    for (size_t i = 0; i < group->classes.count; i++)
        class_at(e, group->classes.items[i])->exponent = 0;
    disturb(e, group);
}

/* Until nothing gains enough: then it gains nothing for who comes again either. */
static void solve_all(struct equalization *e)
{
    bool moved = true;
    for (size_t i = 0; i < e->groups.count; i++)
        clear(e, e->groups.items[i]);
    for (int sweep = 0; moved && sweep < SWEEPS; sweep++) {
        moved = false;
        for (size_t i = 0; i < e->groups.count; i++)
            if (e->groups.items[i]->waits && has_free(e, e->groups.items[i]))
                moved = solve(e, e->groups.items[i]) || moved;
    }
}

/* Whether anything of it is scaled. */
static bool is_moved(struct equalization *e, const struct group *group)
{
    for (size_t i = 0; i < group->classes.count; i++)
        if (class_at(e, group->classes.items[i])->exponent)
            return true;
    return false;
}

/* Noise without any exponents, and with all of them. */
static void weigh_all(struct equalization *e)
{
    size_t count = e->classes.channels.count;
    int *found = NEW_ARRAY(e->arena, int, count + 1);
    for (size_t c = 0; c < count; c++)
        found[c] = class_at(e, c)->exponent;
    for (int with = 1; with >= 0; with--) {
        for (size_t i = 0; i < e->groups.count; i++) {
            struct group *group = e->groups.items[i];
            if (!group->behind.count || !has_free(e, group))
                continue;
            struct problem *p = pose(e, group);
            *(with ? &group->noise : &group->noise_before) = noise_at(p, p->now);
        }
        for (size_t c = 0; c < count; c++)
            class_at(e, c)->exponent = with ? 0 : found[c];
        for (size_t i = 0; i < e->classes.seams.count; i++)
            e->classes.seams.items[i].ranges_hold = false;
    }
}

/* ---- exactness ---- */

static int *exponents_of(struct equalization *e, const struct channels *channels, int64_t count,
                         int factor)
{
    int *exponents = NEW_ARRAY(e->arena, int, count);
    for (int64_t c = 0; c < count; c++)
        exponents[c] = factor * class_exponent(&e->classes, channels, c);
    return exponents;
}

static bool is_scaled(struct equalization *e, const struct channels *channels)
{
    for (int64_t c = 0; channels && c < channels->count; c++)
        if (class_exponent(&e->classes, channels, c))
            return true;
    return false;
}

static const char not_exact[] = "a number would become subnormal, or too large for its type";

/* Pins what would not be exact; true where there was any. */
static bool pin_inexact(struct equalization *e)
{
    bool any = false;
    for (size_t i = 0; i < e->classes.seams.count; i++) {
        struct seam *seam = &e->classes.seams.items[i];
        int64_t output, input;
        if ((!is_scaled(e, seam->input) && !is_scaled(e, seam->output)) ||
            weight_stays_exact(
                &seam->weight, exponents_of(e, seam->output, seam->weight.outputs, -1),
                exponents_of(e, seam->input, seam->weight.inputs, 1), &output, &input))
            continue;
        any = true;
        if (seam->output)
            class_pin(&e->classes, class_of(&e->classes, seam->output, output), seam->node,
                      not_exact);
        if (seam->input)
            class_pin(&e->classes, class_of(&e->classes, seam->input, input), seam->node,
                      not_exact);
    }
    for (size_t i = 0; i < e->classes.shifts.count; i++) {
        const struct shift *shift = &e->classes.shifts.items[i];
        struct value *value = shift->node->inputs[shift->index];
        const struct tensor *tensor;
        if (!is_scaled(e, shift->channels) || constant_of(value, &tensor))
            continue;
        const double *numbers = constant_numbers(value, tensor);
        int64_t inner = 1, channels = shift->channels->count;
        for (int k = 0; k < shift->behind && k < tensor->rank; k++)
            inner *= tensor->dims[tensor->rank - 1 - k];
        int axis = tensor->rank - 1 - shift->behind;
        bool broadcasts = axis < 0 || tensor->dims[axis] == 1;
        for (int64_t k = 0; k < tensor->count; k++)
            for (int64_t c = broadcasts ? 0 : k / inner % channels;
                 c < (broadcasts ? channels : k / inner % channels + 1); c++) {
                struct channel *class = class_of(&e->classes, shift->channels, c);
                if (scales_exactly(tensor->type, numbers[k], -class->exponent))
                    continue;
                class_pin(&e->classes, class, shift->node, not_exact);
                any = true;
            }
    }
    return any;
}

/* ---- edits ---- */

static bool all_zero(const double *numbers, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (numbers[i] != 0)
            return false;
    return true;
}

/* Ops are changed one by one: `inputs` is what it will read. */
static void put(struct equalization *e, struct node *node, struct value **inputs, size_t index,
                struct tensor *tensor)
{
    static const char *const names[] = {"data", "weight", "bias", "mean"};
    struct value *old = node->inputs[index];
    if (old->is_new && old->tensor && value_use_count(old) == 1) {
        tensor->name = old->name; /* a rewrite made it for this op alone */
        old->tensor = tensor;
        value_takes_shape(old, tensor);
        return;
    }
    inputs[index] = edit_constant(node->graph, node,
                                  arena_format(e->arena, "%s.%s", node->outputs[0]->name,
                                               index < COUNT_OF(names) ? names[index] : "constant"),
                                  tensor);
}

/* The shifts of a node lie together. */
static void apply_shifts(struct equalization *e, struct node *node, struct value **inputs,
                         size_t first)
{
    for (size_t i = first; i < e->classes.shifts.count && e->classes.shifts.items[i].node == node;
         i++) {
        const struct shift *shift = &e->classes.shifts.items[i];
        const struct tensor *tensor;
        if (!is_scaled(e, shift->channels) || constant_of(node->inputs[shift->index], &tensor))
            continue;
        const double *numbers = constant_numbers(node->inputs[shift->index], tensor);
        if (!numbers || all_zero(numbers, tensor->count))
            continue;
        int64_t count = shift->channels->count;
        put(e, node, inputs, shift->index,
            constant_scaled(e->arena, tensor, numbers, shift->behind, count,
                            exponents_of(e, shift->channels, count, -1)));
    }
}

static void apply(struct equalization *e, struct node *node, struct seam *seam, size_t first)
{
    struct value **inputs = NEW_ARRAY(e->arena, struct value *, node->input_count + 1);
    bool changed = false;
    memcpy(inputs, node->inputs, node->input_count * sizeof(*inputs));
    struct scaling scaling = {.node = node};
    if (seam) {
        scaling.output = exponents_of(e, seam->output, seam->weight.outputs, -1);
        scaling.input = exponents_of(e, seam->input, seam->weight.inputs, 1);
        put(e, node, inputs, 1,
            weight_scaled(e->arena, &seam->weight, scaling.output, scaling.input));
    }
    apply_shifts(e, node, inputs, first);
    for (size_t k = 0; k < node->input_count; k++)
        changed = changed || inputs[k] != node->inputs[k];
    if (changed) {
        struct fusion *fusion = node->outputs[0]->fusion;
        struct node *made =
            edit_node(node->graph, &(struct edit_op){.op = node->proto->op_type,
                                                     .at = node,
                                                     .name = node->proto->name,
                                                     .like = node,
                                                     .inputs = inputs,
                                                     .input_count = node->input_count,
                                                     .output = node->outputs[0]});
        edit_take_attributes(made, node);
        if (fusion && fusion->node == node)
            fusion->node = made;
        scaling.node = made;
    }
    node->graph->changed = true;
    LIST_PUSH(e->arena, &e->plan->scalings, scaling);
    e->plan->changed = true;
}

static void apply_all(struct equalization *e)
{
    const struct node *last = NULL;
    for (size_t i = 0; i < e->classes.values.count; i++) {
        struct channels *channels = e->classes.values.items[i];
        if (is_scaled(e, channels))
            channels->exponents = exponents_of(e, channels, channels->count, 1);
    }
    for (size_t i = 0; i < e->classes.seams.count; i++) {
        struct seam *seam = &e->classes.seams.items[i];
        if (is_scaled(e, seam->input) || is_scaled(e, seam->output))
            apply(e, seam->node, seam, seam->first_shift);
    }
    for (size_t i = 0; i < e->classes.shifts.count; i++) {
        const struct shift *shift = &e->classes.shifts.items[i];
        if (shift->node != last && is_scaled(e, shift->channels) && !lift_reads_weight(shift->node))
            apply(e, shift->node, NULL, i);
        last = shift->node;
    }
}

/* ---- what is said of it ---- */

static const struct pin *first_pin(struct equalization *e, const struct group *group)
{
    if (group->classes.count)
        return class_at(e, group->classes.items[0])->pin;
    return group->before.count ? class_of(&e->classes, group->before.items[0]->output, 0)->pin
                               : NULL;
}

static double decibels(const struct group *group, double noise)
{
    /* A step of D leaves noise of D^2 / 12. */
    return noise > 0 ? 10 * log10(12 * (double)group->behind.count / noise) : 0;
}

static void tell(struct equalization *e, struct group *group)
{
    const struct channels *channels = group->behind.items[0]->input;
    struct equalized *told = NEW(e->arena, struct equalized);
    *told = (struct equalized){.graph = e->classes.graph,
                               .node = channels->value->producer,
                               .value = channels->value,
                               .channels = channels->count,
                               .reason = group->reason,
                               .ranges = activation_ranges(e, channels)};
    int *exponents = exponents_of(e, channels, channels->count, 1);
    told->exponents = exponents;
    for (int64_t c = 0; c < channels->count; c++) {
        told->scaled += exponents[c] != 0;
        told->least = exponents[c] < told->least ? exponents[c] : told->least;
        told->most = exponents[c] > told->most ? exponents[c] : told->most;
    }
    struct problem *p = pose(e, group);
    told->spread_before = spread_of(e, channels, NULL);
    told->spread_after = spread_of(e, channels, p->now);
    told->before = decibels(group, group->noise_before);
    told->after = decibels(group, group->noise);
    LIST_PUSH(e->arena, e->told, told);
}

static void refuse(struct equalization *e, struct group *group)
{
    const struct pin *pin = has_free(e, group) ? NULL : first_pin(e, group);
    const struct channels *channels =
        group->before.count ? group->before.items[0]->output : group->behind.items[0]->input;
    struct node *node = channels->value->producer;
    const char *name = pin && pin->node && pin->node->proto->name ? pin->node->proto->name : "";
    if (!group->reason && pin)
        group->reason = strncmp(pin->reason, "no ", 3) == 0 ? pin->reason
                        : name[0] && pin->node != node
                            ? arena_format(e->arena, "no seam: '%s': %s", name, pin->reason)
                            : arena_format(e->arena, "no seam: %s", pin->reason);
    if (group->reason && node)
        plan_refuse(e->plan, node, channels->value, group->reason);
}

/* ---- the entry ---- */

static void measure(struct equalization *e)
{
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

/* What is hardly worth it is not done at all. */
static void drop_little(struct equalization *e)
{
    double before = 0, after = 0;
    weigh_all(e);
    for (size_t i = 0; i < e->groups.count; i++) {
        before += e->groups.items[i]->noise_before;
        after += e->groups.items[i]->noise;
    }
    double gain = decibels_between(before, after);
    if (gain >= LEAST_GAIN)
        return;
    for (size_t i = 0; i < e->groups.count; i++) {
        struct group *group = e->groups.items[i];
        if (is_moved(e, group))
            group->reason = arena_format(
                e->arena, "a predicted gain of %s dB, of all values together, is less than 1",
                decimal_rounded(fmax(gain, 0), 2).text);
        clear(e, group);
        group->noise = group->noise_before;
    }
}

/* Finds the exponents, and tells of the groups. */
static struct equalization *decide(struct plan *plan, struct graph *graph, enum grain grain,
                                   equalized_list *groups)
{
    struct arena *arena = plan->model->arena;
    struct equalization *e = NEW(arena, struct equalization);
    *e = (struct equalization){.plan = plan, .arena = arena, .grain = grain, .told = groups};
    e->classes.arena = arena;
    e->classes.measured = &plan->measured;
    flow_through(&e->classes, graph);
    measure(e);
    find_groups(e);
    e->ids = NEW_ARRAY(arena, size_t, e->classes.channels.count + 1);
    e->seen = NEW_ARRAY(arena, bool, e->classes.channels.count + 1);
    list_classes(e);
    e->behind = NEW_ARRAY(arena, double, e->classes.channels.count + 1);
    for (size_t i = 0; i < e->groups.count; i++)
        if (has_free(e, e->groups.items[i]))
            pin_channels(e, e->groups.items[i]);
    for (int round = 0; round < ROUNDS; round++) {
        solve_all(e);
        if (!pin_inexact(e))
            break;
        if (round == ROUNDS - 1) /* nothing is changed rather than something that is not exact */
            for (size_t i = 0; i < e->groups.count; i++)
                clear(e, e->groups.items[i]);
    }
    drop_little(e);
    for (size_t i = 0; i < e->groups.count; i++) {
        struct group *group = e->groups.items[i];
        if (is_moved(e, group))
            group->reason = NULL;
        if (group->behind.count && has_free(e, group))
            tell(e, group);
    }
    return e;
}

void equalize_foresee(struct plan *plan, struct graph *graph, enum grain grain,
                      equalized_list *groups)
{
    decide(plan, graph, grain, groups);
}

void equalize_graph(struct plan *plan, struct graph *graph, enum grain grain,
                    equalized_list *groups)
{
    struct equalization *e = decide(plan, graph, grain, groups);
    for (size_t i = 0; i < e->classes.declined.count; i++) {
        const struct pin *pin = &e->classes.declined.items[i];
        plan_refuse(plan, pin->node, pin->node->outputs[0], pin->reason);
    }
    for (size_t i = 0; i < e->groups.count; i++)
        if (!is_moved(e, e->groups.items[i]))
            refuse(e, e->groups.items[i]);
    apply_all(e);
}
