/* verify/whole_run.c: one run of two whole models in parallel, from the graph's inputs to its outputs.
 *
 * Common parts of both models (match/number.h) are evaluated once. An array is freed after its last reader, because
 * otherwise all values of a network would be in memory at once. */
#include "verify/whole_run.h"

#include <math.h>

#include "infer/constant.h"
#include "verify/compare.h"
#include "verify/measure.h"

enum {
    IMAGE_LITTLE = 64,
    PINNED = 1 << 30 /* readers of a value that is never let go of */
};

/* Sizes of open axes to try until both models accept them: first different ones per axis, then equal ones. The batch
 * is 1 or 2. */
static const int64_t sizes[] = {7, 16, 32, 5, 64, 1, 12, 128, 224};
_Static_assert(WHOLE_SIZES == 2 * COUNT_OF(sizes), "each in two ways");

static bool is_given(const struct value *value)
{
    return value && !value_is_stored(value);
}

/* ---- inputs ---- */

static const Onnx__TensorShapeProto__Dimension *declared_dim(const struct graph *graph, const struct value *value,
                                                             int axis)
{
    for (size_t i = 0; i < graph->proto->n_input; i++) {
        const Onnx__ValueInfoProto *info = graph->proto->input[i];
        const Onnx__TypeProto__Tensor *tensor =
            info->type && info->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ? info->type->tensor_type
                                                                                        : NULL;
        if (info->name && strcmp(info->name, value->name) == 0 && tensor && tensor->shape)
            return axis < (int)tensor->shape->n_dim ? tensor->shape->dim[axis] : NULL;
    }
    return NULL;
}

/* Axes of one name have one size. */
static const struct symbol *symbol_of(struct whole *whole, const struct value *value, int axis)
{
    const Onnx__TensorShapeProto__Dimension *dim = declared_dim(whole->graphs[0], value, axis);
    const char *name =
        dim && dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM ? dim->dim_param : "";
    int64_t index = 0;
    for (size_t i = 0; i < whole->symbol_count; i++) {
        const struct symbol *symbol = &whole->symbols[i];
        if (name[0] ? strcmp(symbol->name, name) == 0 : symbol->value == value && symbol->axis == axis)
            return symbol;
        index += !symbol->is_batch;
    }
    struct symbol *symbol = &whole->symbols[least((int64_t)whole->symbol_count, WHOLE_SYMBOLS - 1)];
    *symbol = (struct symbol){name, value, axis, axis == 0, index};
    whole->symbol_count += whole->symbol_count < WHOLE_SYMBOLS;
    return symbol;
}

/* Rows of the constant that an input's elements are looked up in, or 0. */
static int64_t rows_read(const struct value *input)
{
    enum { VALUES_MOST = 16, USES_MOST = 64 };
    const struct value *seen[VALUES_MOST] = {input};
    size_t count = 1, uses = 0;
    int64_t rows = 0;
    for (size_t i = 0; i < count; i++)
        for (const struct use *use = seen[i]->uses; use && uses < USES_MOST; use = use->next) {
            const struct node *node = use->inner;
            const struct tensor *table;
            uses++;
            switch (node->op) {
            case OP_Gather:
                if (node_input(node, 1) == seen[i] && node_input(node, 0) && !constant_of(node->inputs[0], &table) &&
                    table->rank > 0) {
                    int64_t axis = node_integer(node, "axis", 0);
                    axis += axis < 0 ? table->rank : 0;
                    if (axis >= 0 && axis < table->rank && (!rows || table->dims[axis] < rows))
                        rows = table->dims[axis];
                }
                break;
            case OP_Cast:
            case OP_Flatten:
            case OP_Identity:
            case OP_Reshape:
            case OP_Slice:
            case OP_Squeeze:
            case OP_Transpose:
            case OP_Unsqueeze:
                if (count < VALUES_MOST && node_input(node, 0) == seen[i] && node_output(node, 0))
                    seen[count++] = node->outputs[0];
                break;
            default: break;
            }
        }
    return rows;
}

/* The default value of an input: unchanged, or with each number changed a little. */
static const char *load_default(struct whole *whole, const struct value *value, int trial)
{
    struct array *array, *own;
    struct joint_eval *joint = whole->joint;
    const char *reason = array_load(joint->scratch, &joint->pool, value->tensor, &array);
    if (!reason)
        reason = array_copy(joint->scratch, &joint->pool, BUDGET_VALUE, array, &own);
    if (reason)
        return reason;
    uint64_t state = whole->verify->options->seed + value_number(value);
    for (int64_t i = 0; trial % 2 && array_is_real(own) && i < own->count; i++)
        own->reals[i] *= 1 + eval_uniform(eval_random(&state)) / 4;
    joint_put(joint, value_number(value), own);
    return NULL;
}

/* The caller's array for an input, under its name or that of its pair. */
static const struct tensor *given_input(const struct whole *whole, const struct value *value, const struct value *twin)
{
    const struct given *given = &whole->verify->options->given;
    const struct tensor *tensor = given_for(given, value->name);
    return tensor ? tensor : given_for(given, twin->name);
}

