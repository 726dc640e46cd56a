/* equalize/spread.c: how many ranges lie too far below the largest, counted. */
#include "equalize/spread.h"

#include <math.h>

#include "base/vector.h"

void spreads_begin(struct spreads *spreads)
{
    spreads->values.count = spreads->places.count = 0;
}

void spreads_value(struct spreads *spreads, struct arena *arena, double limit)
{
    struct spread value = {.first = spreads->places.count, .limit = limit};
    LIST_PUSH(arena, &spreads->values, value);
}

void spreads_place(struct spreads *spreads, struct arena *arena, size_t class, double range)
{
    struct place place = {class, spreads->values.count - 1, range};
    if (!(range > 0))
        return;
    spreads->values.items[place.value].count++;
    LIST_PUSH(arena, &spreads->places, place);
}

void spreads_ready(struct spreads *spreads, struct arena *arena, size_t classes, const int *exponents)
{
    size_t count = spreads->places.count;
    spreads->exponents = exponents;
    if (!spreads->first || spreads->class_room < classes) {
        spreads->first = NEW_ARRAY(arena, size_t, classes + 2);
        spreads->class_room = classes;
    }
    if (!spreads->by_class || spreads->room < count) {
        spreads->room = spreads->places.room;
        spreads->by_class = NEW_ARRAY(arena, size_t, spreads->room + 1);
        spreads->scaled = NEW_ARRAY(arena, double, spreads->room + 1);
    }
    /* Counted two further on, so that where a class begins becomes where it ends, while they are put there. */
    memset(spreads->first, 0, (classes + 2) * sizeof(size_t));
    for (size_t i = 0; i < count; i++)
        spreads->first[spreads->places.items[i].class + 2]++;
    for (size_t c = 2; c < classes + 2; c++)
        spreads->first[c] += spreads->first[c - 1];
    for (size_t i = 0; i < count; i++)
        spreads->by_class[spreads->first[spreads->places.items[i].class + 1]++] = i;
}

VECTORISED(size_t, count_below, (const double *numbers, size_t count, double bar), (numbers, count, bar))
{
    size_t below = 0;
    for (size_t i = 0; i < count; i++)
        below += numbers[i] < bar;
    return below;
}

static void count(const struct spreads *spreads, struct spread *value)
{
    const double *scaled = spreads->scaled + value->first;
    value->largest = vector_largest(scaled, value->count);
    value->below = count_below(scaled, value->count, value->largest / value->limit);
    value->stale = false;
}

static double scale(const struct spreads *spreads, size_t place)
{
    const struct place *of = &spreads->places.items[place];
    return spreads->scaled[place] = ldexp(of->range, -spreads->exponents[of->class]);
}

void spreads_count(struct spreads *spreads)
{
    for (size_t i = 0; i < spreads->places.count; i++)
        scale(spreads, i);
    for (size_t i = 0; i < spreads->values.count; i++)
        count(spreads, &spreads->values.items[i]);
}

void spreads_move(struct spreads *spreads, size_t class)
{
    size_t first = spreads->first[class], end = spreads->first[class + 1];
    for (size_t k = first; k < end; k++) {
        size_t place = spreads->by_class[k];
        struct spread *value = &spreads->values.items[spreads->places.items[place].value];
        double old = spreads->scaled[place], bar = value->largest / value->limit, now = scale(spreads, place);
        value->stale = value->stale || old >= value->largest || now > value->largest;
        value->below = value->below + (now < bar) - (old < bar);
    }
    for (size_t k = first; k < end; k++) {
        size_t value = spreads->places.items[spreads->by_class[k]].value;
        if (spreads->values.items[value].stale)
            count(spreads, &spreads->values.items[value]);
    }
}

bool spreads_hold(const struct spreads *spreads)
{
    for (size_t i = 0; i < spreads->values.count; i++)
        if (spreads->values.items[i].below > spreads->values.items[i].count / 2)
            return false;
    return true;
}
