/* fuse/lower_transpose.h: ConvTranspose with what follows it, and sums of them. */
#ifndef FUSE_LOWER_TRANSPOSE_H
#define FUSE_LOWER_TRANSPOSE_H

#include "fuse/region.h"

/* y = ConvTranspose(source). Its weight, [inputs, outputs / groups, taps...], is the kernel of the Conv that goes back from
 * y to the source, the adjoint: that is a form as any other, on a lattice of its own. */
struct transposed {
    struct value *source;
    const struct affine *adjoint; /* its outputs are the inputs; `end` is less by output_padding */
    int64_t outputs;              /* channels of y */
    const double *bias;           /* as many, or NULL */
    int32_t type;
    bool is_placed; /* the adjoint's padding is known: it does not follow from extents */
};

/* All return NULL, or the reason why not. */
const char *transposed_lift(struct node *node, struct transposed *t);
/* True for a form that takes channels, each at most once: those of a ConvTranspose may be taken so. */
bool transposed_takes(struct arena *arena, const struct affine *after);
/* y = after(ConvTranspose(source)), of a form that treats every position by itself. */
const char *transposed_after(struct arena *arena, struct transposed *t, const struct affine *after);
/* y = ConvTranspose(scale * source): one number for each channel of the source. */
const char *transposed_before(struct arena *arena, struct transposed *t, const double *scale);
/* The sum of factor * ConvTranspose, all of one source and extent, on the lattice that has them all. */
const char *transposed_join(struct arena *arena, const struct transposed *parts, const double *factors, size_t count,
                            struct transposed *sum);

/* One ConvTranspose that makes `target`. node: whose name and attributes it takes. multiply_adds: per position of the
 * source, of the ones replaced. is_moved: its lattice is another than the node's. */
const char *lower_conv_transpose(struct plan *plan, struct region *region, struct node *node,
                                 const struct transposed *t, double multiply_adds, bool is_moved, struct value *target,
                                 struct fusion **result);

#endif
