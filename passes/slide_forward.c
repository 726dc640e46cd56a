/* passes/slide_forward.c
 *
 *     x -> Mul(c) -> Transpose -> MatMul -> y        becomes        x -> Transpose -> Mul(c') -> MatMul -> y
 *
 * Then fold_before folds the op in front of the weight; without fold_before nothing moves. An op that scales or shifts
 * each channel moves past ops that commute with it (fuse/lane.h), to every op with a constant weight that depends on
 * its result. Shape and Size read no numbers, so they stay. A shift moves past a sum of two values, unless it can fold
 * back into a weight before it.
 *
 * Refused: a reader on the path that neither commutes with it nor has a weight to fold it into; a shift in front of
 * padding; a graph output. */
#include "affine/laws.h"
#include "fuse/lift.h"
#include "fuse/trace.h"
#include "infer/constant.h"
#include "model/edit.h"
#include "passes/passes.h"
#include "passes/slide.h"

#include <string.h>

static bool scales_or_shifts(struct node *node)
{
    struct lane lane;
    return node->outputs[0] && !lane_of(node, &lane);
}

static bool is_padded(const struct affine *form)
{
    for (int i = 0; i < form->axes; i++) {
        struct affine_axis axis = affine_axis_of(form, i);
        if (axis.low < 0 || axis.end + affine_axis_high(axis) > 0)
            return true;
    }
    return false;
}

/* Per-channel ops right in front of a weight fold into it together. *axis: the axis of their channels, or -1 if each
 * has a single number. Does not pass an op with other channels. */
static struct node *behind_lanes(struct node *node, const struct value **value, int *axis)
{
    struct lane lane;
    *axis = -1;
    for (int hops = 0; hops < SLIDE_HOPS && !lane_of(node, &lane) && lane.data == *value; hops++) {
        struct node *reader;
        if (lane.axis >= 0 && *axis >= 0 && lane.axis != *axis)
            return node;
        *axis = lane.axis >= 0 ? lane.axis : *axis;
        if (!slide_is_inner(node->outputs[0], node->graph) || slide_readers(node->outputs[0], &reader) != 1)
            return node;
        *value = node->outputs[0];
        node = reader;
    }
    return node;
}

/* True for a reader with a constant weight into which the lane folds. */
static bool takes_up(struct node *node, size_t index, const struct value *value, const struct lane *lane)
{
    const struct tensor *tensor;
    if (index != 0 && node->op != OP_Mul && node->op != OP_Add && node->op != OP_Sub)
        return false;
    int axis;
    node = behind_lanes(node, &value, &axis);
    index = node->inputs[0] == value ? 0 : 1;
    bool conv = node->op == OP_Conv || node->op == OP_ConvTranspose;
    int channels = conv ? 1 : value->rank - 1;
    if (index != 0 || (lane->axis >= 0 && lane->axis != channels) || (axis >= 0 && axis != channels))
        return false;
    if (node->op == OP_ConvTranspose)
        return !lane_shifts(lane) && !constant_of(node->inputs[1], &tensor);
    if (node->op != OP_Conv && node->op != OP_Gemm && node->op != OP_MatMul)
        return false;
    node = pass_with_bias(node);
    const struct step *step = lift_node(node, conv ? LAYOUT_CONV : LAYOUT_MATRIX);
    return !step->reason && step->input == value && !(lane_shifts(lane) && is_padded(step->form));
}

/* The node into which the lane folds has a bias for its shift. */
static bool has_bias(struct node *node, const struct value *value)
{
    int axis;
    node = behind_lanes(node, &value, &axis);
    const struct value *product = node->op == OP_MatMul ? node_output(node, 0) : NULL;
    const struct node *reader = product ? value_only_reader(product) : NULL;
    return node_input(node, 2) || (reader && (reader->op == OP_Add || reader->op == OP_Sub));
}

static bool reads_shape(const struct node *node)
{
    return node->op == OP_Shape || node->op == OP_Size;
}

