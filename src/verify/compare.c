/* verify/compare.c: two values evaluated side by side on one random input, and how far apart they are. */
#include "verify/compare.h"

#include <math.h>

#include "eval/eval.h"
#include "verify/draw.h"

double verify_tolerance(const struct verify *verify, int32_t type)
{
    return verify->options->rtol > 0 ? verify->options->rtol : type_tolerance(type);
}

double verify_strict_tolerance(const struct verify *verify, int32_t type)
{
    return verify_tolerance(verify, type) / (verify->unresolved ? 4 : 1);
}

bool verify_within(const struct verify *verify, const struct gap *gap, double tolerance)
{
    bool exact = gap->of_integers && verify->options->rtol <= 0;
    return gap->same_shape && (gap->ratio <= (exact ? 0 : tolerance) || gap->difference <= verify->options->atol);
}

bool verify_is_beyond(const struct verify *verify, const struct gap *gap)
{
    return verify->options->rtol > 0 && gap->difference > verify->options->rtol * gap->largest;
}

bool verify_is_plain(double ratio, double tolerance, int unmoved)
{
    enum { UNMOVED_ENOUGH = 3, TIMES = 4 };
    return unmoved >= UNMOVED_ENOUGH && ratio > TIMES * tolerance;
}

void verify_note_blocker(struct verify *verify, const struct joint_eval *joint, const struct value *value,
                         const char *reason)
{
    const struct node *bad = joint->bad;
    if (verify->blocker)
        return;
    verify->blocker =
        bad ? arena_format(verify->arena, "%s '%s', which makes '%s': %s",
                           bad->proto->op_type ? bad->proto->op_type : "", bad->proto->name ? bad->proto->name : "",
                           node_output(bad, 0) ? bad->outputs[0]->name : "", reason)
            : arena_format(verify->arena, "'%s': %s", value->name, reason);
}

enum integers verify_integers(const struct cone *cone, int trial, int attempt)
{
    /* Each trial begins with another kind: a mask is read as 0 or 1, a token as a row, a length as large. */
    static const enum integers first[] = {INTEGERS_WIDE, INTEGERS_SMALL, INTEGERS_BITS, INTEGERS_FEW};
    static const enum integers first_row[] = {INTEGERS_ROWS, INTEGERS_WIDE, INTEGERS_BITS};
    /* Kinds that fewer operators accept come first; later ones fit more operators but show less. */
    static const enum integers next[] = {INTEGERS_ROWS,  INTEGERS_WIDE, INTEGERS_MIDDLE,
                                         INTEGERS_SMALL, INTEGERS_FEW,  INTEGERS_BITS};
    int skipped = cone->rows ? 0 : 1;
    if (!cone->draws_integers)
        return attempt ? INTEGERS_KINDS : INTEGERS_BITS;
    if (attempt == 0)
        return cone->rows ? first_row[trial % (int)COUNT_OF(first_row)] : first[trial % (int)COUNT_OF(first)];
    attempt += skipped - 1;
    return attempt < (int)COUNT_OF(next) ? next[attempt] : INTEGERS_KINDS;
}

/* One evaluation of a pair on fresh numbers. `left` may be NULL: then `right` alone. */
static const char *evaluate_drawn(struct verify *verify, struct joint_eval *joint, const struct cone *cone,
                                  const struct graph *graph, struct value *left, struct value *right,
                                  const struct drawing *drawing)
{
    joint_reset(joint);
    const char *reason = cone_draw(verify, joint, cone, graph, drawing);
    if (!reason)
        reason = joint_evaluate(joint, right, CONE_MOST + 1);
    if (reason || !left)
        return reason;
    if (!cone->opens_all)
        return joint_evaluate(joint, left, HINT_MOST);
    /* Values that were found equal share a number, so each model computes its own from the inputs on. */
    struct array *array = joint_array(joint, right);
    joint_forget(joint);
    reason = cone_draw(verify, joint, cone, graph, drawing);
    if (!reason)
        reason = joint_evaluate(joint, left, HINT_MOST);
    if (!reason && value_number(right) != value_number(left))
        joint_put(joint, value_number(right), array);
    return reason;
}

/* The same with the first kind of integers that the operators accept. */
static const char *evaluate_integers(struct verify *verify, struct joint_eval *joint, const struct cone *cone,
                                     const struct graph *graph, struct value *left, struct value *right,
                                     struct drawing *drawing)
{
    const char *reason = NULL;
    for (int attempt = 0;; attempt++) {
        drawing->integers = verify_integers(cone, drawing->trial, attempt);
        if (drawing->integers == INTEGERS_KINDS)
            return reason;
        reason = evaluate_drawn(verify, joint, cone, graph, left, right, drawing);
        if (!reason)
            return NULL;
    }
}

