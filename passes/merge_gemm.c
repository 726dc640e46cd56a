/* passes/merge_gemm.c
 *
 *     a, b -> MatMul -> Add(c) -> y        becomes        a, b, c -> Gemm -> y
 *     a -> Transpose -> Gemm -> y          becomes        a -> Gemm, transA -> y
 *
 * Merges a MatMul of two matrices, or a Gemm without a bias, with the Add of one row, which may be an input or a
 * constant. Merges a Transpose of either operand into a Gemm, which then reads it transposed.
 *
 * The pass waits until nothing else folds: a Gemm of a Transpose, or with a weight that is an input, folds no further.
 *
 * Refused: more than one row, or an unknown width. Left alone: a product or a Transpose that other ops read, unknown
 * ranks and widths, types that are not float. */
#include "fuse/lift.h"
#include "infer/constant.h"
#include "model/edit.h"
#include "passes/passes.h"

struct source_list {
    struct trial_source *items;
    size_t count, room;
};

enum { SIZE = 3 }; /* for an axis of unknown size: the same for all, so that they fit */

/* What a rewrite made is a constant, or adds up values of the file. */
static bool is_operand(const struct value *value, int rank_least)
{
    bool is_known = value && (value_is_told(value) || value->tensor || value->terms);
    for (size_t i = 0; is_known && !value_is_told(value) && value->terms && i < value->terms->count; i++)
        is_known = is_operand(value->terms->items[i].value, 0);
    return is_known && value->rank >= rank_least && value->rank <= 2 && !value->is_annotated;
}

static bool is_matrix(const struct value *value)
{
    return is_operand(value, 2) && type_is_float(value->type);
}

/* What is tried is what is not stored. */
static void add_source(struct arena *arena, struct value *value, struct source_list *sources)
{
    const struct tensor *tensor;
    if (!constant_of(value, &tensor))
        return;
    if (!value_is_told(value) && value->terms) {
        for (size_t i = 0; i < value->terms->count; i++)
            add_source(arena, value->terms->items[i].value, sources);
        return;
    }
    for (size_t i = 0; i < sources->count; i++)
        if (sources->items[i].value == value)
            return;
    int64_t *dims = NEW_ARRAY(arena, int64_t, 2);
    for (int i = 0; i < value->rank; i++)
        dims[i] = value->dims[i] < 0 ? SIZE : value->dims[i];
    LIST_PUSH(arena, sources, ((struct trial_source){value, value->rank, dims}));
}

static void replace(struct plan *plan, struct node *node, struct value *target, struct node *const *replaced)
{
    struct source_list sources = {NULL, 0, 0};
    for (size_t k = 0; k < node->input_count; k++)
        if (node->inputs[k])
            add_source(plan->model->arena, node->inputs[k], &sources);
    for (size_t i = 0; i < 2; i++)
        if (!replaced[i]->removed)
            edit_remove(replaced[i]);
    plan_rewritten(plan, node, target, sources.items, sources.count, replaced, 2);
}

static bool is_banned(struct plan *plan, const struct node *node)
{
    const char *reason = plan_banned(plan, node->graph, node->outputs[0]);
    if (reason)
        plan_refuse(plan, node, node->outputs[0], reason);
    return reason != NULL;
}

/* A product without a bias. Its beta has no effect, and must not gain one. */
static bool is_bare(const struct node *product)
{
    return product->op == OP_MatMul || (product->op == OP_Gemm && !node_input(product, 2) &&
                                        node_float(product, "beta", 1) == 1 && !node_has_references(product));
}

