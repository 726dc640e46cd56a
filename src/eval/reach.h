/* eval/reach.h: rounding errors of sums that cancel. */
#ifndef EVAL_REACH_H
#define EVAL_REACH_H

#include "eval/array.h"

/* Sets `reach` of a node's result to the largest summand, if the node sums: it exceeds the result if the sum
 * cancels. */
void eval_note_reach(const struct node *node, struct array *const *inputs, struct array *out);

#endif
