/* equalize/spread.h: the guard: the ratio of a value's largest range to its median stays below a limit. Updated
 * incrementally while single exponents change. */
#ifndef EQUALIZE_SPREAD_H
#define EQUALIZE_SPREAD_H

#include "base/arena.h"

struct spread {
    size_t first, count; /* of its places */
    double limit, largest;
    size_t below; /* number of ranges below largest / limit: the median is not among them if they are at most half */
    bool stale;
};

/* One channel. */
struct place {
    size_t class, value;
    double range;
};

struct spreads {
    LIST(struct spread) values;
    LIST(struct place) places; /* value by value */
    double *scaled;            /* their ranges, times 2^-exponent of the class */
    size_t *by_class, *first;  /* places of each class */
    size_t class_room, room;
    const int *exponents;
};

/* Of no values. */
void spreads_begin(struct spreads *spreads);
void spreads_value(struct spreads *spreads, struct arena *arena, double limit);
/* A channel of the last value. */
void spreads_place(struct spreads *spreads, struct arena *arena, size_t class, double range);
/* After the last one. exponents: of so many classes, borrowed. */
void spreads_ready(struct spreads *spreads, struct arena *arena, size_t classes, const int *exponents);
/* After all exponents were changed, and after one was. */
void spreads_count(struct spreads *spreads);
void spreads_move(struct spreads *spreads, size_t class);
bool spreads_hold(const struct spreads *spreads);

#endif
