/* eval.h: the reference evaluator of ONNX operators, written for clarity.
 *
 * It serves constant folding and the self-check. It shares no code with the algebra
 * (affine.c, lift.c, lower.c), so that a check is independent of what it checks. Floating-point
 * values are held in double whatever their type; integers and bools in int64. */
#ifndef EVAL_H
#define EVAL_H

#include "graph.h"

/* What evaluation may still cost. Shapes and windows that a small file states have no bound of
 * their own, so the work is bounded by the size of what is read. */
struct effort {
    double products; /* multiply-adds, and a few for each element of a result */
    double cells;    /* elements held at once, or ever where nothing is given back */
};
/* For this many bytes of input: a second or two on one core. */
struct effort effort_for(size_t input);

/* Evaluates one node of any operator it knows. inputs: node->input_count tensors, NULL where an
 * optional input is left out, each readable by tensor_read or tensor_read_integers. outputs:
 * node->output_count places, set to new tensors in `arena` (STORAGE_DOUBLES for float types,
 * STORAGE_REPEATED where it is plain that all elements are the same, STORAGE_LONGS for integers and bools), or NULL where the node names none.
 * Returns NULL, or the reason why it cannot: operator or attribute it does not know, shapes that
 * do not agree, more than `limit` elements in a result, or more than is left of the effort (NULL:
 * there is no other bound). */
const char *eval_node(struct arena *arena, const struct node *node,
                      const struct tensor *const *inputs, struct tensor **outputs, int64_t limit,
                      struct effort *effort);

#endif
