/* equalize/problem.h: the objective of one group of values, every op about it scaled as it is now. */
#ifndef EQUALIZE_PROBLEM_H
#define EQUALIZE_PROBLEM_H

#include "equalize/groups.h"
#include "equalize/objective.h"
#include "equalize/spread.h"

enum { STARTS = 5 };

/* One for all groups: its room is used again. */
struct problem {
    struct equalization *e;
    struct group *group;
    struct objective objective;
    size_t *roots;                   /* of the classes, from 1 on: all of them may be scaled */
    int *now;                        /* the exponents as they are */
    double constant;                 /* noise that no exponent changes */
    double *rows, *columns, *ranges; /* by class: the largest before it, behind it, between */
    double *logs, *sorted;
    struct spreads guard; /* of what the ops behind read */
    int *starts[STARTS];
};

/* e->problem, from now on of this group. */
struct problem *problem_of(struct equalization *e, struct group *group);
/* The noise that these exponents leave, 12 times as large as it is: a step of D leaves D^2 / 12. */
double problem_noise(struct problem *p, const int *exponents);
/* Places to descend from, in p->starts: as it is now, and rounded logarithms of s = row^a * range^b / column^c. */
void problem_find_starts(struct problem *p);

#endif
