/* fuse/plan.c: what was made, what was declined and why. */
#include "fuse/plan.h"

#include <stdlib.h>

#include "fuse/pair.h"

const char *plan_key(struct arena *arena, const struct graph *graph, const struct value *target)
{
    const struct value *first = target->terms ? target->terms->items[0].value : target;
    return arena_format(arena, "%s\n%s", graph->name, first->name);
}

const char *plan_banned(const struct plan *plan, const struct graph *graph, const struct value *target)
{
    return plan->bans.count ? map_get(&plan->bans, plan_key(plan->model->arena, graph, target)) : NULL;
}

void plan_add_term(struct arena *arena, struct term_list *terms, struct value *value, double factor)
{
    if (!value->terms) {
        LIST_PUSH(arena, terms, ((struct term){value, factor}));
        return;
    }
    for (size_t i = 0; i < value->terms->count; i++) {
        struct term term = value->terms->items[i];
        term.factor *= factor;
        LIST_PUSH(arena, terms, term);
    }
}

static bool is_by_nature(const char *reason, size_t length)
{
    static const char *const ends[] = {REASON_NOT_LINEAR,      REASON_NOT_ONE_CONSTANT, REASON_ONE_OP_WHILE_WHOLE,
                                       REASON_NO_TWO_BRANCHES, REASON_OTHER_SOURCES,    REASON_NOTHING_SAVED};
    const size_t begin = sizeof(REASON_CANNOT_MOVE) - 1;
    for (size_t i = 0; i < COUNT_OF(ends); i++) {
        size_t own = strlen(ends[i]);
        if (length >= own && memcmp(reason + length - own, ends[i], own) == 0)
            return true;
    }
    return length >= begin && memcmp(reason, REASON_CANNOT_MOVE, begin) == 0;
}

/* One reason of several is enough. */
static bool counts(const char *reason)
{
    const char *next;
    for (; (next = strstr(reason, REASON_OF_BRANCH)); reason = next + 2)
        if (!is_by_nature(reason, (size_t)(next - reason)))
            return true;
    return !is_by_nature(reason, strlen(reason));
}

void plan_refuse(struct plan *plan, const struct node *node, const struct value *output, const char *reason)
{
    struct arena *arena = plan->model->arena;
    const char *key =
        arena_format(arena, "%s\n%s\n%s", plan->pass, node ? node->graph->name : "", output ? output->name : "");
    const struct graph *graph = node ? node->graph : plan->model->graphs.items[0];
    struct refusal refusal = {plan->pass, graph, node, output, reason, counts(reason)};
    struct refusal *old = map_get(&plan->refused, key);
    if (old) {
        *old = refusal; /* the last reason applies to the present graph */
        return;
    }
    struct refusal *entry = NEW(arena, struct refusal);
    *entry = refusal;
    map_put(arena, &plan->refused, key, entry);
    LIST_PUSH(arena, &plan->refusals, entry);
}

size_t plan_count_refusals(const struct plan *plan)
{
    size_t count = 0;
    for (size_t i = 0; i < plan->refusals.count; i++)
        count += plan->refusals.items[i]->counts;
    return count;
}

bool plan_visits_first(struct plan *plan, const struct node *node)
{
    struct node_mark *mark = plan_mark_node(plan, node);
    bool first = mark->stamp != plan->stamp;
    mark->stamp = plan->stamp;
    return first;
}

bool plan_counts_first(struct plan *plan, const struct value *value)
{
    struct value_mark *mark = plan_mark_value(plan, value);
    bool first = mark->counted != plan->stamp;
    mark->counted = plan->stamp;
    return first;
}

bool plan_is_full(struct plan *plan)
{
    const struct landing *landing = plan->model->arena->landing;
    /* Who asks what would be done wants to be told as well. */
    plan->full = plan->full || landing_has_taken(landing, plan->options->dry_run ? 9 : 10);
    return plan->full;
}

/* ---- helpers ---- */

bool fusion_is_live(const struct fusion *fusion)
{
    return !fusion->superseded &&
           (fusion->redirects || (fusion->node ? !fusion->node->removed : !fusion->target->removed));
}

/* The Add of a product's bias is removed, and the product stays as the source of the op that absorbs the bias. Its
 * own rewrite now ends at the product, and is still checked. */
static bool ends_at_product(const struct fusion *fusion, struct fusion *earlier, const struct node *node)
{
    struct made_pair pair;
    struct value *product = fusion->source;
    if (node->op != OP_Add || earlier->node != node || !product || product != node->inputs[0] || !product->terms)
        return false;
    if (earlier->made.count && earlier->made.items[earlier->made.count - 1] == node)
        earlier->made.count--;
    earlier->node = product->producer;
    earlier->target = product;
    earlier->terms = *product->terms;
    node->outputs[0]->fusion = NULL;
    product->fusion = earlier;
    pair_part(node, &pair); /* what reads the product may be folded with it from now on */
    return true;
}

