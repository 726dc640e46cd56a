/* check.c: evaluates what the file says and what replaces it, and compares.
 *
 * A large weight is not evaluated whole: a few output channels are drawn (the sample), and a walk
 * from the target back to the source finds how far that narrows the work. Operators that treat
 * each channel alone hand the sample on to their data; Conv, ConvTranspose, Gemm and MatMul
 * compute the sample from all of theirs; everything else is computed whole. */
#include "check.h"

#include "eval_internal.h"
#include "fused.h"

#include <math.h>
#include <string.h>

enum { SAMPLE = 8, SAMPLE_LEAST = 3 }; /* channels of a sample: fewer where each is much work */
enum { WORK_OF_ALL = 500000 };         /* products up to which all channels are evaluated */
enum { ELEMENTS_MOST = 1 << 26 };      /* of one intermediate result: half a GiB */
enum { KEPT_MOST = 1 << 14 };          /* elements of stored weights kept for the next trial */

enum wanted { WANTED_NOT, WANTED_SAMPLE, WANTED_ALL };

/* A value of one side. */
struct item {
    const struct value *value;
    const struct node *node; /* NULL for the source and for constants that are stored */
    const struct tensor *stored;
    size_t output;        /* which output of the node */
    struct item **inputs; /* node->input_count, NULL where left out */
    size_t next_input;    /* for the walk */
    bool is_source;
    bool is_done;      /* the walk has left it */
    bool is_evaluated; /* a constant: once for all trials */
    bool varies;       /* depends on the source */
    bool is_whole;     /* all channels are computed, else the sample */
    enum wanted wanted;
    size_t readers; /* evaluations that read the array */
    size_t left;    /* those that still do */
    struct array *array;
};

struct item_map {
    struct item **items;
    size_t count, room;
};

struct trial {
    struct arena *arena;
    struct pool pool;
    const struct check_case *check;
    struct array *input;
    int64_t kept;           /* elements of stored weights that stay for the next trial */
    bool samples;           /* else every channel is evaluated */
    int64_t sample[SAMPLE]; /* ascending */
    int64_t sample_count;
};

struct side {
    struct trial *trial;
    bool is_file; /* follows first_producer */
    struct item_map map;
    LIST(struct item *) order; /* inputs before readers */
    LIST(struct item *) roots; /* the target, or the terms of its sum */
};

struct check_region {
    struct trial trial;
    struct side file, new;
};

