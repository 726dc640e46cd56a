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

/* Beside the types of tensors, which are above 0. Cells of a string tensor are pointers to
 * ProtobufCBinaryData, or NULL for an empty one. */
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
    double largest, reach; /* eval_reach.c: what is known of them, or 0 */
    union {
        double *reals;     /* type_is_real(type) */
        int64_t *integers; /* otherwise */
        const ProtobufCBinaryData **texts;
        struct array **items; /* of a sequence */
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

/* Where a graph is evaluated: the arrays of its values so far. The outermost scope of an evaluation
 * that starts at a node asks its caller instead. */
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
    struct array *const *inputs; /* node->input_count, NULL where left out */
    struct array **outputs;      /* node->output_count and one more; set by the operator */
    struct scope *scope;         /* for bodies; NULL: there are none, nor functions */
    int64_t limit;
    bool
        is_constant; /* results are rounded to their type, as whoever runs the model gets them: Floor, Equal
                         and the like ask for the last bit */
};

/* Evaluates one node on arrays: eval_node without the conversion. Makes e->outputs. */
const char *eval_arrays(struct evaluation *e);

extern const char eval_too_dear[];

/* An array of the given shape. array_make gives zeroed cells; array_load those of a tensor.
 * Both return the reason why not: too many dimensions, more than limit elements, elements that
 * nobody can read. */
const char *array_make(struct arena *arena, struct pool *pool, int64_t limit, int32_t type,
                       int rank, const int64_t *dims, struct array **array);
const char *array_load(struct arena *arena, struct pool *pool, const struct tensor *tensor,
                       struct array **array);
/* Of what is there: "float", "a sequence". */
const char *array_type_name(int32_t type);
char *array_shape(struct arena *arena, const struct array *array); /* "[2, 3]" for messages */

/* array_make for the first output. */
const char *eval_result(struct evaluation *e, int32_t type, int rank, const int64_t *dims,
                        struct array **array);

/* NULL where a * b * c multiply-adds can be paid for, and then they are; else the reason. */
const char *eval_check_products(struct evaluation *e, int64_t a, int64_t b, int64_t c);

const char *array_copy(struct arena *arena, struct pool *pool, int64_t limit,
                       const struct array *array, struct array **copy);

/* eval_graph.c */

/* Makes room for the values of a graph and loads its initializers. e->scope is the one around it. */
const char *scope_begin(struct evaluation *e, struct scope *scope, struct graph *graph);
/* Evaluates the nodes in order. Inputs beyond `count`, or NULL, have no value. `outputs` has a place
 * for each output of the graph: arrays that nobody else holds. May be called again. */
const char *scope_run(struct evaluation *e, struct scope *scope, struct array *const *inputs,
                      size_t count, struct array **outputs);
size_t eval_output_count(const struct graph *graph);
struct value *eval_output(const struct graph *graph, size_t index);
/* The local function that a node calls, or NULL. */
struct graph *eval_function(const struct node *node);
const char *eval_call(struct evaluation *e, struct graph *function);

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
const char *eval_integers(const struct evaluation *e, size_t index, const int64_t **values,
                          size_t *count);
/* The axes in attribute `axes`, or else in an input: made non-negative, checked to be distinct
 * and below rank. *given is false when there is neither. */
const char *eval_axes(const struct evaluation *e, size_t index, int rank, int *axes, int *count,
                      bool *given);
/* One axis from an attribute; `end` admits axis == rank. */
const char *eval_axis(const struct evaluation *e, int64_t otherwise, int rank, bool end, int *axis);
/* eval_type.c */

bool eval_integer_fits(int32_t type, int64_t value);
/* The lowest bits of a number, in two's complement, as a runtime keeps them. */
int64_t eval_wrapped(int32_t type, int64_t value);
/* Of uint64 the most is given as its bits. */
void eval_integer_range(int32_t type, int64_t *least, int64_t *most);
/* Rounded to a float type. saturate: to the largest finite number where there is an infinity or
 * none at all, of types of a byte and less. */
double eval_rounded(int32_t type, double value, bool saturate);
/* A cell as the type's bits, and back. */
uint64_t eval_bits(int32_t type, const void *cell);
void eval_from_bits(int32_t type, uint64_t bits, void *cell);
/* An element of a real or whole type as a double. */
double eval_real(const struct array *array, int64_t at);
/* True when array_load works: tensor_is_readable, and strings and types of less than a byte. */
bool eval_is_loadable(const struct tensor *tensor);
void eval_load_opaque(const struct tensor *tensor, unsigned char *cells);

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

/* eval_cast.c */
const char *eval_cast(struct evaluation *e);
const char *eval_bit_cast(struct evaluation *e);
const char *eval_cast_like(struct evaluation *e);
const char *eval_constant(struct evaluation *e);
const char *eval_dropout(struct evaluation *e);
const char *eval_identity(struct evaluation *e);

/* A text for a cell of a string tensor. */
const ProtobufCBinaryData *eval_text(struct arena *arena, const char *letters, size_t length);

/* eval_math.c */
const char *eval_unary(struct evaluation *e);
const char *eval_binary(struct evaluation *e);
const char *eval_pow(struct evaluation *e);
const char *eval_sum(struct evaluation *e);
const char *eval_range(struct evaluation *e);
/* The box that the inputs [0, count) broadcast to, with a walk operand for each. */
const char *eval_broadcast(struct evaluation *e, size_t count, struct walk *walk);

/* eval_compare.c */
const char *eval_compare(struct evaluation *e);
const char *eval_bitwise(struct evaluation *e);
const char *eval_test(struct evaluation *e);
const char *eval_extreme(struct evaluation *e);
const char *eval_clip(struct evaluation *e);
const char *eval_where(struct evaluation *e);
/* Below 0, 0 or above 0. */
int eval_compare_integers(int32_t type, int64_t a, int64_t b);
bool eval_same_text(const ProtobufCBinaryData *a, const ProtobufCBinaryData *b);
/* NaN where one is. */
double eval_larger(double a, double b);
double eval_smaller(double a, double b);

