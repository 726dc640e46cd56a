/* fuse/pair.h: a product without bias and the Add behind it, which a rewrite made. They are one step. */
#ifndef FUSE_PAIR_H
#define FUSE_PAIR_H

#include "fuse/step.h"

struct made_pair {
    const struct node *product, *sum;
    struct step *hidden, *both; /* their steps */
};

/* Makes them two steps, so that the Add can go with what reads it. False: the node is not such an Add, or NULL. */
bool pair_part(const struct node *sum, struct made_pair *pair);
/* Makes them one again. */
void pair_rejoin(const struct made_pair *pair);

#endif