/* Random numbers: splitmix64. */
static uint64_t random_bits(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static double random_uniform(uint64_t *state) /* in [-1, 1) */
{
    return (double)(random_bits(state) >> 11) * 0x1p-52 - 1;
}

/* Building the list of what is needed */

static struct item **map_place(const struct item_map *map, const struct value *value)
{
    size_t at = ((uintptr_t)value >> 4) * 0x9e3779b97f4a7c15u >> 7 & (map->room - 1);
    while (map->items[at] && map->items[at]->value != value)
        at = (at + 1) & (map->room - 1);
    return &map->items[at];
}

static struct item *find_item(struct side *side, const struct value *value)
{
    struct arena *arena = side->trial->arena;
    struct item_map *map = &side->map;
    if (map->count * 2 >= map->room) {
        struct item_map grown = {.count = map->count, .room = map->room ? map->room * 2 : 64};
        grown.items = NEW_ARRAY(arena, struct item *, grown.room);
        for (size_t i = 0; i < map->room; i++)
            if (map->items[i])
                *map_place(&grown, map->items[i]->value) = map->items[i];
        *map = grown;
    }
    struct item **place = map_place(map, value);
    if (*place)
        return *place;
    struct item *item = *place = NEW(arena, struct item);
    map->count++;
    item->value = value;
    if (value == side->trial->check->source) {
        item->is_source = item->varies = true;
    } else {
        item->node = side->is_file ? value->first_producer : value->producer;
        /* A value that the file computes may be a stored constant by now: on the file's side it
         * is computed all the same. */
        if (value->tensor && (!item->node || item->node->op == OP_Constant)) {
            item->node = NULL;
            item->stored = value->tensor;
        }
    }
    if (item->node) {
        item->inputs = NEW_ARRAY(arena, struct item *, item->node->input_count);
        while (item->output < item->node->output_count &&
               item->node->outputs[item->output] != value)
            item->output++;
    }
    return item;
}

/* Depth first, with a stack of its own: a region may be a hundred thousand nodes deep. */
static const char *list_items(struct side *side, const struct value *root)
{
    struct arena *arena = side->trial->arena;
    LIST(struct item *) stack = {NULL, 0, 0};
    struct item *first = find_item(side, root);
    LIST_PUSH(arena, &side->roots, first);
    first->readers++;
    if (!first->is_done)
        LIST_PUSH(arena, &stack, first);
    while (stack.count) {
        struct item *item = stack.items[stack.count - 1];
        if (item->is_done) {
            stack.count--;
            continue;
        }
        if (!item->node && !item->is_source && !item->stored)
            return arena_format(arena, "'%s' depends on more than '%s' and constants",
                                item->value->name, side->trial->check->source->name);
        if (item->node && item->next_input < item->node->input_count) {
            const struct value *value = item->node->inputs[item->next_input];
            if (value) {
                struct item *input = find_item(side, value);
                item->inputs[item->next_input] = input;
                input->readers++;
                if (!input->is_done && input->next_input > 0)
                    return arena_format(arena, "'%s' depends on itself", value->name);
                if (!input->is_done)
                    LIST_PUSH(arena, &stack, input);
            }
            item->next_input++;
            continue;
        }
        for (size_t i = 0; item->node && i < item->node->input_count; i++)
            item->varies = item->varies || (item->inputs[i] && item->inputs[i]->varies);
        item->is_done = true;
        LIST_PUSH(arena, &side->order, item);
        stack.count--;
    }
    return NULL;
}

/* Reading items, whole or some channels of them */

/* Part of an array along an axis. */
static const char *pick_from_array(struct trial *trial, const struct array *array, int axis,
                                   struct array **part)
{
    int64_t dims[EVAL_RANK];
    memcpy(dims, array->dims, sizeof(dims));
    dims[axis] = trial->sample_count;
    const char *reason =
        array_make(trial->arena, &trial->pool, ELEMENTS_MOST, array->type, array->rank, dims, part);
    if (reason || (*part)->count == 0)
        return reason;
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < axis; i++)
        outer *= dims[i];
    for (int i = axis + 1; i < array->rank; i++)
        inner *= dims[i];
    for (int64_t i = 0; i < outer; i++)
        for (int64_t n = 0; n < trial->sample_count; n++)
            memcpy((*part)->cells + (i * trial->sample_count + n) * inner * EVAL_CELL,
                   array->cells + (i * array->dims[axis] + trial->sample[n]) * inner * EVAL_CELL,
                   (size_t)inner * EVAL_CELL);
    return NULL;
}

/* Part of a stored constant along an axis; axis -1: all of it. Of a large weight no more is read
 * than the sample and one row beside it. */
