/* passes/unwrap_conv.c
 *
 *     x [N, C, L] -> Unsqueeze [N, C, 1, L] -> Conv 1x3 -> Squeeze -> y        becomes        x -> Conv 3 -> y
 *
 * A Conv that sees one axis more than there is: the axis has one position, and the window on it one tap. Where a Transpose
 * stands between the Unsqueeze and the Convs that read it, the Unsqueeze comes behind it first.
 *
 * Refused: a weight that others read; a window of several taps on that axis, or padding; a target of a Reshape that is
 * computed when the model runs. Left alone: values between that others read. */
#include "fuse/trace.h"
#include "infer/constant.h"
#include "infer/operand.h"
#include "infer/window.h"
#include "model/edit.h"
#include "passes/passes.h"
#include "passes/slide.h"
#include "passes/turn.h"

enum { MOST = SHAPE_MAX_RANK, SIZE = 3 };

struct wrap {
    struct node *first, *conv, *last; /* first: NULL where it is not looked at */
    struct value *x, *y;
    int axis; /* of the Conv's input; the one that is not there without it */
    const struct tensor *weight;
    struct window window[MOST];
};

/* ---- the axis ---- */

/* What Squeeze takes away, or Unsqueeze adds: one axis of a value of `rank` axes, or -1. */
static int single_axis(const struct node *node, int rank)
{
    int64_t held[MOST];
    size_t count;
    const int64_t *axes = constant_integers(node, "axes", 1, held, COUNT_OF(held), &count);
    if (!axes || count != 1 || axes[0] < -rank || axes[0] >= rank)
        return -1;
    return (int)(axes[0] < 0 ? axes[0] + rank : axes[0]);
}

/* The same sizes but for one more axis, of 1. Of the others at most one is not known, which follows from them. */
static bool differ_by(const struct value *narrow, const struct value *wide, int axis)
{
    int open = 0;
    if (wide->dims[axis] != 1 || narrow->disputed || wide->disputed)
        return false;
    for (int i = 0; i < narrow->rank; i++) {
        int64_t a = narrow->dims[i], b = wide->dims[i < axis ? i : i + 1];
        bool is_open = a < 0 && b < 0;
        if ((!is_open && a != b) || a == 0)
            return false;
        open += is_open;
    }
    return open <= 1;
}

/* True when the node does nothing but to add the axis, or to take it away. */
static bool is_of_axis(const struct node *node, bool adds, int axis)
{
    const struct value *in = node->inputs[0], *out = node->outputs[0];
    const struct value *narrow = adds ? in : out, *wide = adds ? out : in;
    if (node_has_references(node) || narrow->rank < 3 || wide->rank != narrow->rank + 1 ||
        wide->rank > MOST)
        return false;
    if (node->op == OP_Reshape)
        return differ_by(narrow, wide, axis);
    return node->op == (adds ? OP_Unsqueeze : OP_Squeeze) && single_axis(node, wide->rank) == axis;
}

/* ---- the Conv ---- */

static struct node *only_reader(const struct value *value)
{
    struct node *reader = value_only_reader(value);
    return reader && !reader->removed && reader->graph == value->graph && reader->outputs[0] &&
                   reader->inputs[0] == value
               ? reader
               : NULL;
}

/* The check evaluates the file's ops on x alone. */
static bool has_known_target(const struct node *node)
{
    const struct tensor *tensor;
    return node->op != OP_Reshape ||
           (node_input(node, 1) && !constant_of(node->inputs[1], &tensor) && !tensor->from_shape);
}

static const char *look_at_window(struct wrap *wrap)
{
    struct node *conv = wrap->conv;
    struct arena *arena = conv->graph->model->arena;
    struct value *w = node_input(conv, 1), *bias = node_input(conv, 2);
    const struct tensor *tensor;
    const char *reason =
        w ? operand_weight(arena, w, "weight", &wrap->weight) : "its weight is missing";
    int rank = conv->inputs[0]->rank;
    if (!reason && (wrap->weight->rank != rank || wrap->weight->storage == STORAGE_FUSED))
        reason = "its weight does not fit, or was fused";
    if (!reason && value_use_count(w) != 1)
        reason = "its weight is read by other ops as well";
    if (!reason && bias && constant_of(bias, &tensor))
        reason = "its bias is not constant";
    if (!reason)
        reason = shape_window(conv, rank - 2, wrap->weight->dims + 2, NULL, wrap->window);
    if (reason)
        return reason;
    struct window window = wrap->window[wrap->axis - 2];
    if (window.kernel != 1 || window.pad_begin || window.pad_end)
        return "its window has several taps, or padding, on an axis that is there for the Conv "
               "alone";
    return NULL;
}

