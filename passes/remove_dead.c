/* passes/remove_dead.c
 *
 * Removes nodes without readers, initializers without readers, and the value_info of removed values. It follows the
 * other rewrites: a model that they do not change keeps its dead parts, and so its bytes, unless only this pass is
 * requested.
 *
 * Left alone: unknown ops and ops of other domains, which may have side effects; from IR 4 on, initializers that are
 * also graph inputs, which belong to the caller. */
#include "model/edit.h"
#include "passes/passes.h"

void remove_dead(struct plan *plan)
{
    if (edit_remove_dead(plan->model))
        plan->changed = true;
}
