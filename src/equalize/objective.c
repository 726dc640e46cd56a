/* equalize/objective.c: the formula, kept up to date while one exponent changes at a time. */
#include "equalize/objective.h"

#include <math.h>

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

/* Marks come grid by grid. A counting sort leaves them so within each class: equal ones lie together. */
static void sort_marks(struct objective *objective, struct arena *arena)
{
    size_t count = objective->marks.count;
    struct mark *marks = objective->marks.items, *sorted = NEW_ARRAY(arena, struct mark, count + 1);
    size_t *next = NEW_ARRAY(arena, size_t, objective->class_count + 1), kept = 0;
    for (size_t i = 0; i < count; i++)
        next[marks[i].class + 1]++;
    for (size_t c = 0; c < objective->class_count; c++)
        next[c + 1] += next[c];
    for (size_t i = 0; i < count; i++)
        sorted[next[marks[i].class]++] = marks[i];
    for (size_t i = 0; i < count; i++) {
        struct mark *last = kept ? &marks[kept - 1] : NULL;
        if (last && last->class == sorted[i].class && last->grid == sorted[i].grid) {
            last->range = fmax(last->range, sorted[i].range);
            last->weight += sorted[i].weight;
        } else {
            marks[kept++] = sorted[i];
        }
    }
    objective->marks.count = kept;
}

void objective_ready(struct objective *objective, struct arena *arena)
{
    sort_marks(objective, arena);
    const struct mark *marks = objective->marks.items;
    size_t kept = objective->marks.count;
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
