/* equalize/objective.c: the formula, kept up to date while one exponent changes at a time. */
#include "equalize/objective.h"

#include <math.h>

#include "base/vector.h"

void objective_init(struct objective *objective, struct arena *arena, size_t classes, size_t grids)
{
    size_t larger = classes > grids ? classes : grids;
    *objective = (struct objective){.arena = arena, .class_room = classes, .grid_room = grids};
    objective->grids = NEW_ARRAY(arena, struct grid, grids);
    objective->exponents = NEW_ARRAY(arena, int, classes);
    objective->first = NEW_ARRAY(arena, size_t, classes + 1);
    objective->grid_first = NEW_ARRAY(arena, size_t, grids + 1);
    objective->next = NEW_ARRAY(arena, size_t, larger + 1);
    objective->latest = NEW_ARRAY(arena, size_t, classes);
}

void objective_begin(struct objective *objective, size_t classes, size_t grids)
{
    objective->class_count = classes;
    objective->grid_count = grids;
    objective->marks.count = 0;
    for (size_t g = 0; g < grids; g++)
        objective->grids[g] = (struct grid){.direction = 1};
}

void objective_mark(struct objective *objective, size_t class, size_t grid, double range, double weight)
{
    struct mark mark = {class, grid, range, weight};
    size_t at = objective->latest[class]; /* of this class, or from another objective */
    struct mark *last = at < objective->marks.count ? &objective->marks.items[at] : NULL;
    if (last && last->class == class && last->grid == grid) {
        last->range = fmax(last->range, range);
        last->weight += weight;
        return;
    }
    objective->latest[class] = objective->marks.count;
    LIST_PUSH(objective->arena, &objective->marks, mark);
}

/* Computes where the marks of each key begin after sorting, in next[key]. */
static void count_up(size_t *next, size_t keys)
{
    size_t sum = 0;
    for (size_t k = 0; k <= keys; k++) {
        size_t count = next[k];
        next[k] = sum;
        sum += count;
    }
}

static void sort_marks(struct objective *objective)
{
    size_t count = objective->marks.count, *next = objective->next;
    struct mark *marks = objective->marks.items, *sorted = objective->sorted;
    memset(next, 0, (objective->class_count + 1) * sizeof(*next));
    for (size_t i = 0; i < count; i++)
        next[marks[i].class]++;
    count_up(next, objective->class_count);
    for (size_t i = 0; i < count; i++)
        sorted[next[marks[i].class]++] = marks[i];
    memcpy(marks, sorted, count * sizeof(*marks));
}

void objective_ready(struct objective *objective)
{
    if (objective->mark_room < objective->marks.count) {
        objective->mark_room = objective->marks.room;
        objective->sorted = NEW_ARRAY(objective->arena, struct mark, objective->mark_room);
        objective->by_grid = NEW_ARRAY(objective->arena, size_t, objective->mark_room);
        objective->place = NEW_ARRAY(objective->arena, size_t, objective->mark_room);
        objective->scaled = NEW_ARRAY(objective->arena, double, objective->mark_room);
    }
    sort_marks(objective);
    const struct mark *marks = objective->marks.items;
    size_t count = objective->marks.count, *next = objective->next;
    memset(objective->first, 0, (objective->class_count + 1) * sizeof(size_t));
    memset(objective->grid_first, 0, (objective->grid_count + 1) * sizeof(size_t));
    for (size_t i = 0; i < count; i++) {
        objective->first[marks[i].class]++;
        objective->grid_first[marks[i].grid]++;
    }
    count_up(objective->first, objective->class_count);
    count_up(objective->grid_first, objective->grid_count);
    memcpy(next, objective->grid_first, objective->grid_count * sizeof(*next));
    for (size_t i = 0; i < count; i++) {
        objective->place[i] = next[marks[i].grid]++;
        objective->by_grid[objective->place[i]] = i;
    }
}

