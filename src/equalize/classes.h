/* equalize/classes.h: which channels of which values must have the same scale.
 *
 * A union-find over (value, channel). An operator with y(s x) = s y(x) for s > 0, channel by channel, ties its input
 * channels to its output channels. An operator with a weight ends a class and begins another: its rows and columns
 * absorb the scale (a seam). Channels that cannot be scaled are pinned, with the reason. */
#ifndef EQUALIZE_CLASSES_H
#define EQUALIZE_CLASSES_H

#include "equalize/statistics.h"
#include "equalize/weight.h"
#include "fuse/plan.h"

struct group;

/* Why a class is not scaled. */
struct pin {
    const struct node *node; /* NULL: no operator is the reason */
    const char *reason;
};

struct channel {
    int64_t parent;        /* itself: the root of its class */
    const struct pin *pin; /* of the class; NULL: it may be scaled */
    struct moments moments;
    int exponent; /* of the class: the channel is multiplied by 2^-exponent */
};

/* The channels of one value. Tied values belong to one group, and are decided together. */
struct channels {
    struct value *value;
    int axis;
    int64_t first, count; /* in classes.channels */
    struct channels *group;
    struct group *decided; /* equalize/equalize.c: of the root of a group */
    const int *exponents;  /* of each channel, once they are applied; NULL: all 0 */
};

/* An op with a weight. */
struct seam {
    struct node *node;
    struct weight weight;
    struct channels *input, *output; /* NULL: not scaled */
    size_t first_shift;              /* its bias, if it is scaled */
    /* equalize/equalize.c: ranges of rows and columns, as long as nothing is scaled anew; second moments of inputs */
    double *rows, *columns, *second;
    bool rows_hold, columns_hold;
};

/* A constant that must be scaled like the other operand: of an Add, of a Max, of BatchNormalization. */
struct shift {
    struct node *node;
    size_t index; /* of the input */
    int behind;   /* axes of the value behind its channels */
    const struct channels *channels;
};

struct classes {
    struct arena *arena;
    struct graph *graph;
    const struct map *measured; /* by name: struct measured */
    LIST(struct channel) channels;
    bool is_full; /* classes_give had no room, which the caller resets */
    LIST(struct channels *) values;
    LIST(struct seam) seams;
    LIST(struct shift) shifts;
    LIST(struct pin) declined; /* ops with a stored weight that is not scaled */
};

/* The scaled channels of a value, or NULL. */
struct channels *value_channels(const struct value *value);
void value_channels_set(const struct value *value, struct channels *channels);

/* The root of the class. */
struct channel *class_of(struct classes *classes, const struct channels *channels, int64_t index);
int class_exponent(struct classes *classes, const struct channels *channels, int64_t index);
/* The root of the values that are decided together. */
struct channels *group_of(struct channels *channels);
/* Pins a class, which stays unscaled. It keeps its first reason. */
void class_pin(struct classes *classes, struct channel *channel, const struct node *node, const char *reason);

/* ---- for the ops ---- */

void classes_pin(struct classes *classes, const struct channels *channels, const struct node *node, const char *reason);
/* True if none of it is scaled; also for NULL. */
bool classes_pinned(struct classes *classes, const struct channels *channels);
void classes_tie(struct classes *classes, struct channels *a, int64_t i, struct channels *b, int64_t j);
/* The channels of a new value, on this axis. NULL if unknown. */
struct channels *classes_give(struct classes *classes, struct value *value, int axis);

#endif
