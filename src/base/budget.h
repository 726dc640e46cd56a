/* base/budget.h: limits of memory and time, by the size of the input. */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include <stddef.h>
#include <stdint.h>

/* The size of the input bounds memory, because a small file can declare arbitrary numbers (for the cost of
 * evaluation see eval/eval.h). The whole process stays below 64 MiB plus 16 times the input: arenas get 56 MiB plus
 * 15 times, the rest is for the program, the pages of the input and the blocks of the writer. Beyond LIMIT_LARGE
 * each byte allows more, because no small file gets there. */
enum { LIMIT_BASE = 56 << 20, LIMIT_FACTOR = 15, LIMIT_LARGE = 4 << 20, LIMIT_FACTOR_LARGE = 64 };

/* The remaining budget of evaluation. A small file can declare arbitrary shapes and windows, so the size of the
 * input bounds the work. */
struct effort {
    double products; /* multiply-adds, and a few for each element of a result */
    double cells;    /* elements held at once, or in total if none are released */
};
/* For this many bytes of input: a second or two on one core. */
struct effort effort_for(size_t input);

/* ---- memory and time of one call ---- Numbers are doubles and elements are cells: eight bytes each. Products are
 * multiply-adds. Limits of searches stand beside their use. */

/* Numbers of one kernel: 16 GiB. */
#define BUDGET_FORM_WEIGHTS (INT64_C(1) << 31)
/* Numbers held while one form is computed, plus one per byte of input: 16 MiB. */
#define BUDGET_FORM_HELD 0x1p21
/* Numbers read to compute one form, plus 8 per byte of input. */
#define BUDGET_FORM_READ 0x1p24
/* Numbers read to compute all new weights once, plus 64 per byte of input. */
#define BUDGET_PLAN_READ 0x1p27
/* Bytes of all new weights, plus 8 per byte of input: a weight that many ops share may become one per op, and
 * --max-growth lets weights grow. */
#define BUDGET_PLAN_STORED 0x1p25
/* Numbers in the frame around a padded value, or the bytes of the input if they are more. */
#define BUDGET_FRAME (INT64_C(1) << 20)
/* Visited leaves of one tree of sums. Each tried group of branches visits all leaves, because the others must stay;
 * a tree with many groups of many leaves is not worth quadratic time. */
#define BUDGET_BRANCHES_READ 0x1p24

/* Elements of a constant that is computed: 1 GiB. */
#define BUDGET_FOLDED (INT64_C(1) << 27)
/* Elements of one value that the self-check or verify evaluates: half a GiB. */
#define BUDGET_VALUE (INT64_C(1) << 26)
/* Products of one operator: seconds. */
#define BUDGET_SUM (INT64_C(1) << 32)
/* Products per node, or per run of a graph, in addition to its elements, so that many small ones end too; and cells
 * for the headers of its arrays. */
#define BUDGET_NODE 256
#define BUDGET_NODE_CELLS 48
/* Elements of one value that the check of equalisation evaluates: 128 MiB. */
#define BUDGET_EQUALIZED_VALUE (INT64_C(1) << 24)
/* Channels that equalisation examines, plus one per 16 bytes of input. */
#define BUDGET_EQUALIZED_CHANNELS (INT64_C(1) << 17)
/* Elements of a value for which verify records rounding errors: 8 MiB per run. */
#define BUDGET_VERIFY_NOISE (INT64_C(1) << 20)
/* Products of one comparison of verify at the declared size: seconds. */
#define BUDGET_VERIFY_ONCE 4e9
/* Products of all regions together: some seconds. Beyond it, verify evaluates one region up to the outputs and the
 * whole models, which costs many times more than the skipped regions. */
#define BUDGET_VERIFY 2e10
/* Products of all runs of both whole models: some seconds. verify draws more than the minimal inputs while more than
 * this many remain. */
#define BUDGET_VERIFY_WHOLE 1.6e10
#define BUDGET_VERIFY_INPUT 2e9
/* Products of a quick run of both models on a small image; a run at the declared size is quick up to this. */
#define BUDGET_VERIFY_GLANCE 1e8
/* Elements of stored weights that the self-check keeps between trials. */
#define BUDGET_CHECK_KEPT (1 << 14)
/* Bytes that verify keeps between regions. */
#define BUDGET_VERIFY_KEPT (16u << 20)

/* Bytes of mapped files to read before their pages are released, because they count as memory. */
#define BUDGET_TOUCHED_DUMP (8u << 20)
#define BUDGET_TOUCHED_VERIFY (16u << 20)
#define BUDGET_TOUCHED_MATCH (32u << 20)
#define BUDGET_TOUCHED_WRITE (32u << 20)

enum { BUDGET_THREADS = 64 }; /* of one call */

#endif
