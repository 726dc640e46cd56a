/* fuse/product.c: steps of Conv, Gemm and MatMul. */
#include "fuse/product.h"

#include "affine/laws.h"
#include "fuse/channel.h"
#include "infer/constant.h"
#include "infer/operand.h"
#include "infer/window.h"

struct kernel_reader {
    const struct tensor *tensor;
    int64_t rows, columns;
    bool transposed; /* stored [columns, rows] */
    double factor;
};

static void read_kernel(const void *closure, int64_t first, int64_t count, double *out)
{
    const struct kernel_reader *reader = closure;
    int64_t columns = reader->columns;
    if (!reader->transposed) {
        tensor_read(reader->tensor, first * columns, count * columns, out);
    } else {
        /* Through a few columns of the stored matrix at once, so that whole cache lines are written. */
        enum { ROWS = 64, COLUMNS = 8 };
        double pieces[COLUMNS][ROWS];
        for (int64_t r = 0; r < count; r += ROWS) {
            int64_t some = count - r < ROWS ? count - r : ROWS;
            for (int64_t k = 0; k < columns; k += COLUMNS) {
                int64_t width = columns - k < COLUMNS ? columns - k : COLUMNS;
                for (int64_t c = 0; c < width; c++)
                    tensor_read(reader->tensor, (k + c) * reader->rows + first + r, some, pieces[c]);
                for (int64_t i = 0; i < some; i++)
                    for (int64_t c = 0; c < width; c++)
                        out[(r + i) * columns + k + c] = pieces[c][i];
            }
        }
    }
    if (reader->factor != 1)
        for (int64_t i = 0; i < count * columns; i++)
            out[i] *= reader->factor;
}

/* The form of a weight that is stored [rows, columns], or [columns, rows] where it is transposed. */
static const char *make_form(struct arena *arena, int axes, const struct affine_axis *axis, int64_t inputs,
                             int64_t groups, struct kernel_reader from, const double *bias, const struct affine **form)
{
    if (from.tensor->storage == STORAGE_REPEATED) {
        double *number = NEW(arena, double);
        tensor_read(from.tensor, 0, 1, number);
        *number *= from.factor;
        return affine_fill(arena, axes, axis, from.rows, inputs, groups, number, bias, form);
    }
    struct kernel_reader *reader = NEW(arena, struct kernel_reader);
    *reader = from;
    return affine_make(arena,
                       &(struct affine_kernel){.axes = axes,
                                               .axis = axis,
                                               .outputs = from.rows,
                                               .inputs = inputs,
                                               .groups = groups,
                                               .read = read_kernel,
                                               .closure = reader,
                                               .bias = bias},
                       form);
}

const char *lift_conv(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    const struct tensor *weight;
    struct window window[AFFINE_AXES];
    struct affine_axis axis[AFFINE_AXES];
    const double *bias = NULL;
    const char *reason = operand_weight(arena, node_input(node, 1), "weight", &weight);
    if (reason)
        return reason;
    int axes = weight->rank - 2;
    if (axes < 1 || axes > AFFINE_AXES || weight->count == 0)
        return arena_format(arena, "its weight has rank %d", weight->rank);
    int64_t outputs = weight->dims[0], groups = node_integer(node, "group", 1), inputs;
    if (groups < 1 || !multiply_fits(weight->dims[1], groups, &inputs))
        return "its group does not fit its weight";
    step->input = node_input(node, 0);
    if (!step->input)
        return "its input is missing";
    const int64_t *extent = lift_source_extent(step->input, axes);
    reason = shape_window(node, axes, weight->dims + 2, extent, window);
    if (reason)
        return reason;
    for (int i = 0; i < axes; i++) {
        struct window w = window[i];
        axis[i] = (struct affine_axis){.stride = w.stride,
                                       .low = -w.pad_begin,
                                       .step = w.kernel > 1 ? w.dilation : 1,
                                       .taps = w.kernel,
                                       .end = w.pad_begin + w.pad_end - (w.kernel - 1) * w.dilation};
        step->sized = step->sized || w.used_extent;
    }
    if (node_input(node, 2)) {
        reason = operand_vector(arena, node->inputs[2], "bias", outputs, &bias, NULL);
        if (reason)
            return reason;
    }
    struct kernel_reader reader = {weight, outputs, weight->count / outputs, false, 1};
    const struct affine *form;
    reason = make_form(arena, axes, axis, inputs, groups, reader, bias, &form);
    step->form = form;
    step->type = weight->type;
    step->parameters = weight->count;
    return reason;
}

