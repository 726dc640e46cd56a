/* passes/remove_neutral.c
 *
 *     x -> Add 0 -> Identity -> y        becomes        readers of y read x
 *
 * Removes ops that return their input: arithmetic with 0 or 1, a BatchNormalization that is the identity once its
 * numbers are rounded to its type, moves, windows, reductions and casts that change nothing, sums of one value. x + 0
 * may turn -0 into 0, and x * 1 a signalling NaN into a quiet one; nothing else may differ. The producer of x takes
 * over the name of a graph output.
 *
 * Refused: a constant that would broadcast the value to another shape; a graph output if x is an input, an
 * initializer or another graph output. */
#include "fuse/lift.h"
#include "infer/constant.h"
#include "infer/window.h"
#include "model/edit.h"
#include "passes/passes.h"

#define BROADCASTS "the constant may broadcast the value to another shape"

static bool has_dims(const struct value *value)
{
    return value->rank >= 0 && value->rank <= SHAPE_MAX_RANK && !value->disputed;
}

/* NULL if the operand is `number` throughout and does not broadcast x. "": it is not that number. */
static const char *look_at_operand(const struct value *x, struct value *operand, double number)
{
    const struct tensor *tensor;
    if (constant_of(operand, &tensor) || tensor->from_shape || !pass_holds_only(tensor, number))
        return "";
    if (operand->is_annotated)
        return "its operand carries a quantization annotation";
    int below = x->rank - tensor->rank;
    for (int i = 0; i < tensor->rank; i++)
        if (x->rank < 0 || below < 0 || (tensor->dims[i] != 1 && tensor->dims[i] != x->dims[below + i]))
            return BROADCASTS;
    return NULL;
}

static const char *look_at_arithmetic(const struct node *node, size_t *kept)
{
    double number = node->op == OP_Add || node->op == OP_Sub ? 0 : 1;
    struct value *a = node_input(node, 0), *b = node_input(node, 1);
    if (node->input_count != 2 || !a || !b)
        return "";
    const char *reason = look_at_operand(a, b, number);
    if (!reason || !operator_is(node->op, COMMUTES))
        return reason;
    const char *other = look_at_operand(b, a, number);
    *kept = other ? 0 : 1;
    return !other || other[0] ? other : reason;
}

/* Every scale is 1 and every shift is 0, rounded to the type of the data. */
static bool is_identity_norm(struct node *node)
{
    const struct value *x = node->inputs[0];
    if (x->rank < 2 || !type_is_float(x->type))
        return false;
    const struct step *step = lift_node(node, x->rank > 2 ? LAYOUT_CONV : LAYOUT_MATRIX);
    const struct affine *form = step->reason ? NULL : step->form;
    if (!form || form->kind != AFFINE_DIAGONAL || form->outputs != x->dims[1])
        return false;
    for (int64_t c = 0; c < form->outputs; c++) {
        double scale = form->scale ? form->scale[c] : form->factor;
        double shift = form->offset ? form->offset[c] : form->shift;
        if (tensor_rounded(x->type, scale) != 1 || tensor_rounded(x->type, shift) != 0)
            return false;
    }
    return true;
}

/* ---- integers ---- */

/* True if an attribute or constant input has that many integers, all equal to `number`. */
static bool gives_only(const struct node *node, const char *name, size_t input, int64_t number, int64_t wanted)
{
    int64_t held[2 * SHAPE_MAX_RANK];
    size_t count;
    const int64_t *integers = constant_integers(node, name, input, held, COUNT_OF(held), &count);
    for (size_t i = 0; integers && i < count; i++)
        if (integers[i] != number)
            return false;
    return integers && (int64_t)count == wanted;
}

/* One position, at every place. */
static bool keeps_window(const struct node *node)
{
    const struct value *x = node->inputs[0];
    int64_t axes = x->rank - 2;
    return axes > 0 && !x->disputed && gives_only(node, "kernel_shape", SIZE_MAX, 1, axes) &&
           (!node_attribute(node, "strides") || gives_only(node, "strides", SIZE_MAX, 1, axes)) &&
           (!node_attribute(node, "pads") || gives_only(node, "pads", SIZE_MAX, 0, 2 * axes));
}

static bool keeps_border(const struct node *node)
{
    struct value *axes = node_input(node, 3);
    int64_t padded = axes ? axes->rank == 1 ? axes->dims[0] : -1 : node->inputs[0]->rank;
    return padded >= 0 && gives_only(node, "pads", 1, 0, 2 * padded);
}

static bool keeps_order(const struct node *node)
{
    size_t count;
    const int64_t *order = node_integers(node, "perm", &count);
    const struct value *x = node->inputs[0];
    if (!order)
        return x->rank == 0 || x->rank == 1;
    for (size_t i = 0; i < count; i++)
        if (order[i] != (int64_t)i)
            return false;
    return x->rank < 0 || count == (size_t)x->rank;
}

