/* fuse/trace.h: the values that a value is affine in, nearest first, each with the form between. */
#ifndef FUSE_TRACE_H
#define FUSE_TRACE_H

#include "fuse/step.h"

struct trace_entry {
    struct value *source;
    struct value *origin; /* not NULL: `source` is a Pad of it, and the form applies to that Pad only */
    const struct affine *form;
    int32_t type;
    bool sized;
};

struct trace {
    const struct trace_entry *entries; /* the first is the value itself */
    size_t count;
    LIST(struct trace_entry) sources; /* the same, while it grows */
    const char *reason;               /* why it ends */
    const struct node *node;          /* where */
    int depth;                        /* where the walk that made it began */
    bool truncated;                   /* the walk was too long: a walk from a nearer value would find more */
};

/* Traces a value back to a bounded distance. Valid until the next lift_forget. */
const struct trace *lift_trace(struct value *value, enum layout layout);

/* Forgets all traces, because the graph changed. */
void lift_forget(struct model *model);
/* Also forgets the steps of nodes, because their inputs changed. */
void lift_forget_steps(struct model *model);
/* Also forgets why nodes are not affine, because more is known about their values. */
void lift_forget_reasons(struct model *model);

#endif
