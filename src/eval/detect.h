/* eval/detect.h: NonMaxSuppression. */
#ifndef EVAL_DETECT_H
#define EVAL_DETECT_H

#include "eval/array.h"

const char *eval_non_max_suppression(struct evaluation *e);

#endif
