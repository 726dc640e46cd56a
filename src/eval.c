/* eval.c: the reference evaluator: dispatch, arrays, constants and casts.
 *
 * eval_math.c and eval_activation.c compute element by element, eval_shape.c moves elements,
 * eval_conv.c has the operators with a weight or a window. All follow the text of the ONNX operator
 * as plainly as they can. */
#include "decimal.h"
#include "eval_internal.h"

#include <math.h>
#include <string.h>

/* Arrays */

struct effort effort_for(size_t input)
{
    return (struct effort){.products = 1e9 + 1e4 * (double)input,
                           .cells = (double)(4 << 20) + (double)input / 2};
}

bool pool_affords(struct pool *pool, double products, double cells)
{
    struct effort *effort = pool->effort;
    if (!effort)
        return true;
    if (products > effort->products || cells > effort->cells)
        return false;
    effort->products -= products;
    effort->cells -= cells;
    return true;
}

static const char too_dear[] = "it costs more than is worth a model of this size";

/* Buffers of a level have 2^level cells: the least that hold `count`. */
static size_t pool_level(int64_t count)
{
    size_t level = 0, cells = count > 0 ? (size_t)count : 1;
    while (((size_t)1 << level) < cells)
        level++;
    return level;
}

/* The buffers that a result takes, and the work of filling it in. */
static bool affords_result(struct pool *pool, int64_t count)
{
    size_t level = pool_level(count), cells = count > 0 ? (size_t)count : 1;
    if (!pool->recycles)
        return pool_affords(pool, ELEMENT_COST * (double)cells, (double)cells);
    return pool_affords(pool, ELEMENT_COST * (double)cells,
                        pool->free[level] ? 0 : (double)((size_t)1 << level));
}

void *pool_take(struct pool *pool, int64_t count)
{
    size_t cells = count > 0 ? (size_t)count : 1;
    if (!pool->recycles)
        return arena_alloc(pool->arena, cells, EVAL_CELL);
    size_t level = pool_level(count);
    void *buffer = pool->free[level];
    if (!buffer)
        return arena_alloc(pool->arena, (size_t)1 << level, EVAL_CELL);
    memcpy(&pool->free[level], buffer, sizeof(void *));
    memset(buffer, 0, cells * EVAL_CELL);
    return buffer;
}

void pool_return(struct pool *pool, struct array *array)
{
    if (!array->owned || !pool->recycles)
        return;
    size_t level = pool_level(array->count);
    memcpy(array->cells, &pool->free[level], sizeof(void *));
    pool->free[level] = array->cells;
    array->owned = false;
    array->cells = NULL;
}

void pool_free(struct pool *pool, struct array *array)
{
    if (!array->owned || !pool->recycles || !arena_give_back(pool->arena, array->cells)) {
        pool_return(pool, array);
        return;
    }
    if (pool->effort)
        pool->effort->cells += (double)((size_t)1 << pool_level(array->count));
    array->owned = false;
    array->cells = NULL;
}

static const char *array_header(struct arena *arena, int32_t type, int rank, const int64_t *dims,
                                struct array **array)
{
    if (rank > EVAL_RANK)
        return arena_format(arena, "%d dimensions, at most %d can be evaluated", rank,
                            (int)EVAL_RANK);
    struct array *header = NEW(arena, struct array);
    header->type = type;
    header->rank = rank;
    for (int i = 0; i < rank; i++)
        header->dims[i] = dims[i];
    if (!count_elements(dims, (size_t)rank, &header->count))
        return arena_format(arena, "%s is no shape", array_shape(arena, header));
    *array = header;
    return NULL;
}

const char *array_make(struct arena *arena, struct pool *pool, int64_t limit, int32_t type,
                       int rank, const int64_t *dims, struct array **array)
{
    const char *reason = array_header(arena, type, rank, dims, array);
    if (reason)
        return reason;
    if ((*array)->count > limit)
        return arena_format(arena, "a result of %lld elements, more than the limit of %lld",
                            (long long)(*array)->count, (long long)limit);
    if (!affords_result(pool, (*array)->count))
        return too_dear;
    (*array)->cells = pool_take(pool, (*array)->count);
    (*array)->owned = true;
    return NULL;
}

