/* verify/cone.c: what lies between a value of the second model and the values before it that are
 * equal. */
#include "verify/cone.h"

#include "eval/eval.h"
#include "eval/graph.h"
#include "infer/constant.h"

enum {
    OPENINGS_MOST = 16, /* sources computed from what is before them */
    SPAN_ROW = 48,      /* extent of windows in a row that is worth reaching */
    CONSTANTS_MOST = 16,
    PLACES_MOST = 1 << 16, /* of a Gather */
    CALLS_MOST = 32        /* functions and bodies inside each other */
};

static void note_type(struct cone *cone, int32_t type)
{
    if (type_is_float(type) && (!cone->type || type_rounding(type) > type_rounding(cone->type)))
        cone->type = type;
}

static bool is_opened(const struct cone *cone, uint32_t number)
{
    for (size_t i = 0; i < cone->opened.count; i++)
        if (cone->opened.items[i] == number)
            return true;
    return false;
}

bool verify_is_closed(const struct verify *verify, uint32_t number)
{
    for (size_t i = 0; i < verify->closed_count; i++)
        if (verify->closed[i] == number)
            return true;
    return false;
}

static void note_source(struct cone *cone, struct value *source)
{
    note_type(cone, source->type);
    cone->draws_integers = cone->draws_integers || (source->type && !type_is_float(source->type));
    LIST_PUSH(cone->arena, &cone->sources, source);
}

/* Rows of the constant that a Gather takes elements of by indices that are computed, else 0. */
static int64_t rows_of_table(const struct node *node)
{
    const struct tensor *table, *indices;
    if (node->op != OP_Gather || node->input_count < 2 || !node->inputs[0] || !node->inputs[1] ||
        constant_of(node->inputs[0], &table) || !constant_of(node->inputs[1], &indices))
        return 0;
    int64_t axis = node_integer(node, "axis", 0);
    axis += axis < 0 ? table->rank : 0;
    return axis >= 0 && axis < table->rank ? table->dims[axis] : 0;
}

static bool hides(enum op op)
{
    switch (op) {
    case OP_UNKNOWN: /* what a runtime's optimizer writes holds an activation more often than not */
    case OP_Clip:
    case OP_Ceil:
    case OP_Elu:
    case OP_Equal:
    case OP_Erf:
    case OP_Exp:
    case OP_Floor:
    case OP_Gelu:
    case OP_HardSigmoid:
    case OP_HardSwish:
    case OP_IsInf:
    case OP_IsNaN:
    case OP_MaxPool:
    case OP_Mish:
    case OP_Relu:
    case OP_Selu:
    case OP_Sigmoid:
    case OP_Softmax:
    case OP_Softplus:
    case OP_Softsign:
    case OP_Swish:
    case OP_Tanh:
    case OP_Where: return true;
    default: return false;
    }
}

static bool is_noted(const struct cone *cone, int64_t constant)
{
    for (size_t i = 0; i < cone->constants.count; i++)
        if (cone->constants.items[i] == constant)
            return true;
    return false;
}

static void note_constants(struct cone *cone, const struct node *node)
{
    for (size_t i = 0; i < node->input_count; i++) {
        const struct tensor *tensor;
        int64_t held[4];
        if (cone->constants.count >= CONSTANTS_MOST || !node->inputs[i] || constant_of(node->inputs[i], &tensor) ||
            type_is_float(tensor->type) || tensor->count < 1 || tensor->count > (int64_t)COUNT_OF(held) ||
            !tensor_read_integers(tensor, held))
            continue;
        for (int64_t k = 0; k < tensor->count; k++)
            if (!is_noted(cone, held[k]))
                LIST_PUSH(cone->arena, &cone->constants, held[k]);
    }
}

