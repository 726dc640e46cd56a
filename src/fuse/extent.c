/* fuse/extent.c: ops that move or average positions: Pad, Slice, AveragePool. */
#include "fuse/extent.h"

#include "affine/laws.h"
#include "base/decimal.h"
#include "infer/constant.h"
#include "infer/operand.h"
#include "infer/window.h"

struct pool {
    struct window window[AFFINE_AXES];
    size_t axes;
    const int64_t *extent; /* of its input; or NULL */
};

/* Sets step->input, too. */
static const char *read_pool(struct node *node, struct step *step, struct pool *pool)
{
    const int64_t *kernel = node_integers(node, "kernel_shape", &pool->axes);
    if (!kernel || pool->axes < 1 || pool->axes > AFFINE_AXES)
        return "its kernel_shape is missing or has too many axes";
    step->input = node_input(node, 0);
    if (!step->input)
        return "its input is missing";
    pool->extent = lift_source_extent(step->input, (int)pool->axes);
    return shape_window(node, (int)pool->axes, NULL, pool->extent, pool->window);
}

const char *lift_average_pool(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    struct affine_axis axis[AFFINE_AXES];
    struct pool pool;
    const char *reason = read_pool(node, step, &pool);
    if (reason)
        return reason;
    bool whole = node_integer(node, "count_include_pad", 0) != 0;
    double taps = 1;
    for (size_t i = 0; i < pool.axes; i++) {
        struct window w = pool.window[i];
        int64_t span = (w.kernel - 1) * w.dilation;
        if (!whole && (w.pad_begin || w.pad_end))
            return "AveragePool does not count its padding, so its weights at the border differ";
        axis[i] = (struct affine_axis){.stride = w.stride,
                                       .low = -w.pad_begin,
                                       .step = w.kernel > 1 ? w.dilation : 1,
                                       .taps = w.kernel,
                                       .end = w.pad_begin + w.pad_end - span};
        if (node_integer(node, "ceil_mode", 0) && w.stride > 1) {
            if (!pool.extent || pool.extent[i] < 1)
                return "AveragePool rounds its output size up (ceil_mode), and its input size is "
                       "not known";
            if (((pool.extent[i] - 1) % w.stride + axis[i].end) % w.stride)
                return "AveragePool's last window reaches past the end (ceil_mode)";
            step->sized = true;
        }
        if (pool.extent && pool.extent[i] > 0 && pool.extent[i] + axis[i].end < 1)
            return "its window is larger than its input: a pool gives nothing there, a Conv fails";
        step->sized = step->sized || w.used_extent;
        taps *= (double)w.kernel;
    }
    const struct affine *form;
    reason = affine_box(arena, (int)pool.axes, axis, 1 / taps, &form);
    step->form = form;
    return reason;
}

enum { MAX_RANK = AFFINE_AXES + 2 };

