/* passes/pass.c: the search for candidates, and questions that passes ask about a node. */
#include "passes/pass.h"

#include <stdlib.h>

#include "fuse/lift.h"
#include "fuse/trace.h"
#include "model/edit.h"

static bool is_named_in(const char *const *names, const char *name)
{
    for (; names && *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

bool pass_is_enabled(const struct plan *plan, const char *name)
{
    const struct onnx_fuse_options *options = plan->options;
    return (!options->only || is_named_in(options->only, name)) && !is_named_in(options->skip, name);
}

static int shallow_first(const void *a, const void *b)
{
    const struct node *x = *(struct node *const *)a, *y = *(struct node *const *)b;
    if (x->depth != y->depth)
        return x->depth < y->depth ? -1 : 1;
    return (x->position > y->position) - (x->position < y->position);
}

void pass_sort(struct node_list *nodes, bool reverse)
{
    struct node **items = nodes->items;
    bool sorted = true; /* usually true: depth grows in a file in topological order */
    for (size_t i = 1; i < nodes->count && sorted; i++)
        sorted = shallow_first(&items[i - 1], &items[i]) <= 0;
    if (!sorted)
        qsort(items, nodes->count, sizeof(struct node *), shallow_first);
    for (size_t i = 0; reverse && i < nodes->count / 2; i++) {
        struct node *node = items[i];
        items[i] = items[nodes->count - 1 - i];
        items[nodes->count - 1 - i] = node;
    }
}

struct node **pass_candidates(struct plan *plan, struct graph *graph, bool (*wanted)(struct node *), bool reverse,
                              size_t *count)
{
    struct arena *arena = plan->model->arena;
    struct node_list found = plan->candidates; /* all passes share its memory */
    found.count = 0;
    for (size_t i = 0; i < graph->node_count; i++)
        if (!graph->nodes[i]->removed && wanted(graph->nodes[i]))
            LIST_PUSH(arena, &found, graph->nodes[i]);
    for (size_t i = 0; i < graph->new_nodes.count; i++)
        if (!graph->new_nodes.items[i]->removed && wanted(graph->new_nodes.items[i]))
            LIST_PUSH(arena, &found, graph->new_nodes.items[i]);
    plan->candidates = found;
    pass_sort(&found, reverse);
    *count = found.count;
    return found.items;
}

void pass_each_of(struct plan *plan, struct graph *graph, bool (*wanted)(struct node *), bool reverse,
                  pass_visit *visit)
{
    size_t count;
    bool redirects = false;
    struct node **nodes = pass_candidates(plan, graph, wanted, reverse, &count);
    for (size_t i = 0; i < count && !plan_is_full(plan); i++)
        if (!nodes[i]->removed && visit(plan, nodes[i]))
            redirects = true;
    if (redirects)
        lift_forget_steps(plan->model);
}

void pass_each(struct plan *plan, bool (*wanted)(struct node *), bool reverse, pass_visit *visit)
{
    for (size_t g = 0; g < plan->model->graphs.count; g++)
        pass_each_of(plan, plan->model->graphs.items[g], wanted, reverse, visit);
}

/* True when every reader of `value` finds `other` by its name. */
static bool is_in_scope(const struct value *value, const struct value *other)
{
    for (const struct use *use = value->uses; use; use = use->next)
        if (use_is_live(use) && use->inner->graph != other->graph &&
            graph_find(use->inner->graph, other->name) != other)
            return false;
    return true;
}

const char *pass_check_redirect(const struct value *value, const struct value *other)
{
    if (value->is_annotated || other->is_annotated)
        return "a quantization annotation names its value";
    if (!is_in_scope(value, other))
        return "a body that reads it has another value with its source's name";
    if (!value->is_output)
        return NULL;
    if (!other->producer || other->graph != value->graph || other->is_output)
        return "its value is a graph output, and its source cannot take the name";
    return is_in_scope(other, value) ? NULL : "a body that reads its source has another value with its own name";
}

/* The step that a rewrite stored for a new node moves with the node's input. */
static void follow_step(struct node *node, const struct value *value, struct value *other)
{
    for (enum layout layout = LAYOUT_CONV; layout <= LAYOUT_MATRIX; layout++) {
        struct step *step = lift_known(node, layout);
        if (step && step->is_made && step->input == value)
            step->input = other;
    }
}

static void follow(const struct value *value, struct value *other)
{
    for (const struct use *use = value->uses; use; use = use->next) {
        struct node *reader = use->inner;
        if (!use_is_live(use) || !reader->is_new)
            continue;
        follow_step(reader, value, other);
        /* If the next op adds the bias of a product, it stands for both. */
        const struct use *next = reader->outputs[0]->uses;
        for (; next; next = next->next)
            if (use_is_live(next) && next->inner->is_new)
                follow_step(next->inner, value, other);
    }
}

void pass_redirect(struct value *value, struct value *other)
{
    if (!value->is_output) {
        follow(value, other);
        edit_redirect(value, other);
        return;
    }
    struct fusion *fusion = other->fusion;
    follow(other, value);
    if (fusion && fusion->target == other) {
        fusion->first_target = fusion->first_target ? fusion->first_target : other;
        fusion->target = value;
    }
    value->fusion = fusion;
    edit_take_over(other, value);
}

bool pass_holds_only(const struct tensor *tensor, double number)
{
    enum { SOME = 256 };
    double numbers[SOME];
    int64_t count = tensor->storage == STORAGE_REPEATED && tensor->count ? 1 : tensor->count;
    if (!tensor_is_readable(tensor))
        return false;
    for (int64_t first = 0; first < count; first += SOME) {
        int64_t some = count - first < SOME ? count - first : SOME;
        tensor_read(tensor, first, some, numbers);
        for (int64_t i = 0; i < some; i++)
            if (numbers[i] != number)
                return false;
    }
    return count > 0;
}

bool is_conv_transpose(const struct node *node)
{
    return node->op == OP_ConvTranspose;
}

bool is_matrix_product(const struct node *node)
{
    if (node->op == OP_Gemm || node->op == OP_MatMul)
        return true;
    const struct step *step = node->is_new && node->op == OP_Add ? lift_known(node, LAYOUT_MATRIX) : NULL;
    return step && !step->reason && step->passed_count == 1 && step->passed[0] == node->inputs[0]->producer;
}

struct node *pass_with_bias(struct node *node)
{
    struct node *reader = node_output(node, 0) ? value_only_reader(node->outputs[0]) : NULL;
    return reader && reader->op == OP_Add && is_matrix_product(reader) ? reader : node;
}

bool is_per_channel(struct node *node, enum layout layout)
{
    const struct step *step = lift_node(node, layout);
    return !step->reason && step->input && step->form->kind == AFFINE_DIAGONAL && affine_is_pointwise(step->form);
}
