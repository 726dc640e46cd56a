/* verify/measure.c: two values evaluated side by side on random inputs, until they differ or enough of
 * them have agreed. */
#include "verify/measure.h"

#include <math.h>

#include "verify/compare.h"
#include "verify/cone.h"
#include "verify/draw.h"

enum {
    TRIALS_HIDDEN = 8,  /* random inputs where an operator hides differences: of every amplitude */
    TRIALS_OUTPUTS = 3, /* that outputs are compared on */
    TRIALS_SIZES = 32,  /* at most, where windows take steps over an open size: each rest of it */
    NUMBERS_LEAST = 48, /* numbers that are drawn and compared, for this many trials */
    TRIALS_DOUBTED = 8  /* the same behind values that depart */
};
/* Multiply-adds and elements of sources that cost next to nothing. */
#define PRODUCTS_FEW 2e6
#define ELEMENTS_FEW 1e5

double cone_declared(const struct cone *cone)
{
    double total = 0;
    for (size_t i = 0; i < cone->sources.count; i++) {
        const struct value *source = cone->sources.items[i];
        double count = 1;
        if (source->rank < 0)
            return -1;
        for (int k = 0; k < source->rank; k++)
            count *= source->dims[k] < 0 ? 2 : (double)source->dims[k];
        total += count;
    }
    return total;
}

/* The same as they were drawn last. */
static double count_drawn(const struct cone *cone, const struct joint_eval *joint)
{
    double total = 0;
    for (size_t i = 0; i < cone->sources.count; i++) {
        const struct array *array = joint_array(joint, cone->sources.items[i]);
        total += array ? (double)array->count : 0;
    }
    return total;
}

/* Compares a pair on one random input. A difference at some image size does not count if the pair agrees at the only
 * size that the models accept. */
static const char *measure_once(struct verify *verify, const struct cone *cone, const struct graph *graph,
                                struct value *left, struct value *right, int trial, struct gap *gap)
{
    struct joint_eval *joint = &verify->checking;
    double tolerance = verify_tolerance(verify, cone->type), products = joint->products;
    const char *reason = verify_compare(verify, cone, graph, left, right, trial, 0, gap);
    if (reason)
        return reason;
    double drawn = count_drawn(cone, joint), declared = cone_declared(cone);
    products = (joint->products - products) * (drawn > 0 ? declared / drawn : 1);
    if (verify_within(verify, gap, tolerance) || declared < 0 || products > BUDGET_VERIFY_ONCE)
        return NULL;
    struct gap whole;
    reason = verify_compare(verify, cone, graph, left, right, trial, CONE_SIZES - 1, &whole);
    if (reason)
        return reason;
    *gap = whole;
    return NULL;
}

/* False if they differ at the declared size, as far as it is known. The check runs if it is cheap; if operators
 * depend on the size, it may cost more. */
static bool agrees_as_declared(struct verify *verify, const struct cone *cone, const struct graph *graph,
                               struct value *left, struct value *right, double tolerance)
{
    struct joint_eval *joint = &verify->checking;
    double declared = cone_declared(cone), products = joint->products;
    double most = cone->by_size ? BUDGET_VERIFY_ONCE / 4 : PRODUCTS_FEW;
    if (declared < 0 || (!cone->by_size && declared > ELEMENTS_FEW) ||
        verify_evaluate(verify, joint, cone, graph, left, right, 0, 0))
        return true;
    double drawn = count_drawn(cone, joint);
    products = (joint->products - products) * (drawn > 0 ? declared / drawn : 1);
    struct gap gap;
    if (products > most || verify_compare(verify, cone, graph, left, right, 0, CONE_SIZES - 1, &gap))
        return true;
    return verify_within(verify, &gap, tolerance);
}

/* Records a region that was found equal. */
struct pair {
    struct cone cone; /* of both sides */
    const struct graph *graph;
    struct value *left, *right;
    size_t left_ops;
};

static struct pair pair_of(struct verify *verify, const struct cone *cone, const struct graph *graph,
                           struct value *left, struct value *right)
{
    struct pair pair = {.graph = graph, .left = left, .right = right};
    pair.cone = cone_join(verify, graph, cone, left, &pair.left_ops);
    return pair;
}

