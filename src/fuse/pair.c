/* fuse/pair.c: a product and its bias, as one step or as two. */
#include "fuse/pair.h"

#include "affine/laws.h"
#include "affine/rows.h"
#include "fuse/lift.h"

bool pair_part(const struct node *sum, struct made_pair *pair)
{
    struct step *both = sum && sum->is_new && sum->op == OP_Add ? lift_known(sum, LAYOUT_MATRIX) : NULL;
    if (!both || both->reason || both->passed_count != 1 || both->passed[0] != sum->inputs[0]->producer)
        return false;
    struct arena *arena = sum->graph->model->arena;
    int64_t width = both->form->outputs;
    const double *bias = affine_bias(arena, both->form, width);
    double *opposite = NEW_ARRAY(arena, double, width);
    for (int64_t c = 0; bias && c < width; c++)
        opposite[c] = -bias[c];
    const struct affine *shift;
    struct step *alone = NEW(arena, struct step);
    *alone = *both;
    alone->passed = NULL;
    alone->passed_count = 0;
    if (affine_scale_shift(arena, width, NULL, opposite, NULL, &shift) ||
        affine_compose(arena, shift, both->form, &alone->form) || affine_bias(arena, alone->form, width))
        return false;
    *pair = (struct made_pair){both->passed[0], sum, lift_known(both->passed[0], LAYOUT_MATRIX), both};
    lift_set(pair->product, LAYOUT_MATRIX, alone);
    lift_set(pair->product, LAYOUT_CONV, NULL);
    lift_set(sum, LAYOUT_MATRIX, NULL);
    return true;
}

void pair_rejoin(const struct made_pair *pair)
{
    lift_set(pair->product, LAYOUT_MATRIX, pair->hidden);
    lift_set(pair->product, LAYOUT_CONV, pair->hidden);
    lift_set(pair->sum, LAYOUT_MATRIX, pair->both);
}
