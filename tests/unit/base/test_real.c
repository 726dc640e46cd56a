/* test_real.c: real.h against the C library at more precision where there is any, against the rules of C11 for what is
 * no ordinary number, and against itself on other machines. */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/real.h"
#include "base/xxh64.h"
#include "unit.h"

enum { TRIES = 200000 };

/* By the wide functions of x86, which have 64 bits. Those of other machines may be doubles in disguise: there the test of
 * the same bits must do. */
static const struct function {
    const char *name;
    double (*narrow)(double);
    long double (*wide)(long double);
    double low, high, most; /* arguments, and units in the last place */
} functions[] = {
    {"exp", real_exp, expl, -708, 709, 0.6},      {"exp near 0", real_exp, expl, -1, 1, 0.6},
    {"expm1", real_expm1, expm1l, -45, 700, 1.5}, {"expm1 near 0", real_expm1, expm1l, -1, 1, 1.5},
    {"log", real_log, logl, 1e-300, 1e300, 0.6},  {"log near 1", real_log, logl, 0.5, 2, 0.6},
    {"log1p", real_log1p, log1pl, -1, 1e9, 1.5},  {"log1p near 0", real_log1p, log1pl, -0.5, 0.5, 1.5},
    {"log2", real_log2, log2l, 1e-3, 1e3, 1.5},   {"log10", real_log10, log10l, 1e-3, 1e3, 1.5},
    {"tanh", real_tanh, tanhl, -22, 22, 2.5},     {"tanh near 0", real_tanh, tanhl, -1, 1, 2.5},
    {"erf", real_erf, erfl, -6.5, 6.5, 2},        {"erf near 0", real_erf, erfl, -1, 1, 2},
    {"erfc", real_erfc, erfcl, -3, 26, 4000},
};

/* Half of them evenly, half by their size. */
static double draw(struct unit *unit, double low, double high)
{
    uint64_t bits = unit_random(&unit->state);
    double part = (double)(bits >> 11) * 0x1p-53;
    if (bits & 1)
        return low + (high - low) * part;
    return (bits & 2 && low < 0 ? low : high) * ldexp(part, -(int)(bits >> 2 & 63));
}

static double units_off(double got, long double wanted)
{
    int exponent;
    frexpl(wanted, &exponent);
    if (exponent < DBL_MIN_EXP)
        exponent = DBL_MIN_EXP;
    return (double)(fabsl((long double)got - wanted) / ldexpl(1, exponent - DBL_MANT_DIG));
}

static void test_accuracy(struct unit *unit)
{
    for (size_t i = 0; i < COUNT_OF(functions); i++) {
        const struct function *function = &functions[i];
        double worst = 0, where = 0;
        for (int k = 0; k < TRIES; k++) {
            double x = draw(unit, function->low, function->high);
            if (x < function->low || x > function->high)
                continue;
            double off = units_off(function->narrow(x), function->wide(x));
            if (!(off <= worst)) {
                worst = off;
                where = x;
            }
        }
        expect(worst <= function->most, "%s: %a is off by %g units", function->name, where, worst);
    }
}

static void test_power_accuracy(struct unit *unit)
{
#ifdef __MINGW32__
    const double most = 1; /* its powl is off itself */
#else
    const double most = 0.8;
#endif
    double worst = 0, where[2] = {0, 0};
    for (int k = 0; k < TRIES; k++) {
        double x = fabs(draw(unit, 0, k % 2 ? 2 : 1e6)), y = draw(unit, -40, 40);
        long double wanted = powl(x, y);
        if (wanted < DBL_MIN || wanted > DBL_MAX)
            continue;
        double off = units_off(real_pow(x, y), wanted);
        if (!(off <= worst)) {
            worst = off;
            where[0] = x;
            where[1] = y;
        }
    }
    expect(worst <= most, "pow: %a to the %a is off by %g units", where[0], where[1], worst);
}

static bool is_same(double a, double b)
{
    return isnan(a) ? isnan(b) : a == b && signbit(a) == signbit(b);
}

