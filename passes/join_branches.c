/* passes/join_branches.c
 *
 *     x -> Conv 3x3 -> BN -.
 *     x -> Conv 1x1 -> BN --+-> Add -> Add -> y        becomes        x -> Conv 3x3 -> y
 *     x ------------> BN --'
 *
 * The pass flattens a tree of Add, Sub, Sum and Mean through sums without other readers. It traces each leaf back to
 * the values that it is affine in. Leaves with the same source, stride and extent become one Conv (or Gemm, or MatMul);
 * x beside a Pad of x is the middle of the padded value. The other leaves stay in a smaller tree.
 *
 * ConvTransposes with one source join too, if the whole sum consists of them.
 *
 * Refused: branches with different sources, strides or extents; branches that broadcast; a branch with a nonlinear
 * op; a sum that would cost more than its parts. */
#include <stdlib.h>

#include "affine/laws.h"
#include "fuse/lift.h"
#include "fuse/lower.h"
#include "fuse/lower_transpose.h"
#include "passes/passes.h"
#include "passes/sum_tree.h"

/* ---- sources ---- */

struct candidate {
    struct value *source;
    size_t count;
};

static size_t value_depth(const struct value *value)
{
    return value->producer ? value->producer->depth + 1 : 0;
}

/* Most leaves first, then the nearest, then by name; never by the order in the file. */
static int by_leaves(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->count != y->count)
        return x->count > y->count ? -1 : 1;
    size_t p = value_depth(x->source), q = value_depth(y->source);
    if (p != q)
        return p > q ? -1 : 1;
    return strcmp(x->source->name, y->source->name);
}

static struct candidate *find_candidates(struct tree *tree, size_t *count)
{
    struct arena *arena = tree->plan->model->arena;
    LIST(struct candidate) found = {0};
    uint32_t stamp = ++tree->plan->stamp;
    for (size_t i = 0; i < tree->leaves.count; i++) {
        const struct leaf *leaf = &tree->leaves.items[i];
        for (size_t k = 0; !leaf->taken && k < leaf->trace->count; k++) {
            struct value *source = leaf->trace->entries[k].source;
            struct value_mark *mark = plan_mark_value(tree->plan, source);
            if (mark->listed != stamp) {
                mark->listed = stamp;
                mark->place = (uint32_t)found.count;
                LIST_PUSH(arena, &found, ((struct candidate){source, 0}));
            }
            found.items[mark->place].count++;
        }
    }
    if (found.count)
        qsort(found.items, found.count, sizeof(*found.items), by_leaves);
    *count = found.count;
    return found.items;
}

/* ---- one group ---- */

/* The sign of the group's result. If all members are subtracted, their sum is computed and subtracted: a Sub of a
 * Sum then stays one Sub and one Sum. */
static double sign_of(const struct tree *tree, const struct group *group)
{
    bool subtracted = true;
    for (size_t i = 0; subtracted && i < group->count; i++)
        subtracted = tree->leaves.items[group->members[i]].factor == -1;
    return subtracted ? -1 : 1;
}

static const struct leaf *member_of(const struct tree *tree, const struct group *group, size_t i)
{
    return &tree->leaves.items[group->members[i]];
}

/* y + c for the constants among the members. */
static const char *add_constants(const struct tree *tree, const struct group *group, double sign,
                                 const struct affine **form)
{
    struct arena *arena = tree->plan->model->arena;
    double uniform = 0, *shift = NULL;
    int64_t width = 0;
    bool any = false;
    for (size_t i = 0; i < group->count; i++) {
        const struct leaf *leaf = member_of(tree, group, i);
        if (!leaf->constant)
            continue;
        any = true;
        if (!leaf->width) {
            uniform += sign * leaf->factor * leaf->constant[0];
            continue;
        }
        width = leaf->width;
        shift = shift ? shift : NEW_ARRAY(arena, double, width);
        for (int64_t c = 0; c < width; c++)
            shift[c] += sign * leaf->factor * leaf->constant[c];
    }
    for (int64_t c = 0; shift && c < width; c++)
        shift[c] += uniform;
    const struct affine *shifted = affine_uniform(arena, 1, uniform);
    const char *reason = shift ? affine_scale_shift(arena, width, NULL, shift, NULL, &shifted) : NULL;
    return reason || !any ? reason : affine_compose(arena, shifted, *form, form);
}

