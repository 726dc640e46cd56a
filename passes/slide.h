/* passes/slide.h: functions that slide_back and slide_forward share. */
#ifndef PASSES_SLIDE_H
#define PASSES_SLIDE_H

#include "fuse/lane.h"
#include "model/edit.h"
#include "passes/pass.h"

/* An op that scales or shifts, on its way to another place. */
struct slide {
    struct plan *plan;
    struct node *node;
    struct fusion *fusion;   /* NULL while the path is only examined */
    size_t hops;             /* passed ops */
    size_t ends;             /* reached weights */
    size_t adds;             /* weights that would need an Add for the shift */
    const struct node *bare; /* a reached op that has no bias and cannot get one */
    const char *reason;      /* the first thing that stopped it */
    const struct node *stopped_by;
};

enum { SLIDE_HOPS = 24 };

/* The number of live readers of the value, including Shape and Size, which move_shapes redirects. *only: the last of
 * them. */
size_t slide_readers(const struct value *value, struct node **only);
/* True if only ops of its own graph read the numbers of the value. */
bool slide_is_inner(const struct value *value, const struct graph *graph);

/* Records the move of the op, under the name of its result in the file. */
void slide_begin(struct slide *slide, struct value *target);
/* A value from which both versions are computed; never a constant. axis: the axis of the lane on it; -1: unknown. */
void slide_source(struct slide *slide, struct value *value, int axis);
/* The lane applied to a value by Mul and Add, at the place of `at`. target: NULL for a new value. */
struct value *slide_apply(struct slide *slide, struct value *value, const struct lane *lane, const struct node *at,
                          struct value *target);
/* A copy of a passed op; its output `output` is `target`, or a new value that replaces `old`. */
struct value *slide_copy(struct slide *slide, struct node *node, const struct node *at, struct value *const *inputs,
                         size_t output, struct value *target);
/* The same, with a new value for each output. */
struct value **slide_copy_all(struct slide *slide, struct node *node, const struct node *at,
                              struct value *const *inputs);
/* A new op of a move, with at most one attribute, at the place of the slide's node; it replaces the op `like`.
 * target: NULL for a new value, whose shape the caller sets. Returns its result. */
struct value *slide_make(struct slide *slide, const char *operator_name, const struct node *like,
                         struct value *const *inputs, size_t input_count, const struct edit_attribute *attribute,
                         struct value *target);
/* Moves the producer of a value to the place of `at`, unless it already stands before it and after its own inputs. */
void slide_bring(struct slide *slide, struct value *value, const struct node *at);
/* Removes an op whose result is no longer needed, and lists it as replaced. */
void slide_remove_unread(struct slide *slide, struct node *node);
/* True if an op with a weight computes the value, perhaps through per-channel ops right behind it, which fold
 * together with an op that moves behind them. */
bool slide_ends_at_weight(struct value *value, const struct lane *lane);
/* True, with a refusal, if the run has used so much memory that the remaining steps need the rest. */
bool slide_is_dear(struct plan *plan, struct node *node);
/* Records why the op stays where it is. */
void slide_stop(struct slide *slide, const struct node *by, const char *reason);

#endif
