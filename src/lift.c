/* lift.c: one operator at a time to the algebra, and traces over many. */
#include "lift.h"

#include <math.h>
#include <string.h>

#include "constant.h"
#include "lift_internal.h"
#include "model.h"
#include "shape.h"

/* ---- weights ---- */

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
        /* Piece by piece through a column of the stored matrix: the rows asked for lie together. */
        double piece[64];
        for (int64_t r = 0; r < count; r += (int64_t)COUNT_OF(piece)) {
            int64_t some =
                count - r < (int64_t)COUNT_OF(piece) ? count - r : (int64_t)COUNT_OF(piece);
            for (int64_t k = 0; k < columns; k++) {
                tensor_read(reader->tensor, k * reader->rows + first + r, some, piece);
                for (int64_t i = 0; i < some; i++)
                    out[(r + i) * columns + k] = piece[i];
            }
        }
    }
    if (reader->factor != 1)
        for (int64_t i = 0; i < count * columns; i++)
            out[i] *= reader->factor;
}

/* A constant of a float type that can be read, or the reason. */
const char *lift_weight(struct arena *arena, struct value *value, const char *what,
                        const struct tensor **tensor)
{
    if (!value)
        return arena_format(arena, "its %s is missing", what);
    if (value->is_annotated)
        return arena_format(arena, "its %s '%s' carries a quantization annotation", what,
                            value->name);
    const char *reason = constant_of(value, tensor);
    if (reason)
        return arena_format(arena, "its %s '%s' is not constant: %s", what, value->name, reason);
    if (!type_is_float((*tensor)->type) || !tensor_is_readable(*tensor))
        return arena_format(arena, "its %s '%s' is %s, not a float type that can be folded", what,
                            value->name, type_name((*tensor)->type));
    if ((*tensor)->from_shape)
        return arena_format(arena, "its %s '%s' depends on the shape of a value", what,
                            value->name);
    return NULL;
}

/* A vector of `count` numbers, all of them finite. */
static const char *vector(struct arena *arena, struct value *value, const char *what, int64_t count,
                          const double **numbers, int32_t *type)
{
    const struct tensor *tensor;
    const char *reason = lift_weight(arena, value, what, &tensor);
    if (reason)
        return reason;
    if (tensor->rank != 1 || tensor->count != count)
        return arena_format(arena, "its %s has %lld numbers, expected %lld", what,
                            (long long)tensor->count, (long long)count);
    *numbers = constant_numbers(value, tensor);
    for (int64_t i = 0; i < count; i++)
        if (!isfinite((*numbers)[i]))
            return arena_format(arena, "its %s holds %g in channel %lld", what, (*numbers)[i],
                                (long long)i);
    if (type)
        *type = tensor->type;
    return NULL;
}

/* One identity for all that need one: forms are never changed. */
static const struct affine *identity(struct model *model)
{
    if (!model->identity)
        model->identity = affine_uniform(model->arena, 1, 0);
    return model->identity;
}

static const char *lift_conv(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    const struct tensor *weight;
    struct window window[AFFINE_AXES];
    struct affine_axis axis[AFFINE_AXES];
    const double *bias = NULL;
    const char *reason = lift_weight(arena, node_input(node, 1), "weight", &weight);
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
    bool known = step->input->rank == weight->rank;
    reason =
        shape_window(node, axes, weight->dims + 2, known ? step->input->dims + 2 : NULL, window);
    if (reason)
        return reason;
    for (int i = 0; i < axes; i++) {
        struct window w = window[i];
        axis[i] =
            (struct affine_axis){.stride = w.stride,
                                 .low = -w.pad_begin,
                                 .step = w.kernel > 1 ? w.dilation : 1,
                                 .taps = w.kernel,
                                 .end = w.pad_begin + w.pad_end - (w.kernel - 1) * w.dilation};
        step->sized = step->sized || w.used_extent;
    }
    if (node_input(node, 2)) {
        reason = vector(arena, node->inputs[2], "bias", outputs, &bias, NULL);
        if (reason)
            return reason;
    }
    struct kernel_reader *reader = NEW(arena, struct kernel_reader);
    *reader = (struct kernel_reader){weight, outputs, weight->count / outputs, false, 1};
    struct affine *form;
    reason =
        affine_make(arena, axes, axis, outputs, inputs, groups, read_kernel, reader, bias, &form);
    step->form = form;
    step->type = weight->type;
    step->parameters = weight->count;
    return reason;
}

