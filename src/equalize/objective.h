/* equalize/objective.h: the noise that quantisation is predicted to add, as a function of the exponents of one group.
 *
 * Row i of the op before is divided by s_i and column i of the op behind multiplied, s_i = 2^k_i. With r1 the range of
 * row i, n2 the squared norm of column i and c2 its range, a the range of the activation and E its second moment, q1 the
 * second moment of what the first op reads,
 *
 *     noise = D1^2 * q1 * sum(s^2 n2)  +  Da^2 * sum(s^2 n2)  +  D2^2 * K * sum(E / s^2)
 *     D1 = max(r1 / s) / 127      Da = max(a / s) / 127      D2 = max(c2 * s) / 127
 *
 * Each summand is one kind of thing, a grid: the largest of some ranges, squared, times a sum, where ranges go with
 * s^-1 and weights with s^2, or the other way. Weights per channel have a grid for each row. Everything is relative to
 * the power of what the op behind makes, so that several ops behind one value can be added. */
#ifndef EQUALIZE_OBJECTIVE_H
#define EQUALIZE_OBJECTIVE_H

#include "base/arena.h"

enum { EXPONENT_MOST = 12 };

/* What one class is to one grid. Class 0 stands for all that is not scaled. */
struct mark {
    size_t class, grid;
    double range;  /* 0: none */
    double weight; /* of the sum */
};

struct grid {
    int direction; /* +1: the range goes with s, the weight with s^-2; -1: the other way */
    double sum;
    double largest, next; /* ranges: the largest, and that of the other classes */
    size_t class;         /* that has the largest */
};

struct objective {
    struct arena *arena;
    size_t class_count, grid_count, class_room, grid_room, mark_room;
    struct grid *grids;
    LIST(struct mark) marks; /* by class once it is ready */
    size_t *first;           /* of a class: class_count + 1 */
    size_t *by_grid, *grid_first, *next;
    struct mark *sorted;
    int *exponents; /* of the classes */
};

/* Room for so many classes and grids, for one objective after another. */
void objective_init(struct objective *objective, struct arena *arena, size_t classes, size_t grids);
/* Of no marks. */
void objective_begin(struct objective *objective, size_t classes, size_t grids);
/* Marks of one class and grid are put together: the largest range, the sum of weights. */
void objective_mark(struct objective *objective, size_t class, size_t grid, double range, double weight);
/* After the last mark. */
void objective_ready(struct objective *objective);
/* Takes over objective->exponents. Returns the noise. */
double objective_at(struct objective *objective);
/* What it would become more if one exponent were another. */
double objective_change(const struct objective *objective, size_t class, int exponent);
/* Makes it that. */
void objective_set(struct objective *objective, size_t class, int exponent);

#endif