static int trials_of(const struct verify *verify, const struct cone *cone, const struct graph *graph)
{
    int trials = verify->options->trials;
    if (cone->stride > trials && cone_is_open(verify, cone, graph))
        trials = (int)least(cone->stride, TRIALS_SIZES);
    if (cone->saturates && trials < TRIALS_HIDDEN)
        trials = TRIALS_HIDDEN;
    if (verify->unresolved && trials < TRIALS_DOUBTED)
        trials = TRIALS_DOUBTED;
    return trials;
}

static void note_region(struct verify *verify, const struct pair *pair, double difference, int trials)
{
    struct verify_region *region = NEW(verify->arena, struct verify_region);
    *region = (struct verify_region){.left = pair->left, .right = pair->right, .trials = trials};
    region->difference = difference;
    region->right_ops = pair->cone.nodes.count;
    region->left_ops = pair->left_ops;
    LIST_PUSH(verify->arena, &verify->result->regions, region);
    verify->result->largest = fmax(verify->result->largest, difference);
    verify->result->tolerance = fmax(verify->result->tolerance, verify_tolerance(verify, pair->cone.type));
}

/* The fewest numbers of one value that the last trial has drawn or compared. */
static int64_t numbers_seen(const struct verify *verify, const struct pair *pair)
{
    const struct joint_eval *joint = &verify->checking;
    const struct array *array = joint_array(joint, pair->right);
    int64_t fewest = array ? array->count : 0;
    for (size_t i = 0; i < pair->cone.sources.count; i++) {
        array = joint_array(joint, pair->cone.sources.items[i]);
        fewest = array && array->count < fewest ? array->count : fewest;
    }
    return fewest;
}

/* True when what was seen may agree by chance, and one more trial is worth its cost. */
static bool is_little(const struct verify *verify, const struct cone *cone, int64_t numbers, int trial, double products)
{
    return cone->sources.count > 0 && trial < NUMBERS_LEAST && (numbers < NUMBERS_LEAST || !cone_has_run(cone)) &&
           verify->checking.products - products < BUDGET_VERIFY_ONCE / 4 && !verify_is_spent(verify, 0.5);
}

/* Runs trial number *made. True: it agrees. */
static bool take_gap(const struct verify *verify, const struct gap *found, double tolerance, struct gap *gap, int *made)
{
    bool agrees = verify_within(verify, found, tolerance);
    bool constant = found->constant && (!*made || gap->constant);
    bool silent = found->silent && (!*made || gap->silent);
    if (!*made || !agrees || found->ratio > gap->ratio)
        *gap = *found;
    gap->constant = constant;
    gap->silent = silent;
    ++*made;
    return agrees;
}

/* Trials from number `first` on until one does not agree, and all rows of tables. A few numbers agree by
 * chance: then there are more trials. *gap is the largest of the *made ones; that of the last where it
 * does not agree. Returns NULL, or why one more could not be made. */
static const char *measure_trials(struct verify *verify, const struct pair *pair, int first, int trials,
                                  struct gap *gap, int *made)
{
    const struct cone *cone = &pair->cone;
    double tolerance = verify_tolerance(verify, cone->type);
    double products = verify->checking.products;
    int64_t numbers = 0; /* seen so far */
    struct gap found;
    const char *reason;
    *made = 0;
    for (size_t i = 0; i < cone->bodies.count; i++)
        cone->bodies.items[i]->was_run = false;
    for (int trial = first; trial < trials || (trials > 1 && is_little(verify, cone, numbers, trial, products));
         trial++) {
        reason = measure_once(verify, cone, pair->graph, pair->left, pair->right, trial, &found);
        if (reason || !take_gap(verify, &found, tolerance, gap, made))
            return reason;
        numbers += numbers_seen(verify, pair);
    }
    /* Random rows of a table, or the first ones, say nothing about the others. */
    if (cone->rows) {
        reason = verify_compare_rows(verify, cone, pair->graph, pair->left, pair->right, &found);
        if (reason || !take_gap(verify, &found, tolerance, gap, made))
            return reason;
    }
    if (!cone->length || !cone_is_open(verify, cone, pair->graph))
        return NULL;
    reason = verify_compare_length(verify, cone, pair->graph, pair->left, pair->right, &found);
    if (!reason)
        take_gap(verify, &found, tolerance, gap, made);
    return reason;
}

