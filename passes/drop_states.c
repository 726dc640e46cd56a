/* passes/drop_states.c
 *
 *     x -> Shape -> ... -> Expand 0 -> h;   LSTM (x, W, R, B, , h, h)        becomes        LSTM (x, W, R, B)
 *
 * The initial state of LSTM, GRU and RNN defaults to 0. Exporters write one of zeros, and let the model compute its
 * number of rows from its input.
 *
 * Refused: a state whose size depends on another value than the op's input. Left alone: weights that are not
 * constant. */
#include "fuse/trace.h"
#include "infer/constant.h"
#include "passes/passes.h"
#include "passes/slide.h"

enum { STATE = 5, CELL = 6, HOPS = 16 };

/* ---- zeros ---- */

/* A ConstantOfShape of zeros; its value defaults to 0. */
static bool fills_zeros(const struct node *node)
{
    const Onnx__AttributeProto *value = node_attribute(node, "value");
    struct tensor *tensor;
    return !value || (value->t && !tensor_from_proto(node->graph->model->arena, value->t, NULL, &tensor) &&
                      pass_holds_only(tensor, 0));
}

static bool is_zero(struct value *value)
{
    const struct tensor *tensor;
    for (int hops = 0; hops < HOPS && value; hops++) {
        const struct node *maker = value->producer;
        if (!constant_of(value, &tensor))
            return pass_holds_only(tensor, 0);
        if (maker && maker->op == OP_ConstantOfShape)
            return fills_zeros(maker);
        if (!maker || !(operator_is(maker->op, MOVES) || maker->op == OP_Cast))
            return false;
        value = node_input(maker, 0);
    }
    return false;
}

/* ---- where their number comes from ---- */

/* The input of the op, and the values before it: the state's size must come from one of them. */
struct origin {
    struct value *before[HOPS];
    size_t count;
    size_t farthest;             /* of those that were met */
    const struct value *foreign; /* met, and none of them */
    size_t steps;
};

static void find_before(struct value *value, struct origin *origin)
{
    while (value && origin->count < HOPS) {
        origin->before[origin->count++] = value;
        value = value->producer && value->producer->graph == value->graph ? node_input(value->producer, 0) : NULL;
    }
}

static void look_back(struct value *value, struct origin *origin)
{
    enum { STEPS = 256 };
    const struct tensor *tensor;
    for (size_t i = 0; i < origin->count; i++)
        if (origin->before[i] == value) {
            origin->farthest = i > origin->farthest ? i : origin->farthest;
            return;
        }
    if (!constant_of(value, &tensor))
        return;
    struct node *maker = value->producer;
    if (!maker || ++origin->steps > STEPS)
        origin->foreign = origin->foreign ? origin->foreign : value;
    for (size_t i = 0; maker && !origin->foreign && i < maker->input_count; i++)
        if (maker->inputs[i])
            look_back(maker->inputs[i], origin);
}

/* ---- the rewrite ---- */

static bool has_state(struct node *node)
{
    const struct tensor *tensor;
    bool recurs = node->op == OP_LSTM || node->op == OP_GRU || node->op == OP_RNN;
    if (!recurs || node_has_references(node) || !node_input(node, 0) ||
        (!node_input(node, STATE) && !node_input(node, CELL)))
        return false;
    for (size_t i = 1; i < node->input_count; i++)
        if (i != STATE && i != CELL && node->inputs[i] && constant_of(node->inputs[i], &tensor))
            return false;
    return true;
}

static bool drop(struct plan *plan, struct node *node)
{
    struct slide slide = {.plan = plan, .node = node};
    struct origin origin = {.count = 0};
    struct value **inputs = NEW_ARRAY(plan->model->arena, struct value *, node->input_count);
    struct node *makers[2] = {NULL};
    size_t dropped = 0, output = 0;
    while (output < node->output_count && !node->outputs[output])
        output++;
    if (output == node->output_count)
        return false;
    struct value *target = node->outputs[output];
    memcpy(inputs, node->inputs, node->input_count * sizeof(*inputs));
    find_before(node->inputs[0], &origin);
    for (size_t i = STATE; i <= CELL; i++) {
        struct value *state = node_input(node, i);
        if (!state || !type_is_float(state->type) || state->is_annotated || !is_zero(state))
            continue;
        inputs[i] = NULL;
        makers[dropped++] = state->producer;
        look_back(state, &origin);
    }
    const char *reason = dropped ? plan_banned(plan, node->graph, target) : "";
    if (!reason && origin.foreign)
        reason = arena_format(plan->model->arena,
                              "its initial state of zeros takes its size from '%s', on which its input does not depend",
                              origin.foreign->name);
    struct value *source = origin.before[origin.farthest];
    if (!reason && (!value_is_told(source) || !type_is_float(source->type)))
        reason = "";
    if (reason && reason[0])
        plan_refuse(plan, node, target, reason);
    if (reason)
        return false;
    slide_begin(&slide, target);
    slide_source(&slide, source, -1);
    slide_copy(&slide, node, node, inputs, output, target);
    for (size_t i = 0; i < dropped; i++)
        if (makers[i])
            slide_remove_unread(&slide, makers[i]);
    lift_forget(plan->model);
    return false;
}

void drop_states(struct plan *plan)
{
    pass_each(plan, has_state, false, drop);
}
