/* infer/call.h: shapes through calls of local functions, and the rounds of inference. */
#ifndef INFER_CALL_H
#define INFER_CALL_H

#include "model/model.h"

/* Fills in type, rank and dims of values from inputs, initializers, value_info and the operators in
 * force, from what they read to what they give and back, until nothing more follows. What it cannot know
 * stays unknown. Returns true when it learned something. Never fails. */
bool shape_infer(struct model *model);

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