bool verify_confirm(struct verify *verify, struct cone *right_cone, const struct graph *graph, struct value *left,
                    struct value *right, const struct gap *first)
{
    struct pair pair = pair_of(verify, right_cone, graph, left, right);
    const struct cone *cone = &pair.cone;
    double tolerance = verify_strict_tolerance(verify, cone->type);
    int trials = trials_of(verify, cone, graph), made;
    struct gap gap = *first;
    if (cone_is_short(verify, cone, graph) || !agrees_as_declared(verify, cone, graph, left, right, tolerance))
        return false;
    /* If a channel agrees only relative to larger channels, it is compared again, more closely, and at sizes that
     * the first model requires. */
    bool again = first->alone > tolerance || cone->span > right_cone->span ||
                 memcmp(cone->extents, right_cone->extents, sizeof(cone->extents)) != 0;
    if (cone->sources.count && measure_trials(verify, &pair, !again, trials, &gap, &made))
        return false;
    if (!verify_within(verify, &gap, tolerance) || (first->silent && gap.silent) ||
        (cone->sources.count && !cone_has_run(cone)))
        return false;
    note_region(verify, &pair, fmax(first->ratio, gap.ratio), cone->sources.count ? trials : 1);
    return true;
}

/* "[0, 3, 1, 2] of [1, 8, 5, 6]" */
static const char *place_of(struct arena *arena, const struct array *array, int64_t at)
{
    struct array place = {.rank = array->rank};
    for (int i = array->rank - 1; i >= 0; i--) {
        place.dims[i] = array->dims[i] ? at % array->dims[i] : 0;
        at = array->dims[i] ? at / array->dims[i] : 0;
    }
    return arena_format(arena, "%s of %s", array_shape(arena, &place), array_shape(arena, array));
}

void verify_depart(struct verify *verify, const struct value *left, const struct value *right, const struct gap *gap,
                   const struct joint_eval *joint)
{
    struct verify_departure *departure = &verify->result->departure;
    const struct array *a = joint_array(joint, left), *b = joint_array(joint, right);
    if (verify->result->departs)
        return;
    verify->result->departs = true;
    *departure = (struct verify_departure){.left = left, .right = right};
    departure->same_shape = gap->same_shape;
    departure->difference = gap->same_shape ? gap->difference : (double)NAN;
    departure->largest = gap->same_shape ? gap->largest : (double)NAN;
    departure->left_number = gap->same_shape ? gap->left : (double)NAN;
    departure->right_number = gap->same_shape ? gap->right : (double)NAN;
    departure->at = gap->same_shape ? place_of(verify->arena, a, gap->at)
                                    : arena_format(verify->arena, "shapes %s and %s", array_shape(verify->arena, a),
                                                   array_shape(verify->arena, b));
}

static bool starts_inside(const struct cone *cone)
{
    for (size_t i = 0; i < cone->sources.count; i++)
        if (cone->sources.items[i]->producer)
            return true;
    return false;
}

/* FOUND_NOTHING with *reason NULL: they agree, but it may be by chance. */
static enum finding measure(struct verify *verify, const struct cone *right_cone, struct graph *graph,
                            struct value *left, struct value *right, bool brief, struct gap *gap, const char **reason)
{
    struct pair pair = pair_of(verify, right_cone, graph, left, right);
    const struct cone *cone = &pair.cone;
    int trials = trials_of(verify, cone, graph), made;
    trials = brief ? 1 : trials < TRIALS_OUTPUTS ? TRIALS_OUTPUTS : trials;
    *reason = measure_trials(verify, &pair, 0, trials, gap, &made);
    if (!made)
        return FOUND_NOTHING;
    bool whole = !*reason && !brief && !gap->constant && !gap->silent && !cone_is_short(verify, cone, graph) &&
                 cone_has_run(cone);
    *reason = NULL;
    if (!verify_within(verify, gap, verify_tolerance(verify, cone->type)))
        return FOUND_DIFFERENT;
    double tolerance = verify_strict_tolerance(verify, cone->type);
    if (!whole || !verify_within(verify, gap, tolerance) ||
        !agrees_as_declared(verify, cone, graph, left, right, tolerance))
        return FOUND_NOTHING;
    note_region(verify, &pair, gap->ratio, made);
    return FOUND_EQUAL;
}

