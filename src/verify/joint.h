/* verify/joint.h: evaluates two models in parallel, piece by piece.
 *
 * Arrays are stored by number (match/number.h), so common parts of both models are evaluated once. Some values, the
 * sources, get random numbers; the reference evaluator computes everything else from them and from constants. */
#ifndef VERIFY_JOINT_H
#define VERIFY_JOINT_H

#include "eval/array.h"

struct joint_eval {
    struct arena *keeper;  /* of the run: the index */
    struct arena *scratch; /* of the arrays: emptied by joint_reset */
    struct pool pool;
    double steps;          /* nodes evaluated, and one for 64 elements of operands and results */
    struct effort effort;  /* remaining budget */
    double cells;          /* of the effort, reset by joint_reset */
    struct array **arrays; /* by number */
    size_t room;
    struct {
        uint32_t *items;
        size_t count, room;
    } filled;
    int rounds;             /* not 0: results are rounded to their type, double to float, and so are weights, each
                   time otherwise; the number of that time */
    double products;        /* multiply-adds evaluated so far, by all trials */
    double touched;         /* bytes of constants read so far */
    const struct node *bad; /* the node the last evaluation stopped at, or NULL */
};

void joint_init(struct joint_eval *joint, struct arena *keeper, struct arena *scratch, struct effort effort);
void joint_reset(struct joint_eval *joint);
/* Forgets every value, but keeps the memory. */
void joint_forget(struct joint_eval *joint);
struct array *joint_array(const struct joint_eval *joint, const struct value *value);
/* Gives a number an array. */
void joint_put(struct joint_eval *joint, uint32_t number, struct array *array);

/* Kinds of random integers. Not every operator accepts all of them. */
enum integers {
    INTEGERS_WIDE,   /* of every size up to 2^39 that the type holds */
    INTEGERS_ROWS,   /* rows of a table */
    INTEGERS_MIDDLE, /* of 15 bits: more than float16 holds exactly, but within its range */
    INTEGERS_SMALL,  /* of four bits: their products fit a byte */
    INTEGERS_FEW,    /* -2 to 2: fifth powers fit a byte */
    INTEGERS_BITS,   /* 0 and 1 */
    INTEGERS_KINDS
};

struct draw {
    int trial;
    uint64_t seed;
    double amplitude; /* reals are in [-amplitude, amplitude); 0: they are 0 or, more
                         often, 1, like a mask */
    int shift;        /* not 0: of the planes or rows one is below 0, the next above, and so on; 1, -1: which is
                         first. The largest of many is never below 0 else */
    bool has_odd;     /* some reals are infinite or NaN */
    enum integers integers;
    int64_t rows;             /* of the table */
    const int64_t *constants; /* integers that the models compare with */
    size_t constant_count;
    bool has_runs;                           /* every other draw has these in sequence */
    bool in_order;                           /* every row, in order */
    const ProtobufCBinaryData *const *texts; /* that the models compare with */
    size_t text_count;
    const uint32_t *trips; /* numbers of the trip counts of Loops */
    size_t trip_count;
};

/* Computes a value. Visits at most `limit` nodes without arrays. Returns NULL, or the reason why not: an unknown
 * operator (joint->bad), an input that is not a source, shapes that do not agree. */
const char *joint_evaluate(struct joint_eval *joint, struct value *value, size_t limit);

/* The difference of two arrays. For integers, which are equal or not, every difference is at least 1. */
struct gap {
    bool same_shape;
    bool of_integers;
    bool constant;     /* the first has many elements, and its finite ones are all equal, or none is finite: weak
                          evidence */
    bool silent;       /* it is empty, or a channel has no element that is finite on both sides: no evidence */
    double seen;       /* a finite one of the first, or NaN */
    double difference; /* largest absolute; infinity where one is not finite and the other is */
    double largest;    /* absolute, of both */
    double ratio;      /* largest difference, less the noise, relative to the largest element of its
                     channel (axis 1), or to a tenth of the largest of all where the channel has
                     less */
    double alone;      /* the same, regardless of the largest of all: 1 if a channel is completely different */
    int64_t at;        /* element with the largest difference */
    double left, right;
};
/* noise: rounding error, one number per channel; or NULL. */
struct gap joint_compare(const struct array *left, const struct array *right, const double *noise);

/* The results of several runs for a pair of values, concatenated along the first axis, and the rounding error of
 * each channel, which is large if sums cancel. */
struct joint_pool {
    struct arena *arena;
    struct array *left, *right; /* as exact as possible */
    double *noise;              /* one number per channel */
    int64_t count;              /* elements of the last run; noise is of `left` */
};

/* Number of runs if one is not enough, and the distance of runs with one kind of numbers. */
enum { JOINT_RUNS = 8, JOINT_ALIKE = 8 };
/* Number of samples of the rounding error per input. */
enum { JOINT_ROUNDS = 4 };

/* A pool with one run. Memory comes from `arena`. */
struct joint_pool joint_pool(struct arena *arena, const struct array *left, const struct array *right);
/* False: the run has other sizes. */
bool joint_pool_add(struct joint_pool *pool, const struct array *left, const struct array *right);
/* Raises the noise to the change that rounding after each op causes in the last run. */
void joint_pool_round(struct joint_pool *pool, const struct array *left, const struct array *right);
/* True if each channel has too few numbers for one run to show its magnitude and rounding error. */
bool joint_pool_is_thin(const struct joint_pool *pool);
/* The gap minus the noise, relative to each channel alone. */
struct gap joint_pool_compare(const struct joint_pool *pool);

#endif
