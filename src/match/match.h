/* match/match.h: matches the nodes of two graphs.
 *
 * Nodes with equal numbers are matched first, because they compute the same from the same inputs. Then, from the
 * outputs up, the producers of matched values if they are of the same kind. Then nodes with equal output names. Last,
 * in order, nodes of a kind without weights, if equally many remain on both sides. Each step continues upwards from its
 * matches. node_partner returns the match.
 *
 * Constants and Constant nodes are not matched: their values are compared where they are read. */
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

/* Both graphs must be numbered. outputs: the matched output values. */
void match_graphs(struct arena *arena, struct numbering *numbering, struct match_table *table, struct graph *a,
                  struct graph *b, const struct value_pair *outputs, size_t output_count);

/* True for a node that can be matched: not a Constant node. */
bool match_takes_part(const struct node *node);
/* True if the producer of the value can be matched but is not. */
bool match_is_alone(const struct value *value);
/* True if two values match: equal numbers, or the same output of matched nodes. */
bool match_is_pair(const struct value *left, const struct value *right);
/* The input of `right` that corresponds to input `index` of its match `left`; its index differs only if the order of
 * operands does not matter. */
size_t match_operand(const struct node *left, const struct node *right, size_t index);

#endif
