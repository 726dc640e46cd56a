/* eval/sequence.h: sequences and optionals. */
#ifndef EVAL_SEQUENCE_H
#define EVAL_SEQUENCE_H

#include "eval/array.h"

/* eval_sequence.c */
const char *eval_sequence_construct(struct evaluation *e);
const char *eval_sequence_empty(struct evaluation *e);
const char *eval_sequence_length(struct evaluation *e);
const char *eval_sequence_at(struct evaluation *e);
const char *eval_sequence_change(struct evaluation *e);
const char *eval_split_to_sequence(struct evaluation *e);
const char *eval_concat_from_sequence(struct evaluation *e);
const char *eval_optional(struct evaluation *e);
const char *eval_optional_has_element(struct evaluation *e);
const char *eval_optional_get_element(struct evaluation *e);

#endif
