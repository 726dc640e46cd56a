/* base/decimal.h: floating-point numbers as text, and text as numbers.
 *
 * If the host has called setlocale, printf and strtod may use another decimal point. These functions always use a
 * point, so the library writes and reads all numbers with them: %g, %e, %f with decimals, strtod and similar occur
 * nowhere else (tests/unit/check_sources.sh). NaN is "nan" or "-nan" by its sign, infinity "inf" or "-inf". */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

enum { DECIMAL_ROOM = 32 };

/* The shortest text that reads back as the same bits. Both return the length; the text is not
 * terminated. -0 is "-0.0", a whole number has no point. */
size_t decimal_float(char out[DECIMAL_ROOM], float single);
size_t decimal_double(char out[DECIMAL_ROOM], double value);

/* A text that lives to the end of its expression: an argument for %s. */
struct decimal {
    char text[DECIMAL_ROOM];
};
/* Like printf's %.*g in the C locale. digits: 1 to 17; 9 distinguish floats, 17 doubles. */
struct decimal decimal_rounded(double value, int digits);
/* A number from -1e15 to 1e15 with 1 to 9 decimals, like printf's %.*f. */
struct decimal decimal_fixed(double value, int places);

/* All `length` characters as one number: digits, at most 40, with an optional sign, point and
 * exponent. False: not such a number, or one out of the range of a double; 0 is in range. */
bool decimal_read(const char *text, size_t length, double *value);

#endif
