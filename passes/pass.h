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

/* Whether the options let a pass run. */
bool pass_is_enabled(const struct plan *plan, const char *name);

/* By depth, so that the result does not depend on the order of nodes in the file. */
void pass_sort(struct node_list *nodes, bool reverse);
/* Nodes of a graph for which `wanted` holds, by depth, so that the result does not depend on the
 * order of nodes in the file. Deepest first when `reverse`. Valid until the next call. */
struct node **pass_candidates(struct plan *plan, struct graph *graph, bool (*wanted)(struct node *), bool reverse,
                              size_t *count);

/* What a pass does with one candidate. True: it succeeded, and nodes that stay read other values than before. */
typedef bool pass_visit(struct plan *plan, struct node *node);
/* Visits the candidates of a graph that are still there when their turn comes, until the plan is full. */
void pass_each_of(struct plan *plan, struct graph *graph, bool (*wanted)(struct node *), bool reverse,
                  pass_visit *visit);
/* The same of every graph. */
void pass_each(struct plan *plan, bool (*wanted)(struct node *), bool reverse, pass_visit *visit);

/* NULL where readers of `value` may read `other` instead, which holds the same, and the graph still gives out
 * what it gave out; else the reason why not. */
const char *pass_check_redirect(const struct value *value, const struct value *other);
/* Makes it so. A graph output keeps its name: what makes `other` makes it then, and what made it is gone. When
 * it has made all of its changes in a graph, a pass calls lift_forget_steps: pass_each does. */
void pass_redirect(struct value *value, struct value *other);

/* True where each number of a constant is this one. */
bool pass_holds_only(const struct tensor *tensor, double number);

bool is_conv_transpose(const struct node *node);
/* Gemm, MatMul, or the Add of a bias that a rewrite put behind a MatMul: it stands for both. */
bool is_matrix_product(const struct node *node);
/* A step that treats every channel and position by itself: scale and shift. */
bool is_per_channel(struct node *node, enum layout layout);

#endif
