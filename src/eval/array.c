/* eval/array.c: arrays, the pool their cells come from, walks over them. */
#include "eval/array.h"

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

const char eval_too_dear[] = "it costs more than is worth a model of this size";

/* Buffers of a level have 2^level cells: the least that hold `count`. */
static size_t pool_level(int64_t count)
{
    size_t level = 0;
    while (level < 63 && (INT64_C(1) << level) < count)
        level++;
    return level;
}

/* The buffers that a result takes, and the work of filling it in. */
static bool affords_result(struct pool *pool, int64_t count)
{
    size_t level = pool_level(count);
    double cells = count > 0 ? (double)count : 1;
    if (!pool->recycles)
        return pool_affords(pool, ELEMENT_COST * cells, cells);
    return pool_affords(pool, ELEMENT_COST * cells, pool->free[level] ? 0 : (double)(INT64_C(1) << level));
}

void *pool_take(struct pool *pool, int64_t count)
{
    uint64_t cells = count > 0 ? (uint64_t)count : 1;
    if (!pool->recycles)
        return arena_alloc(pool->arena, cells, EVAL_CELL);
    size_t level = pool_level(count);
    void *buffer = pool->free[level];
    if (!buffer)
        return arena_alloc(pool->arena, UINT64_C(1) << level, EVAL_CELL);
    memcpy(&pool->free[level], buffer, sizeof(void *));
    memset(buffer, 0, (size_t)cells * EVAL_CELL);
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
        pool->effort->cells += (double)(INT64_C(1) << pool_level(array->count));
    array->owned = false;
    array->cells = NULL;
}

static const char *array_header(struct arena *arena, int32_t type, int rank, const int64_t *dims, struct array **array)
{
    if (rank > EVAL_RANK)
        return arena_format(arena, "%d dimensions, at most %d can be evaluated", rank, (int)EVAL_RANK);
    struct array *header = NEW(arena, struct array);
    header->type = type;
    header->rank = rank;
    for (int i = 0; i < rank; i++)
        header->dims[i] = dims[i];
    if (!count_elements(dims, (size_t)rank, &header->count))
        return arena_format(arena, "%s is not a shape", array_shape(arena, header));
    *array = header;
    return NULL;
}

const char *array_make(struct arena *arena, struct pool *pool, int64_t limit, int32_t type, int rank,
                       const int64_t *dims, struct array **array)
{
    const char *reason = array_header(arena, type, rank, dims, array);
    if (reason)
        return reason;
    if ((*array)->count > limit)
        return arena_format(arena, "a result of %lld elements, more than the limit of %lld", (long long)(*array)->count,
                            (long long)limit);
    if (!affords_result(pool, (*array)->count))
        return eval_too_dear;
    (*array)->cells = pool_take(pool, (*array)->count);
    (*array)->owned = true;
    return NULL;
}

const char *array_load(struct arena *arena, struct pool *pool, const struct tensor *tensor, struct array **array)
{
    if (!eval_is_loadable(tensor))
        return arena_format(arena, "the %s numbers of '%s' cannot be read", type_name(tensor->type),
                            tensor->name ? tensor->name : "");
    const char *reason = array_header(arena, tensor->type, tensor->rank, tensor->dims, array);
    if (reason)
        return reason;
    bool real = type_is_real(tensor->type);
    if (tensor->data && /* of no elements there may be none */
        (real ? tensor->storage == STORAGE_DOUBLES
              : tensor->storage == STORAGE_LONGS || tensor->storage == STORAGE_ULONGS)) {
        (*array)->borrowed = tensor->data;
        return NULL;
    }
    if (!affords_result(pool, tensor->count))
        return eval_too_dear;
    (*array)->cells = pool_take(pool, tensor->count);
    (*array)->owned = true;
    if (!tensor_is_readable(tensor))
        eval_load_opaque(tensor, (*array)->cells);
    else if (real)
        tensor_read(tensor, 0, tensor->count, (*array)->reals);
    else
        tensor_read_bits(tensor, (*array)->integers);
    return NULL;
}

const char *array_copy(struct arena *arena, struct pool *pool, int64_t limit, const struct array *array,
                       struct array **copy)
{
    const char *reason = array_make(arena, pool, limit, array->type, array->rank, array->dims, copy);
    if (!reason && array->count)
        memcpy((*copy)->cells, array->cells, (size_t)array->count * EVAL_CELL);
    return reason;
}

const char *array_type_name(int32_t type)
{
    return type == ARRAY_SEQUENCE ? "a sequence" : type == ARRAY_OPTIONAL ? "an optional" : type_name(type);
}

char *array_shape(struct arena *arena, const struct array *array)
{
    char *text = "";
    for (int i = 0; i < array->rank; i++)
        text = arena_format(arena, "%s%s%lld", text, i ? ", " : "", (long long)array->dims[i]);
    return arena_format(arena, "[%s]", text);
}

const char *eval_result(struct evaluation *e, int32_t type, int rank, const int64_t *dims, struct array **array)
{
    const char *reason = array_make(e->arena, e->pool, e->limit, type, rank, dims, array);
    if (!reason)
        e->outputs[0] = *array;
    return reason;
}

const char *eval_as(struct evaluation *e, enum op op, const char *(*evaluate)(struct evaluation *e),
                    struct array *const *inputs, size_t count, struct array **out)
{
    struct evaluation inner = *e;
    struct node *node = NEW(e->arena, struct node);
    *node = *e->node;
    node->op = op;
    node->opset = OPSET_NEWEST;
    node->input_count = (uint32_t)count;
    node->output_count = 1;
    inner.node = node;
    inner.inputs = inputs;
    inner.outputs = NEW_ARRAY(e->arena, struct array *, 2);
    const char *reason = evaluate(&inner);
    *out = inner.outputs[0];
    return reason;
}

const char *eval_scratch(struct evaluation *e, int64_t count, struct array **scratch)
{
    return array_make(e->arena, e->pool, INT64_MAX, ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE, 1, &count, scratch);
}

const char *eval_check_products(struct evaluation *e, int64_t a, int64_t b, int64_t c)
{
    int64_t product;
    if (a == 0 || b == 0 || c == 0)
        return NULL;
    if (!multiply_fits(a, b, &product) || !multiply_fits(product, c, &product) || product > BUDGET_SUM ||
        !pool_affords(e->pool, (double)product, 0))
        return arena_format(e->arena, "%lld * %lld * %lld products are too many", (long long)a, (long long)b,
                            (long long)c);
    return NULL;
}

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

const char *eval_integers(const struct evaluation *e, size_t index, const int64_t **values, size_t *count)
{
    const struct array *array = eval_input(e, index);
    if (array_is_real(array) || array->rank > 1)
        return arena_format(e->arena, "input %zu is not a list of integers", index);
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

const char *eval_axes(const struct evaluation *e, size_t index, int rank, int *axes, int *count, bool *given)
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
