/* passes.h: the one ordered table of rewrites. Each has a file of its own name. */
#ifndef PASSES_H
#define PASSES_H

#include "plan.h"

/* name, purpose */
#define PASSES(X)                                                                                  \
    X(fold_constants, "store weights that operators compute from constants")                       \
    X(join_branches, "sum parallel affine branches of one source into one Conv or Gemm")           \
    X(fold_after, "fold per-channel ops after Conv, ConvTranspose, Gemm or MatMul into it")        \
    X(fold_before, "fold per-channel ops before Conv, ConvTranspose, Gemm or MatMul into it")      \
    X(compose_chains, "fold chains of Conv, Pad, Slice, AveragePool, Gemm, MatMul into one op")    \
    X(remove_dead, "remove nodes, initializers and descriptions that nothing reads")

#define X(name, purpose) void name(struct plan *plan);
PASSES(X)
#undef X

struct pass {
    const char *name, *purpose;
    void (*run)(struct plan *plan);
};
extern const struct pass passes[];
extern const size_t pass_count;

/* ---- what several passes need ---- */

/* Nodes of a graph for which `wanted` holds, by depth, so that the result does not depend on the
 * order of nodes in the file. Deepest first when `reverse`. Valid until the next call. */
struct node **pass_candidates(struct plan *plan, struct graph *graph, bool (*wanted)(struct node *),
                              bool reverse, size_t *count);

/* Looks at every graph, in either layout where both are wanted, until nothing changes. */
bool is_conv_transpose(const struct node *node);
/* Gemm, MatMul, or the Add of a bias that a rewrite put behind a MatMul: it stands for both. */
bool is_matrix_product(const struct node *node);
/* A step that treats every channel and position by itself: scale and shift. */
bool is_per_channel(struct node *node, enum layout layout);

#endif
