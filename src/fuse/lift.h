/* fuse/lift.h: the step of a node, by its operator. */
#ifndef FUSE_LIFT_H
#define FUSE_LIFT_H

#include "fuse/step.h"

/* Never NULL; kept until it is forgotten. */
const struct step *lift_node(struct node *node, enum layout layout);
/* The step by which a value comes about, NULL where nothing that is looked at makes it: of a Split, the one of that output. */
const struct step *lift_maker(const struct value *value, enum layout layout);
/* The step of a node whatever it makes: of a Split, that of the first output. */
const struct step *lift_any(struct node *node, enum layout layout);
/* The same where somebody has asked for it or a rewrite has set it; else NULL. */
struct step *lift_known(const struct node *node, enum layout layout);
/* Sets what a rewrite knows of a node that it made. */
void lift_set(const struct node *node, enum layout layout, struct step *step);
/* Forgets all steps but those that are set, or only those that have a reason. Traces are made of them: callers
 * use lift_forget_steps and lift_forget_reasons. */
void lift_clear(struct model *model, bool only_reasons);

/* True for Conv, Gemm and MatMul with a constant weight, AveragePool excluded. */
bool lift_is_weighted(struct node *node, enum layout layout);

/* True for ops whose input 1 is a weight, constant or not. */
bool lift_reads_weight(const struct node *node);

#endif