/* Runs of integers that are counted: drawn as they stand, for by chance none would come. */
static void note_runs(struct cone *cone, const struct node *node)
{
    size_t count;
    const int64_t *pool = node->op == OP_TfIdfVectorizer ? node_integers(node, "pool_int64s", &count) : NULL;
    if (!pool)
        return;
    cone->draws_runs = true;
    for (size_t i = 0; i < count && cone->constants.count < CONSTANTS_MOST; i++)
        LIST_PUSH(cone->arena, &cone->constants, pool[i]);
}

static void note_text(struct cone *cone, const ProtobufCBinaryData *text)
{
    if (cone->texts.count <= TEXTS_MOST)
        LIST_PUSH(cone->arena, &cone->texts, text);
}

/* Texts of constants, and of attributes that are compared with data or put into it. */
static void note_texts(struct cone *cone, const struct node *node)
{
    for (size_t i = 0; i < node->input_count; i++) {
        const struct tensor *tensor;
        if (!node->inputs[i] || constant_of(node->inputs[i], &tensor) ||
            tensor->type != ONNX__TENSOR_PROTO__DATA_TYPE__STRING || !tensor->proto)
            continue;
        for (size_t k = 0; k < tensor->proto->n_string_data; k++)
            note_text(cone, &tensor->proto->string_data[k]);
    }
    for (size_t i = 0; i < node->proto->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->proto->attribute[i];
        if ((node->op == OP_Constant || node->op == OP_StringSplit) && attribute->s.len)
            note_text(cone, &attribute->s);
        for (size_t k = 0; k < attribute->n_strings; k++)
            note_text(cone, &attribute->strings[k]);
    }
}

/* Windows whose position depends on the size, and values computed from sizes. */
static bool goes_by_size(const struct node *node)
{
    const Onnx__AttributeProto *pad = node_attribute(node, "auto_pad");
    return (pad && pad->s.len >= 4 && memcmp(pad->s.data, "SAME", 4) == 0) || node_integer(node, "ceil_mode", 0) ||
           node->op == OP_Shape || node->op == OP_Size;
}

static bool moves_axes(enum op op)
{
    switch (op) {
    case OP_Einsum:
    case OP_Flatten:
    case OP_Gather:
    case OP_MatMul:
    case OP_ReduceMean:
    case OP_ReduceProd:
    case OP_ReduceSum:
    case OP_Reshape:
    case OP_Squeeze:
    case OP_Transpose:
    case OP_UNKNOWN:
    case OP_Unsqueeze: return true;
    default: return false;
    }
}

/* Operands that broadcast must fit the constants among them. */
static bool broadcasts(enum op op)
{
    switch (op) {
    case OP_Add:
    case OP_Div:
    case OP_Equal:
    case OP_Mean:
    case OP_Mod:
    case OP_Mul:
    case OP_Pow:
    case OP_Sub:
    case OP_Sum:
    case OP_Where: return true;
    default: return false;
    }
}

/* The weight of a convolution, of any domain, or NULL. */
static const struct value *kernel_of(const struct node *node)
{
    switch (node->op) {
    case OP_Conv:
    case OP_ConvInteger:
    case OP_ConvTranspose:
    case OP_DeformConv: return node_input(node, 1);
    case OP_QLinearConv: return node_input(node, 3);
    case OP_UNKNOWN:
        return node->proto->op_type && strcmp(node->proto->op_type, "FusedConv") == 0 ? node_input(node, 1) : NULL;
    default: return NULL;
    }
}

static void note_layout(struct cone *cone, const struct node *node)
{
    if (kernel_of(node) || node_attribute(node, "kernel_shape") || node->op == OP_BatchNormalization ||
        node->op == OP_GlobalAveragePool)
        cone->layout = LAYOUT_IMAGE;
    else if ((node->op == OP_Gemm || node->op == OP_MatMul) && cone->layout == LAYOUT_NONE)
        cone->layout = LAYOUT_ROWS;
}

static bool is_extent(int64_t n)
{
    return n > 0 && n < 1 << 20;
}

/* One more than the furthest element that a bound asks for, from either end; 0: no sensible one. */
static int64_t extent_of(int64_t bound)
{
    bound = bound < 0 && bound > INT64_MIN ? -bound : bound;
    return is_extent(bound) ? bound + 1 : 0;
}

