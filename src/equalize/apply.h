/* equalize/apply.h: the edits. */
#ifndef EQUALIZE_APPLY_H
#define EQUALIZE_APPLY_H

#include "equalize/groups.h"

/* Scales what the exponents say. Adds to the plan's scalings. */
void apply_all(struct equalization *e);

#endif
