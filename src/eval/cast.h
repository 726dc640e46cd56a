/* eval/cast.h: Cast and CastLike. */
#ifndef EVAL_CAST_H
#define EVAL_CAST_H

#include "eval/array.h"
#include "protobuf-c/protobuf-c.h"

/* eval_cast.c */
const char *eval_cast(struct evaluation *e);
const char *eval_bit_cast(struct evaluation *e);
const char *eval_cast_like(struct evaluation *e);
const char *eval_constant(struct evaluation *e);
const char *eval_dropout(struct evaluation *e);
const char *eval_identity(struct evaluation *e);

#endif
