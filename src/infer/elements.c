/* infer/elements.c: tracks partly known integers through the ops with which exporters compute shapes. Other ops and
 * unknown sizes give unknown elements. */
#include "infer/elements.h"

#include "infer/inferred.h"
#include "infer/window.h"

enum { ELEMENTS_DEPTH = 200 };

static struct element number(int64_t n)
{
    return (struct element){ELEMENT_NUMBER, n};
}

static struct element of_dim(int64_t dim)
{
    if (dim >= 0)
        return number(dim);
    return (struct element){dim == -1 ? ELEMENT_UNKNOWN : ELEMENT_SYMBOL, dim};
}

int64_t element_dim(struct element element)
{
    bool is_size = element.kind == ELEMENT_SYMBOL || (element.kind == ELEMENT_NUMBER && element.number >= 0);
    return is_size ? element.number : -1;
}

static bool is_number(struct element e, int64_t n)
{
    return e.kind == ELEMENT_NUMBER && e.number == n;
}

static struct elements *make(struct arena *arena, int rank, size_t count)
{
    struct elements *made = NEW(arena, struct elements);
    *made = (struct elements){rank, count, NEW_ARRAY(arena, struct element, count + 1)};
    return made;
}

static struct elements *of_tensor(struct arena *arena, const struct tensor *tensor)
{
    int64_t held[ELEMENTS_MOST];
    if (tensor->rank > 1 || tensor->count > ELEMENTS_MOST || !tensor_is_readable(tensor) ||
        !tensor_read_integers(tensor, held))
        return NULL;
    struct elements *made = make(arena, tensor->rank, (size_t)tensor->count);
    for (size_t i = 0; i < made->count; i++)
        made->items[i] = number(held[i]);
    return made;
}

/* ---- arithmetic ---- */

static bool same(struct element a, struct element b)
{
    return a.kind != ELEMENT_UNKNOWN && a.kind == b.kind && a.number == b.number;
}

static struct element equal(struct element a, struct element b)
{
    const struct element unknown = {ELEMENT_UNKNOWN, 0};
    if (a.kind == ELEMENT_NUMBER && b.kind == ELEMENT_NUMBER)
        return number(a.number == b.number);
    /* A size is not negative. */
    if ((a.kind == ELEMENT_SYMBOL && b.kind == ELEMENT_NUMBER && b.number < 0) ||
        (b.kind == ELEMENT_SYMBOL && a.kind == ELEMENT_NUMBER && a.number < 0))
        return number(0);
    return same(a, b) ? number(1) : unknown;
}

/* A size with a name times a number, or divided by one. */
static struct element scaled(struct model *model, enum op op, struct element size, int64_t n)
{
    const struct element unknown = {ELEMENT_UNKNOWN, 0};
    struct multiple multiple = model_multiple(model, size.number);
    if (n < 1 || (op == OP_Div && multiple.factor % n != 0) ||
        (op == OP_Mul && !multiply_fits(multiple.factor, n, &multiple.factor)))
        return unknown;
    multiple.factor /= op == OP_Div ? n : 1;
    return of_dim(model_size(model, multiple));
}

static struct element arithmetic(struct model *model, enum op op, struct element a, struct element b)
{
    const struct element unknown = {ELEMENT_UNKNOWN, 0};
    int64_t n = 0;
    if (op == OP_Equal)
        return equal(a, b);
    if (op == OP_Mul && (is_number(a, 0) || is_number(b, 0)))
        return number(0);
    if ((op == OP_Mul && is_number(a, 1)) || (op == OP_Add && is_number(a, 0)))
        return b;
    if (((op == OP_Mul || op == OP_Div) && is_number(b, 1)) || ((op == OP_Add || op == OP_Sub) && is_number(b, 0)))
        return a;
    if (op == OP_Sub && same(a, b))
        return number(0);
    if ((op == OP_Max || op == OP_Min) && same(a, b))
        return a;
    if ((op == OP_Mul || op == OP_Div) && a.kind == ELEMENT_SYMBOL && b.kind == ELEMENT_NUMBER)
        return scaled(model, op, a, b.number);
    if (op == OP_Mul && b.kind == ELEMENT_SYMBOL && a.kind == ELEMENT_NUMBER)
        return scaled(model, op, b, a.number);
    if (a.kind != ELEMENT_NUMBER || b.kind != ELEMENT_NUMBER)
        return unknown;
    switch (op) {
    case OP_Add: return add_fits(a.number, b.number, &n) ? number(n) : unknown;
    case OP_Sub: return __builtin_sub_overflow(a.number, b.number, &n) ? unknown : number(n);
    case OP_Mul: return multiply_fits(a.number, b.number, &n) ? number(n) : unknown;
    case OP_Max: return number(a.number > b.number ? a.number : b.number);
    case OP_Min: return number(a.number < b.number ? a.number : b.number);
    case OP_Div: /* runtimes round negative quotients in two ways */
        return a.number >= 0 && b.number > 0 ? number(a.number / b.number) : unknown;
    default: return unknown;
    }
}

