/* verify/whole.c: runs both whole models in parallel, and judges the results.
 *
 * No inner value is random, so a caller would see the same: a difference is real, and sizes that are computed from
 * data fit it. */
#include "verify/whole.h"

#include <math.h>

#include "eval/eval.h"
#include "infer/constant.h"
#include "verify/compare.h"
#include "verify/measure.h"
#include "verify/whole_run.h"

enum {
    INPUTS_WANTED = 4,
    INPUTS_LEAST = 2,
    NODES_MOST = 20000, /* of both models: what is noted of each node stays until a run is over */
};

/* Kinds of integers, sizes, until both models take what is drawn. Sizes begin with *size. */
static const char *run_drawn(struct whole *whole, int trial, int *size)
{
    static const enum integers kinds[] = {INTEGERS_BITS, INTEGERS_WIDE, INTEGERS_SMALL, INTEGERS_FEW};
    static const double amplitudes[] = {1, 4, 0.25, 0};
    const char *reason = NULL;
    for (int i = 0; i < WHOLE_SIZES; i++) {
        int tried = (*size + i) % WHOLE_SIZES;
        for (int k = 0; k < (int)COUNT_OF(kinds); k++) {
            struct draw draw = {.trial = trial,
                                .seed = whole->verify->options->seed + (uint64_t)trial * 7919,
                                .amplitude = amplitudes[trial % (int)COUNT_OF(amplitudes)],
                                .integers = kinds[(trial + k) % (int)COUNT_OF(kinds)]};
            reason = whole_run(whole, tried, &draw);
            *size = tried;
            if (!reason)
                return NULL;
            const struct node *bad = whole->joint->bad;
            if (reason == eval_too_dear || (bad && !eval_knows(bad)))
                return reason;
            if (!whole->draws_integers)
                break;
        }
        if (!whole->is_open)
            break;
    }
    return reason;
}

/* Evaluates both models once more on an input, every result rounded to its type. */
static bool run_rounded(struct whole *whole, int trial, int size, int round)
{
    size_t departs_at = whole->departs_at;
    whole->joint->rounds = round;
    whole->departs_at = 0; /* of what is rounded, nothing is noted */
    bool rounded = !run_drawn(whole, trial, &size);
    whole->joint->rounds = 0;
    whole->departs_at = departs_at;
    return rounded;
}

static const struct array *output_array(const struct whole *whole, size_t output, int side)
{
    return joint_array(whole->joint, whole->verify->outputs[side][output]);
}

/* *most: the largest gap of all outputs. */
static bool pools_agree(const struct verify *verify, const struct joint_pool *pools, double tolerance, double *most)
{
    bool agree = true;
    *most = 0;
    for (size_t i = 0; i < verify->output_count; i++) {
        const struct gap gap = joint_pool_compare(&pools[i]);
        agree = agree && verify_within(verify, &gap, tolerance);
        *most = fmax(*most, gap.ratio);
    }
    return agree;
}

/* Evaluates a difference once more with rounding, because sums that cancel may differ by their rounding error. For
 * channels of few numbers one run is not enough, so several are combined. FOUND_NOTHING: only `small` channels
 * differ, and their rounding error cannot be evaluated. */
static enum finding judge_noise(struct whole *whole, int trial, int size, struct joint_pool *pools, bool small,
                                bool thin, double tolerance)
{
    struct verify *verify = whole->verify;
    enum finding otherwise = small ? FOUND_NOTHING : FOUND_DIFFERENT;
    double before, left;
    int unmoved = 0;
    for (int runs = thin ? JOINT_RUNS : 1;;) {
        pools_agree(verify, pools, tolerance, &before);
        for (int round = 1; round <= JOINT_ROUNDS; round++) {
            if (!run_rounded(whole, trial, size, round))
                return otherwise;
            for (size_t i = 0; i < verify->output_count; i++)
                joint_pool_round(&pools[i], output_array(whole, i, 0), output_array(whole, i, 1));
            if (pools_agree(verify, pools, tolerance, &left))
                return FOUND_EQUAL;
            if (left > NOISE_UNMOVED * before) {
                unmoved++;
                break;
            }
        }
        trial += JOINT_ALIKE;
        if (--runs == 0 || verify_is_plain(left, tolerance, unmoved))
            return FOUND_DIFFERENT;
        if (run_drawn(whole, trial, &size))
            return otherwise;
        for (size_t i = 0; i < verify->output_count; i++)
            if (!joint_pool_add(&pools[i], output_array(whole, i, 0), output_array(whole, i, 1)))
                return otherwise;
    }
}

