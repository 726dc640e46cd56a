/* diff/weight.h: two constants compared number by number. */
#ifndef DIFF_WEIGHT_H
#define DIFF_WEIGHT_H

#include "diff/change.h"

/* diff/weight.c: two constants that stand for each other, read by input `index` of partners. */
void diff_weights(struct differ *differ, const struct node *left, const struct node *right, size_t index,
                  const struct value *x, const struct value *y);
/* "float [64, 3, 3, 3]", or the numbers themselves when they are few. */
const char *diff_constant_text(struct arena *arena, const struct tensor *tensor, bool numbers);

#endif
