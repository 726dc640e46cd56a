/* fuse/lift.c: one operator at a time to the algebra. */
#include "fuse/lift.h"

#include "fuse/border.h"
#include "fuse/channel.h"
#include "fuse/extent.h"
#include "fuse/product.h"
#include "fuse/select.h"
#include "fuse/turned.h"
#include "infer/rules.h"

static const char *lift_parts(struct node *node, enum layout layout, struct step *step)
{
    bool selects = false;
    if (layout != LAYOUT_CONV)
        return lift_select(node, layout, step);
    const char *reason = node->op == OP_Pad ? lift_pad(node, step, &selects) : lift_slice(node, step, &selects);
    return reason || !selects ? reason : lift_select_channels(node, step);
}

static const char *lift(struct node *node, enum layout layout, struct step *step)
{
    struct arena *arena = node->graph->model->arena;
    bool conv = layout == LAYOUT_CONV;
    /* A PRelu that training made the identity: max(x, 0) + 1 * min(x, 0). */
    if (node->op == OP_LeakyRelu && node_float(node, "alpha", 0.01) == 1)
        return lift_unary(node, step);
    switch (node->op) {
    case OP_Conv: return conv ? lift_conv(node, step) : "Conv is not a matrix product";
    case OP_Gemm:
    case OP_MatMul: return conv ? "a matrix product is not a convolution" : lift_matrix(node, step);
    case OP_BatchNormalization: return lift_batch_normalization(node, layout, step);
    case OP_Mul:
    case OP_Div: return lift_product(node, layout, step);
    case OP_Add:
    case OP_Sub:
    case OP_Sum:
    case OP_Mean: return lift_sum(node, layout, step);
    case OP_Identity:
    case OP_Neg:
    case OP_Cast: return lift_unary(node, step);
    case OP_Concat: return lift_concat(node, layout, step);
    case OP_Dropout: return lift_dropout(node, step);
    case OP_AveragePool: return conv ? lift_average_pool(node, step) : "a pool is not a matrix product";
    case OP_MaxPool: return conv ? lift_max_pool(node, step) : "a pool is not a matrix product";
    case OP_Pad:
    case OP_Slice: return lift_parts(node, layout, step);
    case OP_ScatterND: return conv ? lift_border(node, step) : "ScatterND is not a matrix product";
    case OP_Transpose:
        if (!lift_turned(node, layout, lift_node, step))
            return NULL;
        *step = (struct step){0};
        return conv ? lift_border(node, step) : "Transpose " REASON_NOT_LINEAR;
    case OP_Gather:
    case OP_Tile:
    case OP_Expand: return lift_select(node, layout, step);
    case OP_Split: return lift_split(node, layout, step);
    case OP_SpaceToDepth: return conv ? lift_space_to_depth(node, step) : "SpaceToDepth is not a matrix product";
    case OP_Einsum: return lift_einsum(node, layout, step);
    case OP_ConvTranspose: return "ConvTranspose joins with ConvTransposes only";
    default:
        return arena_format(arena, "%s " REASON_NOT_LINEAR,
                            node->proto->op_type ? node->proto->op_type : "an op without a name");
    }
}

/* ---- the steps of a node, kept ---- */

struct steps {
    struct step *of[2]; /* one per layout */
};

struct step *lift_known(const struct node *node, enum layout layout)
{
    const struct steps *steps = memo_find(&node->graph->model->steps, sizeof(struct steps), node->index);
    return steps ? steps->of[layout] : NULL;
}

void lift_set(const struct node *node, enum layout layout, struct step *step)
{
    struct model *model = node->graph->model;
    struct steps *steps = memo_item(model->arena, &model->steps, sizeof(*steps), node->index);
    steps->of[layout] = step;
}

void lift_clear(struct model *model, bool only_reasons)
{
    for (uint32_t i = 0; i < model->node_count; i++) {
        struct steps *steps = memo_find(&model->steps, sizeof(*steps), i);
        for (size_t layout = 0; steps && layout < COUNT_OF(steps->of); layout++) {
            const struct step *step = steps->of[layout];
            if (step && (only_reasons ? step->reason && !step->is_part : !step->is_made))
                steps->of[layout] = NULL;
        }
    }
}

static bool is_stale(const struct node *node, const struct step *step)
{
    return step->looks_back && !step->is_made && step->stamp != node->graph->model->stamp;
}

const struct step *lift_node(struct node *node, enum layout layout)
{
    struct step *step = lift_known(node, layout);
    if (!step || is_stale(node, step)) {
        step = NEW(node->graph->model->arena, struct step);
        /* No runtime accepts this node, so its result is undefined. */
        step->reason = node->is_new ? NULL : rules_node(node->graph->model->arena, node);
        if (!step->reason)
            step->reason = lift(node, layout, step);
        if (!step->reason)
            step->reason = only_first_is_needed(node);
        step->looks_back = node->op == OP_Transpose || node->op == OP_ScatterND || step->passed_count;
        step->stamp = node->graph->model->stamp;
        lift_set(node, layout, step);
    }
    return step;
}

const struct step *lift_any(struct node *node, enum layout layout)
{
    const struct step *step = lift_node(node, layout);
    return step->parts ? step->parts[0] : step;
}

const struct step *lift_maker(const struct value *value, enum layout layout)
{
    struct node *node = value->producer;
    const struct step *step = node ? lift_node(node, layout) : NULL;
    for (size_t k = 0; step && step->parts && k < node->output_count; k++)
        if (node->outputs[k] == value)
            return step->parts[k];
    return step && node->outputs[0] == value ? step : NULL;
}

bool lift_is_weighted(struct node *node, enum layout layout)
{
    enum op op = node->op;
    bool right = layout == LAYOUT_CONV ? op == OP_Conv : op == OP_Gemm || op == OP_MatMul;
    return right && !lift_node(node, layout)->reason;
}

bool lift_reads_weight(const struct node *node)
{
    return operator_is(node->op, WEIGHTED);
}
