/* bench.h: where two models are evaluated side by side, piece by piece.
 *
 * Arrays are kept by number (number.h), so what both models compute alike is evaluated once. Some
 * values, the sources, are given random numbers; all else is computed from them and from constants
 * by the reference evaluator. */
#ifndef BENCH_H
#define BENCH_H

#include "eval_internal.h"
#include "number.h"

struct bench {
    struct arena *keeper;  /* of the run: the index */
    struct arena *scratch; /* of the arrays: emptied by bench_reset */
    struct pool pool;
    struct array **arrays; /* by number */
    size_t room;
    struct {
        uint32_t *items;
        size_t count, room;
    } filled;
    double products;        /* multiply-adds evaluated so far, by all trials */
    const struct node *bad; /* the node the last evaluation stopped at, or NULL */
};

void bench_init(struct bench *bench, struct arena *keeper, struct arena *scratch);
void bench_reset(struct bench *bench);

struct array *bench_array(const struct bench *bench, const struct value *value);

/* Gives a source random numbers in [-amplitude, amplitude), or small integers. A value that has an
 * array keeps it. Returns the reason why not. */
const char *bench_draw(struct bench *bench, const struct value *value, int rank,
                       const int64_t *dims, uint64_t seed, double amplitude);

/* Computes a value. At most `limit` nodes that have no arrays yet are walked. Returns NULL, or the
 * reason why not: an operator nobody evaluates (bench->bad), an input that is no source, shapes
 * that do not agree. */
const char *bench_evaluate(struct bench *bench, struct value *value, size_t limit);

/* How two arrays differ. */
struct gap {
    bool same_shape;
    bool constant;     /* every element of the first is alike: says little */
    double difference; /* largest absolute; infinity where one is not finite and the other is */
    double largest;    /* absolute, of both */
    double ratio; /* largest difference relative to the largest element of its channel (axis 1),
                          or to a tenth of the largest of all where the channel has less */
    int64_t at;   /* element with the largest difference */
    double left, right;
};
struct gap bench_compare(const struct array *left, const struct array *right);

#endif
