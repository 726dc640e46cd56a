/* verify/whole.c: both models as they run, side by side, from the graph's inputs to its outputs.
 *
 * Nothing in between is drawn, so what is seen here is what a caller would see: a difference is one, and
 * sizes that are computed from data fit it. What both models compute alike (match/number.h) is
 * evaluated once; an array goes when its last reader is done, or all values of a network would be held at once. */
#include "verify/whole.h"

#include <math.h>

#include "eval/eval.h"
#include "infer/constant.h"
#include "model/external.h"
#include "verify/compare.h"
#include "verify/joint_draw.h"
#include "verify/measure.h"

enum {
    INPUTS_WANTED = 4,
    INPUTS_LEAST = 2,
    SYMBOLS_MOST = 64,
    NODES_MOST = 20000, /* of both models: what is noted of each node stays until a run is over */
    IMAGE_LITTLE = 64,
    PINNED = 1 << 30 /* readers of a value that is never let go of */
};

/* Sizes of open axes, tried until both models take them: first one further from axis to axis, then all alike. The
 * batch is 1 or 2. */
static const int64_t sizes[] = {7, 16, 32, 5, 64, 1, 12, 128, 224};
enum { SIZES = 2 * (int)COUNT_OF(sizes) };

/* A name that stands for a size, or an axis without one. */
struct symbol {
    const char *name;
    const struct value *value;
    int axis;
    bool is_batch;
    int64_t index; /* among those that are no batch */
};

struct whole {
    struct verify *verify;
    struct joint_eval *joint;
    struct graph *graphs[2];
    uint32_t *readers; /* by number: how often it is still asked for */
    size_t numbers;
    int32_t type;        /* the coarsest of any value */
    bool is_little;      /* images no larger than IMAGE_LITTLE, whatever the models declare */
    bool is_open;        /* an input has an open axis that is no batch: sizes can be tried */
    bool draws_integers; /* of a kind that can be tried */
    struct symbol symbols[SYMBOLS_MOST];
    size_t symbol_count;
    bool *shows;       /* by output: it has shown numbers that are not all alike */
    double largest;    /* difference of outputs that agree */
    bool lists_layers; /* every pair of one name is noted */
    bool takes_given;  /* what the caller gives is not drawn */
    /* The first value of the second model, in its order, that differs from the one of its name. */
    size_t departs_at;
};

static bool is_given(const struct value *value)
{
    return value && !value_is_stored(value);
}

/* ---- inputs ---- */