/* Axes given by input or attribute, made positive; all axes when absent. */
static const char *read_axes(struct node *node, size_t index, int rank, int64_t *axes, size_t *count, bool *sized)
{
    if (node_input(node, index)) {
        const char *reason = operand_integers(node, index, "axes", axes, MAX_RANK, count, sized);
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

const char *lift_pad_amounts(struct node *node, int64_t *begin, int64_t *end, int *rank, bool *sized)
{
    int64_t pads[2 * MAX_RANK], axes[MAX_RANK];
    size_t count = 0, axis_count = 0;
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
        const char *reason = operand_integers(node, 1, "pads", pads, COUNT_OF(pads), &count, sized);
        if (reason)
            return reason;
    }
    *rank = node_input(node, 3) ? node->inputs[0]->rank : (int)count / 2;
    if (*rank < 2 || *rank > MAX_RANK || (node->inputs[0]->rank >= 0 && node->inputs[0]->rank != *rank))
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

const char *lift_pad_fill(struct node *node, double *value)
{
    const struct tensor *tensor;
    *value = node->opset < 11 ? node_float(node, "value", 0) : 0;
    if (node->opset < 11 || !node_input(node, 2))
        return NULL;
    const char *reason = constant_of(node->inputs[2], &tensor);
    if (reason)
        return arena_format(node->graph->model->arena, "Pad fills with a value that %s", reason);
    if (tensor->count != 1 || !tensor_is_readable(tensor))
        return "Pad fills with more than one number";
    tensor_read(tensor, 0, 1, value);
    return NULL;
}

const char *lift_pad_mode(struct node *node)
{
    const char *mode = node_string(node->graph->model->arena, node, "mode", "constant");
    return strcmp(mode, "constant") == 0 ? NULL : "Pad copies values of its input (mode reflect, edge or wrap)";
}

const char *lift_crop_back(struct node *node, const struct affine **form, bool *sized)
{
    int64_t begin[MAX_RANK], end[MAX_RANK];
    int rank;
    const char *reason = lift_pad_amounts(node, begin, end, &rank, sized);
    if (reason)
        return reason;
    if (begin[0] || end[0] || begin[1] || end[1] || rank < 3)
        return "Pad pads the batch or the channels";
    for (int i = 2; i < rank; i++) {
        if (begin[i] < 0 || end[i] < 0)
            return "Pad crops: one of its widths is negative";
        begin[i] = -begin[i];
        end[i] = -end[i];
    }
    return affine_pad(node->graph->model->arena, rank - 2, begin + 2, end + 2, 0, NULL, 0, form);
}

const char *lift_pad(struct node *node, struct step *step, bool *selects)
{
    struct arena *arena = node->graph->model->arena;
    int64_t begin[MAX_RANK], end[MAX_RANK];
    double value;
    int rank;
    const char *reason = lift_pad_mode(node);
    if (!reason)
        reason = lift_pad_amounts(node, begin, end, &rank, &step->sized);
    if (!reason)
        reason = lift_pad_fill(node, &value);
    if (reason)
        return reason;
    if (value != 0)
        return arena_format(arena, "Pad fills with %s, but a Conv pads with 0", decimal_rounded(value, 6).text);
    if (rank < 3)
        return "the value has no spatial axis";
    if (begin[0] || end[0])
        return "Pad pads the batch";
    step->input = node->inputs[0];
    const struct affine *form;
    reason = affine_pad(arena, rank - 2, begin + 2, end + 2, 0, NULL, 0, &form);
    step->form = form;
    *selects = begin[1] || end[1];
    return reason;
}

/* A MaxPool of single elements picks some of them. Source: ONNX MaxPool-1 .. MaxPool-22. */
const char *lift_max_pool(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    struct affine_axis axis[AFFINE_AXES];
    struct pool pool;
    const char *reason = read_pool(node, step, &pool);
    if (reason)
        return reason;
    for (size_t i = 0; i < pool.axes; i++) {
        struct window w = pool.window[i];
        if (w.kernel != 1 || w.pad_begin || w.pad_end || (w.stride > 1 && node_integer(node, "ceil_mode", 0)))
            return "MaxPool " REASON_NOT_LINEAR;
        axis[i] = (struct affine_axis){.stride = w.stride, .step = 1, .taps = 1};
    }
    const struct affine *form;
    reason = affine_box(arena, (int)pool.axes, axis, 1, &form);
    step->form = form;
    return reason;
}

/* Start and end of a Slice with a positive step along one axis, as amounts cropped. extent -1: unknown. */
static const char *crop(int64_t start, int64_t stop, int64_t extent, int64_t *begin, int64_t *end, bool *sized)
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
            return "Slice gives an empty value";
        *begin = start;
        *end = extent - stop;
        return NULL;
    }
    if (stop <= -open)
        return "Slice gives an empty value";
    *begin = start;
    *end = stop >= open ? 0 : -stop;
    return NULL;
}

struct cuts {
    int64_t starts[MAX_RANK], ends[MAX_RANK], steps[MAX_RANK], axes[MAX_RANK];
    size_t count;
};