static const char *lift_matrix(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    const struct tensor *weight;
    bool gemm = node->op == OP_Gemm;
    const char *reason = lift_weight(arena, node_input(node, 1), "weight", &weight);
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
    struct kernel_reader *reader = NEW(arena, struct kernel_reader);
    *reader = (struct kernel_reader){weight, outputs, inputs, transposed,
                                     gemm ? node_float(node, "alpha", 1) : 1};
    struct affine *form;
    reason = affine_make(arena, 0, NULL, outputs, inputs, 1, read_kernel, reader, bias, &form);
    step->form = form;
    step->type = weight->type;
    step->parameters = weight->count;
    return reason;
}

/* ---- per channel ---- */

const char *lift_channels(const struct value *data, struct value *operand, enum layout layout,
                          int64_t *channels, const double **numbers)
{
    struct arena *arena = data->graph->model->arena;
    const struct tensor *tensor;
    const char *reason = lift_weight(arena, operand, "operand", &tensor);
    if (reason)
        return reason;
    /* Numpy broadcasting aligns shapes at their last axis. */
    int rank = data->rank;
    if (tensor->count == 1) {
        if (tensor->rank > (rank >= 0 ? rank : layout == LAYOUT_CONV ? 3 : 1))
            return "a constant of higher rank broadcasts the value";
        *channels = 0;
    } else {
        int from_end = layout == LAYOUT_MATRIX ? 1 : rank - 1;
        if (rank < 0 && (layout == LAYOUT_CONV || tensor->rank != 1))
            return "the rank of the value is not known";
        if (rank >= 0 && tensor->rank > rank)
            return "a constant of higher rank broadcasts the value";
        if (layout == LAYOUT_CONV && rank < 3)
            return "the value has no spatial axis";
        int axis = tensor->rank - from_end;
        for (int i = 0; i < tensor->rank; i++)
            if (i != axis && tensor->dims[i] != 1)
                return "the constant is not per channel: it broadcasts along another axis "
                       "(spatial)";
        int64_t width = data->rank >= 0 ? data->dims[rank - from_end] : -1;
        if (axis < 0 || tensor->count < 1)
            return "the constant is not per channel";
        if (width != tensor->dims[axis] && !(width < 0 && layout == LAYOUT_MATRIX && rank < 0))
            return width < 0 ? "the number of channels is not known"
                             : "the constant broadcasts the channels";
        *channels = tensor->dims[axis];
    }
    *numbers = constant_numbers(operand, tensor);
    for (int64_t i = 0; i < tensor->count; i++)
        if (!isfinite((*numbers)[i]))
            return arena_format(arena, "the constant holds %g", (*numbers)[i]);
    return NULL;
}

