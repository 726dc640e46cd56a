/* infer/operand.c: constants as an op takes them: a weight, a vector, integers. */
#include "infer/operand.h"

#include <math.h>

#include "base/decimal.h"
#include "infer/constant.h"
#include "model/model.h"

const char *operand_integers(struct node *node, size_t index, const char *what, int64_t *numbers, size_t room,
                             size_t *count, bool *sized)
{
    struct arena *arena = node->graph->model->arena;
    const struct tensor *tensor;
    const char *reason = constant_of(node->inputs[index], &tensor);
    if (reason)
        return arena_format(arena, "its %s %s", what, reason);
    if (tensor->count > (int64_t)room || !tensor_read_integers(tensor, numbers))
        return arena_format(arena, "its %s cannot be read", what);
    *count = (size_t)tensor->count;
    *sized = *sized || tensor->from_shape;
    return NULL;
}

/* A constant of a float type that can be read, or the reason. */
const char *operand_weight(struct arena *arena, struct value *value, const char *what, const struct tensor **tensor)
{
    if (!value)
        return arena_format(arena, "its %s is missing", what);
    if (value->is_annotated)
        return arena_format(arena, "its %s '%s' carries a quantization annotation", what, value->name);
    const char *reason = constant_of(value, tensor);
    if (reason)
        return arena_format(arena, "its %s '%s' %s", what, value->name, reason);
    if (!type_is_float((*tensor)->type) || !tensor_is_readable(*tensor))
        return arena_format(arena, "its %s '%s' is %s, not a float type that can be folded", what, value->name,
                            type_name((*tensor)->type));
    if ((*tensor)->from_shape)
        return arena_format(arena, "its %s '%s' depends on the shape of a value", what, value->name);
    return NULL;
}

/* A vector of `count` numbers, all of them finite. */
const char *operand_vector(struct arena *arena, struct value *value, const char *what, int64_t count,
                           const double **numbers, int32_t *type)
{
    const struct tensor *tensor;
    const char *reason = operand_weight(arena, value, what, &tensor);
    if (reason)
        return reason;
    if (tensor->rank != 1 || tensor->count != count)
        return arena_format(arena, "its %s has %lld numbers, expected %lld", what, (long long)tensor->count,
                            (long long)count);
    *numbers = constant_numbers(value, tensor);
    if (!*numbers)
        return CONSTANT_TOO_LARGE;
    for (int64_t i = 0; i < count; i++)
        if (!isfinite((*numbers)[i]))
            return arena_format(arena, "its %s holds %s in channel %lld", what, decimal_rounded((*numbers)[i], 6).text,
                                (long long)i);
    if (type)
        *type = tensor->type;
    return NULL;
}
