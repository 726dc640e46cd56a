/* passes/turn.h: values in another order of axes, where they are there anyway. */
#ifndef PASSES_TURN_H
#define PASSES_TURN_H

#include "fuse/lane.h"

enum { TURN_RANK = 16, TURN_LANES = 8 };

/* A value in another order of axes: one that is there, and scales and shifts that come behind it. */
struct turned {
    struct value *value;
    struct value *source; /* what it and the value asked for are computed from */
    bool is_undone;       /* a Transpose made the source into what was asked for */
    size_t lane_count;
    struct lane lanes[TURN_LANES]; /* in the order that was asked for; the last op first */
    struct node *lane_ops[TURN_LANES];
};

/* The axes of a Transpose of `rank` axes. False: it is none, or they are not known. */
bool turn_order(const struct node *node, int rank, int *order);

/* The opposite of an order. */
void turn_back(const int *order, int rank, int *back);

/* Looks for what a Transpose of this order would make of the value, by ops of the graph that are there: a Transpose of
 * it but `turn`, or one that it came by, perhaps in front of ops that scale or shift and that nothing else reads. */
bool turn_find(struct value *value, const int *order, const struct node *turn, struct turned *found);

#endif