const char *array_load(struct arena *arena, struct pool *pool, const struct tensor *tensor,
                       struct array **array)
{
    if (!tensor_is_readable(tensor) || tensor->storage == STORAGE_FUSED)
        return arena_format(arena, "the %s numbers of '%s' cannot be read", type_name(tensor->type),
                            tensor->name ? tensor->name : "");
    const char *reason = array_header(arena, tensor->type, tensor->rank, tensor->dims, array);
    if (reason)
        return reason;
    bool real = type_is_float(tensor->type);
    if (tensor->data && /* of no elements there may be none */
        (real ? tensor->storage == STORAGE_DOUBLES : tensor->storage == STORAGE_LONGS)) {
        (*array)->borrowed = tensor->data;
        return NULL;
    }
    if (!affords_result(pool, tensor->count))
        return too_dear;
    (*array)->cells = pool_take(pool, tensor->count);
    (*array)->owned = true;
    if (real)
        tensor_read(tensor, 0, tensor->count, (*array)->reals);
    else if (!tensor_read_integers(tensor, (*array)->integers))
        return arena_format(arena, "the %s numbers of '%s' cannot be read", type_name(tensor->type),
                            tensor->name ? tensor->name : "");
    return NULL;
}

char *array_shape(struct arena *arena, const struct array *array)
{
    char *text = "";
    for (int i = 0; i < array->rank; i++)
        text = arena_format(arena, "%s%s%lld", text, i ? ", " : "", (long long)array->dims[i]);
    return arena_format(arena, "[%s]", text);
}

const char *eval_result(struct evaluation *e, int32_t type, int rank, const int64_t *dims,
                        struct array **array)
{
    const char *reason = array_make(e->arena, e->pool, e->limit, type, rank, dims, array);
    if (!reason)
        e->outputs[0] = *array;
    return reason;
}

const char *eval_check_products(struct evaluation *e, int64_t a, int64_t b, int64_t c)
{
    int64_t product;
    if (a == 0 || b == 0 || c == 0)
        return NULL;
    if (!multiply_fits(a, b, &product) || !multiply_fits(product, c, &product) ||
        product > EVAL_PRODUCTS || !pool_affords(e->pool, (double)product, 0))
        return arena_format(e->arena, "%lld * %lld * %lld products are too many", (long long)a,
                            (long long)b, (long long)c);
    return NULL;
}

/* Walks */

void walk_next(struct walk *walk)
{
    for (int axis = walk->rank - 1; axis >= 0; axis--) {
        if (++walk->at[axis] < walk->dims[axis]) {
            for (int i = 0; i < walk->operands; i++)
                walk->offsets[i] += walk->strides[i][axis];
            return;
        }
        walk->at[axis] = 0;
        for (int i = 0; i < walk->operands; i++)
            walk->offsets[i] -= walk->strides[i][axis] * (walk->dims[axis] - 1);
    }
}

void dense_strides(int rank, const int64_t *dims, int64_t *strides)
{
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = stride;
        stride *= dims[i] > 0 ? dims[i] : 1; /* a walk over no elements takes no step */
    }
}

void walk_broadcast(struct walk *walk, const struct array *array)
{
    int64_t dense[EVAL_RANK];
    int shift = walk->rank - array->rank;
    dense_strides(array->rank, array->dims, dense);
    for (int i = 0; i < array->rank; i++)
        walk->strides[walk->operands][shift + i] = array->dims[i] == 1 ? 0 : dense[i];
    walk->operands++;
}

