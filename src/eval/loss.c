/* eval/loss.c: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss. */
#include "eval/loss.h"

#include <math.h>

#include "base/real.h"
#include "eval/move.h"

/* Scores are [batch, classes, positions...], labels the same without the classes. */
static const char *check_labels(struct evaluation *e, const struct array *in, const struct array *labels,
                                const struct array *weight)
{
    bool fits = array_is_real(in) && array_is_whole(labels) && in->rank >= 2 && labels->rank == in->rank - 1;
    for (int i = 0; fits && i < labels->rank; i++)
        fits = labels->dims[i] == in->dims[i ? i + 1 : 0];
    if (fits && weight)
        fits = array_is_real(weight) && weight->rank == 1 && weight->dims[0] == in->dims[1];
    return fits ? NULL
                : arena_format(e->arena, "labels %s for %s", array_shape(e->arena, labels), array_shape(e->arena, in));
}

/* The logarithm of Softmax over the classes, or the scores as they are. */
static void log_scores(const struct array *in, bool are_logarithms, struct array *out)
{
    int64_t classes = in->dims[1], inner = eval_extent(in->dims, 2, in->rank);
    for (int64_t line = 0; in->count && line < in->count / classes; line++) {
        int64_t first = line / inner * inner * classes + line % inner;
        double largest = -(double)INFINITY, sum = 0;
        for (int64_t c = 0; c < classes; c++)
            largest = fmax(largest, in->reals[first + c * inner]);
        for (int64_t c = 0; c < classes; c++)
            sum += real_exp(in->reals[first + c * inner] - largest);
        for (int64_t c = 0; c < classes; c++)
            out->reals[first + c * inner] =
                in->reals[first + c * inner] - (are_logarithms ? 0 : largest + real_log(sum));
    }
}

const char *eval_loss(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *labels = e->inputs[1], *weight = eval_input(e, 2);
    bool are_logarithms = e->node->op == OP_NegativeLogLikelihoodLoss;
    const char *reduction = node_string(e->arena, e->node, "reduction", "mean");
    bool has_ignored = node_attribute(e->node, "ignore_index") != NULL;
    int64_t ignored = node_integer(e->node, "ignore_index", 0);
    bool none = strcmp(reduction, "none") == 0;
    struct array *out, *scores;
    const char *reason = check_labels(e, in, labels, weight);
    if (!reason)
        reason = array_make(e->arena, e->pool, e->limit, in->type, in->rank, in->dims, &scores);
    if (!reason)
        reason = eval_result(e, in->type, none ? labels->rank : 0, labels->dims, &out);
    if (reason)
        return reason;
    log_scores(in, are_logarithms, scores);
    double sum = 0, weights = 0;
    int64_t classes = in->dims[1], inner = eval_extent(in->dims, 2, in->rank);
    for (int64_t i = 0; i < labels->count; i++) {
        int64_t label = labels->integers[i];
        if (has_ignored && label == ignored)
            continue;
        if (label < 0 || label >= classes)
            return arena_format(e->arena, "label %lld of %lld", (long long)label, (long long)classes);
        double share = weight ? weight->reals[label] : 1;
        double loss = -scores->reals[(i / inner * classes + label) * inner + i % inner] * share;
        sum += loss;
        weights += share;
        if (none)
            out->reals[i] = loss;
    }
    if (!none)
        out->reals[0] = strcmp(reduction, "sum") == 0 ? sum : sum / weights;
    if (!are_logarithms && e->node->output_count > 1)
        e->outputs[1] = scores;
    return NULL;
}
