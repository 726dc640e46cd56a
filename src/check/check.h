/* check/check.h: the self-check: the ops of the file against the ops that replace them.
 *
 * Both sides are evaluated by eval/eval.c on the same random input. The file's side follows
 * value.first_producer, the new side follows value.producer, both from a value of the file back to
 * the source, so the check covers every rewrite between them, however many passes made it. Of the
 * plan it takes the new ops and their weights, and nothing that was concluded about them.
 *
 * A rewrite that makes a part of a sum has a target that the file does not know. Then both sides go on
 * to the sum itself. The other parts of the sum need not be computed for that: on both sides each stands
 * for one random number, which numpy broadcasts to whatever shape they have. */
#ifndef CHECK_CHECK_H
#define CHECK_CHECK_H

#include "fuse/plan.h"

struct check_case {
    const struct value *source;
    /* All sources with their shapes, where there are several or they are no map of channels: then every channel is
     * evaluated. NULL: `source` alone. */
    const struct trial_source *sources;
    size_t source_count;
    const struct value *target;
    /* Values of the file that a target which the file does not know adds up: they are evaluated, where other
     * parts of the sum are not. */
    const struct term *terms;
    size_t term_count;
    bool moves; /* the new side is what the target's moved_producer makes */
    /* Shape of the random input: [batch, channels, spatial...], or [batch..., channels] */
    int rank;
    const int64_t *dims;
    int channel_axis; /* of source and target: 1, or the last axis for Gemm and MatMul */
    int64_t channels; /* of the target */
    uint64_t seed;
    int32_t type;          /* what results are rounded to */
    double tolerance;      /* what the difference will be held to */
    struct effort *effort; /* what it may cost; what it did cost is taken off. NULL: no bound */
};

struct check_result {
    double difference; /* largest of all channels: largest absolute difference / largest absolute output of
                          the channel, or what rounding leaves there where terms cancel */
    int64_t channels;  /* output channels that were compared: all of a small weight, some of a large */
};

struct check_region;

/* Finds what the case asks for. Returns NULL, or the reason why the region cannot be evaluated. Memory
 * comes from `arena`, which the caller frees. `check` is read by every trial. */
const char *check_begin(struct arena *arena, const struct check_case *check, struct check_region **begun);
/* Extents of the source that every window on the way from it to the target fits into, on either side, so that
 * each tap meets a number: one per spatial axis, at least 1. */
void check_spans(struct check_region *region, int axes, int64_t *spans);
/* One trial. Between trials the case's dims and seed may change, nothing else. Constants are read and
 * evaluated once for all of them. Returns NULL and the result, or the reason why not. A difference
 * that is not finite is reported as infinity. */
const char *check_try(struct check_region *region, struct check_result *result);

#endif
