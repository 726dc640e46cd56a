/* infer/shape.c: shape rules of ops that keep their axes, and the walk over a graph. */
#include "infer/shape.h"

#include <stdlib.h>

#include "infer/axes.h"
#include "infer/constant.h"
#include "infer/learn.h"
#include "infer/window.h"
#include "model/model.h"

/* Operands before the first one do not broadcast; the type is that of the operands where none is given. */
static void infer_broadcast(struct node *node, size_t first, int32_t type)
{
    int64_t dims[SHAPE_MAX_RANK];
    int rank = 0;
    for (size_t k = 0; k < node->input_count; k++) {
        const struct value *input = node->inputs[k];
        if (!input)
            return;
        if (!type && k >= first)
            type = input->type;
        if (rank >= 0 && (input->rank < 0 || input->rank > SHAPE_MAX_RANK))
            rank = -1;
        if (rank >= 0 && input->rank > rank)
            rank = input->rank;
    }
    for (int i = 0; i < rank; i++)
        dims[i] = 1;
    for (size_t k = 0; rank >= 0 && k < node->input_count; k++)
        shape_broadcast(rank, dims, node->inputs[k]->rank, node->inputs[k]->dims);
    shape_learn(node_output(node, 0), type, rank, dims);
}

/* Sizes that a ConvTranspose makes. -1 stays where attributes do not fit, or with auto_pad. */
static void infer_transposed_sizes(const struct node *node, int axes, const int64_t *kernel, const int64_t *in,
                                   int64_t *out)
{
    size_t shapes, extras;
    struct window window[SHAPE_MAX_RANK];
    const int64_t *asked = node_integers(node, "output_shape", &shapes);
    const int64_t *extra = node_integers(node, "output_padding", &extras);
    bool given = asked && shapes >= (size_t)axes;
    if ((extra && extras != (size_t)axes) || shape_window(node, axes, kernel, NULL, window) ||
        (!given && node_attribute(node, "auto_pad")))
        return;
    for (int i = 0; i < axes; i++) {
        struct window w = window[i];
        int64_t size = -1, more = extra ? extra[i] : 0;
        if (given)
            size = asked[shapes - (size_t)axes + (size_t)i];
        else if (in[i] > 0 && in[i] < SHAPE_ABSURD && more >= 0 && more < SHAPE_ABSURD)
            size = w.stride * (in[i] - 1) + more + (w.kernel - 1) * w.dilation + 1 - w.pad_begin - w.pad_end;
        out[i] = size > 0 ? size : -1;
    }
}

static void infer_window(struct node *node)
{
    struct value *input = node_input(node, 0);
    const struct value *weight = node_input(node, 1);
    bool pool = node->op == OP_AveragePool || node->op == OP_MaxPool;
    int64_t dims[SHAPE_MAX_RANK], in[SHAPE_MAX_RANK];
    struct window window[SHAPE_MAX_RANK];
    size_t kernels = 0;
    node_integers(node, "kernel_shape", &kernels);
    int rank = pool ? (int)kernels + 2 : weight ? weight->rank : -1;
    if (!input || rank < 3 || rank > SHAPE_MAX_RANK)
        return;
    for (int i = 0; i < rank; i++)
        dims[i] = in[i] = -1;
    if (pool && input->graph == node->graph)
        shape_learn(input, 0, rank, in);
    if (input->rank >= 0 && input->rank != rank)
        return;
    if (input->rank == rank)
        memcpy(in, input->dims, (size_t)rank * sizeof(*in));
    dims[0] = in[0];
    dims[1] = pool ? in[1] : node->op == OP_Conv ? weight->dims[0] : -1;
    if (node->op == OP_ConvTranspose) {
        int64_t groups = node_integer(node, "group", 1);
        if (groups > 0 && weight->dims[1] >= 0 && !multiply_fits(weight->dims[1], groups, &dims[1]))
            dims[1] = -1;
        infer_transposed_sizes(node, rank - 2, weight->dims + 2, in + 2, dims + 2);
    } else if (!node_integer(node, "ceil_mode", 0) &&
               !shape_window(node, rank - 2, pool ? NULL : weight->dims + 2, in + 2, window)) {
        for (int i = 2; i < rank; i++) {
            struct window w = window[i - 2];
            if (in[i] < 0 || in[i] > SHAPE_ABSURD)
                continue;
            int64_t room = in[i] + w.pad_begin + w.pad_end - (w.kernel - 1) * w.dilation - 1;
            if (room >= 0)
                dims[i] = room / w.stride + 1;
        }
    }
    shape_learn(node_output(node, 0), input->type, rank, dims);
}

