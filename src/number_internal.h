/* number_internal.h: what the files of the numbering share: keys, and the table that numbers them.
 *
 * A key is a list of words; its first is a number_kind, so that keys of different kinds differ. A key
 * that was seen before has the number it got then, a new one gets the next number. */
#ifndef NUMBER_INTERNAL_H
#define NUMBER_INTERNAL_H

#include "number.h"

enum number_kind {
    KIND_STRING = 1,
    KIND_TENSOR,
    KIND_SEGMENT, /* of a tensor: known by what it is made of */
    KIND_SPARSE,
    KIND_UNIQUE,
    KIND_INPUT,
    KIND_DEFAULTED, /* an input that holds a constant until a caller gives another */
    KIND_UNKNOWN,   /* a name nobody makes */
    KIND_ATTRIBUTE,
    KIND_OPERATOR,
    KIND_NODE,
    KIND_DRAW, /* a node that draws random numbers, told apart by its occurrence */
    KIND_OUTPUT,
    KIND_BODY,
    KIND_FUNCTION
};

/* There is one for each node and each value, so they are small: most keys have no word of more than
 * 32 bits. */
struct number_entry {
    uint64_t hash;
    uint32_t number, words;
    union {
        uint32_t draws[2]; /* KIND_NODE of a random operator: how many each model has so far */
        const struct tensor *tensor; /* KIND_TENSOR */
    };
    bool is_wide;   /* each word takes two places, the low one first */
    uint32_t key[]; /* `words` of them */
};

/* A key that is being made. Its words are the caller's until they are too many, then the arena's. */
struct key {
    struct arena *arena;
    uint64_t *items;
    size_t count, room;
};

/* Declares an empty key. Keys are short: most need no memory beyond this. */
#define KEY_BEGIN(numbering, name)                                                                 \
    uint64_t name##_words[32];                                                                     \
    struct key name = {(numbering)->arena, name##_words, 0, COUNT_OF(name##_words)}

/* number_key.c */

/* Adds one word. */
void key_add(struct key *key, uint64_t word);
/* Adds the size, then the bytes, eight to a word: what follows can't be taken for a part of them. */
void key_bytes(struct key *key, const void *data, size_t size);
/* The same for a string; NULL is "". */
void key_text(struct key *key, const char *text);
/* The entry of a key, made when the key is new. The key's words are copied only then. The entry stays
 * where it is as long as the arena. */
struct number_entry *number_key(struct numbering *numbering, const struct key *key);
/* Word `index` of an entry's key, below entry->words. */
uint64_t number_entry_word(const struct number_entry *entry, size_t index);
/* The number of a key of three words. */
uint32_t number_words(struct numbering *numbering, uint64_t kind, uint64_t a, uint64_t b);
/* The number of a string; NULL is "". */
uint32_t number_text(struct numbering *numbering, const char *text);

/* number_value.c */

/* A graph's sparse initializers (Onnx__SparseTensorProto) by name; NULL has none. Of several of one name
 * the first counts. */
struct map number_sparse_by_name(struct numbering *numbering, const Onnx__GraphProto *proto);
/* The number of an initializer's constant, dense or one of `sparse`; one nothing else has where nobody
 * can say what it holds. */
uint32_t number_initializer(struct numbering *numbering, const struct value *value,
                            const struct map *sparse);

#endif