/* ---- operators ---- */

/* A shape holds for the values that it is asked of; of a constant it is what the constant has. */
static struct elements *of_shape(struct node *node, struct elements_asker asker)
{
    struct value *input = node_input(node, 0);
    const struct tensor *constant;
    if (!input)
        return NULL;
    bool is_constant = !asker.fold(input, asker.depth, &constant);
    int64_t rank = is_constant ? constant->rank : input->rank;
    const int64_t *dims = is_constant ? constant->dims : input->dims;
    bool disputed = input->disputed && !is_constant;
    if (rank < 0 || rank > ELEMENTS_MOST)
        return NULL;
    if (node->op == OP_Size) {
        struct elements *size = make(node->graph->model->arena, 0, 1);
        size->items[0] = number(1);
        for (int64_t i = 0; i < rank; i++)
            size->items[0] = arithmetic(node->graph->model, OP_Mul, size->items[0], of_dim(disputed ? -1 : dims[i]));
        return size;
    }
    int64_t start = node_integer(node, "start", 0), end = node_integer(node, "end", rank);
    start = start < 0 ? start + rank : start;
    end = end < 0 ? end + rank : end;
    start = start < 0 ? 0 : start > rank ? rank : start;
    end = end < start ? start : end > rank ? rank : end;
    struct elements *made = make(node->graph->model->arena, 1, (size_t)(end - start));
    for (size_t i = 0; i < made->count; i++)
        made->items[i] = of_dim(disputed ? -1 : dims[start + (int64_t)i]);
    return made;
}

static const struct elements *input_of(struct node *node, size_t index, struct elements_asker asker)
{
    struct value *input = node_input(node, index);
    return input ? elements_of(input, asker) : NULL;
}

static struct elements *of_gather(struct node *node, struct elements_asker asker)
{
    const struct elements *data = input_of(node, 0, asker), *at = input_of(node, 1, asker);
    if (!data || !at || data->rank != 1 || node_integer(node, "axis", 0) > 0)
        return NULL;
    struct elements *made = make(node->graph->model->arena, at->rank, at->count);
    for (size_t i = 0; i < at->count; i++) {
        int64_t place = at->items[i].number, count = (int64_t)data->count;
        place += place < 0 ? count : 0;
        if (at->items[i].kind != ELEMENT_NUMBER)
            continue;
        if (place < 0 || place >= count)
            return NULL;
        made->items[i] = data->items[place];
    }
    return made;
}

/* One integer of an attribute, or of an input. */
static bool one_of(struct node *node, const char *name, size_t input, struct elements_asker asker, int64_t *integer)
{
    size_t count;
    const int64_t *given = node_integers(node, name, &count);
    const struct elements *held = given ? NULL : input_of(node, input, asker);
    if (held && held->count == 1 && held->items[0].kind == ELEMENT_NUMBER) {
        given = &held->items[0].number;
        count = 1;
    }
    *integer = given && count == 1 ? given[0] : 0;
    return given && count == 1;
}