static const char *join_group(const struct tree *tree, const struct group *group, const struct affine **form,
                              int32_t *type, bool *sized)
{
    struct arena *arena = tree->plan->model->arena;
    struct affine_term *terms = NEW_ARRAY(arena, struct affine_term, group->count);
    double sign = sign_of(tree, group);
    size_t count = 0;
    int axes = -1;
    *type = 0;
    *sized = false;
    for (size_t i = 0; i < group->count; i++) {
        const struct leaf *leaf = member_of(tree, group, i);
        if (leaf->constant)
            continue;
        const struct trace_entry *entry = entry_of(leaf, group->source);
        terms[count++] = (struct affine_term){entry->form, leaf->factor * sign};
        if (*type && entry->type && *type != entry->type)
            return arena_format(arena, "the branches have different types: %s and %s", type_name(*type),
                                type_name(entry->type));
        *type = *type ? *type : entry->type;
        *sized = *sized || entry->sized;
        axes = entry->form->axes > axes ? entry->form->axes : axes;
    }
    const struct affine *joined;
    const char *reason = affine_join(arena, terms, count, lift_source_extent(group->source, axes), &joined, sized);
    *form = joined;
    return reason ? reason : add_constants(tree, group, sign, form);
}

/* The group and the constants of the tree that its bias may take. */
static struct group with_constants(const struct tree *tree, const struct group *group)
{
    struct group wider = {NEW_ARRAY(tree->plan->model->arena, size_t, tree->leaves.count), group->count, group->source};
    const struct affine *form;
    int32_t type;
    bool sized;
    memcpy(wider.members, group->members, group->count * sizeof(*group->members));
    if (join_group(tree, group, &form, &type, &sized))
        return wider;
    for (size_t i = 0; i < tree->leaves.count; i++) {
        const struct leaf *leaf = &tree->leaves.items[i];
        if (leaf->constant && !leaf->taken && sum_takes_constant(tree, leaf, group->source, form))
            wider.members[wider.count++] = i;
    }
    return wider;
}

/* Turns the group into one op, with the name of its branch if it is one, otherwise as a new value. With `probe`,
 * only finds out whether it would. */
static const char *lower_group(struct tree *tree, const struct group *group, bool probe, struct fusion **fusion)
{
    struct arena *arena = tree->plan->model->arena;
    tree->looks += (double)tree->leaves.count;
    if (tree->looks > BUDGET_BRANCHES_READ)
        return "it has too many groups of branches to try them all";
    const struct branch *branch = branch_of(tree, group);
    struct value *origin = NULL;
    bool needs_pad = false;
    for (size_t i = 0; i < group->count; i++) {
        const struct trace_entry *entry = entry_of(member_of(tree, group, i), group->source);
        origin = entry && entry->origin ? entry->origin : origin;
        needs_pad = needs_pad || (entry && !entry->origin);
    }
    if (!needs_pad)
        return "no branch reads the padded value";
    /* If the self-check refused another order for the whole sum, no part of it is reordered either. */
    const char *banned = branch ? NULL : plan_banned(tree->plan, tree->graph, tree->root->outputs[0]);
    if (banned)
        return banned;
    struct region region = {.plan = tree->plan, .graph = tree->graph, .layout = tree->layout, .source = group->source};
    struct lowering lowering = {.region = &region, .source = group->source, .at = tree->root, .probe = probe};
    const char *reason = join_group(tree, group, &lowering.form, &lowering.type, &lowering.sized);
    if (reason)
        return reason;
    struct value **seeds = NEW_ARRAY(arena, struct value *, group->count);
    struct term *terms = NEW_ARRAY(arena, struct term, group->count);
    double sign = sign_of(tree, group);
    size_t seed_count = 0;
    for (size_t i = 0; i < group->count; i++) {
        const struct leaf *leaf = member_of(tree, group, i);
        terms[i] = (struct term){leaf->value, leaf->factor * sign};
        if (!leaf->constant)
            seeds[seed_count++] = leaf->value;
        else if (!branch && leaf->width && value_use_count(leaf->value) == 1)
            lowering.spared_vectors++;
    }
    region.kept = others_of(tree, group, &region.kept_count);
    if (branch) {
        size_t count;
        struct node **nodes = nodes_of(tree, branch, &count);
        region_walk(&region, seeds, seed_count, nodes, count, true);
        lowering.target = branch->node->outputs[0];
        lowering.at = branch->node;
    } else {
        region_walk(&region, seeds, seed_count, tree->nodes.items, tree->nodes.count, false);
        int64_t channels = region_channels(tree->root->outputs[0], tree->layout);
        lowering.terms = terms;
        lowering.term_count = group->count;
        lowering.spared = sum_spared(tree, group, sign);
        lowering.spared_multiply_adds = (double)(group->count - 1) * (channels > 0 ? (double)channels : 1);
    }
    reason = lower(tree->plan, &lowering, fusion);
    if (!reason && !probe && origin) /* the check must cover the inputs of its padded source too */
        (*fusion)->source = (*fusion)->origin = origin;
    return reason;
}

static int64_t member_weights(const struct tree *tree, const struct group *group, size_t member)
{
    return affine_weights(entry_of(&tree->leaves.items[member], group->source)->form);
}

