/* fuse/lane.h: a scale and a shift along one axis of a value, and what ops that move or pool make of it.
 *
 * y = scale[c] * x + shift[c], where c is the position along `axis`. An op lets a lane through when it gives the
 * same whether the lane is applied before it or behind it; behind it the lane may lie along another axis, or be
 * wider, with each number repeated. */
#ifndef FUSE_LANE_H
#define FUSE_LANE_H

#include "model/model.h"

struct lane {
    int axis;            /* of the value it is applied to; -1: one number for all */
    int64_t width;       /* 1 where axis is -1 */
    const double *scale; /* `width` numbers */
    const double *shift; /* `width` numbers */
    struct value *data;  /* of lane_of: what the op scales and shifts */
};

/* What a Mul, Div, Add, Sub, Neg or BatchNormalization does to its data, if that is a lane: data is the other
 * operand, of known rank, and keeps its shape. Returns NULL, or the reason why not. Numbers live in the arena. */
const char *lane_of(struct node *node, struct lane *lane);

/* By another number than 1, in any channel; by another one than 0. */
bool lane_scales(const struct lane *lane);
bool lane_shifts(const struct lane *lane);
/* Scales by 1 and shifts by 0. */
bool lane_is_neutral(const struct lane *lane);

/* A lane on input `index` of the node, seen from its first output. NULL, or the reason why the node does not let
 * it through. */
const char *lane_forward(struct node *node, size_t index, const struct lane *in, struct lane *out);

/* The same of one output of a Split. */
const char *lane_part(struct node *split, size_t output, const struct lane *in, struct lane *out);

/* A lane on output `output` of the node, seen from input `index`. */
const char *lane_backward(struct node *node, size_t output, size_t index, const struct lane *in, struct lane *out);

#endif
