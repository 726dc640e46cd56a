/* passes/unwrap_conv.c
 *
 *     x [N, C, L] -> Unsqueeze [N, C, 1, L] -> Conv 1x3 -> Squeeze -> y        becomes        x -> Conv 3 -> y
 *
 * A Conv with a superfluous axis: the axis has one position, and the window one tap on it. If a Transpose stands
 * between the Unsqueeze and its Convs, the Unsqueeze first moves behind it.
 *
 * Refused: a window of several taps on that axis, or padding; a weight with other readers, which would be stored
 * twice; a target of a Reshape that is computed at run time. Left alone: values between that other ops read. */
#include "affine/laws.h"
#include "fuse/lift.h"
#include "fuse/lower.h"
#include "fuse/trace.h"
#include "infer/constant.h"
#include "model/edit.h"
#include "passes/passes.h"
#include "passes/slide.h"
#include "passes/turn.h"

enum { MOST = AFFINE_AXES + 2 };

struct wrap {
    struct node *conv, *last;
    struct value *y;
    int axis; /* of the Conv's input; the superfluous one */
};

/* ---- the axis ---- */

/* The axis that a Squeeze removes or an Unsqueeze adds, of a value with `rank` axes, or -1. */
static int single_axis(const struct node *node, int rank)
{
    int64_t held[MOST];
    size_t count;
    const int64_t *axes = constant_integers(node, "axes", 1, held, COUNT_OF(held), &count);
    if (!axes || count != 1 || axes[0] < -rank || axes[0] >= rank)
        return -1;
    return (int)(axes[0] < 0 ? axes[0] + rank : axes[0]);
}

/* The same sizes, apart from one more axis of size 1. At most one other size is unknown; it follows from the rest. */
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

/* True if the node only adds or removes the axis. */
static bool is_of_axis(const struct node *node, bool adds, int axis)
{
    const struct value *in = node->inputs[0], *out = node->outputs[0];
    const struct value *narrow = adds ? in : out, *wide = adds ? out : in;
    if (node_has_references(node) || narrow->rank < 3 || wide->rank != narrow->rank + 1 || wide->rank > MOST)
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

/* The Conv without the axis. */
static const char *find_form(const struct wrap *wrap, const struct affine **form)
{
    struct node *conv = wrap->conv;
    const struct step *step = lift_node(conv, LAYOUT_CONV);
    if (step->reason)
        return step->reason;
    if (step->input != conv->inputs[0] || step->form->axes != conv->inputs[0]->rank - 2)
        return "its window is larger than its input";
    return affine_drop_axis(conv->graph->model->arena, step->form, wrap->axis - 2, form);
}

/* A Conv whose only reader removes an axis: the first, if there are several. False: it is none. */
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

/* True if all readers of the value are Convs that no longer need the axis. */
static bool all_unwrap(const struct plan *plan, const struct value *value, int axis)
{
    const struct affine *form;
    struct wrap wrap;
    bool any = false;
    for (const struct use *use = value->uses; use; use = use->next) {
        if (!use_is_live(use))
            continue;
        any = true;
        if (use->index != 0 || !find_last(use->inner, axis, &wrap) || find_form(&wrap, &form) ||
            value_use_count(use->inner->inputs[1]) != 1 || !has_known_target(wrap.last) ||
            plan_banned(plan, value->graph, wrap.y))
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
        value_only_reader(middle) != turn || node_has_references(first) || !transpose_order(turn, wide->rank, order) ||
        middle->rank != wide->rank)
        return NULL;
    x = first->inputs[0];
    int axis = axis_behind(turn, order, first);
    if (!x || axis < 2 || x->rank != wide->rank - 1 || !slide_is_inner(wide, turn->graph) || !type_is_float(x->type) ||
        !value_is_told(x) || !value_is_told(wide) || x->is_annotated || plan_banned(plan, turn->graph, wide) ||
        !all_unwrap(plan, wide, axis))
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
        inputs[1] = edit_constant(turn->graph, turn, arena_format(arena, "%s.axes", wide->name),
                                  tensor_of_integers(arena, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &one, axes));
    slide_make(&slide, "Unsqueeze", first, inputs, as_input ? 2 : 1, as_input ? NULL : &axes_are, wide);
    slide_remove_unread(&slide, first);
    lift_forget(plan->model);
    return wide->producer;
}

/* ---- the rewrite ---- */

static const char *replace(struct plan *plan, const struct wrap *wrap, struct node *first)
{
    struct value *x = first->inputs[0];
    const struct step *step = lift_node(wrap->conv, LAYOUT_CONV);
    const struct affine *form;
    struct fusion *fusion;
    const char *reason = find_form(wrap, &form);
    if (reason)
        return reason;
    struct node *freed[2] = {wrap->last, wrap->conv};
    struct region region = {.plan = plan, .graph = wrap->conv->graph, .layout = LAYOUT_CONV, .source = x};
    region_walk(&region, NULL, 0, freed, 2, true);
    const struct lowering lowering = {.region = &region,
                                      .source = x,
                                      .form = form,
                                      .type = step->type,
                                      .sized = step->sized,
                                      .target = wrap->y,
                                      .at = wrap->last,
                                      .spared = 1}; /* the op that removed the axis */
    return lower(plan, &lowering, &fusion);
}

static bool unwrap(struct plan *plan, struct node *last)
{
    struct value *narrow = last->inputs[0];
    struct node *conv = narrow->producer, *first;
    struct wrap wrap;
    if (!conv || conv->op != OP_Conv || conv->removed || conv->graph != last->graph || !conv->inputs[0] ||
        !conv->inputs[0]->producer)
        return false;
    first = conv->inputs[0]->producer;
    if (first->op == OP_Transpose && first->graph == last->graph && !first->removed)
        first = swap(plan, first);
    if (!first || first->removed || first->graph != last->graph || !node_input(first, 0) || !node_output(first, 0))
        return false;
    for (int axis = 2; axis < conv->inputs[0]->rank; axis++) {
        if (!is_of_axis(first, true, axis) || !find_last(conv, axis, &wrap) || wrap.last != last)
            continue;
        const char *reason = NULL;
        if (!type_is_float(first->inputs[0]->type))
            return false;
        if (!(has_known_target(first) && has_known_target(last)))
            reason = "the target shape of a Reshape is not constant";
        if (!reason)
            reason = replace(plan, &wrap, first);
        if (reason)
            plan_refuse(plan, last, wrap.y, reason);
        return false;
    }
    return false;
}

static bool may_be_last(struct node *node)
{
    return (node->op == OP_Squeeze || node->op == OP_Reshape) && node_input(node, 0) && node_output(node, 0);
}

void unwrap_conv(struct plan *plan)
{
    pass_each(plan, may_be_last, false, unwrap);
}