static void infer_gemm(struct node *node)
{
    const struct value *a = node_input(node, 0), *b = node_input(node, 1);
    if (!a || !b || b->rank != 2)
        return;
    int64_t dims[2] = {-1, b->dims[node_integer(node, "transB", 0) ? 0 : 1]};
    if (a->rank == 2)
        dims[0] = a->dims[node_integer(node, "transA", 0) ? 1 : 0];
    shape_learn(node_output(node, 0), a->type ? a->type : b->type, 2, dims);
}

/* Like numpy.matmul: all but the last two axes broadcast, and the axis of a vector is dropped. */
static void infer_matmul(struct node *node)
{
    const struct value *a = node_input(node, 0), *b = node_input(node, 1);
    int64_t dims[SHAPE_MAX_RANK];
    if (!a || !b || a->rank < 1 || b->rank < 1 || a->rank > SHAPE_MAX_RANK || b->rank > SHAPE_MAX_RANK)
        return;
    int batch_a = a->rank > 2 ? a->rank - 2 : 0, batch_b = b->rank > 2 ? b->rank - 2 : 0;
    int rank = batch_a > batch_b ? batch_a : batch_b;
    for (int i = 0; i < rank; i++)
        dims[i] = 1;
    shape_broadcast(rank, dims, batch_a, a->dims);
    shape_broadcast(rank, dims, batch_b, b->dims);
    if (a->rank > 1)
        dims[rank++] = a->dims[a->rank - 2];
    if (b->rank > 1)
        dims[rank++] = b->dims[b->rank - 1];
    shape_learn(node_output(node, 0), a->type ? a->type : b->type, rank, dims);
}

static void infer_concat(struct node *node)
{
    const struct value *first = node_input(node, 0);
    int64_t dims[SHAPE_MAX_RANK];
    if (!first || first->rank < 1 || first->rank > SHAPE_MAX_RANK)
        return;
    int64_t axis = node_integer(node, "axis", 0);
    axis = axis < 0 ? axis + first->rank : axis;
    if (axis < 0 || axis >= first->rank)
        return;
    memcpy(dims, first->dims, (size_t)first->rank * sizeof(*dims));
    for (size_t k = 1; k < node->input_count; k++) {
        const struct value *input = node->inputs[k];
        if (!input || input->rank != first->rank)
            return;
        for (int i = 0; i < first->rank; i++)
            if (i != axis && (dims[i] == -1 || input->dims[i] >= 0))
                dims[i] = input->dims[i];
        if (dims[axis] < 0 || input->dims[axis] < 0 || !add_fits(dims[axis], input->dims[axis], &dims[axis]))
            dims[axis] = -1;
    }
    shape_learn(node_output(node, 0), first->type, first->rank, dims);
}

/* With ceil_mode, ONNX before opset 22 and ONNX Runtime count a last window that begins beyond the
 * image differently, and so does everything that follows from its size. */
static bool makes_dispute(const struct node *node)
{
    const struct value *input = node_input(node, 0);
    struct window window[SHAPE_MAX_RANK];
    size_t axes;
    node_integers(node, "kernel_shape", &axes);
    for (size_t k = 0; k < node->input_count; k++)
        if (node->inputs[k] && node->inputs[k]->disputed)
            return true;
    if (!node_integer(node, "ceil_mode", 0))
        return false;
    if (!input || axes > SHAPE_MAX_RANK - 2 || input->rank != (int)axes + 2 ||
        shape_window(node, (int)axes, NULL, input->dims + 2, window))
        return true;
    for (size_t i = 0; i < axes; i++) {
        struct window w = window[i];
        int64_t extent = input->dims[i + 2];
        if (extent < 0 || extent > SHAPE_ABSURD)
            return true;
        int64_t room = extent + w.pad_begin + w.pad_end - (w.kernel - 1) * w.dilation - 1;
        if (room < 0 || (room + w.stride - 1) / w.stride * w.stride >= extent + w.pad_begin)
            return true;
    }
    return false;
}

