/* fuse/lower.h: from an affine form back to ONNX: one Conv, one Gemm, or MatMul and Add. */
#ifndef FUSE_LOWER_H
#define FUSE_LOWER_H

#include "fuse/region.h"

struct lowering {
    struct region *region; /* walked: the ops to remove, with their cost */
    struct value *source;
    const struct affine *form;
    int32_t type; /* element type that the ops fix; 0: the source's */
    bool sized;
    struct value *target;     /* keeps its name and readers; NULL: a new value */
    const struct term *terms; /* the summands of a new target */
    size_t term_count;
    const struct node *at;       /* whose position the new ops take */
    int64_t spared;              /* further removed ops outside the region */
    double spared_multiply_adds; /* and what they cost */
    size_t spared_vectors;       /* constants that they add, which become bias */
    bool probe;                  /* only decides: makes nothing, does not set *result */
};

/* Decides about the rewrite and makes it. Nothing changes before every condition holds. Returns NULL and the fusion
 * in *result, or the reason why not. */
const char *lower(struct plan *plan, const struct lowering *lowering, struct fusion **result);

/* The gate for stored bytes: new constants against constants without readers. With `few`, removed ops may pay for a
 * few more bytes. */
const char *gate_bytes(struct plan *plan, const struct region *region, double bytes, bool few);

/* The reason why this many new weights of a type, or the effort to compute them, is too much for a model of this
 * size; otherwise NULL. */
const char *lower_bound(const struct plan *plan, double weights, int32_t type, double effort);

/* Adds the rewrite to the plan. */
struct fusion *lower_record(struct plan *plan, const struct lowering *l, const struct affine *form, int32_t type);

/* A tensor that the writer computes from a form: its kernel or its bias. */
struct tensor *lower_tensor(struct arena *arena, int32_t type, int rank, const int64_t *dims, const struct affine *form,
                            enum fused_part part);

/* Removes the ops of the region from the index. */
void lower_remove_replaced(const struct region *region);

#endif
