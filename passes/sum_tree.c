/* passes/sum_tree.c: flattens trees of sums, and rebuilds them from the remaining leaves. */
#include "passes/sum_tree.h"

#include "passes/pass.h"

#include <math.h>

#include "affine/laws.h"
#include "fuse/channel.h"
#include "fuse/extent.h"
#include "fuse/lift.h"
#include "fuse/region.h"
#include "model/edit.h"

bool is_sum_node(struct node *node)
{
    return operator_is(node->op, IS_SUM) && node->outputs[0];
}

/* ---- flattening ---- */

static bool adds_constant(struct node *node, enum layout layout)
{
    const struct step *step = lift_node(node, layout);
    return (node->op == OP_Add || node->op == OP_Sub) && !step->reason && step->input;
}

bool has_sum_behind(struct node *node, enum layout layout)
{
    for (;;) {
        node = value_only_reader(node->outputs[0]) && value_only_reader(node->outputs[0])->graph == node->graph
                   ? value_only_reader(node->outputs[0])
                   : NULL;
        if (!node || !is_sum_node(node) || lift_node(node, layout)->reason)
            return false;
        if (lift_node(node, layout)->term_count)
            return true;
        if (!adds_constant(node, layout))
            return false;
    }
}

/* A constant operand of a sum; no op computes it. */
static struct leaf constant_leaf(struct value *operand, const struct value *data, double factor, enum layout layout)
{
    static const struct trace none = {0};
    struct leaf leaf = {.value = operand, .factor = factor, .trace = &none, .rank = data->rank};
    /* The step of this sum has already checked it. */
    lift_channels(data, operand, layout, &leaf.width, &leaf.constant);
    return leaf;
}

/* The operands of a sum below `at`, the last one on top of the stack first. */
static void push_operands(struct tree *tree, struct leaf_list *stack, const struct leaf *at)
{
    struct arena *arena = tree->plan->model->arena;
    struct node *node = at->value->producer;
    const struct step *step = lift_node(node, tree->layout);
    for (size_t k = step->term_count; k-- > 0;)
        LIST_PUSH(arena, stack,
                  ((struct leaf){.value = step->terms[k].value, .factor = at->factor * step->terms[k].factor}));
    for (size_t k = step->term_count ? 0 : 2; k-- > 0;) { /* x + c, c + x, x - c, c - x */
        struct value *operand = node->inputs[k];
        double factor = at->factor * (node->op == OP_Sub && k == 1 ? -1 : 1);
        if (operand == step->input)
            LIST_PUSH(arena, stack, ((struct leaf){.value = operand, .factor = factor}));
        else
            LIST_PUSH(arena, stack, constant_leaf(operand, step->input, factor, tree->layout));
    }
}

void sum_flatten(struct tree *tree)
{
    struct arena *arena = tree->plan->model->arena;
    struct leaf_list stack = {0};
    LIST_PUSH(arena, &stack, ((struct leaf){.value = tree->root->outputs[0], .factor = 1}));
    while (stack.count) {
        struct leaf at = stack.items[--stack.count];
        if (!at.value) {
            tree->branches.items[at.closes].end = tree->leaves.count;
            continue;
        }
        struct node *node = at.constant ? NULL : at.value->producer;
        bool inner = node && node->graph == tree->graph && is_sum_node(node) &&
                     (node == tree->root || value_only_reader(at.value)) &&
                     !is_matrix_product(node); /* with its bias */
        const struct step *step = inner ? lift_node(node, tree->layout) : NULL;
        if (step && !step->reason && (step->term_count || adds_constant(node, tree->layout))) {
            struct branch branch = {node, at.factor, tree->leaves.count, 0, false};
            LIST_PUSH(arena, &tree->nodes, node);
            LIST_PUSH(arena, &stack, ((struct leaf){.closes = tree->branches.count}));
            LIST_PUSH(arena, &tree->branches, branch);
            push_operands(tree, &stack, &at);
            continue;
        }
        if (!at.constant)
            at.trace = lift_trace(at.value, tree->layout);
        tree->whole_factors = tree->whole_factors && fabs(at.factor) == 1;
        LIST_PUSH(arena, &tree->leaves, at);
    }
}

