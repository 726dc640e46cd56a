/* match/neutral.h: what the same values are written as in several ways. */
#ifndef MATCH_NEUTRAL_H
#define MATCH_NEUTRAL_H

#include "match/key.h"

/* The input that a node hands on as it is, in its type and shape, or NULL: Identity, x + 0, x * 1, a Cast to the same type, a
 * Pad of nothing ... (x + 0 may turn -0 into 0). Only for nodes of which nothing but the first output is needed. */
struct value *neutral_input(const struct node *node);

/* True for a node that gives the elements of its first input, in their order, another shape. *root: the
 * first value behind nodes of this kind. The shape is the output's, known up to one size. */
bool neutral_is_view(const struct node *node, const struct value **root);

/* The permutation that Transposes behind one another come to, of *rank axes, and the value they start from. False: the
 * node is no Transpose, or its rank is not known. */
bool neutral_transpose(const struct node *node, const struct value **root, int64_t *axes, int *rank);

/* An input of a node that says what its absence would say: zeros for a bias, an empty one of Resize. */
bool neutral_is_absent(const struct node *node, size_t index);

/* An attribute of an older version that later ones take as an input: at *index, holding *tensor, which is made in
 * `arena`. False: it is none. */
bool neutral_moved(struct arena *arena, const struct node *node, const Onnx__AttributeProto *attribute, size_t *index,
                   const struct tensor **tensor);

#endif
