/* decimal.h: floating-point numbers as the shortest decimal text that reads back as the same bits.
 * No locale: the point is a point. NaN is "nan" or "-nan" by its sign, infinity "inf" or "-inf". */
#ifndef DECIMAL_H
#define DECIMAL_H

#include <stddef.h>

enum { DECIMAL_ROOM = 32 };

/* Both return the length; the text is not terminated. -0 is "-0.0", a whole number has no point. */
size_t decimal_float(char out[DECIMAL_ROOM], float single);
size_t decimal_double(char out[DECIMAL_ROOM], double value);

#endif
