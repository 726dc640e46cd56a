/* base/utf8.c: characters of UTF-8. */
#include "base/utf8.h"

#include "base/arena.h"

size_t utf8_length(const unsigned char *s, size_t size)
{
    static const struct {
        unsigned char mask, lead;
        uint32_t least;
    } forms[] = {{0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};
    if (size == 0)
        return 0;
    if (s[0] < 0x80)
        return 1;
    for (size_t i = 0; i < COUNT_OF(forms); i++) {
        if ((s[0] & forms[i].mask) != forms[i].lead)
            continue;
        if (size < i + 2)
            return 0;
        uint32_t code = s[0] & (unsigned char)~forms[i].mask;
        for (size_t k = 1; k <= i + 1; k++) {
            if ((s[k] & 0xc0) != 0x80)
                return 0;
            code = code << 6 | (s[k] & 0x3f);
        }
        bool surrogate = code >= 0xd800 && code < 0xe000;
        return code >= forms[i].least && code < 0x110000 && !surrogate ? i + 2 : 0;
    }
    return 0;
}
