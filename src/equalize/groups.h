/* equalize/groups.h: values that are decided together, and the state of one graph's equalisation. */
#ifndef EQUALIZE_GROUPS_H
#define EQUALIZE_GROUPS_H

#include "equalize/classes.h"
#include "equalize/equalize.h"

/* Values that are decided together. */
struct group {
    LIST(struct seam *) before, behind; /* ops that compute one of them, and ops that read one */
    LIST(size_t) classes;               /* of the values that the ops behind read */
    bool waits;                         /* something about it changed since the last visit */
    const char *reason;                 /* why it is not scaled */
    double noise_before, noise;         /* relative, of all ops behind together */
};

struct equalization {
    struct plan *plan;
    struct arena *arena;
    enum grain grain;
    equalized_list *told;
    struct classes classes;
    LIST(struct group *) groups;
    /* For the present group, by root of a class: its number in the group, and its reading weight, squared norm of
     * columns over signal. */
    size_t *ids;
    double *behind;
    /* Reused memory: numbers for the largest number of channels of any value or side of a weight. */
    int64_t most_channels;
    double *powers[2], *sorted;
    struct problem *problem;
};

static inline struct channel *channel_of(struct equalization *e, const struct channels *channels, int64_t index)
{
    return &e->classes.channels.items[channels->first + index];
}

static inline struct channel *class_at(struct equalization *e, size_t root)
{
    return &e->classes.channels.items[root];
}

static inline size_t root_of(struct equalization *e, const struct channels *channels, int64_t index)
{
    return (size_t)(class_of(&e->classes, channels, index) - e->classes.channels.items);
}

/* Lists the groups, their seams and classes. */
void groups_find(struct equalization *e);
/* Whether some class of it may be scaled, and whether one is. */
bool group_is_free(struct equalization *e, const struct group *group);
bool group_is_moved(struct equalization *e, const struct group *group);
/* Whether it has a noise: an op reads one of its values, and some class may be scaled. */
bool group_is_weighed(struct equalization *e, const struct group *group);
/* Resets all of it to unscaled. */
void group_clear(struct equalization *e, struct group *group);
/* Marks groups that share an op with this one, because their ranges changed. */
void group_disturb(struct equalization *e, struct group *group);
/* factor * exponent of each of `count` channels. */
int *exponents_of(struct equalization *e, const struct channels *channels, int64_t count, int factor);
bool is_scaled(struct equalization *e, const struct channels *channels);

#endif
