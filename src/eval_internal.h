/* eval_internal.h: what the files of the evaluator share. Nobody but eval*.c and check*.c
 * includes it.
 *
 * Inside the evaluator a tensor is an array: every element takes eight bytes, a double for the
 * float types and an int64 for integers and bools, so that operators which only move elements
 * need not know which. */
#ifndef EVAL_INTERNAL_H
#define EVAL_INTERNAL_H

#include "eval.h"

enum {
    EVAL_RANK = 16,    /* more dimensions than this are refused */
    EVAL_OPERANDS = 8, /* arrays that one walk steps through */
    EVAL_CELL = 8      /* bytes of an element */
};

/* A larger sum of products than this would keep the user waiting: refused. */
#define EVAL_PRODUCTS ((int64_t)1 << 32)

struct array {
    int32_t type;
    int rank;
    int64_t dims[EVAL_RANK];
    int64_t count;
    bool owned;            /* the cells came from the pool and may go back to it */
    double largest, reach; /* eval_reach.c: what is known of them, or 0 */
    union {
        double *reals;        /* type_is_float(type) */
        int64_t *integers;    /* otherwise */
        unsigned char *cells; /* either, to be moved */
        const void *borrowed; /* cells of a tensor: never written */
    };
};

enum { ELEMENT_COST = 4 }; /* an element of an operand or a result, in products of a long sum */

/* Where cells come from. A pool that recycles hands out sizes that are powers of two, so that
 * the values of a long chain take turns in a few buffers. */
struct pool {
    struct arena *arena;
    bool recycles;
    struct effort *effort; /* NULL: nothing is counted */
    void *free[64]; /* by logarithm of the size; a free buffer begins with the next one's address */
};

void *pool_take(struct pool *pool, int64_t count); /* zeroed */
void pool_return(struct pool *pool, struct array *array);
/* The same, and what has memory of its own is given back to the arena. */
void pool_free(struct pool *pool, struct array *array);
/* False when it would be more than is left of the effort. Counts it otherwise. */
bool pool_affords(struct pool *pool, double products, double cells);

struct evaluation {
    struct arena *arena;
    struct pool *pool;
    const struct node *node;
    struct array *const *inputs; /* node->input_count, NULL where left out */
    struct array *outputs[8];    /* set by the operator */
    int64_t limit;
    bool
        is_constant; /* results are rounded to their type, as whoever runs the model gets them: Floor, Equal
                         and the like ask for the last bit */
};

/* Evaluates one node on arrays: eval_node without the conversion. */
const char *eval_arrays(struct evaluation *e);

/* An array of the given shape. array_make gives zeroed cells; array_load those of a tensor.
 * Both return the reason why not: too many dimensions, more than limit elements, elements that
 * nobody can read. */
const char *array_make(struct arena *arena, struct pool *pool, int64_t limit, int32_t type,
                       int rank, const int64_t *dims, struct array **array);
const char *array_load(struct arena *arena, struct pool *pool, const struct tensor *tensor,
                       struct array **array);
char *array_shape(struct arena *arena, const struct array *array); /* "[2, 3]" for messages */

/* array_make for the first output. */
const char *eval_result(struct evaluation *e, int32_t type, int rank, const int64_t *dims,
                        struct array **array);

/* NULL where a * b * c multiply-adds can be paid for, and then they are; else the reason. */
const char *eval_check_products(struct evaluation *e, int64_t a, int64_t b, int64_t c);

/* Random numbers: splitmix64. */
static inline uint64_t eval_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}
/* In [-1, 1). */
static inline double eval_uniform(uint64_t bits)
{
    return (double)(bits >> 11) * 0x1p-52 - 1;
}

static inline bool array_is_real(const struct array *array)
{
    return type_is_float(array->type);
}
static inline struct array *eval_input(const struct evaluation *e, size_t index)
{
    return index < e->node->input_count ? e->inputs[index] : NULL;
}

/* The integers of an input of rank 0 or 1. */
const char *eval_integers(const struct evaluation *e, size_t index, const int64_t **values,
                          size_t *count);