/* The furthest element that a Slice asks for, or a Pad that takes some away. */
static int64_t slice_extent(const struct node *node)
{
    int64_t extent = 1, held[2 * EVAL_RANK];
    size_t count;
    for (size_t i = 0; node->op == OP_Slice && i < 2; i++) {
        const int64_t *ends = constant_integers(node, i ? "ends" : "starts", i + 1, held, EVAL_RANK, &count);
        for (size_t k = 0; ends && k < count; k++)
            extent = extent_of(ends[k]) > extent ? extent_of(ends[k]) : extent;
    }
    const int64_t *pads = node->op == OP_Pad ? constant_integers(node, "pads", 1, held, COUNT_OF(held), &count) : NULL;
    for (size_t k = 0; pads && k < count; k++)
        if (pads[k] < 0 && 2 * extent_of(pads[k]) > extent)
            extent = 2 * extent_of(pads[k]);
    return extent;
}

static void note_extent(struct cone *cone, int64_t axis, int64_t extent)
{
    if (axis >= 0 && axis < EVAL_RANK && extent > cone->extents[axis])
        cone->extents[axis] = extent;
}

/* The sizes that a Slice requires, by axis. */
static void note_slice(struct cone *cone, const struct node *node)
{
    const struct value *data = node_input(node, 0);
    int64_t axes_held[EVAL_RANK], held[EVAL_RANK];
    size_t named = 0, count = 0;
    const int64_t *axes = constant_integers(node, "axes", 3, axes_held, EVAL_RANK, &named);
    bool is_computed = node_input(node, 3) && !axes;
    static const struct {
        const char *name;
        size_t input;
    } lists[] = {{"starts", 1}, {"ends", 2}, {"steps", 4}};
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        const int64_t *bounds = constant_integers(node, lists[i].name, lists[i].input, held, EVAL_RANK, &count);
        for (size_t k = 0; bounds && k < count; k++) {
            int64_t axis = !axes ? (int64_t)k : k < named ? axes[k] : -1;
            if (axis < 0 && data && data->rank >= 0)
                axis += data->rank;
            if (is_computed || axis < 0)
                cone->moves = true;
            note_extent(cone, axis < 0 ? 0 : axis, extent_of(bounds[k]));
        }
    }
}

/* The same of a Gather at fixed places. */
static void note_gather(struct cone *cone, const struct node *node)
{
    const struct value *data = node_input(node, 0);
    const struct tensor *indices, *table;
    int64_t axis = node_integer(node, "axis", 0);
    if (!data || !node_input(node, 1) || !constant_of(node->inputs[0], &table) ||
        constant_of(node->inputs[1], &indices) || type_is_float(indices->type) || indices->count > PLACES_MOST)
        return;
    int64_t *places = NEW_ARRAY(cone->arena, int64_t, indices->count + 1);
    axis += axis < 0 && data->rank > 0 ? data->rank : 0;
    bool read = tensor_is_readable(indices) && tensor_read_integers(indices, places);
    for (int64_t i = 0; read && i < indices->count; i++)
        note_extent(cone, axis < 0 ? 0 : axis, extent_of(places[i]));
}

/* A constant that a Slice cuts to a length that is computed. */
static void note_cut(struct cone *cone, const struct node *node)
{
    const struct tensor *table, *bound;
    if (!node_input(node, 2) || !node->inputs[0] || constant_of(node->inputs[0], &table) ||
        !constant_of(node->inputs[2], &bound))
        return;
    for (int i = 0; i < table->rank; i++)
        cone->length = is_extent(table->dims[i]) && table->dims[i] > cone->length ? table->dims[i] : cone->length;
}