static void add_padded(const struct tree *tree, struct leaf *leaf, const struct trace_entry *entry, struct node *pad)
{
    struct arena *arena = tree->plan->model->arena;
    const struct affine *middle, *form;
    bool sized = entry->sized;
    if (!lift_node(pad, LAYOUT_CONV)->reason || lift_crop_back(pad, &middle, &sized) ||
        affine_compose(arena, entry->form, middle, &form))
        return;
    struct trace *longer = NEW(arena, struct trace);
    struct trace_entry *entries = NEW_ARRAY(arena, struct trace_entry, leaf->trace->count + 1);
    *longer = *leaf->trace;
    memcpy(entries, longer->entries, longer->count * sizeof(*entries));
    entries[longer->count++] = (struct trace_entry){pad->outputs[0], entry->source, form, entry->type, sized};
    longer->entries = entries;
    leaf->trace = longer;
}

void sum_find_padded(struct tree *tree)
{
    enum { LEAVES_MOST = 64 }; /* the search is quadratic */
    if (tree->layout != LAYOUT_CONV || tree->leaves.count > LEAVES_MOST)
        return;
    for (size_t i = 0; i < tree->leaves.count; i++) {
        const struct trace *trace = tree->leaves.items[i].trace;
        for (size_t k = 0; k < trace->count; k++) {
            struct value *padded = trace->entries[k].source;
            struct node *pad = padded->producer;
            if (trace->entries[k].origin || !pad || pad->op != OP_Pad || !node_input(pad, 0) ||
                !value_is_told(pad->inputs[0]))
                continue;
            for (size_t j = 0; j < tree->leaves.count; j++) {
                struct leaf *other = &tree->leaves.items[j];
                const struct trace_entry *entry = entry_of(other, pad->inputs[0]);
                if (j != i && entry && !entry->origin && !entry_of(other, padded))
                    add_padded(tree, other, entry, pad);
            }
        }
    }
}

bool sum_takes_constant(const struct tree *tree, const struct leaf *constant, const struct value *source,
                        const struct affine *form)
{
    if (!constant->width)
        return true;
    int64_t channels = form->outputs ? form->outputs : region_channels(source, tree->layout);
    int rank = form->axes >= 0 ? form->axes + 2 : source->rank;
    return channels == constant->width && (tree->layout == LAYOUT_MATRIX || (rank >= 0 && rank == constant->rank));
}

/* ---- parts of it ---- */

const struct trace_entry *entry_of(const struct leaf *leaf, const struct value *source)
{
    for (size_t i = 0; i < leaf->trace->count; i++)
        if (leaf->trace->entries[i].source == source)
            return &leaf->trace->entries[i];
    return NULL;
}

const struct branch *branch_of(const struct tree *tree, const struct group *group)
{
    size_t first = SIZE_MAX, last = 0;
    for (size_t i = 0; i < group->count; i++) {
        first = group->members[i] < first ? group->members[i] : first;
        last = group->members[i] > last ? group->members[i] : last;
    }
    if (last - first + 1 != group->count)
        return NULL;
    for (size_t i = 0; i < tree->branches.count; i++) {
        const struct branch *branch = &tree->branches.items[i];
        if (branch->first == first && branch->end == last + 1 && branch->factor == 1)
            return branch;
    }
    return NULL;
}

struct node **nodes_of(const struct tree *tree, const struct branch *branch, size_t *count)
{
    *count = tree->nodes.count;
    if (branch == &tree->branches.items[0])
        return tree->nodes.items;
    struct node **nodes = NEW_ARRAY(tree->plan->model->arena, struct node *, tree->branches.count);
    *count = 0;
    for (size_t i = 0; i < tree->branches.count; i++) {
        const struct branch *other = &tree->branches.items[i];
        if (other >= branch && other->first >= branch->first && other->end <= branch->end)
            nodes[(*count)++] = other->node;
    }
    return nodes;
}

static void mark_members(struct tree *tree, const struct group *group, bool mark)
{
    struct arena *arena = tree->plan->model->arena;
    if (!tree->member) {
        tree->member = NEW_ARRAY(arena, bool, tree->leaves.count);
        tree->others = NEW_ARRAY(arena, struct value *, tree->leaves.count);
    }
    for (size_t i = 0; i < group->count; i++)
        tree->member[group->members[i]] = mark;
}

struct value *const *others_of(struct tree *tree, const struct group *group, size_t *count)
{
    mark_members(tree, group, true);
    *count = 0;
    for (size_t i = 0; i < tree->leaves.count; i++)
        if (!tree->member[i] && !tree->leaves.items[i].taken)
            tree->others[(*count)++] = tree->leaves.items[i].value;
    mark_members(tree, group, false);
    return tree->others;
}

