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

/* What is known of the elements of a value: computed once and kept until shapes are learned. NULL: it is no
 * such tensor, or nobody knows how many there are. `depth` counts the values that wait for it. */
const struct elements *elements_of(struct value *value, int depth);

/* The same element by element, as sizes in the encoding of value.dims. */
int64_t element_dim(struct element element);

#endif
