/* passes/sum_tree.h: what join_branches looks at: a tree of Add, Sub, Sum and Mean, flattened to its leaves. */
#ifndef PASSES_SUM_TREE_H
#define PASSES_SUM_TREE_H

#include "fuse/plan.h"
#include "fuse/trace.h"

struct leaf {
    struct value *value;
    double factor;
    const struct trace *trace; /* a constant has an empty one */
    /* A constant that is added per channel: */
    const double *constant; /* `width` numbers; NULL: the leaf is no constant */
    int64_t width;          /* 0: one number for all channels */
    int rank;               /* of the sum that it is added to, whose axis 1 its channels are */
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
    bool intact; /* stays as it is when the tree is built anew */
};

struct tree {
    struct plan *plan;
    struct graph *graph;
    enum layout layout;
    struct node *root;
    LIST(struct node *) nodes;    /* the root and the sums below it */
    LIST(struct branch) branches; /* the same, each before those below it */
    struct leaf_list leaves;
    bool torn;          /* the tree must be built anew */
    bool whole_factors; /* every factor is 1 or -1: a smaller tree can be built */
    size_t made[2];     /* ops made of groups that are added, and of those that are subtracted */
    double looks;       /* leaves looked at by groups that were tried */
    const char *reason; /* the first thing that spoke against folding */
    bool *member;       /* room for others_of and sum_spared, which are asked again and again */
    struct value **others;
};

/* Leaves that may become one op. */
struct group {
    size_t *members; /* indexes of leaves */
    size_t count;
    struct value *source;
};

/* What stands in the tree for leaves that were taken: value times factor. */
struct made {
    struct value *value;
    double factor;
};

/* Fills nodes, branches, leaves and whole_factors of a tree of which the rest is set. */
void sum_flatten(struct tree *tree);

/* Where one leaf comes from a Pad that is not affine, and another from what that reads, the other one comes from the
 * middle of the padded value: its trace says that as well. */
void sum_find_padded(struct tree *tree);

bool is_sum_node(struct node *node);
/* True when a sum further down would take this one in. */
bool has_sum_behind(struct node *node, enum layout layout);

/* True when a constant leaf may become part of the bias of a group whose form this is. Channels are axis 1 of
 * the group's rank, and the constant's channels must lie on the same axis: numpy aligns shapes at the end, so
 * in a sum of another rank axis 1 is another one. */
bool sum_takes_constant(const struct tree *tree, const struct leaf *constant, const struct value *source,
                        const struct affine *form);

/* How a leaf depends on `source`, or NULL. */
const struct trace_entry *entry_of(const struct leaf *leaf, const struct value *source);

/* The sum that has just these leaves below it and nothing else, or NULL. Its value then keeps its
 * name, and the sums above it their bytes. */
const struct branch *branch_of(const struct tree *tree, const struct group *group);
/* The sums of a branch. */
struct node **nodes_of(const struct tree *tree, const struct branch *branch, size_t *count);
/* Values of the leaves that stay: one of them may be a member's value, or lie on the way to it.
 * Valid until the next call. */
struct value *const *others_of(struct tree *tree, const struct group *group, size_t *count);

/* Sums that building the tree anew saves, when the group becomes one op of this sign beside what was made
 * before. A Sum of many may stay one op however many of its operands go. */
int64_t sum_spared(struct tree *tree, const struct group *group, double sign);

/* What is left of the tree: sums of the new ops and of the leaves that did not fold. Where every new
 * op took over a branch, the sums above them are as good as they were. */
void sum_rebuild(struct tree *tree, const struct made *groups, size_t group_count);

/* Why the leaves did not fold, one clause a leaf. */
const char *sum_explain(const struct tree *tree);

#endif