/* ---- the remaining leaves ---- */

/* The parts of the rebuilt tree by sign: [1] is subtracted. */
struct parts {
    size_t count[2];
    size_t torn; /* sums of the tree that it replaces */
};

static bool is_free(const struct tree *tree, size_t leaf)
{
    return !tree->leaves.items[leaf].taken && !(tree->member && tree->member[leaf]);
}

/* Visits the leaves that did not fold, in order. The largest sums below the root that contain only such leaves stay
 * unchanged. `list` receives these sums and the single leaves; NULL: only count them. */
static struct parts find_parts(struct tree *tree, struct made *list)
{
    struct parts parts = {{0, 0}, 0};
    size_t k = 1, leaf = 0, end = tree->leaves.count, run = 0, listed = 0;
    for (size_t i = 0; i < tree->branches.count; i++)
        tree->branches.items[i].intact = false;
    while (leaf < end) {
        const struct branch *intact = NULL;
        /* The end of the free leaves that begin here. */
        for (run = run > leaf ? run : leaf; run < end && is_free(tree, run);)
            run++;
        for (; k < tree->branches.count && tree->branches.items[k].first <= leaf; k++) {
            struct branch *branch = &tree->branches.items[k];
            branch->intact = branch->end <= (intact ? intact->end : run);
            if (branch->intact && !intact)
                intact = branch;
        }
        if (intact)
            for (; k < tree->branches.count && tree->branches.items[k].first < intact->end; k++)
                tree->branches.items[k].intact = true;
        const struct leaf *at = &tree->leaves.items[leaf];
        struct made part =
            intact ? (struct made){intact->node->outputs[0], intact->factor} : (struct made){at->value, at->factor};
        if (is_free(tree, leaf)) {
            parts.count[part.factor < 0]++;
            if (list)
                list[listed++] = part;
        }
        leaf = intact ? intact->end : leaf + 1;
    }
    for (size_t i = 0; i < tree->branches.count; i++)
        parts.torn += !tree->branches.items[i].intact && !tree->branches.items[i].node->removed;
    return parts;
}

/* If the tree has a Sum of many operands, rebuilding it in pairs may need more ops. */
static bool fits_in_pairs(struct parts parts)
{
    return parts.count[0] + parts.count[1] - 1 <= parts.torn;
}

/* The number of sums saved by adding these parts. */
static int64_t saved_by(struct parts parts)
{
    size_t added = parts.count[0], subtracted = parts.count[1];
    size_t pairs = added + subtracted - 1, many = (added > 1) + (subtracted > 1) + (subtracted > 0);
    return (int64_t)parts.torn - (int64_t)(fits_in_pairs(parts) ? pairs : many);
}

int64_t sum_spared(struct tree *tree, const struct group *group, double sign)
{
    struct parts before = find_parts(tree, NULL);
    mark_members(tree, group, true);
    struct parts after = find_parts(tree, NULL);
    mark_members(tree, group, false);
    for (size_t i = 0; i < COUNT_OF(tree->made); i++) {
        before.count[i] += tree->made[i];
        after.count[i] += tree->made[i];
    }
    after.count[sign < 0]++;
    return saved_by(after) - (tree->torn ? saved_by(before) : 0);
}

/* One op of the rebuilt tree: the last one computes the value of the root, the others new values. */
static struct value *add_up(const struct tree *tree, const char *operator_name, struct value *const *inputs,
                            size_t count, bool last)
{
    struct arena *arena = tree->plan->model->arena;
    struct node *root = tree->root;
    struct value *output = root->outputs[0], *sum = output;
    const char *name = last && root->proto->name ? root->proto->name : "";
    if (!last) {
        sum = edit_value(tree->graph, arena_format(arena, "%s.sum", output->name));
        sum->type = output->type; /* it has the shape of the parts, which may be smaller */
        struct term_list *terms = NEW(arena, struct term_list);
        for (size_t i = 0; i < count; i++)
            plan_add_term(arena, terms, inputs[i], i && strcmp(operator_name, "Sub") == 0 ? -1 : 1);
        sum->terms = terms;
    }
    edit_node(tree->graph, &(struct edit_op){.op = operator_name,
                                             .at = root,
                                             .name = name,
                                             .like = last ? root : NULL,
                                             .inputs = inputs,
                                             .input_count = count,
                                             .output = sum});
    return sum;
}