/* Draws the value at which the last evaluation stopped from now on, if the first model has it too. False: it does
 * not. */
static bool close_bad(struct verify *verify, const struct graph *graph)
{
    const struct node *bad = verify->checking.bad;
    bool closed = false;
    for (size_t i = 0; bad && i < bad->output_count; i++) {
        const struct value *output = bad->outputs[i];
        if (!output || !verify_left(verify, value_number(output), graph) ||
            verify->closed_count == COUNT_OF(verify->closed))
            continue;
        if (verify_is_closed(verify, value_number(output)))
            return false;
        verify->closed[verify->closed_count++] = value_number(output);
        closed = true;
    }
    return closed;
}

/* Measures from as near the inputs of the graph as can be evaluated. */
static enum finding measure_whole(struct verify *verify, struct graph *graph, struct value *left, struct value *right,
                                  bool brief, struct cone *cone, struct gap *gap, const char **reason)
{
    enum finding finding = FOUND_NOTHING;
    do {
        verify->checking.bad = NULL;
        *reason = cone_make(verify, graph, right, 2, cone);
        if (!*reason)
            finding = measure(verify, cone, graph, left, right, brief, gap, reason);
    } while (*reason && close_bad(verify, graph));
    verify->closed_count = 0;
    return finding;
}

/* Numbers drawn for a value inside may be such as the models never have there: what departs is evaluated
 * from the inputs of the graph as well, where that can be done. */
static enum finding measure_again(struct verify *verify, struct graph *graph, struct value *left, struct value *right,
                                  bool brief, int attempt, struct cone *cone, struct gap *gap, const char **reason)
{
    enum finding finding = measure_whole(verify, graph, left, right, brief, cone, gap, reason);
    if (!*reason && (finding != FOUND_DIFFERENT || !cone_contradicts(verify, cone)))
        return finding;
    *reason = cone_make(verify, graph, right, attempt, cone); /* to report the observation */
    if (!*reason && cone_is_open(verify, cone, graph) && pair_of(verify, cone, graph, left, right).cone.by_size)
        *reason = "its windows depend on the size of an image, which is not known";
    return *reason ? FOUND_NOTHING : measure(verify, cone, graph, left, right, brief, gap, reason);
}

enum finding verify_measure(struct verify *verify, struct graph *graph, struct value *left, struct value *right,
                            bool brief)
{
    const char *reason = NULL, *first = NULL;
    for (int attempt = 0; attempt < CONE_ATTEMPTS; attempt++) {
        struct cone cone;
        struct gap gap;
        first = first ? first : reason; /* why the sources that contradict nothing were of no use */
        verify->checking.bad = NULL;
        reason = cone_make(verify, graph, right, attempt, &cone);
        if (reason)
            continue;
        /* If the first random numbers hide a difference, others may show it. */
        enum finding finding = measure(verify, &cone, graph, left, right, brief, &gap, &reason);
        if (reason)
            continue;
        if (finding == FOUND_DIFFERENT && cone_contradicts(verify, &cone)) {
            reason = first ? first
                           : "it depends on a value that ops compute from another one, and those "
                             "are not evaluated";
            continue;
        }
        if (finding == FOUND_DIFFERENT && starts_inside(&cone)) {
            finding = measure_again(verify, graph, left, right, brief, attempt, &cone, &gap, &reason);
            if (reason)
                continue;
        }
        if (finding == FOUND_DIFFERENT)
            verify_depart(verify, left, right, &gap, &verify->checking);
        return finding;
    }
    verify_note_blocker(verify, &verify->checking, right, reason);
    return FOUND_NOTHING;
}
