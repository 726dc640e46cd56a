/* verify_measure.c: two values evaluated side by side on random inputs, until they differ or enough of
 * them have agreed. */
#include <math.h>
#include <string.h>

#include "verify_internal.h"

enum {
    TRIALS_HIDDEN = 8,  /* random inputs where an operator hides differences: of every amplitude */
    TRIALS_OUTPUTS = 3, /* that outputs are compared on */
    TRIALS_SIZES = 32,  /* at most, where windows take steps over an open size: each rest of it */
    NUMBERS_LEAST = 48, /* that are drawn, and that are compared, where there are so many trials */
    TRIALS_DOUBTED = 8  /* the same behind values that depart */
};
/* Multiply-adds of one comparison at the declared size: seconds. */
#define PRODUCTS_ONCE 4e9

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
    return gap->same_shape && gap->ratio <= (exact ? 0 : tolerance);
}

void verify_note_blocker(struct verify *verify, const struct joint_eval *joint,
                         const struct value *value, const char *reason)
{
    const struct node *bad = joint->bad;
    if (verify->blocker)
        return;
    verify->blocker = bad ? arena_format(verify->arena, "%s '%s', which makes '%s': %s",
                                         bad->proto->op_type ? bad->proto->op_type : "",
                                         bad->proto->name ? bad->proto->name : "",
                                         node_output(bad, 0) ? bad->outputs[0]->name : "", reason)
                          : arena_format(verify->arena, "'%s': %s", value->name, reason);
}

enum integers verify_integers(const struct cone *cone, int trial, int attempt)
{
    /* Each trial begins with another kind: a mask is read as 0 or 1, a token as a row, a length as large. */
    static const enum integers first[] = {INTEGERS_WIDE, INTEGERS_SMALL, INTEGERS_BITS,
                                          INTEGERS_FEW};
    static const enum integers first_row[] = {INTEGERS_ROWS, INTEGERS_WIDE, INTEGERS_BITS};
    /* What fits fewer operators comes before what fits more and shows less. */
    static const enum integers next[] = {INTEGERS_ROWS,  INTEGERS_WIDE, INTEGERS_MIDDLE,
                                         INTEGERS_SMALL, INTEGERS_FEW,  INTEGERS_BITS};
    int skipped = cone->rows ? 0 : 1;
    if (!cone->draws_integers)
        return attempt ? INTEGERS_KINDS : INTEGERS_BITS;
    if (attempt == 0)
        return cone->rows ? first_row[trial % (int)COUNT_OF(first_row)]
                          : first[trial % (int)COUNT_OF(first)];
    attempt += skipped - 1;
    return attempt < (int)COUNT_OF(next) ? next[attempt] : INTEGERS_KINDS;
}

/* One evaluation of a pair on fresh numbers. `left` may be NULL: then `right` alone. */
static const char *evaluate_drawn(struct verify *verify, struct joint_eval *joint,
                                  const struct cone *cone, const struct graph *graph,
                                  struct value *left, struct value *right,
                                  const struct drawing *drawing)
{
    joint_reset(joint);
    const char *reason = cone_draw(verify, joint, cone, graph, drawing);
    if (!reason)
        reason = joint_evaluate(joint, right, CONE_MOST + 1);
    if (!reason && left)
        reason = joint_evaluate(joint, left, HINT_MOST);
    return reason;
}

