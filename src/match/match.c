/* match/match.c: partners by structure, from the outputs up, by name, by order. */
#include "match/match.h"

#include <math.h>
#include <stdlib.h>

#include "match/number.h"

/* Nodes of one number beyond this many are taken in order, without a look at their names. */
enum { LOOK = 16 };

struct match_item {
    struct node *node;
    struct match_item *next;
};

struct matcher {
    struct arena *arena;
    struct match_table *table;
    struct numbering *numbering;
    struct graph *a, *b;
    LIST(struct node *) work; /* of the first graph, just matched: their inputs come next */
};

bool match_takes_part(const struct node *node)
{
    const struct value *output = node_output(node, 0);
    return !(node->op == OP_Constant && output && output->tensor);
}

bool match_is_alone(const struct value *value)
{
    const struct node *node = value->producer;
    return node && match_takes_part(node) && !node_partner(node);
}

static size_t output_index(const struct node *node, const struct value *value)
{
    size_t index = 0;
    while (index < node->output_count && node->outputs[index] != value)
        index++;
    return index;
}

bool match_is_pair(const struct value *left, const struct value *right)
{
    const struct node *a = left->producer, *b = right->producer;
    if (value_number(left) == value_number(right))
        return true;
    return a && b && node_partner(a) == b && output_index(a, left) == output_index(b, right);
}

static bool same_kind(const struct node *a, const struct node *b)
{
    const char *x = a->proto->op_type ? a->proto->op_type : "";
    const char *y = b->proto->op_type ? b->proto->op_type : "";
    return strcmp(x, y) == 0 && strcmp(operator_domain(a->proto->domain), operator_domain(b->proto->domain)) == 0;
}

/* How near two constants are, in (0, 1]; 0 where they cannot be compared. A few of their numbers are looked at. */
static double nearness(const struct value *left, const struct value *right)
{
    enum { SAMPLES = 8 };
    const struct tensor *x = left->tensor, *y = right->tensor;
    if (!x || !y || x->type != y->type || x->rank != y->rank ||
        memcmp(x->dims, y->dims, (size_t)x->rank * sizeof(*x->dims)) != 0 || !type_is_float(x->type) ||
        !tensor_is_readable(x) || !tensor_is_readable(y))
        return 0;
    double apart = 0, size = 0;
    for (int64_t i = 0; i < SAMPLES && i < x->count; i++) {
        double a, b;
        int64_t at = x->count <= SAMPLES ? i : x->count / SAMPLES * i;
        tensor_read(x, at, 1, &a);
        tensor_read(y, at, 1, &b);
        if (isfinite(a) && isfinite(b)) {
            apart += fabs(a - b);
            size += fabs(a) + fabs(b);
        }
    }
    return size > 0 ? 1 / (1 + apart / size) : 1;
}

static double likeness_of(const struct value *left, const struct value *right, int depth, int *looks);

/* The similarity of two nodes' inputs: half the mean over values, because distant values say less, plus each pair of
 * constants. Commuting operands are in the best order. */
static double likeness_of_inputs(const struct node *a, const struct node *b, int depth, int *looks)
{
    double constants = 0, values = 0;
    size_t pairs = 0;
    if (node_commutes(a) && a->input_count == 2 && b->input_count == 2) {
        double straight = likeness_of(a->inputs[0], b->inputs[0], depth, looks) +
                          likeness_of(a->inputs[1], b->inputs[1], depth, looks);
        double crossed = likeness_of(a->inputs[0], b->inputs[1], depth, looks) +
                         likeness_of(a->inputs[1], b->inputs[0], depth, looks);
        return fmax(straight, crossed) / 4;
    }
    for (size_t i = 0; i < a->input_count && i < b->input_count; i++) {
        const struct value *x = a->inputs[i], *y = b->inputs[i];
        if (!x || !y)
            continue;
        if (value_is_stored(x) && value_is_stored(y)) {
            constants += nearness(x, y);
            continue;
        }
        values += likeness_of(x, y, depth, looks);
        pairs++;
    }
    return constants + (pairs ? values / (double)(2 * pairs) : 0);
}