static const char *lift_batch_normalization(struct node *node, enum layout layout,
                                            struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    const struct value *scale_value = node_input(node, 1);
    const double *gamma, *beta, *mean, *variance;
    const struct tensor *tensor;
    size_t named = 0;
    for (size_t i = 0; i < node->output_count; i++)
        named += node->outputs[i] != NULL;
    if (named > 1)
        return "BatchNormalization with more than one output is in training mode";
    if (node->opset >= 14 && node_integer(node, "training_mode", 0))
        return "BatchNormalization is in training mode";
    if (node->opset < 9 && !node_integer(node, "spatial", 1))
        return "BatchNormalization normalizes each position by itself (spatial = 0)";
    step->input = node_input(node, 0);
    if (!step->input || !scale_value)
        return "an input is missing";
    if (layout == LAYOUT_MATRIX && step->input->rank != 2)
        return "BatchNormalization works on axis 1, which is not the last";
    if (layout == LAYOUT_CONV && step->input->rank >= 0 && step->input->rank < 3)
        return "the value has no spatial axis";
    const char *reason = lift_weight(arena, node->inputs[1], "scale", &tensor);
    if (reason)
        return reason;
    int64_t channels = tensor->count;
    int32_t type = 0;
    if (!reason)
        reason = vector(arena, node_input(node, 1), "scale", channels, &gamma, &type);
    if (!reason)
        reason = vector(arena, node_input(node, 2), "B", channels, &beta, NULL);
    if (!reason)
        reason = vector(arena, node_input(node, 3), "mean", channels, &mean, NULL);
    if (!reason)
        reason = vector(arena, node_input(node, 4), "var", channels, &variance, NULL);
    if (reason)
        return reason;
    double epsilon = node_float(node, "epsilon", (double)1e-5f);
    double *scale = NEW_ARRAY(arena, double, channels + 1);
    double *shift = NEW_ARRAY(arena, double, channels + 1);
    for (int64_t c = 0; c < channels; c++) {
        if (!(variance[c] + epsilon > 0))
            return arena_format(arena, "var + epsilon is %g in channel %lld, expected more than 0",
                                variance[c] + epsilon, (long long)c);
        scale[c] = gamma[c] / sqrt(variance[c] + epsilon);
        shift[c] = beta[c] - mean[c] * scale[c];
    }
    struct affine *form;
    reason = affine_scale_shift(arena, channels, scale, shift, &form);
    step->form = form;
    /* From opset 15 on the parameters may be of another type than the data. */
    step->type = node->opset < 15 ? type : 0;
    step->parameters = 4 * channels;
    return reason;
}

/* scale * x + shift with a constant operand on one side. */
static const char *lift_constant_operand(struct node *node, enum layout layout, struct value *data,
                                         struct value *operand, bool constant_first,
                                         struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    const double *numbers;
    int64_t channels;
    const char *reason = lift_channels(data, operand, layout, &channels, &numbers);
    if (reason)
        return reason;
    if (operand->is_annotated)
        return "its operand carries a quantization annotation";
    int64_t count = channels ? channels : 1;
    double *scale = NEW_ARRAY(arena, double, count), *shift = NEW_ARRAY(arena, double, count);
    for (int64_t c = 0; c < count; c++) {
        scale[c] = 1;
        switch (node->op) {
        case OP_Mul: scale[c] = numbers[c]; break;
        case OP_Div:
            scale[c] = 1 / numbers[c];
            if (!isfinite(scale[c]))
                return "it divides by 0 or by a number whose reciprocal is not finite";
            break;
        case OP_Sub:
            scale[c] = constant_first ? -1 : 1;
            shift[c] = constant_first ? numbers[c] : -numbers[c];
            break;
        default: shift[c] = numbers[c];
        }
    }
    struct affine *form;
    if (channels) {
        reason = affine_scale_shift(arena, channels, scale, shift, &form);
    } else {
        form = affine_uniform(arena, scale[0], shift[0]);
    }
    step->input = data;
    step->form = form;
    step->parameters = count;
    return reason;
}

static const char *lift_product(struct node *node, enum layout layout, struct step *step)
{
    struct value *a = node_input(node, 0), *b = node_input(node, 1);
    const struct tensor *tensor;
    if (!a || !b)
        return "an operand is missing";
    if (!constant_of(b, &tensor))
        return lift_constant_operand(node, layout, a, b, false, step);
    if (constant_of(a, &tensor))
        return a == b ? "x * x is not linear"
                      : "it combines two values that are not constant, so it is not linear";
    if (node->op == OP_Div)
        return "a constant divided by a value is not linear";
    return lift_constant_operand(node, layout, b, a, true, step);
}

