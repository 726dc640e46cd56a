/* diff/cosmetic.h: differences that change nothing that is computed: names, texts, order. */
#ifndef DIFF_COSMETIC_H
#define DIFF_COSMETIC_H

#include "diff/change.h"

/* diff/cosmetic.c: what does not change what the model computes. */
void diff_graph_cosmetic(struct differ *differ, struct graph *a, struct graph *b);
void diff_model_cosmetic(struct differ *differ);

#endif
