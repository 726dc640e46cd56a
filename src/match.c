/* match.c: partners by structure, from the outputs up, by name, by order. */
#include "match.h"

#include <stdlib.h>
#include <string.h>

/* Nodes of one number beyond this many are taken in order, without a look at their names. */
enum { LOOK = 16 };

struct item {
    struct node *node;
    struct item *next;
};

struct matcher {
    struct arena *arena;
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
    return node && match_takes_part(node) && !node->partner;
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
    if (left->number == right->number)
        return true;
    return a && b && a->partner == b && output_index(a, left) == output_index(b, right);
}

size_t match_operand(const struct node *left, const struct node *right, size_t index)
{
    if (!node_commutes(left) || left->input_count != 2 || right->input_count != 2 ||
        !left->inputs[0] || !left->inputs[1] || !right->inputs[0] || !right->inputs[1])
        return index;
    const struct value *const *x = (const struct value *const *)left->inputs;
    const struct value *const *y = (const struct value *const *)right->inputs;
    int straight = match_is_pair(x[0], y[0]) + match_is_pair(x[1], y[1]);
    int crossed = match_is_pair(x[0], y[1]) + match_is_pair(x[1], y[0]);
    if (straight == crossed) {
        /* Nothing stands for anything yet: what is made by the same kind of node goes together. */
        bool constant = value_is_stored(x[0]);
        return constant != value_is_stored(y[0]) && constant == value_is_stored(y[1]) ? 1 - index
                                                                                      : index;
    }
    return crossed > straight ? 1 - index : index;
}

static bool same_kind(const struct node *a, const struct node *b)
{
    const char *x = a->proto->op_type ? a->proto->op_type : "";
    const char *y = b->proto->op_type ? b->proto->op_type : "";
    const char *domains[2] = {a->proto->domain, b->proto->domain};
    for (int i = 0; i < 2; i++)
        domains[i] = !domains[i] || strcmp(domains[i], "ai.onnx") == 0 ? "" : domains[i];
    return strcmp(x, y) == 0 && strcmp(domains[0], domains[1]) == 0;
}

static void marry(struct matcher *matcher, struct node *a, struct node *b)
{
    a->partner = b;
    b->partner = a;
    LIST_PUSH(matcher->arena, &matcher->work, a);
}

/* ---- by structure ---- */

static void match_numbers(struct matcher *matcher)
{
    size_t room = matcher->numbering->entries.count;
    struct item **items = NEW_ARRAY(matcher->arena, struct item *, room);
    for (size_t i = matcher->a->order.count; i-- > 0;) {
        struct node *node = matcher->a->order.items[i];
        if (!match_takes_part(node))
            continue;
        struct item *item = NEW(matcher->arena, struct item);
        item->node = node;
        item->next = items[node->number];
        items[node->number] = item;
    }
    for (size_t i = 0; i < matcher->b->order.count; i++) {
        struct node *node = matcher->b->order.items[i];
        const struct value *output = node_output(node, 0);
        if (!match_takes_part(node) || !items[node->number])
            continue;
        struct item **place = &items[node->number];
        int looked = 0;
        for (struct item **p = place; *p && looked < LOOK; p = &(*p)->next, looked++) {
            const struct value *other = node_output((*p)->node, 0);
            if (output && other && strcmp(output->name, other->name) == 0) {
                place = p;
                break;
            }
        }
        (*place)->node->partner = node;
        node->partner = (*place)->node;
        *place = (*place)->next;
    }
}

/* ---- from the outputs up ---- */

static void match_values(struct matcher *matcher, const struct value *left,
                         const struct value *right)
{
    struct node *a = left ? left->producer : NULL, *b = right ? right->producer : NULL;
    if (!a || !b || a->partner || b->partner || !match_takes_part(a) || !match_takes_part(b) ||
        a->graph != matcher->a || b->graph != matcher->b || !same_kind(a, b) ||
        output_index(a, left) != output_index(b, right))
        return;
    marry(matcher, a, b);
}

static void match_upwards(struct matcher *matcher)
{
    while (matcher->work.count) {
        const struct node *a = matcher->work.items[--matcher->work.count];
        const struct node *b = a->partner;
        for (size_t i = 0; i < a->input_count; i++) {
            size_t other = match_operand(a, b, i);
            if (other < b->input_count)
                match_values(matcher, a->inputs[i], b->inputs[other]);
        }
    }
}

/* ---- by name ---- */

static void match_names(struct matcher *matcher)
{
    for (size_t i = matcher->b->order.count; i-- > 0;) {
        const struct node *node = matcher->b->order.items[i];
        const struct value *output = node_output(node, 0);
        if (!node->partner && output)
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

static size_t list_left_over(struct matcher *matcher, const struct graph *graph,
                             struct left_over **list)
{
    size_t count = 0;
    *list = NEW_ARRAY(matcher->arena, struct left_over, graph->order.count + 1);
    for (size_t i = 0; i < graph->order.count; i++) {
        struct node *node = graph->order.items[i];
        bool plain = match_takes_part(node) && !node->partner && node->input_count;
        for (size_t k = 0; plain && k < node->input_count; k++)
            plain = !node->inputs[k] || !value_is_stored(node->inputs[k]);
        if (plain)
            (*list)[count++] =
                (struct left_over){number_operator(matcher->numbering, node), i, node};
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
                if (!left[i + n].node->partner && !right[k + n].node->partner)
                    marry(matcher, left[i + n].node, right[k + n].node);
        i = x;
        k = y;
    }
    match_upwards(matcher);
}

void match_graphs(struct arena *arena, struct numbering *numbering, struct graph *a,
                  struct graph *b, const struct value_pair *outputs, size_t output_count)
{
    struct matcher matcher = {.arena = arena, .numbering = numbering, .a = a, .b = b};
    match_numbers(&matcher);
    for (size_t i = 0; i < output_count; i++)
        match_values(&matcher, outputs[i].left, outputs[i].right);
    match_upwards(&matcher);
    match_names(&matcher);
    match_order(&matcher);
}
