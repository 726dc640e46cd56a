/* check/item.c: the values that a region needs, and their numbers, whole or some channels of them. */
#include "check/item.h"

#include "fuse/fused.h"
#include "fuse/plan.h"
#include "infer/constant.h"

/* ---- the list ---- */

static struct item **map_place(const struct item_map *map, const struct value *value, bool in_sum)
{
    size_t at = (((uintptr_t)value >> 4) + in_sum) * 0x9e3779b97f4a7c15u >> 7 & (map->room - 1);
    while (map->items[at] && (map->items[at]->value != value || map->items[at]->in_sum != in_sum))
        at = (at + 1) & (map->room - 1);
    return &map->items[at];
}

static bool is_part(const struct trial *trial, const struct value *value)
{
    for (size_t i = 0; i < trial->parts.count; i++)
        if (trial->parts.items[i] == value)
            return true;
    return false;
}

static bool is_term(const struct trial *trial, const struct value *value)
{
    for (size_t i = 0; i < trial->check->term_count; i++)
        if (trial->check->terms[i].value == value)
            return true;
    return false;
}

bool check_adds_up(const struct node *node)
{
    return node && (node->op == OP_Add || node->op == OP_Sub || node->op == OP_Sum || node->op == OP_Mean);
}

/* The file's side does without ops that were found to change nothing, and takes what was found to be the same for one
 * value: the one that is read now. Some of them change nothing at the declared sizes only. */
static const struct value *now(const struct side *side, const struct value *value)
{
    while (side->is_file && value->same)
        value = value->same;
    return value;
}

/* The same value as its maker in the file knows it. */
static const struct value *filed(const struct side *side, const struct value *value)
{
    while (side->is_file && value->taken)
        value = value->taken;
    return value;
}

/* The producer of the value on this side. If a move has shown that another op computes it too, either will do,
 * except for the checked value. */
static const struct node *maker(const struct side *side, const struct value *value)
{
    const struct check_case *check = side->trial->check;
    bool is_root = value == side->trial->sum;
    if (is_root && check->moves)
        return side->is_file ? filed(side, value)->first_producer : value->moved_producer;
    if (side->is_file)
        return value->moved_producer && !is_root ? value->moved_producer : filed(side, value)->first_producer;
    if (value == check->target)
        return value->producer;
    /* A value that a move defined may have given its maker to a graph output. */
    const struct value *defined = value;
    while (defined->taken)
        defined = defined->taken;
    return defined->is_new && defined->first_producer ? defined->first_producer : value->producer;
}

/* Which source the value is, or -1. */
static int source_of(const struct trial *trial, const struct value *value)
{
    const struct check_case *check = trial->check;
    for (size_t i = 0; i < check->source_count; i++)
        if (value == value_now(check->sources[i].value))
            return (int)i;
    return !check->sources && value == check->source ? 0 : -1;
}

/* The numbers of a constant, or NULL. Constants that were stored or folded before are results of this evaluator, so
 * they need not be computed again for each rewrite. */
static const struct tensor *stored_numbers(const struct side *side, const struct value *value)
{
    if (value->tensor) /* as before equalisation, which has its own check */
        return value->tensor->before ? value->tensor->before : value->tensor;
    const struct tensor *folded = maker(side, value) ? constant_folded(value) : NULL;
    return folded && !folded->from_shape && folded->storage != STORAGE_FUSED ? folded : NULL;
}

/* The share of the source that the value stands for, when a rewrite made the source and the value is one of the
 * terms it adds up: times their factors, the shares of all terms but constants add up to 1. Else 0. */
static double share_of(const struct trial *trial, const struct value *value)
{
    const struct term_list *terms = trial->check->sources ? NULL : trial->check->source->terms;
    double factor = 0, count = 0;
    for (size_t i = 0; terms && i < terms->count; i++) {
        count += !terms->items[i].value->tensor;
        if (terms->items[i].value == value && !value->tensor)
            factor = factor ? factor : terms->items[i].factor;
    }
    return factor ? 1 / (factor * count) : 0;
}

/* Trusts the rewrite of another part of a sum: it has its own check. */
static void fill_terms(struct item *item)
{
    item->terms = item->value->terms->items;
    item->input_count = item->value->terms->count;
}

/* True for what a sum adds up and does not look into. Sums that a move defined are looked into: their parts may be
 * spread over the sum by now. */
static bool is_whole_part(const struct side *side, const struct value *value)
{
    return !value->is_new || (value->first_producer && !check_adds_up(maker(side, value)));
}

/* An item met on the way from the file's sum to its parts. */
static void fill_in_sum(struct side *side, struct item *item)
{
    struct trial *trial = side->trial;
    const struct value *value = item->value;
    bool is_claimed = side->is_file ? value->is_new : value->fusion != NULL;
    if (is_claimed && value->terms) {
        fill_terms(item);
    } else if (!side->is_file && value != trial->sum && is_whole_part(side, value)) {
        item->is_number = true;
        LIST_PUSH(trial->arena, &trial->parts, value);
    } else if (side->is_file && is_part(trial, value)) {
        item->is_number = true;
    } else {
        item->node = maker(side, value);
    }
    item->varies = item->is_number;
}

