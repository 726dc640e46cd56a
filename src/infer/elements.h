/* infer/elements.h: partly known integers: shapes, and values computed from them. */
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

/* The elements of a tensor of integers or bools with rank 0 or 1. */
struct elements {
    int rank;
    size_t count;
    struct element *items;
};

enum { ELEMENTS_MOST = 64 };

/* The request: its depth, and how to get a constant. */
struct elements_asker {
    int depth;
    const char *(*fold)(struct value *value, int depth, const struct tensor **tensor);
};

/* The known elements of a value: computed once and stored until shapes are learned. NULL: it is not such a tensor,
 * or its size is unknown. Only infer/constant.c calls this; others call constant_elements. */
const struct elements *elements_of(struct value *value, struct elements_asker asker);

/* An element as a size in the encoding of value.dims. */
int64_t element_dim(struct element element);

#endif
