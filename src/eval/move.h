/* eval/move.h: operators that move elements unchanged. */
#ifndef EVAL_MOVE_H
#define EVAL_MOVE_H

#include "eval/array.h"

/* eval/move.c */
const char *eval_transpose(struct evaluation *e);
/* Transposes numbers of a file without converting them, which takes a fraction of the time and memory. NULL: they
 * are stored in another way, or eval_transpose has a reason. */
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
/* Product of dims[first .. last - 1]; it may be wrong for a shape with a zero, but is not used then. */
int64_t eval_extent(const int64_t *dims, int first, int last);

#endif
