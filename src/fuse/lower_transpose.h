/* fuse/lower_transpose.h: ConvTranspose with the ops behind it, and sums of ConvTransposes. */
#ifndef FUSE_LOWER_TRANSPOSE_H
#define FUSE_LOWER_TRANSPOSE_H

#include "fuse/region.h"

/* y = ConvTranspose(source). Its weight, [inputs, outputs / groups, taps...], is the kernel of the adjoint, the Conv
 * from y back to the source. The adjoint is an ordinary form, with its own lattice. */
struct transposed {
    struct value *source;
    const struct affine *adjoint; /* its outputs are the inputs; `end` is reduced by output_padding */
    int64_t outputs;              /* channels of y */
    const double *bias;           /* as many, or NULL */
    int32_t type;
    bool is_placed; /* the adjoint's padding is known independently of extents */
};

/* All return NULL, or the reason why not. */
const char *transposed_lift(struct node *node, struct transposed *t);
/* True for a form that selects channels, each at most once, as a ConvTranspose allows. */
bool transposed_takes(struct arena *arena, const struct affine *after);
/* y = after(ConvTranspose(source)), for a form that keeps positions separate. */
const char *transposed_after(struct arena *arena, struct transposed *t, const struct affine *after);
/* y = ConvTranspose(scale * source): one number per channel of the source. */
const char *transposed_before(struct arena *arena, struct transposed *t, const double *scale);
/* The sum of factor * ConvTranspose, all with one source and extent, on a common lattice. */
const char *transposed_join(struct arena *arena, const struct transposed *parts, const double *factors, size_t count,
                            struct transposed *sum);

/* One ConvTranspose that computes `target`. node: provides its name and attributes. multiply_adds: of the replaced
 * ops, per position of the source. is_moved: its lattice differs from the node's. */
const char *lower_conv_transpose(struct plan *plan, struct region *region, struct node *node,
                                 const struct transposed *t, double multiply_adds, bool is_moved, struct value *target,
                                 struct fusion **result);

#endif
