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
    LIST(struct node *) nodes;   /* those that would go: data path and what feeds it */
    LIST(struct node *) waiting; /* of the walk */
    size_t replaced;             /* ops on the data path that would go */
    int64_t saved;               /* fewer ops than before, set by who lowers it */
    double multiply_adds;        /* of those, per output position of the seeds */
    double bytes;                /* stored in constants that nobody reads once those ops are gone */
    double credit;               /* of these, for vectors that were shorter or stay for others */
    bool packed;                 /* some of it as integers, of fewer bytes than floats would take */
    struct value *shared;        /* a weight of theirs that others read, so that it stays; or NULL */
    int64_t most_parameters;     /* of the principal */
    struct node *principal;      /* the replaced op with the most weights, or NULL */
};

/* Walks from the seeds back to the source. `freed` ops are taken as replaced whoever reads them;
 * with count_freed they are walked through and counted as well. After it, region_is_replaced tells
 * of any node, until the next walk. */
void region_walk(struct region *region, struct value *const *seeds, size_t seed_count, struct node *const *freed,
                 size_t freed_count, bool count_freed);
/* Adds to region->bytes the constants that go with a node of the last walk, each of them once. region_walk
 * has done it for all nodes that it lists. */
void region_count_constants(struct region *region, const struct node *node);
bool region_is_replaced(const struct region *region, const struct node *node);

/* Channels of a value under a layout, or -1 where not known. */
int64_t region_channels(const struct value *value, enum layout layout);

#endif