static void fill(struct side *side, struct item *item)
{
    bool is_given = source_of(side->trial, item->value) >= 0;
    item->share = side->is_file && !is_given ? share_of(side->trial, item->value) : 0;
    if (is_given || item->share != 0) {
        item->is_source = item->varies = true;
        return;
    }
    item->stored = stored_numbers(side, item->value);
    /* If there are several sources, they include the summands of a new value. */
    bool is_target = item->value == side->trial->check->target;
    bool is_claimed = side->is_file ? is_target && !value_is_told(item->value) : item->value->fusion && !is_target;
    if (side->trial->check->sources && is_claimed && item->value->terms && !item->stored)
        fill_terms(item);
    else if (!item->stored)
        item->node = maker(side, item->value);
}

/* True while the way leads through sums to parts that the rewrite does not add up. */
static bool goes_on_in_sum(const struct side *side, const struct value *value)
{
    struct trial *trial = side->trial;
    if (source_of(trial, value) >= 0 || value == trial->check->target || is_term(trial, value))
        return false;
    if (side->is_file)
        return !share_of(trial, value) && (is_part(trial, value) || (!value_is_told(value) && value->terms) ||
                                           (check_adds_up(maker(side, value)) && !stored_numbers(side, value)));
    return value_is_told(value) || value->fusion || check_adds_up(value->producer);
}

/* True when the output that the item looks at is the value, under any of its names. */
static bool makes(const struct side *side, const struct item *item, const struct value *value)
{
    const struct value *output =
        side->is_file ? node_filed_output(item->node, item->output) : item->node->outputs[item->output];
    while (value != output && value->taken)
        value = value->taken;
    return value == output;
}

static struct item *find_item(struct side *side, const struct value *value, bool in_sum)
{
    struct arena *arena = side->trial->arena;
    struct item_map *map = &side->map;
    value = now(side, value);
    bool is_root = value == side->trial->sum && (side->is_file || value != side->trial->check->target);
    in_sum = in_sum && (is_root || goes_on_in_sum(side, value));
    if (map->count * 2 >= map->room) {
        struct item_map grown = {.count = map->count, .room = map->room ? map->room * 2 : 64};
        grown.items = NEW_ARRAY(arena, struct item *, grown.room);
        for (size_t i = 0; i < map->room; i++)
            if (map->items[i])
                *map_place(&grown, map->items[i]->value, map->items[i]->in_sum) = map->items[i];
        *map = grown;
    }
    struct item **place = map_place(map, value, in_sum);
    if (*place)
        return *place;
    struct item *item = *place = NEW(arena, struct item);
    map->count++;
    item->value = value;
    item->in_sum = in_sum;
    if (in_sum)
        fill_in_sum(side, item);
    else
        fill(side, item);
    if (item->node) {
        item->input_count = item->node->input_count;
        while (item->output < item->node->output_count && !makes(side, item, value))
            item->output++;
    }
    if (item->input_count)
        item->inputs = NEW_ARRAY(arena, struct item *, item->input_count);
    return item;
}

struct array *check_input(struct trial *trial, const struct value *value)
{
    return trial->inputs[source_of(trial, value)];
}

static const struct value *input_of(const struct side *side, const struct item *item, size_t index)
{
    if (item->terms)
        return item->terms[index].value;
    return side->is_file ? node_filed_input(item->node, index) : item->node->inputs[index];
}