const char *lift_matrix(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    const struct tensor *weight;
    bool gemm = node->op == OP_Gemm;
    const char *reason = operand_weight(arena, node_input(node, 1), "weight", &weight);
    if (reason)
        return reason;
    if (weight->rank != 2 || weight->count == 0)
        return arena_format(arena, "its weight has rank %d, expected a matrix", weight->rank);
    if (gemm && node_integer(node, "transA", 0))
        return "it transposes its input";
    step->input = node_input(node, 0);
    if (!step->input)
        return "its input is missing";
    if (!gemm && step->input->rank == 1)
        return "its input is a vector";
    bool transposed = !(gemm && node_integer(node, "transB", 0));
    int64_t outputs = weight->dims[transposed ? 1 : 0], inputs = weight->dims[transposed ? 0 : 1];
    double *bias = NULL;
    if (gemm && node_input(node, 2)) {
        const double *numbers;
        int64_t channels;
        double beta = node_float(node, "beta", 1);
        struct value like = {.rank = 2, .dims = (int64_t[]){-1, outputs}, .graph = node->graph};
        reason = lift_channels(&like, node->inputs[2], LAYOUT_MATRIX, &channels, &numbers);
        if (reason)
            return arena_format(arena, "its operand C: %s", reason);
        bias = NEW_ARRAY(arena, double, outputs);
        for (int64_t i = 0; i < outputs; i++)
            bias[i] = beta * numbers[channels ? i : 0];
    }
    struct kernel_reader reader = {weight, outputs, inputs, transposed, gemm ? node_float(node, "alpha", 1) : 1};
    const struct affine *form;
    reason = make_form(arena, 0, NULL, inputs, 1, reader, bias, &form);
    step->form = form;
    step->type = weight->type;
    step->parameters = weight->count;
    return reason;
}

/* ---- Einsum ---- */

struct equation {
    char operand[2][16], result[16];
};

/* Letters of a product of two operands with an explicit result, blanks left out. */
static bool read_equation(const char *text, struct equation *equation)
{
    char *parts[3] = {equation->operand[0], equation->operand[1], equation->result};
    size_t part = 0, length = 0;
    for (; *text; text++) {
        if (*text == ' ')
            continue;
        if (*text == ',' && part == 0) {
            parts[part++][length] = 0;
            length = 0;
        } else if (text[0] == '-' && text[1] == '>' && part == 1) {
            parts[part++][length] = 0;
            length = 0;
            text++;
        } else if (((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z')) &&
                   length < sizeof(equation->result) - 1 && !memchr(parts[part], *text, length)) {
            parts[part][length++] = *text;
        } else {
            return false;
        }
    }
    parts[part][length] = 0;
    return part == 2;
}

/* One axis of the data, the channels, is multiplied by a constant matrix: a Conv of 1x1, or a MatMul.
 * Source: ONNX Einsum-12. */
const char *lift_einsum(struct node *node, enum layout layout, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    const struct tensor *weight;
    struct equation equation = {0};
    if (node->input_count != 2 || !node_input(node, 0) || !node_input(node, 1) ||
        !read_equation(node_string(arena, node, "equation", ""), &equation))
        return "Einsum is not a product of a value and a matrix";
    size_t constant = constant_of(node->inputs[1], &weight) ? 0 : 1;
    const char *reason = operand_weight(arena, node->inputs[constant], "weight", &weight);
    if (reason)
        return reason;
    const char *data = equation.operand[1 - constant], *matrix = equation.operand[constant];
    size_t rank = strlen(data), axis = layout == LAYOUT_CONV ? 1 : rank - 1;
    if (weight->rank != 2 || strlen(matrix) != 2 || weight->count == 0 || rank < 2 || strlen(equation.result) != rank ||
        (layout == LAYOUT_CONV && rank < 3))
        return "Einsum is not a product of a value and a matrix";
    char input = data[axis], output = equation.result[axis];
    bool transposed = matrix[0] == input && matrix[1] == output;
    if (input == output || strchr(data, output) || !(transposed || (matrix[0] == output && matrix[1] == input)))
        return "Einsum does not multiply the channels by a matrix";
    for (size_t i = 0; i < rank; i++)
        if (i != axis && data[i] != equation.result[i])
            return "Einsum moves axes";
    step->input = node->inputs[1 - constant];
    int64_t outputs = weight->dims[transposed ? 1 : 0], inputs = weight->dims[transposed ? 0 : 1];
    const struct affine *form;
    int axes = layout == LAYOUT_CONV ? (int)rank - 2 : 0;
    struct affine_axis axis_of[16];
    for (int i = 0; i < axes; i++)
        axis_of[i] = (struct affine_axis){.stride = 1, .step = 1, .taps = 1};
    struct kernel_reader reader = {weight, outputs, inputs, transposed, 1};
    reason = make_form(arena, axes, axis_of, inputs, 1, reader, NULL, &form);
    step->form = form;
    step->type = weight->type;
    step->parameters = weight->count;
    return reason;
}
