/* shape_internal.h: shared by the files of shape inference. */
#ifndef SHAPE_INTERNAL_H
#define SHAPE_INTERNAL_H

#include "shape.h"

enum { SHAPE_MAX_RANK = 16 };
/* Sizes above are not reckoned with. */
#define SHAPE_ABSURD (INT64_C(1) << 28)

/* Takes over what is not known yet of a value, which may be NULL. */
void shape_learn(struct value *value, int32_t type, int rank, const int64_t *dims);
/* shape_axes.c: ops that give other axes, or axes of another size, than they take. */
void shape_infer_axes(struct node *node);
/* One graph, in topological order; bodies are graphs of their own. */
void shape_infer_graph(struct graph *graph);

/* The calls of a model's local functions. */
struct shape_calls {
    struct model *model;
    struct map by_key;      /* struct callee */
    struct callee *callees; /* in the order of the model's functions */
    size_t count;
    size_t outside;               /* graphs before the first function's */
    size_t outside_sites;         /* calls in those */
    LIST(struct call_site) sites; /* by graph */
};
void shape_calls_find(struct shape_calls *calls, struct model *model);
/* All graphs once, functions after those that call them: what all calls agree on holds for the
 * function's inputs. */
void shape_infer_round(struct shape_calls *calls);

#endif
