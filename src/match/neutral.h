/* match/neutral.h: recognises different ways to write the same values. */
#ifndef MATCH_NEUTRAL_H
#define MATCH_NEUTRAL_H

#include "match/key.h"

/* The input that a node returns unchanged, with its type and shape, or NULL: Identity, x + 0, x * 1, a Cast to the
 * same type, a Pad with widths 0 ... (x + 0 may turn -0 into 0). Only for nodes of which only the first output is
 * needed. */
struct value *neutral_input(const struct node *node);

/* True for a node that reshapes its first input. *root: the value before a chain of these nodes. The shape is the
 * output's, known except for one size. */
bool neutral_is_view(const struct node *node, const struct value **root);

/* The permutation of a chain of Transposes, of *rank axes, and the value before it. False: the node is not a
 * Transpose, or its rank is unknown. */
bool neutral_transpose(const struct node *node, const struct value **root, int64_t *axes, int *rank);

/* True for an input of a node that equals its default: zeros for a bias, an empty input of Resize. */
bool neutral_is_absent(const struct node *node, size_t index);

/* An attribute of an older version that later versions have as an input: input *index, with the value *tensor, made
 * in `arena`. False: it is not one. */
bool neutral_moved(struct arena *arena, const struct node *node, const Onnx__AttributeProto *attribute, size_t *index,
                   const struct tensor **tensor);

#endif
