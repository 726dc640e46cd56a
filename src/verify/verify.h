/* verify/verify.h: do two models compute the same? Translation validation, without a runtime.
 *
 * The model with fewer nodes is walked; everywhere but in the result and in the names of inputs and outputs it is
 * called the second one. Values of the same structure and the same weights are equal (match/number.h). Where the second model
 * has a value that the first has not, the nodes between it and the equal values before it are
 * evaluated on random numbers, borders included, and so are the nodes of the first model that start
 * from the same values, until one gives the same numbers: the two are then equal, and what reads
 * them is compared by structure again. Inputs and outputs of the graphs are paired by name, the rest by
 * position; names of other values serve as a hint where to look first, never as proof. */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include "base/progress.h"
#include "verify/given.h"

enum verdict { VERDICT_EQUAL = 0, VERDICT_DIFFERENT = 1, VERDICT_UNKNOWN = 2 };

/* A value of one model that was shown equal to one of the other by evaluation. */
struct verify_region {
    const struct value *left, *right;
    size_t left_ops, right_ops; /* nodes evaluated on each side */
    double difference;          /* relative (verify/joint.h, gap.ratio), the worst of all trials */
    int trials;
};

/* Two values that should be equal and are not. */
struct verify_departure {
    const struct value *left, *right;
    bool same_shape;
    double difference, largest; /* absolute; NaN, as the next two, where the shapes differ */
    double left_number, right_number;
    const char *at; /* "[0, 3, 1, 2] of [1, 8, 5, 6]", or "shapes [1, 8] and [1, 7]" */
};

/* Two values of one name, as both whole models were evaluated side by side on one input. */
struct verify_layer {
    const struct value *left, *right;
    bool same_shape;
    double difference, largest; /* absolute; NaN where the shapes differ */
    double ratio;               /* one to the other; 0 where nothing differs */
};

struct verify_result {
    enum verdict verdict;
    const char *reason; /* one sentence; "" when equal */
    bool departs;
    struct verify_departure departure; /* the first one, in the order that the model walked computes */
    size_t by_structure;               /* values of the model walked that are equal by structure */
    LIST(struct verify_region *) regions;
    double largest; /* relative difference of all regions, or of the whole models' outputs */
    double tolerance;
    int whole_inputs;                   /* not 0: equal as both whole models were evaluated on so many inputs */
    LIST(struct verify_layer *) layers; /* where asked for, in the order of b's file */
    const char *layers_reason;          /* why there are none; "" */
    const char *given;                  /* what the given inputs have shown, where they decide nothing; "" */
    const char *note;                   /* which inputs and outputs were paired by position; "" */
};

struct verify_options {
    double rtol; /* relative to the largest element; 0: by the type of the weights */
    double atol; /* what no number differs by more than is no difference; 0 */
    int trials;  /* random inputs a region must pass */
    uint64_t seed;
    bool common_outputs; /* the second model may have outputs that the first has not */
    bool layers;         /* tell how far values of one name are apart */
    struct given given;  /* inputs to try beside those that are drawn */
    struct progress progress;
};

enum { VERIFY_ARENAS = 3 };

/* Lands with OUT_OF_MEMORY or CANCELLED. The scratch arenas are emptied and used again at will. */
void verify_models(struct arena *arena, struct arena scratch[VERIFY_ARENAS], struct model *a, struct model *b,
                   const struct verify_options *options, struct verify_result *result);

#endif
