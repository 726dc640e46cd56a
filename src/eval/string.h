/* eval/string.h: operators on strings. */
#ifndef EVAL_STRING_H
#define EVAL_STRING_H

#include "eval/array.h"

const char *eval_regex_full_match(struct evaluation *e);
const char *eval_string_concat(struct evaluation *e);
const char *eval_string_normalizer(struct evaluation *e);
const char *eval_string_split(struct evaluation *e);
const char *eval_tf_idf_vectorizer(struct evaluation *e);

#endif
