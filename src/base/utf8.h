/* base/utf8.h: UTF-8 characters. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

/* Length of the well-formed UTF-8 character at the start of `size` bytes, or 0. It stops at the first invalid byte,
 * so `size` may be 4 for a NUL-terminated string. */
size_t utf8_length(const unsigned char *bytes, size_t size);

#endif
