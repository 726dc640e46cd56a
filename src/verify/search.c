/* verify/search.c: searches a value of the first model that equals one of the second: the one with its name, then
 * values computed from the same sources. */
#include "verify/search.h"

#include "eval/eval.h"
#include "infer/constant.h"
#include "model/external.h"
#include "verify/compare.h"
#include "verify/cone.h"
#include "verify/draw.h"
#include "verify/measure.h"

enum {
    SEARCH_MOST = 400, /* nodes of the first model that a search evaluates */
    VAIN_FEW = 2,      /* searches that find nothing before the next ones are half as long */
    HALVINGS_MOST = 4,
    FAILURES_MOST = 40, /* values without a match before the search is given up */
    SMALL = 20000       /* elements of sources */
};
/* In a match that was searched for: of struct gap's `alone`, far above any rounding, and of `largest`,
 * above which what is added cannot be seen. */
#define ALONE_MOST 0.1
#define LARGEST_MOST 1e12

/* Pages that were read count as memory until they are let go. */
static void give_back(struct verify *verify)
{
    if (verify->searching.touched + verify->checking.touched < BUDGET_TOUCHED_VERIFY)
        return;
    verify->searching.touched = verify->checking.touched = 0;
    model_give_back(verify->numbering.models[0]);
    model_give_back(verify->numbering.models[1]);
}

/* If the second model has intermediate values that the first lacks, such as an unfused one, most searches find
 * nothing. Later searches go only a little further than successful ones did. */
static size_t search_budget(const struct verify *verify)
{
    int halvings = (int)least(verify->vain / VAIN_FEW, HALVINGS_MOST);
    size_t budget = (size_t)SEARCH_MOST >> halvings;
    size_t enough = (size_t)least(2 * (int64_t)verify->reached, SEARCH_MOST);
    return budget > enough ? budget : enough;
}

void verify_search_anew(struct verify *verify)
{
    give_back(verify);
    joint_reset(&verify->searching);
    verify->found.count = 0;
    verify->searched = 0;
    verify->budget = search_budget(verify);
    verify->search++;
}

/* Puts all values of the first model that hold a number in line. */
static void enqueue(struct verify *verify, uint32_t number)
{
    struct mark *mark = verify_mark(verify, number);
    if (mark->queued == verify->search)
        return;
    mark->queued = verify->search;
    for (const struct same *same = verify->left[number]; same; same = same->next)
        LIST_PUSH(verify->arena, &verify->found, same->value);
}

static bool is_constant(struct value *value)
{
    const struct tensor *tensor;
    return !constant_of(value, &tensor);
}

static bool is_ready(const struct verify *verify, const struct node *node)
{
    if (!eval_knows(node))
        return false;
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] && !joint_array(&verify->searching, node->inputs[i]) && !is_constant(node->inputs[i]))
            return false;
    return true;
}

/* Evaluates the readers of one more value of the first model. False: there is nothing left. */
static bool search_step(struct verify *verify, const struct graph *graph)
{
    if (verify->searched == verify->found.count || verify->budget == 0)
        return false;
    const struct value *value = verify->found.items[verify->searched++];
    for (const struct use *use = value->uses; use && verify->budget; use = use->next) {
        const struct node *node = use->inner;
        struct value *output = node_output(node, 0);
        if (node->graph != graph || !output || verify_mark(verify, value_number(output))->queued == verify->search)
            continue;
        if (!joint_array(&verify->searching, output)) {
            if (!is_ready(verify, node))
                continue;
            verify->budget--;
            if (joint_evaluate(&verify->searching, output, 1))
                continue;
        }
        for (size_t i = 0; i < node->output_count; i++)
            if (node->outputs[i] && joint_array(&verify->searching, node->outputs[i]))
                enqueue(verify, value_number(node->outputs[i]));
    }
    return true;
}

/* Compares one value of the first model that has an array. */
static bool try_left(struct verify *verify, struct cone *cone, const struct graph *graph, struct value *left,
                     struct value *right, bool hinted)
{
    const struct array *a = joint_array(&verify->searching, left);
    const struct array *b = joint_array(&verify->searching, right);
    if (!a || !b || (!hinted && (a->rank != b->rank || a->count != b->count)))
        return false;
    size_t nodes;
    const struct cone joined = hinted ? cone_join(verify, graph, cone, left, &nodes) : *cone;
    double tolerance = verify_tolerance(verify, joined.type);
    struct gap gap = joint_compare(a, b, NULL);
    verify->compared += 1 + (double)a->count / 64;
    bool agrees = verify_within(verify, &gap, verify_strict_tolerance(verify, joined.type));
    bool departs = hinted && !verify_within(verify, &gap, tolerance) && !cone_contradicts(verify, cone);
    struct gap closer;
    /* Behind a value that departs, what rounding leaves would be asked of each that follows. */
    if (departs && !verify->unresolved && !verify_compare(verify, &joined, graph, left, right, 0, 0, &closer) &&
        verify_within(verify, &closer, tolerance)) {
        departs = false;
        agrees = true;
        gap = closer;
    }
    if (departs) {
        verify_depart(verify, left, right, &gap, &verify->searching);
        verify->departed = true;
    }
    /* Equal numbers throughout agree with many unequal values. So do channels beside a much larger one, and
     * extremely large numbers. */
    bool doubted = !hinted || verify->result->departs;
    if (!agrees || (doubted && gap.constant) || (!hinted && (gap.alone > ALONE_MOST || gap.largest > LARGEST_MOST)))
        return false;
    if (!verify_confirm(verify, cone, graph, left, right, &gap))
        return false;
    value_number_set(right, value_number(left));
    return true;
}

