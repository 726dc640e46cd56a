/* match/match.h: which node of one graph is which node of another.
 *
 * Nodes of one number are matched first: they compute the same from the same. Then from the outputs
 * up: what makes two values that stand for each other, if it is the same kind of node. Then by the
 * names of outputs, and last, where as many nodes of a kind without weights are left on both sides,
 * in order. Each step goes on upwards from what it matched. node_partner tells the partners.
 *
 * Constants, and nodes that hold one, have no partners: values are compared where they are read. */
#ifndef MATCH_MATCH_H
#define MATCH_MATCH_H

#include "match/key.h"

struct value_pair {
    struct value *left, *right;
};

/* Nodes by number, empty between two uses: one for all graphs of a comparison. */
struct match_table {
    struct match_item **items;
    size_t room;
};

/* Both graphs must be numbered. outputs: what stands for each other at the end. */
void match_graphs(struct arena *arena, struct numbering *numbering, struct match_table *table, struct graph *a,
                  struct graph *b, const struct value_pair *outputs, size_t output_count);

/* True for a node that takes part: not one that only holds a constant. */
bool match_takes_part(const struct node *node);
/* True when the value is made by a node that takes part and has no partner. */
bool match_is_alone(const struct value *value);
/* True when two values stand for each other: one number, or the same output of partners. */
bool match_is_pair(const struct value *left, const struct value *right);
/* The input of `right` that stands against input `index` of its partner `left`: another one only
 * where the order of operands means nothing. */
size_t match_operand(const struct node *left, const struct node *right, size_t index);

#endif
