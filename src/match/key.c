/* match/key.c: hash-consing: a key of words, looked up whole, gives a number. */
#include "match/key.h"

void key_add(struct key *key, uint64_t word)
{
    LIST_PUSH(key->arena, key, word);
}

void key_bytes(struct key *key, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    key_add(key, size);
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, bytes + at, size - at < sizeof(word) ? size - at : sizeof(word));
        key_add(key, word);
    }
}

void key_text(struct key *key, const char *text)
{
    key_bytes(key, text ? text : "", text ? strlen(text) : 0);
}

static void grow(struct numbering *numbering)
{
    size_t room = numbering->room ? numbering->room * 2 : 1024;
    struct number_entry **slots = NEW_ARRAY(numbering->arena, struct number_entry *, room);
    for (size_t i = 0; i < numbering->room; i++) {
        struct number_entry *entry = numbering->slots[i];
        if (!entry)
            continue;
        size_t at = entry->hash & (room - 1);
        while (slots[at])
            at = (at + 1) & (room - 1);
        slots[at] = entry;
    }
    arena_give_back(numbering->arena, numbering->slots);
    numbering->slots = slots;
    numbering->room = room;
}

uint64_t number_entry_word(const struct number_entry *entry, size_t index)
{
    if (!entry->is_wide)
        return entry->key[index];
    return entry->key[2 * index] | (uint64_t)entry->key[2 * index + 1] << 32;
}

static bool entry_has(const struct number_entry *entry, const struct key *key)
{
    if (entry->words != key->count)
        return false;
    for (size_t i = 0; i < key->count; i++)
        if (number_entry_word(entry, i) != key->items[i])
            return false;
    return true;
}

static struct number_entry *entry_new(struct numbering *numbering, const struct key *key)
{
    bool wide = false;
    for (size_t i = 0; i < key->count; i++)
        wide = wide || key->items[i] > UINT32_MAX;
    size_t places = wide ? 2 * key->count : key->count;
    struct number_entry *entry =
        arena_alloc(numbering->arena, 1, offsetof(struct number_entry, key) + places * sizeof(*entry->key));
    entry->is_wide = wide;
    entry->words = (uint32_t)key->count;
    for (size_t i = 0; i < places; i++)
        entry->key[i] = (uint32_t)(wide ? key->items[i / 2] >> (i % 2 ? 32 : 0) : key->items[i]);
    return entry;
}

struct number_entry *number_key(struct numbering *numbering, const struct key *key)
{
    if (numbering->entries.count * 2 >= numbering->room)
        grow(numbering);
    uint64_t hash = secret_hash(&numbering->secret, key->items, key->count * sizeof(*key->items));
    size_t at = hash & (numbering->room - 1);
    for (; numbering->slots[at]; at = (at + 1) & (numbering->room - 1)) {
        struct number_entry *entry = numbering->slots[at];
        if (entry->hash == hash && entry_has(entry, key))
            return entry;
    }
    struct number_entry *entry = entry_new(numbering, key);
    entry->hash = hash;
    entry->number = (uint32_t)numbering->entries.count;
    struct number_entry **before = numbering->entries.items;
    LIST_PUSH(numbering->arena, &numbering->entries, entry);
    if (numbering->entries.items != before)
        arena_give_back(numbering->arena, before);
    numbering->slots[at] = entry;
    return entry;
}

uint32_t number_words(struct numbering *numbering, uint64_t kind, uint64_t a, uint64_t b)
{
    uint64_t words[] = {kind, a, b};
    struct key key = {numbering->arena, words, COUNT_OF(words), COUNT_OF(words)};
    return number_key(numbering, &key)->number;
}

uint32_t number_text(struct numbering *numbering, const char *text)
{
    KEY_BEGIN(numbering, key);
    key_add(&key, KIND_STRING);
    key_text(&key, text);
    return number_key(numbering, &key)->number;
}

uint32_t number_unique(struct numbering *numbering)
{
    return number_words(numbering, KIND_UNIQUE, numbering->unique++, 0);
}
