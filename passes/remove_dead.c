/* passes/remove_dead.c
 *
 * Nodes whose outputs nothing reads, initializers that nothing reads, and the value_info of values
 * that are gone. It follows the other rewrites: a model they do not change keeps its dead parts,
 * and so its bytes, unless this pass alone is asked for.
 *
 * Left alone: ops that are unknown here or of another domain, which may have effects; from IR 4 on,
 * initializers that are also graph inputs, which belong to the caller. */
#include "model/edit.h"
#include "passes/passes.h"

void remove_dead(struct plan *plan)
{
    if (edit_remove_dead(plan->model))
        plan->changed = true;
}
