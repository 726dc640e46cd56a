/* match/key.h: value numbers: equal values of two models have one number. */
#ifndef MATCH_KEY_H
#define MATCH_KEY_H

#include "match/numbered.h"

enum number_kind {
    KIND_STRING = 1,
    KIND_TENSOR,
    KIND_SEGMENT, /* of a tensor: identified by its content */
    KIND_SPARSE,
    KIND_UNIQUE,
    KIND_INPUT,
    KIND_DEFAULTED, /* an input with a default value */
    KIND_UNKNOWN,   /* a name without a producer */
    KIND_ATTRIBUTE,
    KIND_OPERATOR,
    KIND_NODE,
    KIND_VIEW,      /* elements of a value in their order, in another shape */
    KIND_TRANSPOSE, /* of a value */
    KIND_DRAW,      /* a node that draws random numbers, distinguished by its occurrence */
    KIND_OUTPUT,
    KIND_BODY,
    KIND_FUNCTION
};

/* A key under construction. Its words are on the caller's stack until they are too many, then in the arena. */
struct key {
    struct arena *arena;
    uint64_t *items;
    size_t count, room;
};

/* There is one for each node and each value, so they are small: most keys have no word of more than
 * 32 bits. */
struct number_entry {
    uint64_t hash;
    uint32_t number, words;
    union {
        uint32_t draws[2];           /* KIND_NODE of a random operator: the number of each model so far */
        const struct tensor *tensor; /* KIND_TENSOR */
    };
    bool is_wide;   /* each word takes two places, the low one first */
    uint32_t key[]; /* `words` of them */
};

struct numbering {
    struct arena *arena;
    struct model *models[2];
    bool folds;    /* operators on constants give constants, and neutral ops are skipped (match/neutral.h) */
    bool versions; /* an operator whose meaning changed with the opset differs between opsets */

    struct secret secret;
    struct number_entry **slots; /* by hash */
    size_t room;
    LIST(struct number_entry *) entries; /* by number; number 0 is unused */
    struct map functions[2];             /* struct number_function by key, per model */
    struct map imports[2];               /* Onnx__OperatorSetIdProto by domain, per model */
    uint64_t touched;                    /* bytes read since pages were given back */
    uint32_t unique;
    uint32_t calls; /* depth of functions being numbered */
    bool drew;      /* a random operator was numbered in the present function */
};

/* Declares an empty key. Keys are short: most need no memory beyond this. */
#define KEY_BEGIN(numbering, name)                                                                                     \
    uint64_t name##_words[32];                                                                                         \
    struct key name = {(numbering)->arena, name##_words, 0, COUNT_OF(name##_words)}

/* Adds one word. */
void key_add(struct key *key, uint64_t word);
/* Adds the size, then the bytes, eight per word, so that later words cannot be mistaken for a part of them. */
void key_bytes(struct key *key, const void *data, size_t size);
/* The same for a string; NULL is "". */
void key_text(struct key *key, const char *text);
/* The entry of a key, created if the key is new; only then are its words copied. The entry lives as long as the
 * arena and does not move. */
struct number_entry *number_key(struct numbering *numbering, const struct key *key);
/* Word `index` of an entry's key, below entry->words. */
uint64_t number_entry_word(const struct number_entry *entry, size_t index);
/* The number of a key of three words. */
uint32_t number_words(struct numbering *numbering, uint64_t kind, uint64_t a, uint64_t b);
/* The number of a string; NULL is "". */
uint32_t number_text(struct numbering *numbering, const char *text);

/* The level of functions, apart from the bodies of the main graph. */
enum { NUMBER_FUNCTION_LEVEL = 0x10000 };

/* A unique number. */
uint32_t number_unique(struct numbering *numbering);

#endif