static bool is_known_whole(const struct value *value)
{
    bool known = value->type && value->rank >= 0;
    for (int i = 0; known && i < value->rank; i++)
        known = value->dims[i] >= 0;
    return known;
}

/* The shape of a computed constant is the shape of its numbers. */
static void infer_constant(struct value *value)
{
    const struct tensor *tensor;
    if (value && value->producer && !is_known_whole(value) && !constant_of(value, &tensor))
        shape_learn(value, tensor->type, tensor->rank, tensor->dims);
}

/* Since opset 18 the last part may be smaller. -1: before it no size was right, and runtimes disagree. */
static int64_t equal_part(const struct node *node, int64_t extent, size_t part)
{
    int64_t parts = node->output_count, size = extent / parts + (extent % parts != 0);
    if (extent % parts == 0)
        return size;
    int64_t rest = extent - size * (parts - 1);
    if (node->opset < 18 || node_integer(node, "num_outputs", parts) != parts || rest < 0)
        return -1;
    return (int64_t)part + 1 == parts ? rest : size;
}

/* All but the axis that is split stays. Without sizes the parts are equal; since opset 18 the last one may be
 * smaller. */
static void infer_split(struct node *node)
{
    const struct value *input = node_input(node, 0);
    int64_t dims[SHAPE_MAX_RANK], held[SHAPE_MAX_RANK], parts = node->output_count;
    size_t count = 0;
    if (!input || input->rank < 1 || input->rank > SHAPE_MAX_RANK)
        return;
    const int64_t *sizes = constant_integers(node, "split", 1, held, SHAPE_MAX_RANK, &count);
    bool equal = !node_input(node, 1) && !node_attribute(node, "split");
    int64_t axis = node_integer(node, "axis", 0);
    axis += axis < 0 ? input->rank : 0;
    for (size_t k = 0; k < node->output_count; k++) {
        for (int i = 0; i < input->rank; i++)
            dims[i] = input->dims[i];
        if (axis < 0 || axis >= input->rank)
            continue;
        if (equal)
            dims[axis] = parts == 1 ? dims[axis] : dims[axis] < 0 ? -1 : equal_part(node, dims[axis], k);
        else
            dims[axis] = sizes && count == node->output_count && sizes[k] >= 0 ? sizes[k] : -1;
        shape_learn(node_output(node, k), input->type, input->rank, dims);
    }
}

static void infer_transpose(struct node *node)
{
    const struct value *input = node_input(node, 0);
    size_t count;
    const int64_t *order = node_integers(node, "perm", &count);
    int64_t dims[SHAPE_MAX_RANK];
    if (!input || input->rank < 0 || input->rank > SHAPE_MAX_RANK || (order && count != (size_t)input->rank))
        return;
    for (int i = 0; i < input->rank; i++) {
        int64_t from = order ? order[i] : input->rank - 1 - i;
        if (from < 0 || from >= input->rank)
            return;
        dims[i] = input->dims[from];
    }
    shape_learn(node_output(node, 0), input->type, input->rank, dims);
}

/* The declared shape of a result does not override sizes that the graph's inputs leave open. */
static void learn_backwards(struct value *input, int32_t type, int rank, const int64_t *dims)
{
    int64_t open[SHAPE_MAX_RANK];
    if (rank > SHAPE_MAX_RANK)
        return;
    for (int i = 0; i < rank; i++)
        open[i] = input->rank == rank && input->dims[i] < -1 ? -1 : dims[i];
    shape_learn(input, type, rank, open);
}