const char *verify_evaluate(struct verify *verify, struct joint_eval *joint, const struct cone *cone,
                            const struct graph *graph, struct value *left, struct value *right, int trial, int size)
{
    const char *reason = NULL;
    /* Sizes that the first trial found are good for all. */
    for (int stretch = trial;; stretch = 0) {
        for (int i = size; i < CONE_SIZES; i++) {
            struct drawing drawing = {.trial = trial, .size = i, .stretch = stretch};
            reason = evaluate_integers(verify, joint, cone, graph, left, right, &drawing);
            if (!reason)
                return NULL;
            if (joint->bad && !eval_knows(joint->bad))
                return arena_copy(verify->arena, reason);
        }
        /* The reason lies in the joint's memory, which is emptied before anyone reads it. */
        if (stretch == 0)
            return arena_copy(verify->arena, reason);
    }
}

const char *verify_compare(struct verify *verify, const struct cone *cone, const struct graph *graph,
                           struct value *left, struct value *right, int trial, int size, struct gap *gap)
{
    struct joint_eval *joint = &verify->checking;
    double tolerance = verify_tolerance(verify, cone->type);
    const char *reason = verify_evaluate(verify, joint, cone, graph, left, right, trial, size);
    if (reason)
        return reason;
    const struct array *a = joint_array(joint, left), *b = joint_array(joint, right);
    *gap = joint_compare(a, b, NULL);
    bool plain = gap->ratio > tolerance; /* beside all channels, too */
    gap->ratio = gap->alone;
    if (verify_within(verify, gap, tolerance) || !gap->same_shape || !array_is_real(a) ||
        a->count > BUDGET_VERIFY_NOISE || verify_is_beyond(verify, gap))
        return NULL;
    struct joint_pool pool = joint_pool(cone->arena, a, b);
    int runs = !plain && joint_pool_is_thin(&pool) ? JOINT_RUNS : 1, unmoved = 0;
    for (;;) {
        for (int round = 1; round <= JOINT_ROUNDS; round++) {
            joint->rounds = round;
            reason = verify_evaluate(verify, joint, cone, graph, left, right, trial, size);
            joint->rounds = 0;
            if (reason) /* in small channels, that may be all there is */
                return plain ? NULL : reason;
            joint_pool_round(&pool, joint_array(joint, left), joint_array(joint, right));
            double before = gap->ratio;
            *gap = joint_pool_compare(&pool);
            if (verify_within(verify, gap, tolerance))
                return NULL;
            if (gap->ratio > NOISE_UNMOVED * before) {
                unmoved++;
                break;
            }
        }
        trial += JOINT_ALIKE;
        if (--runs == 0 || verify_is_plain(gap->ratio, tolerance, unmoved))
            return NULL;
        reason = verify_evaluate(verify, joint, cone, graph, left, right, trial, size);
        if (reason)
            return reason;
        if (!joint_pool_add(&pool, joint_array(joint, left), joint_array(joint, right)))
            return "its shape changes from input to input, so its few numbers cannot be pooled";
    }
}

const char *verify_compare_rows(struct verify *verify, const struct cone *cone, const struct graph *graph,
                                struct value *left, struct value *right, struct gap *gap)
{
    struct joint_eval *joint = &verify->checking;
    const struct drawing drawing = {.integers = INTEGERS_ROWS, .every_row = true};
    const char *reason = evaluate_drawn(verify, joint, cone, graph, left, right, &drawing);
    if (reason)
        return arena_copy(verify->arena, reason);
    *gap = joint_compare(joint_array(joint, left), joint_array(joint, right), NULL);
    return NULL;
}

const char *verify_compare_length(struct verify *verify, const struct cone *cone, const struct graph *graph,
                                  struct value *left, struct value *right, struct gap *gap)
{
    struct joint_eval *joint = &verify->checking;
    const char *reason = NULL;
    /* All open axes but the batch; or one of them, where the others have another meaning. */
    for (int axis = -1; axis < EVAL_RANK; axis++)
        for (int attempt = 0;; attempt++) {
            const struct drawing drawing = {
                .integers = verify_integers(cone, 0, attempt), .is_long = true, .axis = axis};
            if (drawing.integers == INTEGERS_KINDS)
                break;
            reason = evaluate_drawn(verify, joint, cone, graph, left, right, &drawing);
            if (reason)
                continue;
            *gap = joint_compare(joint_array(joint, left), joint_array(joint, right), NULL);
            return NULL;
        }
    return arena_copy(verify->arena, reason);
}
