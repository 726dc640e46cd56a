/* fuse/lower.h: from an affine form back to ONNX: one Conv, one Gemm, or MatMul and Add. */
#ifndef FUSE_LOWER_H
#define FUSE_LOWER_H

#include "fuse/region.h"

struct lowering {
    struct region *region; /* walked: what goes, at what cost */
    struct value *source;
    const struct affine *form;
    int32_t type; /* element type the ops between fix; 0: the source's */
    bool sized;
    struct value *target;     /* keeps its name and readers; NULL: a new value */
    const struct term *terms; /* what a new target is the sum of */
    size_t term_count;
    const struct node *at;       /* whose position the new ops take */
    int64_t spared;              /* further ops that go without being in the region */
    double spared_multiply_adds; /* and what they cost */
    size_t spared_vectors;       /* constants that they added, which go into the bias */
    bool probe;                  /* only asks: nothing is made, *result is not set */
};

/* Decides and, when nothing speaks against it, makes the rewrite. Nothing changes before every
 * condition holds. Returns NULL and the fusion in *result, or the reason why not. */
const char *lower(struct plan *plan, const struct lowering *lowering, struct fusion **result);

/* What is stored replaces what nobody reads any more, in bytes. With `few`, a few more bytes may pay for ops
 * that go. */
const char *gate_bytes(struct plan *plan, const struct region *region, double bytes, bool few);

/* The reason why a rewrite with so many new weights of a type, and so much effort to compute them, is more than
 * a model of this size is worth; else NULL. */
const char *lower_bound(const struct plan *plan, double weights, int32_t type, double effort);

/* Enters the rewrite in the plan. */
struct fusion *lower_record(struct plan *plan, const struct lowering *l, const struct affine *form, int32_t type);

/* A tensor that the writer computes from a form: its kernel or its bias. */
struct tensor *lower_tensor(struct arena *arena, int32_t type, int rank, const int64_t *dims, const struct affine *form,
                            enum fused_part part);

/* Takes the ops of the region out of the index. */
void lower_remove_replaced(const struct region *region);

#endif
