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

/* A text for a cell of a string tensor. */
const ProtobufCBinaryData *eval_text(struct arena *arena, const char *letters, size_t length);

#endif