bool broadcast_dims(int *rank, int64_t *dims, const struct array *array)
{
    if (array->rank > *rank) {
        int shift = array->rank - *rank;
        for (int i = *rank - 1; i >= 0; i--)
            dims[shift + i] = dims[i];
        for (int i = 0; i < shift; i++)
            dims[i] = 1;
        *rank = array->rank;
    }
    int shift = *rank - array->rank;
    for (int i = 0; i < array->rank; i++) {
        if (dims[shift + i] == 1)
            dims[shift + i] = array->dims[i];
        else if (array->dims[i] != 1 && array->dims[i] != dims[shift + i])
            return false;
    }
    return true;
}

/* Inputs and attributes */

const char *eval_integers(const struct evaluation *e, size_t index, const int64_t **values,
                          size_t *count)
{
    const struct array *array = eval_input(e, index);
    if (array_is_real(array) || array->rank > 1)
        return arena_format(e->arena, "input %zu is no list of integers", index);
    *values = array->integers;
    *count = (size_t)array->count;
    return NULL;
}

static const char *wrap_axis(const struct evaluation *e, int64_t axis, int rank, int *wrapped)
{
    if (axis < -(int64_t)rank || axis >= rank)
        return arena_format(e->arena, "axis %lld of %d dimensions", (long long)axis, rank);
    *wrapped = (int)(axis < 0 ? axis + rank : axis);
    return NULL;
}

const char *eval_axes(const struct evaluation *e, size_t index, int rank, int *axes, int *count,
                      bool *given)
{
    size_t length = 0;
    const int64_t *values = node_integers(e->node, "axes", &length);
    *count = 0;
    *given = true;
    if (!values && !eval_input(e, index)) {
        *given = false;
        return NULL;
    }
    if (!values) {
        const char *reason = eval_integers(e, index, &values, &length);
        if (reason)
            return reason;
    }
    bool seen[EVAL_RANK] = {false};
    for (size_t i = 0; i < length; i++) {
        int axis = 0;
        const char *reason = wrap_axis(e, values[i], rank, &axis);
        if (reason)
            return reason;
        if (seen[axis])
            return arena_format(e->arena, "axis %d is named twice", axis);
        seen[axis] = true;
        axes[(*count)++] = axis;
    }
    return NULL;
}

const char *eval_axis(const struct evaluation *e, int64_t otherwise, int rank, bool end, int *axis)
{
    int64_t value = node_integer(e->node, "axis", otherwise);
    if (end && value == rank) {
        *axis = rank;
        return NULL;
    }
    return wrap_axis(e, value, rank, axis);
}

bool eval_integer_fits(int32_t type, int64_t value)
{
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__BOOL: return value == 0 || value == 1;
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8: return value >= 0 && value <= UINT8_MAX;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8: return value >= INT8_MIN && value <= INT8_MAX;
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT16: return value >= 0 && value <= UINT16_MAX;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT16: return value >= INT16_MIN && value <= INT16_MAX;
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT32: return value >= 0 && value <= UINT32_MAX;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32: return value >= INT32_MIN && value <= INT32_MAX;
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT64: return value >= 0;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT64: return true;
    default: return false;
    }
}

/* Constants and casts */

static const char *eval_identity(struct evaluation *e)
{
    const struct array *in = eval_input(e, 0);
    struct array *out;
    const char *reason = eval_result(e, in->type, in->rank, in->dims, &out);
    if (reason)
        return reason;
    memcpy(out->cells, in->cells, (size_t)in->count * EVAL_CELL);
    return NULL;
}