/* eval_reduce.c */
const char *eval_reduce(struct evaluation *e);
const char *eval_arg(struct evaluation *e);
const char *eval_running(struct evaluation *e);

/* eval_einsum.c */
const char *eval_einsum(struct evaluation *e);

/* eval_activation.c */
const char *eval_activation(struct evaluation *e);
const char *eval_prelu(struct evaluation *e);

/* eval_normalize.c */
const char *eval_softmax(struct evaluation *e);
const char *eval_batch_normalization(struct evaluation *e);
const char *eval_layer_normalization(struct evaluation *e);
const char *eval_group_normalization(struct evaluation *e);
const char *eval_lrn(struct evaluation *e);
const char *eval_lp_normalization(struct evaluation *e);
const char *eval_mean_variance_normalization(struct evaluation *e);

/* eval_pool.c */
const char *eval_average_pool(struct evaluation *e);
const char *eval_max_pool(struct evaluation *e);
const char *eval_lp_pool(struct evaluation *e);
const char *eval_global_pool(struct evaluation *e);
const char *eval_max_unpool(struct evaluation *e);
const char *eval_max_roi_pool(struct evaluation *e);

/* eval_shape.c */
const char *eval_transpose(struct evaluation *e);
const char *eval_reshape(struct evaluation *e);
const char *eval_flatten(struct evaluation *e);
const char *eval_squeeze(struct evaluation *e);
const char *eval_unsqueeze(struct evaluation *e);
const char *eval_concat(struct evaluation *e);
const char *eval_slice(struct evaluation *e);
const char *eval_expand(struct evaluation *e);
const char *eval_tile(struct evaluation *e);
const char *eval_shape(struct evaluation *e);
const char *eval_size(struct evaluation *e);
const char *eval_constant_of_shape(struct evaluation *e);
const char *eval_pad(struct evaluation *e);
const char *eval_split(struct evaluation *e);

void eval_copy_cells(struct array *out, int64_t to, const struct array *in, int64_t from,
                     int64_t count);
/* Product of dims[first .. last - 1]; of a shape with a zero in it perhaps another number, with which
 * nothing is done. */
int64_t eval_extent(const int64_t *dims, int first, int last);

/* eval_gather.c */
const char *eval_gather(struct evaluation *e);
const char *eval_elements(struct evaluation *e);
const char *eval_gather_nd(struct evaluation *e);
const char *eval_scatter_nd(struct evaluation *e);
const char *eval_tensor_scatter(struct evaluation *e);
const char *eval_one_hot(struct evaluation *e);
const char *eval_compress(struct evaluation *e);

/* eval_order.c */
const char *eval_top_k(struct evaluation *e);
const char *eval_unique(struct evaluation *e);
const char *eval_non_zero(struct evaluation *e);
/* Sorts numbers as `compare` says; equal ones keep their order. cost: of a comparison, in elements. */
const char *eval_sort(struct evaluation *e, int64_t *order, int64_t count,
                      int (*compare)(const void *context, int64_t a, int64_t b),
                      const void *context, int64_t cost);

/* eval_arrange.c */
const char *eval_trilu(struct evaluation *e);
const char *eval_eye_like(struct evaluation *e);
const char *eval_reverse_sequence(struct evaluation *e);
const char *eval_depth(struct evaluation *e);
const char *eval_center_crop_pad(struct evaluation *e);

/* eval_conv.c */
const char *eval_conv(struct evaluation *e);
const char *eval_conv_transpose(struct evaluation *e);

/* Conv of some output channels: the weight has a row for each of them, and group_of[row] says
 * which group of input channels it reads. NULL: rows are dealt out to the groups in order. */
const char *eval_conv_rows(struct evaluation *e, int64_t groups, const int64_t *group_of);
/* ConvTranspose of the listed output channels, with the whole weight and a bias per listed
 * channel. NULL: all of them. */
const char *eval_conv_transpose_channels(struct evaluation *e, const int64_t *channels,
                                         int64_t count);

/* eval_control.c: of e->scope */
const char *eval_if(struct evaluation *e);
const char *eval_loop(struct evaluation *e);
const char *eval_scan(struct evaluation *e);
const char *eval_sequence_map(struct evaluation *e);

/* eval_sequence.c */
const char *eval_sequence_construct(struct evaluation *e);
const char *eval_sequence_empty(struct evaluation *e);
const char *eval_sequence_length(struct evaluation *e);
const char *eval_sequence_at(struct evaluation *e);
const char *eval_sequence_change(struct evaluation *e);
const char *eval_split_to_sequence(struct evaluation *e);
const char *eval_concat_from_sequence(struct evaluation *e);
const char *eval_optional(struct evaluation *e);
const char *eval_optional_has_element(struct evaluation *e);
const char *eval_optional_get_element(struct evaluation *e);

/* eval_quantize.c */
const char *eval_quantize_linear(struct evaluation *e);
const char *eval_dequantize_linear(struct evaluation *e);
const char *eval_dynamic_quantize_linear(struct evaluation *e);
const char *eval_integer_product(struct evaluation *e);
const char *eval_quantized_product(struct evaluation *e);

/* eval_loss.c */
const char *eval_loss(struct evaluation *e);

/* eval_recurrent.c */
const char *eval_recurrent(struct evaluation *e);

/* eval_resize.c */
const char *eval_resize(struct evaluation *e);

/* eval_matrix.c */
const char *eval_gemm(struct evaluation *e);
const char *eval_matmul(struct evaluation *e);

#endif