/* A Conv whose only reader takes an axis away: the first, should there be several. False: it is none. */
static bool find_last(struct node *conv, int axis, struct wrap *wrap)
{
    *wrap = (struct wrap){.conv = conv, .axis = axis};
    if (conv->op != OP_Conv || !node_output(conv, 0) || node_has_references(conv))
        return false;
    wrap->last = only_reader(conv->outputs[0]);
    if (!wrap->last || !is_of_axis(wrap->last, false, axis))
        return false;
    wrap->y = wrap->last->outputs[0];
    return value_is_told(wrap->y) && conv->inputs[0]->rank == conv->outputs[0]->rank;
}

/* ---- an Unsqueeze in front of a Transpose ---- */

static int axis_behind(const struct node *turn, const int *order, const struct node *first)
{
    int rank = turn->outputs[0]->rank, added = single_axis(first, rank), axis = 0;
    while (added >= 0 && axis < rank && order[axis] != added)
        axis++;
    return added >= 0 && axis < rank ? axis : -1;
}

/* True when all that reads the value is a Conv that needs the axis no more. */
static bool all_unwrap(const struct plan *plan, const struct value *value, int axis)
{
    struct wrap wrap;
    bool any = false;
    for (const struct use *use = value->uses; use; use = use->next) {
        if (!use_is_live(use))
            continue;
        any = true;
        if (use->index != 0 || !find_last(use->inner, axis, &wrap) || look_at_window(&wrap) ||
            !has_known_target(wrap.last) || plan_banned(plan, value->graph, wrap.y))
            return false;
    }
    return any;
}

/* Transpose(Unsqueeze(x)) is Unsqueeze(Transpose(x)), of other axes. Returns the new Unsqueeze, or NULL. */
static struct node *swap(struct plan *plan, struct node *turn)
{
    struct arena *arena = plan->model->arena;
    struct slide slide = {.plan = plan, .node = turn};
    struct value *wide = turn->outputs[0], *middle = turn->inputs[0], *x;
    struct node *first = middle ? middle->producer : NULL;
    int order[TURN_RANK];
    if (!first || first->op != OP_Unsqueeze || first->removed || first->graph != turn->graph ||
        value_only_reader(middle) != turn || node_has_references(first) ||
        !turn_order(turn, wide->rank, order) || middle->rank != wide->rank)
        return NULL;
    x = first->inputs[0];
    int axis = axis_behind(turn, order, first);
    if (!x || axis < 2 || x->rank != wide->rank - 1 || !slide_is_inner(wide, turn->graph) ||
        !type_is_float(x->type) || !value_is_told(x) || !value_is_told(wide) || x->is_annotated ||
        plan_banned(plan, turn->graph, wide) || !all_unwrap(plan, wide, axis))
        return NULL;
    int64_t *perm = NEW_ARRAY(arena, int64_t, x->rank), count = 0, *axes = NEW(arena, int64_t);
    int added = order[axis];
    for (int i = 0; i < wide->rank; i++)
        if (i != axis)
            perm[count++] = order[i] - (order[i] > added);
    *axes = axis;
    slide_begin(&slide, wide);
    slide_source(&slide, x, -1);
    const struct edit_attribute perm_is = {"perm", perm, (size_t)count, 0};
    struct value *turned = slide_make(&slide, "Transpose", turn, &x, 1, &perm_is, NULL);
    turned->rank = x->rank;
    turned->dims = NEW_ARRAY(arena, int64_t, x->rank);
    for (int i = 0; i < x->rank; i++)
        turned->dims[i] = x->dims[perm[i]];
    struct value *inputs[2] = {turned};
    const struct edit_attribute axes_are = {"axes", axes, 1, 0};
    bool as_input = turn->graph->opset >= 13;
    const int64_t one = 1;
    if (as_input)
        inputs[1] = edit_constant(
            turn->graph, turn, arena_format(arena, "%s.axes", wide->name),
            tensor_of_integers(arena, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &one, axes));
    slide_make(&slide, "Unsqueeze", first, inputs, as_input ? 2 : 1, as_input ? NULL : &axes_are,
               wide);
    slide_remove_unread(&slide, first);
    lift_forget(plan->model);
    return wide->producer;
}

/* ---- the rewrite ---- */

/* Sizes to try x with. Constant targets of a Reshape ask for the declared ones. */
static void choose_shape(const struct wrap *wrap, int64_t *dims)
{
    const struct value *x = wrap->x;
    bool declared = wrap->first->op == OP_Reshape || wrap->last->op == OP_Reshape;
    for (int i = 0; i < x->rank; i++) {
        int64_t size = SIZE - 1, known = x->dims[i];
        if (i >= 2) {
            struct window w = wrap->window[i < wrap->axis ? i - 2 : i - 1];
            size = (w.kernel - 1) * w.dilation + 1 + SIZE + i;
        }
        bool keeps = known > 0 && (declared || i == 1 || (i > 1 && known < size));
        dims[i] = keeps ? known : size;
    }
    if (x->dims[1] < 1)
        dims[1] = wrap->weight->dims[1] * node_integer(wrap->conv, "group", 1);
}

