/* passes/sum_tree.h: the input of join_branches: a tree of Add, Sub, Sum and Mean, flattened to its leaves. */
#ifndef PASSES_SUM_TREE_H
#define PASSES_SUM_TREE_H

#include "fuse/plan.h"
#include "fuse/trace.h"

struct leaf {
    struct value *value;
    double factor;
    const struct trace *trace; /* a constant has an empty one */
    /* A constant that is added per channel: */
    const double *constant; /* `width` numbers; NULL: the leaf is not a constant */
    int64_t width;          /* 0: one number for all channels */
    int rank;               /* rank of the sum that it is added to; its channels are axis 1 there */
    bool taken;
    size_t closes; /* on the stack, without a value: the branch that ends here */
};

struct leaf_list {
    struct leaf *items;
    size_t count, room;
};

/* A sum of the tree and the leaves below it. */
struct branch {
    struct node *node;
    double factor; /* of its value in the root's */
    size_t first, end;
    bool intact; /* stays unchanged when the tree is rebuilt */
};

struct tree {
    struct plan *plan;
    struct graph *graph;
    enum layout layout;
    struct node *root;
    LIST(struct node *) nodes;    /* the root and the sums below it */
    LIST(struct branch) branches; /* all branches, each before those below it */
    struct leaf_list leaves;
    bool torn;          /* the tree must be rebuilt */
    bool whole_factors; /* every factor is 1 or -1: a smaller tree can be built */
    size_t made[2];     /* new ops of added groups, and of subtracted ones */
    double looks;       /* leaves counted once per group that was tried */
    const char *reason; /* the first reason against folding */
    bool *member;       /* memory of others_of and sum_spared, which are called often */
    struct value **others;
};

/* Leaves that may become one op. */
struct group {
    size_t *members; /* indexes of leaves */
    size_t count;
    struct value *source;
};

/* Replaces folded leaves in the tree: value times factor. */
struct made {
    struct value *value;
    double factor;
};

/* Fills nodes, branches, leaves and whole_factors of a tree; the rest must be set. */
void sum_flatten(struct tree *tree);

/* If one leaf depends on a Pad that is not affine, and another on the Pad's input, the other one also depends on the
 * middle of the padded value: adds that to its trace. */
void sum_find_padded(struct tree *tree);

bool is_sum_node(struct node *node);
/* True if a later sum would include this one. */
bool has_sum_behind(struct node *node, enum layout layout);

/* True if a constant leaf may become part of the bias of a group with this form. Channels are axis 1 of the group's
 * rank, and the constant's channels must lie on the same axis: numpy aligns shapes at the end, so in a sum of
 * another rank axis 1 is another one. */
bool sum_takes_constant(const struct tree *tree, const struct leaf *constant, const struct value *source,
                        const struct affine *form);

/* How a leaf depends on `source`, or NULL. */
const struct trace_entry *entry_of(const struct leaf *leaf, const struct value *source);

/* The sum of exactly these leaves, or NULL. Its value then keeps its name, and the sums above it their bytes. */
const struct branch *branch_of(const struct tree *tree, const struct group *group);
/* The sums of a branch. */
struct node **nodes_of(const struct tree *tree, const struct branch *branch, size_t *count);
/* Values of the remaining leaves: one of them may be a member's value, or lie on the path to it. Valid until the
 * next call. */
struct value *const *others_of(struct tree *tree, const struct group *group, size_t *count);

/* The number of sums that rebuilding the tree saves, if the group becomes one op with this sign besides the earlier
 * ones. A Sum of many operands may stay one op, however many of them disappear. */
int64_t sum_spared(struct tree *tree, const struct group *group, double sign);

/* Rebuilds the tree: sums of the new ops and of the leaves that did not fold. If every new op replaced a branch, the
 * sums above them stay. */
void sum_rebuild(struct tree *tree, const struct made *groups, size_t group_count);

/* Why the leaves did not fold, one clause per leaf. */
const char *sum_explain(const struct tree *tree);

#endif
