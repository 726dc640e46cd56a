/* fuse/turned.c: a product between two Transposes that undo each other. */
#include "fuse/turned.h"

#include "affine/laws.h"

static const char none[] = "Transpose " REASON_NOT_LINEAR;

/* True when the Transpose puts the channels from axis 1 to the end, or back, and keeps the order of the rest. */
static bool turns(const struct node *node, int rank, bool to_end)
{
    size_t count;
    const int64_t *perm = node_integers(node, "perm", &count);
    if (node->op != OP_Transpose || !perm || count != (size_t)rank || rank < 3 || perm[0] != 0)
        return false;
    for (int i = 1; i < rank; i++) {
        int64_t from = to_end ? (i == rank - 1 ? 1 : i + 1) : (i == 1 ? rank - 1 : i - 1);
        if (perm[i] != from)
            return false;
    }
    return true;
}

const char *lift_turned(struct node *node, enum layout layout, step_reader *read, struct step *step)
{
    enum { PASSED_MOST = 16 };
    struct arena *arena = node->graph->model->arena;
    bool conv = layout == LAYOUT_CONV; /* then the product in between is of the other layout */
    enum layout between = conv ? LAYOUT_MATRIX : LAYOUT_CONV;
    struct node *passed[PASSED_MOST];
    size_t count = 0;
    int rank = node->inputs[0] ? node->inputs[0]->rank : -1;
    struct node *maker = node->inputs[0] ? node->inputs[0]->producer : NULL;
    const struct affine *form = lift_identity(node->graph->model);
    if (!turns(node, rank, !conv))
        return none;
    while (maker && maker->graph == node->graph && count < PASSED_MOST && !turns(maker, rank, conv)) {
        const struct step *inner = read(maker, between);
        if (inner->reason || !inner->input || inner->passed_count || inner->form->kind == AFFINE_PICK ||
            (inner->type && step->type && inner->type != step->type) || affine_compose(arena, form, inner->form, &form))
            return none;
        step->type = inner->type ? inner->type : step->type;
        step->parameters += inner->parameters;
        step->sized = step->sized || inner->sized;
        passed[count++] = maker;
        maker = inner->input->producer;
    }
    if (!maker || maker->graph != node->graph || count == 0 || count == PASSED_MOST || !turns(maker, rank, conv) ||
        !affine_is_pointwise(form))
        return none;
    passed[count++] = maker;
    step->passed = NEW_ARRAY(arena, struct node *, count);
    memcpy(step->passed, passed, count * sizeof(*passed));
    step->passed_count = count;
    step->input = maker->inputs[0];
    step->form = affine_settle(arena, form, conv ? rank - 2 : 0, 0);
    return NULL;
}
