/* eval/reach.h: what rounding leaves where a sum cancels. */
#ifndef EVAL_REACH_H
#define EVAL_REACH_H

#include "eval/array.h"

/* Notes in `reach` of what a node made the largest number that was added up to make it, where there was a
 * sum: more than it holds, where that cancelled. */
void eval_note_reach(const struct node *node, struct array *const *inputs, struct array *out);
/* The same of any real array: without a sum, its largest number. */
double eval_reach(struct array *array);

#endif
