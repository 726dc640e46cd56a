/* base/decimal.h: floating-point numbers as text, and text as numbers.
 *
 * The host may have called setlocale, and then printf and strtod have another decimal point. Here the
 * point is a point, so every number that the library writes or reads goes through this file: %g, %e,
 * %f with digits behind the point, strtod and the like stand nowhere else (tests/unit/check_sources.sh).
 * NaN is "nan" or "-nan" by its sign, infinity "inf" or "-inf". */
#ifndef BASE_DECIMAL_H
#define BASE_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>

enum { DECIMAL_ROOM = 32 };

/* The shortest text that reads back as the same bits. Both return the length; the text is not
 * terminated. -0 is "-0.0", a whole number has no point. */
size_t decimal_float(char out[DECIMAL_ROOM], float single);
size_t decimal_double(char out[DECIMAL_ROOM], double value);

/* A text that lives to the end of the expression it is made in: an argument for %s. */
struct decimal {
    char text[DECIMAL_ROOM];
};
/* As printf's %.*g in the C locale. digits: 1 to 17; 9 tell floats apart, 17 doubles. */
struct decimal decimal_rounded(double value, int digits);
/* A number from -1e15 to 1e15 with so many digits (1 to 9) behind the point, as printf's %.*f. */
struct decimal decimal_fixed(double value, int places);

/* All `length` characters as one number: digits, at most 40, with an optional sign, point and
 * exponent. False: they are no such number, or one that a double cannot hold; 0 is held. */
bool decimal_read(const char *text, size_t length, double *value);

#endif
