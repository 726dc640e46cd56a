/* lift.h: from ONNX operators to affine forms.
 *
 * A step is what one node does to its data input. A trace lists, nearest first, the values that a
 * value is affine of, each with the form between them. */
#ifndef LIFT_H
#define LIFT_H

#include "affine.h"
#include "graph.h"

/* Where the channels of a value are. */
enum layout {
    LAYOUT_CONV,  /* axis 1, then at least one spatial axis: Conv and what surrounds it */
    LAYOUT_MATRIX /* the last axis: Gemm, MatMul */
};

struct step_term {
    struct value *value;
    double factor;
};

struct step {
    const char *reason; /* not NULL: the node is not affine, and why */
    /* one input: y = form(input) */
    struct value *input;
    const struct affine *form;
    /* several: y = form(sum of factor * value); constants among the operands went into form */
    struct step_term *terms;
    size_t term_count;
    /* nodes between input and this one, when the step spans several */
    struct node **passed;
    size_t passed_count;
    int32_t type;       /* element type that this op fixes; 0: none */
    bool sized;         /* holds for the declared input size only */
    bool is_part;       /* of what the next op stands for: its reason holds whatever is learned */
    int64_t parameters; /* weights of the op, per channel where it is a per-channel constant */
};

/* Never NULL; kept with the node. */
const struct step *lift_node(struct node *node, enum layout layout);

struct trace_entry {
    struct value *source;
    const struct affine *form;
    int32_t type;
    bool sized;
};

struct trace {
    const struct trace_entry *entries; /* the first is the value itself */
    size_t count;
    LIST(struct trace_entry) sources; /* the same, while it grows */
    const char *reason;               /* why it does not go on */
    const struct node *node;          /* where */
    int depth;                        /* where the walk that made it began */
    bool truncated; /* the walk was too long: from nearer by there would be more */
};

/* Traces a value back to a bounded distance. Valid until the next lift_forget. */
const struct trace *lift_trace(struct value *value, enum layout layout);
/* x as it is: one form for all that need it. */
const struct affine *lift_identity(struct model *model);
/* Forgets all traces, because the graph changed. */
void lift_forget(struct model *model);
/* And why nodes are not affine, because more is known of their values. */
void lift_forget_reasons(struct model *model);

/* True for Conv, Gemm and MatMul with a constant weight, AveragePool excluded. */
bool lift_is_weighted(struct node *node, enum layout layout);

/* True for ops whose input 1 is a weight, constant or not. */
bool lift_reads_weight(const struct node *node);

/* A per-channel constant operand of an elementwise op whose other operand is `data`. Returns NULL
 * and the number of channels (0: one number for all), or the reason why it is not per channel. */
const char *lift_channels(const struct value *data, struct value *operand, enum layout layout,
                          int64_t *channels, const double **numbers);

#endif
