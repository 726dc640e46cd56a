/* check/check.h: the self-check: the ops of the file against the ops that replace them.
 *
 * Both sides are evaluated by eval/eval.c on the same random input. The file's side follows
 * value.first_producer, the new side follows value.producer, both from a value of the file back to
 * the source, so the check covers every rewrite between them, however many passes made it. It takes only the new ops
 * and their weights from the plan, and no conclusions about them.
 *
 * If a rewrite makes a part of a sum, the file does not have its target. Then both sides continue to the sum itself.
 * The other parts of the sum are not computed: on both sides a random number replaces each, and broadcasts to its
 * shape. */
#ifndef CHECK_CHECK_H
#define CHECK_CHECK_H

#include "fuse/plan.h"

struct check_case {
    const struct value *source;
    /* All sources with their shapes, if there are several or the rewrite does not map channels: then every channel
     * is evaluated. NULL: only `source`. */
    const struct trial_source *sources;
    size_t source_count;
    const struct value *target;
    /* Values of the file that a target which the file does not know adds up: they are evaluated, where other
     * parts of the sum are not. */
    const struct term *terms;
    size_t term_count;
    bool moves; /* the new side is the result of the target's moved_producer */
    /* Shape of the random input: [batch, channels, spatial...], or [batch..., channels] */
    int rank;
    const int64_t *dims;
    int channel_axis; /* of source and target: 1, or the last axis for Gemm and MatMul */
    int64_t channels; /* of the target */
    uint64_t seed;
    int32_t type;          /* type to which results are rounded */
    double tolerance;      /* limit of the difference */
    struct effort *effort; /* budget, from which the cost is subtracted. NULL: unlimited */
};

struct check_result {
    double difference; /* largest of all channels: largest absolute difference / largest absolute output of
                          the channel, or the rounding error if terms cancel */
    int64_t channels;  /* compared output channels: all for a small weight, some for a large one */
};

struct check_region;

/* Prepares the check of a case. Returns NULL, or the reason why the region cannot be evaluated. Memory comes from
 * `arena`, which the caller frees. `check` is read by every trial. */
const char *check_begin(struct arena *arena, const struct check_case *check, struct check_region **begun);
/* Extents of the source into which every window between it and the target fits, on both sides, so that each tap
 * reads a number: one per spatial axis, at least 1. */
void check_spans(struct check_region *region, int axes, int64_t *spans);
/* One trial. Between trials the case's dims and seed may change, nothing else. Constants are read and
 * evaluated once for all of them. Returns NULL and the result, or the reason why not. A difference
 * that is not finite is reported as infinity. */
const char *check_try(struct check_region *region, struct check_result *result);

#endif
