/* equalize/problem.h: the objective of one group of values, with the present scales of all other ops. */
#ifndef EQUALIZE_PROBLEM_H
#define EQUALIZE_PROBLEM_H

#include "equalize/groups.h"
#include "equalize/objective.h"
#include "equalize/spread.h"

enum { STARTS = 3 };

/* One for all groups: its memory is reused. */
struct problem {
    struct equalization *e;
    struct group *group;
    struct objective objective;
    size_t *roots;   /* of the classes, from 1 on: all of them may be scaled */
    int *now;        /* the present exponents */
    double constant; /* constant part of the noise */
    /* By class: the largest range before it, behind it, and of the activation; for the starts, their logarithms. */
    double *rows, *columns, *ranges;
    double *logs, *sorted;
    struct spreads guard; /* of what the ops behind read */
    int *starts[STARTS];
};

/* e->problem, set to this group. */
struct problem *problem_of(struct equalization *e, struct group *group);
/* 12 times the noise with these exponents: a step of D leaves D^2 / 12. */
double problem_noise(struct problem *p, const int *exponents);
/* Starting points of the descent, in p->starts: the present exponents, and rounded logarithms of s = row^a * range^b
 * / column^c. */
void problem_find_starts(struct problem *p);

#endif
