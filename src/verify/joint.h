/* verify/joint.h: where two models are evaluated side by side, piece by piece.
 *
 * Arrays are kept by number (match/number.h), so what both models compute alike is evaluated once. Some
 * values, the sources, are given random numbers; all else is computed from them and from constants
 * by the reference evaluator. */
#ifndef VERIFY_JOINT_H
#define VERIFY_JOINT_H

#include "eval/array.h"

struct joint_eval {
    struct arena *keeper;  /* of the run: the index */
    struct arena *scratch; /* of the arrays: emptied by joint_reset */
    struct pool pool;
    double steps;          /* nodes evaluated, and one for 64 elements of operands and results */
    struct effort effort;  /* what is left of it */
    double cells;          /* of the effort, afresh after each reset */
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
/* Forgets every value, and keeps the memory of what was found. */
void joint_forget(struct joint_eval *joint);
struct array *joint_array(const struct joint_eval *joint, const struct value *value);
/* Gives a number an array. */
void joint_put(struct joint_eval *joint, uint32_t number, struct array *array);

/* Which integers are drawn. Not every operator takes all of them. */
enum integers {
    INTEGERS_WIDE,   /* of every size up to 2^39, as far as the type holds them */
    INTEGERS_ROWS,   /* rows of a table */
    INTEGERS_MIDDLE, /* of 15 bits: more than float16 holds exactly, less than it ends at */
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
    bool has_odd;     /* some reals are infinite or none */
    enum integers integers;
    int64_t rows;             /* of the table */
    const int64_t *constants; /* integers that the models ask for */
    size_t constant_count;
    bool has_runs;                           /* in every other draw, these one behind the other */
    bool in_order;                           /* every row, one after the other */
    const ProtobufCBinaryData *const *texts; /* that the models ask for */
    size_t text_count;
    const uint32_t *trips; /* numbers of what says how often a Loop runs */
    size_t trip_count;
};

/* Computes a value. At most `limit` nodes that have no arrays yet are walked. Returns NULL, or the
 * reason why not: an operator nobody evaluates (joint->bad), an input that is no source, shapes
 * that do not agree. */
const char *joint_evaluate(struct joint_eval *joint, struct value *value, size_t limit);

/* How two arrays differ. Of integers, which are the same or not, every difference is at least 1. */
struct gap {
    bool same_shape;
    bool of_integers;
    bool constant;     /* the first has many elements, all that are finite alike, or none is: says little */
    bool silent;       /* there are none, or a channel has none that is finite on both sides: says nothing */
    double seen;       /* a finite one of the first, or NaN */
    double difference; /* largest absolute; infinity where one is not finite and the other is */
    double largest;    /* absolute, of both */
    double ratio;      /* largest difference, less the noise, relative to the largest element of its
                     channel (axis 1), or to a tenth of the largest of all where the channel has
                     less */
    double alone;      /* the same, whatever the largest of all: 1 where a channel is not alike at all */
    int64_t at;        /* element with the largest difference */
    double left, right;
};
/* noise: what rounding may leave, one number per channel; or NULL. */
struct gap joint_compare(const struct array *left, const struct array *right, const double *noise);

/* What runs gave for a pair of values, one behind the other along the first axis, and what rounding leaves of each
 * channel: where sums cancel, that is no small part of the result. */
struct joint_pool {
    struct arena *arena;
    struct array *left, *right; /* as exact as can be */
    double *noise;              /* one number per channel */
    int64_t count;              /* elements of the run added last; noise is of `left` */
};

/* Runs that are looked at where one tells too little, and how far apart those of one kind of numbers are. */
enum { JOINT_RUNS = 8, JOINT_ALIKE = 8 };
/* How often one input is looked at for what rounding leaves. */
enum { JOINT_ROUNDS = 4 };

/* Of one run. Memory comes from `arena`. */
struct joint_pool joint_pool(struct arena *arena, const struct array *left, const struct array *right);
/* False: the run gave other sizes. */
bool joint_pool_add(struct joint_pool *pool, const struct array *left, const struct array *right);
/* Widens the noise to what rounding to the type after each op changed of the run added last. */
void joint_pool_round(struct joint_pool *pool, const struct array *left, const struct array *right);
/* True where each channel has so few numbers that one run tells neither its size nor what rounding leaves. */
bool joint_pool_is_thin(const struct joint_pool *pool);
/* The gap, less the noise, relative to each channel alone. */
struct gap joint_pool_compare(const struct joint_pool *pool);

#endif