/* The same with the first kind of integers that the operators accept. */
static const char *evaluate_integers(struct verify *verify, struct joint_eval *joint,
                                     const struct cone *cone, const struct graph *graph,
                                     struct value *left, struct value *right,
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

const char *verify_evaluate(struct verify *verify, struct joint_eval *joint,
                            const struct cone *cone, const struct graph *graph, struct value *left,
                            struct value *right, int trial, int size)
{
    const char *reason = NULL;
    /* Sizes that the first trial found are good for all. */
    for (int stretch = trial;; stretch = 0) {
        for (int i = size; i < CONE_SIZES; i++) {
            struct drawing drawing = {.trial = trial, .size = i, .stretch = stretch};
            reason = evaluate_integers(verify, joint, cone, graph, left, right, &drawing);
            if (!reason)
                return NULL;
            if (joint->bad && (joint->bad->op == OP_UNKNOWN || joint->bad->body_count))
                return arena_copy(verify->arena, reason);
        }
        /* The reason lies in the joint's memory, which is emptied before anyone reads it. */
        if (stretch == 0)
            return arena_copy(verify->arena, reason);
    }
}

/* True for windows that lie otherwise where the size is another: what agrees on some sizes may differ
 * on the one that is declared. */
static bool goes_by_size(const struct node *node)
{
    const Onnx__AttributeProto *pad = node_attribute(node, "auto_pad");
    return (pad && pad->s.len >= 4 && memcmp(pad->s.data, "SAME", 4) == 0) ||
           node_integer(node, "ceil_mode", 0);
}

/* Nodes of the first model between a value and the sources of a cone, which learns of them. */
static size_t count_left(struct verify *verify, struct cone *cone, const struct value *left,
                         bool *by_size)
{
    LIST(const struct value *) stack = {NULL, 0, 0};
    size_t count = 0;
    verify->walk++;
    for (size_t i = 0; i < cone->sources.count; i++)
        verify_mark(verify, cone->sources.items[i]->number)->walked = verify->walk;
    LIST_PUSH(cone->arena, &stack, left);
    while (stack.count && count < HINT_MOST) {
        const struct value *value = stack.items[--stack.count];
        struct mark *mark = verify_mark(verify, value->number);
        const struct node *node = value->producer;
        if (mark->walked == verify->walk || !node || node->op == OP_Constant)
            continue;
        mark->walked = verify->walk;
        count++;
        *by_size = *by_size || goes_by_size(node);
        cone_note(cone, node);
        cone_note_stride(cone, node);
        for (size_t i = 0; i < node->input_count; i++)
            if (node->inputs[i])
                LIST_PUSH(cone->arena, &stack, node->inputs[i]);
    }
    return count;
}

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

/* What some inputs gave, one behind the other along the first axis. */
struct pooled {
    struct array *left, *right; /* as exact as can be */
    double *noise;              /* that rounding leaves: one number per channel */
};

static struct array *room_for(struct arena *arena, const struct array *array, int64_t inputs)
{
    struct array *room = NEW(arena, struct array);
    *room = *array;
    room->count = 0;
    room->dims[0] = 0;
    room->reals = NEW_ARRAY(arena, double, array->count *inputs);
    return room;
}

static void append(struct array *pooled, const struct array *array)
{
    memcpy(pooled->reals + pooled->count, array->reals, (size_t)array->count * sizeof(double));
    pooled->count += array->count;
    pooled->dims[0] += array->rank ? array->dims[0] : 0;
    pooled->reach = fmax(pooled->reach, array->reach);
}

/* The pair on one more input, and the same rounded after each op. False: it cannot be evaluated, or gives
 * another shape. */
static bool pool_input(struct verify *verify, const struct cone *cone, const struct graph *graph,
                       struct value *left, struct value *right, int trial, int size, int64_t count,
                       struct pooled *pooled)
{
    struct joint_eval *joint = &verify->checking;
    if (verify_evaluate(verify, joint, cone, graph, left, right, trial, size))
        return false;
    const struct array *a = joint_array(joint, left), *b = joint_array(joint, right);
    if (a->count != count || b->count != count)
        return false;
    struct array exact_a = *a, exact_b = *b;
    exact_a.reals = pooled->left->reals + pooled->left->count;
    exact_b.reals = pooled->right->reals + pooled->right->count;
    append(pooled->left, a);
    append(pooled->right, b);
    joint->rounds = true;
    bool rounded = !verify_evaluate(verify, joint, cone, graph, left, right, trial, size);
    joint->rounds = false;
    if (rounded) {
        joint_note_noise(&exact_a, joint_array(joint, left), pooled->noise);
        joint_note_noise(&exact_b, joint_array(joint, right), pooled->noise);
    }
    return rounded;
}

const char *verify_compare(struct verify *verify, const struct cone *cone,
                           const struct graph *graph, struct value *left, struct value *right,
                           int trial, int size, struct gap *gap)
{
    enum {
        NOISE_MOST = 1 << 20, /* elements */
        CHANNEL_LEAST = 8,    /* numbers of a channel that tell its size and what rounding leaves */
        ALIKE = 8             /* trials of one kind of numbers are so far apart */
    };
    struct joint_eval *joint = &verify->checking;
    double tolerance = verify_tolerance(verify, cone->type);
    const char *reason = verify_evaluate(verify, joint, cone, graph, left, right, trial, size);
    if (reason)
        return reason;
    const struct array *a = joint_array(joint, left), *b = joint_array(joint, right);
    *gap = joint_compare(a, b, NULL);
    bool plain = gap->ratio > tolerance; /* beside all channels, too */
    gap->ratio = gap->alone;
    if (verify_within(verify, gap, tolerance) || !gap->same_shape || gap->of_integers ||
        a->count > NOISE_MOST || verify->options->rtol > 0)
        return NULL;
    int64_t count = a->count, channels = a->rank > 1 ? a->dims[1] : 1;
    bool few = !plain && a->rank > 1 && channels > 1 && count < CHANNEL_LEAST * channels;
    struct pooled pooled = {.left = room_for(cone->arena, a, few ? CHANNEL_LEAST : 1),
                            .right = room_for(cone->arena, b, few ? CHANNEL_LEAST : 1),
                            .noise = NEW_ARRAY(cone->arena, double, channels)};
    /* Of a number alone, rounding may leave more than one look at it shows: it is looked at on more inputs. */
    for (int i = 0; i < (few ? CHANNEL_LEAST : 1); i++) {
        if (i && verify_within(verify, gap, tolerance))
            break;
        if (!pool_input(verify, cone, graph, left, right, trial + ALIKE * i, size, count, &pooled))
            break;
        *gap = joint_compare(pooled.left, pooled.right, pooled.noise);
        gap->ratio = gap->alone;
    }
    return NULL;
}

/* Compares a pair on one random input. What departs on some size of images, but not on the only one
 * that the models take, does not depart. */
static const char *measure_once(struct verify *verify, const struct cone *cone,
                                const struct graph *graph, struct value *left, struct value *right,
                                int trial, struct gap *gap)
{
    struct joint_eval *joint = &verify->checking;
    double tolerance = verify_tolerance(verify, cone->type), products = joint->products;
    const char *reason = verify_compare(verify, cone, graph, left, right, trial, 0, gap);
    if (reason)
        return reason;
    double drawn = count_drawn(cone, joint), declared = cone_declared(cone);
    products = (joint->products - products) * (drawn > 0 ? declared / drawn : 1);
    if (verify_within(verify, gap, tolerance) || declared < 0 || products > PRODUCTS_ONCE)
        return NULL;
    struct gap whole;
    reason = verify_compare(verify, cone, graph, left, right, trial, CONE_SIZES - 1, &whole);
    if (reason)
        return reason;
    *gap = whole;
    return NULL;
}

/* Random rows of a table say nothing about the others. */
static const char *measure_every_row(struct verify *verify, const struct cone *cone,
                                     const struct graph *graph, struct value *left,
                                     struct value *right, struct gap *gap)
{
    struct joint_eval *joint = &verify->checking;
    const struct drawing drawing = {.integers = INTEGERS_ROWS, .every_row = true};
    const char *reason = evaluate_drawn(verify, joint, cone, graph, left, right, &drawing);
    if (reason)
        return arena_copy(verify->arena, reason);
    *gap = joint_compare(joint_array(joint, left), joint_array(joint, right), NULL);
    return NULL;
}

/* False where they are told apart on the size that the models declare, as far as it is known and not
 * too large. */
static bool agrees_as_declared(struct verify *verify, const struct cone *cone,
                               const struct graph *graph, struct value *left, struct value *right,
                               double tolerance)
{
    struct joint_eval *joint = &verify->checking;
    double declared = cone_declared(cone), products = joint->products;
    if (declared < 0 || verify_evaluate(verify, joint, cone, graph, left, right, 0, 0))
        return true;
    double drawn = count_drawn(cone, joint);
    products = (joint->products - products) * (drawn > 0 ? declared / drawn : 1);
    if (products > PRODUCTS_ONCE / 4 ||
        verify_evaluate(verify, joint, cone, graph, left, right, 0, CONE_SIZES - 1))
        return true;
    struct gap gap = joint_compare(joint_array(joint, left), joint_array(joint, right), NULL);
    return verify_within(verify, &gap, tolerance);
}

/* What is evaluated and found equal. */
struct pair {
    struct cone *cone;
    const struct graph *graph;
    struct value *left, *right;
    size_t left_ops;
    bool by_size;
};

static struct pair pair_of(struct verify *verify, struct cone *cone, const struct graph *graph,
                           struct value *left, struct value *right)
{
    struct pair pair = {.cone = cone, .graph = graph, .left = left, .right = right};
    pair.left_ops = count_left(verify, cone, left, &pair.by_size);
    for (size_t i = 0; i < cone->nodes.count; i++)
        pair.by_size = pair.by_size || goes_by_size(cone->nodes.items[i]);
    return pair;
}

static int trials_of(const struct verify *verify, const struct cone *cone,
                     const struct graph *graph)
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

static void note_region(struct verify *verify, const struct pair *pair, double difference,
                        int trials)
{
    struct verify_region *region = NEW(verify->arena, struct verify_region);
    *region = (struct verify_region){.left = pair->left, .right = pair->right, .trials = trials};
    region->difference = difference;
    region->right_ops = pair->cone->nodes.count;
    region->left_ops = pair->left_ops;
    LIST_PUSH(verify->arena, &verify->result->regions, region);
    verify->result->largest = fmax(verify->result->largest, difference);
    verify->result->tolerance =
        fmax(verify->result->tolerance, verify_tolerance(verify, pair->cone->type));
}

/* The fewest numbers of one value that the last trial has drawn or compared. */
static int64_t numbers_seen(const struct verify *verify, const struct pair *pair)
{
    const struct joint_eval *joint = &verify->checking;
    const struct array *array = joint_array(joint, pair->right);
    int64_t fewest = array ? array->count : 0;
    for (size_t i = 0; i < pair->cone->sources.count; i++) {
        array = joint_array(joint, pair->cone->sources.items[i]);
        fewest = array && array->count < fewest ? array->count : fewest;
    }
    return fewest;
}

/* Trials from number `first` on until one does not agree, and all rows of tables. A few numbers agree by
 * chance: then there are more trials. *gap is the largest of the *made ones; that of the last where it
 * does not agree. Returns NULL, or why one more could not be made. */
static const char *measure_trials(struct verify *verify, const struct pair *pair, int first,
                                  int trials, struct gap *gap, int *made)
{
    const struct cone *cone = pair->cone;
    double tolerance = verify_tolerance(verify, cone->type);
    double products = verify->checking.products;
    const char *reason = NULL;
    bool agrees = true;
    int64_t numbers = 0; /* seen so far */
    *made = 0;
    for (int trial = first; !reason && agrees; trial++) {
        struct gap found = {0};
        bool few = trials > 1 && cone->sources.count > 0 && numbers < NUMBERS_LEAST &&
                   trial < NUMBERS_LEAST &&
                   verify->checking.products - products < PRODUCTS_ONCE / 4 &&
                   !verify_is_spent(verify, 0.5);
        bool more = trial < trials || few;
        if (more)
            reason =
                measure_once(verify, cone, pair->graph, pair->left, pair->right, trial, &found);
        else if (cone->rows)
            reason = measure_every_row(verify, cone, pair->graph, pair->left, pair->right, &found);
        else
            break;
        if (reason)
            break;
        agrees = verify_within(verify, &found, tolerance);
        bool constant = found.constant && (!*made || gap->constant);
        bool silent = found.silent && (!*made || gap->silent);
        if (!*made || !agrees || found.ratio > gap->ratio)
            *gap = found;
        gap->constant = constant;
        gap->silent = silent;
        ++*made;
        if (!more)
            break;
        numbers += numbers_seen(verify, pair);
    }
    return reason;
}

bool verify_confirm(struct verify *verify, struct cone *cone, const struct graph *graph,
                    struct value *left, struct value *right, const struct gap *first)
{
    double tolerance = verify_strict_tolerance(verify, cone->type);
    struct pair pair = pair_of(verify, cone, graph, left, right);
    int trials = trials_of(verify, cone, graph), made;
    struct gap gap = *first;
    if (cone_is_short(verify, cone, graph) ||
        (pair.by_size && !agrees_as_declared(verify, cone, graph, left, right, tolerance)))
        return false;
    /* What agreed beside larger channels only is compared again, more closely. */
    int again = first->alone <= tolerance;
    if (cone->sources.count && measure_trials(verify, &pair, again, trials, &gap, &made))
        return false;
    if (!verify_within(verify, &gap, tolerance) || (first->silent && gap.silent))
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

void verify_depart(struct verify *verify, const struct value *left, const struct value *right,
                   const struct gap *gap, const struct joint_eval *joint)
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
                                    : arena_format(verify->arena, "shapes %s and %s",
                                                   array_shape(verify->arena, a),
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
static enum finding measure(struct verify *verify, struct cone *cone, struct graph *graph,
                            struct value *left, struct value *right, bool brief, struct gap *gap,
                            const char **reason)
{
    struct pair pair = pair_of(verify, cone, graph, left, right);
    int trials = trials_of(verify, cone, graph), made;
    trials = brief ? 1 : trials < TRIALS_OUTPUTS ? TRIALS_OUTPUTS : trials;
    *reason = measure_trials(verify, &pair, 0, trials, gap, &made);
    if (!made)
        return FOUND_NOTHING;
    bool whole =
        !*reason && !brief && !gap->constant && !gap->silent && !cone_is_short(verify, cone, graph);
    *reason = NULL;
    if (!verify_within(verify, gap, verify_tolerance(verify, cone->type)))
        return FOUND_DIFFERENT;
    double tolerance = verify_strict_tolerance(verify, cone->type);
    if (!whole || !verify_within(verify, gap, tolerance) ||
        (pair.by_size && !agrees_as_declared(verify, cone, graph, left, right, tolerance)))
        return FOUND_NOTHING;
    note_region(verify, &pair, gap->ratio, made);
    return FOUND_EQUAL;
}

/* What the last evaluation stopped at is drawn from now on, if the first model has it too. False: it is
 * not. */
static bool close_bad(struct verify *verify, const struct graph *graph)
{
    const struct node *bad = verify->checking.bad;
    bool closed = false;
    for (size_t i = 0; bad && i < bad->output_count; i++) {
        const struct value *output = bad->outputs[i];
        if (!output || !verify_left(verify, output->number, graph) ||
            verify->closed_count == COUNT_OF(verify->closed))
            continue;
        for (size_t k = 0; k < verify->closed_count; k++)
            if (verify->closed[k] == output->number)
                return false;
        verify->closed[verify->closed_count++] = output->number;
        closed = true;
    }
    return closed;
}

/* Measures from as near the inputs of the graph as can be evaluated. */
static enum finding measure_whole(struct verify *verify, struct graph *graph, struct value *left,
                                  struct value *right, bool brief, struct cone *cone,
                                  struct gap *gap, const char **reason)
{
    enum finding finding = FOUND_NOTHING;
    verify->closed_count = 0;
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
static enum finding measure_again(struct verify *verify, struct graph *graph, struct value *left,
                                  struct value *right, bool brief, int attempt, struct cone *cone,
                                  struct gap *gap, const char **reason)
{
    enum finding finding = measure_whole(verify, graph, left, right, brief, cone, gap, reason);
    if (!*reason && (finding != FOUND_DIFFERENT || !cone_contradicts(verify, cone)))
        return finding;
    *reason = cone_make(verify, graph, right, attempt, cone); /* to tell of what was seen */
    if (!*reason && cone_is_open(verify, cone, graph) &&
        pair_of(verify, cone, graph, left, right).by_size)
        *reason = "its windows go by the size of an image, which is not known";
    return *reason ? FOUND_NOTHING : measure(verify, cone, graph, left, right, brief, gap, reason);
}

enum finding verify_measure(struct verify *verify, struct graph *graph, struct value *left,
                            struct value *right, bool brief)
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
        /* Where the first random numbers hide a difference, others may show it. */
        enum finding finding = measure(verify, &cone, graph, left, right, brief, &gap, &reason);
        if (reason)
            continue;
        if (finding == FOUND_DIFFERENT && cone_contradicts(verify, &cone)) {
            reason = first
                         ? first
                         : "it depends on values of which one is made of another in a way that is "
                           "not evaluated";
            continue;
        }
        if (finding == FOUND_DIFFERENT && starts_inside(&cone)) {
            finding =
                measure_again(verify, graph, left, right, brief, attempt, &cone, &gap, &reason);
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
