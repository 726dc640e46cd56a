/* passes/cancel_pairs.c
 *
 *     x -> Transpose -> Transpose -> y        becomes        x -> Transpose -> y, or nothing
 *
 * Two ops in a row become one op, or none: Transposes; Reshape, Flatten, Squeeze and Unsqueeze; a Cast back from a type
 * that holds all numbers of the first; Slices of step 1; Relu of Relu and similar; Neg of Neg, Not of Not. A Transpose,
 * an elementwise op and the inverse Transpose become that op. If other ops read the first op, it stays, and the second
 * one is only removed, never replaced.
 *
 * Refused: a Cast back that loses numbers. Left alone: unknown targets and bounds. */
#include "infer/constant.h"
#include "infer/window.h"
#include "model/edit.h"
#include "passes/passes.h"

enum { MOST = SHAPE_MAX_RANK };

/* Two nodes in a row, or three. */
struct pair {
    struct plan *plan;
    struct node *first, *second;
    struct value *source, *target; /* the input of the first, the output of the second */
};

/* ---- replacing a pair ---- */

static bool redirect(const struct pair *pair, struct value *source)
{
    if (pass_check_redirect(pair->target, source))
        return false;
    pass_redirect(pair->target, source);
    if (!pair->second->removed)
        edit_remove(pair->second);
    struct fusion *fusion = plan_redirected(pair->plan, pair->second, pair->target, source);
    if (!pair->first->removed && !value_is_needed(pair->first->outputs[0])) {
        edit_remove(pair->first);
        fusion_adopt(pair->plan, fusion, pair->first);
    }
    return true;
}

static bool may_replace(const struct pair *pair)
{
    const struct value *between = pair->first->outputs[0];
    const char *banned = plan_banned(pair->plan, pair->second->graph, pair->target);
    if (banned)
        plan_refuse(pair->plan, pair->second, pair->target, banned);
    return !banned && value_only_reader(between) == pair->second && value_is_told(pair->source) &&
           value_is_told(pair->target) && !pair->source->is_annotated && pair->source->rank >= 0 &&
           pair->source->rank <= MOST;
}

/* A node that does what both did, checked on a source of this shape. */
static void replace(const struct pair *pair, struct node *node, const int64_t *dims)
{
    struct node *replaced[2] = {pair->first, pair->second};
    struct trial_source source = {pair->source, pair->source->rank, dims};
    if (!pair->first->removed)
        edit_remove(pair->first);
    plan_rewritten(pair->plan, node, pair->target, &source, 1, replaced, 2);
}

/* Like the second node, with other inputs and perhaps other attributes. */
static struct node *make(const struct pair *pair, const char *operator_name, struct value *const *inputs,
                         size_t input_count, const struct edit_attribute *attributes, size_t attribute_count)
{
    const struct node *second = pair->second;
    return edit_node(second->graph, &(struct edit_op){.op = operator_name,
                                                      .at = second,
                                                      .name = second->proto->name,
                                                      .like = second,
                                                      .inputs = inputs,
                                                      .input_count = input_count,
                                                      .output = pair->target,
                                                      .attributes = attributes,
                                                      .attribute_count = attribute_count});
}

static struct value *make_integers(const struct pair *pair, const char *name, const int64_t *numbers, int64_t count)
{
    struct arena *arena = pair->plan->model->arena;
    int64_t *kept = NEW_ARRAY(arena, int64_t, count);
    memcpy(kept, numbers, (size_t)count * sizeof(*kept));
    return edit_constant(pair->second->graph, pair->second, arena_format(arena, "%s.%s", pair->target->name, name),
                         tensor_of_integers(arena, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &count, kept));
}

/* Small sizes, all different. */
static void small_shape(int rank, int64_t *dims)
{
    for (int i = 0; i < rank; i++)
        dims[i] = 2 + i;
}

/* ---- Transpose ---- */

/* The perm of a Transpose of `rank` axes. False: unknown. */
static bool order_of(const struct node *node, int *rank, int64_t *order)
{
    size_t count;
    const int64_t *given = node_integers(node, "perm", &count);
    bool seen[MOST] = {false};
    if (!given && *rank < 0)
        *rank = node->inputs[0]->rank >= 0 ? node->inputs[0]->rank : node->outputs[0]->rank;
    if (given && *rank < 0)
        *rank = (int)count;
    if (*rank < 0 || *rank > MOST || (given && count != (size_t)*rank))
        return false;
    for (int i = 0; i < *rank; i++) {
        order[i] = given ? given[i] : *rank - 1 - i;
        if (order[i] < 0 || order[i] >= *rank || seen[order[i]])
            return false;
        seen[order[i]] = true;
    }
    return true;
}

