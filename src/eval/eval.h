/* eval/eval.h: the reference evaluator of ONNX operators, written for clarity.
 *
 * It serves constant folding and the self-check. It shares no code with the algebra
 * (affine/laws.c, fuse/lift.c, fuse/lower.c), so that a check is independent of what it checks. Floating-point
 * values are doubles, whatever their type; integers and bools are int64. */
#ifndef EVAL_EVAL_H
#define EVAL_EVAL_H

#include "eval/array.h"

/* Evaluates one node of any operator it knows. inputs: node->input_count tensors, NULL where an
 * optional input is left out, each readable by tensor_read or tensor_read_integers. outputs:
 * node->output_count places, set to new tensors in `arena` (STORAGE_DOUBLES for float types,
 * STORAGE_LONGS for integers and bools; STORAGE_REPEATED if all elements are obviously equal, STORAGE_BYTES if they
 * only moved), or NULL where the node names none. Returns NULL, or the reason why it cannot: operator or attribute
 * it does not know, shapes that do not agree, more than `limit` elements in a result, or more than is left of the
 * effort (NULL: there is no other bound). */
const char *eval_node(struct arena *arena, const struct node *node, const struct tensor *const *inputs,
                      struct tensor **outputs, int64_t limit, struct effort *effort);

/* True for a node of an operator that has an evaluator, or a call of a function of the model. */
bool eval_knows(const struct node *node);
/* Why a node of another operator is not evaluated. */
const char *eval_unknown(struct arena *arena, const struct node *node);

/* Evaluates one node on arrays: eval_node without the conversion. Sets e->outputs. */
const char *eval_arrays(struct evaluation *e);

#endif
