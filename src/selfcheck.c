/* selfcheck.c: a rewrite against the ops it replaces, before it is kept. */
#include <math.h>

#include "check.h"
#include "run.h"

static double tolerance_of(const struct run *run, int32_t type)
{
    if (run->options.tolerance > 0)
        return run->options.tolerance;
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16: return 1e-2;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16: return 6e-2;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE: return 1e-12;
    default: return 1e-5;
    }
}

/* Shape of a trial input: a few positions of output per axis, borders included, no two axes alike.
 * A rewrite that holds for the declared size only is tried at that size. */
static int trial_shape(const struct fusion *fusion, int trial, int64_t *dims)
{
    const struct value *source = fusion->source;
    if (fusion->layout == LAYOUT_MATRIX) {
        int rank = source->rank >= 2 && source->rank <= AFFINE_AXES ? source->rank : 2;
        for (int i = 0; i < rank - 1; i++)
            dims[i] = 2 + i + trial;
        dims[rank - 1] = fusion->channels;
        return rank;
    }
    int rank = fusion->axes + 2;
    bool declared = fusion->sized && source->rank == rank;
    dims[0] = declared && source->dims[0] > 0 ? source->dims[0] : 1;
    dims[1] = fusion->channels;
    for (int i = 0; i < fusion->axes; i++) {
        struct affine_axis axis = affine_axis_of(fusion->form, fusion->form->axes ? i : 0);
        int64_t span = affine_axis_high(axis) - axis.low + 1;
        int64_t size = 2 * axis.stride + 1 - axis.end;
        size = size < span ? span : size;
        size = size < 3 ? 3 : size;
        dims[2 + i] = size + (i + trial) % 3 + trial;
        if (declared && source->dims[2 + i] > 0)
            dims[2 + i] = source->dims[2 + i];
    }
    return rank;
}

enum { TRIALS = 2, MORE_TRIALS = 6 };

const char *selfcheck(struct run *run, struct fusion *fusion)
{
    int64_t dims[AFFINE_AXES + 2];
    const char *reason = NULL;
    int evaluated = 0;
    /* Sizes grow from trial to trial: ops between may need more than the smallest. */
    for (int trial = 0; trial < MORE_TRIALS && evaluated < TRIALS; trial++) {
        struct check_result result;
        struct check_case check = {.source = fusion->source,
                                   .target = fusion->target,
                                   .terms = fusion->terms.items,
                                   .term_count = fusion->terms.count,
                                   .shift = fusion->shift,
                                   .rank = trial_shape(fusion, trial, dims),
                                   .dims = dims,
                                   .channels = fusion->outputs,
                                   .seed = (uint64_t)trial + 1};
        check.channel_axis = fusion->layout == LAYOUT_CONV ? 1 : check.rank - 1;
        reason = check_region(&run->scratch, &check, &result);
        if (reason) {
            reason = arena_format(&run->arena, "the self-check cannot evaluate it: %s", reason);
        } else {
            evaluated++;
            fusion->difference = fmax(fusion->difference, result.difference);
            fusion->channels_checked = result.channels;
        }
        arena_reset(&run->scratch);
        if (fusion->sized)
            break;
    }
    if (!evaluated)
        return reason;
    double tolerance = tolerance_of(run, fusion->type);
    if (!isfinite(fusion->difference))
        return "its numbers are not finite: NaN or infinity in a weight, or larger than its type "
               "holds";
    if (fusion->difference <= tolerance)
        return NULL;
    return arena_format(&run->arena,
                        "the self-check found a relative difference of %.3g, more than %.3g",
                        fusion->difference, tolerance);
}
