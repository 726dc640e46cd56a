/* lift_border.c: a border written by Pad and ScatterND.
 *
 * Diverse Branch Block (arXiv 2103.13425, section 3.2) pads the output of BatchNormalization with
 * what BatchNormalization makes of 0. Exporters write the assignments to the four edges as
 *
 *     Pad(0) -> ScatterND -> ScatterND -> ...   with constant indices and updates,
 *
 * or turn the axis that is written to the front, by Transposes between, and all back in the end.
 *
 * The chain is a Pad with one value per channel when, and only when, its updates cover every
 * padded position with that value and touch nothing else. This is found by writing on a grid. */
#include <math.h>
#include <string.h>

#include "constant.h"
#include "lift_internal.h"
#include "model.h"

enum { BORDER_CHAIN = 32, MAX_RANK = AFFINE_AXES + 2 };
/* Elements of the grid. */
#define BORDER_LIMIT (INT64_C(1) << 26)

/* The padded value: its numbers are nowhere, but for what was written. */
struct grid {
    int rank;
    const int64_t *dims;
    double *numbers;
    int axis[MAX_RANK]; /* what is here the axis i of it, after the Transposes so far */
};

static int64_t stride_of(const struct grid *grid, int place)
{
    int64_t stride = 1;
    for (int i = grid->axis[place] + 1; i < grid->rank; i++)
        stride *= grid->dims[i];
    return stride;
}

static int64_t extent_of(const struct grid *grid, int place)
{
    return grid->dims[grid->axis[place]];
}

/* Writes a block of the axes from `first` on, in the order they have now. */
static void write_block(struct grid *grid, int first, int64_t at, const double *block)
{
    int64_t position[MAX_RANK] = {0};
    for (bool more = true; more;) {
        grid->numbers[at] = *block++;
        more = false;
        for (int i = grid->rank - 1; i >= first && !more; i--) {
            more = ++position[i] < extent_of(grid, i);
            at += more ? stride_of(grid, i) : -(extent_of(grid, i) - 1) * stride_of(grid, i);
            position[i] = more ? position[i] : 0;
        }
    }
}

/* Writes one ScatterND on the grid. Source: ONNX ScatterND-11 .. ScatterND-18. */
static const char *scatter(struct node *node, struct grid *grid, bool *sized)
{
    struct arena *arena = node->graph->model->arena;
    const struct tensor *indices, *updates;
    int rank = grid->rank;
    if (!node_input(node, 1) || !node_input(node, 2))
        return "an input of ScatterND is missing";
    const char *reason = constant_of(node->inputs[1], &indices);
    if (!reason)
        reason = constant_of(node->inputs[2], &updates);
    if (reason)
        return arena_format(arena, "ScatterND writes what %s", reason);
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
        block *= extent_of(grid, i);
    int64_t needed;
    if (!multiply_fits(places, block, &needed) || updates->count != needed)
        return "ScatterND's updates do not fit";
    int64_t *index = NEW_ARRAY(arena, int64_t, indices->count + 1);
    double *numbers = NEW_ARRAY(arena, double, block);
    if (!tensor_read_integers(indices, index))
        return "ScatterND's indices cannot be read";
    for (int64_t p = 0; p < places; p++) {
        int64_t at = 0;
        for (int i = 0; i < (int)depth; i++) {
            int64_t k = index[p * depth + i];
            k += k < 0 ? extent_of(grid, i) : 0;
            if (k < 0 || k >= extent_of(grid, i))
                return "ScatterND writes outside";
            at += k * stride_of(grid, i);
        }
        tensor_read(updates, p * block, block, numbers);
        write_block(grid, (int)depth, at, numbers);
    }
    return NULL;
}