/* Add, Sub, Sum, Mean: a constant operand shifts, the others are joined. */
static const char *lift_sum(struct node *node, enum layout layout, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    bool binary = node->op == OP_Add || node->op == OP_Sub;
    const struct tensor *tensor;
    size_t constants = 0;
    if (binary && node->input_count != 2)
        return "an operand is missing";
    if (node->input_count == 0)
        return "it has no operand";
    double factor = node->op == OP_Mean ? 1.0 / (double)node->input_count : 1;
    step->terms = NEW_ARRAY(arena, struct step_term, node->input_count);
    step->form = identity(node->graph->model);
    for (size_t k = 0; k < node->input_count; k++) {
        struct value *operand = node->inputs[k];
        if (!operand)
            return "an operand is missing";
        if (!constant_of(operand, &tensor)) {
            constants++;
            continue;
        }
        bool negative = node->op == OP_Sub && k == 1;
        step->terms[step->term_count++] = (struct step_term){operand, negative ? -factor : factor};
    }
    if (step->term_count == 0)
        return "it is a constant";
    if (!constants)
        return NULL;
    if (!binary)
        return "it sums constants and values in one op";
    step->term_count = 0;
    bool first = !constant_of(node->inputs[0], &tensor);
    return lift_constant_operand(node, layout, node->inputs[first], node->inputs[!first], first,
                                 step);
}

static const char *lift_dropout(struct node *node, struct step *step)
{
    struct value *mode = node_input(node, 2);
    const struct tensor *tensor;
    int64_t live = 1;
    if (mode && (constant_of(mode, &tensor) || tensor->count != 1 ||
                 !tensor_read_integers(tensor, &live) || live))
        return "Dropout may be in training mode";
    step->input = node_input(node, 0);
    step->form = identity(node->graph->model);
    return NULL;
}

static const char *lift_unary(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    step->input = node_input(node, 0);
    if (!step->input)
        return "its input is missing";
    step->form = node->op == OP_Neg ? affine_uniform(arena, -1, 0) : identity(node->graph->model);
    if (node->op != OP_Cast)
        return NULL;
    int32_t to = (int32_t)node_integer(node, "to", 0);
    if (to != step->input->type || !type_is_float(to))
        return arena_format(arena, "it casts from %s to %s",
                            step->input->type ? type_name(step->input->type) : "an unknown type",
                            type_name(to));
    return NULL;
}

static const char *lift_average_pool(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    struct window window[AFFINE_AXES];
    struct affine_axis axis[AFFINE_AXES];
    size_t axes;
    const int64_t *kernel = node_integers(node, "kernel_shape", &axes);
    if (!kernel || axes < 1 || axes > AFFINE_AXES)
        return "its kernel_shape is missing or has too many axes";
    step->input = node_input(node, 0);
    if (!step->input)
        return "its input is missing";
    const int64_t *extent = step->input->rank == (int)axes + 2 ? step->input->dims + 2 : NULL;
    const char *reason = shape_window(node, (int)axes, NULL, extent, window);
    if (reason)
        return reason;
    bool whole = node_integer(node, "count_include_pad", 0) != 0;
    double taps = 1;
    for (size_t i = 0; i < axes; i++) {
        struct window w = window[i];
        int64_t span = (w.kernel - 1) * w.dilation;
        if (!whole && (w.pad_begin || w.pad_end))
            return "AveragePool leaves its padding out of the average, so the border weighs "
                   "differently";
        axis[i] = (struct affine_axis){.stride = w.stride,
                                       .low = -w.pad_begin,
                                       .step = w.kernel > 1 ? w.dilation : 1,
                                       .taps = w.kernel,
                                       .end = w.pad_begin + w.pad_end - span};
        if (node_integer(node, "ceil_mode", 0) && w.stride > 1) {
            if (!extent || extent[i] < 1)
                return "AveragePool rounds its output size up (ceil_mode), and its input size is "
                       "not known";
            if ((extent[i] - 1 + axis[i].end) % w.stride)
                return "AveragePool's last window hangs over the end (ceil_mode)";
            step->sized = true;
        }
        step->sized = step->sized || w.used_extent;
        taps *= (double)w.kernel;
    }
    struct affine *form;
    reason = affine_box(arena, (int)axes, axis, 1 / taps, &form);
    step->form = form;
    return reason;
}

