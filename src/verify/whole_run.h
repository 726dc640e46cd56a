/* verify/whole_run.h: one run of two whole models, side by side. */
#ifndef VERIFY_WHOLE_RUN_H
#define VERIFY_WHOLE_RUN_H

#include "verify/joint_draw.h"
#include "verify/state.h"

enum {
    WHOLE_SYMBOLS = 64, /* the most that are told apart */
    WHOLE_SIZES = 18    /* sizes of open axes that can be asked for */
};

/* A name that stands for a size, or an axis without one. */
struct symbol {
    const char *name;
    const struct value *value;
    int axis;
    bool is_batch;
    int64_t index; /* among those that are no batch */
};

struct whole {
    struct verify *verify;
    struct joint_eval *joint;
    struct graph *graphs[2];
    uint32_t *readers; /* by number: how often it is still asked for */
    size_t numbers;
    int32_t type;        /* the coarsest of any value */
    bool is_little;      /* images no larger than IMAGE_LITTLE, whatever the models declare */
    bool is_open;        /* an input has an open axis that is no batch: sizes can be tried */
    bool draws_integers; /* of a kind that can be tried */
    struct symbol symbols[WHOLE_SYMBOLS];
    size_t symbol_count;
    bool *shows;       /* by output: it has shown numbers that are not all alike */
    double largest;    /* difference of outputs that agree */
    bool lists_layers; /* every pair of one name is noted */
    bool takes_given;  /* what the caller gives is not drawn */
    /* The first value of the second model, in its order, that differs from the one of its name. */
    size_t departs_at;
};

/* Draws inputs, of the open sizes that `size` (below WHOLE_SIZES) stands for, and evaluates both models. NULL, or why that
 * cannot be done; whole->joint->bad is then the node that stopped it. */
const char *whole_run(struct whole *whole, int size, const struct draw *draw);

#endif