/* Turns the axes. Source: ONNX Transpose-1 .. Transpose-25. */
static const char *turn(const struct node *node, struct grid *grid)
{
    size_t count;
    const int64_t *perm = node_integers(node, "perm", &count);
    int turned[MAX_RANK];
    bool seen[MAX_RANK] = {false};
    if (perm && count != (size_t)grid->rank)
        return "a Transpose of another rank than its input";
    for (int i = 0; i < grid->rank; i++) {
        int64_t from = perm ? perm[i] : grid->rank - 1 - i;
        if (from < 0 || from >= grid->rank || seen[from])
            return "a Transpose without an order of the axes";
        seen[from] = true;
        turned[i] = grid->axis[from];
    }
    memcpy(grid->axis, turned, sizeof(turned));
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

static const char *write_border(struct node *const *chain, int length, struct grid *grid,
                                bool *sized)
{
    const char *reason = NULL;
    for (int i = 0; i < grid->rank; i++)
        grid->axis[i] = i;
    for (int i = length - 1; !reason && i >= 0; i--) {
        if (chain[i]->op == OP_ScatterND)
            reason = scatter(chain[i], grid, sized);
        else if (chain[i]->op == OP_Transpose)
            reason = turn(chain[i], grid);
    }
    for (int i = 0; !reason && i < grid->rank; i++)
        if (grid->axis[i] != i)
            reason = "Transposes around ScatterND leave the axes in another order";
    return reason;
}

/* The ops from `root` back to a Pad, and the ScatterND among them that writes last. */
static const char *find_chain(struct node *root, struct node **chain, int *length,
                              struct node **scatter_node, struct node **pad)
{
    const char *unknown = root->op == OP_ScatterND ? "ScatterND is not a linear op that is known"
                                                   : "Transpose is not a linear op that is known";
    struct node *node = root;
    *scatter_node = NULL;
    *length = 0;
    while (node &&
           (node->op == OP_ScatterND || node->op == OP_Transpose || node->op == OP_Identity)) {
        if (*length == BORDER_CHAIN || !node_input(node, 0))
            return unknown;
        if (!*scatter_node && node->op == OP_ScatterND)
            *scatter_node = node;
        chain[(*length)++] = node;
        node = node->inputs[0]->producer;
    }
    *pad = node;
    return node && node->op == OP_Pad && *scatter_node ? NULL : unknown;
}

const char *lift_border(struct node *root, struct step *step)
{
    struct arena *arena = root->graph->model->arena;
    struct node *chain[BORDER_CHAIN + 1], *pad_node, *scatter_node;
    int64_t begin[MAX_RANK], end[MAX_RANK], dims[MAX_RANK], count;
    int length, rank;
    const char *reason = find_chain(root, chain, &length, &scatter_node, &pad_node);
    if (!reason)
        reason = lift_pad_amounts(pad_node, begin, end, &rank, &step->sized);
    if (reason)
        return reason;
    struct value *input = pad_node->inputs[0];
    if (rank < 3 || input->rank != rank)
        return "the size under ScatterND is not known";
    for (int i = 0; i < rank; i++) {
        if (input->dims[i] < 1 || begin[i] < 0 || end[i] < 0 || (i < 2 && (begin[i] || end[i])))
            return "the size under ScatterND is not known, or Pad crops";
        dims[i] = input->dims[i] + begin[i] + end[i];
    }
    if (!count_elements(dims, (size_t)rank, &count) || count > BORDER_LIMIT)
        return "ScatterND works on a value that is too large to follow";
    const struct step *pad = lift_node(pad_node, LAYOUT_CONV);
    if (pad->reason)
        return pad->reason;
    struct grid grid = {.rank = rank, .dims = dims, .numbers = NEW_ARRAY(arena, double, count + 1)};
    double *border = NEW_ARRAY(arena, double, dims[1]);
    for (int64_t i = 0; i < count; i++)
        grid.numbers[i] = NAN;
    reason = write_border(chain, length, &grid, &step->sized);
    if (!reason)
        reason = read_border(grid.numbers, dims, rank, begin, end, border);
    if (reason)
        return reason;
    const struct tensor *tensor;
    int32_t type = constant_of(scatter_node->inputs[2], &tensor) ? 0 : tensor->type;
    const struct affine *form;
    reason = affine_pad(arena, rank - 2, begin + 2, end + 2, dims[1], border, type_rounding(type),
                        &form);
    chain[length] = pad_node;
    step->passed = NEW_ARRAY(arena, struct node *, length + 1);
    memcpy(step->passed, chain + 1, (size_t)length * sizeof(*chain));
    step->passed_count = (size_t)length;
    step->input = input;
    step->form = form;
    step->type = type;
    return reason;
}
