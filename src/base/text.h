/* base/text.h: a string that grows, in an arena. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "base/arena.h"

/* {.arena = ...} is an empty text. `bytes` is NUL-terminated once something was added, else NULL. */
struct text {
    struct arena *arena;
    char *bytes;
    size_t size, room;
};

/* Bytes as they are. */
void text_append(struct text *text, const char *bytes, size_t size);
void text_print(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* True when two strings are the same, the case of ASCII letters left aside. */
bool text_same_letters(const char *a, const char *b);

/* The string with control characters (base/tame.h) as \n, \t or \xNN: names are whatever bytes a file holds, and a
 * terminal acts on some. The string itself when there are none. */
const char *text_plain(struct arena *arena, const char *string);

/* The name with the fewest letters to change, add or leave out; of equals the first. Names beyond the first few thousand
 * and bytes beyond the first few hundred are not looked at. NULL: there is no name. */
const char *text_nearest(const char *wanted, const char *const *names, size_t count);
/* The same where it may be a slip of the hand, else NULL. */
const char *text_near(const char *wanted, const char *const *names, size_t count);

static inline const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

/* 12345678 as "12 345 678"; negative: "unknown" */
const char *text_grouped(struct arena *arena, double number);

#endif