/* Depth first, with an explicit stack: a region may be a hundred thousand nodes deep. */
const char *check_list(struct side *side)
{
    struct arena *arena = side->trial->arena;
    const struct check_case *check = side->trial->check;
    LIST(struct item *) stack = {NULL, 0, 0};
    side->root = find_item(side, side->trial->sum, check->term_count > 0);
    side->root->readers++;
    LIST_PUSH(arena, &stack, side->root);
    while (stack.count) {
        struct item *item = stack.items[stack.count - 1];
        if (item->is_done) {
            stack.count--;
            continue;
        }
        if (!item->node && !item->terms && !item->is_source && !item->is_number && !item->stored)
            return arena_format(arena, "'%s' depends on other values than '%s' and constants", item->value->name,
                                check->source->name);
        if (item->next_input < item->input_count) {
            const struct value *value = input_of(side, item, item->next_input);
            if (value) {
                struct item *input = find_item(side, value, item->in_sum);
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
        for (size_t i = 0; i < item->input_count; i++)
            item->varies = item->varies || (item->inputs[i] && item->inputs[i]->varies);
        item->is_done = true;
        item->place = side->order.count;
        LIST_PUSH(arena, &side->order, item);
        stack.count--;
    }
    return NULL;
}

/* ---- reading ---- */

struct array *check_number(const struct trial *trial, const struct value *value)
{
    struct array *array = NEW(trial->arena, struct array);
    array->rank = value->rank > 0 && value->rank <= EVAL_RANK ? value->rank : 0;
    for (int axis = 0; axis < array->rank; axis++)
        array->dims[axis] = 1;
    uint64_t state = trial->check->seed;
    size_t i = 0;
    while (trial->parts.items[i] != value)
        i++;
    state += i;
    array->type = trial->check->type;
    array->count = 1;
    array->reals = NEW(trial->arena, double);
    array->reals[0] = 2 + eval_uniform(eval_random(&state));
    return array;
}

/* Elements before an axis, and behind it. */
static void sides_of_axis(const int64_t *dims, int rank, int axis, int64_t *outer, int64_t *inner)
{
    *outer = *inner = 1;
    for (int i = 0; i < axis; i++)
        *outer *= dims[i];
    for (int i = axis + 1; i < rank; i++)
        *inner *= dims[i];
}

/* Part of an array along an axis. */
static const char *pick_from_array(struct trial *trial, const struct array *array, int axis, struct array **part)
{
    int64_t dims[EVAL_RANK];
    memcpy(dims, array->dims, sizeof(dims));
    dims[axis] = trial->sample_count;
    const char *reason = array_make(trial->arena, &trial->pool, BUDGET_VALUE, array->type, array->rank, dims, part);
    if (reason || (*part)->count == 0)
        return reason;
    int64_t outer, inner;
    sides_of_axis(dims, array->rank, axis, &outer, &inner);
    for (int64_t i = 0; i < outer; i++)
        for (int64_t n = 0; n < trial->sample_count; n++)
            memcpy((*part)->cells + (i * trial->sample_count + n) * inner * EVAL_CELL,
                   array->cells + (i * array->dims[axis] + trial->sample[n]) * inner * EVAL_CELL,
                   (size_t)inner * EVAL_CELL);
    return NULL;
}

/* Part of a stored constant along an axis; axis -1: all of it. Of a large weight no more is read
 * than the sample and one row beside it. */
static const char *read_stored(struct trial *trial, const struct tensor *tensor, int axis, struct array **array)
{
    if (axis < 0 || tensor->rank > EVAL_RANK || !type_is_float(tensor->type) || !tensor_is_readable(tensor)) {
        const char *reason = array_load(trial->arena, &trial->pool, tensor, array);
        struct array *whole = *array;
        if (reason || axis < 0)
            return reason;
        reason = pick_from_array(trial, whole, axis, array);
        pool_return(&trial->pool, whole);
        return reason;
    }
    int64_t dims[EVAL_RANK] = {0}, outer, inner, count = trial->sample_count;
    for (int i = 0; i < tensor->rank; i++)
        dims[i] = i == axis ? count : tensor->dims[i];
    const char *reason = array_make(trial->arena, &trial->pool, BUDGET_VALUE, tensor->type, tensor->rank, dims, array);
    if (reason || (*array)->count == 0)
        return reason;
    sides_of_axis(dims, tensor->rank, axis, &outer, &inner);
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
static const char *read_fused(struct trial *trial, const struct tensor *tensor, int axis, struct array **array)
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
    const char *reason = array_make(trial->arena, &trial->pool, BUDGET_VALUE, tensor->type, tensor->rank, dims, array);
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

/* Moves numbers by what rounding them to their type may change. */
static const char *perturb(struct trial *trial, struct array **array)
{
    double unit = type_rounding((*array)->type);
    if (!trial->perturbs || !array_is_real(*array))
        return NULL;
    const struct array *exact = *array;
    if (!exact->owned) { /* its numbers are the tensor's own */
        const char *reason =
            array_make(trial->arena, &trial->pool, BUDGET_VALUE, exact->type, exact->rank, exact->dims, array);
        if (reason)
            return reason;
    }
    for (int64_t i = 0; i < exact->count; i++)
        (*array)->reals[i] = exact->reals[i] * (1 + unit * eval_uniform(eval_random(&trial->state)));
    return NULL;
}

static const char *read_numbers(struct trial *trial, const struct tensor *tensor, int axis, struct array **array)
{
    const char *reason = tensor->storage == STORAGE_FUSED ? read_fused(trial, tensor, axis, array)
                                                          : read_stored(trial, tensor, axis, array);
    return reason ? reason : perturb(trial, array);
}

/* Reads a small weight that the next trial will read again. */
static const char *keep_stored(struct trial *trial, struct item *item)
{
    const struct tensor *tensor = item->stored;
    struct array *array;
    const char *reason = read_numbers(trial, tensor, -1, &array);
    if (reason)
        return reason;
    trial->kept += tensor->count;
    item->array = array;
    return NULL;
}

const char *check_read(struct trial *trial, struct item *item, int axis, struct array **array, bool *is_copy)
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
    if (!item->array && axis < 0 && tensor->count <= BUDGET_CHECK_KEPT - trial->kept) {
        const char *reason = keep_stored(trial, item);
        *array = item->array;
        return reason;
    }
    if (item->array && (axis < 0 || (item->varies && !item->is_whole)))
        return NULL;
    if (axis >= 0 && dims[axis] != trial->check->channels)
        return arena_format(trial->arena, "'%s' has %lld channels, '%s' has %lld", item->value->name,
                            (long long)dims[axis], trial->check->target->name, (long long)trial->check->channels);
    *is_copy = true;
    if (item->array)
        return pick_from_array(trial, item->array, axis, array);
    return read_numbers(trial, tensor, axis, array);
}
