/* fuse/step.h: what one node does to its data input, as a form, or why it is not affine. */
#ifndef FUSE_STEP_H
#define FUSE_STEP_H

#include "affine/form.h"
#include "model/model.h"

/* The ends of reasons that come from the network itself, where no user could want anything folded. The last one is a
 * beginning. plan_refuse recognises the kind of a refusal by these words. */
#define REASON_NOT_LINEAR "is not a linear op"
#define REASON_NOT_ONE_CONSTANT "so it is not linear"
#define REASON_ONE_OP_WHILE_WHOLE "runtimes compute as one op while it is whole"
#define REASON_NO_TWO_BRANCHES "no two branches are linear in the same value"
#define REASON_OTHER_SOURCES "the branches have different sources"
#define REASON_NOTHING_SAVED "no op would be saved"
#define REASON_CANNOT_MOVE "it cannot move "
/* In the refusal of a sum, this precedes the reason of each branch. */
#define REASON_OF_BRANCH "; branch "

/* The axis of the channels of a value. */
enum layout {
    LAYOUT_CONV,  /* axis 1, then at least one spatial axis: Conv and what surrounds it */
    LAYOUT_MATRIX /* the last axis: Gemm, MatMul */
};

struct term {
    struct value *value;
    double factor;
};

struct term_list {
    struct term *items;
    size_t count, room;
};

struct step {
    const char *reason; /* not NULL: the node is not affine, and why */
    /* one input: y = form(input) */
    struct value *input;
    const struct affine *form;
    /* several: y = form(sum of factor * value); constants among the operands went into form */
    struct term *terms;
    size_t term_count;
    bool stacks; /* y = form(the channels of one term after those of the other): Concat */
    /* nodes between input and this one, if the step spans several */
    struct node **passed;
    size_t passed_count;
    int32_t type;        /* element type that this op requires; 0: any */
    bool sized;          /* holds for the declared input size only */
    bool is_made;        /* by the rewrite that made the node: it cannot be derived from the node */
    bool looks_back;     /* to ops before the node: another once the graph has changed */
    uint32_t stamp;      /* the graph's when it was found */
    bool is_part;        /* part of what the next op stands for: its reason stays, whatever is learned */
    struct step **parts; /* of a Split, which itself has a reason: the step of each output */
    int64_t parameters;  /* weights of the op, per channel where it is a per-channel constant */
};

/* The identity: one form, shared. */
const struct affine *lift_identity(struct model *model);

/* The spatial extents of a source, -1 if unknown, or NULL if none is known or they are disputed. */
const int64_t *lift_source_extent(const struct value *source, int axes);

struct text;
/* A form in a line, for people: "kernel 8 from 4, taps 3 from -1 by 1, stride 2". */
void step_print_form(struct text *text, const struct affine *form);

/* The reason why an op cannot be removed: other outputs, such as the mask of Dropout, are read. */
const char *only_first_is_needed(const struct node *node);

#endif
