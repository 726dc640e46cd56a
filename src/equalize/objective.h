/* equalize/objective.h: the predicted quantisation noise, as a function of the exponents of one group.
 *
 * Row i of the op before is divided by s_i and column i of the op behind multiplied, s_i = 2^k_i. With r1 the range of
 * row i, n2 the squared norm of column i and c2 its range, a the range of the activation and E its second moment, q1 the
 * second moment of what the first op reads,
 *
 *     noise = D1^2 * q1 * sum(s^2 n2)  +  Da^2 * sum(s^2 n2)  +  D2^2 * K * sum(E / s^2)
 *     D1 = max(r1 / s) / 127      Da = max(a / s) / 127      D2 = max(c2 * s) / 127
 *
 * Each summand is a grid: the square of the largest of some ranges, times a sum, where ranges scale with s^-1 and
 * weights with s^2, or vice versa. Weights per channel have one grid per row. Everything is relative to the power of
 * the next op's result, so that the noise of several ops behind one value adds up. */
#ifndef EQUALIZE_OBJECTIVE_H
#define EQUALIZE_OBJECTIVE_H

#include "base/arena.h"

enum { EXPONENT_MOST = 12 };

/* The contribution of one class to one grid. Class 0 stands for everything unscaled. */
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
    LIST(struct mark) marks;             /* by class once it is ready */
    size_t *latest;                      /* of each class: its latest mark */
    size_t *first;                       /* of a class: class_count + 1 */
    size_t *by_grid, *grid_first, *next; /* by_grid: the mark at each place */
    struct mark *sorted;
    size_t *place;  /* of a mark in its grid's part of: */
    double *scaled; /* ranges with the present exponents */
    int *exponents; /* of the classes */
};

/* Allocates this many classes and grids, to be reused by several objectives. */
void objective_init(struct objective *objective, struct arena *arena, size_t classes, size_t grids);
/* Of no marks. */
void objective_begin(struct objective *objective, size_t classes, size_t grids);
/* Marks of one class and grid are merged: the largest range, the sum of weights. Those of one grid come together. */
void objective_mark(struct objective *objective, size_t class, size_t grid, double range, double weight);
/* After the last mark. */
void objective_ready(struct objective *objective);
/* Takes over objective->exponents. Returns the noise. */
double objective_at(struct objective *objective);
/* The change of the noise if one exponent changed. */
double objective_change(const struct objective *objective, size_t class, int exponent);
/* Changes the exponent. */
void objective_set(struct objective *objective, size_t class, int exponent);

#endif
