/* match/number.h: value numbering of two models side by side.
 *
 * Every value of both models gets a number; values with one number hold the same, whatever they
 * are called and wherever their nodes stand in the file. A number stands for the operator, its
 * attributes (in any order, those that spell out a default left out), the numbers of its inputs
 * (in any order where the operator does not mind) and, for a constant, the type, dims and elements.
 * Numbers are given by comparing whole keys, never by a hash alone, so equal numbers can be relied
 * on. Results of operators that draw random numbers are never the same within one model.
 *
 * A body of If, Loop or Scan is numbered with its node: its inputs stand for their positions, and
 * the number of the body is that of its outputs. So is a local function. */
#ifndef MATCH_NUMBER_H
#define MATCH_NUMBER_H

#include "match/key.h"

struct number_entry;

void numbering_init(struct numbering *numbering, struct arena *arena, struct model *a, struct model *b, bool folds,
                    bool versions);

/* The number of input `index` of the graphs at nesting `level`; 0 is the main graph. */
uint32_t number_input(struct numbering *numbering, uint32_t level, uint32_t index);

/* Numbers what a graph starts from: initializers, and the inputs of a body or function. Inputs of
 * the main graph must have their numbers already. */
void number_start(struct numbering *numbering, struct graph *graph, uint32_t level);
/* Numbers a node, its bodies and its outputs. Its inputs must have theirs. */
void number_node(struct numbering *numbering, struct node *node, uint32_t level);
/* Both for all nodes of a graph, in topological order. */
void number_graph(struct numbering *numbering, struct graph *graph, uint32_t level);
/* Numbers every local function of both models, called or not. */
void number_functions(struct numbering *numbering);
/* Of the attributes that a function takes, and what they are when a call gives none. */
uint32_t number_parameters(struct numbering *numbering, const struct graph *graph);

/* A node's key without its inputs, bodies and called function: equal for nodes that do the same to
 * different things. */
uint32_t number_operator(struct numbering *numbering, const struct node *node);

/* The local function of a side (0, 1) that goes by the names of another, or NULL. */
struct graph *number_function_like(const struct numbering *numbering, size_t side, const Onnx__FunctionProto *function);
/* True when something in the numbered node draws: its results differ from call to call. */
bool number_is_draw(const struct numbering *numbering, const struct node *node);
/* The local function a node calls, or NULL. */
struct graph *node_function(const struct numbering *numbering, const struct node *node);
/* The function `node` calls has been found to compute what the one `model` calls computes. Number
 * the node again afterwards. */
void number_adopt_function(struct numbering *numbering, const struct node *node, const struct node *model);

#endif
