/* fuse/lane.h: a scale and a shift along one axis of a value, and how they move past ops.
 *
 * y = scale[c] * x + shift[c], where c is the position along `axis`. A lane moves past an op if the result is the
 * same whether the lane is applied before or behind it; behind it the lane may lie along another axis, or be wider,
 * with each number repeated. */
#ifndef FUSE_LANE_H
#define FUSE_LANE_H

#include "model/model.h"

struct lane {
    int axis;            /* of the value it is applied to; -1: a single number */
    int64_t width;       /* 1 where axis is -1 */
    const double *scale; /* `width` numbers */
    const double *shift; /* `width` numbers */
    struct value *data;  /* of lane_of: what the op scales and shifts */
};

/* The lane that a Mul, Div, Add, Sub, Neg or BatchNormalization applies: data is the other operand, has a known
 * rank, and keeps its shape. Returns NULL, or the reason why not. Numbers live in the arena. */
const char *lane_of(struct node *node, struct lane *lane);

/* True if any channel has a scale other than 1; a shift other than 0. */
bool lane_scales(const struct lane *lane);
bool lane_shifts(const struct lane *lane);
/* Scales by 1 and shifts by 0. */
bool lane_is_neutral(const struct lane *lane);
/* All scales are above 0. */
bool lane_is_positive(const struct lane *lane);

/* New numbers for the width of the lane, in the arena: 1 and 0. */
void lane_make(struct arena *arena, struct lane *lane, double **scale, double **shift);
/* Each number `repeat` times, all of them `times` times. */
void lane_widen(struct arena *arena, struct lane *lane, int64_t times, int64_t repeat);
/* The inverse, to `width` numbers. False: numbers that would become one differ. */
bool lane_narrow(struct arena *arena, struct lane *lane, int64_t width, int64_t repeat);

/* lane_pass.c: */

/* Moves a lane from input `index` of the node to its first output. NULL, or the reason why it cannot move past the
 * node. */
const char *lane_forward(struct node *node, size_t index, const struct lane *in, struct lane *out);

/* The same to one output of a Split. */
const char *lane_part(struct node *split, size_t output, const struct lane *in, struct lane *out);

/* Moves a lane from output `output` of the node to input `index`. */
const char *lane_backward(struct node *node, size_t output, size_t index, const struct lane *in, struct lane *out);

#endif
