/* equalize/weight.h: a weight by output and input channel: measured, and scaled by powers of two.
 *
 * Stored rows are output channels, or input channels (MatMul, Gemm without transB, ConvTranspose). A row has
 * `columns` channels of the other side, those of its group, with `taps` numbers each. */
#ifndef EQUALIZE_WEIGHT_H
#define EQUALIZE_WEIGHT_H

#include "model/graph.h"

struct weight {
    const struct tensor *tensor;
    bool by_input; /* rows are input channels */
    int64_t rows, columns, taps, groups;
    int64_t outputs, inputs;
    /* weight_measure: */
    float *largest;   /* rows * columns: the largest absolute number of the taps */
    double *norm;     /* per input: the sum of squares of the numbers that read it */
    double *row_norm; /* of each output */
    bool has_tiny;    /* a number other than 0 that scaling could make subnormal */
    double most;      /* absolute */
    double total;     /* sum of squares: not finite if a number is not */
    double *squares;  /* of one row */
};

/* The weight of a Conv, ConvTranspose, Gemm or MatMul, or the reason why it is not scaled. */
const char *weight_of(struct node *node, struct weight *weight);

/* Before it is measured. The reason why not: it is too large. */
const char *weight_make_room(struct arena *arena, struct weight *weight);
/* Reads all of it once. Several threads may do so, each with its own weight. False: out of memory. */
bool weight_measure(struct weight *weight);

/* The largest absolute number between an output and an input of its group, 0-based there. */
double weight_largest(const struct weight *weight, int64_t output, int64_t input);
/* Outputs of one group, and inputs. */
int64_t weight_group_outputs(const struct weight *weight);
int64_t weight_group_inputs(const struct weight *weight);

/* The same weight, each number times 2^(output_exponents[o] + input_exponents[i]): exact where
 * weight_stays_exact. tensor->before is the old one. Exponents are borrowed for the life of the tensor. */
struct tensor *weight_scaled(struct arena *arena, const struct weight *weight, const int *output_exponents,
                             const int *input_exponents);

/* A constant times 2^exponents[c], for `channels` channels with this many axes behind them. */
struct tensor *constant_scaled(struct arena *arena, const struct tensor *tensor, const double *numbers, int behind,
                               int64_t channels, const int *exponents);

/* True if number * 2^exponent is finite, not subnormal, and exact in the type. */
bool scales_exactly(int32_t type, double number, int exponent);

/* Looks for a number that would not be. Returns false and its channels. */
bool weight_stays_exact(const struct weight *weight, const int *output_exponents, const int *input_exponents,
                        int64_t *output, int64_t *input);

#endif