static void note_broadcast(struct cone *cone, const struct node *node)
{
    for (size_t i = 0; i < node->input_count; i++) {
        const struct tensor *tensor;
        if (!node->inputs[i] || constant_of(node->inputs[i], &tensor))
            continue;
        for (int k = 0; k < tensor->rank && k < EVAL_RANK; k++) {
            int64_t dim = tensor->dims[tensor->rank - 1 - k];
            cone->fixed[k] = is_extent(dim) && dim > 1 ? dim : cone->fixed[k];
        }
    }
}

/* The requirements of a node of either model on random numbers and sizes. */
static void cone_note(struct cone *cone, const struct node *node)
{
    int64_t rows = rows_of_table(node);
    note_constants(cone, node);
    note_runs(cone, node);
    note_texts(cone, node);
    if (node->op == OP_Loop && node_input(node, 0))
        LIST_PUSH(cone->arena, &cone->trips, value_number(node->inputs[0]));
    cone->saturates = cone->saturates || hides(node->op);
    cone->asks_finite = cone->asks_finite || node->op == OP_IsInf || node->op == OP_IsNaN;
    cone->rows = rows > cone->rows ? rows : cone->rows;
    cone->by_size = cone->by_size || goes_by_size(node);
    cone->moves = cone->moves || moves_axes(node->op);
    if (node->op == OP_Slice) {
        note_slice(cone, node);
        note_cut(cone, node);
    } else if (node->op == OP_Gather) {
        note_gather(cone, node);
    } else if (broadcasts(node->op)) {
        note_broadcast(cone, node);
    }
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i])
            note_type(cone, node->outputs[i]->type);
}

/* The longest step of a Slice. */
static int64_t slice_stride(const struct node *node)
{
    size_t count;
    int64_t held[4], stride = 1;
    const int64_t *steps = constant_integers(node, "steps", 4, held, COUNT_OF(held), &count);
    for (size_t k = 0; steps && k < count; k++) {
        int64_t step = steps[k] < 0 && steps[k] > INT64_MIN ? -steps[k] : steps[k];
        stride = is_extent(step) && step > stride ? step : stride;
    }
    return stride;
}

/* Extent of a window's kernel and its stride, the largest of all axes. */
static void window_of(const struct node *node, int64_t *extent, int64_t *stride)
{
    size_t kernels, strides, dilations;
    const int64_t *kernel = node_integers(node, "kernel_shape", &kernels);
    const int64_t *step = node_integers(node, "strides", &strides);
    const int64_t *dilation = node_integers(node, "dilations", &dilations);
    const struct value *weight = kernel_of(node);
    *extent = *stride = 1;
    if (node->op == OP_Pad || node->op == OP_Slice) {
        *extent = slice_extent(node);
        *stride = slice_stride(node);
        return;
    }
    if (!kernel && weight && weight->rank > 2) {
        kernel = weight->dims + 2;
        kernels = (size_t)weight->rank - 2;
    }
    for (size_t i = 0; kernel && i < kernels; i++) {
        int64_t gap = dilation && i < dilations ? dilation[i] : 1;
        if (is_extent(kernel[i]) && is_extent(gap) && (kernel[i] - 1) * gap + 1 > *extent)
            *extent = (kernel[i] - 1) * gap + 1;
    }
    for (size_t i = 0; step && i < strides; i++)
        if (is_extent(step[i]) && step[i] > *stride)
            *stride = step[i];
}

bool verify_is_spent(const struct verify *verify, double part)
{
    return verify->visits / 8 + verify->compared + verify->searching.steps + verify->checking.steps >
           part * verify->steps_most;
}

struct mark *verify_mark(struct verify *verify, uint32_t number)
{
    if (number >= verify->room) {
        size_t room = verify->room ? verify->room : 1024;
        while (room <= number)
            room *= 2;
        struct mark *marks = NEW_ARRAY(verify->arena, struct mark, room);
        struct same **left = NEW_ARRAY(verify->arena, struct same *, room);
        if (verify->room) {
            memcpy(marks, verify->marks, verify->room * sizeof(*marks));
            memcpy(left, verify->left, verify->room * sizeof(*left));
            arena_give_back(verify->arena, verify->marks);
            arena_give_back(verify->arena, verify->left);
        }
        verify->marks = marks;
        verify->left = left;
        verify->room = room;
    }
    return &verify->marks[number];
}

