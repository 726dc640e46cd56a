/* base/map.h: strings to pointers. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/arena.h"

/* Strings to pointers, open addressing. Keys are borrowed. The place of a key changes with every run
 * (base/secret.h): nothing may depend on the order of the entries. */
struct map {
    struct map_entry *entries;
    size_t count, room;
    struct secret secret; /* of the landing; set on the first allocation */
};
struct map_entry {
    const char *key;
    void *item;
    uint64_t hash; /* stored, so that growing does not read the keys again, and most misses compare only this */
};
void *map_get(const struct map *map, const char *key);
void map_put(struct arena *arena, struct map *map, const char *key, void *item);
/* Puts the key unless it exists; then returns its value. NULL: it was put. */
void *map_add(struct arena *arena, struct map *map, const char *key, void *item);
/* Reserves `count` more keys, so that a map of known size does not grow step by step. */
void map_reserve(struct arena *arena, struct map *map, size_t count);

#endif