/* Begins at the first element and ends at the last. */
static bool keeps_extent(const struct node *node)
{
    const struct value *x = node->inputs[0];
    int64_t held[4][SHAPE_MAX_RANK];
    size_t count, last, named = 0, stepped = 0;
    const int64_t *starts = constant_integers(node, "starts", 1, held[0], SHAPE_MAX_RANK, &count);
    const int64_t *ends = constant_integers(node, "ends", 2, held[1], SHAPE_MAX_RANK, &last);
    const int64_t *axes = constant_integers(node, "axes", 3, held[2], SHAPE_MAX_RANK, &named);
    const int64_t *steps = constant_integers(node, "steps", 4, held[3], SHAPE_MAX_RANK, &stepped);
    if (!starts || !ends || last != count || (axes && named != count) || (steps && stepped != count) ||
        (!axes && node_input(node, 3)) || (!steps && node_input(node, 4)))
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes ? axes[i] : (int64_t)i, extent = -1;
        axis += axis < 0 && has_dims(x) ? x->rank : 0;
        if (has_dims(x) && axis >= 0 && axis < x->rank)
            extent = x->dims[axis];
        bool begins = starts[i] == 0 || starts[i] <= -INT32_MAX || (extent >= 0 && starts[i] <= -extent);
        bool ends_there = ends[i] >= INT32_MAX || (extent >= 0 && ends[i] >= extent);
        if (!begins || !ends_there || (steps && steps[i] != 1))
            return false;
    }
    return true;
}

/* Scales of 1, or the existing sizes: then every interpolation returns its input. */
static bool keeps_samples(const struct node *node)
{
    struct arena *arena = node->graph->model->arena;
    const struct value *x = node->inputs[0];
    size_t input = node->op == OP_Upsample || node->opset < 11 ? 1 : 2, count;
    const char *where = node_string(arena, node, "coordinate_transformation_mode", "half_pixel");
    struct value *scales = node_input(node, input), *sizes = node_input(node, 3);
    const struct tensor *tensor;
    int64_t held[SHAPE_MAX_RANK];
    if (strncmp(where, "tf_", 3) == 0)
        return false;
    if (node->op == OP_Upsample && node->opset < 9) {
        const Onnx__AttributeProto *given = node_attribute(node, "scales");
        bool all = given != NULL;
        for (size_t i = 0; all && i < given->n_floats; i++)
            all = given->floats[i] == 1;
        return all;
    }
    if (scales && !constant_of(scales, &tensor) && tensor->count > 0)
        return tensor->count == x->rank && pass_holds_only(tensor, 1);
    const char *policy = node_string(arena, node, "keep_aspect_ratio_policy", "stretch");
    if (!sizes || !has_dims(x) || node_attribute(node, "axes") || strcmp(policy, "stretch") != 0)
        return false;
    const int64_t *target = constant_integers(node, "", 3, held, SHAPE_MAX_RANK, &count);
    for (size_t i = 0; target && i < count; i++)
        if (count != (size_t)x->rank || target[i] < 0 || target[i] != x->dims[i])
            return false;
    return target != NULL;
}

static bool keeps_broadcast(const struct node *node)
{
    const struct value *x = node->inputs[0];
    int64_t held[SHAPE_MAX_RANK];
    size_t count;
    const int64_t *sizes = constant_integers(node, "", 1, held, SHAPE_MAX_RANK, &count);
    if (!sizes || !has_dims(x) || count > (size_t)x->rank)
        return false;
    for (size_t i = 0; i < count; i++)
        if (sizes[i] != 1 && sizes[i] != x->dims[(size_t)x->rank - count + i])
            return false;
    return true;
}

/* Each size is copied or equals the existing one; one size may be -1. */
static bool keeps_shape(const struct node *node)
{
    const struct value *x = node->inputs[0];
    int64_t held[SHAPE_MAX_RANK];
    size_t count;
    const int64_t *sizes = constant_integers(node, "shape", 1, held, SHAPE_MAX_RANK, &count);
    bool copies = !node_integer(node, "allowzero", 0);
    if (!sizes || x->rank < 0 || count != (size_t)x->rank)
        return false;
    for (size_t i = 0, left = 0; i < count; i++) {
        left += sizes[i] == -1;
        bool same = x->dims[i] >= 0 && x->dims[i] == sizes[i] && !x->disputed;
        if (!(sizes[i] == 0 && copies) && !same && (sizes[i] != -1 || left > 1))
            return false;
    }
    return true;
}