static const Onnx__TensorShapeProto__Dimension *declared_dim(const struct graph *graph,
                                                             const struct value *value, int axis)
{
    for (size_t i = 0; i < graph->proto->n_input; i++) {
        const Onnx__ValueInfoProto *info = graph->proto->input[i];
        const Onnx__TypeProto__Tensor *tensor =
            info->type && info->type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE
                ? info->type->tensor_type
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
        dim && dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM
            ? dim->dim_param
            : "";
    int64_t index = 0;
    for (size_t i = 0; i < whole->symbol_count; i++) {
        const struct symbol *symbol = &whole->symbols[i];
        if (name[0] ? strcmp(symbol->name, name) == 0
                    : symbol->value == value && symbol->axis == axis)
            return symbol;
        index += !symbol->is_batch;
    }
    struct symbol *symbol = &whole->symbols[least((int64_t)whole->symbol_count, SYMBOLS_MOST - 1)];
    *symbol = (struct symbol){name, value, axis, axis == 0, index};
    whole->symbol_count += whole->symbol_count < SYMBOLS_MOST;
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
                if (node_input(node, 1) == seen[i] && node_input(node, 0) &&
                    !constant_of(node->inputs[0], &table) && table->rank > 0) {
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

/* What an input holds when no caller gives it: as it is, or each number moved a little. */
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

/* What the caller gives for an input, under its name or that of its twin. */
static const struct tensor *given_input(const struct whole *whole, const struct value *value,
                                        const struct value *twin)
{
    const struct given *given = &whole->verify->options->given;
    const struct tensor *tensor = given_for(given, value->name);
    return tensor ? tensor : given_for(given, twin->name);
}

static const char *load_given(struct whole *whole, const struct value *value,
                              const struct tensor *tensor)
{
    struct array *array;
    struct joint_eval *joint = whole->joint;
    const char *reason = array_load(joint->scratch, &joint->pool, tensor, &array);
    if (!reason)
        joint_put(joint, value_number(value), array);
    return reason;
}

static const char *draw_input(struct whole *whole, const struct value *value,
                              const struct value *twin, int size, struct draw draw)
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
        return arena_format(whole->verify->arena, "the input '%s' is of no type that is drawn",
                            value->name);
    if (told->rank < 0 || told->rank > EVAL_RANK)
        return arena_format(whole->verify->arena, "the rank of the input '%s' is not known",
                            value->name);
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

/* Results that are their input's cells get cells of their own: the input goes before them perhaps. */
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

static void note_layer(struct whole *whole, const struct value *left, const struct value *right,
                       const struct gap *gap)
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

/* Where both values of a name are there, notes whether they differ. */
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
        const struct array *array =
            node->outputs[i] ? joint_array(whole->joint, node->outputs[i]) : NULL;
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
static const char *run(struct whole *whole, int size, const struct draw *draw)
{
    const struct node_list *orders[2] = {&whole->graphs[0]->order, &whole->graphs[1]->order};
    size_t next[2] = {0, 0};
    joint_reset(whole->joint);
    whole->joint->bad = NULL;
    whole->verify->result->layers.count = 0;
    count_readers(whole);
    const char *reason = draw_inputs(whole, size, draw);
    while (!reason && (next[0] < orders[0]->count || next[1] < orders[1]->count)) {
        int side =
            (double)next[1] * (double)orders[0]->count < (double)next[0] * (double)orders[1]->count;
        side = next[side] < orders[side]->count ? side : 1 - side;
        const struct node *node = orders[side]->items[next[side]++];
        if (node->op == OP_Constant || !node->output_count)
            continue;
        reason = run_node(whole, side, node);
    }
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; !reason && i < graph_output_count(whole->graphs[side]); i++) {
            struct value *output = graph_output(whole->graphs[side], i);
            reason = output ? joint_evaluate(whole->joint, output, SIZE_MAX)
                            : "an output of the graph is made by nothing";
        }
    return reason;
}

/* ---- comparison ---- */

/* Kinds of integers, sizes, until both models take what is drawn. Sizes begin with *size. */
static const char *run_drawn(struct whole *whole, int trial, int *size)
{
    static const enum integers kinds[] = {INTEGERS_BITS, INTEGERS_WIDE, INTEGERS_SMALL,
                                          INTEGERS_FEW};
    static const double amplitudes[] = {1, 4, 0.25, 0};
    const char *reason = NULL;
    for (int i = 0; i < SIZES; i++) {
        int tried = (*size + i) % SIZES;
        for (int k = 0; k < (int)COUNT_OF(kinds); k++) {
            struct draw draw = {.trial = trial,
                                .seed = whole->verify->options->seed + (uint64_t)trial * 7919,
                                .amplitude = amplitudes[trial % (int)COUNT_OF(amplitudes)],
                                .integers = kinds[(trial + k) % (int)COUNT_OF(kinds)]};
            reason = run(whole, tried, &draw);
            *size = tried;
            if (!reason)
                return NULL;
            const struct node *bad = whole->joint->bad;
            if (reason == eval_too_dear || (bad && !eval_knows(bad)))
                return reason;
            if (!whole->draws_integers)
                break;
        }
        if (!whole->is_open)
            break;
    }
    return reason;
}

/* Evaluates both models once more on an input, every result rounded to its type. */
static bool run_rounded(struct whole *whole, int trial, int size, int round)
{
    size_t departs_at = whole->departs_at;
    whole->joint->rounds = round;
    whole->departs_at = 0; /* of what is rounded, nothing is noted */
    bool rounded = !run_drawn(whole, trial, &size);
    whole->joint->rounds = 0;
    whole->departs_at = departs_at;
    return rounded;
}

static const struct array *output_array(const struct whole *whole, size_t output, int side)
{
    return joint_array(whole->joint, whole->verify->outputs[side][output]);
}

/* *most: the largest gap of all outputs. */
static bool pools_agree(const struct verify *verify, const struct joint_pool *pools,
                        double tolerance, double *most)
{
    bool agree = true;
    *most = 0;
    for (size_t i = 0; i < verify->output_count; i++) {
        const struct gap gap = joint_pool_compare(&pools[i]);
        agree = agree && verify_within(verify, &gap, tolerance);
        *most = fmax(*most, gap.ratio);
    }
    return agree;
}

/* What departs is evaluated once more, rounded: where sums cancel, that much of a difference shows nothing. Of
 * channels of few numbers one run does not show it: then more are looked at, together. FOUND_NOTHING: `small` channels
 * alone differ, and what rounding leaves of them cannot be evaluated. */
static enum finding judge_noise(struct whole *whole, int trial, int size, struct joint_pool *pools,
                                bool small, bool thin, double tolerance)
{
    struct verify *verify = whole->verify;
    enum finding otherwise = small ? FOUND_NOTHING : FOUND_DIFFERENT;
    double before, left;
    int unmoved = 0;
    for (int runs = thin ? JOINT_RUNS : 1;;) {
        pools_agree(verify, pools, tolerance, &before);
        for (int round = 1; round <= JOINT_ROUNDS; round++) {
            if (!run_rounded(whole, trial, size, round))
                return otherwise;
            for (size_t i = 0; i < verify->output_count; i++)
                joint_pool_round(&pools[i], output_array(whole, i, 0), output_array(whole, i, 1));
            if (pools_agree(verify, pools, tolerance, &left))
                return FOUND_EQUAL;
            if (left > NOISE_UNMOVED * before) {
                unmoved++;
                break;
            }
        }
        trial += JOINT_ALIKE;
        if (--runs == 0 || verify_is_plain(left, tolerance, unmoved))
            return FOUND_DIFFERENT;
        if (run_drawn(whole, trial, &size))
            return otherwise;
        for (size_t i = 0; i < verify->output_count; i++)
            if (!joint_pool_add(&pools[i], output_array(whole, i, 0), output_array(whole, i, 1)))
                return otherwise;
    }
}

/* Compares the outputs of one run: FOUND_EQUAL where they agree. */
static enum finding compare_run(struct whole *whole, int trial, int size)
{
    struct verify *verify = whole->verify;
    double tolerance = verify_tolerance(verify, whole->type);
    struct joint_pool *pools = NEW_ARRAY(verify->cones, struct joint_pool, verify->output_count);
    bool agree = true, exact = true, thin = true, small = true;
    for (size_t i = 0; i < verify->output_count; i++) {
        pools[i] = joint_pool(verify->cones, output_array(whole, i, 0), output_array(whole, i, 1));
        struct gap gap = joint_compare(pools[i].left, pools[i].right, NULL);
        bool plain = gap.ratio > tolerance; /* beside all channels, too */
        gap.ratio = gap.alone;
        whole->shows[i] = whole->shows[i] || (!gap.constant && !gap.silent);
        if (verify_within(verify, &gap, tolerance)) {
            whole->largest = fmax(whole->largest, gap.ratio);
            continue;
        }
        agree = false;
        exact = exact && gap.same_shape && !gap.of_integers && !verify_is_beyond(verify, &gap);
        small = small && !plain;
        thin = thin && !plain && joint_pool_is_thin(&pools[i]);
        if (!verify->result->departs)
            verify_depart(verify, verify->outputs[0][i], verify->outputs[1][i], &gap, whole->joint);
    }
    if (agree || !exact)
        return agree ? FOUND_EQUAL : FOUND_DIFFERENT;
    return judge_noise(whole, trial, size, pools, small, thin, tolerance);
}

static void note_type(struct whole *whole, const struct value *value)
{
    int32_t type = value ? value->type : 0;
    if (type_is_float(type) && (!whole->type || type_rounding(type) > type_rounding(whole->type)))
        whole->type = type;
}

static void note_types(struct whole *whole)
{
    for (int side = 0; side < 2; side++) {
        const struct graph *graph = whole->graphs[side];
        for (size_t i = 0; i < graph_input_count(graph); i++)
            note_type(whole, graph_input(graph, i));
        for (size_t i = 0; i < graph->initializers.count; i++)
            note_type(whole, graph->initializers.items[i]);
        for (size_t i = 0; i < graph->order.count; i++)
            for (size_t k = 0; k < graph->order.items[i]->output_count; k++)
                note_type(whole, graph->order.items[i]->outputs[k]);
    }
}

/* Bodies of either model, but those of an If that always chooses the same. */
static bool is_chosen(const struct graph *graph)
{
    const struct tensor *condition;
    const struct node *owner = graph->owner;
    return owner && (owner->op != OP_If || !node_input(owner, 0) ||
                     constant_of(owner->inputs[0], &condition) != NULL);
}

static void forget_runs(const struct whole *whole)
{
    for (int side = 0; side < 2; side++) {
        const struct model *model = whole->graphs[side]->model;
        for (size_t i = 0; i < model->graphs.count; i++)
            model->graphs.items[i]->was_run = false;
    }
}

static bool all_have_run(const struct whole *whole)
{
    for (int side = 0; side < 2; side++) {
        const struct model *model = whole->graphs[side]->model;
        for (size_t i = 0; i < model->graphs.count; i++)
            if (is_chosen(model->graphs.items[i]) && !model->graphs.items[i]->was_run)
                return false;
    }
    return true;
}

/* NULL, or why the models are not evaluated. */
static const char *start_whole(struct whole *whole, struct verify *verify,
                               struct graph *const graphs[2])
{
    *whole = (struct whole){.verify = verify,
                            .joint = &verify->checking,
                            .graphs = {graphs[0], graphs[1]},
                            .numbers = verify->numbering.entries.count};
    for (size_t i = 0; i < verify->output_count; i++)
        if (!verify->outputs[0][i] || !verify->outputs[1][i])
            return "an output of the graph is made by nothing";
    if (graphs[0]->order.count + graphs[1]->order.count > NODES_MOST)
        return "more nodes than whole models may have to be evaluated";
    whole->joint->effort.products =
        fmin(effort_for(verify->arena->landing->input).products, BUDGET_VERIFY_WHOLE);
    whole->readers = NEW_ARRAY(verify->arena, uint32_t, whole->numbers);
    whole->shows = NEW_ARRAY(verify->arena, bool, verify->output_count + 1);
    note_types(whole);
    forget_runs(whole);
    return NULL;
}

/* True where an output is further apart than what its largest element allows. Notes which. */
static bool is_far_apart(struct whole *whole)
{
    struct verify *verify = whole->verify;
    double tolerance = verify_tolerance(verify, whole->type);
    for (size_t i = 0; i < verify->output_count; i++) {
        struct gap gap = joint_compare(output_array(whole, i, 0), output_array(whole, i, 1), NULL);
        gap.ratio = gap.difference > 0 ? gap.difference / gap.largest : 0;
        if (verify_within(verify, &gap, tolerance))
            continue;
        if (!verify->result->departs)
            verify_depart(verify, verify->outputs[0][i], verify->outputs[1][i], &gap, whole->joint);
        return true;
    }
    return false;
}

/* Evaluates both models on inputs until outputs differ or so many have agreed. FOUND_DIFFERENT: the first value that
 * departs is noted. Else *inputs is on how many they agreed, and *reason why on no more. */
static enum finding look(struct whole *whole, int wanted, int *inputs, const char **reason)
{
    struct verify_result *result = whole->verify->result;
    const struct verify_departure before = result->departure;
    bool departed = result->departs;
    double most = whole->joint->effort.products;
    int size = 0;
    for (*inputs = 0; *inputs < wanted; ++*inputs, size++) {
        if (*inputs >= INPUTS_LEAST && most - whole->joint->effort.products > BUDGET_VERIFY_INPUT)
            break;
        arena_reset(whole->verify->cones);
        whole->departs_at = SIZE_MAX;
        result->departs = false;
        const char *stopped = run_drawn(whole, *inputs, &size);
        if (stopped) {
            *reason = whole->joint->bad ? arena_copy(whole->verify->arena, stopped) : stopped;
            break;
        }
        enum finding finding = compare_run(whole, *inputs, size);
        if (finding == FOUND_DIFFERENT)
            return finding;
        if (finding == FOUND_NOTHING) {
            *reason = "outputs differ, and what rounding leaves of them costs more than is worth a "
                      "model of this size";
            *inputs = 0;
            break;
        }
    }
    result->departure = before;
    result->departs = departed;
    return FOUND_NOTHING;
}

/* The same on a little image, or where the models take none, on what they declare. FOUND_NOTHING: neither is taken. */
static enum finding glance(struct whole *whole, int trial)
{
    static const double amplitudes[] = {1, 4};
    struct verify *verify = whole->verify;
    const struct draw draw = {.trial = trial,
                              .seed = verify->options->seed + (uint64_t)trial * 7919,
                              .amplitude = amplitudes[trial],
                              .integers = INTEGERS_BITS};
    bool departs = verify->result->departs;
    arena_reset(verify->cones);
    whole->is_little = true;
    whole->departs_at = 0; /* nothing is noted */
    verify->result->departs = true;
    enum finding finding = run(whole, 0, &draw)  ? FOUND_NOTHING
                           : is_far_apart(whole) ? FOUND_DIFFERENT
                                                 : FOUND_EQUAL;
    verify->result->departs = departs;
    whole->is_little = false;
    whole->departs_at = SIZE_MAX;
    return finding;
}

static bool is_far_apart_on(struct whole *whole, int trial)
{
    int size = 0;
    return glance(whole, trial) != FOUND_EQUAL && !run_drawn(whole, trial, &size) &&
           is_far_apart(whole);
}

enum finding verify_glance(struct verify *verify, struct graph *const graphs[2])
{
    struct whole whole;
    int inputs;
    const char *reason = start_whole(&whole, verify, graphs);
    if (reason)
        return FOUND_NOTHING;
    double most = whole.joint->effort.products;
    enum finding finding = glance(&whole, 0);
    /* A channel small beside others is seen by comparing it alone, with what rounding leaves of it. */
    if (finding == FOUND_EQUAL && most - whole.joint->effort.products > BUDGET_VERIFY_GLANCE)
        return finding;
    finding = look(&whole, 1, &inputs, &reason);
    return finding == FOUND_NOTHING && inputs ? FOUND_EQUAL : finding;
}

bool verify_adds_up(struct verify *verify, struct graph *const graphs[2])
{
    struct whole whole;
    int inputs;
    const char *reason = start_whole(&whole, verify, graphs);
    if (reason || (!is_far_apart_on(&whole, 0) && !is_far_apart_on(&whole, 1)))
        return false;
    /* Who says what may differ is not asked what rounding leaves. */
    return verify->options->rtol > 0 ||
           verify_whole(verify, graphs, &inputs, &reason) == FOUND_DIFFERENT;
}

enum finding verify_whole(struct verify *verify, struct graph *const graphs[2], int *inputs,
                          const char **reason)
{
    struct whole whole;
    *inputs = 0;
    *reason = start_whole(&whole, verify, graphs);
    if (*reason || look(&whole, INPUTS_WANTED, inputs, reason) == FOUND_DIFFERENT)
        return *reason ? FOUND_NOTHING : FOUND_DIFFERENT;
    if (*inputs < INPUTS_LEAST)
        return FOUND_NOTHING;
    if (!all_have_run(&whole)) {
        *reason = "a body of If, Loop or Scan is not run by any input";
        return FOUND_NOTHING;
    }
    for (size_t i = 0; i < verify->output_count; i++)
        if (!whole.shows[i]) {
            *reason = arena_format(verify->arena, "the output '%s' holds one number throughout",
                                   verify->outputs[1][i]->name);
            return FOUND_NOTHING;
        }
    verify->result->largest = fmax(verify->result->largest, whole.largest);
    verify->result->tolerance =
        fmax(verify->result->tolerance, verify_tolerance(verify, whole.type));
    return FOUND_EQUAL;
}

enum finding verify_given(struct verify *verify, struct graph *const graphs[2], const char **reason)
{
    struct whole whole;
    int size = 0;
    *reason = start_whole(&whole, verify, graphs);
    whole.takes_given = true;
    arena_reset(verify->cones);
    whole.departs_at = SIZE_MAX;
    verify->result->departs = false;
    if (!*reason)
        *reason = run_drawn(&whole, 0, &size);
    if (*reason)
        return FOUND_NOTHING;
    enum finding finding = compare_run(&whole, 0, size);
    if (finding == FOUND_NOTHING)
        *reason = "outputs differ, and what rounding leaves of them costs more than is worth a "
                  "model of this size";
    return finding;
}

void verify_layers(struct verify *verify, struct graph *const graphs[2])
{
    struct verify_result *result = verify->result;
    struct whole whole;
    int size = 0;
    const char *reason = start_whole(&whole, verify, graphs);
    whole.lists_layers = true;
    if (!reason) {
        arena_reset(verify->cones);
        whole.departs_at = 0; /* nothing else is noted */
        reason = run_drawn(&whole, 0, &size);
    }
    if (reason) {
        result->layers.count = 0;
        result->layers_reason = arena_copy(verify->arena, reason);
    }
}
