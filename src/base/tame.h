/* base/tame.h: makes text safe for a terminal, a log or a reader.
 *
 * Names come from untrusted files. A line must not contain control characters, also of 8 bits (U+0080 to U+009F), or
 * characters that change the direction of text (U+202A to U+202E, U+2066 to U+2069). Nor may it contain invalid
 * UTF-8, because all output of the library is UTF-8. */
#ifndef BASE_TAME_H
#define BASE_TAME_H

#include <string.h>

#include "base/utf8.h"

/* The number of bytes of an unsafe character at the start of a string; 0: the character is safe, with utf8_length
 * bytes. */
static inline size_t tame_length(const char *string)
{
    const unsigned char *s = (const unsigned char *)string;
    if (s[0] < 0x20 || s[0] == 0x7f)
        return s[0] != 0;
    if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0)
        return 2;
    if (s[0] == 0xe2 &&
        ((s[1] == 0x80 && s[2] >= 0xaa && s[2] <= 0xae) || (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9)))
        return 3;
    return utf8_length(s, 4) == 0; /* it stops at the first invalid byte */
}

/* In place, a ? for each byte. */
static inline void tame(char *line)
{
    while (*line) {
        size_t length = tame_length(line);
        if (length)
            memset(line, '?', length);
        line += length ? length : utf8_length((const unsigned char *)line, 4);
    }
}

#endif
