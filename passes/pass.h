/* passes/pass.h: what a pass is, and functions that several passes need. */
#ifndef PASSES_PASS_H
#define PASSES_PASS_H

#include "fuse/plan.h"

enum pass_kind {
    PASS_REWRITES, /* in every round */
    PASS_CLEANS,   /* cleans up after other passes: after a change, however full memory is */
    PASS_ENDS      /* once, after all rounds, if an option requests it */
};

struct pass {
    const char *name, *purpose;
    enum pass_kind kind;
    void (*run)(struct plan *plan);
};

/* ---- shared by passes ---- */

/* Whether the options let a pass run. */
bool pass_is_enabled(const struct plan *plan, const char *name);

/* By depth, so that the result does not depend on the order of nodes in the file. */
void pass_sort(struct node_list *nodes, bool reverse);
/* Nodes of a graph that `wanted` accepts, by depth, so that the result does not depend on the order of nodes in the
 * file. Deepest first if `reverse`. Valid until the next call. */
struct node **pass_candidates(struct plan *plan, struct graph *graph, bool (*wanted)(struct node *), bool reverse,
                              size_t *count);

/* Rewrites one candidate. True: it succeeded, and remaining nodes read other values than before. */
typedef bool pass_visit(struct plan *plan, struct node *node);
/* Visits the candidates of a graph that still exist when their turn comes, until the plan is full. */
void pass_each_of(struct plan *plan, struct graph *graph, bool (*wanted)(struct node *), bool reverse,
                  pass_visit *visit);
/* The same for every graph. */
void pass_each(struct plan *plan, bool (*wanted)(struct node *), bool reverse, pass_visit *visit);

/* NULL if readers of `value` may read the equal value `other` instead, and the outputs of the graph stay; otherwise
 * the reason why not. */
const char *pass_check_redirect(const struct value *value, const struct value *other);
/* Makes them read it. A graph output keeps its name: the producer of `other` computes it then, and its own producer
 * is removed. After all of its changes in a graph, a pass calls lift_forget_steps; pass_each does so. */
void pass_redirect(struct value *value, struct value *other);

/* True if all numbers of a constant are this one. */
bool pass_holds_only(const struct tensor *tensor, double number);

bool is_conv_transpose(const struct node *node);
/* Gemm, MatMul, or the Add of a bias that a rewrite put behind a MatMul: it stands for both. */
bool is_matrix_product(const struct node *node);
/* The node, or if a rewrite put the Add of a bias behind it, that Add. */
struct node *pass_with_bias(struct node *node);
/* A step that only scales and shifts each channel. */
bool is_per_channel(struct node *node, enum layout layout);

#endif