/* Compares the outputs of one run: FOUND_EQUAL where they agree. */
static enum finding compare_run(struct whole *whole, int trial, int size)
{
    struct verify *verify = whole->verify;
    double tolerance = verify_tolerance(verify, whole->type);
    struct joint_pool *pools = NEW_ARRAY(verify->cones, struct joint_pool, verify->output_count);
    bool agree = true, exact = true, thin = true, small = true;
    for (size_t i = 0; i < verify->output_count; i++) {
        pools[i] = joint_pool(verify->cones, output_array(whole, i, 0), output_array(whole, i, 1));
        struct gap gap = joint_compare(pools[i].left, pools[i].right, NULL);
        bool plain = gap.ratio > tolerance; /* beside all channels, too */
        gap.ratio = gap.alone;
        whole->shows[i] = whole->shows[i] || (!gap.constant && !gap.silent);
        if (verify_within(verify, &gap, tolerance)) {
            whole->largest = fmax(whole->largest, gap.ratio);
            continue;
        }
        agree = false;
        exact = exact && gap.same_shape && !gap.of_integers && !verify_is_beyond(verify, &gap);
        small = small && !plain;
        thin = thin && !plain && joint_pool_is_thin(&pools[i]);
        if (!verify->result->departs)
            verify_depart(verify, verify->outputs[0][i], verify->outputs[1][i], &gap, whole->joint);
    }
    if (agree || !exact)
        return agree ? FOUND_EQUAL : FOUND_DIFFERENT;
    return judge_noise(whole, trial, size, pools, small, thin, tolerance);
}

static void note_type(struct whole *whole, const struct value *value)
{
    int32_t type = value ? value->type : 0;
    if (type_is_float(type) && (!whole->type || type_rounding(type) > type_rounding(whole->type)))
        whole->type = type;
}

static void note_types(struct whole *whole)
{
    for (int side = 0; side < 2; side++) {
        const struct graph *graph = whole->graphs[side];
        for (size_t i = 0; i < graph_input_count(graph); i++)
            note_type(whole, graph_input(graph, i));
        for (size_t i = 0; i < graph->initializers.count; i++)
            note_type(whole, graph->initializers.items[i]);
        for (size_t i = 0; i < graph->order.count; i++)
            for (size_t k = 0; k < graph->order.items[i]->output_count; k++)
                note_type(whole, graph->order.items[i]->outputs[k]);
    }
}

/* Bodies of either model, but those of an If that always chooses the same. */
static bool is_chosen(const struct graph *graph)
{
    const struct tensor *condition;
    const struct node *owner = graph->owner;
    return owner && (owner->op != OP_If || !node_input(owner, 0) || constant_of(owner->inputs[0], &condition) != NULL);
}

static void forget_runs(const struct whole *whole)
{
    for (int side = 0; side < 2; side++) {
        const struct model *model = whole->graphs[side]->model;
        for (size_t i = 0; i < model->graphs.count; i++)
            model->graphs.items[i]->was_run = false;
    }
}

static bool all_have_run(const struct whole *whole)
{
    for (int side = 0; side < 2; side++) {
        const struct model *model = whole->graphs[side]->model;
        for (size_t i = 0; i < model->graphs.count; i++)
            if (is_chosen(model->graphs.items[i]) && !model->graphs.items[i]->was_run)
                return false;
    }
    return true;
}

