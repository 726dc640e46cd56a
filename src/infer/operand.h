/* infer/operand.h: constants as an op takes them: a weight, a vector, integers. */
#ifndef INFER_OPERAND_H
#define INFER_OPERAND_H

#include "model/graph.h"

/* A vector of `count` finite numbers. type may be NULL. */
const char *operand_vector(struct arena *arena, struct value *value, const char *what, int64_t count,
                           const double **numbers, int32_t *type);

/* A constant of a float type that can be read, or the reason why not. */
const char *operand_weight(struct arena *arena, struct value *value, const char *what, const struct tensor **tensor);

/* The integers of a constant input. *sized is set when they come from a declared shape. */
const char *operand_integers(struct node *node, size_t index, const char *what, int64_t *numbers, size_t room,
                             size_t *count, bool *sized);

#endif
