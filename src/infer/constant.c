/* infer/constant.c: folds constants on request. The graph does not change. */
#include "infer/constant.h"

#include "eval/eval.h"
#include "infer/inferred.h"

/* Deeper chains of constant operators are left alone: they are walked by recursion. */
enum { FOLD_DEPTH = 200 };

static const char *fold(struct value *value, int depth, const struct tensor **tensor);

/* True for a value of which a shape is only what the model declares: what a constant's shape says holds
 * always, unless its numbers come from another shape. */
static bool is_declared(struct value *value, int depth)
{
    const struct tensor *constant;
    return fold(value, depth, &constant) != NULL || constant->from_shape;
}

/* Elements that are known one by one: of a shape, and what is computed of it. Its own sizes may be declared
 * only. */
static const char *fold_elements(struct value *value, int depth, struct tensor **result)
{
    const struct node *node = value->producer;
    struct arena *arena = value->graph->model->arena;
    const struct elements *elements = elements_of(value, (struct elements_asker){depth, fold});
    if (!elements)
        return "a shape is not known";
    int64_t count = (int64_t)elements->count, *integers = NEW_ARRAY(arena, int64_t, count + 1);
    for (int64_t i = 0; i < count; i++) {
        if (elements->items[i].kind != ELEMENT_NUMBER)
            return "a dimension is not known";
        integers[i] = elements->items[i].number;
    }
    bool is_shape = node->op == OP_Shape || node->op == OP_Size;
    *result = tensor_of_integers(arena, value->type, elements->rank, &count, integers);
    (*result)->from_shape = !is_shape || is_declared(node->inputs[0], depth + 1);
    return NULL;
}

/* A CastLike needs only the type of its second input. NULL: it is unknown. */
static const struct tensor *type_of_like(struct arena *arena, const struct value *like)
{
    int32_t type = like ? like->type : 0;
    if (!type)
        return NULL;
    return type_is_float(type) ? tensor_of_doubles(arena, type, 0, NULL, NEW_ARRAY(arena, double, 1))
                               : tensor_of_integers(arena, type, 0, NULL, NEW_ARRAY(arena, int64_t, 1));
}

/* Why a result of `input` is not constant: the original cause, however far back. */
static const char *because_of(struct arena *arena, const struct value *input, const char *reason)
{
    if (input->producer)
        return reason;
    return arena_format(arena, "is computed from '%s', which %s", input->name, reason);
}

static const char *not_evaluated(const struct value *value, const char *reason)
{
    const char *operator_name = value->producer->proto->op_type;
    return arena_format(value->graph->model->arena, "is computed by %s -> '%s', which is not evaluated%s%s",
                        operator_name ? operator_name : "", value->name, reason ? ": " : "", reason ? reason : "");
}

/* The constants of a node's inputs, NULL where one is left out. */
static const char *fold_inputs(struct node *node, int depth, const struct tensor **inputs)
{
    struct arena *arena = node->graph->model->arena;
    for (size_t i = 0; i < node->input_count; i++) {
        if (!node->inputs[i])
            continue;
        if (node->op == OP_CastLike && i == 1 && (inputs[i] = type_of_like(arena, node->inputs[i])) != NULL)
            continue;
        const char *reason = fold(node->inputs[i], depth + 1, &inputs[i]);
        if (reason)
            return because_of(arena, node->inputs[i], reason);
    }
    return NULL;
}

static const char *fold_node(struct value *value, int depth, struct tensor **result)
{
    struct node *node = value->producer;
    struct arena *arena = node->graph->model->arena;
    bool from_shape = false;
    const char *reason;
    if (node->op == OP_Shape || node->op == OP_Size) {
        reason = fold_elements(value, depth, result);
        return reason ? not_evaluated(value, reason) : NULL;
    }
    if (node->op == OP_Constant)
        return "is a Constant of an unsupported kind";
    const struct tensor **inputs = NEW_ARRAY(arena, const struct tensor *, node->input_count);
    reason = fold_inputs(node, depth, inputs);
    if (reason)
        return value->rank <= 1 && !fold_elements(value, depth, result) ? NULL : reason;
    if (node->op == OP_UNKNOWN || node->body_count)
        return not_evaluated(value, NULL);
    for (size_t i = 0; i < node->input_count; i++) {
        if (inputs[i] && !tensor_is_readable(inputs[i]))
            return arena_format(arena, "is computed from '%s', which is %s, not a type that is read",
                                node->inputs[i]->name, type_name(inputs[i]->type));
        from_shape = from_shape || (inputs[i] && inputs[i]->from_shape);
    }
    struct tensor **outputs = NEW_ARRAY(arena, struct tensor *, node->output_count);
    reason = eval_node(arena, node, inputs, outputs, BUDGET_FOLDED, &node->graph->model->folding);
    if (reason)
        return not_evaluated(value, reason);
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] == value)
            *result = outputs[i];
    if (!*result)
        return not_evaluated(value, "this output is not made");
    (*result)->from_shape = from_shape;
    return NULL;
}

static const char *fold(struct value *value, int depth, const struct tensor **tensor)
{
    const struct model *model = value->graph->model;
    *tensor = NULL;
    if (value->is_initializer && value->is_input && model->ir_version >= 4)
        return "is not constant: it is also a graph input, so a caller may override it";
    if (value->tensor) {
        *tensor = value->tensor;
        return NULL;
    }
    if (!value->producer)
        return value->is_input ? "is not constant: it is a graph input"
                               : "is not constant: it is known only while the model runs";
    struct inferred *known = inferred_of(value);
    if (known->constant_state == INFERRED_IN_WORK)
        return "is computed from itself";
    if (known->constant_state == INFERRED_NOT_YET) {
        if (depth > FOLD_DEPTH)
            return "is computed by too long a chain of operators";
        known->constant_state = INFERRED_IN_WORK;
        known->not_constant = fold_node(value, depth, &known->constant);
        known->constant_state = INFERRED_DONE;
    }
    *tensor = known->constant;
    return known->not_constant;
}

const char *constant_of(struct value *value, const struct tensor **tensor)
{
    return fold(value, 0, tensor);
}

const struct elements *constant_elements(struct value *value)
{
    return elements_of(value, (struct elements_asker){0, fold});
}

const struct tensor *constant_folded(const struct value *value)
{
    return inferred_of(value)->constant;
}

const char *constant_refused(const struct value *value)
{
    return inferred_of(value)->not_constant;
}

const double *constant_numbers(struct value *value, const struct tensor *tensor)
{
    struct effort *effort = &value->graph->model->folding;
    if (tensor->storage == STORAGE_DOUBLES)
        return tensor->data;
    if (tensor->storage == STORAGE_REPEATED && (double)tensor->count > effort->cells)
        return NULL;
    if (tensor->storage == STORAGE_REPEATED)
        effort->cells -= (double)tensor->count;
    double *numbers = NEW_ARRAY(value->graph->model->arena, double, tensor->count + 1);
    tensor_read(tensor, 0, tensor->count, numbers);
    return numbers;
}

const int64_t *constant_integers(const struct node *node, const char *name, size_t input, int64_t *held, size_t most,
                                 size_t *count)
{
    const int64_t *given = node_integers(node, name, count);
    struct value *value = node_input(node, input);
    const struct tensor *tensor;
    if (given || !value || constant_of(value, &tensor) || tensor->count > (int64_t)most ||
        !tensor_read_integers(tensor, held))
        return given;
    *count = (size_t)tensor->count;
    return held;
}
