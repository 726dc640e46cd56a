/* infer/constant.h: which values are constants, and what they hold. */
#ifndef INFER_CONSTANT_H
#define INFER_CONSTANT_H

#include "infer/elements.h"

/* The constant a value holds: an initializer that nobody can override, a Constant node, or what
 * operators make of such. Computed once and kept. Returns NULL and sets *tensor, or the reason why
 * it is none: what a sentence says of the value ("is computed by Sign -> 'y', which is not evaluated"). The tensor may be opaque or fused: ask tensor_is_readable. */
const char *constant_of(struct value *value, const struct tensor **tensor);

/* What is known of a small tensor of integers, one by one, or NULL. */
const struct elements *constant_elements(struct value *value);

/* What has been computed for a value that operators make of constants, or NULL. Folds nothing. */
const struct tensor *constant_folded(const struct value *value);
/* Why somebody who asked was told that operators make no constant of it, or NULL. */
const char *constant_refused(const struct value *value);

/* All numbers of a readable constant, in the model's arena. NULL: it is one number repeated more often than
 * is worth a model of this size, CONSTANT_TOO_LARGE. */
#define CONSTANT_TOO_LARGE "it has more numbers than are read of a model of this size"
const double *constant_numbers(struct value *value, const struct tensor *tensor);

/* Integers that an attribute gives, or else an input that is constant: up to `most`, read into `held`. NULL:
 * neither does. */
const int64_t *constant_integers(const struct node *node, const char *name, size_t input, int64_t *held, size_t most,
                                 size_t *count);

#endif