/* Operand `row` of the Add is one row, or one number, beside the product of two matrices. */
static bool merge_row(struct plan *plan, struct node *add, size_t row)
{
    struct value *between = add->inputs[1 - row], *c = add->inputs[row], *target = add->outputs[0];
    struct node *product = between->producer;
    if (!product || !is_bare(product) || product->removed || product->graph != add->graph ||
        value_only_reader(between) != add || !is_matrix(node_input(product, 0)) || !is_matrix(node_input(product, 1)) ||
        !is_operand(c, 0) || !is_operand(target, 0) || c->type != product->inputs[0]->type)
        return false;
    bool is_turned = product->op == OP_Gemm && node_integer(product, "transB", 0);
    int64_t width = product->inputs[1]->dims[is_turned ? 0 : 1];
    bool fits = c->rank < 2 || c->dims[0] == 1;
    if (c->rank > 0)
        fits = fits && (c->dims[c->rank - 1] == 1 || (width >= 0 && c->dims[c->rank - 1] == width));
    bool takes_type = c->type != ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16 || add->graph->opset >= 13;
    const struct tensor *tensor;
    bool is_stored = !constant_of(product->inputs[0], &tensor) && !constant_of(product->inputs[1], &tensor) &&
                     !constant_of(c, &tensor);
    if (!fits)
        plan_refuse(plan, add, target, "the other summand is not a single row as wide as the product");
    if (!fits || !takes_type || is_stored || is_banned(plan, add))
        return false;
    struct value *inputs[3] = {product->inputs[0], product->inputs[1], c};
    struct node *replaced[2] = {product, add};
    struct node *node = edit_node(add->graph, &(struct edit_op){.op = "Gemm",
                                                                .at = add,
                                                                .name = product->proto->name,
                                                                .like = product,
                                                                .inputs = inputs,
                                                                .input_count = 3,
                                                                .output = target});
    if (product->op == OP_Gemm)
        edit_take_attributes(node, product);
    replace(plan, node, target, replaced);
    return true;
}

static bool merge_transpose(struct plan *plan, struct node *gemm, size_t operand)
{
    struct value *turned = node_input(gemm, operand), *target = gemm->outputs[0];
    struct node *transpose = turned ? turned->producer : NULL;
    size_t count;
    if (!transpose || transpose->op != OP_Transpose || transpose->graph != gemm->graph || transpose->removed ||
        value_only_reader(turned) != gemm || !is_matrix(node_input(transpose, 0)) || !is_operand(target, 0) ||
        node_has_references(gemm) || node_has_references(transpose))
        return false;
    const int64_t *order = node_integers(transpose, "perm", &count);
    const struct tensor *tensor;
    if ((order && (count != 2 || order[0] != 1 || order[1] != 0)) || !constant_of(turned, &tensor) ||
        is_banned(plan, gemm))
        return false;
    for (size_t k = 0; k < gemm->input_count; k++)
        if (k != operand && gemm->inputs[k] && !is_operand(gemm->inputs[k], 0))
            return false;
    const char *name = operand ? "transB" : "transA";
    const struct edit_attribute turn = {name, NULL, 0, !node_integer(gemm, name, 0)};
    struct value *inputs[3] = {0};
    struct node *replaced[2] = {transpose, gemm};
    if (gemm->input_count < 2 || gemm->input_count > 3)
        return false;
    for (size_t k = 0; k < gemm->input_count; k++)
        inputs[k] = k == operand ? transpose->inputs[0] : gemm->inputs[k];
    struct node *node = edit_node(gemm->graph, &(struct edit_op){.op = "Gemm",
                                                                 .at = gemm,
                                                                 .name = gemm->proto->name,
                                                                 .like = gemm,
                                                                 .inputs = inputs,
                                                                 .input_count = gemm->input_count,
                                                                 .output = target});
    edit_take_attributes(node, gemm);
    edit_set_attribute(node, &turn);
    replace(plan, node, target, replaced);
    return true;
}

static bool may_end(struct node *node)
{
    bool may = node->op == OP_Add || node->op == OP_Gemm;
    /* A bias that a rewrite added behind a product stays there until the rank is known. */
    const struct step *step = node->op == OP_Add ? lift_known(node, LAYOUT_MATRIX) : NULL;
    return may && !(step && step->is_made) && node_input(node, 0) && node_input(node, 1) && node_output(node, 0);
}

static bool merge(struct plan *plan, struct node *node)
{
    return node->op == OP_Add ? merge_row(plan, node, 1) || merge_row(plan, node, 0)
                              : merge_transpose(plan, node, 0) || merge_transpose(plan, node, 1);
}

void merge_gemm(struct plan *plan)
{
    if (!plan->changed)
        pass_each(plan, may_end, false, merge);
}
