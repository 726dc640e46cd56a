/* base/text.h: a string that grows, in an arena. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/arena.h"

/* {.arena = ...} is an empty text. `bytes` is NULL until something is added, then NUL-terminated. */
struct text {
    struct arena *arena;
    char *bytes;
    size_t size, room;
};

/* Adds bytes unchanged. */
void text_append(struct text *text, const char *bytes, size_t size);
void text_print(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* True if two strings are equal, ignoring the case of ASCII letters. */
bool text_same_letters(const char *a, const char *b);

/* The string with control characters (base/tame.h) as \n, \t or \xNN, because names may be any bytes and a terminal
 * interprets some. The string itself if it has none. */
const char *text_plain(struct arena *arena, const char *string);

/* The name with the smallest edit distance; the first of equals. Ignores names beyond the first few thousand and
 * bytes beyond the first few hundred. NULL: there is no name. */
const char *text_nearest(const char *wanted, const char *const *names, size_t count);
/* The same if the word may be a typing error, otherwise NULL. */
const char *text_near(const char *wanted, const char *const *names, size_t count);

static inline const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

/* 12345678 as "12 345 678"; negative: "unknown" */
const char *text_grouped(struct arena *arena, double number);

#endif