static const char *eval_constant(struct evaluation *e)
{
    const struct value *value = node_output(e->node, 0);
    struct tensor *tensor = value ? value->tensor : NULL;
    const Onnx__AttributeProto *attribute;
    if (!tensor && (attribute = node_attribute(e->node, "value")) && attribute->t) {
        const char *reason = tensor_from_proto(e->arena, attribute->t, NULL, &tensor);
        if (reason)
            return reason;
    }
    if (tensor)
        return array_load(e->arena, e->pool, tensor, &e->outputs[0]);

    struct array *out;
    const char *reason = NULL;
    if ((attribute = node_attribute(e->node, "value_float"))) {
        reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 0, NULL, &out);
        if (!reason)
            out->reals[0] = attribute->f;
    } else if ((attribute = node_attribute(e->node, "value_floats"))) {
        const int64_t count = (int64_t)attribute->n_floats;
        reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 1, &count, &out);
        for (int64_t i = 0; !reason && i < count; i++)
            out->reals[i] = attribute->floats[i];
    } else if ((attribute = node_attribute(e->node, "value_int"))) {
        reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 0, NULL, &out);
        if (!reason)
            out->integers[0] = attribute->i;
    } else if ((attribute = node_attribute(e->node, "value_ints"))) {
        const int64_t count = (int64_t)attribute->n_ints;
        reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &count, &out);
        for (int64_t i = 0; !reason && i < count; i++)
            out->integers[i] = attribute->ints[i];
    } else {
        return "a constant of a kind that is not evaluated";
    }
    return reason;
}

static const char *eval_dropout(struct evaluation *e)
{
    const struct array *training = eval_input(e, 2);
    if (training && (array_is_real(training) || training->count != 1))
        return "training_mode is no scalar bool";
    if (training && training->integers[0])
        return "training mode";
    const char *reason = eval_identity(e);
    if (reason || !node_output(e->node, 1))
        return reason;
    const struct array *in = eval_input(e, 0);
    /* Before opset 10 the mask has the type of the data. */
    int32_t type = e->node->opset < 10 ? in->type : ONNX__TENSOR_PROTO__DATA_TYPE__BOOL;
    reason = array_make(e->arena, e->pool, e->limit, type, in->rank, in->dims, &e->outputs[1]);
    if (reason)
        return reason;
    for (int64_t i = 0; i < in->count; i++) {
        if (array_is_real(e->outputs[1]))
            e->outputs[1]->reals[i] = 1;
        else
            e->outputs[1]->integers[i] = 1;
    }
    return NULL;
}

/* True when every number of one float type is one of the other. */
static bool type_holds(int32_t wide, int32_t narrow)
{
    return wide == narrow || wide == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE ||
           (wide == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT &&
            narrow != ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE);
}

/* The lowest bits, in two's complement, as Cast keeps them. Of a uint64 only what is below 2^63 is held. */
static int64_t wrapped(int32_t type, int64_t value)
{
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT8: return (uint8_t)value;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT8: return (int8_t)value;
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT16: return (uint16_t)value;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT16: return (int16_t)value;
    case ONNX__TENSOR_PROTO__DATA_TYPE__UINT32: return (uint32_t)value;
    case ONNX__TENSOR_PROTO__DATA_TYPE__INT32: return (int32_t)value;
    default: return value;
    }
}

static const char *cast_to(struct evaluation *e, int32_t to)
{
    const struct array *in = eval_input(e, 0);
    bool from_real = array_is_real(in), to_real = type_is_float(to);
    bool to_bool = to == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL;
    if (!to_real && !eval_integer_fits(to, 0))
        return arena_format(e->arena, "a cast to %s is not evaluated", type_name(to));
    struct array *out;
    const char *reason = eval_result(e, to, in->rank, in->dims, &out);
    if (reason)
        return reason;
    for (int64_t i = 0; i < in->count; i++) {
        if (to_real) {
            double value = from_real ? in->reals[i] : (double)in->integers[i];
            out->reals[i] =
                from_real && type_holds(to, in->type) ? value : tensor_rounded(to, value);
        } else if (to_bool) {
            out->integers[i] = from_real ? in->reals[i] != 0 : in->integers[i] != 0;
        } else if (from_real) {
            /* What lies outside the type is undefined, and NaN fails this test as well. */
            if (!(in->reals[i] > -0x1p63 && in->reals[i] < 0x1p63) ||
                !eval_integer_fits(to, (int64_t)in->reals[i]))
                return arena_format(e->arena, "%s does not fit %s",
                                    decimal_rounded(in->reals[i], 6).text, type_name(to));
            out->integers[i] = (int64_t)in->reals[i];
        } else {
            out->integers[i] = wrapped(to, in->integers[i]);
            if (!eval_integer_fits(to, out->integers[i]))
                return arena_format(e->arena, "%lld does not fit %s", (long long)in->integers[i],
                                    type_name(to));
        }
    }
    return NULL;
}