static const char *attribute_cuts(const struct node *node, int rank, struct cuts *cuts)
{
    size_t end_count = 0, axis_count = 0;
    const int64_t *starts = node_integers(node, "starts", &cuts->count);
    const int64_t *ends = node_integers(node, "ends", &end_count);
    const int64_t *axes = node_integers(node, "axes", &axis_count);
    if (!starts || !ends || cuts->count > MAX_RANK || end_count != cuts->count || (axes && axis_count != cuts->count))
        return "its starts, ends and axes do not fit";
    for (size_t i = 0; i < cuts->count; i++) {
        int64_t axis = axes ? axes[i] : (int64_t)i;
        cuts->starts[i] = starts[i];
        cuts->ends[i] = ends[i];
        cuts->steps[i] = 1;
        cuts->axes[i] = axis + (axis < 0 ? rank : 0);
        if (cuts->axes[i] < 0 || cuts->axes[i] >= rank)
            return "its axes are outside the value";
    }
    return NULL;
}

static const char *input_cuts(struct node *node, int rank, struct cuts *cuts, bool *sized)
{
    size_t end_count = 0, axis_count = 0, step_count = 0;
    if (!node_input(node, 1) || !node_input(node, 2))
        return "its starts or ends are missing";
    const char *reason = operand_integers(node, 1, "starts", cuts->starts, MAX_RANK, &cuts->count, sized);
    if (!reason)
        reason = operand_integers(node, 2, "ends", cuts->ends, MAX_RANK, &end_count, sized);
    if (!reason)
        reason = read_axes(node, 3, rank, cuts->axes, &axis_count, sized);
    if (!reason && node_input(node, 4))
        reason = operand_integers(node, 4, "steps", cuts->steps, MAX_RANK, &step_count, sized);
    if (reason)
        return reason;
    if (end_count != cuts->count || (node_input(node, 3) && axis_count != cuts->count) ||
        (step_count && step_count != cuts->count))
        return "its starts, ends, axes and steps do not fit";
    for (size_t i = 0; i < cuts->count && !step_count; i++)
        cuts->steps[i] = 1;
    return NULL;
}

const char *lift_slice(struct node *node, struct step *step, bool *selects)
{
    struct arena *arena = node->graph->model->arena;
    struct affine_axis axis_of[MAX_RANK];
    struct cuts cuts = {.count = 0};
    struct value *input = node_input(node, 0);
    if (!input)
        return "its input is missing";
    int rank = input->rank;
    if (rank < 3 || rank > MAX_RANK)
        return "the rank of the value is not known or does not fit";
    for (int i = 0; i < rank; i++)
        axis_of[i] = (struct affine_axis){.stride = 1, .step = 1, .taps = 1};
    const char *reason =
        node->opset < 10 ? attribute_cuts(node, rank, &cuts) : input_cuts(node, rank, &cuts, &step->sized);
    for (size_t i = 0; i < cuts.count && !reason; i++) {
        int64_t axis = cuts.axes[i], begin = 0, end = 0;
        if (cuts.steps[i] < 1 || cuts.steps[i] > INT32_MAX)
            return "Slice has a step that is not 1, or is out of range";
        int64_t extent = input->disputed ? -1 : input->dims[axis];
        bool sized = false;
        reason = crop(cuts.starts[i], cuts.ends[i], extent, &begin, &end, &sized);
        /* The channels are as many as the form says. */
        step->sized = step->sized || (sized && axis != 1);
        if (!reason && axis == 0 && (begin || end || cuts.steps[i] != 1))
            reason = "Slice changes the batch";
        if (!reason)
            axis_of[axis] =
                (struct affine_axis){.stride = cuts.steps[i], .low = begin, .step = 1, .taps = 1, .end = -begin - end};
    }
    if (reason)
        return reason;
    step->input = input;
    const struct affine *form = NULL;
    reason =
        rank - 2 > AFFINE_AXES ? "the value has too many axes" : affine_box(arena, rank - 2, axis_of + 2, 1, &form);
    step->form = form;
    *selects = axis_of[1].low || axis_of[1].end || axis_of[1].stride != 1;
    return reason;
}