static const char *load_given(struct whole *whole, const struct value *value, const struct tensor *tensor)
{
    struct array *array;
    struct joint_eval *joint = whole->joint;
    const char *reason = array_load(joint->scratch, &joint->pool, tensor, &array);
    if (!reason)
        joint_put(joint, value_number(value), array);
    return reason;
}

static const char *draw_input(struct whole *whole, const struct value *value, const struct value *twin, int size,
                              struct draw draw)
{
    const struct value *told = value->rank < 0 ? twin : value;
    int64_t dims[EVAL_RANK], rows = rows_read(value), other = rows_read(twin);
    int32_t type = value->type ? value->type : twin->type;
    const struct tensor *given = whole->takes_given ? given_input(whole, value, twin) : NULL;
    if (given)
        return load_given(whole, value, given);
    if (value->tensor)
        return load_default(whole, value, draw.trial);
    if (!type_is_real(type) && !type_is_whole(type))
        return arena_format(whole->verify->arena, "no random values are drawn for the type of the input '%s'",
                            value->name);
    if (told->rank < 0 || told->rank > EVAL_RANK)
        return arena_format(whole->verify->arena, "the rank of the input '%s' is not known", value->name);
    for (int i = 0; i < told->rank; i++) {
        dims[i] = told->dims[i];
        if (dims[i] < 0 && twin->rank == told->rank)
            dims[i] = twin->dims[i];
        if (whole->is_little && i > 1)
            dims[i] = least(dims[i], IMAGE_LITTLE);
        if (dims[i] >= 0)
            continue;
        const struct symbol *symbol = symbol_of(whole, value, i);
        whole->is_open = whole->is_open || !symbol->is_batch;
        int64_t base = sizes[size % (int)COUNT_OF(sizes)];
        dims[i] = symbol->is_batch               ? 1 + (draw.trial + 1) % 2
                  : size >= (int)COUNT_OF(sizes) ? base
                                                 : base + symbol->index;
    }
    rows = rows && (!other || rows < other) ? rows : other;
    if (rows) {
        draw.rows = rows;
        draw.integers = INTEGERS_ROWS;
    } else {
        whole->draws_integers = whole->draws_integers || type_is_whole(type);
    }
    return joint_draw(whole->joint, value, told->rank, dims, &draw);
}

static struct value *twin_of(struct whole *whole, const struct value *value)
{
    for (size_t i = 0; i < graph_input_count(whole->graphs[1]); i++) {
        struct value *input = graph_input(whole->graphs[1], i);
        if (input && value_number(input) == value_number(value))
            return input;
    }
    return NULL;
}

static const char *draw_inputs(struct whole *whole, int size, const struct draw *draw)
{
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < graph_input_count(whole->graphs[side]); i++) {
            const struct value *value = graph_input(whole->graphs[side], i);
            if (!is_given(value) || joint_array(whole->joint, value))
                continue;
            const struct value *twin = side ? value : twin_of(whole, value);
            const char *reason = draw_input(whole, value, twin ? twin : value, size, *draw);
            if (reason)
                return reason;
        }
    return NULL;
}

/* ---- evaluation ---- */

/* The first model's value of the same name that another is compared with on the way, or NULL. */
static struct value *named_like(struct whole *whole, const struct value *value)
{
    struct value *left = map_get(&whole->graphs[0]->values, value->name);
    return left && left->producer && value_number(left) != value_number(value) ? left : NULL;
}

static void ask(struct whole *whole, const struct value *value, uint32_t readers)
{
    if (value && value_number(value) < whole->numbers)
        whole->readers[value_number(value)] += readers;
}

/* How often each number is asked for. */
static void count_readers(struct whole *whole)
{
    memset(whole->readers, 0, whole->numbers * sizeof(*whole->readers));
    for (int side = 0; side < 2; side++) {
        struct graph *graph = whole->graphs[side];
        for (size_t i = 0; i < graph_input_count(graph); i++)
            ask(whole, graph_input(graph, i), PINNED);
        for (size_t i = 0; i < graph_output_count(graph); i++)
            ask(whole, graph_output(graph, i), PINNED);
        for (size_t i = 0; i < graph->order.count; i++) {
            const struct node *node = graph->order.items[i];
            for (size_t k = 0; k < node->input_count; k++)
                ask(whole, node->inputs[k], 1);
            for (size_t k = 0; k < node->output_count; k++) {
                struct value *value = node->outputs[k];
                for (const struct use *use = value ? value->uses : NULL; use; use = use->next)
                    if (use->inner != use->reader) /* from within a body */
                        ask(whole, value, PINNED);
                struct value *left = side && value ? named_like(whole, value) : NULL;
                if (left) {
                    ask(whole, left, 1);
                    ask(whole, value, 1);
                }
            }
        }
    }
}

static void release(struct whole *whole, const struct value *value)
{
    struct joint_eval *joint = whole->joint;
    const struct tensor *tensor;
    if (!value || value_number(value) >= whole->numbers)
        return;
    uint32_t *readers = &whole->readers[value_number(value)];
    *readers -= *readers > 0;
    struct array *array = *readers ? NULL : joint_array(joint, value);
    if (!array || (!array_is_real(array) && !array_is_whole(array)) ||
        !constant_of((struct value *)(uintptr_t)value, &tensor))
        return;
    joint->arrays[value_number(value)] = NULL;
    pool_free(&joint->pool, array);
}