static const char *eval_cast(struct evaluation *e)
{
    int64_t to = node_integer(e->node, "to", 0);
    return to > 0 && to <= INT32_MAX ? cast_to(e, (int32_t)to) : "a cast to no type";
}

static const char *eval_cast_like(struct evaluation *e)
{
    return cast_to(e, eval_input(e, 1)->type);
}

/* Dispatch */

struct row {
    enum op kind;
    size_t required; /* the inputs that may not be left out */
    const char *(*evaluate)(struct evaluation *e);
};

static const struct row rows[] = {
    {OP_Abs, 1, eval_unary},
    {OP_Add, 2, eval_binary},
    {OP_AveragePool, 1, eval_average_pool},
    {OP_BatchNormalization, 5, eval_batch_normalization},
    {OP_Cast, 1, eval_cast},
    {OP_CastLike, 2, eval_cast_like},
    {OP_Ceil, 1, eval_unary},
    {OP_Clip, 1, eval_activation},
    {OP_Concat, 1, eval_concat},
    {OP_Constant, 0, eval_constant},
    {OP_ConstantOfShape, 1, eval_constant_of_shape},
    {OP_Conv, 2, eval_conv},
    {OP_ConvTranspose, 2, eval_conv_transpose},
    {OP_Div, 2, eval_binary},
    {OP_Dropout, 1, eval_dropout},
    {OP_Einsum, 1, eval_einsum},
    {OP_Elu, 1, eval_activation},
    {OP_Equal, 2, eval_equal},
    {OP_Erf, 1, eval_activation},
    {OP_Exp, 1, eval_unary},
    {OP_Expand, 2, eval_expand},
    {OP_Flatten, 1, eval_flatten},
    {OP_Floor, 1, eval_unary},
    {OP_Gather, 2, eval_gather},
    {OP_Gelu, 1, eval_activation},
    {OP_Gemm, 2, eval_gemm},
    {OP_GlobalAveragePool, 1, eval_global_average_pool},
    {OP_HardSigmoid, 1, eval_activation},
    {OP_HardSwish, 1, eval_activation},
    {OP_Identity, 1, eval_identity},
    {OP_LeakyRelu, 1, eval_activation},
    {OP_Log, 1, eval_unary},
    {OP_MatMul, 2, eval_matmul},
    {OP_MaxPool, 1, eval_max_pool},
    {OP_Mean, 1, eval_sum},
    {OP_Mish, 1, eval_activation},
    {OP_Mod, 2, eval_binary},
    {OP_Mul, 2, eval_binary},
    {OP_Neg, 1, eval_unary},
    {OP_PRelu, 2, eval_prelu},
    {OP_Pad, 1, eval_pad},
    {OP_Pow, 2, eval_pow},
    {OP_Range, 3, eval_range},
    {OP_Reciprocal, 1, eval_unary},
    {OP_ReduceMean, 1, eval_reduce},
    {OP_ReduceProd, 1, eval_reduce},
    {OP_ReduceSum, 1, eval_reduce},
    {OP_Relu, 1, eval_unary},
    {OP_Reshape, 2, eval_reshape},
    {OP_ScatterND, 3, eval_scatter_nd},
    {OP_Selu, 1, eval_activation},
    {OP_Shape, 1, eval_shape},
    {OP_Sigmoid, 1, eval_unary},
    {OP_Size, 1, eval_size},
    {OP_Slice, 1, eval_slice},
    {OP_Softmax, 1, eval_softmax},
    {OP_Softplus, 1, eval_activation},
    {OP_Softsign, 1, eval_activation},
    {OP_Split, 1, eval_split},
    {OP_Sqrt, 1, eval_unary},
    {OP_Squeeze, 1, eval_squeeze},
    {OP_Sub, 2, eval_binary},
    {OP_Sum, 1, eval_sum},
    {OP_Swish, 1, eval_activation},
    {OP_Tanh, 1, eval_unary},
    {OP_Tile, 2, eval_tile},
    {OP_Transpose, 1, eval_transpose},
    {OP_Unsqueeze, 1, eval_unsqueeze},
    {OP_Where, 3, eval_where},
};

