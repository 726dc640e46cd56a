/* infer/elements.h: integers of which some are known: shapes, and what is computed of them. */
#ifndef INFER_ELEMENTS_H
#define INFER_ELEMENTS_H

#include "model/graph.h"

enum element_kind {
    ELEMENT_UNKNOWN,
    ELEMENT_NUMBER,
    ELEMENT_SYMBOL /* a size with a name: as in value.dims */
};

struct element {
    enum element_kind kind;
    int64_t number; /* or the symbol */
};

/* Of a tensor of integers or bools of rank 0 or 1. */
struct elements {
    int rank;
    size_t count;
    struct element *items;
};

enum { ELEMENTS_MOST = 64 };

/* Who asks: how many values wait for it, and how to ask for a constant. */
struct elements_asker {
    int depth;
    const char *(*fold)(struct value *value, int depth, const struct tensor **tensor);
};

/* What is known of the elements of a value: computed once and kept until shapes are learned. NULL: it is no
 * such tensor, or nobody knows how many there are. Others than infer/constant.c ask constant_elements. */
const struct elements *elements_of(struct value *value, struct elements_asker asker);

/* An element as a size in the encoding of value.dims. */
int64_t element_dim(struct element element);

#endif