void verify_add_left(struct verify *verify, struct value *value)
{
    struct same *same = NEW(verify->arena, struct same);
    verify_mark(verify, value_number(value));
    same->value = value;
    same->next = verify->left[value_number(value)];
    verify->left[value_number(value)] = same;
}

/* Bodies see the values of the graphs around them. */
static bool is_visible(const struct value *value, const struct graph *graph)
{
    while (graph && graph != value->graph)
        graph = graph->parent;
    return graph != NULL;
}

struct value *verify_left(const struct verify *verify, uint32_t number, const struct graph *graph)
{
    if (number >= verify->room)
        return NULL;
    for (const struct same *same = verify->left[number]; same; same = same->next)
        if (is_visible(same->value, graph))
            return same->value;
    return NULL;
}

struct step {
    struct value *value;
    struct value_reads reads;
    size_t next;            /* of `reads`: to look at */
    int64_t span, scale;    /* the largest of the inputs seen so far */
    int64_t extent, stride; /* of the node's windows */
};

static void widen(struct step *reader, const struct mark *input)
{
    if (input->span > reader->span)
        reader->span = input->span;
    if (input->scale > reader->scale)
        reader->scale = input->scale;
}

static bool is_among(const struct cone *cone, const struct value *value)
{
    for (size_t i = 0; i < cone->sources.count; i++)
        if (value_number(cone->sources.items[i]) == value_number(value))
            return true;
    return false;
}

/* True when the walk ends at a value: it is a source. */
static bool is_source(const struct verify *verify, const struct cone *cone, const struct graph *left,
                      const struct value *value)
{
    if (!value->producer)
        return true;
    if (cone->from)
        return is_among(cone->from, value);
    if (cone->opens_all)
        return verify_is_closed(verify, value_number(value)) && verify_left(verify, value_number(value), left);
    return verify_left(verify, value_number(value), left) && !is_opened(cone, value_number(value));
}

/* The requirements of nodes in bodies and functions, as if their windows were in sequence. */
static const char *enter_graph(struct verify *verify, struct cone *cone, const struct graph *graph, int depth,
                               int64_t *extent, int64_t *stride);

/* Notes a node on the way, with the extent and stride of its windows. */
static const char *enter(struct verify *verify, struct cone *cone, const struct node *node, int depth, int64_t *extent,
                         int64_t *stride)
{
    const char *reason = NULL;
    if (cone->nodes.count == CONE_MOST || verify_is_spent(verify, 1) || depth == CALLS_MOST)
        return "it depends on too many nodes that differ";
    verify->visits++;
    LIST_PUSH(cone->arena, &cone->nodes, node);
    cone_note(cone, node);
    note_layout(cone, node);
    window_of(node, extent, stride);
    const struct tensor *condition;
    bool chooses = node->op != OP_If || !node_input(node, 0) || constant_of(node->inputs[0], &condition) != NULL;
    for (size_t i = 0; i < node->body_count && chooses; i++)
        LIST_PUSH(cone->arena, &cone->bodies, node->bodies[i]);
    for (size_t i = 0; i < node->body_count && !reason; i++)
        reason = enter_graph(verify, cone, node->bodies[i], depth, extent, stride);
    const struct graph *function = node->op == OP_UNKNOWN ? eval_function(node) : NULL;
    return function && !reason ? enter_graph(verify, cone, function, depth, extent, stride) : reason;
}

static const char *enter_graph(struct verify *verify, struct cone *cone, const struct graph *graph, int depth,
                               int64_t *extent, int64_t *stride)
{
    for (size_t i = 0; i < graph->order.count; i++) {
        int64_t inner_extent, inner_stride;
        const char *reason = enter(verify, cone, graph->order.items[i], depth + 1, &inner_extent, &inner_stride);
        if (reason)
            return reason;
        *extent = least(*extent + least(inner_extent - 1, SPAN_LINE) * *stride, SPAN_LINE + 1);
        *stride = least(*stride * least(inner_stride, SPAN_PLANE), SPAN_PLANE);
    }
    return NULL;
}

