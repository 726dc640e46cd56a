/* verify/verify.h: checks whether two models compute the same: translation validation without a runtime.
 *
 * The model with fewer nodes is walked; except in the result and in the names of inputs and outputs, it is called
 * the second one. Values with the same structure and weights are equal (match/number.h). If the first model lacks a
 * value of the second, the nodes between the value and the equal values before it are evaluated on random numbers,
 * including borders. So are nodes of the first model that start from the same values, until one gives the same
 * numbers. The two values are then equal, and their readers are compared by structure again. Inputs and outputs of
 * the graphs are paired by name, or else by position; names of other values are only hints where to look first. */
#ifndef VERIFY_VERIFY_H
#define VERIFY_VERIFY_H

#include "base/progress.h"
#include "verify/given.h"

enum verdict { VERDICT_EQUAL = 0, VERDICT_DIFFERENT = 1, VERDICT_UNKNOWN = 2 };

/* A value of one model that evaluation found equal to one of the other. */
struct verify_region {
    const struct value *left, *right;
    size_t left_ops, right_ops; /* evaluated nodes on each side */
    double difference;          /* relative (verify/joint.h, gap.ratio), the worst of all trials */
    int trials;
};

/* Two values that should be equal but differ. */
struct verify_departure {
    const struct value *left, *right;
    bool same_shape;
    double difference, largest; /* absolute; NaN if the shapes differ, like the next two */
    double left_number, right_number;
    const char *at; /* "[0, 3, 1, 2] of [1, 8, 5, 6]", or "shapes [1, 8] and [1, 7]" */
};

/* Two values with the same name, evaluated in both whole models on one input. */
struct verify_layer {
    const struct value *left, *right;
    bool same_shape;
    double difference, largest; /* absolute; NaN if the shapes differ */
    double ratio;               /* difference / largest; 0 if nothing differs */
};

struct verify_result {
    enum verdict verdict;
    const char *reason; /* one sentence; "" when equal */
    bool departs;
    struct verify_departure departure; /* the first one, in the order of the walked model */
    size_t by_structure;               /* values of the walked model that are equal by structure */
    LIST(struct verify_region *) regions;
    double largest; /* relative difference of all regions, or of the whole models' outputs */
    double tolerance;
    int whole_inputs;                   /* not 0: both whole models agreed on this many inputs */
    LIST(struct verify_layer *) layers; /* if requested, in the order of b's file */
    const char *layers_reason;          /* why there are none; "" */
    const char *given;                  /* the result for the given inputs, unless it decides the verdict; "" */
    const char *note;                   /* which inputs and outputs were paired by position; "" */
};

struct verify_options {
    double rtol; /* relative to the largest element; 0: by the type of the weights */
    double atol; /* accepted absolute difference; 0 */
    int trials;  /* number of random inputs per region */
    uint64_t seed;
    bool common_outputs; /* the second model may have outputs that the first lacks */
    bool layers;         /* list the differences of values with the same name */
    struct given given;  /* inputs to use in addition to random ones */
    struct progress progress;
};

enum { VERIFY_ARENAS = 3 };

/* Lands with OUT_OF_MEMORY or CANCELLED. The scratch arenas are emptied and reused. */
void verify_models(struct arena *arena, struct arena scratch[VERIFY_ARENAS], struct model *a, struct model *b,
                   const struct verify_options *options, struct verify_result *result);

#endif