static const char *read_stored(struct trial *trial, const struct tensor *tensor, int axis,
                               struct array **array)
{
    if (axis < 0 || tensor->rank > EVAL_RANK || !type_is_float(tensor->type) ||
        !tensor_is_readable(tensor)) {
        const char *reason = array_load(trial->arena, &trial->pool, tensor, array);
        struct array *whole = *array;
        if (reason || axis < 0)
            return reason;
        reason = pick_from_array(trial, whole, axis, array);
        pool_return(&trial->pool, whole);
        return reason;
    }
    int64_t dims[EVAL_RANK] = {0}, outer = 1, inner = 1, count = trial->sample_count;
    for (int i = 0; i < tensor->rank; i++)
        dims[i] = i == axis ? count : tensor->dims[i];
    const char *reason = array_make(trial->arena, &trial->pool, ELEMENTS_MOST, tensor->type,
                                    tensor->rank, dims, array);
    if (reason || (*array)->count == 0)
        return reason;
    for (int i = 0; i < axis; i++)
        outer *= dims[i];
    for (int i = axis + 1; i < tensor->rank; i++)
        inner *= dims[i];
    double *to = (*array)->reals;
    if (inner > 1 || outer == 1) {
        for (int64_t i = 0; i < outer; i++)
            for (int64_t n = 0; n < count; n++, to += inner)
                tensor_read(tensor, (i * tensor->dims[axis] + trial->sample[n]) * inner, inner, to);
        return NULL;
    }
    /* Columns of a matrix: a call for each number would cost more than its neighbours do. */
    double *row = pool_take(&trial->pool, tensor->dims[axis]);
    for (int64_t i = 0; i < outer; i++) {
        tensor_read(tensor, i * tensor->dims[axis], tensor->dims[axis], row);
        for (int64_t n = 0; n < count; n++)
            *to++ = row[trial->sample[n]];
    }
    return NULL;
}

/* The same for weights that a rewrite will compute. */
static const char *read_fused(struct trial *trial, const struct tensor *tensor, int axis,
                              struct array **array)
{
    int64_t dims[EVAL_RANK] = {0};
    bool transposed = tensor->part == FUSED_KERNEL_TRANSPOSED;
    int row_axis = transposed ? 1 : 0;
    int64_t rows = fused_channels(tensor);
    if (tensor->rank > EVAL_RANK || tensor->rank < 2 || (transposed && tensor->rank != 2) ||
        tensor->dims[row_axis] != rows)
        return "a fused weight of another shape than its form";
    if (axis >= 0 && axis != row_axis) {
        /* ConvTranspose: the rows are input channels, the sample lies across them. */
        struct array *whole;
        const char *reason = read_fused(trial, tensor, -1, &whole);
        if (!reason)
            reason = pick_from_array(trial, whole, axis, array);
        if (!reason)
            pool_return(&trial->pool, whole);
        return reason;
    }
    int64_t count = axis < 0 ? rows : trial->sample_count;
    for (int i = 0; i < tensor->rank; i++)
        dims[i] = i == row_axis ? count : tensor->dims[i];
    const char *reason = array_make(trial->arena, &trial->pool, ELEMENTS_MOST, tensor->type,
                                    tensor->rank, dims, array);
    if (reason || (*array)->count == 0)
        return reason;
    const int64_t *channels = trial->sample;
    if (axis < 0) {
        int64_t *all = NEW_ARRAY(trial->arena, int64_t, rows);
        for (int64_t i = 0; i < rows; i++)
            all[i] = i;
        channels = all;
    }
    if (!transposed)
        return fused_read(trial->arena, tensor, channels, count, (*array)->reals);
    double *columns = pool_take(&trial->pool, (*array)->count);
    reason = fused_read(trial->arena, tensor, channels, count, columns);
    int64_t depth = (*array)->count / count;
    for (int64_t n = 0; !reason && n < count; n++)
        for (int64_t i = 0; i < depth; i++)
            (*array)->reals[i * count + n] = columns[n * depth + i];
    return reason;
}

/* Reads a small weight that the next trial will read again. */
static const char *keep_stored(struct trial *trial, struct item *item)
{
    const struct tensor *tensor = item->stored;
    struct array *array;
    const char *reason = tensor->storage == STORAGE_FUSED ? read_fused(trial, tensor, -1, &array)
                                                          : read_stored(trial, tensor, -1, &array);
    if (reason)
        return reason;
    trial->kept += tensor->count;
    item->array = array;
    return NULL;
}

/* The array of an item for a reader that wants the sample along an axis of it; axis -1: all.
 * A dimension of 1 broadcasts and stays. *is_copy: the reader returns the array to the pool. */
