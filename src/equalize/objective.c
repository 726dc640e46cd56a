/* equalize/objective.c: the formula, kept up to date while one exponent changes at a time. */
#include "equalize/objective.h"

#include <math.h>
#include <stdlib.h>

void objective_init(struct objective *objective, struct arena *arena, size_t classes, size_t grids)
{
    *objective = (struct objective){.class_count = classes, .grid_count = grids};
    objective->grids = NEW_ARRAY(arena, struct grid, grids);
    objective->exponents = NEW_ARRAY(arena, int, classes);
    for (size_t g = 0; g < grids; g++)
        objective->grids[g].direction = 1;
}

void objective_mark(struct objective *objective, struct arena *arena, size_t class, size_t grid,
                    double range, double weight)
{
    struct mark mark = {class, grid, range, weight};
    LIST_PUSH(arena, &objective->marks, mark);
}

static int by_class_and_grid(const void *a, const void *b)
{
    const struct mark *x = a, *y = b;
    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    if (x->grid != y->grid)
        return x->grid < y->grid ? -1 : 1;
    /* Sums do not depend on the order that the sort leaves. */
    if (x->range != y->range)
        return x->range < y->range ? -1 : 1;
    return (x->weight > y->weight) - (x->weight < y->weight);
}

void objective_ready(struct objective *objective, struct arena *arena)
{
    struct mark *marks = objective->marks.items;
    size_t kept = 0;
    if (objective->marks.count)
        qsort(marks, objective->marks.count, sizeof(*marks), by_class_and_grid);
    for (size_t i = 0; i < objective->marks.count; i++) {
        struct mark *last = kept ? &marks[kept - 1] : NULL;
        if (last && last->class == marks[i].class && last->grid == marks[i].grid) {
            last->range = fmax(last->range, marks[i].range);
            last->weight += marks[i].weight;
        } else {
            marks[kept++] = marks[i];
        }
    }
    objective->marks.count = kept;
    objective->first = NEW_ARRAY(arena, size_t, objective->class_count + 1);
    objective->grid_first = NEW_ARRAY(arena, size_t, objective->grid_count + 1);
    objective->by_grid = NEW_ARRAY(arena, size_t, kept + 1);
    for (size_t i = 0; i < kept; i++) {
        objective->first[marks[i].class + 1]++;
        objective->grid_first[marks[i].grid + 1]++;
    }
    for (size_t c = 0; c < objective->class_count; c++)
        objective->first[c + 1] += objective->first[c];
    for (size_t g = 0; g < objective->grid_count; g++)
        objective->grid_first[g + 1] += objective->grid_first[g];
    size_t *next = NEW_ARRAY(arena, size_t, objective->grid_count + 1);
    for (size_t i = 0; i < kept; i++)
        objective->by_grid[objective->grid_first[marks[i].grid] + next[marks[i].grid]++] = i;
}

static double scaled_range(const struct grid *grid, const struct mark *mark, int exponent)
{
    return ldexp(mark->range, grid->direction * exponent);
}

static double scaled_weight(const struct grid *grid, const struct mark *mark, int exponent)
{
    return ldexp(mark->weight, -2 * grid->direction * exponent);
}

static void refresh(struct objective *objective, size_t index)
{
    struct grid *grid = &objective->grids[index];
    grid->sum = grid->largest = grid->next = 0;
    grid->class = 0;
    for (size_t k = objective->grid_first[index]; k < objective->grid_first[index + 1]; k++) {
        const struct mark *mark = &objective->marks.items[objective->by_grid[k]];
        int exponent = objective->exponents[mark->class];
        double range = scaled_range(grid, mark, exponent);
        grid->sum += scaled_weight(grid, mark, exponent);
        if (range > grid->largest) {
            grid->next = grid->largest;
            grid->largest = range;
            grid->class = mark->class;
        } else {
            grid->next = fmax(grid->next, range);
        }
    }
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
        refresh(objective, g);
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
        double sum =
            grid->sum - scaled_weight(grid, mark, old) + scaled_weight(grid, mark, exponent);
        change += noise_of(fmax(others, scaled_range(grid, mark, exponent)), sum) -
                  noise_of(grid->largest, grid->sum);
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