/* Along an axis where the other operands have one element or none, an operand has what the result has. */
static void infer_operand(struct node *node, size_t operand)
{
    struct value *input = node->inputs[operand];
    const struct value *output = node->outputs[0];
    int64_t dims[SHAPE_MAX_RANK];
    int rank = input->rank;
    bool larger = output->rank > 0; /* than all others: then this one is what made it as large */
    bool others_known = true;
    for (size_t k = 0; k < node->input_count; k++) {
        const struct value *other = node->inputs[k];
        if (!other || k == operand)
            continue;
        others_known = others_known && other->rank >= 0;
        larger = larger && other->rank >= 0 && other->rank < output->rank;
    }
    rank = rank < 0 && larger ? output->rank : rank;
    if (!others_known || output->rank > SHAPE_MAX_RANK || rank > output->rank)
        rank = -1;
    for (int i = 0; i < rank; i++) {
        dims[i] = output->dims[output->rank - rank + i];
        for (size_t k = 0; k < node->input_count; k++) {
            const struct value *other = node->inputs[k];
            int at = k == operand || !other ? -1 : other->rank - rank + i;
            if (at >= 0 && other->dims[at] != 1 && dims[i] != 1)
                dims[i] = -1;
        }
    }
    /* Operands are of the type of the result. */
    learn_backwards(input, output->type, rank, dims);
}

/* All axes of a matrix product but the last are those of the data. */
static void infer_data_of_matmul(struct node *node)
{
    struct value *input = node_input(node, 0);
    const struct value *weight = node_input(node, 1), *output = node->outputs[0];
    int64_t dims[SHAPE_MAX_RANK];
    if (!input || !weight || weight->rank != 2 || output->rank < 1 || output->rank > SHAPE_MAX_RANK ||
        input->graph != node->graph)
        return;
    memcpy(dims, output->dims, (size_t)output->rank * sizeof(*dims));
    dims[output->rank - 1] = weight->dims[0];
    learn_backwards(input, output->type, output->rank, dims);
}

/* The output of an op determines its input, if the op keeps the shape. A body may never run. */
static void infer_backwards(struct node *node)
{
    struct value *input = node_input(node, 0);
    const struct value *output = node_output(node, 0);
    bool casts = node->op == OP_Cast || node->op == OP_CastLike;
    if (!output)
        return;
    if (operator_is(node->op, KEEPS_SHAPE) && input && input->graph == node->graph)
        learn_backwards(input, casts ? 0 : output->type, output->rank, output->dims);
    enum { MOST = 64 }; /* the comparison is quadratic */
    size_t operands = operator_is(node->op, ARITHMETIC) && node->input_count <= MOST ? node->input_count : 0;
    for (size_t i = 0; i < operands; i++)
        if (node->inputs[i] && node->inputs[i]->graph == node->graph)
            infer_operand(node, i);
    if (node->op == OP_MatMul)
        infer_data_of_matmul(node);
}

static void infer_node(struct node *node)
{
    const struct value *input = node_input(node, 0);
    struct value *output = node_output(node, 0);
    if (operator_is(node->op, KEEPS_SHAPE) && input) {
        infer_constant(node->inputs[0]);
        bool cast = node->op == OP_Cast;
        int32_t type = cast ? (int32_t)node_integer(node, "to", 0) : input->type;
        if (node->op == OP_CastLike)
            type = 0;
        shape_learn(output, type, input->rank, input->dims);
        return;
    }
    if (operator_is(node->op, ARITHMETIC)) {
        for (size_t i = 0; i < node->input_count; i++)
            infer_constant(node->inputs[i]);
        infer_broadcast(node, 0, 0);
        return;
    }
    switch (node->op) {
    case OP_Conv:
    case OP_ConvTranspose:
    case OP_AveragePool:
    case OP_MaxPool: infer_window(node); break;
    case OP_Gemm: infer_gemm(node); break;
    case OP_MatMul: infer_matmul(node); break;
    case OP_BitShift:
    case OP_BitwiseAnd:
    case OP_BitwiseOr:
    case OP_BitwiseXor:
    case OP_Max:
    case OP_Min:
    case OP_Mod: infer_broadcast(node, 0, 0); break;
    case OP_Pow: infer_broadcast(node, 0, node_input(node, 0) ? node->inputs[0]->type : 0); break;
    case OP_And:
    case OP_Equal:
    case OP_Greater:
    case OP_GreaterOrEqual:
    case OP_Less:
    case OP_LessOrEqual:
    case OP_Or:
    case OP_Xor: infer_broadcast(node, 0, ONNX__TENSOR_PROTO__DATA_TYPE__BOOL); break;
    case OP_Where: infer_broadcast(node, 1, 0); break;
    case OP_Concat: infer_concat(node); break;
    case OP_Split: infer_split(node); break;
    case OP_Transpose: infer_transpose(node); break;
    case OP_Constant:
        if (output && output->tensor)
            shape_learn(output, output->tensor->type, output->tensor->rank, output->tensor->dims);
        break;
    default: shape_infer_axes(node);
    }
}

