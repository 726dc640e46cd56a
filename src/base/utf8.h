/* base/utf8.h: characters of UTF-8. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>

/* Length of the well-formed UTF-8 character at the start of `size` bytes, or 0. It reads no byte behind the
 * first that does not fit, so 4 does for a string that ends. */
size_t utf8_length(const unsigned char *bytes, size_t size);

#endif