/* Results that share their input's cells get their own, because the input may be freed first. */
static const char *own_cells(struct whole *whole, const struct value *value)
{
    struct joint_eval *joint = whole->joint;
    struct array *array = joint_array(joint, value), *own;
    if (!array || array->owned || (!array_is_real(array) && !array_is_whole(array)))
        return NULL;
    const char *reason = array_copy(joint->scratch, &joint->pool, BUDGET_VALUE, array, &own);
    if (!reason)
        joint->arrays[value_number(value)] = own;
    return reason;
}

static void note_layer(struct whole *whole, const struct value *left, const struct value *right, const struct gap *gap)
{
    struct verify *verify = whole->verify;
    struct verify_layer *layer = NEW(verify->arena, struct verify_layer);
    *layer = (struct verify_layer){.left = left, .right = right, .same_shape = gap->same_shape};
    layer->difference = gap->same_shape ? gap->difference : (double)NAN;
    layer->largest = gap->same_shape ? gap->largest : (double)NAN;
    layer->ratio = gap->difference > 0 ? gap->difference / gap->largest : 0;
    layer->ratio = gap->same_shape ? layer->ratio : (double)NAN;
    LIST_PUSH(verify->arena, &verify->result->layers, layer);
}

/* If both values with a name exist, records whether they differ. */
static void compare_names(struct whole *whole, const struct value *left, const struct value *right)
{
    const struct array *a = joint_array(whole->joint, left), *b = joint_array(whole->joint, right);
    size_t at = right->producer->position;
    if (!a || !b)
        return;
    struct gap gap = joint_compare(a, b, NULL);
    double tolerance = verify_tolerance(whole->verify, whole->type);
    if (whole->lists_layers)
        note_layer(whole, left, right, &gap);
    if (at < whole->departs_at && !verify_within(whole->verify, &gap, tolerance)) {
        whole->departs_at = at;
        whole->verify->result->departs = false;
        verify_depart(whole->verify, left, right, &gap, whole->joint);
    }
    release(whole, left);
    release(whole, right);
}

/* True for a node that makes a sequence: its elements are arrays of others. */
static bool hands_out_arrays(const struct whole *whole, const struct node *node)
{
    for (size_t i = 0; i < node->output_count; i++) {
        const struct array *array = node->outputs[i] ? joint_array(whole->joint, node->outputs[i]) : NULL;
        if (array && !array_is_real(array) && !array_is_whole(array))
            return true;
    }
    return false;
}

static const char *run_node(struct whole *whole, int side, const struct node *node)
{
    const char *reason = NULL;
    bool there = true;
    for (size_t i = 0; i < node->output_count; i++)
        there = there && (!node->outputs[i] || joint_array(whole->joint, node->outputs[i]));
    for (size_t i = 0; !there && !reason && i < node->output_count; i++)
        if (node->outputs[i]) {
            reason = joint_evaluate(whole->joint, node->outputs[i], SIZE_MAX);
            if (!reason)
                reason = own_cells(whole, node->outputs[i]);
        }
    if (reason)
        return reason;
    for (size_t i = 0; i < node->input_count && !hands_out_arrays(whole, node); i++)
        release(whole, node->inputs[i]);
    for (size_t i = 0; i < node->output_count; i++) {
        const struct value *value = node->outputs[i];
        const struct value *other = !value ? NULL
                                    : side ? named_like(whole, value)
                                           : map_get(&whole->graphs[1]->values, value->name);
        if (other && other->producer && value_number(other) != value_number(value))
            compare_names(whole, side ? other : value, side ? value : other);
        if (value && !whole->readers[value_number(value)]) {
            whole->readers[value_number(value)] = 1;
            release(whole, value);
        }
    }
    return NULL;
}

/* Both in step, so that what both read does not wait for the other to be done. */
const char *whole_run(struct whole *whole, int size, const struct draw *draw)
{
    const struct node_list *orders[2] = {&whole->graphs[0]->order, &whole->graphs[1]->order};
    size_t next[2] = {0, 0};
    joint_reset(whole->joint);
    whole->joint->bad = NULL;
    whole->verify->result->layers.count = 0;
    count_readers(whole);
    const char *reason = draw_inputs(whole, size, draw);
    while (!reason && (next[0] < orders[0]->count || next[1] < orders[1]->count)) {
        int side = (double)next[1] * (double)orders[0]->count < (double)next[0] * (double)orders[1]->count;
        side = next[side] < orders[side]->count ? side : 1 - side;
        const struct node *node = orders[side]->items[next[side]++];
        if (node->op == OP_Constant || !node->output_count)
            continue;
        reason = run_node(whole, side, node);
    }
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; !reason && i < graph_output_count(whole->graphs[side]); i++) {
            struct value *output = graph_output(whole->graphs[side], i);
            reason =
                output ? joint_evaluate(whole->joint, output, SIZE_MAX) : "nothing computes an output of the graph";
        }
    return reason;
}
