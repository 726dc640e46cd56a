/* passes/merge_pads.c
 *
 *     x -> Pad with 0 -> Conv of a weight given at run time -> y        becomes        x -> Conv, pads -> y
 *     x -> Pad with 0 -> AveragePool -> y        becomes        x -> AveragePool, pads, count_include_pad -> y
 *
 * A Pad of spatial axes becomes padding of a Conv, of a ConvInteger whose zero point is 0, or of an AveragePool that
 * counts its padding or has none. compose_chains handles a Conv with a constant weight.
 *
 * Refused: a mode or a number that the op does not pad with; padded channels and cropped sizes; padding as wide as
 * the window of a pool, which runtimes refuse; auto_pad, and ceil_mode, which lets windows reach past the padding.
 * Left alone: a value between that other ops read. */
#include "infer/constant.h"
#include "infer/window.h"
#include "model/edit.h"
#include "passes/passes.h"

enum { MOST = SHAPE_MAX_RANK, KERNEL = 3, MORE = 2 };

struct merge {
    struct node *pad, *node;
    struct value *x, *target;
    int64_t pads[2 * MOST]; /* of the Pad, by axis of x: begins, then ends */
};

/* ---- the Pad ---- */

static bool fills_with_zero(const struct node *pad)
{
    struct value *fill = node_input(pad, 2);
    const struct tensor *tensor;
    double number;
    if (!fill)
        return node_float(pad, "value", 0) == 0;
    if (constant_of(fill, &tensor) || tensor->count != 1 || !tensor_is_readable(tensor) ||
        !(type_is_float(tensor->type) || type_is_integer(tensor->type)))
        return false;
    tensor_read(tensor, 0, 1, &number);
    return number == 0;
}

static const char *read_pads(struct merge *merge)
{
    const struct node *pad = merge->pad;
    struct arena *arena = pad->graph->model->arena;
    int64_t held[2][2 * MOST];
    size_t count, named = 0;
    int rank = merge->x->rank;
    if (strcmp(node_string(arena, pad, "mode", "constant"), "constant") != 0)
        return "the Pad copies values of its input (mode reflect, edge or wrap)";
    if (!fills_with_zero(pad))
        return "the Pad does not fill with 0, as padding of the op itself would";
    const int64_t *pads = constant_integers(pad, "pads", 1, held[0], COUNT_OF(held[0]), &count);
    const int64_t *axes = constant_integers(pad, "", 3, held[1], MOST, &named);
    if (!pads || (!axes && node_input(pad, 3)))
        return "the widths of the Pad are not constant";
    size_t half = axes ? named : (size_t)rank;
    if (rank > MOST || count != 2 * half)
        return "the widths of the Pad do not fit its input";
    for (size_t i = 0; i < half; i++) {
        int64_t axis = axes ? axes[i] : (int64_t)i, begin = pads[i], end = pads[half + i];
        axis += axis < 0 ? rank : 0;
        if (axis < 0 || axis >= rank || begin < 0 || end < 0 || begin > SHAPE_ABSURD || end > SHAPE_ABSURD)
            return "the Pad crops: one of its widths is negative";
        if (axis < 2 && (begin || end))
            return "the Pad pads the batch or the channels";
        merge->pads[axis] = begin;
        merge->pads[rank + axis] = end;
    }
    return NULL;
}

/* ---- the op behind it ---- */

static const char *look_at_pool(const struct merge *merge, const struct window *window)
{
    const struct node *node = merge->node;
    int rank = merge->x->rank;
    bool counts = node_integer(node, "count_include_pad", 0) != 0;
    if (node_integer(node, "ceil_mode", 0))
        return "ceil_mode: a window may reach past the padding, and its average would count other positions";
    for (int i = 0; i < rank - 2; i++) {
        if (!counts && (window[i].pad_begin || window[i].pad_end))
            return "the average counts what the Pad added, but would not count padding of the pool itself";
        if (window[i].pad_begin + merge->pads[2 + i] >= window[i].kernel ||
            window[i].pad_end + merge->pads[rank + 2 + i] >= window[i].kernel)
            return "the pool's padding would be as wide as its window, which runtimes refuse";
    }
    return NULL;
}

static const char *look_at_zero_point(const struct node *node)
{
    struct value *zero = node_input(node, 2);
    const struct tensor *tensor;
    int64_t number;
    if (!zero)
        return NULL;
    bool is_zero =
        !constant_of(zero, &tensor) && tensor->count == 1 && tensor_read_integers(tensor, &number) && number == 0;
    return is_zero ? NULL
                   : "its zero point is not 0, so padding of the op itself would fill with another number than the Pad";
}

/* A shape to check an input with: declared sizes, otherwise windows and a little more. */
static void choose_shape(const struct merge *merge, const struct window *window, int64_t *dims)
{
    const struct value *x = merge->x, *w = node_input(merge->node, 1);
    int64_t groups = node_integer(merge->node, "group", 1);
    for (int i = 0; i < x->rank; i++) {
        int64_t size = i < 2 ? 1 : (window[i - 2].kernel - 1) * window[i - 2].dilation + 1 + MORE + i;
        dims[i] = i > 1 && x->dims[i] > size ? size : x->dims[i] > 0 && i > 0 ? x->dims[i] : size;
    }
    if (x->dims[1] < 1 && w)
        dims[1] = (w->dims[1] > 0 ? w->dims[1] : 1) * groups;
}

