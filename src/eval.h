/* eval.h: the reference evaluator of ONNX operators, written for clarity.
 *
 * It serves constant folding and the self-check. It shares no code with the algebra
 * (affine.c, lift.c, lower.c), so that a check is independent of what it checks. Floating-point
 * values are held in double whatever their type; integers and bools in int64. */
#ifndef EVAL_H
#define EVAL_H

#include "graph.h"

/* Evaluates one node of any operator it knows. inputs: node->input_count tensors, NULL where an
 * optional input is left out, each readable by tensor_read or tensor_read_integers. outputs:
 * node->output_count places, set to new tensors in `arena` (STORAGE_DOUBLES for float types,
 * STORAGE_LONGS for integers and bools), or NULL where the node names none.
 * Returns NULL, or the reason why it cannot: operator or attribute it does not know, shapes that
 * do not agree, more than `limit` elements in a result. */
const char *eval_node(struct arena *arena, const struct node *node,
                      const struct tensor *const *inputs, struct tensor **outputs, int64_t limit);

#endif
