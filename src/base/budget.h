/* base/budget.h: what bounds memory and time, by the size of what is read. */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include <stddef.h>

/* Memory is bounded by the size of what is read: numbers that a small file states have no bound of
 * their own (what evaluation may cost: eval/eval.h). The process as a whole stays below 64 MiB and 16 times
 * the input: arenas get 56 MiB and 15 times, the rest is for the program, the pages of the input and
 * the blocks of the writer. Beyond LIMIT_LARGE each byte counts for more: no small file gets there. */
enum { LIMIT_BASE = 56 << 20, LIMIT_FACTOR = 15, LIMIT_LARGE = 4 << 20, LIMIT_FACTOR_LARGE = 64 };

/* What evaluation may still cost. Shapes and windows that a small file states have no bound of
 * their own, so the work is bounded by the size of what is read. */
struct effort {
    double products; /* multiply-adds, and a few for each element of a result */
    double cells;    /* elements held at once, or ever where nothing is given back */
};
/* For this many bytes of input: a second or two on one core. */
struct effort effort_for(size_t input);

#endif