/* NULL, or why the models are not evaluated. */
static const char *start_whole(struct whole *whole, struct verify *verify, struct graph *const graphs[2])
{
    *whole = (struct whole){.verify = verify,
                            .joint = &verify->checking,
                            .graphs = {graphs[0], graphs[1]},
                            .numbers = verify->numbering.entries.count};
    for (size_t i = 0; i < verify->output_count; i++)
        if (!verify->outputs[0][i] || !verify->outputs[1][i])
            return "nothing computes an output of the graph";
    if (graphs[0]->order.count + graphs[1]->order.count > NODES_MOST)
        return "the models have too many nodes to be evaluated whole";
    whole->joint->effort.products = fmin(effort_for(verify->arena->landing->input).products, BUDGET_VERIFY_WHOLE);
    whole->readers = NEW_ARRAY(verify->arena, uint32_t, whole->numbers);
    whole->shows = NEW_ARRAY(verify->arena, bool, verify->output_count + 1);
    note_types(whole);
    forget_runs(whole);
    return NULL;
}

/* True where an output is further apart than what its largest element allows. Notes which. */
static bool is_far_apart(struct whole *whole)
{
    struct verify *verify = whole->verify;
    double tolerance = verify_tolerance(verify, whole->type);
    for (size_t i = 0; i < verify->output_count; i++) {
        struct gap gap = joint_compare(output_array(whole, i, 0), output_array(whole, i, 1), NULL);
        gap.ratio = gap.difference > 0 ? gap.difference / gap.largest : 0;
        if (verify_within(verify, &gap, tolerance))
            continue;
        if (!verify->result->departs)
            verify_depart(verify, verify->outputs[0][i], verify->outputs[1][i], &gap, whole->joint);
        return true;
    }
    return false;
}

/* Evaluates both models on inputs until outputs differ or so many have agreed. FOUND_DIFFERENT: the first value that
 * departs is noted. Else *inputs is on how many they agreed, and *reason why on no more. */
static enum finding look(struct whole *whole, int wanted, int *inputs, const char **reason)
{
    struct verify_result *result = whole->verify->result;
    const struct verify_departure before = result->departure;
    bool departed = result->departs;
    double most = whole->joint->effort.products;
    int size = 0;
    for (*inputs = 0; *inputs < wanted; ++*inputs, size++) {
        if (*inputs >= INPUTS_LEAST && most - whole->joint->effort.products > BUDGET_VERIFY_INPUT)
            break;
        arena_reset(whole->verify->cones);
        whole->departs_at = SIZE_MAX;
        result->departs = false;
        const char *stopped = run_drawn(whole, *inputs, &size);
        if (stopped) {
            *reason = whole->joint->bad ? arena_copy(whole->verify->arena, stopped) : stopped;
            break;
        }
        enum finding finding = compare_run(whole, *inputs, size);
        if (finding == FOUND_DIFFERENT)
            return finding;
        if (finding == FOUND_NOTHING) {
            *reason = "outputs differ, and measuring how much of that is rounding would take too "
                      "long for a model of this size";
            *inputs = 0;
            break;
        }
    }
    result->departure = before;
    result->departs = departed;
    return FOUND_NOTHING;
}

/* The same on a little image, or where the models take none, on what they declare. FOUND_NOTHING: neither is taken. */
static enum finding glance(struct whole *whole, int trial)
{
    static const double amplitudes[] = {1, 4};
    struct verify *verify = whole->verify;
    const struct draw draw = {.trial = trial,
                              .seed = verify->options->seed + (uint64_t)trial * 7919,
                              .amplitude = amplitudes[trial],
                              .integers = INTEGERS_BITS};
    bool departs = verify->result->departs;
    arena_reset(verify->cones);
    whole->is_little = true;
    whole->departs_at = 0; /* nothing is noted */
    verify->result->departs = true;
    enum finding finding = whole_run(whole, 0, &draw) ? FOUND_NOTHING
                           : is_far_apart(whole)      ? FOUND_DIFFERENT
                                                      : FOUND_EQUAL;
    verify->result->departs = departs;
    whole->is_little = false;
    whole->departs_at = SIZE_MAX;
    return finding;
}