static void test_limits(struct unit *unit)
{
    static const double infinite = (double)INFINITY, nan = (double)NAN;
    const struct {
        const char *name;
        double got, wanted;
    } cases[] = {
        {"exp of 0", real_exp(-0.0), 1},
        {"exp of infinity", real_exp(infinite), infinite},
        {"exp of -infinity", real_exp(-infinite), 0},
        {"exp overflows", real_exp(709.8), infinite},
        {"exp underflows", real_exp(-745.2), 0},
        {"exp is subnormal", real_exp(-745.1), 0x1p-1074},
        {"exp of NaN", real_exp(nan), nan},
        {"expm1 of -0", real_expm1(-0.0), -0.0},
        {"expm1 of -infinity", real_expm1(-infinite), -1},
        {"expm1 of what is tiny", real_expm1(0x1p-1074), 0x1p-1074},
        {"log of 0", real_log(0), -infinite},
        {"log of -1", real_log(-1), nan},
        {"log of 1", real_log(1), 0},
        {"log of infinity", real_log(infinite), infinite},
        {"log of what is tiny", real_log(0x1p-1074), -0x1.74385446d71c3p+9},
        {"log1p of -1", real_log1p(-1), -infinite},
        {"log1p of -0", real_log1p(-0.0), -0.0},
        {"log2 of 8", real_log2(8), 3},
        {"log2 of what is tiny", real_log2(0x1p-1074), -1074},
        {"log10 of 1000", real_log10(1000), 3},
        {"tanh of -0", real_tanh(-0.0), -0.0},
        {"tanh of -infinity", real_tanh(-infinite), -1},
        {"erf of -0", real_erf(-0.0), -0.0},
        {"erf of infinity", real_erf(infinite), 1},
        {"erfc of -infinity", real_erfc(-infinite), 2},
        {"erfc of 30", real_erfc(30), 0},
        {"pow of NaN to 0", real_pow(nan, 0), 1},
        {"pow of 1 to NaN", real_pow(1, nan), 1},
        {"pow of NaN", real_pow(nan, 1), nan},
        {"pow of -8 to a third", real_pow(-8, 1.0 / 3), nan},
        {"pow of -2 to 3", real_pow(-2, 3), -8},
        {"pow of -2 to -2", real_pow(-2, -2), 0.25},
        {"pow of -0 to -3", real_pow(-0.0, -3), -infinite},
        {"pow of -0 to 3", real_pow(-0.0, 3), -0.0},
        {"pow of -0 to 2.5", real_pow(-0.0, 2.5), 0},
        {"pow of -infinity to -3", real_pow(-infinite, -3), -0.0},
        {"pow of -1 to infinity", real_pow(-1, infinite), 1},
        {"pow of 0.5 to -infinity", real_pow(0.5, -infinite), infinite},
        {"pow of 2 to 1e300", real_pow(2, 1e300), infinite},
        {"pow of what is below 1 to 1e300", real_pow(1 - 0x1p-53, 1e300), 0},
        {"pow of 2 to -1074", real_pow(2, -1074), 0x1p-1074},
        {"pow of 9 to a half", real_pow(9, 0.5), 3},
    };
    (void)unit;
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect(is_same(cases[i].got, cases[i].wanted), "%s: %a, expected %a", cases[i].name, cases[i].got,
               cases[i].wanted);
}

/* The bits of many results, as every other machine got them. */
static void test_same(struct unit *unit)
{
    struct xxh64 hash;
    xxh64_start(&hash);
    for (size_t i = 0; i < COUNT_OF(functions); i++)
        for (int k = 0; k < 2000; k++) {
            double result = functions[i].narrow(draw(unit, functions[i].low, functions[i].high));
            result = isnan(result) ? 0 : result;
            xxh64_add(&hash, &result, sizeof(result));
        }
    for (int k = 0; k < 2000; k++) {
        double x = fabs(draw(unit, 0, 1e6)), result = real_pow(x, draw(unit, -40, 40));
        xxh64_add(&hash, &result, sizeof(result));
    }
    uint64_t bits = xxh64_end(&hash);
    expect(bits == UINT64_C(0x3348149ad70f8af7), "the bits of all results are %016llx", (unsigned long long)bits);
}

int main(void)
{
    if (LDBL_MANT_DIG == 64) {
        unit_run("accuracy", test_accuracy);
        unit_run("accuracy of powers", test_power_accuracy);
    }
    unit_run("limits", test_limits);
    unit_run("the same bits on every machine", test_same);
    return unit_finish();
}
