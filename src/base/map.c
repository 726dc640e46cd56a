/* base/map.c: strings to pointers, open addressing. */
#include "base/map.h"

static uint64_t map_hash(const struct map *map, const char *key)
{
    return secret_hash(&map->secret, key, strlen(key));
}

/* The start of a search: the size is not a power of two, so the upper bits choose. */
static size_t map_start(const struct map *map, uint64_t hash)
{
    return (size_t)((hash >> 32) * map->room >> 32);
}

static size_t map_next(const struct map *map, size_t at)
{
    return at + 1 == map->room ? 0 : at + 1;
}

static struct map_entry *map_find(const struct map *map, const char *key, uint64_t hash)
{
    size_t at = map_start(map, hash);
    while (map->entries[at].key && (map->entries[at].hash != hash || strcmp(map->entries[at].key, key) != 0))
        at = map_next(map, at);
    return &map->entries[at];
}

void *map_get(const struct map *map, const char *key)
{
    return map->room ? map_find(map, key, map_hash(map, key))->item : NULL;
}

void map_reserve(struct arena *arena, struct map *map, size_t count)
{
    size_t wanted = map->count + count;
    if (wanted < map->room / 4 * 3) /* never more than three quarters full */
        return;
    /* Growing by half leaves less behind than doubling; it is seldom, as rooms are reserved. */
    size_t room = wanted + wanted / 2 + 8, more = map->room + map->room / 2;
    struct map grown = {.room = room > more ? room : more,
                        .count = map->count,
                        .secret = map->room ? map->secret : *landing_secret(arena->landing)};
    if ((uint64_t)grown.room >> 32)
        fail(arena->landing, ONNX_FUSE_LIMIT, "%zu names are more than a map holds", wanted);
    grown.entries = NEW_ARRAY(arena, struct map_entry, grown.room);
    for (size_t i = 0; i < map->room; i++) {
        const struct map_entry *entry = &map->entries[i];
        if (!entry->key)
            continue;
        size_t at = map_start(&grown, entry->hash);
        while (grown.entries[at].key)
            at = map_next(&grown, at);
        grown.entries[at] = *entry;
    }
    arena_give_back(arena, map->entries);
    *map = grown;
}

/* The place of a key, a new one with no item. */
static struct map_entry *map_place(struct arena *arena, struct map *map, const char *key)
{
    map_reserve(arena, map, 1);
    uint64_t hash = map_hash(map, key);
    struct map_entry *entry = map_find(map, key, hash);
    if (!entry->key) {
        map->count++;
        *entry = (struct map_entry){key, NULL, hash};
    }
    return entry;
}

void map_put(struct arena *arena, struct map *map, const char *key, void *item)
{
    struct map_entry *entry = map_place(arena, map, key);
    entry->key = key;
    entry->item = item;
}

void *map_add(struct arena *arena, struct map *map, const char *key, void *item)
{
    struct map_entry *entry = map_place(arena, map, key);
    if (entry->item)
        return entry->item;
    entry->item = item;
    return NULL;
}
