/* lift_internal.h: shared by the files of lifting only. */
#ifndef LIFT_INTERNAL_H
#define LIFT_INTERNAL_H

#include "lift.h"

/* One per row of the lifting table: each fills in the step of one kind of node, and returns
 * NULL or the reason why the node is not affine. lift.c calls them. */
const char *lift_conv(struct node *node, struct step *step);
const char *lift_matrix(struct node *node, struct step *step);
const char *lift_batch_normalization(struct node *node, enum layout layout, struct step *step);
const char *lift_product(struct node *node, enum layout layout, struct step *step);
/* Add, Sub, Sum, Mean: a constant operand shifts, the others are joined. */
const char *lift_sum(struct node *node, enum layout layout, struct step *step);
const char *lift_dropout(struct node *node, struct step *step);
/* Identity, Neg, Cast to the same type. */
const char *lift_unary(struct node *node, struct step *step);
const char *lift_average_pool(struct node *node, struct step *step);
const char *lift_pad(struct node *node, struct step *step);
const char *lift_slice(struct node *node, struct step *step);

/* A vector of `count` finite numbers. type may be NULL. */
const char *lift_vector(struct arena *arena, struct value *value, const char *what, int64_t count,
                        const double **numbers, int32_t *type);
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
const char *lift_border(struct node *root, struct step *step);
/* The spatial extents of a source, -1 where unknown, or NULL when they are not known or disputed. */
const int64_t *lift_source_extent(const struct value *source, int axes);

#endif
