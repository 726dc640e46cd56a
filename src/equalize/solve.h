/* equalize/solve.h: the exponents of all groups. */
#ifndef EQUALIZE_SOLVE_H
#define EQUALIZE_SOLVE_H

#include "equalize/groups.h"

/* Finds them, by descent on the predicted noise, and the noise of each group without them and with them. */
void solve_groups(struct equalization *e);

#endif
