/* fuse/lift.h: the step of a node, by its operator. */
#ifndef FUSE_LIFT_H
#define FUSE_LIFT_H

#include "fuse/step.h"

/* Never NULL; kept with the node. */
const struct step *lift_node(struct node *node, enum layout layout);

/* True for Conv, Gemm and MatMul with a constant weight, AveragePool excluded. */
bool lift_is_weighted(struct node *node, enum layout layout);

/* True for ops whose input 1 is a weight, constant or not. */
bool lift_reads_weight(const struct node *node);

#endif