static bool compose_orders(const struct node *first, const struct node *second, int *rank, int64_t *order,
                           bool *is_identity)
{
    int64_t one[MOST], two[MOST];
    *rank = -1;
    if (node_integers(first, "perm", &(size_t){0}) ? !order_of(first, rank, one) : !order_of(second, rank, two))
        return false;
    if (!order_of(first, rank, one) || !order_of(second, rank, two))
        return false;
    *is_identity = true;
    for (int i = 0; i < *rank; i++) {
        order[i] = one[two[i]];
        *is_identity = *is_identity && order[i] == i;
    }
    return true;
}

static bool cancel_transposes(const struct pair *pair)
{
    int rank;
    int64_t order[MOST], dims[MOST];
    bool is_identity;
    if (!compose_orders(pair->first, pair->second, &rank, order, &is_identity))
        return false;
    if (is_identity)
        return redirect(pair, pair->source);
    if (!may_replace(pair) || pair->source->rank != rank)
        return false;
    const struct edit_attribute attribute = {"perm", order, (size_t)rank, 0};
    small_shape(rank, dims);
    replace(pair, make(pair, "Transpose", &pair->source, 1, &attribute, 1), dims);
    return true;
}

/* Transpose, an op on single elements, Transpose back. `pair` is of the last two. */
static bool cancel_around(const struct pair *pair)
{
    struct node *middle = pair->first, *first = pair->source->producer;
    int rank;
    int64_t order[MOST], dims[MOST];
    bool is_identity;
    if (!operator_is(middle->op, MAPS) || !first || first->op != OP_Transpose || first->removed ||
        first->graph != middle->graph || !node_input(first, 0) || node_has_references(first) ||
        node_has_references(middle) || value_only_reader(first->outputs[0]) != middle ||
        value_only_reader(middle->outputs[0]) != pair->second ||
        !compose_orders(first, pair->second, &rank, order, &is_identity) || !is_identity)
        return false;
    struct pair whole = *pair;
    whole.source = first->inputs[0];
    if (!may_replace(&whole) || whole.source->rank != rank)
        return false;
    struct value **inputs = NEW_ARRAY(pair->plan->model->arena, struct value *, middle->input_count);
    memcpy(inputs, middle->inputs, middle->input_count * sizeof(struct value *));
    inputs[0] = whole.source;
    struct node *node = edit_node(middle->graph, &(struct edit_op){.op = middle->proto->op_type,
                                                                   .at = pair->second,
                                                                   .name = middle->proto->name,
                                                                   .like = middle,
                                                                   .inputs = inputs,
                                                                   .input_count = middle->input_count,
                                                                   .output = pair->target});
    edit_take_attributes(node, middle);
    edit_remove(middle);
    edit_remove(first);
    small_shape(rank, dims);
    struct node *replaced[3] = {first, middle, pair->second};
    struct trial_source source = {whole.source, rank, dims};
    plan_rewritten(pair->plan, node, pair->target, &source, 1, replaced, 3);
    return true;
}

/* ---- Reshape ---- */

static bool is_reshape(const struct node *node)
{
    return node->op == OP_Reshape || node->op == OP_Flatten || node->op == OP_Squeeze || node->op == OP_Unsqueeze;
}

/* The sizes of a value, of which at most one is unknown, -1. False: more are unknown, or one is 0. */
static bool known_shape(const struct value *value, int64_t *dims, int *open)
{
    *open = -1;
    if (value->rank < 0 || value->rank > MOST || value->disputed)
        return false;
    for (int i = 0; i < value->rank; i++) {
        dims[i] = value->dims[i] < 0 ? -1 : value->dims[i]; /* a symbol, too */
        if (dims[i] == 0 || (dims[i] < 0 && *open >= 0))
            return false;
        *open = dims[i] < 0 ? i : *open;
    }
    return true;
}

/* The product of all sizes but that of one axis. */
static bool known_elements(const struct value *value, int open, int64_t *elements)
{
    *elements = 1;
    for (int i = 0; i < value->rank; i++)
        if (i != open && !multiply_fits(*elements, value->dims[i], elements))
            return false;
    return *elements <= INT64_MAX / 2;
}

/* The second input is known whatever other values are. */
static bool stands_alone(const struct node *node)
{
    const struct tensor *tensor;
    struct value *input = node_input(node, 1);
    return !input || (!constant_of(input, &tensor) && !tensor->from_shape);
}