static const struct row *find_row(enum op op)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (rows[i].kind == op)
            return &rows[i];
    return NULL;
}

/* What is not owned is an input's, and as its type holds it. */
static void round_array(struct array *array)
{
    if (!array->owned || array->type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE)
        return;
    if (array->type == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT)
        for (int64_t i = 0; i < array->count; i++)
            array->reals[i] = (double)(float)array->reals[i];
    else
        for (int64_t i = 0; i < array->count; i++)
            array->reals[i] = tensor_rounded(array->type, array->reals[i]);
}

const char *eval_arrays(struct evaluation *e)
{
    const struct node *node = e->node;
    const struct row *row = find_row(node->op);
    if (!row)
        return arena_format(e->arena, "operator %s is not evaluated", node->proto->op_type);
    if (node_has_references(node))
        return "an attribute refers to an attribute of the function";
    for (size_t i = 0; i < row->required; i++)
        if (!eval_input(e, i))
            return arena_format(e->arena, "input %zu is missing", i);
    double read = 0; /* a reduction reads much and gives little */
    for (size_t i = 0; i < node->input_count; i++)
        read += e->inputs[i] ? (double)e->inputs[i]->count : 0;
    const char *reason =
        pool_affords(e->pool, ELEMENT_COST * read, 0) ? row->evaluate(e) : too_dear;
    if (reason)
        return reason;
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] && (i >= COUNT_OF(e->outputs) || !e->outputs[i]))
            return arena_format(e->arena, "output %zu is not evaluated", i);
    for (size_t i = 0; e->is_constant && i < node->output_count; i++)
        if (node->outputs[i] && array_is_real(e->outputs[i]))
            round_array(e->outputs[i]);
    return NULL;
}

/* ---- one number repeated ---- */

/* The inputs broadcast, and an element of the result depends on the elements in its place alone. */
static bool is_elementwise(enum op op)
{
    const struct row *row = find_row(op);
    return row &&
           (row->evaluate == eval_unary || row->evaluate == eval_binary ||
            row->evaluate == eval_pow || row->evaluate == eval_sum || row->evaluate == eval_cast ||
            row->evaluate == eval_cast_like || row->evaluate == eval_identity);
}

/* The same tensor with a size of 1 on every axis; NULL: it is more than one number. */
static const struct tensor *shrunk(struct arena *arena, const struct tensor *tensor)
{
    int64_t dims[EVAL_RANK];
    if (tensor->rank > EVAL_RANK || (tensor->count != 1 && tensor->storage != STORAGE_REPEATED))
        return NULL;
    for (int i = 0; i < tensor->rank; i++)
        dims[i] = 1;
    return tensor->count == 1
               ? tensor
               : tensor_of_repeated(arena, tensor->type, tensor->rank, dims, tensor->data);
}

static bool widen(const struct tensor *tensor, int *rank, int64_t *dims)
{
    struct array array = {.rank = tensor->rank};
    for (int i = 0; i < tensor->rank; i++)
        array.dims[i] = tensor->dims[i];
    return broadcast_dims(rank, dims, &array);
}

/* The inputs of a node whose result is plainly one number repeated, shrunk to what makes a single number,
 * and the shape of the result. NULL: it is another node. */