/* At most *looks pairs are looked at. */
static double likeness_of(const struct value *left, const struct value *right, int depth, int *looks)
{
    enum { DEPTH = 6, KNOWN = 64 };
    if (!left || !right || depth == DEPTH || *looks == 0)
        return 0;
    --*looks;
    if (match_is_pair(left, right))
        return KNOWN;
    if (value_is_stored(left) && value_is_stored(right))
        return 1 + nearness(left, right);
    const struct node *a = left->producer, *b = right->producer;
    double sum = strcmp(left->name, right->name) == 0;
    if (!a || !b || value_is_stored(left) || value_is_stored(right) || !same_kind(a, b))
        return sum;
    return sum + 2 + likeness_of_inputs(a, b, depth + 1, looks);
}

/* How much speaks for one value standing for another: more than all else, that they are known to. */
static double likeness(const struct value *left, const struct value *right)
{
    int looks = 64;
    return likeness_of(left, right, 0, &looks);
}

size_t match_operand(const struct node *left, const struct node *right, size_t index)
{
    if (!node_commutes(left) || left->input_count != 2 || right->input_count != 2 || !left->inputs[0] ||
        !left->inputs[1] || !right->inputs[0] || !right->inputs[1])
        return index;
    struct value *const *x = left->inputs, *const *y = right->inputs;
    bool crossed = likeness(x[0], y[1]) + likeness(x[1], y[0]) > likeness(x[0], y[0]) + likeness(x[1], y[1]);
    return crossed ? 1 - index : index;
}

static void pair_nodes(struct matcher *matcher, struct node *a, struct node *b)
{
    node_partner_set(a, b);
    node_partner_set(b, a);
    LIST_PUSH(matcher->arena, &matcher->work, a);
}

/* ---- by structure ---- */

/* Empty, with a place for each number there is. */
static struct match_item **table_for(struct arena *arena, struct match_table *table, const struct numbering *numbering)
{
    if (table->room < numbering->entries.count) {
        table->room = 2 * numbering->entries.count;
        table->items = NEW_ARRAY(arena, struct match_item *, table->room);
    }
    return table->items;
}

static void match_numbers(struct matcher *matcher)
{
    struct match_item **items = table_for(matcher->arena, matcher->table, matcher->numbering);
    for (size_t i = matcher->a->order.count; i-- > 0;) {
        struct node *node = matcher->a->order.items[i];
        if (!match_takes_part(node))
            continue;
        struct match_item *item = NEW(matcher->arena, struct match_item);
        item->node = node;
        item->next = items[node_number(node)];
        items[node_number(node)] = item;
    }
    for (size_t i = 0; i < matcher->b->order.count; i++) {
        struct node *node = matcher->b->order.items[i];
        const struct value *output = node_output(node, 0);
        if (!match_takes_part(node) || !items[node_number(node)])
            continue;
        struct match_item **place = &items[node_number(node)];
        int looked = 0;
        for (struct match_item **p = place; *p && looked < LOOK; p = &(*p)->next, looked++) {
            const struct value *other = node_output((*p)->node, 0);
            if (output && other && strcmp(output->name, other->name) == 0) {
                place = p;
                break;
            }
        }
        node_partner_set((*place)->node, node);
        node_partner_set(node, (*place)->node);
        *place = (*place)->next;
    }
    for (size_t i = 0; i < matcher->a->order.count; i++)
        items[node_number(matcher->a->order.items[i])] = NULL;
}

/* ---- from the outputs up ---- */

static void match_values(struct matcher *matcher, const struct value *left, const struct value *right)
{
    struct node *a = left ? left->producer : NULL, *b = right ? right->producer : NULL;
    if (!a || !b || node_partner(a) || node_partner(b) || !match_takes_part(a) || !match_takes_part(b) ||
        a->graph != matcher->a || b->graph != matcher->b || !same_kind(a, b) ||
        output_index(a, left) != output_index(b, right))
        return;
    pair_nodes(matcher, a, b);
}

