/* verify/cone.h: the nodes from which a value is computed, back to its sources. */
#ifndef VERIFY_CONE_H
#define VERIFY_CONE_H

#include "verify/state.h"

const char *cone_make(struct verify *verify, const struct graph *left, struct value *root, int attempt,
                      struct cone *cone);
/* True if one source depends on another. Random numbers for both would contradict each other, so a difference proves
 * nothing. */
bool cone_contradicts(struct verify *verify, const struct cone *cone);

/* True if every body on the path has run since its was_run was cleared. */
bool cone_has_run(const struct cone *cone);

/* `cone`, merged with the nodes between its sources and a value of the first model: the requirements of both sides
 * on random sizes and numbers, and the coarsest type. *nodes: of the first model. */
struct cone cone_join(struct verify *verify, const struct graph *left, const struct cone *cone, struct value *value,
                      size_t *nodes);

/* True if `part` of the allowed steps for two models of this size are used: walking, evaluating, comparing. Models
 * with many dependencies would need quadratic time. */
bool verify_is_spent(const struct verify *verify, double part);

/* The notes on a number, created if missing. They move when new numbers are added. */
struct mark *verify_mark(struct verify *verify, uint32_t number);

/* The value of the first model that has a number and is visible from the graph, or NULL. */
struct value *verify_left(const struct verify *verify, uint32_t number, const struct graph *graph);
void verify_add_left(struct verify *verify, struct value *value);

/* True for a value that is drawn at random on the path to the graph's inputs. */
bool verify_is_closed(const struct verify *verify, uint32_t number);

#endif
