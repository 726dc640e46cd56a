/* base/decimal.c: candidates of growing length, each proved by reading it back.
 *
 * The C library rounds correctly in both directions, but its decimal point depends on the locale. So this takes only
 * the digits from its output, and gives it input without a point: 3.37e-08 is read as 337e-10. */
#include "base/decimal.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Powers of ten that a double holds exactly. */
static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                               1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { POWERS = 22 };

enum { DIGITS_MOST = 40 };

/* From which exponent of ten on a number is written with one. */
struct notation {
    int least, most;
    bool is_printf; /* e-08, as printf writes it, and not e-8 */
};

/* d.ddd * 10^exponent, written plainly or with an exponent. */
static size_t lay_out(char *out, bool negative, const char *digits, int count, int exponent, struct notation notation)
{
    char *at = out;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    if (negative)
        *at++ = '-';
    if (exponent < notation.least || exponent > notation.most) {
        *at++ = digits[0];
        if (count > 1)
            *at++ = '.';
        memcpy(at, digits + 1, (size_t)count - 1);
        at += count - 1;
        return (size_t)(at - out) + (size_t)snprintf(at, 8, notation.is_printf ? "e%+03d" : "e%d", exponent);
    }
    for (int i = exponent; i < 0; i++) {
        *at++ = '0';
        if (i == exponent)
            *at++ = '.';
    }
    for (int i = 0; i < count || i <= exponent; i++) {
        *at++ = (char)(i < count ? digits[i] : '0');
        if (i == exponent && i + 1 < count)
            *at++ = '.';
    }
    return (size_t)(at - out);
}

static const struct notation shortest = {-5, 15, false};

/* The `count` digits next to a number above 0, and the exponent of ten of the first. */
static int split(double magnitude, int count, char digits[DIGITS_MOST])
{
    char text[64];
    int found = 0;
    snprintf(text, sizeof(text), "%.*e", count - 1, magnitude);
    const char *at = text;
    for (; *at != 'e'; at++) /* whatever the locale has for a point is skipped */
        if (*at >= '0' && *at <= '9' && found < count)
            digits[found++] = *at;
    return atoi(at + 1); /* NOLINT(cert-err34-c): printf wrote it */
}

/* Digits and exponent as a text without a point. */
static void join(char text[64], const char *digits, int count, int exponent)
{
    snprintf(text, 64, "%.*se%d", count, digits, exponent - count + 1);
}

static size_t special(char *out, double value)
{
    const char *text = isnan(value)     ? (signbit(value) ? "-nan" : "nan")
                       : isinf(value)   ? (value < 0 ? "-inf" : "inf")
                       : signbit(value) ? "-0.0"
                                        : "0";
    size_t length = strlen(text);
    memcpy(out, text, length);
    return length;
}

/* By the C library. From the length on at which a zero at the end may still be cut off without
 * missing a shorter text. */
static size_t by_library(char *out, double value, int least, int most, bool single)
{
    char text[64], digits[DIGITS_MOST];
    double magnitude = fabs(value);
    for (int count = least;; count++) {
        int exponent = split(magnitude, count, digits);
        join(text, digits, count, exponent);
        bool same = single ? strtof(text, NULL) == (float)magnitude : strtod(text, NULL) == magnitude;
        if (same || count == most)
            return lay_out(out, signbit(value), digits, count, exponent, shortest);
    }
}

/* The decimal of `count` digits next to `value` (a float, positive): its digits as a whole number,
 * to be multiplied by 10^(*exponent - count + 1). False: out of the range where double arithmetic
 * decides. *same: it reads back as `value`. */
static bool candidate(double value, int count, int *exponent, double *whole, bool *same)
{
    for (;;) {
        int shift = count - 1 - *exponent;
        if (shift > POWERS || shift < -POWERS)
            return false;
        double scaled = shift >= 0 ? value * power[shift] : value / power[-shift];
        *whole = scaled + 0x1p52 - 0x1p52; /* to the nearest whole number */
        if (*whole >= power[count]) {
            ++*exponent;
        } else if (*whole < power[count - 1]) {
            --*exponent;
        } else {
            /* Operands are exact, so this is the decimal, rounded once to double. Rounding that to
             * float is right too unless it lies in the middle between two floats. */
            double read = shift >= 0 ? *whole / power[shift] : *whole * power[-shift];
            uint64_t bits;
            memcpy(&bits, &read, sizeof(bits));
            if ((bits & 0x1fffffff) == 0x10000000)
                return false;
            *same = (double)(float)read == value;
            return true;
        }
    }
}

