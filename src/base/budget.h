/* base/budget.h: what bounds memory and time, by the size of what is read. */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include <stddef.h>
#include <stdint.h>

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

/* ---- what one call may take of memory and time ----
 * Numbers are doubles and elements are cells: eight bytes each. Products are multiply-adds. Counts that only
 * bound how far something is looked for stand beside their use. */

/* Numbers of one kernel: 16 GiB. */
#define BUDGET_FORM_WEIGHTS (INT64_C(1) << 31)
/* Numbers held while one form is computed, beyond one for each byte of input: 16 MiB. */
#define BUDGET_FORM_HELD 0x1p21
/* Numbers looked at to read one form, beyond 8 for each byte of input. */
#define BUDGET_FORM_READ 0x1p24
/* Numbers looked at to read all new weights once, beyond 64 for each byte of input. */
#define BUDGET_PLAN_READ 0x1p27
/* Bytes of all new weights, beyond 8 for each byte of input: a weight that many ops share becomes one for
 * each, and --max-growth lets weights grow. */
#define BUDGET_PLAN_STORED 0x1p25
/* Numbers of the frame around a padded value, where that is more than the bytes of the input. */
#define BUDGET_FRAME (INT64_C(1) << 20)
/* Leaves of one tree of sums looked at. Each group of branches that is tried looks at all, as what it leaves
 * alone must stay; a tree of many groups of many leaves is not worth the square of it. */
#define BUDGET_BRANCHES_READ 0x1p24

/* Elements of a constant that is computed: 1 GiB. */
#define BUDGET_FOLDED (INT64_C(1) << 27)
/* Elements of one value that the self-check or verify evaluates: half a GiB. */
#define BUDGET_VALUE (INT64_C(1) << 26)
/* Products of one operator: seconds. */
#define BUDGET_SUM (INT64_C(1) << 32)
/* Products that a node, or one run of a graph, counts for beside its elements, so that many small ones end;
 * and cells for the headers of its arrays. */
#define BUDGET_NODE 256
#define BUDGET_NODE_CELLS 48
/* Elements of one value that the check of equalisation evaluates: 128 MiB. */
#define BUDGET_EQUALIZED_VALUE (INT64_C(1) << 24)
/* Channels that equalisation looks at, beyond one for each 16 bytes of input. */
#define BUDGET_EQUALIZED_CHANNELS (INT64_C(1) << 17)
/* Elements of a value of which verify notes what rounding leaves: 8 MiB for each run of it. */
#define BUDGET_VERIFY_NOISE (INT64_C(1) << 20)
/* Products of one comparison of verify at the declared size: seconds. */
#define BUDGET_VERIFY_ONCE 4e9
/* Products of all regions together: some seconds. What is left then is one region up to the outputs, and the whole
 * models, which cost many times what the regions left out would have. */
#define BUDGET_VERIFY 2e10
/* Products of all runs of both whole models: some seconds. Another input than the fewest is drawn while more than so
 * many are left. */
#define BUDGET_VERIFY_WHOLE 1.6e10
#define BUDGET_VERIFY_INPUT 2e9
/* Products of a quick look at both models on a little image, up to which one on the size that they declare is quick. */
#define BUDGET_VERIFY_GLANCE 1e8
/* Elements of stored weights that the self-check keeps from one trial for the next. */
#define BUDGET_CHECK_KEPT (1 << 14)
/* Bytes that verify keeps from one region for the next. */
#define BUDGET_VERIFY_KEPT (16u << 20)

/* Bytes of mapped files that are read before their pages are given back: they count as memory, too. */
#define BUDGET_TOUCHED_DUMP (8u << 20)
#define BUDGET_TOUCHED_VERIFY (16u << 20)
#define BUDGET_TOUCHED_MATCH (32u << 20)
#define BUDGET_TOUCHED_WRITE (32u << 20)

enum { BUDGET_THREADS = 64 }; /* of one call */

#endif