/* Values that the bodies of matched nodes read are matched if their numbers are equal. */
static void match_captures(struct matcher *matcher, const struct node *a, const struct node *b)
{
    for (size_t i = 0; i < a->body_count && i < b->body_count; i++) {
        struct value_reads left = {NULL, 0, 0}, right = {NULL, 0, 0};
        graph_captures(matcher->arena, a->bodies[i], &left);
        graph_captures(matcher->arena, b->bodies[i], &right);
        for (size_t k = 0; left.count == right.count && k < left.count; k++)
            match_values(matcher, left.items[k], right.items[k]);
    }
}

static void match_upwards(struct matcher *matcher)
{
    while (matcher->work.count) {
        const struct node *a = matcher->work.items[--matcher->work.count];
        const struct node *b = node_partner(a);
        for (size_t i = 0; i < a->input_count; i++) {
            size_t other = match_operand(a, b, i);
            if (other < b->input_count)
                match_values(matcher, a->inputs[i], b->inputs[other]);
        }
        match_captures(matcher, a, b);
    }
}

/* ---- by name ---- */

static void match_names(struct matcher *matcher)
{
    for (size_t i = matcher->b->order.count; i-- > 0;) {
        const struct node *node = matcher->b->order.items[i];
        const struct value *output = node_output(node, 0);
        if (!node_partner(node) && output)
            match_values(matcher, map_get(&matcher->a->values, output->name), output);
        match_upwards(matcher);
    }
}

/* ---- by order ---- */

struct left_over {
    uint32_t kind; /* number_operator */
    size_t place;
    struct node *node;
};

static int by_kind(const void *a, const void *b)
{
    const struct left_over *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static size_t list_left_over(struct matcher *matcher, const struct graph *graph, struct left_over **list)
{
    size_t count = 0;
    *list = NEW_ARRAY(matcher->arena, struct left_over, graph->order.count + 1);
    for (size_t i = 0; i < graph->order.count; i++) {
        struct node *node = graph->order.items[i];
        bool plain = match_takes_part(node) && !node_partner(node) && node->input_count;
        for (size_t k = 0; plain && k < node->input_count; k++)
            plain = !node->inputs[k] || !value_is_stored(node->inputs[k]);
        if (plain)
            (*list)[count++] = (struct left_over){number_operator(matcher->numbering, node), i, node};
    }
    qsort(*list, count, sizeof(**list), by_kind);
    return count;
}

static void match_order(struct matcher *matcher)
{
    struct left_over *left, *right;
    size_t lefts = list_left_over(matcher, matcher->a, &left);
    size_t rights = list_left_over(matcher, matcher->b, &right);
    size_t i = 0, k = 0;
    while (i < lefts && k < rights) {
        uint32_t kind = left[i].kind;
        if (kind != right[k].kind) {
            *(kind < right[k].kind ? &i : &k) += 1;
            continue;
        }
        size_t x = i, y = k;
        while (x < lefts && left[x].kind == kind)
            x++;
        while (y < rights && right[y].kind == kind)
            y++;
        if (x - i == y - k)
            for (size_t n = 0; n < x - i; n++)
                if (!node_partner(left[i + n].node) && !node_partner(right[k + n].node))
                    pair_nodes(matcher, left[i + n].node, right[k + n].node);
        i = x;
        k = y;
    }
    match_upwards(matcher);
}

void match_graphs(struct arena *arena, struct numbering *numbering, struct match_table *table, struct graph *a,
                  struct graph *b, const struct value_pair *outputs, size_t output_count)
{
    struct matcher matcher = {.arena = arena, .table = table, .numbering = numbering, .a = a, .b = b};
    match_numbers(&matcher);
    for (size_t i = 0; i < output_count; i++)
        match_values(&matcher, outputs[i].left, outputs[i].right);
    match_upwards(&matcher);
    match_names(&matcher);
    match_order(&matcher);
}