/* Random numbers for a weight that is an input. False: its shape is unknown. */
static bool choose_weight(const struct merge *merge, const int64_t *x, const struct window *window, int64_t *dims)
{
    const struct value *w = merge->node->inputs[1];
    int64_t groups = node_integer(merge->node, "group", 1);
    if (w->rank != merge->x->rank || groups < 1 || x[1] % groups != 0)
        return false;
    dims[0] = w->dims[0] > 0 ? w->dims[0] : groups;
    dims[1] = x[1] / groups;
    for (int i = 2; i < w->rank; i++)
        dims[i] = window[i - 2].kernel;
    return w->dims[1] < 0 || w->dims[1] == dims[1];
}

static bool add_source(struct trial_source *sources, size_t *count, struct value *value, int rank, const int64_t *dims)
{
    const struct tensor *tensor;
    if (!constant_of(value, &tensor))
        return true;
    if (!value_is_told(value) || value->is_annotated)
        return false;
    sources[(*count)++] = (struct trial_source){value, rank, dims};
    return true;
}

/* Sizes of the weight that are not declared are tried as small ones. */
static const char *find_windows(const struct merge *merge, struct window *window)
{
    const struct node *node = merge->node;
    const char *automatic = node_string(node->graph->model->arena, node, "auto_pad", "NOTSET");
    const struct value *w = node->op == OP_AveragePool ? NULL : node_input(node, 1);
    int64_t kernel[MOST];
    size_t count;
    const int64_t *given = node_integers(node, "kernel_shape", &count);
    int axes = merge->x->rank - 2;
    if (strcmp(automatic, "NOTSET") != 0)
        return "its padding depends on the size of its input (auto_pad)";
    for (int i = 0; w && i < axes; i++) {
        int64_t size = w->rank == axes + 2 ? w->dims[2 + i] : -1;
        kernel[i] = size > 0 ? size : given && count == (size_t)axes ? given[i] : KERNEL;
    }
    return shape_window(node, axes, w ? kernel : NULL, NULL, window);
}

static void replace(struct plan *plan, const struct merge *merge, const struct window *window,
                    const struct trial_source *sources, size_t count)
{
    struct node *node = merge->node, *replaced[2] = {merge->pad, node};
    struct arena *arena = plan->model->arena;
    int axes = merge->x->rank - 2;
    struct value **inputs = NEW_ARRAY(arena, struct value *, node->input_count);
    int64_t pads[2 * MOST];
    memcpy(inputs, node->inputs, node->input_count * sizeof(*inputs));
    inputs[0] = merge->x;
    for (int i = 0; i < axes; i++) {
        pads[i] = window[i].pad_begin + merge->pads[2 + i];
        pads[axes + i] = window[i].pad_end + merge->pads[axes + 4 + i];
    }
    struct node *made = edit_node(node->graph, &(struct edit_op){.op = node->proto->op_type,
                                                                 .at = node,
                                                                 .name = node->proto->name,
                                                                 .like = node,
                                                                 .inputs = inputs,
                                                                 .input_count = node->input_count,
                                                                 .output = merge->target});
    edit_take_attributes(made, node);
    const struct edit_attribute attributes[] = {{"pads", pads, (size_t)(2 * axes), 0},
                                                {"count_include_pad", NULL, 0, 1}};
    edit_set_attribute(made, &attributes[0]);
    if (node->op == OP_AveragePool)
        edit_set_attribute(made, &attributes[1]);
    edit_remove(merge->pad);
    plan_rewritten(plan, made, merge->target, sources, count, replaced, 2);
}

static bool merge_pad(struct plan *plan, struct node *node)
{
    struct value *padded = node->inputs[0], *w = node_input(node, 1), *bias;
    struct merge merge = {.pad = padded->producer, .node = node, .target = node->outputs[0]};
    const struct tensor *tensor;
    struct window window[MOST];
    int64_t dims[2][MOST];
    struct trial_source sources[3];
    size_t count = 0;
    if (!merge.pad || merge.pad->op != OP_Pad || merge.pad->removed || merge.pad->graph != node->graph ||
        value_only_reader(padded) != node || !node_input(merge.pad, 0) || node_has_references(merge.pad) ||
        (node->op == OP_Conv && w && !constant_of(w, &tensor)))
        return false;
    merge.x = merge.pad->inputs[0];
    if (merge.x->rank < 3 || merge.x->rank > MOST || !value_is_told(merge.target) ||
        (node->op != OP_AveragePool && !w) || w == merge.x)
        return false;
    const char *reason = read_pads(&merge);
    if (!reason)
        reason = find_windows(&merge, window);
    if (!reason && node->op == OP_AveragePool)
        reason = look_at_pool(&merge, window);
    if (!reason && node->op == OP_ConvInteger)
        reason = look_at_zero_point(node);
    if (!reason)
        reason = plan_banned(plan, node->graph, merge.target);
    if (reason) {
        plan_refuse(plan, node, merge.target, reason);
        return false;
    }
    choose_shape(&merge, window, dims[0]);
    if (!add_source(sources, &count, merge.x, merge.x->rank, dims[0]))
        return false;
    if (w && (!choose_weight(&merge, dims[0], window, dims[1]) || !add_source(sources, &count, w, w->rank, dims[1])))
        return false;
    bias = node->op == OP_Conv ? node_input(node, 2) : NULL;
    if (bias && !add_source(sources, &count, bias, 1, dims[1]))
        return false;
    if (!count) /* all inputs are constant: there is nothing to check, and fold_constants handles it */
        return false;
    replace(plan, &merge, window, sources, count);
    return true;
}

static bool may_take_pads(struct node *node)
{
    bool may = node->op == OP_Conv || node->op == OP_ConvInteger || node->op == OP_AveragePool;
    return may && node_input(node, 0) && node_output(node, 0) && !node_has_references(node);
}

void merge_pads(struct plan *plan)
{
    pass_each(plan, may_take_pads, false, merge_pad);
}