/* Forward: runtimes disagree on backward ones. */
static struct elements *of_slice(struct node *node, struct elements_asker asker)
{
    const struct elements *data = input_of(node, 0, asker);
    int64_t start, end, axis, step = 1;
    bool named = node_input(node, 3) || node_attribute(node, "axes");
    if (!data || data->rank != 1 || !one_of(node, "starts", 1, asker, &start) ||
        !one_of(node, "ends", 2, asker, &end) || (node_input(node, 4) && !one_of(node, "steps", 4, asker, &step)) ||
        (named && (!one_of(node, "axes", 3, asker, &axis) || (axis != 0 && axis != -1))) || step < 1)
        return NULL;
    int64_t count = (int64_t)data->count;
    start = start < -count ? 0 : start < 0 ? start + count : start > count ? count : start;
    end = end < -count ? 0 : end < 0 ? end + count : end > count ? count : end;
    struct elements *made = make(node->graph->model->arena, 1, data->count);
    made->count = 0;
    for (int64_t at = start; at < end; at += step < count ? step : count)
        made->items[made->count++] = data->items[at];
    return made;
}

static struct elements *of_concat(struct node *node, struct elements_asker asker)
{
    size_t count = 0;
    for (size_t k = 0; k < node->input_count; k++) {
        const struct elements *part = input_of(node, k, asker);
        if (!part || part->rank != 1 || count + part->count > ELEMENTS_MOST)
            return NULL;
        count += part->count;
    }
    struct elements *made = make(node->graph->model->arena, 1, count);
    made->count = 0;
    for (size_t k = 0; k < node->input_count; k++) {
        const struct elements *part = input_of(node, k, asker);
        memcpy(made->items + made->count, part->items, part->count * sizeof(*part->items));
        made->count += part->count;
    }
    return made;
}

/* All sizes multiplied, or added: how many rows a matrix has when an image becomes one. */
static struct elements *of_reduction(struct node *node, struct elements_asker asker)
{
    const struct elements *data = input_of(node, 0, asker);
    bool is_product = node->op == OP_ReduceProd;
    int64_t axis;
    if (!data || data->rank != 1)
        return NULL;
    if (node_input(node, 1) || node_attribute(node, "axes")) {
        if (!one_of(node, "axes", 1, asker, &axis) || (axis != 0 && axis != -1))
            return NULL;
    } else if (node_integer(node, "noop_with_empty_axes", 0)) {
        return NULL;
    }
    int rank = node_integer(node, "keepdims", 1) ? 1 : 0;
    struct elements *made = make(node->graph->model->arena, rank, 1);
    made->items[0] = number(is_product);
    for (size_t i = 0; i < data->count; i++)
        made->items[0] = arithmetic(node->graph->model, is_product ? OP_Mul : OP_Add, made->items[0], data->items[i]);
    return made;
}

/* Numbers that a type does not hold would come out as others. */
static bool holds(int32_t type, const struct elements *elements)
{
    bool fit = type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64 || type == ONNX__TENSOR_PROTO__DATA_TYPE__INT32;
    for (size_t i = 0; fit && i < elements->count; i++)
        fit = type == ONNX__TENSOR_PROTO__DATA_TYPE__INT64 || elements->items[i].kind != ELEMENT_NUMBER ||
              (elements->items[i].number >= INT32_MIN && elements->items[i].number <= INT32_MAX);
    return fit;
}

/* The same elements, under another rank perhaps. */
static struct elements *of_view(struct node *node, const struct value *output, struct elements_asker asker)
{
    const struct elements *data = input_of(node, 0, asker);
    if (!data)
        return NULL;
    int rank = data->rank;
    if (node->op == OP_Reshape)
        rank = output->rank;
    else if (node->op == OP_Squeeze || node->op == OP_Unsqueeze)
        rank += node->op == OP_Unsqueeze ? 1 : -1;
    if (rank < 0 || rank > 1 || (rank == 0 && data->count != 1))
        return NULL;
    struct elements *made = make(node->graph->model->arena, rank, data->count);
    memcpy(made->items, data->items, data->count * sizeof(*data->items));
    return made;
}

