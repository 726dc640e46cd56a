/* eval/array.h: the operands of the evaluator.
 *
 * Inside the evaluator a tensor is an array: every element takes eight bytes, a double for the float types and an
 * int64 for integers and bools, so that operators that only move elements need not know the type. */
#ifndef EVAL_ARRAY_H
#define EVAL_ARRAY_H

#include "base/budget.h"
#include "model/graph.h"

enum {
    EVAL_RANK = 16,    /* more dimensions than this are refused */
    EVAL_OPERANDS = 8, /* arrays that one walk steps through */
    EVAL_CELL = 8      /* bytes of an element */
};

/* In addition to tensor types, which are above 0. Cells of a string tensor are pointers to ProtobufCBinaryData, or
 * NULL for an empty string. */
enum {
    ARRAY_SEQUENCE = -1, /* cells are struct array *, one for each element */
    ARRAY_OPTIONAL = -2  /* the same: one or none */
};

struct array {
    int32_t type;
    int rank;
    int64_t dims[EVAL_RANK];
    int64_t count;
    bool owned;            /* the cells came from the pool and may go back to it */
    double largest, reach; /* eval/reach.c: magnitudes, if known, or 0 */
    union {
        double *reals;     /* type_is_real(type) */
        int64_t *integers; /* otherwise */
        const ProtobufCBinaryData **texts;
        struct array **items; /* of a sequence */
        unsigned char *cells; /* either, to be moved */
        const void *borrowed; /* cells of a tensor: never written */
    };
};

enum { ELEMENT_COST = 4 }; /* cost of an element of an operand or a result, in multiply-adds */

/* The allocator of cells. A recycling pool allocates powers of two, so that the values of a long chain share a few
 * buffers. */
struct pool {
    struct arena *arena;
    bool recycles;
    struct effort *effort; /* NULL: unlimited */
    void *free[64];        /* by logarithm of the size; a free buffer begins with the next one's address */
};

void *pool_take(struct pool *pool, int64_t count); /* zeroed */
void pool_return(struct pool *pool, struct array *array);
/* The same, and memory in its own block returns to the arena. */
void pool_free(struct pool *pool, struct array *array);
/* False if it exceeds the remaining effort. Otherwise counts it. */
bool pool_affords(struct pool *pool, double products, double cells);

/* The evaluation of a graph: the arrays of its values so far. If an evaluation starts at a node, its outermost scope
 * asks the caller instead. */
struct scope {
    const struct scope *outer; /* of the graph around it, or NULL */
    struct graph *graph;
    const struct node *call; /* of the function whose graph this is, or is in; or NULL */
    const Onnx__FunctionProto *function;
    int depth;
    const struct value **values; /* hashed by address, the arrays beside them */
    struct array **arrays;
    size_t room;
    const char *(*find)(void *context, struct value *value, struct array **array);
    void *context;
};

struct evaluation {
    struct arena *arena;
    struct pool *pool;
    const struct node *node;
    struct array *const *inputs;                   /* node->input_count, NULL where left out */
    struct array **outputs;                        /* node->output_count and one more; set by the operator */
    const char *(*evaluate)(struct evaluation *e); /* eval_arrays, which sets it: for the nodes of bodies */
    struct scope *scope;                           /* for bodies; NULL: there are none, nor functions */
    int64_t limit;
    bool is_constant; /* results are rounded to their type, as in a runtime, because Floor, Equal and similar depend
                         on the last bit */
};

extern const char eval_too_dear[];

/* An array of the given shape. array_make gives zeroed cells; array_load those of a tensor.
 * Both return NULL, or the reason why not: too many dimensions, more than limit elements, unreadable elements. */
const char *array_make(struct arena *arena, struct pool *pool, int64_t limit, int32_t type, int rank,
                       const int64_t *dims, struct array **array);
const char *array_load(struct arena *arena, struct pool *pool, const struct tensor *tensor, struct array **array);
/* The type of an array: "float", "a sequence". */
const char *array_type_name(int32_t type);
char *array_shape(struct arena *arena, const struct array *array); /* "[2, 3]" for messages */

/* array_make for the first output. */
const char *eval_result(struct evaluation *e, int32_t type, int rank, const int64_t *dims, struct array **array);

/* Zeroed temporary cells of one operator, which returns them by pool_return. */
const char *eval_scratch(struct evaluation *e, int64_t count, struct array **scratch);

/* NULL if the effort suffices for a * b * c multiply-adds, which it then counts; otherwise the reason. */
const char *eval_check_products(struct evaluation *e, int64_t a, int64_t b, int64_t c);

const char *array_copy(struct arena *arena, struct pool *pool, int64_t limit, const struct array *array,
                       struct array **copy);

/* Evaluates the node as another operator, with its attributes and one output, by the given function. */
const char *eval_as(struct evaluation *e, enum op op, const char *(*evaluate)(struct evaluation *e),
                    struct array *const *inputs, size_t count, struct array **out);

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

/* Float types of any width: their cells are doubles. */
bool type_is_real(int32_t type);
/* Integers of any width, and bools: their cells are int64; of a uint64 the bits. */
bool type_is_whole(int32_t type);
static inline bool array_is_real(const struct array *array)
{
    return type_is_real(array->type);
}
static inline bool array_is_whole(const struct array *array)
{
    return type_is_whole(array->type);
}
static inline struct array *eval_input(const struct evaluation *e, size_t index)
{
    return index < e->node->input_count ? e->inputs[index] : NULL;
}

/* The integers of an input of rank 0 or 1. */
const char *eval_integers(const struct evaluation *e, size_t index, const int64_t **values, size_t *count);
/* The axes in attribute `axes`, or else in an input: made non-negative, checked to be distinct
 * and below rank. *given is false if there is neither. */
const char *eval_axes(const struct evaluation *e, size_t index, int rank, int *axes, int *count, bool *given);
/* One axis from an attribute; `end` admits axis == rank. */
const char *eval_axis(const struct evaluation *e, int64_t otherwise, int rank, bool end, int *axis);

bool eval_integer_fits(int32_t type, int64_t value);
/* The lowest bits of a number, in two's complement, as in a runtime. */
int64_t eval_wrapped(int32_t type, int64_t value);
/* For uint64, the maximum is given as its bits. */
void eval_integer_range(int32_t type, int64_t *least, int64_t *most);
/* Rounded to a float type. saturate: to the largest finite number where there is an infinity or
 * none at all, of types of a byte and less. */
double eval_rounded(int32_t type, double value, bool saturate);
/* A cell as the type's bits, and back. */
uint64_t eval_bits(int32_t type, const void *cell);
void eval_from_bits(int32_t type, uint64_t bits, void *cell);
/* An element of a real or whole type as a double. */
double eval_real(const struct array *array, int64_t at);
/* True if array_load works: tensor_is_readable, strings, and types of less than a byte. */
bool eval_is_loadable(const struct tensor *tensor);
void eval_load_opaque(const struct tensor *tensor, unsigned char *cells);

/* Steps through the positions of a box in row-major order, with the offset of each strided array at the position. */
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
/* Broadcasts dims with the shape of the array; false if they do not agree. */
bool broadcast_dims(int *rank, int64_t *dims, const struct array *array);

#endif