/* Heaviest first: the light ones then join at no cost. */
static void sort_members(const struct tree *tree, struct group *group)
{
    for (size_t i = 1; i < group->count; i++) {
        size_t member = group->members[i], k = i;
        int64_t weights = member_weights(tree, group, member);
        for (; k > 0 && member_weights(tree, group, group->members[k - 1]) < weights; k--)
            group->members[k] = group->members[k - 1];
        group->members[k] = member;
    }
}

/* ---- the tree ---- */

static void take(struct tree *tree, const struct group *group, const struct fusion *fusion, struct made *made,
                 size_t *made_count)
{
    for (size_t i = 0; i < group->count; i++)
        tree->leaves.items[group->members[i]].taken = true;
    made[*made_count] = (struct made){fusion->target, sign_of(tree, group)};
    tree->made[made[(*made_count)++].factor < 0]++;
    tree->torn = tree->torn || fusion->target->is_new;
}

static void note(struct tree *tree, const char *reason)
{
    if (reason && !tree->reason)
        tree->reason = reason;
}

enum { GREEDY_LIMIT = 64 };

/* Finds subsets of the members that save cost, heaviest member first, and joins them. */
static void make_subsets(struct tree *tree, const struct group *group, struct made *made, size_t *made_count)
{
    struct arena *arena = tree->plan->model->arena;
    struct fusion *fusion;
    struct group *subsets = NEW_ARRAY(arena, struct group, group->count);
    size_t subset_count = 0;
    for (size_t i = 0; i < group->count; i++) {
        bool placed = false;
        for (size_t k = 0; k < subset_count && !placed; k++) {
            subsets[k].members[subsets[k].count++] = group->members[i];
            const char *reason = lower_group(tree, &subsets[k], true, &fusion);
            placed = !reason;
            subsets[k].count -= !placed;
            note(tree, reason);
        }
        if (!placed) {
            struct group *subset = &subsets[subset_count++];
            *subset = (struct group){NEW_ARRAY(arena, size_t, group->count), 1, group->source};
            subset->members[0] = group->members[i];
        }
    }
    for (size_t k = 0; k < subset_count; k++) {
        if (subsets[k].count < 2)
            continue;
        struct group wider = with_constants(tree, &subsets[k]);
        if (wider.count < tree->leaves.count && !lower_group(tree, &wider, false, &fusion))
            take(tree, &wider, fusion, made, made_count);
    }
}

/* Members with one source whose strides and extents agree with those of the first. */
static void split_by_extent(struct tree *tree, struct group *rest, struct group *same)
{
    size_t kept = 0;
    same->count = 0;
    for (size_t i = 0; i < rest->count; i++) {
        const struct affine *form;
        int32_t type;
        bool sized;
        struct group pair = {(size_t[]){same->count ? same->members[0] : rest->members[i], rest->members[i]}, 2,
                             rest->source};
        const char *reason = join_group(tree, &pair, &form, &type, &sized);
        if (!reason)
            same->members[same->count++] = rest->members[i];
        else
            rest->members[kept++] = rest->members[i];
        note(tree, reason);
    }
    if (same->count == 0)
        kept = 0; /* the first one does not even agree with itself, so no member does */
    rest->count = kept;
}

/* Returns true when the whole tree became one op. */
static bool fold_source(struct tree *tree, struct value *source, struct made *made, size_t *made_count)
{
    struct arena *arena = tree->plan->model->arena;
    struct group rest = {NEW_ARRAY(arena, size_t, tree->leaves.count), 0, source};
    struct group same = {NEW_ARRAY(arena, size_t, tree->leaves.count), 0, source};
    for (size_t i = 0; i < tree->leaves.count; i++)
        if (!tree->leaves.items[i].taken && entry_of(&tree->leaves.items[i], source))
            rest.members[rest.count++] = i;
    while (rest.count > 1) {
        struct fusion *fusion;
        split_by_extent(tree, &rest, &same);
        if (same.count < 2)
            continue;
        struct group all = with_constants(tree, &same);
        bool whole = all.count == tree->leaves.count;
        if (whole) {
            const char *reason = lower_group(tree, &all, false, &fusion);
            if (!reason)
                return true;
            note(tree, reason);
        }
        if (!tree->whole_factors)
            continue;
        sort_members(tree, &same);
        all = with_constants(tree, &same);
        if (!whole && same.count > GREEDY_LIMIT && !lower_group(tree, &all, false, &fusion)) {
            take(tree, &all, fusion, made, made_count);
            continue;
        }
        if (same.count > GREEDY_LIMIT)
            same.count = GREEDY_LIMIT;
        make_subsets(tree, &same, made, made_count);
    }
    return false;
}

