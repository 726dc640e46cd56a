/* passes/slide.h: what slide_back and slide_forward share. */
#ifndef PASSES_SLIDE_H
#define PASSES_SLIDE_H

#include "fuse/lane.h"
#include "model/edit.h"
#include "passes/pass.h"

/* An op that scales or shifts, on its way to another place. */
struct slide {
    struct plan *plan;
    struct node *node;
    struct fusion *fusion;   /* NULL while the way is only looked at */
    size_t hops;             /* ops that were passed */
    size_t ends;             /* weights that were reached */
    size_t adds;             /* of them those that would need an Add to take a shift */
    const struct node *bare; /* one of them that has no bias, and can be given none */
    const char *reason;      /* the first thing that stopped it */
    const struct node *stopped_by;
};

enum { SLIDE_HOPS = 24 };

/* Live readers of the value, Shape and Size too: move_shapes takes those away. *only: the last of them. */
size_t slide_readers(const struct value *value, struct node **only);
/* True when nobody but ops of its own graph reads the numbers of the value. */
bool slide_is_inner(const struct value *value, const struct graph *graph);

/* Records that the op moves, under the name of a value that it makes in the file. */
void slide_begin(struct slide *slide, struct value *target);
/* A value from which both ways are computed. Constants are none. axis: along which the lane lies on it; -1: none
 * is known. */
void slide_source(struct slide *slide, struct value *value, int axis);
/* The lane applied to a value by Mul and Add, at the place of `at`. target: NULL for a new value. */
struct value *slide_apply(struct slide *slide, struct value *value, const struct lane *lane, const struct node *at,
                          struct value *target);
/* A copy of an op that was passed; output `output` of it is `target`, or a new value that stands for `old`. */
struct value *slide_copy(struct slide *slide, struct node *node, const struct node *at, struct value *const *inputs,
                         size_t output, struct value *target);
/* The same with a new value for each output. */
struct value **slide_copy_all(struct slide *slide, struct node *node, const struct node *at,
                              struct value *const *inputs);
/* A new op that a move makes, with at most one attribute, at the place of the slide's node; `like` is the op that it stands
 * for. target: NULL for a new value, of which the caller says the shape. Returns what it makes. */
struct value *slide_make(struct slide *slide, const char *operator_name, const struct node *like,
                         struct value *const *inputs, size_t input_count, const struct edit_attribute *attribute,
                         struct value *target);
/* What makes a value stands no later in the file than `at`, behind all that it reads: else it is put there. */
void slide_bring(struct slide *slide, struct value *value, const struct node *at);
/* Takes an op away whose result nobody needs any more, and lists it as replaced. */
void slide_remove_unread(struct slide *slide, struct node *node);
/* True when the value is what a weight gives, perhaps through ops per channel right behind it, which are folded
 * together with what comes to stand behind them. */
bool slide_ends_at_weight(struct value *value, const struct lane *lane);
/* True, and refused, when the run has taken so much memory that what comes after needs the rest. */
bool slide_is_dear(struct plan *plan, struct node *node);
/* Notes why the op stays where it is. */
void slide_stop(struct slide *slide, const struct node *by, const char *reason);

#endif