/* ---- extents ---- */

const char *lift_integers(struct node *node, size_t index, const char *what, int64_t *numbers,
                          size_t room, size_t *count, bool *sized)
{
    struct arena *arena = node->graph->model->arena;
    const struct tensor *tensor;
    const char *reason = constant_of(node->inputs[index], &tensor);
    if (reason)
        return arena_format(arena, "its %s is not constant: %s", what, reason);
    if (tensor->count > (int64_t)room || !tensor_read_integers(tensor, numbers))
        return arena_format(arena, "its %s cannot be read", what);
    *count = (size_t)tensor->count;
    *sized = *sized || tensor->from_shape;
    return NULL;
}

enum { MAX_RANK = AFFINE_AXES + 2 };

/* Axes given by input or attribute, made positive; all axes when absent. */
static const char *read_axes(struct node *node, size_t index, int rank, int64_t *axes,
                             size_t *count, bool *sized)
{
    if (node_input(node, index)) {
        const char *reason = lift_integers(node, index, "axes", axes, MAX_RANK, count, sized);
        if (reason)
            return reason;
    } else {
        for (int i = 0; i < rank; i++)
            axes[i] = i;
        *count = (size_t)rank;
    }
    bool seen[MAX_RANK] = {false};
    for (size_t i = 0; i < *count; i++) {
        axes[i] += axes[i] < 0 ? rank : 0;
        if (axes[i] < 0 || axes[i] >= rank || seen[axes[i]])
            return "its axes are outside the value or repeated";
        seen[axes[i]] = true;
    }
    return NULL;
}

const char *lift_pad_amounts(struct node *node, int64_t *begin, int64_t *end, int *rank,
                             bool *sized)
{
    int64_t pads[2 * MAX_RANK], axes[MAX_RANK];
    size_t count = 0, axis_count = 0;
    if (strcmp(node_string(node->graph->model->arena, node, "mode", "constant"), "constant") != 0)
        return "Pad repeats values of the border (reflect, edge or wrap)";
    if (!node_input(node, 0))
        return "its input is missing";
    if (node->opset < 11) {
        const int64_t *attribute = node_integers(node, "pads", &count);
        if (!attribute || count > COUNT_OF(pads))
            return "its pads are missing";
        memcpy(pads, attribute, count * sizeof(*pads));
    } else {
        if (!node_input(node, 1))
            return "its pads are missing";
        const char *reason = lift_integers(node, 1, "pads", pads, COUNT_OF(pads), &count, sized);
        if (reason)
            return reason;
    }
    *rank = node_input(node, 3) ? node->inputs[0]->rank : (int)count / 2;
    if (*rank < 2 || *rank > MAX_RANK ||
        (node->inputs[0]->rank >= 0 && node->inputs[0]->rank != *rank))
        return "the rank of the value is not known or does not fit";
    const char *reason = read_axes(node, 3, *rank, axes, &axis_count, sized);
    if (reason)
        return reason;
    if (count != 2 * axis_count)
        return "its pads do not fit its axes";
    memset(begin, 0, (size_t)*rank * sizeof(*begin));
    memset(end, 0, (size_t)*rank * sizeof(*end));
    for (size_t i = 0; i < axis_count; i++) {
        begin[axes[i]] = pads[i];
        end[axes[i]] = pads[axis_count + i];
    }
    return NULL;
}

