/* passes/move_shapes.c
 *
 *     x -> Conv -> c -> BatchNormalization -> y,  c -> Shape        becomes        c is read by the norm alone,  x or y -> Shape
 *
 * Shape and Size read no numbers. If one of them is all that keeps two ops from becoming one, it reads another value
 * with the same shape: the input of a chain of such ops, or else the result of the next op.
 *
 * Refused: no value is known to have the same shape; a reader of the Shape precedes the value that it would depend
 * on. Left alone: graph outputs, and values that several other ops read. */
#include "fuse/lift.h"
#include "infer/window.h"
#include "model/edit.h"
#include "passes/passes.h"

enum { SMALL = 12 }; /* a size that is not known, or larger, when it is tried */

static bool reads_shape(struct node *node)
{
    return (node->op == OP_Shape || node->op == OP_Size) && node_input(node, 0) && node_output(node, 0) &&
           !node_has_references(node);
}

static enum layout layout_of(struct node *node)
{
    if (is_matrix_product(node))
        return LAYOUT_MATRIX;
    return lift_node(node, LAYOUT_CONV)->reason ? LAYOUT_MATRIX : LAYOUT_CONV;
}

static bool is_weighted(struct node *node)
{
    return lift_is_weighted(node, layout_of(node));
}

static bool scales(struct node *node)
{
    return node->output_count && node->outputs[0] && is_per_channel(node, layout_of(node));
}

/* The value that a weighted op or one per channel reads, or NULL for other ops. */
static struct value *data_of(struct node *node)
{
    if (!node || node->removed || !node->outputs[0] || !(is_weighted(node) || scales(node)))
        return NULL;
    struct value *data = lift_node(node, layout_of(node))->input;
    return data && data->graph == node->graph ? data : NULL;
}

/* True if an axis of the node's result is always as long as that of its data. */
static bool keeps_axis(struct node *node, const struct value *data, int i)
{
    enum layout layout = layout_of(node);
    bool is_channel = i == (layout == LAYOUT_CONV ? 1 : data->rank - 1);
    struct window window[SHAPE_MAX_RANK];
    if (scales(node))
        return !is_channel || lift_node(node, layout)->form->outputs == 0;
    if (is_channel || layout == LAYOUT_MATRIX || i == 0)
        return !is_channel;
    const struct value *weight = node_input(node, 1);
    if (node->op != OP_Conv || weight->rank != data->rank ||
        shape_window(node, data->rank - 2, weight->dims + 2, NULL, window))
        return false;
    struct window w = window[i - 2];
    return w.stride == 1 && w.pad_begin + w.pad_end == (w.kernel - 1) * w.dilation;
}

/* True if the node's result has the shape of its data. */
static bool keeps_shape(struct node *node, const struct value *data)
{
    const struct value *out = node->outputs[0];
    if (data->rank < 1 || data->rank > SHAPE_MAX_RANK || out->rank != data->rank || data->disputed || out->disputed)
        return false;
    for (int i = 0; i < data->rank; i++) {
        bool equal = data->dims[i] != -1 && data->dims[i] == out->dims[i];
        if (!equal && !keeps_axis(node, data, i))
            return false;
    }
    return true;
}

/* The only reader that reads numbers; *several: there are more. */
static struct node *other_reader(const struct value *value, bool *several)
{
    struct node *other = NULL;
    *several = false;
    for (const struct use *use = value->uses; use; use = use->next) {
        if (!use_is_live(use) || reads_shape(use->inner))
            continue;
        *several = *several || other;
        other = use->inner;
    }
    return other;
}

static bool is_branch(const struct value *value, const struct value *source)
{
    return value == source || (value && data_of(value->producer));
}

/* True if the two could be one op, or branches of a sum, without other readers between them. */
static bool may_fuse(struct node *maker, struct node *reader)
{
    const struct value *between = maker->outputs[0];
    if (reader->graph != maker->graph || !node_output(reader, 0))
        return false;
    if (scales(maker) ? data_of(reader) == between : scales(reader) && data_of(reader) == between)
        return true;
    return reader->op == OP_Add && reader->input_count == 2 && reader->inputs[0] != reader->inputs[1] &&
           is_branch(reader->inputs[reader->inputs[0] == between], data_of(maker));
}

/* True if all readers of the shape come after the node. */
static bool is_read_behind(const struct value *shape, const struct node *node)
{
    for (const struct use *use = shape->uses; use; use = use->next)
        if (use_is_live(use) && use->reader->position <= node->position)
            return false;
    return true;
}

/* at: where the new node stands; source: of what it reads and of what it read. */
static bool move(struct plan *plan, struct node *shape, struct value *value, const struct node *at,
                 struct value *source, int channel)
{
    struct value *target = shape->outputs[0];
    int64_t dims[SHAPE_MAX_RANK];
    if (!value_is_told(source) || !value_is_told(target) || value->is_annotated || source->rank < 1 ||
        source->rank > SHAPE_MAX_RANK)
        return false;
    const char *banned = plan_banned(plan, shape->graph, target);
    if (banned) {
        plan_refuse(plan, shape, target, banned);
        return false;
    }
    for (int i = 0; i < source->rank; i++) {
        int64_t size = i == 0 ? 2 : SMALL + i;
        bool is_declared = source->dims[i] > 0 && (i == channel || source->dims[i] < size);
        dims[i] = is_declared ? source->dims[i] : size;
    }
    struct node *node = edit_node(shape->graph, &(struct edit_op){.op = shape->proto->op_type,
                                                                  .at = at,
                                                                  .name = shape->proto->name,
                                                                  .like = shape,
                                                                  .inputs = &value,
                                                                  .input_count = 1,
                                                                  .output = target});
    edit_take_attributes(node, shape);
    struct trial_source trial = {source, source->rank, dims};
    plan_rewritten(plan, node, target, &trial, 1, &shape, 1);
    return true;
}

static bool move_shape(struct plan *plan, struct node *shape)
{
    struct value *value = shape->inputs[0], *first = value, *data;
    struct node *maker = value->producer;
    bool several;
    if (!maker || maker->graph != shape->graph || maker->removed || value != maker->outputs[0] || value->is_output ||
        value->is_annotated || !data_of(maker))
        return false;
    struct node *reader = other_reader(value, &several);
    if (several || (reader && !may_fuse(maker, reader)))
        return false;
    while ((data = data_of(first->producer)) && first == first->producer->outputs[0] &&
           keeps_shape(first->producer, data) && value_is_told(data))
        first = data;
    int channel = layout_of(maker) == LAYOUT_CONV ? 1 : first->rank - 1;
    if (first != value)
        return move(plan, shape, first, shape, first, channel);
    data = data_of(maker);
    if (!reader || !scales(reader) || !keeps_shape(reader, value) || !is_read_behind(shape->outputs[0], reader)) {
        plan_refuse(
            plan, shape, shape->outputs[0],
            "it reads the shape of a value that a fusion would remove, and no other value is known to have that shape");
        return false;
    }
    channel = layout_of(maker) == LAYOUT_CONV ? 1 : data->rank - 1;
    return move(plan, shape, reader->outputs[0], reader, data, channel);
}

void move_shapes(struct plan *plan)
{
    pass_each(plan, reads_shape, false, move_shape);
}
