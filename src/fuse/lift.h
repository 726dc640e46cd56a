/* fuse/lift.h: the step of a node, by its operator. */
#ifndef FUSE_LIFT_H
#define FUSE_LIFT_H

#include "fuse/step.h"

/* Never NULL; stored until it is forgotten. */
const struct step *lift_node(struct node *node, enum layout layout);
/* The step that computes a value, or NULL; for a Split, the step of that output. */
const struct step *lift_maker(const struct value *value, enum layout layout);
/* The step of a node; for a Split, that of the first output. */
const struct step *lift_any(struct node *node, enum layout layout);
/* The same if it was requested before or set by a rewrite, otherwise NULL. */
struct step *lift_known(const struct node *node, enum layout layout);
/* Sets the step of a node that a rewrite made. */
void lift_set(const struct node *node, enum layout layout, struct step *step);
/* Forgets all steps except those that were set, or only those with a reason. Traces depend on them, so callers use
 * lift_forget_steps and lift_forget_reasons. */
void lift_clear(struct model *model, bool only_reasons);

/* True for Conv, Gemm and MatMul with a constant weight, AveragePool excluded. */
bool lift_is_weighted(struct node *node, enum layout layout);

/* True for ops whose input 1 is a weight, constant or not. */
bool lift_reads_weight(const struct node *node);

#endif
