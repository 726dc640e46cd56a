/* equalize/equalize.h: scales channels of fused networks by powers of two, so that INT8 quantisation with one step per
 * tensor loses less. The outputs keep every bit.
 *
 * After Nagel et al., "Data-free quantization through weight equalization and bias correction" (arXiv 1906.04721),
 * section 4.1, with scales that are powers of two and chosen by predicted noise. */
#ifndef EQUALIZE_EQUALIZE_H
#define EQUALIZE_EQUALIZE_H

#include "fuse/plan.h"

enum grain {
    GRAIN_TENSOR, /* weights are quantised with one step per tensor */
    GRAIN_CHANNEL /* one per output channel */
};

/* Scales the channels of one graph, and lists its groups. Adds to the plan's refusals and scalings. */
void equalize_graph(struct plan *plan, struct graph *graph, enum grain grain, equalized_list *groups);
/* Only lists what it would do. */
void equalize_foresee(struct plan *plan, struct graph *graph, enum grain grain, equalized_list *groups);

#endif