/* Which input of the node the value is; input_count: several inputs. */
static size_t only_input(const struct node *node, const struct value *value)
{
    size_t found = node->input_count, count = 0;
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] == value) {
            found = i;
            count++;
        }
    return count == 1 ? found : node->input_count;
}

/* An op that scales and shifts right behind a weight folds into that weight. */
static bool stands_behind_weight(struct node *node)
{
    struct lane lane;
    for (int hops = 0; hops < SLIDE_HOPS && node && !lane_of(node, &lane); hops++)
        node = lane.data->producer;
    return node && lift_reads_weight(node);
}

static bool is_read_by_weight(const struct value *value)
{
    for (const struct use *use = value ? value->uses : NULL; use; use = use->next)
        if (use_is_live(use) && use->index == 0 && lift_reads_weight(use->inner))
            return true;
    return false;
}

/* The lane behind a node that reads the value, for its output `output`. */
static const char *forward(struct node *node, size_t index, size_t output, const struct lane *lane, struct lane *next)
{
    if (node->op == OP_Split && index == 0)
        return lane_part(node, output, lane, next);
    return lane_forward(node, index, lane, next);
}

/* All outputs of a Split that have readers; of other ops the first. */
static bool is_way_on(const struct node *node, size_t output)
{
    return node->op == OP_Split ? value_is_needed(node->outputs[output]) : output == 0;
}

/* True if the lane folds into every reader of the value, or into readers behind it. */
static bool is_taken_up(struct slide *slide, const struct value *value, const struct lane *lane)
{
    size_t readers = 0, takers = 0;
    const struct node *bare = NULL; /* a reader into which the lane folds, without a bias for its shift */
    if (value->is_output && (value->producer != slide->node || is_read_by_weight(value)))
        slide_stop(slide, value->producer, "its result is a graph output");
    if (!slide_is_inner(value, slide->node->graph))
        return false;
    for (const struct use *use = value->uses; use; use = use->next) {
        struct node *node = use->inner;
        struct lane next;
        if (!use_is_live(use) || reads_shape(node))
            continue;
        readers++;
        size_t index = only_input(node, value);
        if (index < node->input_count && takes_up(node, index, value, lane)) {
            slide->ends++;
            takers++;
            if (lane_shifts(lane) && !has_bias(node, value)) {
                bare = node;
                slide->adds += node->op == OP_MatMul && value->rank != 2;
            }
            if (bare && (takers > 1 || slide->adds > (lane_scales(lane) ? 1 : 0)))
                slide->bare = bare;
            continue;
        }
        const char *reason =
            index < node->input_count ? forward(node, index, 0, lane, &next) : "it reads the value twice";
        if (!reason && node->op == OP_Add && stands_behind_weight(slide->node))
            reason = "it folds into the weight before it instead";
        const struct value *other = node->op == OP_Add && index < 2 ? node_input(node, 1 - index) : NULL;
        if (!reason && other && !other->tensor && !value_is_told(other) && !other->terms)
            reason = "another rewrite made the value that it adds";
        if (!plan_visits_first(slide->plan, node) && !reason)
            reason = "two paths from the moved op meet there";
        if (reason && node->op == OP_ConvTranspose && lane_shifts(lane))
            reason = "overlapping windows would add the shift more than once";
        else if (reason && lift_reads_weight(node))
            reason = lane_shifts(lane) ? "its padding would not be shifted, or its weight is not constant"
                                       : "its weight is not constant, or takes the channels on another axis";
        if (reason || slide->hops++ > SLIDE_HOPS) {
            slide_stop(slide, node, reason ? reason : "the path from the moved op is too long");
            return false;
        }
        for (size_t i = 0; i < node->output_count; i++)
            if (is_way_on(node, i) && (!node->outputs[i] || forward(node, index, i, lane, &next) ||
                                       !is_taken_up(slide, node->outputs[i], &next)))
                return false;
    }
    return readers > 0;
}