/* Depth first, with an explicit stack. */
static const char *collect(struct verify *verify, const struct graph *left, struct value *root, struct cone *cone)
{
    LIST(struct step) stack = {NULL, 0, 0};
    struct step first = {.value = root, .span = 1, .scale = 1};
    LIST_PUSH(cone->arena, &stack, first);
    verify->walk++;
    cone->span = cone->stride = 1;
    while (stack.count) {
        struct step *step = &stack.items[stack.count - 1];
        struct step *reader = stack.count > 1 ? step - 1 : NULL;
        struct mark *mark = verify_mark(verify, value_number(step->value));
        const struct tensor *tensor;
        const struct node *node = step->value->producer;
        if (step->next == 0) {
            bool known = mark->walked == verify->walk;
            if (!known && !constant_of(step->value, &tensor)) {
                note_type(cone, tensor->type);
                mark->walked = verify->walk;
                mark->span = mark->scale = 1;
                known = true;
            } else if (!known && (stack.count > 1 || !node) && is_source(verify, cone, left, step->value)) {
                note_source(cone, step->value);
                mark->walked = verify->walk;
                mark->span = mark->scale = 1;
                known = true;
            }
            if (known) {
                if (reader)
                    widen(reader, mark);
                stack.count--;
                continue;
            }
            const char *reason = enter(verify, cone, node, 0, &step->extent, &step->stride);
            if (reason)
                return reason;
            eval_reads(cone->arena, node, &step->reads);
            verify->visits += (double)(step->reads.count - node->input_count);
        }
        if (step->next < step->reads.count) {
            struct step inner = {.value = step->reads.items[step->next++], .span = 1, .scale = 1};
            if (inner.value)
                LIST_PUSH(cone->arena, &stack, inner);
            continue;
        }
        int64_t extent = step->extent, stride = step->stride;
        mark->walked = verify->walk;
        /* Every tap of one window, and of windows in a row as long as they may be one window in the
         * other model. */
        int64_t most = SPAN_LINE + 1; /* more than can be reached */
        int64_t span = step->span + least(extent - 1, most) * step->scale, scale = step->scale * least(stride, most);
        if (span > SPAN_ROW) {
            int64_t alone = least(extent, most) * step->scale;
            span = alone > step->span ? alone : step->span;
        }
        mark->span = (int32_t)least(span, most);
        mark->scale = (int32_t)least(scale, SPAN_PLANE);
        if (mark->scale > cone->stride)
            cone->stride = mark->scale;
        int64_t wanted = mark->span + mark->scale;
        if (wanted > cone->span)
            cone->span = wanted;
        if (reader)
            widen(reader, mark);
        stack.count--;
    }
    return NULL;
}

/* Replaces the last computed source by its inputs. */
static bool open_last(struct cone *cone)
{
    struct value *last = NULL;
    for (size_t i = 0; i < cone->sources.count; i++) {
        struct value *source = cone->sources.items[i];
        if (source->producer && eval_knows(source->producer) &&
            (!last || source->producer->depth > last->producer->depth))
            last = source;
    }
    if (!last)
        return false;
    LIST_PUSH(cone->arena, &cone->opened, value_number(last));
    return true;
}

static const char *collect_few(struct verify *verify, const struct graph *left, struct value *root, struct cone *cone)
{
    const char *reason = collect(verify, left, root, cone);
    struct cone best = *cone;
    for (int i = 0; !reason && cone->sources.count > 1 && i < OPENINGS_MOST; i++) {
        if (!open_last(cone))
            break;
        struct cone next = {.arena = cone->arena};
        next.opened.items = cone->opened.items;
        next.opened.count = cone->opened.count;
        next.opened.room = cone->opened.room;
        if (collect(verify, left, root, &next))
            break;
        *cone = next;
        if (next.sources.count < best.sources.count)
            best = next;
    }
    if (!reason)
        *cone = best;
    return reason;
}