/* 2^exponent, times which is what ldexp does, and faster. */
static double power(int exponent)
{
    static const double powers[] = {0x1p-24, 0x1p-23, 0x1p-22, 0x1p-21, 0x1p-20, 0x1p-19, 0x1p-18, 0x1p-17, 0x1p-16,
                                    0x1p-15, 0x1p-14, 0x1p-13, 0x1p-12, 0x1p-11, 0x1p-10, 0x1p-9,  0x1p-8,  0x1p-7,
                                    0x1p-6,  0x1p-5,  0x1p-4,  0x1p-3,  0x1p-2,  0x1p-1,  1,       0x1p1,   0x1p2,
                                    0x1p3,   0x1p4,   0x1p5,   0x1p6,   0x1p7,   0x1p8,   0x1p9,   0x1p10,  0x1p11,
                                    0x1p12,  0x1p13,  0x1p14,  0x1p15,  0x1p16,  0x1p17,  0x1p18,  0x1p19,  0x1p20,
                                    0x1p21,  0x1p22,  0x1p23,  0x1p24};
    return powers[exponent + 2 * EXPONENT_MOST];
}

static double scaled_range(const struct grid *grid, const struct mark *mark, int exponent)
{
    return mark->range * power(grid->direction * exponent);
}

static double scaled_weight(const struct grid *grid, const struct mark *mark, int exponent)
{
    return mark->weight * power(-2 * grid->direction * exponent);
}

/* Finds the largest range anew, and the next. */
static void refresh(struct objective *objective, size_t index)
{
    struct grid *grid = &objective->grids[index];
    size_t first = objective->grid_first[index], count = objective->grid_first[index + 1] - first, k = 0;
    const double *scaled = objective->scaled + first;
    grid->largest = vector_largest(scaled, count);
    while (k < count && scaled[k] != grid->largest)
        k++;
    grid->class = k < count ? objective->marks.items[objective->by_grid[first + k]].class : 0;
    grid->next = k < count ? fmax(vector_largest(scaled, k), vector_largest(scaled + k + 1, count - k - 1)) : 0;
}

/* Computes all of a grid anew, because rounding errors of a sum add up. */
static void compute(struct objective *objective, size_t index)
{
    struct grid *grid = &objective->grids[index];
    grid->sum = 0;
    for (size_t k = objective->grid_first[index]; k < objective->grid_first[index + 1]; k++) {
        const struct mark *mark = &objective->marks.items[objective->by_grid[k]];
        int exponent = objective->exponents[mark->class];
        objective->scaled[k] = scaled_range(grid, mark, exponent);
        grid->sum += scaled_weight(grid, mark, exponent);
    }
    refresh(objective, index);
}

static double noise_of(double largest, double sum)
{
    double step = largest / 127;
    return step * step * sum;
}

double objective_at(struct objective *objective)
{
    double noise = 0;
    for (size_t g = 0; g < objective->grid_count; g++) {
        compute(objective, g);
        noise += noise_of(objective->grids[g].largest, objective->grids[g].sum);
    }
    return noise;
}

double objective_change(const struct objective *objective, size_t class, int exponent)
{
    double change = 0;
    int old = objective->exponents[class];
    for (size_t i = objective->first[class]; i < objective->first[class + 1]; i++) {
        const struct mark *mark = &objective->marks.items[i];
        const struct grid *grid = &objective->grids[mark->grid];
        double others = grid->class == class ? grid->next : grid->largest;
        double sum = grid->sum - scaled_weight(grid, mark, old) + scaled_weight(grid, mark, exponent);
        change += noise_of(fmax(others, scaled_range(grid, mark, exponent)), sum) - noise_of(grid->largest, grid->sum);
    }
    return change;
}

void objective_set(struct objective *objective, size_t class, int exponent)
{
    int old = objective->exponents[class];
    objective->exponents[class] = exponent;
    for (size_t i = objective->first[class]; i < objective->first[class + 1]; i++) {
        const struct mark *mark = &objective->marks.items[i];
        struct grid *grid = &objective->grids[mark->grid];
        double before = scaled_range(grid, mark, old), after = scaled_range(grid, mark, exponent);
        grid->sum += scaled_weight(grid, mark, exponent) - scaled_weight(grid, mark, old);
        objective->scaled[objective->place[i]] = after;
        bool holds = grid->class == class;
        if (holds && after >= grid->next)
            grid->largest = after;
        else if (!holds && after > grid->largest) {
            grid->next = grid->largest;
            grid->largest = after;
            grid->class = class;
        } else if (holds || (before >= grid->next && after < before))
            refresh(objective, mark->grid); /* another class has the largest, or the next, by now */
        else
            grid->next = fmax(grid->next, after);
    }
}
