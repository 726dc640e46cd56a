/* base/text.c: a string that grows. */
#include "base/text.h"

#include <stdio.h>

#include "base/tame.h"

enum { LONG = 1 << 16 };

/* Room for `size` bytes and the zero behind them. */
static void reserve(struct text *text, size_t size)
{
    if (text->room - text->size > size)
        return;
    size_t room = text->room ? text->room * 2 : 32;
    while (room - text->size <= size)
        room *= 2;
    char *grown = arena_alloc(text->arena, room, 1);
    if (text->size)
        memcpy(grown, text->bytes, text->size);
    if (text->room >= LONG) /* what is shorter the arena keeps in any case */
        arena_give_back(text->arena, text->bytes);
    text->bytes = grown;
    text->room = room;
}

void text_append(struct text *text, const char *bytes, size_t size)
{
    reserve(text, size);
    if (size)
        memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = 0;
}

/* In place, because a separate piece for each of a hundred thousand lines would stay in the arena. */
void text_print(struct text *text, const char *format, ...)
{
    va_list arguments;
    int length = 0;
    reserve(text, 0);
    for (int turn = 0; turn < 2; turn++) {
        size_t room = text->room - text->size;
        va_start(arguments, format);
        length = vsnprintf(text->bytes + text->size, room, format, arguments);
        va_end(arguments);
        if (length < 0 || (size_t)length < room)
            break;
        reserve(text, (size_t)length);
    }
    if (length > 0)
        text->size += (size_t)length;
    text->bytes[text->size] = 0;
}

const char *text_plain(struct arena *arena, const char *string)
{
    struct text text = {.arena = arena};
    const char *s = string;
    while (*s && !tame_length(s))
        s += utf8_length((const unsigned char *)s, 4);
    if (!*s)
        return string;
    for (s = string; *s;) {
        size_t length = tame_length(s), plain = length ? 0 : utf8_length((const unsigned char *)s, 4);
        if (*s == '\n' || *s == '\t')
            text_print(&text, "\\%c", *s == '\n' ? 'n' : 't');
        else if (!length)
            text_append(&text, s, plain);
        else
            for (size_t i = 0; i < length; i++)
                text_print(&text, "\\x%02x", (unsigned char)s[i]);
        s += length + plain;
    }
    return text.bytes;
}

static char lower_case(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c;
}

bool text_same_letters(const char *a, const char *b)
{
    while (*a && lower_case(*a) == lower_case(*b)) {
        a++;
        b++;
    }
    return lower_case(*a) == lower_case(*b);
}

const char *text_grouped(struct arena *arena, double number)
{
    if (number < 0)
        return "unknown";
    const char *digits = arena_format(arena, "%.0f", number);
    size_t length = strlen(digits), used = 0;
    char *out = arena_alloc(arena, length + length / 3 + 2, 1);
    for (size_t i = 0; i < length; i++) {
        if (i && (length - i) % 3 == 0)
            out[used++] = ' ';
        out[used++] = digits[i];
    }
    return out;
}

enum { NEAR_BYTES = 200, NEAR_NAMES = 4096 };

/* Levenshtein's distance, a row at a time. */
static size_t distance(const char *a, const char *b)
{
    size_t row[NEAR_BYTES + 1];
    size_t length = 0;
    row[0] = 0;
    for (; length < NEAR_BYTES && b[length]; length++)
        row[length + 1] = length + 1;
    for (size_t i = 0; i < NEAR_BYTES && a[i]; i++) {
        size_t corner = row[0];
        row[0] = i + 1;
        for (size_t k = 0; k < length; k++) {
            size_t best = corner + (a[i] != b[k]);
            corner = row[k + 1];
            best = best < row[k] + 1 ? best : row[k] + 1;
            row[k + 1] = best < corner + 1 ? best : corner + 1;
        }
    }
    return row[length];
}

const char *text_nearest(const char *wanted, const char *const *names, size_t count)
{
    const char *nearest = NULL;
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < count && i < NEAR_NAMES; i++) {
        size_t own = distance(wanted, names[i]);
        if (own >= least)
            continue;
        least = own;
        nearest = names[i];
    }
    return nearest;
}

const char *text_near(const char *wanted, const char *const *names, size_t count)
{
    const char *nearest = text_nearest(wanted, names, count);
    return nearest && distance(wanted, nearest) <= 1 + strlen(wanted) / 4 ? nearest : NULL;
}