static bool is_far_apart_on(struct whole *whole, int trial)
{
    int size = 0;
    return glance(whole, trial) != FOUND_EQUAL && !run_drawn(whole, trial, &size) && is_far_apart(whole);
}

enum finding verify_glance(struct verify *verify, struct graph *const graphs[2])
{
    struct whole whole;
    int inputs;
    const char *reason = start_whole(&whole, verify, graphs);
    if (reason)
        return FOUND_NOTHING;
    double most = whole.joint->effort.products;
    enum finding finding = glance(&whole, 0);
    /* A channel that is small compared with others is compared alone, with its rounding error. */
    if (finding == FOUND_EQUAL && most - whole.joint->effort.products > BUDGET_VERIFY_GLANCE)
        return finding;
    finding = look(&whole, 1, &inputs, &reason);
    return finding == FOUND_NOTHING && inputs ? FOUND_EQUAL : finding;
}

bool verify_adds_up(struct verify *verify, struct graph *const graphs[2])
{
    struct whole whole;
    int inputs;
    const char *reason = start_whole(&whole, verify, graphs);
    if (reason || (!is_far_apart_on(&whole, 0) && !is_far_apart_on(&whole, 1)))
        return false;
    /* Who says what may differ is not asked what rounding leaves. */
    return verify->options->rtol > 0 || verify_whole(verify, graphs, &inputs, &reason) == FOUND_DIFFERENT;
}

enum finding verify_whole(struct verify *verify, struct graph *const graphs[2], int *inputs, const char **reason)
{
    struct whole whole;
    *inputs = 0;
    *reason = start_whole(&whole, verify, graphs);
    if (*reason || look(&whole, INPUTS_WANTED, inputs, reason) == FOUND_DIFFERENT)
        return *reason ? FOUND_NOTHING : FOUND_DIFFERENT;
    if (*inputs < INPUTS_LEAST)
        return FOUND_NOTHING;
    if (!all_have_run(&whole)) {
        *reason = "no input runs a body of If, Loop or Scan";
        return FOUND_NOTHING;
    }
    for (size_t i = 0; i < verify->output_count; i++)
        if (!whole.shows[i]) {
            *reason =
                arena_format(verify->arena, "all numbers of the output '%s' are the same", verify->outputs[1][i]->name);
            return FOUND_NOTHING;
        }
    verify->result->largest = fmax(verify->result->largest, whole.largest);
    verify->result->tolerance = fmax(verify->result->tolerance, verify_tolerance(verify, whole.type));
    return FOUND_EQUAL;
}

enum finding verify_given(struct verify *verify, struct graph *const graphs[2], const char **reason)
{
    struct whole whole;
    int size = 0;
    *reason = start_whole(&whole, verify, graphs);
    whole.takes_given = true;
    arena_reset(verify->cones);
    whole.departs_at = SIZE_MAX;
    verify->result->departs = false;
    if (!*reason)
        *reason = run_drawn(&whole, 0, &size);
    if (*reason)
        return FOUND_NOTHING;
    enum finding finding = compare_run(&whole, 0, size);
    if (finding == FOUND_NOTHING)
        *reason = "outputs differ, and measuring how much of that is rounding would take too long "
                  "for a model of this size";
    return finding;
}

void verify_layers(struct verify *verify, struct graph *const graphs[2])
{
    struct verify_result *result = verify->result;
    struct whole whole;
    int size = 0;
    const char *reason = start_whole(&whole, verify, graphs);
    whole.lists_layers = true;
    if (!reason) {
        arena_reset(verify->cones);
        whole.departs_at = 0; /* nothing else is noted */
        reason = run_drawn(&whole, 0, &size);
    }
    if (reason) {
        result->layers.count = 0;
        result->layers_reason = arena_copy(verify->arena, reason);
    }
}