void fusion_adopt(struct plan *plan, struct fusion *fusion, const struct node *node)
{
    struct arena *arena = plan->model->arena;
    struct fusion *earlier = node->is_new && node->outputs[0] ? node->outputs[0]->fusion : NULL;
    if (!node->is_new)
        LIST_PUSH(arena, &fusion->replaced, node);
    if (!earlier || earlier->superseded || ends_at_product(fusion, earlier, node))
        return;
    earlier->superseded = true;
    plan->stored -= earlier->stored;
    for (size_t k = 0; k < earlier->replaced.count; k++)
        LIST_PUSH(arena, &fusion->replaced, earlier->replaced.items[k]);
    for (size_t k = 0; k < earlier->sums.count; k++)
        LIST_PUSH(arena, &fusion->sums, earlier->sums.items[k]);
    fusion->multiply_adds_before += earlier->multiply_adds_before - earlier->multiply_adds_after;
    fusion->sized = fusion->sized || earlier->sized;
    if (earlier->origin)
        fusion->source = fusion->origin = earlier->origin;
}

void plan_rewritten(struct plan *plan, struct node *node, struct value *target, const struct trial_source *sources,
                    size_t source_count, struct node *const *replaced, size_t count)
{
    struct arena *arena = plan->model->arena;
    struct fusion *fusion = NEW(arena, struct fusion);
    *fusion = (struct fusion){.pass = plan->pass,
                              .graph = node->graph,
                              .node = node,
                              .target = target,
                              .source = sources[0].value,
                              .outputs = target->rank > 1 && target->dims[1] > 0 ? target->dims[1] : 1,
                              .type = type_is_float(target->type) ? target->type
                                                                  : (int32_t)ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT,
                              .difference = -1};
    for (size_t i = 0; i < source_count; i++) {
        struct trial_source source = sources[i];
        int64_t *dims = NEW_ARRAY(arena, int64_t, source.rank + 1);
        if (source.rank)
            memcpy(dims, source.dims, (size_t)source.rank * sizeof(*dims));
        source.dims = dims;
        LIST_PUSH(arena, &fusion->sources, source);
    }
    for (size_t i = 0; i < count; i++) {
        const struct node *old = replaced[i];
        const struct fusion *earlier = old->is_new ? old->outputs[0]->fusion : NULL;
        double kept = earlier && !earlier->superseded ? earlier->multiply_adds_after : 0;
        fusion->multiply_adds_before += kept;
        fusion->multiply_adds_after += kept;
        fusion_adopt(plan, fusion, old);
    }
    LIST_PUSH(arena, &fusion->made, (const struct node *)node);
    LIST_PUSH(arena, &plan->fusions, fusion);
    target->fusion = fusion;
    plan->changed = true;
}

struct fusion *plan_redirected(struct plan *plan, struct node *node, struct value *target, struct value *source)
{
    size_t count = plan->fusions.count;
    struct fusion *last = count ? plan->fusions.items[count - 1] : NULL;
    if (last && last->redirects && last->graph == node->graph && strcmp(last->pass, plan->pass) == 0) {
        fusion_adopt(plan, last, node);
        plan->changed = true;
        return last;
    }
    struct fusion *fusion = NEW(plan->model->arena, struct fusion);
    *fusion = (struct fusion){.pass = plan->pass,
                              .graph = node->graph,
                              .target = target,
                              .source = source,
                              .redirects = true,
                              .difference = -1};
    fusion_adopt(plan, fusion, node);
    LIST_PUSH(plan->model->arena, &plan->fusions, fusion);
    plan->changed = true;
    return fusion;
}

bool fusion_is_checked(const struct fusion *fusion)
{
    return fusion->moves || fusion_is_live(fusion);
}

/* In the file's order, whatever order the walk found them in. */
static int by_place(const void *a, const void *b)
{
    const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
    return (x->position > y->position) - (x->position < y->position);
}

const struct node **fusion_replaced(const struct plan *plan, const struct fusion *fusion)
{
    size_t count = fusion->replaced.count;
    const struct node **nodes = NEW_ARRAY(plan->model->arena, const struct node *, count + 1);
    if (count) {
        memcpy(nodes, fusion->replaced.items, count * sizeof(*nodes));
        qsort(nodes, count, sizeof(*nodes), by_place);
    }
    return nodes;
}
