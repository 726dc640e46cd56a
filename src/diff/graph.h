/* diff/graph.h: two graphs compared: partners, regions, bodies. */
#ifndef DIFF_GRAPH_H
#define DIFF_GRAPH_H

#include "diff/change.h"

/* diff/graph.c: two graphs that stand for each other, and the bodies inside them. */
void diff_graphs(struct differ *differ, struct graph *a, struct graph *b, const struct value_pair *outputs,
                 size_t output_count);

#endif
