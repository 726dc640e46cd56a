/* passes/turn.h: finds values that already exist in another order of axes. */
#ifndef PASSES_TURN_H
#define PASSES_TURN_H

#include "fuse/lane_axes.h"

enum { TURN_RANK = LANE_RANK, TURN_LANES = 8 };

/* A value in another order of axes: an existing value, and scales and shifts behind it. */
struct turned {
    struct value *value;
    struct value *source; /* the value from which it and the requested value are computed */
    bool is_undone;       /* a Transpose turned the source into the requested order */
    size_t lane_count;
    struct lane lanes[TURN_LANES]; /* in the requested order; the last op first */
    struct node *lane_ops[TURN_LANES];
};

/* The inverse of an order. */
void turn_back(const int *order, int rank, int *back);

/* Looks for the value in this order among existing values of the graph: the result of another Transpose than `turn`,
 * or the input of a Transpose before it, perhaps before ops that scale or shift and that no other op reads. */
bool turn_find(struct value *value, const int *order, const struct node *turn, struct turned *found);

#endif
