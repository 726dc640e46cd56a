/* verify/draw.c: sizes of the sources of a cone, and random numbers for them. */
#include "verify/draw.h"

#include "verify/cone.h"
#include "verify/joint_draw.h"

/* The channels of a value by what one operator does with it, or -1. */
static int64_t channels_by(const struct node *node, const struct value *value)
{
    const struct value *weight = node_input(node, 1);
    int64_t channels;
    if (!weight || node->inputs[0] != value)
        return -1;
    if (node->op == OP_BatchNormalization)
        return weight->rank == 1 ? weight->dims[0] : -1;
    if (weight->rank < 2)
        return -1;
    switch (node->op) {
    case OP_Conv: return multiply_fits(weight->dims[1], node_integer(node, "group", 1), &channels) ? channels : -1;
    case OP_ConvTranspose: return weight->dims[0];
    case OP_MatMul: return weight->dims[weight->rank - 2];
    case OP_Gemm: return weight->dims[node_integer(node, "transB", 0) != 0];
    default: return -1;
    }
}

/* Ops that keep the number of channels, unless they broadcast. */
static bool keeps_channels(enum op op)
{
    switch (op) {
    case OP_Add:
    case OP_AveragePool:
    case OP_Div:
    case OP_GlobalAveragePool:
    case OP_MaxPool:
    case OP_Mul:
    case OP_Pad:
    case OP_Sub:
    case OP_Sum: return true;
    default: return operator_is(op, KEEPS_SHAPE);
    }
}

/* The channels of a source of unknown shape, derived from its readers. If they are wrong, the readers do not
 * evaluate. */
static int64_t channels_read(const struct value *source)
{
    enum { VALUES_MOST = 16, USES_MOST = 256 };
    const struct value *seen[VALUES_MOST] = {source};
    size_t count = 1, uses = 0;
    for (size_t i = 0; i < count; i++)
        for (const struct use *use = seen[i]->uses; use && uses < USES_MOST; use = use->next) {
            const struct value *output = node_output(use->inner, 0);
            int64_t channels = channels_by(use->inner, seen[i]);
            uses++;
            if (channels >= 0)
                return channels;
            if (output && keeps_channels(use->inner->op) && count < VALUES_MOST)
                seen[count++] = output;
        }
    return -1;
}

/* The rank of an image that leads to a Conv. */
static int image_rank(const struct cone *cone)
{
    int rank = -1;
    for (size_t i = 0; i < cone->nodes.count; i++) {
        const struct value *weight = node_input(cone->nodes.items[i], 1);
        if (cone->nodes.items[i]->op == OP_Conv && weight && weight->rank > 2)
            rank = weight->rank;
    }
    return rank;
}

/* The most that sources can be wide and still be evaluated. */
static int64_t span_most(const struct cone *cone)
{
    bool line = true; /* at most one axis of each is free */
    for (size_t i = 0; i < cone->sources.count; i++) {
        const struct value *source = cone->sources.items[i];
        int open = cone->layout == LAYOUT_IMAGE ? source->rank - 2 : 0;
        for (int k = 1; cone->layout != LAYOUT_IMAGE && k < source->rank; k++)
            open += source->dims[k] < 0;
        line = line && source->rank >= 0 && open <= 1;
    }
    return line ? SPAN_LINE : SPAN_PLANE;
}

bool cone_is_open(const struct verify *verify, const struct cone *cone, const struct graph *left)
{
    bool is_open = false;
    for (size_t i = 0; i < cone->sources.count; i++) {
        const struct value *source = cone->sources.items[i];
        const struct value *twin = verify_left(verify, value_number(source), left);
        is_open = is_open || source->rank < 0;
        for (int k = 1; k < source->rank; k++) {
            bool told = twin && twin->rank == source->rank && twin->dims[k] >= 0;
            is_open = is_open || source->dims[k] < 0 || (told && twin->dims[k] != source->dims[k]);
        }
    }
    return is_open;
}

bool cone_is_short(const struct verify *verify, const struct cone *cone, const struct graph *left)
{
    /* Else what is declared is all there is. */
    return cone_is_open(verify, cone, left) && cone->span > span_most(cone);
}

/* The amount by which a size exceeds `base`, different in each turn. For windows with strides, the remainder
 * matters: it is that of `known`, or each one in turn. */
static int64_t beyond(int64_t base, int64_t known, int64_t stride, int turn)
{
    if (stride <= 1)
        return turn % 3;
    if (known < 0)
        return turn % (stride < 3 ? 2 * stride : stride);
    return ((known - base) % stride + stride) % stride + turn % 2 * stride;
}

/* The extent that slices ask for along an axis: of any, where operators move axes. */
static int64_t extent_wanted(const struct cone *cone, int axis)
{
    int64_t wanted = cone->extents[axis];
    for (int i = 0; cone->moves && i < EVAL_RANK; i++)
        wanted = cone->extents[i] > wanted ? cone->extents[i] : wanted;
    return least(wanted, SPAN_LINE);
}