static bool search(struct verify *verify, struct cone *cone, const struct graph *graph, struct value *right)
{
    for (size_t i = 0; i < cone->sources.count; i++)
        enqueue(verify, value_number(cone->sources.items[i]));
    size_t compared = 0;
    do {
        for (; compared < verify->found.count; compared++)
            if (verify->found.items[compared]->graph == graph &&
                try_left(verify, cone, graph, verify->found.items[compared], right, false)) {
                verify->reached = compared > verify->reached ? compared : verify->reached;
                return true;
            }
    } while (search_step(verify, graph));
    return false;
}

/* True when the declared sizes of the sources can be searched as well. */
static bool is_small(const struct cone *cone)
{
    double declared = cone_declared(cone);
    return declared >= 0 && declared <= SMALL;
}

/* Evaluates `right` where the first model will be searched. Returns the reason why it cannot. */
static const char *start_search(struct verify *verify, struct graph *graph, struct value *right, int attempt,
                                struct cone *cone)
{
    struct joint_eval *joint = &verify->searching;
    joint->bad = NULL;
    const char *reason = cone_make(verify, graph, right, attempt, cone);
    if (reason)
        return reason;
    /* First among what is there; afresh when the sizes do not agree. An output has the last word,
     * so it is given sizes that the whole way to it fits. */
    if (right->is_output || attempt)
        verify_search_anew(verify);
    const struct drawing drawing = {.integers = verify_integers(cone, 0, 0)};
    reason = cone_draw(verify, joint, cone, graph, &drawing);
    if (!reason)
        reason = joint_evaluate(joint, right, CONE_MOST + 1);
    if (!reason)
        return NULL;
    verify_search_anew(verify);
    return verify_evaluate(verify, joint, cone, graph, NULL, right, 0, 0);
}

/* Compares with the value that bears the name of `right`, which has been evaluated. *there is false when
 * that one cannot be from the same sources. */
static bool try_hint(struct verify *verify, struct cone *cone, struct graph *graph, struct value *hint,
                     struct value *right, bool *there)
{
    struct joint_eval *joint = &verify->searching;
    *there = joint_array(joint, hint) || !joint_evaluate(joint, hint, HINT_MOST);
    if (!*there) { /* perhaps it holds for other integers, or for one size only */
        verify_search_anew(verify);
        *there = !verify_evaluate(verify, joint, cone, graph, hint, right, 0, cone->draws_integers ? 0 : 1);
    }
    return *there && try_left(verify, cone, graph, hint, right, true);
}

/* Finds sources that `right` can be evaluated from and compares it with the hint, if there is one, from
 * others where these do not let it. Returns NULL and the first cone that serves, or why there is
 * none. */
static const char *start_prove(struct verify *verify, struct graph *graph, struct value *right, struct value *hint,
                               struct cone *cone, bool *found)
{
    const char *reason = NULL, *blocker = verify->blocker;
    int first = -1;
    for (int attempt = 0; attempt < CONE_ATTEMPTS; attempt++) {
        bool there;
        if (first >= 0 && attempt == 2 && !right->is_output)
            continue; /* from the graph's inputs on: too much work for a name */
        reason = start_search(verify, graph, right, attempt, cone);
        if (reason && attempt == 0)
            verify_note_blocker(verify, &verify->searching, right, reason);
        if (reason)
            continue;
        bool is_first = first < 0;
        first = is_first ? attempt : first;
        if (!hint)
            break;
        *found = try_hint(verify, cone, graph, hint, right, &there);
        if (*found || verify->departed || (there && !cone_contradicts(verify, cone)))
            return verify->blocker = blocker, NULL;
    }
    if (first < 0)
        return reason;
    verify->blocker = blocker;
    return hint ? start_search(verify, graph, right, first, cone) : NULL;
}

bool verify_prove(struct verify *verify, struct graph *graph, struct value *right, struct value *hint)
{
    struct cone cone;
    struct joint_eval *joint = &verify->searching;
    bool found = false;
    verify->departed = false;
    if (verify->failures > FAILURES_MOST && !hint)
        return false;
    /* The outputs have the last word: something is left for them. */
    if (verify_is_spent(verify, 0.75)) {
        verify_note_blocker(verify, joint, right,
                            "the comparison would take more steps than are allowed for models of this size");
        return false;
    }
    if (joint->products + verify->checking.products > BUDGET_VERIFY) {
        verify_note_blocker(verify, joint, right, "evaluating it would take too many multiply-adds");
        return false;
    }
    if (joint->effort.cells < joint->cells / 2)
        verify_search_anew(verify);
    if (start_prove(verify, graph, right, hint, &cone, &found)) {
        verify_search_anew(verify);
        verify->failures++;
        return false;
    }
    /* If the small size finds nothing, the declared one may. */
    bool brief = verify->departed && verify->failures > 1 && !right->is_output;
    int sizes = brief ? 1 : CONE_SIZES;
    for (int size = 0; !found && verify->failures <= FAILURES_MOST && size < sizes; size += CONE_SIZES - 1) {
        if (size) {
            verify_search_anew(verify);
            if (!is_small(&cone) || verify_evaluate(verify, joint, &cone, graph, NULL, right, 0, size))
                continue;
        }
        found = joint_array(joint, right) && search(verify, &cone, graph, right);
        verify->vain += !found;
    }
    verify->failures = found ? 0 : verify->failures + 1;
    if (!found && verify->departed)
        verify->unresolved = true;
    if (found) {
        verify_search_anew(verify);
        if (verify->result->departure.right == right)
            verify->result->departs = false; /* the hint was wrong, not the value */
    }
    return found;
}
