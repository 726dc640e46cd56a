/* lower.h: from an affine form back to ONNX: one Conv, one Gemm, or MatMul and Add. */
#ifndef LOWER_H
#define LOWER_H

#include "plan.h"
#include "region.h"

struct lowering {
    struct region *region; /* walked: what goes, at what cost */
    struct value *source;
    const struct affine *form;
    int32_t type; /* element type the ops between fix; 0: the source's */
    bool sized;
    struct value *target;          /* keeps its name and readers; NULL: a new value */
    const struct step_term *terms; /* what a new target is the sum of */
    size_t term_count;
    const struct node *at;       /* whose position the new ops take */
    size_t spared;               /* further ops that go without being in the region */
    double spared_multiply_adds; /* and what they cost */
    size_t spared_vectors;       /* constants that they added, which go into the bias */
    bool probe;                  /* only asks: nothing is made, *result is not set */
};

/* Decides and, when nothing speaks against it, makes the rewrite. Nothing changes before every
 * condition holds. Returns NULL and the fusion in *result, or the reason why not. */
const char *lower(struct plan *plan, const struct lowering *lowering, struct fusion **result);

/* ConvTranspose with its output channels scaled and shifted and its input channels scaled.
 * before: `inputs` numbers or NULL. after: a diagonal form. */
const char *lower_conv_transpose(struct plan *plan, struct region *region, struct node *node,
                                 struct value *source, const double *before,
                                 const struct affine *after, struct value *target,
                                 struct fusion **result);

#endif
