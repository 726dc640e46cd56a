/* passes/pass.c: the search for candidates, and what passes ask of a node. */
#include "passes/pass.h"

#include <stdlib.h>

#include "fuse/lift.h"

static int shallow_first(const void *a, const void *b)
{
    const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
    if (x->depth != y->depth)
        return x->depth < y->depth ? -1 : 1;
    return (x->position > y->position) - (x->position < y->position);
}

struct node **pass_candidates(struct plan *plan, struct graph *graph, bool (*wanted)(struct node *),
                              bool reverse, size_t *count)
{
    struct arena *arena = plan->model->arena;
    struct node_list found = plan->candidates; /* its memory is used by one pass after another */
    found.count = 0;
    for (size_t i = 0; i < graph->node_count; i++)
        if (!graph->nodes[i]->removed && wanted(graph->nodes[i]))
            LIST_PUSH(arena, &found, graph->nodes[i]);
    for (size_t i = 0; i < graph->new_nodes.count; i++)
        if (!graph->new_nodes.items[i]->removed && wanted(graph->new_nodes.items[i]))
            LIST_PUSH(arena, &found, graph->new_nodes.items[i]);
    plan->candidates = found;
    bool sorted = true; /* as they mostly are: in a file in order, depth grows */
    for (size_t i = 1; i < found.count && sorted; i++)
        sorted = shallow_first(&found.items[i - 1], &found.items[i]) <= 0;
    if (!sorted)
        qsort(found.items, found.count, sizeof(*found.items), shallow_first);
    for (size_t i = 0; reverse && i < found.count / 2; i++) {
        struct node *node = found.items[i];
        found.items[i] = found.items[found.count - 1 - i];
        found.items[found.count - 1 - i] = node;
    }
    *count = found.count;
    return found.items;
}

bool is_conv_transpose(const struct node *node)
{
    return node->op == OP_ConvTranspose;
}

bool is_matrix_product(const struct node *node)
{
    if (node->op == OP_Gemm || node->op == OP_MatMul)
        return true;
    const struct step *step =
        node->is_new && node->op == OP_Add ? node->steps[LAYOUT_MATRIX] : NULL;
    return step && !step->reason && step->passed_count == 1 &&
           step->passed[0] == node->inputs[0]->producer;
}

bool is_per_channel(struct node *node, enum layout layout)
{
    const struct step *step = lift_node(node, layout);
    return !step->reason && step->input && step->form->kind == AFFINE_DIAGONAL &&
           affine_is_pointwise(step->form);
}