/* Something a user would expect to fold: an affine branch, or one that has a weight. */
static bool is_branch(const struct trace *trace, enum layout layout)
{
    enum op op = trace->node ? trace->node->op : OP_UNKNOWN;
    for (size_t k = 1; k < trace->count; k++)
        if (trace->entries[k].form->kind != AFFINE_PICK)
            return true;
    return layout == LAYOUT_CONV ? op == OP_Conv || op == OP_ConvTranspose || op == OP_BatchNormalization
                                 : op == OP_Gemm || op == OP_MatMul;
}

/* If all leaves are ConvTransposes of one value, they become one. */
static bool join_transposed(struct tree *tree)
{
    struct arena *arena = tree->plan->model->arena;
    size_t count = tree->leaves.count;
    struct transposed *parts = NEW_ARRAY(arena, struct transposed, count), sum;
    struct value **seeds = NEW_ARRAY(arena, struct value *, count);
    double *factors = NEW_ARRAY(arena, double, count), multiply_adds = 0;
    struct node *heaviest = NULL;
    int64_t most = 0;
    for (size_t i = 0; i < count; i++) {
        const struct leaf *leaf = &tree->leaves.items[i];
        struct node *node = leaf->constant ? NULL : leaf->value->producer;
        if (!node || !is_conv_transpose(node) || node->graph != tree->graph || transposed_lift(node, &parts[i]))
            return false;
        int64_t weights = affine_weights(parts[i].adjoint);
        seeds[i] = leaf->value;
        factors[i] = leaf->factor;
        multiply_adds += (double)weights;
        heaviest = weights > most ? node : heaviest;
        most = weights > most ? weights : most;
    }
    struct region region = {.plan = tree->plan, .graph = tree->graph, .layout = LAYOUT_CONV, .source = parts[0].source};
    struct fusion *fusion;
    const char *reason = transposed_join(arena, parts, factors, count, &sum);
    if (!reason && (!value_is_told(sum.source) || !value_is_told(tree->root->outputs[0])))
        reason = "it would separate two ops that another rewrite made as a pair";
    if (!reason) {
        region_walk(&region, seeds, count, tree->nodes.items, tree->nodes.count, true);
        for (size_t i = 0; i < count && !reason; i++)
            if (!region_is_replaced(&region, seeds[i]->producer))
                reason = "other ops read a branch, so it stays";
        region.replaced = tree->nodes.count + count;
        region.multiply_adds = 0;
    }
    if (!reason)
        reason = lower_conv_transpose(tree->plan, &region, heaviest, &sum, multiply_adds, true, tree->root->outputs[0],
                                      &fusion);
    note(tree, reason);
    return !reason;
}

static void fold_tree(struct plan *plan, struct node *root, enum layout layout)
{
    struct arena *arena = plan->model->arena;
    struct tree tree = {.plan = plan, .graph = root->graph, .layout = layout, .root = root, .whole_factors = true};
    sum_flatten(&tree);
    sum_find_padded(&tree);
    size_t branches = 0;
    for (size_t i = 0; i < tree.leaves.count; i++)
        branches += !tree.leaves.items[i].constant;
    if (branches < 2 || (layout == LAYOUT_CONV && join_transposed(&tree)))
        return;
    struct made *made = NEW_ARRAY(arena, struct made, tree.leaves.count);
    size_t made_count = 0, candidate_count;
    bool affine = false;
    for (size_t i = 0; i < tree.leaves.count; i++)
        affine = affine || is_branch(tree.leaves.items[i].trace, layout);
    struct candidate *candidates = find_candidates(&tree, &candidate_count);
    for (size_t i = 0; i < candidate_count && candidates[i].count > 1; i++)
        if (fold_source(&tree, candidates[i].source, made, &made_count))
            return;
    const char *reason = sum_explain(&tree);
    size_t left = 0;
    for (size_t i = 0; i < tree.leaves.count; i++)
        left += !tree.leaves.items[i].taken && !tree.leaves.items[i].constant;
    if (made_count && tree.torn)
        sum_rebuild(&tree, made, made_count);
    if (affine && (left || made_count > 1))
        plan_refuse(plan, root, tree.root->outputs[0], reason);
}

static bool join_sum(struct plan *plan, struct node *sum)
{
    const enum layout layouts[] = {LAYOUT_CONV, LAYOUT_MATRIX};
    for (size_t k = 0; k < COUNT_OF(layouts); k++) {
        if (sum->removed || (layouts[k] == LAYOUT_CONV && sum->outputs[0]->rank == 2))
            continue;
        const struct step *step = lift_node(sum, layouts[k]);
        if (!step->reason && step->term_count && !has_sum_behind(sum, layouts[k]))
            fold_tree(plan, sum, layouts[k]);
    }
    return false;
}

void join_branches(struct plan *plan)
{
    pass_each(plan, is_sum_node, false, join_sum);
}