/* The number a Pad fills with. */
static const char *pad_value(struct node *node, double *value)
{
    const struct tensor *tensor;
    *value = node->opset < 11 ? node_float(node, "value", 0) : 0;
    if (node->opset < 11 || !node_input(node, 2))
        return NULL;
    const char *reason = constant_of(node->inputs[2], &tensor);
    if (reason || tensor->count != 1 || !tensor_is_readable(tensor))
        return "Pad fills with a value that is not constant";
    tensor_read(tensor, 0, 1, value);
    return NULL;
}

static const char *lift_pad(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    int64_t begin[MAX_RANK], end[MAX_RANK];
    double value;
    int rank;
    const char *reason = lift_pad_amounts(node, begin, end, &rank, &step->sized);
    if (!reason)
        reason = pad_value(node, &value);
    if (reason)
        return reason;
    if (value != 0)
        return arena_format(arena, "Pad fills with %g, not with 0", value);
    if (begin[0] || end[0] || begin[1] || end[1] || rank < 3)
        return "Pad changes the batch or the channels";
    step->input = node->inputs[0];
    struct affine *form;
    reason = affine_pad(arena, rank - 2, begin + 2, end + 2, 0, NULL, 0, &form);
    step->form = form;
    return reason;
}

/* Start and end of a Slice with step 1 along one axis, as amounts cropped. extent -1: unknown. */
static const char *crop(int64_t start, int64_t stop, int64_t extent, int64_t *begin, int64_t *end,
                        bool *sized)
{
    const int64_t open = INT32_MAX; /* exporters write it, or INT64_MAX, for "to the end" */
    if (extent < 0 && (start < 0 || (stop >= 0 && stop < open)))
        return "Slice counts from a size that is not known";
    if (start < 0 || (stop >= 0 && stop < open))
        *sized = true;
    if (extent >= 0) {
        start += start < 0 ? extent : 0;
        stop += stop < 0 ? extent : 0;
        start = start < 0 ? 0 : start > extent ? extent : start;
        stop = stop < 0 ? 0 : stop > extent ? extent : stop;
        if (stop <= start)
            return "Slice leaves nothing";
        *begin = start;
        *end = extent - stop;
        return NULL;
    }
    *begin = start;
    *end = stop >= open ? 0 : -stop;
    return NULL;
}

static const char *lift_slice(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    int64_t starts[MAX_RANK], stops[MAX_RANK], steps[MAX_RANK], axes[MAX_RANK];
    int64_t begin[MAX_RANK] = {0}, end[MAX_RANK] = {0};
    size_t count = 0, stop_count = 0, axis_count = 0, step_count = 0;
    struct value *input = node_input(node, 0);
    const char *reason = NULL;
    if (!input)
        return "its input is missing";
    int rank = input->rank;
    if (rank < 3 || rank > MAX_RANK)
        return "the rank of the value is not known or does not fit";
    if (node->opset < 10) {
        const int64_t *a = node_integers(node, "starts", &count);
        const int64_t *b = node_integers(node, "ends", &stop_count);
        const int64_t *c = node_integers(node, "axes", &axis_count);
        if (!a || !b || count > MAX_RANK || stop_count != count || (c && axis_count != count))
            return "its starts, ends and axes do not fit";
        for (size_t i = 0; i < count; i++) {
            starts[i] = a[i];
            stops[i] = b[i];
            axes[i] = c ? c[i] : (int64_t)i;
            axes[i] += axes[i] < 0 ? rank : 0;
            if (axes[i] < 0 || axes[i] >= rank)
                return "its axes are outside the value";
        }
    } else {
        if (!node_input(node, 1) || !node_input(node, 2))
            return "its starts or ends are missing";
        reason = lift_integers(node, 1, "starts", starts, MAX_RANK, &count, &step->sized);
        if (!reason)
            reason = lift_integers(node, 2, "ends", stops, MAX_RANK, &stop_count, &step->sized);
        if (!reason)
            reason = read_axes(node, 3, rank, axes, &axis_count, &step->sized);
        if (!reason && node_input(node, 4))
            reason = lift_integers(node, 4, "steps", steps, MAX_RANK, &step_count, &step->sized);
        if (reason)
            return reason;
        if (!node_input(node, 3))
            axis_count = count;
        if (stop_count != count || axis_count != count || (step_count && step_count != count))
            return "its starts, ends, axes and steps do not fit";
    }
    for (size_t i = 0; i < count; i++) {
        if (step_count && steps[i] != 1)
            return "Slice has a step other than 1";
        int64_t axis = axes[i];
        reason =
            crop(starts[i], stops[i], input->dims[axis], &begin[axis], &end[axis], &step->sized);
        if (reason)
            return reason;
        if (axis < 2 && (begin[axis] || end[axis]))
            return "Slice changes the batch or the channels";
        begin[axis] = -begin[axis];
        end[axis] = -end[axis];
    }
    step->input = input;
    struct affine *form;
    reason = affine_pad(arena, rank - 2, begin + 2, end + 2, 0, NULL, 0, &form);
    step->form = form;
    return reason;
}