/* Axes from `first` on have one element each. */
static bool is_single_from(const struct value *x, int first)
{
    bool single = has_dims(x) && x->rank >= first;
    for (int i = first; single && i < x->rank; i++)
        single = x->dims[i] == 1;
    return single;
}

/* An average, sum, product or extreme of single elements. */
static bool reduces_single(const struct node *node)
{
    const struct value *x = node->inputs[0];
    int64_t held[SHAPE_MAX_RANK];
    size_t count;
    const int64_t *axes = constant_integers(node, "axes", 1, held, SHAPE_MAX_RANK, &count);
    if (!axes || !count || !has_dims(x) || node_integer(node, "keepdims", 1) != 1)
        return false;
    for (size_t i = 0; i < count; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + x->rank : axes[i];
        if (axis < 0 || axis >= x->rank || x->dims[axis] != 1)
            return false;
    }
    return true;
}

static bool keeps_type(const struct node *node)
{
    const struct value *x = node->inputs[0], *like = node_input(node, 1);
    int64_t to = node->op == OP_Cast ? node_integer(node, "to", 0) : like ? like->type : 0;
    return x->type && to == x->type;
}

static bool is_off(const struct node *node, size_t input)
{
    struct value *mode = node_input(node, input);
    const struct tensor *tensor;
    int64_t live;
    return !mode || (!constant_of(mode, &tensor) && tensor->count == 1 && tensor_read_integers(tensor, &live) && !live);
}

/* ---- the op ---- */

/* NULL if the node's first output equals its input `*kept`; "" if it clearly does not; otherwise the reason why it
 * may not. */
static const char *look_at(struct node *node, size_t *kept)
{
    const struct value *x = node->inputs[0];
    bool keeps = false;
    *kept = 0;
    switch (node->op) {
    case OP_Add:
    case OP_Sub:
    case OP_Mul:
    case OP_Div:
    case OP_Pow: return look_at_arithmetic(node, kept);
    case OP_Identity: keeps = true; break;
    case OP_Concat:
    case OP_Sum:
    case OP_Max:
    case OP_Min:
    case OP_Mean: keeps = node->input_count == 1; break;
    case OP_Split: keeps = node->output_count == 1; break;
    case OP_Clip:
        keeps = !node_input(node, 1) && !node_input(node, 2) && !node_attribute(node, "min") &&
                !node_attribute(node, "max");
        break;
    case OP_Dropout: keeps = is_off(node, 2); break;
    case OP_BatchNormalization: keeps = is_identity_norm(node); break;
    case OP_AveragePool:
    case OP_MaxPool: keeps = keeps_window(node); break;
    case OP_GlobalAveragePool:
    case OP_GlobalMaxPool: keeps = is_single_from(x, 2); break;
    case OP_ReduceMax:
    case OP_ReduceMean:
    case OP_ReduceMin:
    case OP_ReduceProd:
    case OP_ReduceSum: keeps = reduces_single(node); break;
    case OP_Cast:
    case OP_CastLike: keeps = keeps_type(node); break;
    case OP_Pad: keeps = keeps_border(node); break;
    case OP_Slice: keeps = keeps_extent(node); break;
    case OP_Resize:
    case OP_Upsample: keeps = keeps_samples(node); break;
    case OP_Tile: keeps = x->rank >= 0 && gives_only(node, "", 1, 1, x->rank); break;
    case OP_Transpose: keeps = keeps_order(node); break;
    case OP_Expand: keeps = keeps_broadcast(node); break;
    case OP_Reshape: keeps = keeps_shape(node); break;
    case OP_Flatten: {
        int64_t axis = node_integer(node, "axis", 1);
        keeps = x->rank == 2 && (axis == 1 || axis == -1);
        break;
    }
    case OP_DepthToSpace:
    case OP_SpaceToDepth: keeps = node_integer(node, "blocksize", 0) == 1; break;
    default: break;
    }
    return keeps ? NULL : "";
}

static bool may_be_neutral(struct node *node)
{
    return node->op != OP_UNKNOWN && node->input_count && node->output_count && node->inputs[0] && node->outputs[0];
}

static bool remove_one(struct plan *plan, struct node *node)
{
    size_t kept;
    const char *reason = node_has_references(node) ? "" : look_at(node, &kept);
    if (!reason && only_first_is_needed(node))
        reason = "";
    struct value *value = node->outputs[0];
    if (!reason)
        reason = pass_check_redirect(value, node->inputs[kept]);
    if (reason && reason[0])
        plan_refuse(plan, node, value, reason);
    if (reason)
        return false;
    struct value *source = node->inputs[kept];
    pass_redirect(value, source);
    if (!node->removed)
        edit_remove(node);
    plan_redirected(plan, node, value, source);
    return true;
}

void remove_neutral(struct plan *plan)
{
    pass_each(plan, may_be_neutral, false, remove_one);
}