/* A source that depends on another one, or NULL. */
static struct value *tied_source(struct verify *verify, const struct cone *cone)
{
    size_t walked = 0;
    for (size_t k = 0; cone->sources.count > 1 && k < cone->sources.count; k++) {
        LIST(const struct node *) stack = {NULL, 0, 0};
        struct value *source = cone->sources.items[k];
        if (!source->producer)
            continue;
        verify->walk++;
        LIST_PUSH(cone->arena, &stack, source->producer);
        for (; stack.count && walked < CONE_MOST; walked++) {
            const struct node *node = stack.items[--stack.count];
            struct value_reads reads = {NULL, 0, 0};
            eval_reads(verify->cones, node, &reads);
            verify->visits += 1 + (double)(reads.count - node->input_count);
            for (size_t i = 0; i < reads.count; i++) {
                const struct value *input = reads.items[i];
                struct mark *mark = input ? verify_mark(verify, value_number(input)) : NULL;
                if (!mark || mark->walked == verify->walk)
                    continue;
                if (is_among(cone, input))
                    return source;
                mark->walked = verify->walk;
                if (input->producer)
                    LIST_PUSH(cone->arena, &stack, input->producer);
            }
        }
    }
    return NULL;
}

bool cone_contradicts(struct verify *verify, const struct cone *cone)
{
    return tied_source(verify, cone) != NULL;
}

/* Computes sources that depend on others from them. */
static const char *open_tied(struct verify *verify, const struct graph *left, struct value *root, struct cone *cone)
{
    const char *reason = NULL;
    for (int i = 0; !reason && i < OPENINGS_MOST; i++) {
        struct value *source = tied_source(verify, cone);
        if (!source || !eval_knows(source->producer))
            break;
        struct cone next = {.arena = cone->arena};
        LIST_PUSH(cone->arena, &cone->opened, value_number(source));
        next.opened.items = cone->opened.items;
        next.opened.count = cone->opened.count;
        next.opened.room = cone->opened.room;
        reason = collect(verify, left, root, &next);
        *cone = next;
    }
    return reason;
}

const char *cone_make(struct verify *verify, const struct graph *left, struct value *root, int attempt,
                      struct cone *cone)
{
    arena_reset(verify->cones);
    *cone = (struct cone){.arena = verify->cones, .opens_all = attempt == 2, .ends_early = attempt == 1};
    const char *reason = attempt == 0 ? collect_few(verify, left, root, cone) : collect(verify, left, root, cone);
    return !reason && attempt == 3 ? open_tied(verify, left, root, cone) : reason;
}

bool cone_has_run(const struct cone *cone)
{
    for (size_t i = 0; i < cone->bodies.count; i++)
        if (!cone->bodies.items[i]->was_run)
            return false;
    return true;
}

struct cone cone_join(struct verify *verify, const struct graph *left, const struct cone *cone, struct value *value,
                      size_t *nodes)
{
    struct cone joined = *cone, other = *cone;
    other.from = cone;
    other.nodes.items = NULL;
    other.sources.items = NULL;
    other.nodes.count = other.nodes.room = other.sources.count = other.sources.room = 0;
    collect(verify, left, value, &other); /* as far as it goes */
    *nodes = other.nodes.count;
    other.span = other.span > cone->span ? other.span : cone->span;
    other.stride = other.stride > cone->stride ? other.stride : cone->stride;
    other.from = NULL;
    other.nodes.items = joined.nodes.items;
    other.nodes.count = joined.nodes.count;
    other.nodes.room = joined.nodes.room;
    other.sources.items = joined.sources.items;
    other.sources.count = joined.sources.count;
    other.sources.room = joined.sources.room;
    other.draws_integers = joined.draws_integers;
    other.layout = joined.layout ? joined.layout : other.layout;
    return other;
}