/* Pairs, in the order of the parts. The first one is not subtracted. */
static void add_in_pairs(const struct tree *tree, const struct made *parts, size_t count)
{
    struct value *sum = parts[0].value;
    for (size_t i = 1; i < count; i++) {
        struct value *pair[2] = {sum, parts[i].value};
        sum = add_up(tree, parts[i].factor < 0 ? "Sub" : "Add", pair, 2, i + 1 == count);
    }
}

/* The sum of all parts with this sign: a single part, or one op over them. */
static struct value *add_of_sign(const struct tree *tree, const struct made *parts, size_t count, double sign,
                                 bool last)
{
    struct value **same = NEW_ARRAY(tree->plan->model->arena, struct value *, count);
    size_t same_count = 0;
    for (size_t i = 0; i < count; i++)
        if (parts[i].factor == sign)
            same[same_count++] = parts[i].value;
    if (same_count < 2)
        return same_count ? same[0] : NULL;
    return add_up(tree, same_count > 2 ? "Sum" : "Add", same, same_count, last);
}

void sum_rebuild(struct tree *tree, const struct made *groups, size_t group_count)
{
    struct arena *arena = tree->plan->model->arena;
    struct made *parts = NEW_ARRAY(arena, struct made, group_count + tree->leaves.count);
    struct parts found = find_parts(tree, parts + group_count);
    memcpy(parts, groups, group_count * sizeof(*groups));
    for (size_t i = 0; i < COUNT_OF(found.count); i++)
        found.count[i] += tree->made[i];
    size_t count = found.count[0] + found.count[1];
    /* The leftmost leaf of a tree is added, or belongs to an added group. So some part is not subtracted, and that
     * one comes first. */
    bool subtracts = false;
    for (size_t i = count; i-- > 0;) {
        struct made first = parts[0], part = parts[i];
        subtracts = subtracts || part.factor < 0;
        if (first.factor < 0 && part.factor > 0) {
            parts[0] = part;
            parts[i] = first;
        }
    }
    if (fits_in_pairs(found)) {
        add_in_pairs(tree, parts, count);
    } else {
        struct value *pair[2] = {add_of_sign(tree, parts, count, 1, !subtracts),
                                 add_of_sign(tree, parts, count, -1, false)};
        if (subtracts)
            add_up(tree, "Sub", pair, 2, true);
    }
    for (size_t i = 0; i < tree->branches.count; i++)
        if (!tree->branches.items[i].intact && !tree->branches.items[i].node->removed)
            edit_remove(tree->branches.items[i].node);
    lift_forget(tree->plan->model);
}

/* Why one leaf did not fold, or NULL. */
static const char *explain_leaf(const struct tree *tree, const struct leaf *leaf)
{
    struct arena *arena = tree->plan->model->arena;
    const struct trace *trace = leaf->trace;
    const char *name = leaf->value->name;
    if (trace->reason && trace->node)
        return arena_format(arena, "branch '%s' at %s: %s", name,
                            trace->node->proto->op_type ? trace->node->proto->op_type : "", trace->reason);
    if (trace->count > 1 && leaf->value->is_output)
        return arena_format(arena, "branch '%s' is a graph output, so it stays", name);
    if (trace->count > 1 && value_use_count(leaf->value) > 1)
        return arena_format(arena, "other ops read branch '%s', so it stays", name);
    if (!tree->reason)
        return trace->count > 1 ? arena_format(arena, "branch '%s' is linear in '%s'", name,
                                               trace->entries[trace->count - 1].source->name)
                                : arena_format(arena, "branch '%s' enters the sum as it is", name);
    return NULL;
}

const char *sum_explain(const struct tree *tree)
{
    struct arena *arena = tree->plan->model->arena;
    const char *text = tree->reason ? tree->reason : REASON_NO_TWO_BRANCHES;
    size_t shown = 0;
    for (size_t i = 0; i < tree->leaves.count && shown < 6; i++) {
        const struct leaf *leaf = &tree->leaves.items[i];
        const char *clause = leaf->taken || leaf->constant ? NULL : explain_leaf(tree, leaf);
        if (clause)
            text = arena_format(arena, "%s; %s", text, clause);
        shown += clause != NULL;
    }
    return text;
}