static bool cancel_reshapes(const struct pair *pair)
{
    int64_t from[MOST], to[MOST], trial[MOST];
    int from_open, to_open;
    struct value *source = pair->source, *target = pair->target;
    if (!known_shape(source, from, &from_open) || !known_shape(target, to, &to_open))
        return false;
    /* One unknown size follows from the others. */
    if (source->rank == target->rank && from_open == to_open &&
        memcmp(from, to, (size_t)source->rank * sizeof(*from)) == 0)
        return redirect(pair, source);
    if (!may_replace(pair) || target->rank == 0 || !stands_alone(pair->first) || !stands_alone(pair->second))
        return false;
    int64_t elements, asked;
    if (!known_elements(source, from_open, &elements) || !known_elements(target, to_open, &asked))
        return false;
    memcpy(trial, from, (size_t)source->rank * sizeof(*from));
    if (from_open >= 0) {
        /* Twice the size that makes the total a multiple of the target. */
        trial[from_open] = 2 * (asked / greatest_common_divisor(asked, elements));
        if (!multiply_fits(elements, trial[from_open], &elements))
            return false;
    }
    enum { TRIED_MOST = 1 << 22 };
    if (elements > TRIED_MOST)
        return false;
    struct value *inputs[2] = {source, make_integers(pair, "shape", to, target->rank)};
    replace(pair, make(pair, "Reshape", inputs, 2, NULL, 0), trial);
    return true;
}

/* ---- Cast ---- */

/* Whether every number of one type is one of the other. */
static bool holds_all(int32_t wide, int32_t narrow)
{
    static const struct {
        int32_t type;
        int digits, exponent; /* bits of an integer, or of a significand; of an exponent, 0: an integer */
        bool is_signed;
    } types[] = {
        {ONNX__TENSOR_PROTO__DATA_TYPE__BOOL, 1, 0, false},    {ONNX__TENSOR_PROTO__DATA_TYPE__UINT8, 8, 0, false},
        {ONNX__TENSOR_PROTO__DATA_TYPE__UINT16, 16, 0, false}, {ONNX__TENSOR_PROTO__DATA_TYPE__UINT32, 32, 0, false},
        {ONNX__TENSOR_PROTO__DATA_TYPE__UINT64, 64, 0, false}, {ONNX__TENSOR_PROTO__DATA_TYPE__INT8, 7, 0, true},
        {ONNX__TENSOR_PROTO__DATA_TYPE__INT16, 15, 0, true},   {ONNX__TENSOR_PROTO__DATA_TYPE__INT32, 31, 0, true},
        {ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 63, 0, true},   {ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16, 11, 5, true},
        {ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16, 8, 8, true}, {ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 24, 8, true},
        {ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE, 53, 11, true},
    };
    size_t w = 0, n = 0;
    while (w < COUNT_OF(types) && types[w].type != wide)
        w++;
    while (n < COUNT_OF(types) && types[n].type != narrow)
        n++;
    if (w == COUNT_OF(types) || n == COUNT_OF(types) || wide == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL)
        return false;
    /* The largest integer of a float16 has 16 bits: any integer that fits its digits fits its exponent. */
    return types[w].digits >= types[n].digits && types[w].exponent >= types[n].exponent &&
           (types[w].is_signed || !types[n].is_signed);
}

static bool cancel_casts(const struct pair *pair)
{
    int32_t from = pair->source->type, between = (int32_t)node_integer(pair->first, "to", 0);
    if (!from || from != (int32_t)node_integer(pair->second, "to", 0))
        return false;
    if (holds_all(between, from))
        return redirect(pair, pair->source);
    plan_refuse(pair->plan, pair->second, pair->target,
                arena_format(pair->plan->model->arena, "%s does not hold every number of %s", type_name(between),
                             type_name(from)));
    return false;
}

/* ---- Slice ---- */

struct cut {
    bool is_cut[MOST];
    int64_t start[MOST], end[MOST];
};

/* What a Slice of step 1 cuts from each axis, counted from the start. False: unknown. */
static bool cut_of(const struct node *node, int rank, const int64_t *dims, struct cut *cut)
{
    int64_t held[4][MOST];
    size_t count, last, named = 0, stepped = 0;
    const int64_t *starts = constant_integers(node, "starts", 1, held[0], MOST, &count);
    const int64_t *ends = constant_integers(node, "ends", 2, held[1], MOST, &last);
    const int64_t *axes = constant_integers(node, "axes", 3, held[2], MOST, &named);
    const int64_t *steps = constant_integers(node, "steps", 4, held[3], MOST, &stepped);
    *cut = (struct cut){.is_cut = {false}};
    if (!starts || !ends || last != count || count > (size_t)rank || (axes && named != count) ||
        (steps && stepped != count) || (!axes && node_input(node, 3)) || (!steps && node_input(node, 4)))
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes ? axes[i] : (int64_t)i, start = starts[i], end = ends[i];
        axis += axis < 0 ? rank : 0;
        if (axis < 0 || axis >= rank || cut->is_cut[axis] || (steps && steps[i] != 1))
            return false;
        int64_t extent = dims ? dims[axis] : -1;
        if (start < 0)
            start = extent < 0 ? -1 : start < -extent ? 0 : start + extent;
        if (end < 0)
            end = extent < 0 ? -1 : end < -extent ? 0 : end + extent;
        if (start < 0 || end < start || (start > SHAPE_ABSURD))
            return false;
        cut->is_cut[axis] = true;
        cut->start[axis] = start;
        cut->end[axis] = end < SHAPE_ABSURD ? end : INT64_MAX;
    }
    return true;
}

