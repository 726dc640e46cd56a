/* eval/graph.h: runs graphs and functions node by node. */
#ifndef EVAL_GRAPH_H
#define EVAL_GRAPH_H

#include "eval/array.h"

/* Allocates the values of a graph and loads its initializers. e->scope is the outer scope. */
const char *scope_begin(struct evaluation *e, struct scope *scope, struct graph *graph);
/* Evaluates the nodes in order. Inputs beyond `count`, or NULL, have no value. `outputs` has a place for each output
 * of the graph; its arrays are not shared. Sets graph->was_run. May be called again. */
const char *scope_run(struct evaluation *e, struct scope *scope, struct array *const *inputs, size_t count,
                      struct array **outputs);
size_t eval_output_count(const struct graph *graph);
struct value *eval_output(const struct graph *graph, size_t index);
/* Adds the inputs of a node, and the values of outer graphs that its bodies read. */
void eval_reads(struct arena *arena, const struct node *node, struct value_reads *reads);
/* The local function that a node calls, or NULL. */
struct graph *eval_function(const struct node *node);
const char *eval_call(struct evaluation *e, struct graph *function);

#endif