size_t decimal_float(char out[DECIMAL_ROOM], float single)
{
    double value = (double)single, magnitude = fabs(value), whole = 0, shorter;
    if (!isfinite(value) || value == 0)
        return special(out, value);
    if (magnitude < (double)FLT_MIN)
        return by_library(out, value, 1, 9, true);
    int binary, count = 8;
    frexp(magnitude, &binary);
    int exponent = (int)floor((binary - 1) * 0.30103), next;
    bool same;
    if (!candidate(magnitude, count, &exponent, &whole, &same))
        return by_library(out, value, 6, 9, true);
    if (!same) {
        count = 9;
        if (!candidate(magnitude, count, &exponent, &whole, &same) || !same)
            return by_library(out, value, 6, 9, true);
    }
    /* Six digits are always told apart: a shorter text is those without the zeros at the end. */
    for (next = exponent; count > 6 && count < 9; count--, whole = shorter, exponent = next) {
        if (!candidate(magnitude, count - 1, &next, &shorter, &same))
            return by_library(out, value, 6, 9, true);
        if (!same)
            break;
    }
    char digits[10];
    uint32_t number = (uint32_t)whole;
    for (int i = count; i-- > 0; number /= 10)
        digits[i] = (char)('0' + number % 10);
    return lay_out(out, signbit(value), digits, count, exponent, shortest);
}

size_t decimal_double(char out[DECIMAL_ROOM], double value)
{
    if (!isfinite(value) || value == 0)
        return special(out, value);
    return by_library(out, value, fabs(value) < DBL_MIN ? 1 : 15, 17, false);
}

struct decimal decimal_rounded(double value, int digits)
{
    struct decimal decimal = {{0}};
    char found[DIGITS_MOST];
    if (!isfinite(value)) {
        special(decimal.text, value);
    } else if (value == 0) {
        snprintf(decimal.text, sizeof(decimal.text), "%s", signbit(value) ? "-0" : "0");
    } else {
        digits = digits < 1 ? 1 : digits > 17 ? 17 : digits;
        int exponent = split(fabs(value), digits, found);
        lay_out(decimal.text, signbit(value), found, digits, exponent, (struct notation){-4, digits - 1, true});
    }
    return decimal;
}

struct decimal decimal_fixed(double value, int places)
{
    struct decimal decimal;
    double scaled = rint(value * power[places]), size = fabs(scaled);
    double whole = floor(size / power[places]);
    snprintf(decimal.text, sizeof(decimal.text), "%s%.0f.%0*.0f", scaled < 0 ? "-" : "", whole, places,
             size - whole * power[places]);
    return decimal;
}

bool decimal_read(const char *text, size_t length, double *value)
{
    char plain[64], digits[DIGITS_MOST + 1];
    const char *at = text, *end = text + length;
    bool negative = at < end && *at == '-', has_point = false, down = false;
    int count = 0, behind = 0, exponent = 0;
    at += at < end && (*at == '-' || *at == '+');
    for (; at < end && ((*at >= '0' && *at <= '9') || (*at == '.' && !has_point)); at++) {
        if (*at == '.') {
            has_point = true;
            continue;
        }
        if (count == DIGITS_MOST)
            return false;
        digits[count++] = *at;
        behind += has_point;
    }
    if (count == 0)
        return false;
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        down = at < end && *at == '-';
        at += at < end && (*at == '-' || *at == '+');
        if (at == end)
            return false;
        for (; at < end && *at >= '0' && *at <= '9'; at++)
            exponent = exponent < 100000 ? exponent * 10 + (*at - '0') : exponent;
    }
    join(plain, digits, count, (down ? -exponent : exponent) - behind + count - 1);
    errno = 0;
    *value = strtod(plain, NULL);
    *value = negative ? -*value : *value;
    return at == end && errno == 0;
}