static struct tensor *narrow_weight(struct arena *arena, const struct wrap *wrap)
{
    struct tensor *narrow = NEW(arena, struct tensor);
    int64_t *dims = NEW_ARRAY(arena, int64_t, wrap->weight->rank);
    *narrow = *wrap->weight;
    narrow->proto = NULL;
    narrow->external = NULL;
    narrow->rank = wrap->weight->rank - 1;
    narrow->dims = dims;
    for (int i = 0; i < narrow->rank; i++)
        dims[i] = wrap->weight->dims[i < wrap->axis ? i : i + 1];
    return narrow;
}

static void replace(struct plan *plan, const struct wrap *wrap)
{
    struct arena *arena = plan->model->arena;
    struct node *conv = wrap->conv, *replaced[3];
    struct value *inputs[3] = {wrap->x, NULL, node_input(conv, 2)};
    int64_t kernel[MOST], strides[MOST], dilations[MOST], pads[2 * MOST], dims[MOST];
    size_t axes = (size_t)wrap->x->rank - 2, count = 0;
    for (size_t i = 0; i < axes; i++) {
        struct window window = wrap->window[(int)i + 2 < wrap->axis ? i : i + 1];
        kernel[i] = window.kernel;
        strides[i] = window.stride;
        dilations[i] = window.dilation;
        pads[i] = window.pad_begin;
        pads[axes + i] = window.pad_end;
    }
    const struct edit_attribute attributes[] = {
        {"dilations", dilations, axes, 0}, {"group", NULL, 0, node_integer(conv, "group", 1)},
        {"kernel_shape", kernel, axes, 0}, {"pads", pads, 2 * axes, 0},
        {"strides", strides, axes, 0},
    };
    choose_shape(wrap, dims);
    inputs[1] =
        edit_constant(conv->graph, wrap->last, arena_format(arena, "%s.weight", wrap->y->name),
                      narrow_weight(arena, wrap));
    struct node *made = edit_node(conv->graph, wrap->last, "Conv", conv->proto->name, conv, inputs,
                                  inputs[2] ? 3 : 2, wrap->y, attributes, COUNT_OF(attributes));
    edit_remove(conv);
    if (!value_is_needed(wrap->first->outputs[0])) {
        edit_remove(wrap->first);
        replaced[count++] = wrap->first;
    }
    replaced[count++] = conv;
    replaced[count++] = wrap->last;
    const struct trial_source source = {wrap->x, wrap->x->rank, dims};
    plan_rewritten(plan, made, wrap->y, &source, 1, replaced, count);
}

static bool unwrap(struct plan *plan, struct node *last)
{
    struct value *narrow = last->inputs[0];
    struct node *conv = narrow->producer, *first;
    struct wrap wrap;
    if (!conv || conv->op != OP_Conv || conv->removed || conv->graph != last->graph ||
        !conv->inputs[0] || !conv->inputs[0]->producer)
        return false;
    first = conv->inputs[0]->producer;
    if (first->op == OP_Transpose && first->graph == last->graph && !first->removed)
        first = swap(plan, first);
    if (!first || first->removed || first->graph != last->graph || !node_input(first, 0) ||
        !node_output(first, 0))
        return false;
    for (int axis = 2; axis < conv->inputs[0]->rank; axis++) {
        if (!is_of_axis(first, true, axis) || !find_last(conv, axis, &wrap) || wrap.last != last)
            continue;
        wrap.first = first;
        wrap.x = first->inputs[0];
        if (!value_is_told(wrap.x) || wrap.x->is_annotated || !type_is_float(wrap.x->type))
            return false;
        const char *reason = look_at_window(&wrap);
        if (!reason && !(has_known_target(first) && has_known_target(last)))
            reason = "the target of a Reshape is not known before the model runs";
        if (!reason)
            reason = plan_banned(plan, last->graph, wrap.y);
        if (reason)
            plan_refuse(plan, last, wrap.y, reason);
        else
            replace(plan, &wrap);
        return false;
    }
    return false;
}

static bool may_be_last(struct node *node)
{
    return (node->op == OP_Squeeze || node->op == OP_Reshape) && node_input(node, 0) &&
           node_output(node, 0);
}

void unwrap_conv(struct plan *plan)
{
    pass_each(plan, may_be_last, false, unwrap);
}
