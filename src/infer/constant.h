/* infer/constant.h: which values are constants, and their numbers. */
#ifndef INFER_CONSTANT_H
#define INFER_CONSTANT_H

#include "infer/elements.h"

/* The constant that a value holds: an initializer that callers cannot override, a Constant node, or the result of
 * operators on constants. Computed once and stored. Returns NULL and sets *tensor, or returns the reason as a
 * predicate ("is computed by Sign -> 'y', which is not evaluated"). The tensor may be opaque or fused: check
 * tensor_is_readable. */
const char *constant_of(struct value *value, const struct tensor **tensor);

/* The known elements of a small integer tensor, or NULL. */
const struct elements *constant_elements(struct value *value);

/* The constant that was already computed for a value, or NULL. Computes nothing. */
const struct tensor *constant_folded(const struct value *value);
/* The reason of an earlier request why the value is not constant, or NULL. */
const char *constant_refused(const struct value *value);

/* All numbers of a readable constant, in the model's arena. NULL: one number is repeated too often for a model of
 * this size, CONSTANT_TOO_LARGE. */
#define CONSTANT_TOO_LARGE "it has more numbers than are read of a model of this size"
const double *constant_numbers(struct value *value, const struct tensor *tensor);

/* The integers of an attribute, or else of a constant input: up to `most`, read into `held`. NULL: there is neither. */
const int64_t *constant_integers(const struct node *node, const char *name, size_t input, int64_t *held, size_t most,
                                 size_t *count);

#endif