static const struct tensor **shrink_inputs(struct arena *arena, const struct node *node,
                                           const struct tensor *const *inputs, int *rank,
                                           int64_t *dims)
{
    static const int64_t ones[EVAL_RANK] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    bool fills = node->op == OP_ConstantOfShape, expands = node->op == OP_Expand;
    bool repeats = fills || expands;
    if (node->output_count != 1 || (!repeats && !is_elementwise(node->op)))
        return NULL;
    const struct tensor **one = NEW_ARRAY(arena, const struct tensor *, node->input_count);
    *rank = 0;
    for (size_t i = 0; i < node->input_count; i++) {
        if (!inputs[i])
            return NULL;
        if (i == (fills ? 0 : expands ? 1 : node->input_count)) {
            int64_t shape[EVAL_RANK];
            if (inputs[i]->rank != 1 || inputs[i]->count > EVAL_RANK ||
                !tensor_read_integers(inputs[i], shape))
                return NULL;
            const struct tensor asked = {.rank = (int)inputs[i]->count, .dims = shape};
            if (!widen(&asked, rank, dims))
                return NULL;
            one[i] = tensor_of_integers(arena, inputs[i]->type, 1, inputs[i]->dims, ones);
            continue;
        }
        one[i] = shrunk(arena, inputs[i]);
        if (!one[i] || !widen(inputs[i], rank, dims))
            return NULL;
        repeats = repeats || inputs[i]->storage == STORAGE_REPEATED;
    }
    return repeats ? one : NULL;
}

/* Weights of many models that only show a structure are one number repeated: a few bytes in the file, and
 * no more here. NULL: the node is evaluated as others are. */
static struct tensor *evaluate_repeated(struct arena *arena, const struct node *node,
                                        const struct tensor *const *inputs, int64_t limit,
                                        struct effort *effort)
{
    int rank;
    int64_t dims[EVAL_RANK], count;
    struct tensor *single = NULL;
    struct pool pool = {.arena = arena, .effort = effort};
    const struct tensor **one = shrink_inputs(arena, node, inputs, &rank, dims);
    if (!one || !count_elements(dims, (size_t)rank, &count) || count < 2 || count > limit ||
        eval_node(arena, node, one, &single, limit, effort) || single->count != 1 ||
        single->storage != STORAGE_DOUBLES || !pool_affords(&pool, ELEMENT_COST * (double)count, 0))
        return NULL; /* who asks for its numbers looks at all of them */
    return tensor_of_repeated(arena, single->type, rank, dims, single->data);
}

const char *eval_node(struct arena *arena, const struct node *node,
                      const struct tensor *const *inputs, struct tensor **outputs, int64_t limit,
                      struct effort *effort)
{
    struct array **arrays = NEW_ARRAY(arena, struct array *, node->input_count);
    struct pool pool = {.arena = arena, .effort = effort};
    struct evaluation e = {
        .arena = arena, .pool = &pool, .node = node, .inputs = arrays, .limit = limit};
    e.is_constant = true;
    struct tensor *repeated = evaluate_repeated(arena, node, inputs, limit, effort);
    if (repeated) {
        outputs[0] = repeated;
        return NULL;
    }
    for (size_t i = 0; i < node->input_count; i++) {
        const char *reason = inputs[i] ? array_load(arena, &pool, inputs[i], &arrays[i]) : NULL;
        if (reason)
            return reason;
    }
    const char *reason = eval_arrays(&e);
    if (reason)
        return reason;
    for (size_t i = 0; i < node->output_count; i++) {
        outputs[i] = NULL;
        if (!node->outputs[i])
            continue;
        const struct array *array = e.outputs[i];
        outputs[i] =
            array_is_real(array)
                ? tensor_of_doubles(arena, array->type, array->rank, array->dims, array->reals)
                : tensor_of_integers(arena, array->type, array->rank, array->dims, array->integers);
    }
    return NULL;
}
