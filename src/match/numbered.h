/* match/numbered.h: the numbers and partners of values and nodes, in model.value_numbers and model.node_matches. */
#ifndef MATCH_NUMBERED_H
#define MATCH_NUMBERED_H

#include "model/model.h"

/* What a comparison of two models found out about a node. */
struct node_match {
    uint32_t number;      /* what it computes; 0: not numbered */
    struct node *partner; /* the matching node of the other model, or NULL */
};

/* The number of a value; 0: not numbered. */
static inline uint32_t value_number(const struct value *value)
{
    const uint32_t *number = memo_find(&value->graph->model->value_numbers, sizeof(*number), value->index);
    return number ? *number : 0;
}
static inline void value_number_set(struct value *value, uint32_t number)
{
    struct model *model = value->graph->model;
    uint32_t *kept = memo_item(model->arena, &model->value_numbers, sizeof(*kept), value->index);
    *kept = number;
}

static inline struct node_match *node_match(const struct node *node)
{
    struct model *model = node->graph->model;
    return memo_item(model->arena, &model->node_matches, sizeof(struct node_match), node->index);
}
static inline uint32_t node_number(const struct node *node)
{
    return node_match(node)->number;
}
static inline void node_number_set(const struct node *node, uint32_t number)
{
    node_match(node)->number = number;
}
static inline struct node *node_partner(const struct node *node)
{
    return node_match(node)->partner;
}
static inline void node_partner_set(const struct node *node, struct node *partner)
{
    node_match(node)->partner = partner;
}

#endif
