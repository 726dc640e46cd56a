/* eval/graph.h: graphs and functions run node by node. */
#ifndef EVAL_GRAPH_H
#define EVAL_GRAPH_H

#include "eval/array.h"

/* Makes room for the values of a graph and loads its initializers. e->scope is the one around it. */
const char *scope_begin(struct evaluation *e, struct scope *scope, struct graph *graph);
/* Evaluates the nodes in order. Inputs beyond `count`, or NULL, have no value. `outputs` has a place
 * for each output of the graph: arrays that nobody else holds. Sets graph->was_run. May be called
 * again. */
const char *scope_run(struct evaluation *e, struct scope *scope, struct array *const *inputs, size_t count,
                      struct array **outputs);
size_t eval_output_count(const struct graph *graph);
struct value *eval_output(const struct graph *graph, size_t index);
/* Adds what a node reads: its inputs, and what its bodies read of the graphs around them. */
void eval_reads(struct arena *arena, const struct node *node, struct value_reads *reads);
/* The local function that a node calls, or NULL. */
struct graph *eval_function(const struct node *node);
const char *eval_call(struct evaluation *e, struct graph *function);

#endif