static const char *read_item(struct trial *trial, struct item *item, int axis, struct array **array,
                             bool *is_copy)
{
    const struct tensor *tensor = item->stored;
    int rank = item->array ? item->array->rank : tensor ? tensor->rank : 0;
    const int64_t *dims = item->array ? item->array->dims : tensor ? tensor->dims : NULL;
    *is_copy = false;
    *array = item->array;
    if (!item->array && !tensor)
        return arena_format(trial->arena, "'%s' has no value", item->value->name);
    if (!trial->samples || axis < 0 || axis >= rank || dims[axis] == 1)
        axis = -1;
    if (!item->array && axis < 0 && tensor->count <= KEPT_MOST - trial->kept) {
        const char *reason = keep_stored(trial, item);
        *array = item->array;
        return reason;
    }
    if (item->array && (axis < 0 || (item->varies && !item->is_whole)))
        return NULL;
    if (axis >= 0 && dims[axis] != trial->check->channels)
        return arena_format(trial->arena, "'%s' has %lld channels, '%s' has %lld",
                            item->value->name, (long long)dims[axis], trial->check->target->name,
                            (long long)trial->check->channels);
    *is_copy = true;
    if (item->array)
        return pick_from_array(trial, item->array, axis, array);
    if (tensor->storage == STORAGE_FUSED)
        return read_fused(trial, tensor, axis, array);
    return read_stored(trial, tensor, axis, array);
}

/* What each operator makes of the sample */

/* Rank and extents of an input, as far as they are known before the evaluation. */
static bool input_dims(const struct item *item, size_t index, int *rank, const int64_t **dims)
{
    const struct item *input = index < item->node->input_count ? item->inputs[index] : NULL;
    if (!input)
        return false;
    if (input->array) {
        *rank = input->array->rank;
        *dims = input->array->dims;
        return true;
    }
    if (!input->stored)
        return false;
    *rank = input->stored->rank;
    *dims = input->stored->dims;
    return true;
}

static bool is_depthwise(const struct trial *trial, const struct item *item)
{
    int rank;
    const int64_t *dims;
    return input_dims(item, 1, &rank, &dims) && rank > 2 && dims[1] == 1 &&
           dims[0] == trial->check->channels &&
           node_integer(item->node, "group", 1) == trial->check->channels;
}

/* The integers of a constant input, for Pad and Slice. NULL when they are not known. */
static const int64_t *constant_integers(struct trial *trial, const struct item *item, size_t index,
                                        size_t *count)
{
    struct item *input = index < item->node->input_count ? item->inputs[index] : NULL;
    struct array *array;
    bool is_copy;
    if (!input || input->varies || read_item(trial, input, -1, &array, &is_copy) ||
        array_is_real(array))
        return NULL;
    *count = (size_t)array->count;
    return array->integers;
}

/* True when Pad or Slice leaves the channels alone. */
static bool spares_channels(struct trial *trial, const struct item *item)
{
    const struct node *node = item->node;
    bool is_pad = node->op == OP_Pad;
    bool by_attribute = is_pad ? node->opset < 11 : node->opset < 10;
    size_t count = 0, axis_count = 0;
    const int64_t *numbers, *axes = NULL; /* pads, or starts */
    if (by_attribute) {
        numbers = node_integers(node, is_pad ? "pads" : "starts", &count);
        axes = node_integers(node, "axes", &axis_count);
    } else {
        numbers = constant_integers(trial, item, 1, &count);
        if (node_input(node, 3) && !(axes = constant_integers(trial, item, 3, &axis_count)))
            return false;
    }
    if (!numbers)
        return false;
    if (is_pad)
        count /= 2;
    if (axes && axis_count != count)
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes ? axes[i] : (int64_t)i;
        if (axis < 0)
            axis += trial->check->rank;
        if (axis == trial->check->channel_axis && (!is_pad || numbers[i] || numbers[count + i]))
            return false;
    }
    return true;
}