/* Operands of one element go with all elements of the others. */
static struct elements *of_broadcast(struct node *node, struct elements_asker asker)
{
    const struct elements *in[3] = {NULL, NULL, NULL};
    size_t operands = node->op == OP_Where ? 3 : 2, count = 1;
    int rank = 0;
    if (node->input_count != operands)
        return NULL;
    for (size_t k = 0; k < operands; k++) {
        in[k] = input_of(node, k, asker);
        if (!in[k] || (in[k]->count != 1 && count != 1 && in[k]->count != count))
            return NULL;
        count = in[k]->count != 1 ? in[k]->count : count;
        rank = in[k]->rank > rank ? in[k]->rank : rank;
    }
    struct elements *made = make(node->graph->model->arena, rank, count);
    for (size_t i = 0; i < count; i++) {
        struct element e[3] = {{0}};
        for (size_t k = 0; k < operands; k++)
            e[k] = in[k]->items[in[k]->count == 1 ? 0 : i];
        if (node->op != OP_Where)
            made->items[i] = arithmetic(node->graph->model, node->op, e[0], e[1]);
        else if (e[0].kind == ELEMENT_NUMBER)
            made->items[i] = e[0].number ? e[1] : e[2];
        else if (same(e[1], e[2]))
            made->items[i] = e[1];
    }
    return made;
}

static struct elements *of_split(struct node *node, const struct value *output, struct elements_asker asker)
{
    const struct elements *data = input_of(node, 0, asker);
    size_t at = 0;
    if (!data || data->rank != 1 || node_integer(node, "axis", 0) > 0)
        return NULL;
    for (size_t k = 0; k < node->output_count; k++) {
        const struct value *part = node->outputs[k];
        if (!part || part->rank != 1 || part->dims[0] < 0 || (size_t)part->dims[0] > data->count - at)
            return NULL;
        if (part != output) {
            at += (size_t)part->dims[0];
            continue;
        }
        struct elements *made = make(node->graph->model->arena, 1, (size_t)part->dims[0]);
        memcpy(made->items, data->items + at, made->count * sizeof(*made->items));
        return made;
    }
    return NULL;
}

static struct elements *of_node(struct value *value, struct elements_asker asker)
{
    struct node *node = value->producer;
    if (node_has_references(node))
        return NULL;
    switch (node->op) {
    case OP_Shape:
    case OP_Size: return of_shape(node, asker);
    case OP_Gather: return of_gather(node, asker);
    case OP_Slice: return of_slice(node, asker);
    case OP_Concat: return of_concat(node, asker);
    case OP_ReduceProd:
    case OP_ReduceSum: return of_reduction(node, asker);
    case OP_Split: return of_split(node, value, asker);
    case OP_Cast:
        if (value->type == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL)
            return NULL;
        return of_view(node, value, asker);
    case OP_Identity:
    case OP_Reshape:
    case OP_Squeeze:
    case OP_Unsqueeze: return of_view(node, value, asker);
    case OP_Add:
    case OP_Sub:
    case OP_Mul:
    case OP_Div:
    case OP_Max:
    case OP_Min:
    case OP_Equal:
    case OP_Where: return of_broadcast(node, asker);
    default: return NULL;
    }
}

const struct elements *elements_of(struct value *value, struct elements_asker asker)
{
    const struct tensor *tensor;
    if (value->rank > 1 || !type_is_integer(value->type) || asker.depth > ELEMENTS_DEPTH)
        return NULL;
    struct inferred *known = inferred_of(value);
    if (known->elements_state != INFERRED_NOT_YET)
        return known->elements; /* NULL while it is in work */
    known->elements_state = INFERRED_IN_WORK;
    asker.depth++;
    struct arena *arena = value->graph->model->arena;
    struct elements *made = NULL;
    if (value->tensor || known->constant || !value->producer)
        made = asker.fold(value, asker.depth, &tensor) ? NULL : of_tensor(arena, tensor);
    else
        made = of_node(value, asker);
    bool is_whole = made && (value->rank < 0 || made->rank == value->rank) &&
                    (value->type == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL || holds(value->type, made));
    known->elements = is_whole ? made : NULL;
    known->elements_state = INFERRED_DONE;
    return known->elements;
}