/* The axes in attribute `axes`, or else in an input: made non-negative, checked to be distinct
 * and below rank. *given is false when there is neither. */
const char *eval_axes(const struct evaluation *e, size_t index, int rank, int *axes, int *count,
                      bool *given);
/* One axis from an attribute; `end` admits axis == rank. */
const char *eval_axis(const struct evaluation *e, int64_t otherwise, int rank, bool end, int *axis);
bool eval_integer_fits(int32_t type, int64_t value);

/* Steps through the positions of a box in row-major order, with the offset that each of some
 * strided arrays has at the position. */
struct walk {
    int rank;
    int operands;
    int64_t dims[EVAL_RANK];
    int64_t at[EVAL_RANK];
    int64_t strides[EVAL_OPERANDS][EVAL_RANK];
    int64_t offsets[EVAL_OPERANDS];
};
void walk_next(struct walk *walk);
/* Strides of a dense array. */
void dense_strides(int rank, const int64_t *dims, int64_t *strides);
/* Adds an operand that broadcasts to the walk's box by numpy's rules. */
void walk_broadcast(struct walk *walk, const struct array *array);
/* Widens dims to what it and the array broadcast to; false when they do not agree. */
bool broadcast_dims(int *rank, int64_t *dims, const struct array *array);

/* Notes in `reach` of what a node made the largest number that was added up to make it, where there was a
 * sum: more than it holds, where that cancelled. */
void eval_note_reach(const struct node *node, struct array *const *inputs, struct array *out);
/* The same of any real array: without a sum, its largest number. */
double eval_reach(struct array *array);
/* What a difference is compared with at least, so that the rounding of what cancelled is within a
 * relative tolerance. */
double eval_least(double reach, int32_t type, double tolerance);

/* eval_math.c */
const char *eval_unary(struct evaluation *e);
const char *eval_binary(struct evaluation *e);
const char *eval_equal(struct evaluation *e);
const char *eval_where(struct evaluation *e);
const char *eval_pow(struct evaluation *e);
const char *eval_sum(struct evaluation *e);
const char *eval_reduce(struct evaluation *e);
const char *eval_range(struct evaluation *e);
const char *eval_einsum(struct evaluation *e);

/* eval_activation.c */
const char *eval_activation(struct evaluation *e);
const char *eval_prelu(struct evaluation *e);
const char *eval_softmax(struct evaluation *e);
const char *eval_global_average_pool(struct evaluation *e);
const char *eval_split(struct evaluation *e);

/* eval_shape.c */
const char *eval_transpose(struct evaluation *e);
const char *eval_reshape(struct evaluation *e);
const char *eval_flatten(struct evaluation *e);
const char *eval_squeeze(struct evaluation *e);
const char *eval_unsqueeze(struct evaluation *e);
const char *eval_concat(struct evaluation *e);
const char *eval_slice(struct evaluation *e);
const char *eval_gather(struct evaluation *e);
const char *eval_expand(struct evaluation *e);
const char *eval_tile(struct evaluation *e);
const char *eval_shape(struct evaluation *e);
const char *eval_size(struct evaluation *e);
const char *eval_constant_of_shape(struct evaluation *e);
const char *eval_pad(struct evaluation *e);
const char *eval_scatter_nd(struct evaluation *e);

/* eval_conv.c */
const char *eval_conv(struct evaluation *e);
const char *eval_conv_transpose(struct evaluation *e);
const char *eval_average_pool(struct evaluation *e);
const char *eval_max_pool(struct evaluation *e);
const char *eval_batch_normalization(struct evaluation *e);

/* Conv of some output channels: the weight has a row for each of them, and group_of[row] says
 * which group of input channels it reads. NULL: rows are dealt out to the groups in order. */
const char *eval_conv_rows(struct evaluation *e, int64_t groups, const int64_t *group_of);
/* ConvTranspose of the listed output channels, with the whole weight and a bias per listed
 * channel. NULL: all of them. */
const char *eval_conv_transpose_channels(struct evaluation *e, const int64_t *channels,
                                         int64_t count);

/* eval_matrix.c */
const char *eval_gemm(struct evaluation *e);
const char *eval_matmul(struct evaluation *e);

#endif
