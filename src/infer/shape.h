/* infer/shape.h: types and shapes, as far as the rewrites need them. */
#ifndef INFER_SHAPE_H
#define INFER_SHAPE_H

#include "model/graph.h"

/* One graph, in topological order; bodies are graphs of their own. */
void shape_infer_graph(struct graph *graph);

#endif
