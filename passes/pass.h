/* passes/pass.h: what a pass is, and what several passes need. */
#ifndef PASSES_PASS_H
#define PASSES_PASS_H

#include "fuse/plan.h"

enum pass_kind {
    PASS_REWRITES, /* in every round */
    PASS_CLEANS,   /* takes away what other passes left: after a change, however full memory is */
    PASS_ENDS      /* once, after all rounds, where an option asks for it */
};

struct pass {
    const char *name, *purpose;
    enum pass_kind kind;
    void (*run)(struct plan *plan);
};

/* ---- what several passes need ---- */

/* Nodes of a graph for which `wanted` holds, by depth, so that the result does not depend on the
 * order of nodes in the file. Deepest first when `reverse`. Valid until the next call. */
struct node **pass_candidates(struct plan *plan, struct graph *graph, bool (*wanted)(struct node *),
                              bool reverse, size_t *count);

/* NULL where readers of `value` may read `other` instead, which holds the same, and the graph still gives out
 * what it gave out; else the reason why not. */
const char *pass_check_redirect(const struct value *value, const struct value *other);
/* Makes it so. A graph output keeps its name: what makes `other` makes it then, and what made it is gone. When
 * it has made all of its changes, a pass calls lift_forget_steps. */
void pass_redirect(struct value *value, struct value *other);

/* Looks at every graph, in either layout where both are wanted, until nothing changes. */
bool is_conv_transpose(const struct node *node);
/* Gemm, MatMul, or the Add of a bias that a rewrite put behind a MatMul: it stands for both. */
bool is_matrix_product(const struct node *node);
/* A step that treats every channel and position by itself: scale and shift. */
bool is_per_channel(struct node *node, enum layout layout);

#endif
