/* verify/whole_run.h: one run of two whole models in parallel. */
#ifndef VERIFY_WHOLE_RUN_H
#define VERIFY_WHOLE_RUN_H

#include "verify/joint_draw.h"
#include "verify/state.h"

enum {
    WHOLE_SYMBOLS = 64, /* the maximum number of distinct ones */
    WHOLE_SIZES = 18    /* number of choices for the sizes of open axes */
};

/* A symbolic size, or an axis without a name. */
struct symbol {
    const char *name;
    const struct value *value;
    int axis;
    bool is_batch;
    int64_t index; /* among those that are not a batch */
};

struct whole {
    struct verify *verify;
    struct joint_eval *joint;
    struct graph *graphs[2];
    uint32_t *readers; /* by number: remaining readers */
    size_t numbers;
    int32_t type;        /* the coarsest of any value */
    bool is_little;      /* images no larger than IMAGE_LITTLE, whatever the models declare */
    bool is_open;        /* an input has an open axis other than the batch: sizes can vary */
    bool draws_integers; /* of a kind that can vary */
    struct symbol symbols[WHOLE_SYMBOLS];
    size_t symbol_count;
    bool *shows;       /* by output: its numbers were not all equal */
    double largest;    /* difference of outputs that agree */
    bool lists_layers; /* record every pair with the same name */
    bool takes_given;  /* use the caller's inputs instead of random ones */
    /* The first value of the second model, in its order, that differs from the one with its name. */
    size_t departs_at;
};

/* Draws inputs with the open sizes of choice `size` (below WHOLE_SIZES), and evaluates both models. NULL, or the
 * reason why not; whole->joint->bad is then the node that stopped it. */
const char *whole_run(struct whole *whole, int size, const struct draw *draw);

#endif
