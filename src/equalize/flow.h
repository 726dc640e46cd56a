/* equalize/flow.h: what each operator does to the scales of its channels. */
#ifndef EQUALIZE_FLOW_H
#define EQUALIZE_FLOW_H

#include "equalize/classes.h"

/* Ties what the node reads to what it makes, or ends and begins classes, or pins them with the reason. */
void flow_through(struct classes *classes, struct node *node);

/* ---- equalize/classes.c, for the ops ---- */

int64_t class_root(struct classes *classes, int64_t index);
void classes_pin(struct classes *classes, const struct channels *channels, const struct node *node,
                 const char *reason);
/* True when nothing of it is scaled; also for NULL. */
bool classes_pinned(struct classes *classes, const struct channels *channels);
void classes_tie(struct classes *classes, struct channels *a, int64_t i, struct channels *b,
                 int64_t j);
/* The channels of a new value, on this axis. NULL where they are not known. */
struct channels *classes_give(struct classes *classes, struct value *value, int axis);

#endif
