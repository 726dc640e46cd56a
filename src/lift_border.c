/* lift_border.c: a border written by Pad and ScatterND.
 *
 * Diverse Branch Block (arXiv 2103.13425, section 3.2) pads the output of BatchNormalization with
 * what BatchNormalization makes of 0. Exporters write the assignments to the four edges as
 *
 *     Pad(0) -> ScatterND -> ScatterND -> ...   with constant indices and updates.
 *
 * The chain is a Pad with one value per channel when, and only when, its updates cover every
 * padded position with that value and touch nothing else. This is found by writing on a grid. */
#include <math.h>
#include <string.h>

#include "constant.h"
#include "lift_internal.h"
#include "model.h"

enum { BORDER_CHAIN = 16, MAX_RANK = AFFINE_AXES + 2 };
/* Elements of the grid. */
#define BORDER_LIMIT (INT64_C(1) << 26)

/* Writes one ScatterND on the grid. Source: ONNX ScatterND-11 .. ScatterND-18. */
static const char *scatter(struct node *node, const int64_t *dims, int rank, double *grid,
                           bool *sized)
{
    struct arena *arena = node->graph->model->arena;
    const struct tensor *indices, *updates;
    if (!node_input(node, 1) || !node_input(node, 2))
        return "an input of ScatterND is missing";
    const char *reason = constant_of(node->inputs[1], &indices);
    if (!reason)
        reason = constant_of(node->inputs[2], &updates);
    if (reason)
        return arena_format(arena, "ScatterND writes what is not constant: %s", reason);
    if (strcmp(node_string(node->graph->model->arena, node, "reduction", "none"), "none") != 0)
        return "ScatterND reduces";
    if (indices->rank < 1 || !tensor_is_readable(updates) || !type_is_float(updates->type))
        return "ScatterND's indices or updates cannot be read";
    *sized = true;
    int64_t depth = indices->dims[indices->rank - 1];
    if (depth < 1 || depth > rank)
        return "ScatterND's indices do not fit";
    int64_t places = indices->count / depth, block = 1;
    for (int i = (int)depth; i < rank; i++)
        block *= dims[i];
    int64_t needed;
    if (!multiply_fits(places, block, &needed) || updates->count != needed)
        return "ScatterND's updates do not fit";
    int64_t *index = NEW_ARRAY(arena, int64_t, indices->count + 1);
    if (!tensor_read_integers(indices, index))
        return "ScatterND's indices cannot be read";
    for (int64_t p = 0; p < places; p++) {
        int64_t at = 0;
        for (int64_t i = 0; i < depth; i++) {
            int64_t k = index[p * depth + i];
            k += k < 0 ? dims[i] : 0;
            if (k < 0 || k >= dims[i])
                return "ScatterND writes outside";
            at = at * dims[i] + k;
        }
        tensor_read(updates, p * block, block, grid + at * block);
    }
    return NULL;
}

/* Reads the border back: one value per channel, the inside untouched. */
static const char *read_border(const double *grid, const int64_t *dims, int rank,
                               const int64_t *begin, const int64_t *end, double *border)
{
    int64_t position[MAX_RANK] = {0}, count;
    count_elements(dims, (size_t)rank, &count);
    for (int64_t c = 0; c < dims[1]; c++)
        border[c] = NAN;
    for (int64_t i = 0; i < count; i++) {
        bool inside = true;
        for (int k = 2; k < rank; k++)
            inside = inside && position[k] >= begin[k] && position[k] < dims[k] - end[k];
        double *value = &border[position[1]];
        if (inside != (isnan(grid[i]) != 0))
            return inside ? "ScatterND writes inside the padding's frame"
                          : "ScatterND leaves some of the padding at 0";
        if (!inside && isnan(*value))
            *value = grid[i];
        if (!inside && *value != grid[i])
            return "the padding holds different values in one channel";
        for (int k = rank - 1; k >= 0 && ++position[k] == dims[k]; k--)
            position[k] = 0;
    }
    return NULL;
}

const char *lift_border(struct node *node, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    struct node **chain = NEW_ARRAY(arena, struct node *, BORDER_CHAIN + 1);
    int length = 0;
    for (; node && node->op == OP_ScatterND; node = node->inputs[0]->producer) {
        if (length == BORDER_CHAIN || !node_input(node, 0))
            return "ScatterND is not a linear op that is known";
        chain[length++] = node;
    }
    if (!node || node->op != OP_Pad)
        return "ScatterND is not a linear op that is known";
    int64_t begin[MAX_RANK], end[MAX_RANK], count;
    int rank;
    const char *reason = lift_pad_amounts(node, begin, end, &rank, &step->sized);
    if (reason)
        return reason;
    struct value *input = node->inputs[0];
    int64_t dims[MAX_RANK];
    if (rank < 3 || input->rank != rank)
        return "the size under ScatterND is not known";
    for (int i = 0; i < rank; i++) {
        if (input->dims[i] < 1 || begin[i] < 0 || end[i] < 0 || (i < 2 && (begin[i] || end[i])))
            return "the size under ScatterND is not known, or Pad crops";
        dims[i] = input->dims[i] + begin[i] + end[i];
    }
    if (!count_elements(dims, (size_t)rank, &count) || count > BORDER_LIMIT)
        return "ScatterND works on a value that is too large to follow";
    const struct step *pad = lift_node(node, LAYOUT_CONV);
    if (pad->reason)
        return pad->reason;
    double *grid = NEW_ARRAY(arena, double, count + 1);
    double *border = NEW_ARRAY(arena, double, dims[1]);
    for (int64_t i = 0; i < count; i++)
        grid[i] = NAN;
    for (int i = length - 1; i >= 0; i--) {
        reason = scatter(chain[i], dims, rank, grid, &step->sized);
        if (reason)
            return reason;
    }
    reason = read_border(grid, dims, rank, begin, end, border);
    if (reason)
        return reason;
    struct value *updates = chain[0]->inputs[2];
    const struct tensor *tensor;
    int32_t type = constant_of(updates, &tensor) ? 0 : tensor->type;
    const struct affine *form;
    reason = affine_pad(arena, rank - 2, begin + 2, end + 2, dims[1], border, type_rounding(type),
                        &form);
    chain[length] = node;
    step->passed = chain + 1;
    step->passed_count = (size_t)length;
    step->input = input;
    step->form = form;
    step->type = type;
    return reason;
}
