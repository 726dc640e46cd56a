/* passes/unwrap_matmul.c
 *
 *     x [B, T, C] -> Reshape [B*T, C] -> MatMul -> Reshape [B, T, D] -> y        becomes        x -> MatMul -> y
 *
 * The second operand is one matrix: all axes of x but the last are rows.
 *
 * Refused: a target that is computed at run time. Left alone: a product that other ops read before it is reshaped,
 * shapes with more than one unknown size. */
#include "infer/constant.h"
#include "infer/window.h"
#include "model/edit.h"
#include "passes/passes.h"

enum { MOST = SHAPE_MAX_RANK, SIZE = 3 };

static bool is_reshape(const struct node *node)
{
    return node->op == OP_Reshape || node->op == OP_Flatten;
}

/* The check evaluates the file's ops on x alone. */
static bool has_known_target(const struct node *node)
{
    const struct tensor *tensor;
    return node->op == OP_Flatten ||
           (node_input(node, 1) && !constant_of(node->inputs[1], &tensor) && !tensor->from_shape);
}

/* All sizes but the last are the same; at most one of them is unknown, and follows from the others. */
static bool same_rows(const struct value *x, const struct value *y)
{
    int open = 0;
    if (x->rank < 2 || x->rank > MOST || x->rank != y->rank || x->disputed || y->disputed || x->dims[x->rank - 1] < 1)
        return false;
    for (int i = 0; i < x->rank - 1; i++) {
        bool is_open = x->dims[i] < 0 && y->dims[i] < 0; /* each is a symbol or unknown */
        if ((!is_open && x->dims[i] != y->dims[i]) || x->dims[i] == 0)
            return false;
        open += is_open;
    }
    return open <= 1;
}

/* The product reads rows of that width: all on one axis, or with the first axis kept, whatever its size. */
static bool are_rows(const struct value *rows, const struct value *x, int64_t width)
{
    if (rows->rank < 2 || rows->dims[rows->rank - 1] != width)
        return false;
    bool same_first = rows->dims[0] == x->dims[0] || (rows->dims[0] < 0 && x->dims[0] < 0);
    return rows->rank == 2 || (rows->rank < x->rank && same_first);
}

static struct node *maker_of(const struct value *value, const struct node *reader)
{
    struct node *node = value ? value->producer : NULL;
    bool good = node && !node->removed && node->graph == reader->graph && node_input(node, 0);
    return good ? node : NULL;
}

static bool unwrap(struct plan *plan, struct node *last)
{
    struct node *matmul = maker_of(last->inputs[0], last);
    if (!matmul || matmul->op != OP_MatMul || value_only_reader(last->inputs[0]) != last)
        return false;
    struct node *first = maker_of(matmul->inputs[0], matmul);
    struct value *x = first ? first->inputs[0] : NULL, *y = last->outputs[0];
    struct value *w = node_input(matmul, 1);
    if (!x || !w || !is_reshape(first) || !is_reshape(last) || !same_rows(x, y) || !value_is_told(x) ||
        !value_is_told(w) || !value_is_told(y) || x->is_annotated || w->is_annotated)
        return false;
    int64_t width = x->dims[x->rank - 1];
    if (w->rank != 2 || w->dims[0] != width || w->dims[1] < 1 || y->dims[y->rank - 1] != w->dims[1] ||
        !are_rows(matmul->inputs[0], x, width))
        return false;
    if (!has_known_target(first) || !has_known_target(last)) {
        plan_refuse(plan, last, y, "the target shape of a Reshape is not constant");
        return false;
    }
    const char *banned = plan_banned(plan, last->graph, y);
    if (banned) {
        plan_refuse(plan, last, y, banned);
        return false;
    }
    /* Constant targets ask for the declared sizes. */
    int64_t dims[MOST];
    const struct tensor *tensor;
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dims[i] < 0 ? SIZE : x->dims[i];
    struct trial_source sources[2] = {{x, x->rank, dims}, {w, 2, w->dims}};
    struct value *inputs[2] = {x, w};
    struct node *replaced[3] = {matmul, last};
    size_t count = 2;
    struct node *node = edit_node(last->graph, &(struct edit_op){.op = "MatMul",
                                                                 .at = last,
                                                                 .name = matmul->proto->name,
                                                                 .like = matmul,
                                                                 .inputs = inputs,
                                                                 .input_count = 2,
                                                                 .output = y});
    edit_remove(matmul);
    if (!value_is_needed(first->outputs[0])) { /* other products may read it too */
        edit_remove(first);
        replaced[count++] = first;
    }
    plan_rewritten(plan, node, y, sources, constant_of(w, &tensor) ? 2 : 1, replaced, count);
    return true;
}

static bool may_be_last(struct node *node)
{
    return (node->op == OP_Reshape || node->op == OP_Flatten) && node_input(node, 0) && node_output(node, 0) &&
           !node_has_references(node);
}

void unwrap_matmul(struct plan *plan)
{
    pass_each(plan, may_be_last, false, unwrap);
}
