/* eval/detect.c: NonMaxSuppression: of boxes that overlap, the one with the best score. */
#include "eval/detect.h"

#include <math.h>
#include <stdlib.h>

struct candidate {
    double score;
    int64_t box;
};

/* The best score first, then the first box of equal ones; NaN last. */
static int by_score(const void *left, const void *right)
{
    const struct candidate *a = left, *b = right;
    bool later = b->score > a->score || (isnan(a->score) && !isnan(b->score));
    bool sooner = a->score > b->score || (isnan(b->score) && !isnan(a->score));
    return later != sooner ? later - sooner : (a->box > b->box) - (a->box < b->box);
}

/* The ends of a box along x and y. */
static void ends_of(const double *box, bool is_centred, float *low, float *high)
{
    for (int i = 0; i < 2; i++) {
        /* Corners are y and x, a centre is x and y with width and height. */
        float a = (float)box[is_centred ? i : 1 - i], b = (float)box[is_centred ? 2 + i : 3 - i];
        low[i] = is_centred ? a - b / 2 : a < b ? a : b;
        high[i] = is_centred ? a + b / 2 : a < b ? b : a;
    }
}

/* Which boxes are kept hangs on the last bit where two overlap by just the threshold: in float, as runtimes
 * compute it. */
static bool overlap(const double *one, const double *other, bool is_centred, float most)
{
    float low[2][2], high[2][2], common[2];
    ends_of(one, is_centred, low[0], high[0]);
    ends_of(other, is_centred, low[1], high[1]);
    for (int i = 0; i < 2; i++) {
        float begin = low[0][i] > low[1][i] ? low[0][i] : low[1][i];
        float end = high[0][i] < high[1][i] ? high[0][i] : high[1][i];
        if (!(end > begin))
            return false;
        common[i] = end - begin;
    }
    float both = common[0] * common[1];
    float first = (high[0][0] - low[0][0]) * (high[0][1] - low[0][1]);
    float second = (high[1][0] - low[1][0]) * (high[1][1] - low[1][1]);
    float all = first + second - both;
    return both > 0 && first > 0 && second > 0 && all > 0 && both / all > most;
}

struct selection {
    int64_t most;
    double least; /* scores must be above it, if has_least */
    bool has_least, is_centred;
    float overlap;
    LIST(int64_t) found; /* batch, class, box of each */
};

static void select_boxes(struct evaluation *e, struct selection *selection, int64_t batch, int64_t class,
                         struct candidate *candidates)
{
    const struct array *boxes = e->inputs[0], *scores = e->inputs[1];
    int64_t count = boxes->dims[1], left = 0, kept = 0;
    const double *box = boxes->reals + batch * count * 4;
    const double *score = scores->reals + (batch * scores->dims[1] + class) * count;
    for (int64_t i = 0; i < count; i++)
        if (!selection->has_least || score[i] > selection->least)
            candidates[left++] = (struct candidate){score[i], i};
    if (left > 1)
        qsort(candidates, (size_t)left, sizeof(*candidates), by_score);
    /* Those that are kept move to the front. */
    for (int64_t i = 0; i < left && kept < selection->most; i++) {
        bool covered = false;
        for (int64_t k = 0; k < kept && !covered; k++)
            covered = overlap(box + 4 * candidates[i].box, box + 4 * candidates[k].box, selection->is_centred,
                              selection->overlap);
        if (covered)
            continue;
        LIST_PUSH(e->arena, &selection->found, batch);
        LIST_PUSH(e->arena, &selection->found, class);
        LIST_PUSH(e->arena, &selection->found, candidates[i].box);
        candidates[kept++] = candidates[i];
    }
}

/* A single real of an input that may be left out. */
static const char *read_threshold(struct evaluation *e, size_t index, double *value, bool *there)
{
    const struct array *in = eval_input(e, index);
    *there = in && in->count > 0;
    if (*there && (!array_is_real(in) || in->count != 1))
        return arena_format(e->arena, "input %zu is not a single number", index);
    if (*there)
        *value = in->reals[0];
    return NULL;
}

const char *eval_non_max_suppression(struct evaluation *e)
{
    const struct array *boxes = e->inputs[0], *scores = e->inputs[1], *most = eval_input(e, 2);
    struct selection selection = {.is_centred = node_integer(e->node, "center_point_box", 0) != 0};
    double threshold = 0;
    bool there;
    if (!array_is_real(boxes) || boxes->rank != 3 || boxes->dims[2] != 4 || !array_is_real(scores) ||
        scores->rank != 3 || scores->dims[0] != boxes->dims[0] || scores->dims[2] != boxes->dims[1] ||
        (most && (!array_is_whole(most) || most->count > 1)))
        return arena_format(e->arena, "boxes of shape %s, scores of shape %s", array_shape(e->arena, boxes),
                            array_shape(e->arena, scores));
    const char *reason = read_threshold(e, 3, &threshold, &there);
    if (!reason)
        reason = read_threshold(e, 4, &selection.least, &selection.has_least);
    if (reason)
        return reason;
    int64_t count = boxes->dims[1], all = most && most->count ? most->integers[0] : 0;
    selection.overlap = (float)threshold;
    selection.most = all < 0 ? 0 : all < count ? all : count;
    if (!pool_affords(e->pool, 64 * (double)scores->count, 6 * (double)scores->count))
        return eval_too_dear;
    reason = eval_check_products(e, scores->count, selection.most, 8);
    if (reason)
        return reason;
    struct candidate *candidates = NEW_ARRAY(e->arena, struct candidate, count);
    for (int64_t n = 0; scores->count && selection.most && n < scores->dims[0]; n++)
        for (int64_t class = 0; class < scores->dims[1]; class ++)
            select_boxes(e, &selection, n, class, candidates);
    int64_t dims[] = {(int64_t)selection.found.count / 3, 3};
    struct array *out;
    reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 2, dims, &out);
    if (!reason && out->count)
        memcpy(out->integers, selection.found.items, selection.found.count * sizeof(int64_t));
    return reason;
}
