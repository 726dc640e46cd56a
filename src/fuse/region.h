/* fuse/region.h: the ops a rewrite would replace, and what they cost. */
#ifndef FUSE_REGION_H
#define FUSE_REGION_H

#include "fuse/plan.h"

struct region {
    struct plan *plan;
    struct graph *graph;
    enum layout layout;
    struct value *source;
    struct value *const *kept; /* values that are needed although every reader of theirs may go */
    size_t kept_count;
    LIST(struct node *) nodes;   /* the nodes to remove: the data path and its inputs */
    LIST(struct node *) waiting; /* of the walk */
    size_t replaced;             /* removed ops on the data path */
    int64_t saved;               /* number of ops saved, set by the lowering */
    double multiply_adds;        /* of those, per output position of the seeds */
    double bytes;                /* of constants without readers once those ops are removed */
    double credit;               /* part of these for vectors that are shorter or stay for other ops */
    bool packed;                 /* some are stored as integers, in fewer bytes than as floats */
    struct value *shared;        /* a weight of these ops that stays for other readers, or NULL */
    int64_t most_parameters;     /* of the principal */
    struct node *principal;      /* the replaced op with the most weights, or NULL */
};

/* Walks from the seeds back to the source. `freed` ops count as replaced whatever their readers; with count_freed
 * they are visited and counted too. Afterwards, region_is_replaced answers for any node, until the next walk. */
void region_walk(struct region *region, struct value *const *seeds, size_t seed_count, struct node *const *freed,
                 size_t freed_count, bool count_freed);
/* Adds the constants that disappear with a node of the last walk to region->bytes, each once. region_walk does it
 * for all nodes that it lists. */
void region_count_constants(struct region *region, const struct node *node);
bool region_is_replaced(const struct region *region, const struct node *node);

/* Channels of a value under a layout, or -1 if unknown. */
int64_t region_channels(const struct value *value, enum layout layout);

#endif