/* ---- steps ---- */

static const char *lift(struct node *node, enum layout layout, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    bool conv = layout == LAYOUT_CONV;
    switch (node->op) {
    case OP_Conv: return conv ? lift_conv(node, step) : "Conv is no matrix product";
    case OP_Gemm:
    case OP_MatMul: return conv ? "a matrix product is no convolution" : lift_matrix(node, step);
    case OP_BatchNormalization: return lift_batch_normalization(node, layout, step);
    case OP_Mul:
    case OP_Div: return lift_product(node, layout, step);
    case OP_Add:
    case OP_Sub:
    case OP_Sum:
    case OP_Mean: return lift_sum(node, layout, step);
    case OP_Identity:
    case OP_Neg:
    case OP_Cast: return lift_unary(node, step);
    case OP_Dropout: return lift_dropout(node, step);
    case OP_AveragePool:
        return conv ? lift_average_pool(node, step) : "a pool is no matrix product";
    case OP_Pad: return conv ? lift_pad(node, step) : "Pad is no matrix product";
    case OP_Slice: return conv ? lift_slice(node, step) : "Slice is no matrix product";
    case OP_ScatterND: return conv ? lift_border(node, step) : "ScatterND is no matrix product";
    case OP_ConvTranspose: return "ConvTranspose folds only what follows it per channel";
    default:
        return arena_format(arena, "%s is not a linear op that is known",
                            node->proto->op_type ? node->proto->op_type : "an op without a name");
    }
}

const struct step *lift_node(struct node *node, enum layout layout)
{
    if (!node->steps[layout]) {
        struct step *step = NEW(node->graph->model->arena, struct step);
        step->reason = lift(node, layout, step);
        node->steps[layout] = step;
    }
    return node->steps[layout];
}

bool lift_is_weighted(struct node *node, enum layout layout)
{
    enum op op = node->op;
    bool right = layout == LAYOUT_CONV ? op == OP_Conv : op == OP_Gemm || op == OP_MatMul;
    return right && !lift_node(node, layout)->reason;
}

/* ---- traces ---- */

/* Nearest sources kept per value, and nodes walked back: branches are short, chains may not be. */
enum { TRACE_SOURCES = 24, TRACE_DEPTH = 48 };

static const struct trace *trace(struct value *value, enum layout layout, int depth);

static bool merge_types(int32_t a, int32_t b, int32_t *type)
{
    *type = a ? a : b;
    return !a || !b || a == b;
}

static void push_entry(struct arena *arena, struct trace *trace_, struct trace_entry entry)
{
    if (trace_->sources.count < TRACE_SOURCES)
        LIST_PUSH(arena, &trace_->sources, entry);
    trace_->entries = trace_->sources.items;
    trace_->count = trace_->sources.count;
}