/* True when the operator can compute the sample alone. */
static bool computes_sample(struct trial *trial, const struct item *item)
{
    const struct node *node = item->node;
    const struct check_case *check = trial->check;
    int rank = 0;
    const int64_t *dims = NULL;
    int64_t channels;
    bool is_known = input_dims(item, 1, &rank, &dims);
    switch (node->op) {
    case OP_Add:
    case OP_Cast:
    case OP_CastLike:
    case OP_Div:
    case OP_Dropout:
    case OP_Identity:
    case OP_Mean:
    case OP_Mul:
    case OP_Neg:
    case OP_Sub:
    case OP_Sum: return item->output == 0;
    case OP_AveragePool:
    case OP_BatchNormalization: return check->channel_axis == 1 && item->output == 0;
    case OP_Pad:
    case OP_Slice: return spares_channels(trial, item);
    case OP_Conv:
        return check->channel_axis == 1 && is_known && rank == check->rank &&
               dims[0] == check->channels;
    case OP_ConvTranspose:
        return check->channel_axis == 1 && is_known && rank == check->rank &&
               multiply_fits(dims[1], node_integer(node, "group", 1), &channels) &&
               channels == check->channels;
    case OP_Gemm:
        return check->rank == 2 && check->channel_axis == 1 && is_known && rank == 2 &&
               dims[node_integer(node, "transB", 0) ? 0 : 1] == check->channels;
    case OP_MatMul:
        return check->channel_axis == check->rank - 1 && is_known && rank == 2 &&
               dims[1] == check->channels;
    default: return false;
    }
}

/* The axis along which an operator that computes the sample takes the sample of an input; -1: it
 * takes all. *is_data: the input is laid out like the target, so it need not be whole either. */
static int sample_axis(const struct trial *trial, const struct item *item, size_t index,
                       bool *is_data)
{
    const struct check_case *check = trial->check;
    const struct item *input = item->inputs[index];
    int rank = check->rank;
    if (input->array)
        rank = input->array->rank;
    else if (input->stored)
        rank = input->stored->rank;
    int aligned = rank - (check->rank - check->channel_axis); /* broadcasting aligns at the end */
    aligned = aligned < 0 ? -1 : aligned;
    *is_data = false;
    switch (item->node->op) {
    case OP_Conv:
        *is_data = index == 0 && is_depthwise(trial, item);
        return index > 0 ? 0 : *is_data ? 1 : -1;
    case OP_ConvTranspose:
        if (index == 1)
            return node_integer(item->node, "group", 1) == 1 ? 1 : -1;
        return index == 2 ? 0 : -1;
    case OP_Gemm:
        if (index == 1)
            return node_integer(item->node, "transB", 0) ? 0 : 1;
        return index == 2 ? aligned : -1;
    case OP_MatMul: return index == 1 ? 1 : -1;
    case OP_BatchNormalization: *is_data = index == 0; return index == 0 ? 1 : 0;
    case OP_AveragePool:
    case OP_Cast:
    case OP_CastLike:
    case OP_Dropout:
    case OP_Pad:
    case OP_Slice: *is_data = index == 0; return index == 0 ? aligned : -1;
    default: *is_data = true; return aligned;
    }
}

/* Evaluation */

static const char *evaluate_kind(struct trial *trial, struct evaluation *e, const struct item *item)
{
    int64_t groups = node_integer(item->node, "group", 1);
    if (item->varies && !item->is_whole && groups > 1 && item->node->op == OP_Conv) {
        if (is_depthwise(trial, item))
            return eval_conv_rows(e, trial->sample_count, NULL);
        if (trial->check->channels % groups != 0)
            return "the output channels do not fill the groups";
        int64_t group_of[SAMPLE];
        for (int64_t i = 0; i < trial->sample_count; i++)
            group_of[i] = trial->sample[i] / (trial->check->channels / groups);
        return eval_conv_rows(e, groups, group_of);
    }
    if (item->varies && !item->is_whole && groups > 1 && item->node->op == OP_ConvTranspose)
        return eval_conv_transpose_channels(e, trial->sample, trial->sample_count);
    return eval_arrays(e);
}

