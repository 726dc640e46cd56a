/* equalize/spread.c: how many ranges lie too far below the largest, counted. */
#include "equalize/spread.h"

#include <math.h>

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
    struct place place = {class, spreads->values.count - 1, range, range};
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

static double larger(double a, double b)
{
    return a > b ? a : b;
}

static void count(struct spreads *spreads, struct spread *value)
{
    const struct place *places = spreads->places.items + value->first;
    double largest = 0;
    for (size_t i = 0; i < value->count; i++)
        largest = larger(largest, places[i].scaled);
    value->largest = largest;
    value->below = 0;
    value->stale = false;
    for (size_t i = 0; i < value->count; i++)
        value->below += places[i].scaled < largest / value->limit;
}

static void scale(struct spreads *spreads, struct place *place)
{
    place->scaled = ldexp(place->range, -spreads->exponents[place->class]);
}

void spreads_count(struct spreads *spreads)
{
    for (size_t i = 0; i < spreads->places.count; i++)
        scale(spreads, &spreads->places.items[i]);
    for (size_t i = 0; i < spreads->values.count; i++)
        count(spreads, &spreads->values.items[i]);
}

void spreads_move(struct spreads *spreads, size_t class)
{
    size_t first = spreads->first[class], end = spreads->first[class + 1];
    for (size_t k = first; k < end; k++) {
        struct place *place = &spreads->places.items[spreads->by_class[k]];
        struct spread *value = &spreads->values.items[place->value];
        double old = place->scaled, bar = value->largest / value->limit;
        scale(spreads, place);
        value->stale = value->stale || old >= value->largest || place->scaled > value->largest;
        value->below = value->below + (place->scaled < bar) - (old < bar);
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
