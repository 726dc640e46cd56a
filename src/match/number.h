/* match/number.h: value numbering of two models side by side.
 *
 * Every value of both models gets a number; values with equal numbers are equal, whatever their names and the order of
 * their nodes. A number represents the operator, its attributes (in any order, without explicit defaults), the numbers
 * of its inputs (in any order if the operator commutes) and, for a constant, the type, dims and elements. Numbers
 * compare whole keys, never only a hash, so equal numbers are reliable. Random operators of one model never have equal
 * results.
 *
 * A body of If, Loop or Scan is numbered with its node: its inputs are numbered by position, and the number of the
 * body depends on its outputs. So is a local function. */
#ifndef MATCH_NUMBER_H
#define MATCH_NUMBER_H

#include "match/key.h"

struct number_entry;

void numbering_init(struct numbering *numbering, struct arena *arena, struct model *a, struct model *b, bool folds,
                    bool versions);

/* The number of input `index` of the graphs at nesting `level`; 0 is the main graph. */
uint32_t number_input(struct numbering *numbering, uint32_t level, uint32_t index);

/* Numbers the initializers of a graph, and the inputs of a body or function. Inputs of the main graph must already
 * have numbers. */
void number_start(struct numbering *numbering, struct graph *graph, uint32_t level);
/* Numbers a node, its bodies and its outputs. Its inputs must have theirs. */
void number_node(struct numbering *numbering, struct node *node, uint32_t level);
/* Both for all nodes of a graph, in topological order. */
void number_graph(struct numbering *numbering, struct graph *graph, uint32_t level);
/* Numbers every local function of both models, called or not. */
void number_functions(struct numbering *numbering);
/* The number of a function's attributes and their defaults. */
uint32_t number_parameters(struct numbering *numbering, const struct graph *graph);

/* A node's key without its inputs, bodies and called function: equal for nodes that apply the same operation. */
uint32_t number_operator(struct numbering *numbering, const struct node *node);

/* The local function of a side (0, 1) with the same names as another, or NULL. */
struct graph *number_function_like(const struct numbering *numbering, size_t side, const Onnx__FunctionProto *function);
/* True if the numbered node draws random numbers: its results differ from call to call. */
bool number_is_draw(const struct numbering *numbering, const struct node *node);
/* The local function a node calls, or NULL. */
struct graph *node_function(const struct numbering *numbering, const struct node *node);
/* Records that the function that `node` calls computes the same as the one that `model` calls. Number the node again
 * afterwards. */
void number_adopt_function(struct numbering *numbering, const struct node *node, const struct node *model);

#endif