static const char *evaluate_item(struct trial *trial, struct item *item)
{
    const struct node *node = item->node;
    const struct check_case *check = trial->check;
    bool is_sample = item->varies && !item->is_whole;
    struct array **inputs = NEW_ARRAY(trial->arena, struct array *, node->input_count);
    bool *is_copy = NEW_ARRAY(trial->arena, bool, node->input_count);
    const char *reason = NULL;
    for (size_t i = 0; i < node->input_count && !reason; i++) {
        bool is_data;
        if (!item->inputs[i])
            continue;
        int axis = is_sample ? sample_axis(trial, item, i, &is_data) : -1;
        reason = read_item(trial, item->inputs[i], axis, &inputs[i], &is_copy[i]);
    }
    if (!reason && (node->op == OP_Shape || node->op == OP_Size) && inputs[0] &&
        item->inputs[0]->varies && !item->inputs[0]->is_whole) {
        /* What is held is the sample; asked is the shape of the whole. */
        struct array *whole = NEW(trial->arena, struct array);
        *whole = *inputs[0];
        whole->dims[check->channel_axis] = check->channels;
        if (!count_elements(whole->dims, (size_t)whole->rank, &whole->count))
            reason = "a shape that overflows";
        inputs[0] = whole;
    }
    if (!reason) {
        struct evaluation e = {.arena = trial->arena,
                               .pool = &trial->pool,
                               .node = node,
                               .inputs = inputs,
                               .limit = ELEMENTS_MOST};
        reason = evaluate_kind(trial, &e, item);
        if (!reason && item->output < COUNT_OF(e.outputs))
            item->array = e.outputs[item->output];
        if (!reason && !item->array)
            reason = "this output is not evaluated";
    }
    if (!reason && is_sample &&
        (item->array->rank != check->rank ||
         item->array->dims[check->channel_axis] != trial->sample_count))
        reason =
            arena_format(trial->arena, "a result of shape %s where %lld channels were expected",
                         array_shape(trial->arena, item->array), (long long)trial->sample_count);
    if (reason)
        return arena_format(trial->arena, "%s that makes '%s': %s", node->proto->op_type,
                            item->value->name, reason);
    for (size_t i = 0; i < node->input_count; i++) {
        struct item *input = item->inputs[i];
        if (!input)
            continue;
        if (is_copy[i])
            pool_return(&trial->pool, inputs[i]);
        if (item->varies && !input->varies)
            continue; /* for the next trial */
        if (--input->left == 0 && input->array && input->node) {
            pool_return(&trial->pool, input->array);
            input->array = NULL;
        }
    }
    return NULL;
}

/* Hands the demand for channels from the roots to the source. */
static void spread_demand(struct side *side)
{
    struct trial *trial = side->trial;
    for (size_t i = 0; i < side->roots.count; i++)
        side->roots.items[i]->wanted = WANTED_SAMPLE;
    for (size_t n = side->order.count; n-- > 0;) {
        struct item *item = side->order.items[n];
        if (!item->node || !item->varies)
            continue;
        enum op kind = item->node->op;
        item->is_whole =
            !trial->samples || item->wanted == WANTED_ALL || !computes_sample(trial, item);
        for (size_t i = 0; i < item->node->input_count; i++) {
            struct item *input = item->inputs[i];
            bool is_data = false;
            if (!input)
                continue;
            if (!item->is_whole)
                sample_axis(trial, item, i, &is_data);
            else
                is_data = kind == OP_Shape || kind == OP_Size;
            enum wanted wanted = is_data ? WANTED_SAMPLE : WANTED_ALL;
            if (input->wanted < wanted)
                input->wanted = wanted;
        }
    }
}

