/* eval/arrange.h: operators that rearrange elements. */
#ifndef EVAL_ARRANGE_H
#define EVAL_ARRANGE_H

#include "eval/array.h"

/* eval_arrange.c */
const char *eval_trilu(struct evaluation *e);
const char *eval_eye_like(struct evaluation *e);
const char *eval_reverse_sequence(struct evaluation *e);
const char *eval_depth(struct evaluation *e);
const char *eval_center_crop_pad(struct evaluation *e);

#endif
