/* eval/move.h: operators that move elements and change none. */
#ifndef EVAL_MOVE_H
#define EVAL_MOVE_H

#include "eval/array.h"

/* eval/move.c */
const char *eval_transpose(struct evaluation *e);
/* What a Transpose makes of numbers that lie in a file: they are moved as they are, which takes a part of the
 * time and memory that reading them does. NULL: they lie otherwise, or eval_transpose has a reason. */
struct tensor *eval_transpose_stored(struct evaluation *e, const struct tensor *tensor);
const char *eval_reshape(struct evaluation *e);
const char *eval_flatten(struct evaluation *e);
const char *eval_squeeze(struct evaluation *e);
const char *eval_unsqueeze(struct evaluation *e);
const char *eval_concat(struct evaluation *e);
const char *eval_slice(struct evaluation *e);
const char *eval_expand(struct evaluation *e);
const char *eval_tile(struct evaluation *e);
const char *eval_shape(struct evaluation *e);
const char *eval_size(struct evaluation *e);
const char *eval_constant_of_shape(struct evaluation *e);
const char *eval_pad(struct evaluation *e);
const char *eval_split(struct evaluation *e);
void eval_copy_cells(struct array *out, int64_t to, const struct array *in, int64_t from, int64_t count);
/* Product of dims[first .. last - 1]; of a shape with a zero in it perhaps another number, with which
 * nothing is done. */
int64_t eval_extent(const int64_t *dims, int first, int last);

#endif
