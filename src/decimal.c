/* decimal.c: candidates of growing length, each proved by reading it back. */
#include "decimal.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Powers of ten that a double holds exactly. */
static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                               1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                               1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
enum { POWERS = 22 };

/* d.ddd * 10^exponent, written plainly or with an exponent. */
static size_t lay_out(char *out, bool negative, const char *digits, int count, int exponent)
{
    char *at = out;
    while (count > 1 && digits[count - 1] == '0')
        count--;
    if (negative)
        *at++ = '-';
    if (exponent < -5 || exponent > 15) {
        *at++ = digits[0];
        if (count > 1)
            *at++ = '.';
        memcpy(at, digits + 1, (size_t)count - 1);
        at += count - 1;
        return (size_t)(at - out) + (size_t)snprintf(at, 8, "e%d", exponent);
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

/* By the C library, which rounds correctly both ways. From the length on at which a zero at the end
 * may still be cut off without missing a shorter text. */
static size_t by_library(char *out, double value, int least, int most, bool single)
{
    char text[64], digits[20];
    for (int count = least;; count++) {
        snprintf(text, sizeof(text), "%.*e", count - 1, fabs(value));
        bool same =
            single ? strtof(text, NULL) == (float)fabs(value) : strtod(text, NULL) == fabs(value);
        if (!same && count < most)
            continue;
        int found = 0;
        const char *at = text;
        for (; *at != 'e'; at++) /* whatever the locale has for a point is skipped */
            if (*at >= '0' && *at <= '9')
                digits[found++] = *at;
        /* NOLINTNEXTLINE(cert-err34-c): printf wrote it */
        return lay_out(out, signbit(value), digits, found, atoi(at + 1));
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
    return lay_out(out, signbit(value), digits, count, exponent);
}

size_t decimal_double(char out[DECIMAL_ROOM], double value)
{
    if (!isfinite(value) || value == 0)
        return special(out, value);
    return by_library(out, value, fabs(value) < DBL_MIN ? 1 : 15, 17, false);
}
