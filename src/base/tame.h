/* base/tame.h: text that a terminal, a log or a reader would obey is shown, not obeyed.
 *
 * Names come from files and from strangers. Control characters, those of 8 bits too (U+0080 to U+009F),
 * and marks that turn the direction of what is written (U+202A to U+202E, U+2066 to U+2069) have no
 * place in a line. Nor have bytes that are no UTF-8: what the library says is. */
#ifndef BASE_TAME_H
#define BASE_TAME_H

#include <string.h>

#include "base/utf8.h"

/* Bytes of the character at the start of a string that must not be shown as it is; 0: it may, all
 * utf8_length of it. */
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
    return utf8_length(s, 4) == 0; /* it reads no byte behind the first that does not fit */
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