static const char *source_shape(struct verify *verify, const struct cone *cone, const struct graph *left_graph,
                                const struct value *source, const struct drawing *drawing, int size, int *rank,
                                int64_t *dims)
{
    int stretch = drawing->stretch;
    const struct value *left = verify_left(verify, value_number(source), left_graph);
    /* The declaration of a graph's input is reliable; those of other values may be stale. */
    const struct value *told = left && (source->rank < 0 || !left->producer) ? left : source;
    int64_t base = cone->span < 3 ? 3 : least(cone->span, span_most(cone));
    bool even = size == CONE_SIZE_EVEN;
    base = size == 1 ? 2 * base + 1 : even ? (base + 31) / 32 * 32 : base;
    *rank = told->rank;
    if (*rank < 0 && cone->layout == LAYOUT_ROWS)
        *rank = 2;
    if (*rank < 0 && cone->layout == LAYOUT_IMAGE)
        *rank = image_rank(cone);
    if (*rank < 0 || *rank > EVAL_RANK)
        return arena_format(verify->arena, "the rank of '%s' is not known", source->name);
    for (int i = 0; i < *rank; i++) {
        int64_t known = told->rank == *rank ? told->dims[i] : -1;
        if (known < 0 && left && left->rank == *rank)
            known = left->dims[i];
        bool channel = cone->layout == LAYOUT_IMAGE ? i == 1 : cone->layout == LAYOUT_ROWS ? i == *rank - 1 : false;
        if (channel && known < 0)
            known = channels_read(source);
        bool free = cone->layout != LAYOUT_NONE && !channel && known != 1 && size < CONE_SIZES - 1;
        if (known >= 0 && !free) {
            dims[i] = known;
        } else if (channel) {
            return arena_format(verify->arena, "the channels of '%s' are not known", source->name);
        } else if (i == 0 && cone->layout != LAYOUT_ROWS) {
            dims[i] = 1 + stretch % 2;
        } else if (cone->layout == LAYOUT_ROWS) {
            dims[i] = 2 + i + stretch;
        } else {
            dims[i] = base + (even ? 0 : beyond(base, known, cone->stride, i + stretch));
        }
        if (i == 0 && known == 1 && cone->layout == LAYOUT_IMAGE && size < CONE_SIZES - 1)
            dims[i] = 1 + stretch % 2; /* the batch does not matter */
        if (channel || dims[i] == known)
            continue;
        int64_t wanted = extent_wanted(cone, i), fixed = cone->fixed[*rank - 1 - i];
        wanted += wanted ? stretch % 2 : 0;
        wanted = known >= 0 ? least(wanted, known) : wanted;
        dims[i] = wanted > dims[i] ? wanted : dims[i];
        if (known < 0 && fixed && !cone->moves)
            dims[i] = fixed;
        if (known < 0 && drawing->is_long && (drawing->axis < 0 ? i > 0 : i == drawing->axis))
            dims[i] = cone->length;
    }
    return NULL;
}

/* True if the declared images are smaller than the reach of the taps: other sizes are useless. */
static bool is_narrow(const struct cone *cone)
{
    bool narrow = false;
    if (cone->layout != LAYOUT_IMAGE)
        return false;
    for (size_t i = 0; i < cone->sources.count; i++) {
        const struct value *source = cone->sources.items[i];
        if (source->rank < 0)
            return false;
        for (int k = 0; k < source->rank; k++) {
            if (source->dims[k] < 0)
                return false;
            narrow = narrow || (k > 1 && source->dims[k] > 1 && source->dims[k] < cone->span);
        }
    }
    return narrow;
}

/* Widens the last axis until it has an element for each row. */
static void fit_rows(int64_t rows, int rank, int64_t *dims)
{
    if (rank > 0)
        dims[rank - 1] = rows;
}

const char *cone_draw(struct verify *verify, struct joint_eval *joint, const struct cone *cone,
                      const struct graph *left, const struct drawing *drawing)
{
    static const struct {
        double amplitude;
        int shift;
    } kinds[] = {{1, 0}, {8, 0}, {0.25, 0}, {256, 0}, {0, 0}, {0, 0}, {1, 1}, {1, -1}};
    bool as_declared = is_narrow(cone) || cone->span > span_most(cone);
    int trial = drawing->trial, size = as_declared ? CONE_SIZES - 1 : drawing->size;
    struct draw draw = {.trial = trial,
                        .seed = verify->options->seed + (uint64_t)trial * 7919,
                        .amplitude = kinds[trial % (int)COUNT_OF(kinds)].amplitude,
                        .shift = kinds[trial % (int)COUNT_OF(kinds)].shift,
                        .has_odd = cone->asks_finite && trial % 2 != 0,
                        .integers = drawing->integers,
                        .rows = cone->rows,
                        .constants = cone->constants.items,
                        .constant_count = cone->constants.count,
                        .has_runs = cone->draws_runs,
                        .in_order = drawing->every_row,
                        .texts = cone->texts.items,
                        .text_count = cone->texts.count,
                        .trips = cone->trips.items,
                        .trip_count = cone->trips.count};
    for (size_t i = 0; i < cone->sources.count; i++) {
        const struct value *source = cone->sources.items[i];
        int64_t dims[EVAL_RANK];
        int rank = 0;
        if (joint_array(joint, source))
            continue;
        const char *reason = source_shape(verify, cone, left, source, drawing, size, &rank, dims);
        if (!reason && source->type == ONNX__TENSOR_PROTO__DATA_TYPE__STRING && cone->texts.count > TEXTS_MOST)
            reason = arena_format(verify->arena, "'%s' is compared with more than %d texts, which are not all tried",
                                  source->name, (int)TEXTS_MOST);
        if (!reason && drawing->every_row && source->type && !type_is_float(source->type))
            fit_rows(cone->rows, rank, dims);
        if (!reason)
            reason = joint_draw(joint, source, rank, dims, &draw);
        if (reason)
            return reason;
    }
    return NULL;
}