static bool cancel_slices(const struct pair *pair)
{
    struct value *source = pair->source;
    const struct value *between = pair->first->outputs[0];
    struct cut one, two;
    int64_t axes[MOST], starts[MOST], ends[MOST], dims[MOST];
    int64_t count = 0;
    if (!may_replace(pair) || source->rank < 1 ||
        !cut_of(pair->first, source->rank, source->disputed ? NULL : source->dims, &one) ||
        between->rank != source->rank ||
        !cut_of(pair->second, source->rank, between->disputed ? NULL : between->dims, &two))
        return false;
    for (int i = 0; i < source->rank; i++) {
        dims[i] = source->dims[i] < 0 ? 3 : source->dims[i] < 3 + i ? source->dims[i] : 3 + i;
        if (!one.is_cut[i] && !two.is_cut[i])
            continue;
        int64_t start = one.is_cut[i] ? one.start[i] : 0, end = one.is_cut[i] ? one.end[i] : INT64_MAX;
        if (two.is_cut[i]) {
            int64_t last = two.end[i] == INT64_MAX ? INT64_MAX : start + two.end[i];
            start += two.start[i];
            end = last < end ? last : end;
        }
        axes[count] = i;
        starts[count] = start;
        ends[count++] = end;
        /* Long enough to show where the Slice ends. */
        int64_t far = (end == INT64_MAX ? start : end) + 3;
        dims[i] = source->dims[i] < 0 || source->dims[i] > far ? far : source->dims[i];
    }
    if (count == 0)
        return false;
    /* Ends that are counted from the last element are exact only at the declared size. */
    for (int i = 0; i < source->rank; i++)
        if (source->dims[i] > 0 && (one.is_cut[i] || two.is_cut[i]))
            dims[i] = source->dims[i];
    if (pair->second->opset < 10) {
        const struct edit_attribute attributes[] = {
            {"axes", axes, (size_t)count, 0}, {"ends", ends, (size_t)count, 0}, {"starts", starts, (size_t)count, 0}};
        replace(pair, make(pair, "Slice", &source, 1, attributes, 3), dims);
        return true;
    }
    struct value *inputs[4] = {source, make_integers(pair, "starts", starts, count),
                               make_integers(pair, "ends", ends, count), make_integers(pair, "axes", axes, count)};
    replace(pair, make(pair, "Slice", inputs, 4, NULL, 0), dims);
    return true;
}

/* ---- the pairs ---- */

static bool cancel(const struct pair *pair)
{
    enum op first = pair->first->op, second = pair->second->op;
    if (second == OP_Transpose)
        return first == OP_Transpose ? cancel_transposes(pair) : cancel_around(pair);
    if (is_reshape(pair->second))
        return is_reshape(pair->first) && cancel_reshapes(pair);
    if (first != second)
        return false;
    if (second == OP_Cast)
        return cancel_casts(pair);
    if (second == OP_Slice)
        return cancel_slices(pair);
    if (operator_is(second, IDEMPOTENT))
        return redirect(pair, pair->first->outputs[0]);
    return operator_is(second, INVOLUTION) && redirect(pair, pair->source);
}

static bool may_be_second(struct node *node)
{
    bool may = operator_is(node->op, IDEMPOTENT | INVOLUTION) || is_reshape(node) || node->op == OP_Cast ||
               node->op == OP_Slice || node->op == OP_Transpose;
    return may && node_input(node, 0) && node_output(node, 0) && !node_has_references(node);
}

/* The result of a pair may be the second op of another. */
static bool cancel_all(struct plan *plan, struct node *second)
{
    bool any = false;
    while (second && !second->removed) {
        struct node *first = second->inputs[0]->producer;
        struct value *target = second->outputs[0];
        if (!first || first->graph != second->graph || first->outputs[0] != second->inputs[0] ||
            !node_input(first, 0) || first->output_count != 1 || node_has_references(first))
            break;
        struct pair pair = {plan, first, second, first->inputs[0], target};
        if (!cancel(&pair))
            break;
        any = true;
        second = target->removed || target->same ? NULL : target->producer;
        if (second && !may_be_second(second))
            second = NULL;
    }
    return any;
}

void cancel_pairs(struct plan *plan)
{
    pass_each(plan, may_be_second, false, cancel_all);
}