/* Forgets what the trial before found, but for constants. */
static void clear_side(struct side *side)
{
    struct trial *trial = side->trial;
    for (size_t i = 0; i < side->order.count; i++) {
        struct item *item = side->order.items[i];
        if (!item->is_evaluated)
            item->left = item->readers;
        if (!item->varies)
            continue;
        if (item->node && item->array)
            pool_return(&trial->pool, item->array);
        item->array = item->is_source ? trial->input : NULL;
        item->is_whole = item->is_source;
        item->wanted = WANTED_NOT;
    }
}

static const char *evaluate_side(struct side *side, struct array **result)
{
    struct trial *trial = side->trial;
    const struct check_case *check = trial->check;
    clear_side(side);
    /* Constants first: the demand may hang on them. */
    for (size_t i = 0; i < side->order.count; i++) {
        struct item *item = side->order.items[i];
        if (item->node && !item->varies && !item->is_evaluated) {
            const char *reason = evaluate_item(trial, item);
            if (reason)
                return reason;
            item->is_evaluated = true;
        }
    }
    spread_demand(side);
    for (size_t i = 0; i < side->order.count; i++) {
        struct item *item = side->order.items[i];
        if (item->node && item->varies) {
            const char *reason = evaluate_item(trial, item);
            if (reason)
                return reason;
        }
    }
    for (size_t n = 0; n < side->roots.count; n++) {
        double factor = side->is_file && check->term_count ? check->terms[n].factor : 1;
        struct array *term;
        bool is_copy;
        const char *reason =
            read_item(trial, side->roots.items[n], check->channel_axis, &term, &is_copy);
        if (reason)
            return reason;
        if (!array_is_real(term))
            return arena_format(trial->arena, "'%s' holds no reals",
                                side->roots.items[n]->value->name);
        if (n == 0)
            reason = array_make(trial->arena, &trial->pool, ELEMENTS_MOST, term->type, term->rank,
                                term->dims, result);
        if (reason)
            return reason;
        if (term->rank != (*result)->rank ||
            memcmp(term->dims, (*result)->dims, sizeof(term->dims)) != 0)
            return arena_format(trial->arena, "the terms have shapes %s and %s",
                                array_shape(trial->arena, *result),
                                array_shape(trial->arena, term));
        for (int64_t i = 0; i < term->count; i++)
            (*result)->reals[i] += factor * term->reals[i];
    }
    return NULL;
}

/* Whether to sample */

/* Products it takes to evaluate all channels of a side, roughly: strides are not counted. */
static double work(const struct side *side)
{
    const struct check_case *check = side->trial->check;
    double positions = 1, products = 0;
    for (int i = 0; i < check->rank; i++)
        if (i != check->channel_axis)
            positions *= (double)check->dims[i];
    for (size_t i = 0; i < side->order.count; i++) {
        const struct item *item = side->order.items[i];
        if (!item->node || !item->varies || !node_input(item->node, 1))
            continue;
        switch (item->node->op) {
        case OP_Conv:
        case OP_ConvTranspose:
        case OP_Gemm:
        case OP_MatMul: {
            const struct tensor *tensor = item->node->inputs[1]->tensor;
            products += tensor ? positions * (double)tensor->count : 0;
            break;
        }
        default: break;
        }
    }
    return products;
}

static void draw_sample(struct trial *trial, int64_t wanted)
{
    uint64_t state = trial->check->seed ^ 0x5bd1e9955bd1e995u;
    int64_t channels = trial->check->channels;
    trial->sample[0] = 0;
    trial->sample[1] = channels - 1;
    trial->sample_count = 2;
    while (trial->sample_count < wanted) { /* fewer than there are */
        int64_t drawn = (int64_t)(random_bits(&state) % (uint64_t)channels);
        int64_t place = trial->sample_count;
        bool is_new = true;
        for (int64_t i = 0; i < trial->sample_count; i++)
            is_new = is_new && trial->sample[i] != drawn;
        if (!is_new)
            continue;
        for (; place > 0 && trial->sample[place - 1] > drawn; place--)
            trial->sample[place] = trial->sample[place - 1];
        trial->sample[place] = drawn;
        trial->sample_count++;
    }
}