/* old: the value of the file; plain: the same without the lane. Replaces the ops that read it. */
static void carry(struct slide *slide, struct value *old, struct value *plain, const struct lane *lane,
                  const struct node *at)
{
    struct arena *arena = slide->plan->model->arena;
    LIST(struct node *) readers = {0};
    bool is_read = false; /* by an op with a weight, or for its shape */
    for (const struct use *use = old->uses; use; use = use->next)
        if (use_is_live(use)) {
            struct node *node = use->inner;
            size_t index = only_input(node, old);
            bool stays = reads_shape(node) || takes_up(node, index, old, lane);
            is_read = is_read || stays;
            if (!stays)
                LIST_PUSH(arena, &readers, node);
        }
    /* Uses are listed last first. */
    for (size_t i = readers.count; i-- > 0;) {
        struct node *node = readers.items[i];
        struct value **inputs = NEW_ARRAY(arena, struct value *, node->input_count + 1);
        struct lane next;
        size_t index = only_input(node, old);
        for (size_t k = 0; k < node->input_count; k++) {
            inputs[k] = k == index ? plain : node->inputs[k];
            if (k != index)
                slide_source(slide, inputs[k], lane->axis);
        }
        const size_t count = node->output_count;
        struct value **results = NEW_ARRAY(arena, struct value *, count);
        memcpy(results, node->outputs, count * sizeof(*results));
        struct value *first = NULL, **moved = &first;
        if (node->op == OP_Split)
            moved = slide_copy_all(slide, node, node, inputs);
        else
            first = slide_copy(slide, node, node, inputs, 0, NULL);
        for (size_t k = 0; k < count; k++) {
            if (node->op == OP_Split ? !value_is_needed(results[k]) : k > 0)
                continue;
            forward(node, index, k, lane, &next);
            carry(slide, results[k], moved[k], &next, node);
        }
    }
    if (is_read && old != slide->node->outputs[0])
        slide_apply(slide, plain, lane, at, old);
}

/* True if the op that stopped it has a weight, or stands right in front of one, or beside one. */
static bool is_near_weight(const struct node *node)
{
    const struct value *input = node_input(node, 0);
    const struct node *split = input && input->producer && input->producer->op == OP_Split ? input->producer : NULL;
    bool near = lift_reads_weight(node) || is_read_by_weight(node->outputs[0]) || (input && is_read_by_weight(input));
    for (size_t i = 0; split && i < split->output_count && !near; i++)
        near = is_read_by_weight(split->outputs[i]);
    return near;
}

static bool slide_one(struct plan *plan, struct node *node)
{
    struct slide slide = {.plan = plan, .node = node};
    struct value *value = node->outputs[0];
    struct lane lane;
    if (slide_is_dear(plan, node))
        return false;
    if (lane_of(node, &lane) || lane_is_neutral(&lane) || slide_ends_at_weight(lane.data, &lane))
        return false; /* fold_after handles an op right behind a weight */
    const char *banned = plan_banned(plan, node->graph, value);
    if (banned) {
        plan_refuse(plan, node, value, banned);
        return false;
    }
    plan->stamp++; /* marks the passed ops */
    bool is_taken = is_taken_up(&slide, value, &lane);
    if (is_taken && slide.hops == 0)
        return false; /* fold_before handles it */
    if (is_taken && slide.bare)
        slide_stop(&slide, slide.bare, "it has no bias to add a shift to, and a new bias would cost too much");
    if (!is_taken || slide.bare) {
        struct node *reader;
        bool direct = slide_readers(value, &reader) == 1 && reader == slide.stopped_by && lift_reads_weight(reader);
        if (slide.reason && !direct && is_near_weight(slide.stopped_by))
            plan_refuse(plan, node, value,
                        slide.stopped_by == node ? slide.reason
                                                 : arena_format(plan->model->arena, REASON_CANNOT_MOVE "past %s: %s",
                                                                slide.stopped_by->proto->op_type, slide.reason));
        return false;
    }
    slide_begin(&slide, value);
    slide_source(&slide, lane.data, lane.axis);
    carry(&slide, value, lane.data, &lane, node);
    lift_forget(plan->model);
    return false;
}

void slide_forward(struct plan *plan)
{
    if (pass_is_enabled(plan, "fold_before"))
        pass_each(plan, scales_or_shifts, true, slide_one);
}
