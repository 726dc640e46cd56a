/* lift_internal.h: shared by lift.c and lift_border.c only. */
#ifndef LIFT_INTERNAL_H
#define LIFT_INTERNAL_H

#include "lift.h"

/* A constant of a float type that can be read, or the reason why not. */
const char *lift_weight(struct arena *arena, struct value *value, const char *what,
                        const struct tensor **tensor);
/* The integers of a constant input. *sized is set when they come from a declared shape. */
const char *lift_integers(struct node *node, size_t index, const char *what, int64_t *numbers,
                          size_t room, size_t *count, bool *sized);
/* What a Pad of constant mode adds per axis. begin, end: room for AFFINE_AXES + 2. */
const char *lift_pad_amounts(struct node *node, int64_t *begin, int64_t *end, int *rank,
                             bool *sized);
/* A ScatterND that fills a border: see lift_border.c. */
const char *lift_border(struct node *node, struct step *step);
/* The spatial extents of a source, -1 where unknown, or NULL. */
const int64_t *lift_source_extent(const struct value *source, int axes);

#endif
