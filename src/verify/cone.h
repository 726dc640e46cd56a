/* verify/cone.h: what a value is computed from, back to where it is opened. */
#ifndef VERIFY_CONE_H
#define VERIFY_CONE_H

#include "verify/state.h"

const char *cone_make(struct verify *verify, const struct graph *left, struct value *root, int attempt,
                      struct cone *cone);
/* True when one source is made of another. Numbers drawn for both contradict one another, so that a
 * difference shows nothing. */
bool cone_contradicts(struct verify *verify, const struct cone *cone);

/* True when every body on the way has been run since its was_run was cleared. */
bool cone_has_run(const struct cone *cone);

/* `cone`, and what lies between its sources and a value of the first model: what either side asks of
 * the sizes and numbers drawn, the coarsest type of both. *nodes: of the first model. */
struct cone cone_join(struct verify *verify, const struct graph *left, const struct cone *cone, struct value *value,
                      size_t *nodes);

/* True when `part` of the steps that two models of this size are worth have been taken: walking,
 * evaluating, comparing. What depends on one another in many ways would take the square of it. */
bool verify_is_spent(const struct verify *verify, double part);

/* Notes on a number, whether or not there are any yet. They move when new numbers come. */
struct mark *verify_mark(struct verify *verify, uint32_t number);

/* The value of the first model that holds a number and can be seen from the graph, or NULL. */
struct value *verify_left(const struct verify *verify, uint32_t number, const struct graph *graph);
void verify_add_left(struct verify *verify, struct value *value);

/* True for a value that is drawn on the way to the graph's inputs. */
bool verify_is_closed(const struct verify *verify, uint32_t number);

#endif