/* Readers may determine a value: a function's inputs have no description. */
static void infer_reader(struct node *node)
{
    struct value *input = node_input(node, 0), *weight = node_input(node, 1);
    int64_t dims[SHAPE_MAX_RANK], channels = -1;
    infer_constant(weight);
    /* A body may never run. */
    if (!input || !weight || input->graph != node->graph || weight->rank < 1)
        return;
    int rank = input->rank, axis = 1;
    switch (node->op) {
    case OP_BatchNormalization: channels = weight->dims[0]; break;
    case OP_Conv:
        rank = weight->rank;
        if (rank > 2 && weight->dims[1] >= 0 &&
            !multiply_fits(weight->dims[1], node_integer(node, "group", 1), &channels))
            return;
        break;
    case OP_ConvTranspose:
        rank = weight->rank;
        channels = weight->dims[0];
        break;
    case OP_Gemm:
        rank = 2;
        axis = node_integer(node, "transA", 0) ? 0 : 1;
        if (weight->rank == 2)
            channels = weight->dims[node_integer(node, "transB", 0) ? 1 : 0];
        break;
    case OP_MatMul:
        axis = rank - 1;
        if (weight->rank == 2)
            channels = weight->dims[0];
        break;
    default: return;
    }
    if (rank < 1 || axis >= rank || rank > SHAPE_MAX_RANK)
        return;
    for (int i = 0; i < rank; i++)
        dims[i] = i == axis && channels > 0 ? channels : -1;
    /* Since opset 15 the statistics may have a type of their own. */
    bool same_type = node->op != OP_BatchNormalization || node->opset < 15;
    shape_learn(input, same_type ? weight->type : 0, rank, dims);
}

/* A node stands behind those that make what it reads; a new one has the depth of the one whose place it took. */
static int by_depth(const void *a, const void *b)
{
    const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
    if (x->depth != y->depth)
        return x->depth < y->depth ? -1 : 1;
    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

/* The nodes in force, in topological order. */
static struct node_list nodes_in_force(struct graph *graph)
{
    struct arena *arena = graph->model->arena;
    struct node_list list = {0};
    if (!graph->changed)
        return graph->order;
    LIST_RESERVE(arena, &list, graph->order.count + graph->new_nodes.count);
    for (size_t i = 0; i < graph->order.count; i++)
        if (!graph->order.items[i]->removed)
            LIST_PUSH(arena, &list, graph->order.items[i]);
    for (size_t i = 0; i < graph->new_nodes.count; i++)
        if (!graph->new_nodes.items[i]->removed)
            LIST_PUSH(arena, &list, graph->new_nodes.items[i]);
    if (list.count)
        qsort(list.items, list.count, sizeof(*list.items), by_depth);
    return list;
}

void shape_infer_graph(struct graph *graph)
{
    struct node_list nodes = nodes_in_force(graph);
    for (size_t i = 0; i < nodes.count; i++) {
        struct node *node = nodes.items[i];
        infer_reader(node);
        infer_node(node);
        bool disputed = makes_dispute(node);
        for (size_t k = 0; k < node->output_count; k++)
            if (node->outputs[k])
                node->outputs[k]->disputed = disputed;
    }
    for (size_t i = nodes.count; i-- > 0;)
        infer_backwards(nodes.items[i]);
}