static const char *make_input(struct trial *trial)
{
    const struct check_case *check = trial->check;
    int32_t type = type_is_float(check->source->type) ? check->source->type
                                                      : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    const char *reason = array_make(trial->arena, &trial->pool, ELEMENTS_MOST, type, check->rank,
                                    check->dims, &trial->input);
    uint64_t state = check->seed;
    for (int64_t i = 0; !reason && i < trial->input->count; i++)
        trial->input->reals[i] = random_uniform(&state);
    return reason;
}

/* The constants of a sum, which are no terms: one number per channel. */
static void add_shift(const struct trial *trial, struct array *sum)
{
    const struct check_case *check = trial->check;
    int64_t channels = sum->dims[check->channel_axis], inner = 1;
    for (int i = check->channel_axis + 1; i < sum->rank; i++)
        inner *= sum->dims[i];
    for (int64_t i = 0; i < sum->count; i++) {
        int64_t channel = i / inner % channels;
        sum->reals[i] += check->shift[trial->samples ? trial->sample[channel] : channel];
    }
}

const char *check_begin(struct arena *arena, const struct check_case *check,
                        struct check_region **result)
{
    struct check_region *region = NEW(arena, struct check_region);
    struct trial *trial = &region->trial;
    *trial = (struct trial){.arena = arena,
                            .pool = {.arena = arena, .recycles = true, .effort = check->effort},
                            .check = check};
    region->file = (struct side){.trial = trial, .is_file = true};
    region->new = (struct side){.trial = trial};
    const char *reason = NULL;
    if (check->term_count == 0)
        reason = list_items(&region->file, check->target);
    for (size_t i = 0; !reason && i < check->term_count; i++)
        reason = list_items(&region->file, check->terms[i].value);
    if (!reason)
        reason = list_items(&region->new, check->target);
    *result = region;
    return reason;
}

static void decide_sample(struct check_region *region)
{
    struct trial *trial = &region->trial;
    double channels = (double)trial->check->channels;
    double all = work(&region->file) + work(&region->new);
    double wanted = fmax(SAMPLE_LEAST, fmin(SAMPLE, WORK_OF_ALL * channels / all));
    trial->samples = all > WORK_OF_ALL && channels > wanted;
    if (trial->samples)
        draw_sample(trial, (int64_t)wanted);
}

static void compare(const struct array *expected, const struct array *found,
                    struct check_result *result)
{
    double largest = 0, difference = 0;
    bool finite = true;
    for (int64_t i = 0; i < expected->count; i++) {
        finite = finite && isfinite(expected->reals[i]) && isfinite(found->reals[i]);
        largest = fmax(largest, fabs(expected->reals[i]));
        difference = fmax(difference, fabs(expected->reals[i] - found->reals[i]));
    }
    if (!finite)
        result->difference = (double)INFINITY;
    else
        result->difference = difference > 0 ? difference / largest : 0;
}

const char *check_try(struct check_region *region, struct check_result *result)
{
    struct trial *trial = &region->trial;
    const struct check_case *check = trial->check;
    struct array *expected = NULL, *found = NULL;
    const char *reason = make_input(trial);
    if (reason)
        return reason;
    decide_sample(region);
    reason = evaluate_side(&region->file, &expected);
    if (!reason && check->shift)
        add_shift(trial, expected);
    if (!reason)
        reason = evaluate_side(&region->new, &found);
    if (reason)
        return reason;
    if (found->rank != expected->rank ||
        memcmp(found->dims, expected->dims, sizeof(found->dims)) != 0)
        return arena_format(trial->arena, "the results have shapes %s and %s",
                            array_shape(trial->arena, expected), array_shape(trial->arena, found));
    compare(expected, found, result);
    result->channels = trial->samples ? trial->sample_count : check->channels;
    pool_return(&trial->pool, expected);
    pool_return(&trial->pool, found);
    pool_return(&trial->pool, trial->input);
    return NULL;
}