static void trace_through(struct arena *arena, const struct step *step, struct value *source,
                          const struct affine *inner, int32_t type, bool sized, struct trace *out)
{
    struct affine *form;
    int32_t merged;
    const char *reason = affine_compose(arena, step->form, inner, &form);
    if (!reason && !merge_types(step->type, type, &merged))
        reason =
            arena_format(arena, "mixed types: %s and %s", type_name(step->type), type_name(type));
    if (reason) {
        if (!out->reason)
            out->reason = reason;
        return;
    }
    push_entry(arena, out, (struct trace_entry){source, form, merged, step->sized || sized});
}

static const struct trace_entry *find_source(const struct trace *trace_, const struct value *source)
{
    for (size_t i = 0; i < trace_->count; i++)
        if (trace_->entries[i].source == source)
            return &trace_->entries[i];
    return NULL;
}

const int64_t *lift_source_extent(const struct value *source, int axes)
{
    return axes > 0 && source->rank == axes + 2 ? source->dims + 2 : NULL;
}

static void trace_join(struct arena *arena, const struct step *step, enum layout layout, int depth,
                       struct trace *out)
{
    const struct trace **traces = NEW_ARRAY(arena, const struct trace *, step->term_count);
    struct affine_term *terms = NEW_ARRAY(arena, struct affine_term, step->term_count);
    for (size_t k = 0; k < step->term_count; k++) {
        traces[k] = trace(step->terms[k].value, layout, depth + 1);
        out->truncated = out->truncated || traces[k]->truncated;
    }
    for (size_t i = 0; i < traces[0]->count; i++) {
        struct value *source = traces[0]->entries[i].source;
        int32_t type = 0;
        bool sized = false;
        const char *reason = NULL;
        int axes = -1;
        for (size_t k = 0; k < step->term_count && !reason; k++) {
            const struct trace_entry *entry = find_source(traces[k], source);
            if (!entry)
                reason = "the branches have different sources";
            else if (!merge_types(type, entry->type, &type))
                reason = "the branches are of mixed types";
            else {
                terms[k] = (struct affine_term){entry->form, step->terms[k].factor};
                sized = sized || entry->sized;
                axes = entry->form->axes > axes ? entry->form->axes : axes;
            }
        }
        struct affine *joined;
        if (!reason)
            reason = affine_join(arena, terms, step->term_count, lift_source_extent(source, axes),
                                 &joined, &sized);
        if (!reason)
            trace_through(arena, step, source, joined, type, sized, out);
        else if (!out->reason)
            out->reason = reason;
    }
}

static const struct trace *trace(struct value *value, enum layout layout, int depth)
{
    struct model *model = value->graph->model;
    const struct trace *known = value->traces[layout];
    if (known && value->trace_stamps[layout] == model->stamp &&
        (!known->truncated || known->depth <= depth))
        return known;
    struct trace *out = NEW(model->arena, struct trace);
    push_entry(model->arena, out, (struct trace_entry){value, identity(model), 0, false});
    out->depth = depth;
    value->traces[layout] = out;
    value->trace_stamps[layout] = model->stamp;
    struct node *node = value->producer;
    if (!node || node->outputs[0] != value || depth == TRACE_DEPTH) {
        out->reason = "it is a source";
        out->truncated = depth == TRACE_DEPTH;
        return out;
    }
    const struct step *step = lift_node(node, layout);
    out->node = node;
    if (step->reason) {
        out->reason = step->reason;
        return out;
    }
    if (step->term_count) {
        trace_join(model->arena, step, layout, depth, out);
    } else if (step->input) {
        const struct trace *sub = trace(step->input, layout, depth + 1);
        out->truncated = sub->truncated;
        for (size_t i = 0; i < sub->count; i++)
            trace_through(model->arena, step, sub->entries[i].source, sub->entries[i].form,
                          sub->entries[i].type, sub->entries[i].sized, out);
        if (!out->reason) { /* nothing stopped it here: it ends where its input's trace does */
            out->node = sub->node;
            out->reason = sub->reason;
        }
    }
    return out;
}

const struct trace *lift_trace(struct value *value, enum layout layout)
{
    return trace(value, layout, 0);
}

void lift_forget(struct model *model)
{
    model->stamp++;
}
