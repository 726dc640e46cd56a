/* eval/resize.h: Resize and similar operators. */
#ifndef EVAL_RESIZE_H
#define EVAL_RESIZE_H

#include "eval/array.h"

/* eval_resize.c */
const char *eval_resize(struct evaluation *e);

#endif
