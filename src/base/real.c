/* base/real.c: each function is a table at points that lie close, and a short series from the nearest of them. */
#include "base/real.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0
#error "expected doubles that are computed as doubles; on x86, -msse2 -mfpmath=sse"
#endif

enum { PLACES = 32 }; /* of both tables below */

/* A number and its rounding error. */
struct pair {
    double high, low;
};

static struct pair add(double a, double b)
{
    double sum = a + b, part = sum - a;
    return (struct pair){sum, (a - (sum - part)) + (b - part)};
}

/* Its upper 26 bits: products of two of them are exact. */
static double upper(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    bits &= ~(uint64_t)0 << 27;
    memcpy(&x, &bits, sizeof(x));
    return x;
}

static struct pair multiply(double a, double b)
{
    double product = a * b, a1 = upper(a), b1 = upper(b), a2 = a - a1, b2 = b - b1;
    return (struct pair){product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2};
}

/* ---- powers of e ---- */

/* 2^(i/PLACES), and its rounding error. */
static const double powers[PLACES] = {
    0x1p+0,
    0x1.059b0d3158574p+0,
    0x1.0b5586cf9890fp+0,
    0x1.11301d0125b51p+0,
    0x1.172b83c7d517bp+0,
    0x1.1d4873168b9aap+0,
    0x1.2387a6e756238p+0,
    0x1.29e9df51fdee1p+0,
    0x1.306fe0a31b715p+0,
    0x1.371a7373aa9cbp+0,
    0x1.3dea64c123422p+0,
    0x1.44e086061892dp+0,
    0x1.4bfdad5362a27p+0,
    0x1.5342b569d4f82p+0,
    0x1.5ab07dd485429p+0,
    0x1.6247eb03a5585p+0,
    0x1.6a09e667f3bcdp+0,
    0x1.71f75e8ec5f74p+0,
    0x1.7a11473eb0187p+0,
    0x1.82589994cce13p+0,
    0x1.8ace5422aa0dbp+0,
    0x1.93737b0cdc5e5p+0,
    0x1.9c49182a3f09p+0,
    0x1.a5503b23e255dp+0,
    0x1.ae89f995ad3adp+0,
    0x1.b7f76f2fb5e47p+0,
    0x1.c199bdd85529cp+0,
    0x1.cb720dcef9069p+0,
    0x1.d5818dcfba487p+0,
    0x1.dfc97337b9b5fp+0,
    0x1.ea4afa2a490dap+0,
    0x1.f50765b6e454p+0,
};
static const double power_rests[PLACES] = {
    0,
    0x1.d73e2ap-55,
    0x1.8a62e4p-54,
    -0x1.6c5104p-54,
    -0x1.19041cp-55,
    0x1.e016ep-54,
    0x1.9b07ecp-54,
    0x1.612e8ap-55,
    0x1.6f46aep-55,
    -0x1.63aeacp-54,
    0x1.ada092p-55,
    0x1.89b7ap-59,
    0x1.d4397ap-56,
    -0x1.07abe2p-55,
    0x1.6324cp-54,
    -0x1.383c18p-54,
    -0x1.bdd342p-54,
    -0x1.16e478p-55,
    -0x1.41577ep-55,
    -0x1.d4c1dep-54,
    0x1.6e9f16p-54,
    -0x1.75fc78p-57,
    0x1.c7c46cp-56,
    -0x1.d2f6eep-54,
    0x1.7a1cd4p-54,
    -0x1.5584f8p-56,
    0x1.110658p-55,
    0x1.503cbep-56,
    0x1.2ed02ep-55,
    -0x1.1a5cd4p-54,
    -0x1.e9c232p-54,
    0x1.9d3e12p-54,
};

/* e^x = 2^exponent * (power + rest), |rest| small; |x| below 800. */
struct parts {
    double power, rest;
    int exponent;
};

static struct parts exp_parts(double x, double low)
{
    static const double per_place = 0x1.62e42feep-6, per_place_low = 0x1.a39ef35793c76p-38; /* ln 2 / PLACES */
    static const double rounding = 0x1.8p52;
    double whole = (x * 0x1.71547652b82fep+5 + rounding) - rounding;
    int places = (int)whole, place = places & (PLACES - 1);
    double r = ((x - whole * per_place) - whole * per_place_low) + low;
    double series = r + r * r * (1.0 / 2 + r * (1.0 / 6 + r * (1.0 / 24 + r * (1.0 / 120 + r / 720))));
    return (struct parts){powers[place], power_rests[place] + powers[place] * series, (places - place) / PLACES};
}

static double exp_sum(double x, double low)
{
    if (x > 800 || x < -800)
        return x > 0 ? (double)INFINITY : 0;
    struct parts parts = exp_parts(x, low);
    double sum = parts.power + parts.rest, scale;
    if (parts.exponent < -1021 || parts.exponent > 1023)
        return ldexp(sum, parts.exponent);
    uint64_t bits = (uint64_t)(parts.exponent + 1023) << 52;
    memcpy(&scale, &bits, sizeof(scale));
    return sum * scale;
}

double real_exp(double x)
{
    return isnan(x) ? x : exp_sum(x, 0);
}

double real_expm1(double x)
{
    if (isnan(x) || x == 0) /* zero keeps its sign */
        return x;
    if (x > 40 || x < -40)
        return exp_sum(x, 0) - 1;
    if (fabs(x) < 0.25) { /* the difference from 1 would lose digits */
        double series = 1;
        for (int n = 14; n > 2; n--)
            series = 1 + x * (1.0 / n) * series;
        return x + x * x / 2 * series;
    }
    struct parts parts = exp_parts(x, 0);
    double one = ldexp(1, -parts.exponent);
    struct pair sum = add(parts.power, -one);
    return ldexp(sum.high + (sum.low + parts.rest), parts.exponent);
}

/* tanh(x) = (e^2x - 1) / (e^2x + 1) */
double real_tanh(double x)
{
    double size = fabs(x);
    if (!(size < 22))
        return isnan(x) ? x : copysign(1, x);
    double power = real_expm1(2 * size);
    return copysign(size < 1 ? power / (power + 2) : 1 - 2 / (power + 2), x);
}

/* ---- logarithms ---- */

/* For the 32 parts of [1, 2), halved from 1.4375 on: a short approximation of 1 / m, the logarithm of its
 * reciprocal, and the rounding error of that. */
enum { HALVED = 14 };
static const struct {
    double inverse, logarithm, rest;
} logs[PLACES] = {
    {0x1p+0, 0, 0},
    {0x1.eap-1, 0x1.67c94f2d4bb58p-5, 0x1.0413e6p-59},
    {0x1.dap-1, 0x1.3bdf5a7d1ee64p-4, 0x1.7a976ep-59},
    {0x1.cep-1, 0x1.a4e7640b1bc38p-4, -0x1.5b5ca2p-58},
    {0x1.cp-1, 0x1.1178e8227e47cp-3, -0x1.0e63a6p-58},
    {0x1.b4p-1, 0x1.4913d8333b561p-3, -0x1.0d5604p-58},
    {0x1.aap-1, 0x1.7898d85444c73p-3, 0x1.ef8f6ep-58},
    {0x1.9ep-1, 0x1.b31d8575bce3dp-3, -0x1.6353acp-57},
    {0x1.94p-1, 0x1.e530effe71012p-3, 0x1.227604p-59},
    {0x1.8ap-1, 0x1.0c42d676162e3p-2, 0x1.162c7ap-58},
    {0x1.82p-1, 0x1.214456d0eb8d4p-2, 0x1.f7ae92p-57},
    {0x1.78p-1, 0x1.3c25277333184p-2, -0x1.2ad27ep-56},
    {0x1.7p-1, 0x1.522ae0738a3d8p-2, -0x1.8f7e9cp-57},
    {0x1.68p-1, 0x1.68ac83e9c6a14p-2, 0x1.a64eaep-58},
    {0x1.6p+0, -0x1.4618bc21c5ec2p-2, -0x1.f42decp-56},
    {0x1.59p+0, -0x1.31871c9544185p-2, 0x1.51acc4p-60},
    {0x1.52p+0, -0x1.1c898c16999fbp-2, 0x1.0e5c62p-60},
    {0x1.4bp+0, -0x1.071b85fcd590dp-2, -0x1.d1708p-58},
    {0x1.44p+0, -0x1.e27076e2af2e6p-3, 0x1.61578p-59},
    {0x1.3ep+0, -0x1.bc286742d8cd6p-3, -0x1.4fce74p-58},
    {0x1.38p+0, -0x1.9525a9cf456b4p-3, -0x1.d904c2p-57},
    {0x1.32p+0, -0x1.6d60fe719d21dp-3, 0x1.caae26p-57},
    {0x1.2dp+0, -0x1.4ba36f39a55e5p-3, -0x1.68981cp-57},
    {0x1.27p+0, -0x1.2266f190a5acbp-3, -0x1.f547cp-57},
    {0x1.22p+0, -0x1.fec9131dbeabbp-4, 0x1.5746bap-58},
    {0x1.1dp+0, -0x1.b78c82bb0eda1p-4, -0x1.0878dp-61},
    {0x1.18p+0, -0x1.6f0d28ae56b4cp-4, 0x1.906d9ap-58},
    {0x1.13p+0, -0x1.253f62f0a1417p-4, 0x1.c12596p-62},
    {0x1.0fp+0, -0x1.d276b8adb0b52p-5, -0x1.1e3c54p-61},
    {0x1.0ap+0, -0x1.39e87b9febd6p-5, 0x1.5bfa94p-59},
    {0x1.06p+0, -0x1.7b91b07d5b11bp-6, 0x1.5b602ap-60},
    {0x1p+0, 0, 0},
};

/* Of x + low, a positive finite number. */
static struct pair log_pair(double x, double low)
{
    static const double log_two = 0x1.62e42fefa38p-1, log_two_low = 0x1.ef35793c7673p-45;
    uint64_t bits;
    int exponent = -1023;
    if (x < DBL_MIN) {
        x *= 0x1p54;
        exponent -= 54;
    }
    memcpy(&bits, &x, sizeof(bits));
    unsigned place = bits >> 47 & (PLACES - 1);
    bool halved = place >= HALVED;
    exponent += (int)(bits >> 52) + halved;
    bits = (bits & (UINT64_MAX >> 12)) | (uint64_t)(1023 - halved) << 52;
    double m, inverse = logs[place].inverse;
    memcpy(&m, &bits, sizeof(m));
    /* m / its neighbour = 1 + r */
    double first = upper(m);
    struct pair r = add(first * inverse - 1, (m - first) * inverse);
    if (low != 0)
        r = add(r.high, r.low + ldexp(low, -exponent) * inverse);
    struct pair square = multiply(r.high, r.high);
    double z = r.high, series = 1.0 / 14;
    for (int n = 13; n > 2; n--)
        series = 1.0 / n - z * series;
    struct pair a = add(exponent * log_two, logs[place].logarithm), b = add(a.high, z),
                c = add(b.high, -square.high / 2);
    double rest =
        exponent * log_two_low + logs[place].rest + r.low - z * r.low - square.low / 2 + z * square.high * series;
    return add(c.high, a.low + b.low + c.low + rest);
}

/* Special cases, in `*result`. */
static bool log_is_plain(double x, double *result)
{
    *result = isnan(x) || (isinf(x) && x > 0) ? x : x == 0 ? -(double)INFINITY : (double)NAN;
    return !(x > 0) || isinf(x);
}

double real_log(double x)
{
    double result;
    return log_is_plain(x, &result) ? result : log_pair(x, 0).high;
}

double real_log1p(double x)
{
    double result;
    struct pair sum = add(1, x);
    if (x == 0 || log_is_plain(1 + x, &result))
        return x == 0 ? x : result;
    return log_pair(sum.high, sum.low).high;
}

/* A logarithm by another base: `scale` and its rest are 1 over the natural logarithm of that. */
static double log_scaled(double x, double scale, double rest)
{
    double result;
    if (log_is_plain(x, &result))
        return result;
    struct pair natural = log_pair(x, 0), product = multiply(natural.high, scale);
    return product.high + (product.low + natural.low * scale + natural.high * rest);
}

double real_log2(double x)
{
    return log_scaled(x, 0x1.71547652b82fep+0, 0x1.777d0ffda0d24p-56);
}

double real_log10(double x)
{
    return log_scaled(x, 0x1.bcb7b1526e50ep-2, 0x1.95355baaafad3p-57);
}

double real_pow(double x, double y)
{
    double size = fabs(x);
    if (y == 0 || x == 1)
        return 1;
    if (isnan(x) || isnan(y))
        return isnan(x) ? x : y;
    double sign = signbit(x) && fabs(fmod(y, 2)) == 1 ? -1 : 1;
    if (isinf(y))
        return size == 1 ? 1 : (size > 1) == (y > 0) ? (double)INFINITY : 0;
    if (size == 0 || isinf(x))
        return sign * ((size == 0) == (y > 0) ? 0 : (double)INFINITY);
    if (x < 0 && y != floor(y))
        return (double)NAN;
    if (y == 2)
        return x * x;
    if (fabs(y) > 0x1p64) /* infinite or nothing, and the product below stays finite */
        y = copysign(0x1p64, y);
    struct pair log = log_pair(size, 0), product = multiply(log.high, y);
    return sign * exp_sum(product.high, product.low + log.low * y);
}

/* ---- the error function ---- */

/* c[0] x^(count-1) + ... + c[count-1] */
static double polynomial(const double *c, int count, double x)
{
    double sum = c[0];
    for (int i = 1; i < count; i++)
        sum = sum * x + c[i];
    return sum;
}

/* erf(x) / x by x^2, up to 1. */
static double error_inside(double x)
{
    static const double near[] = {
        0x1.05ffd737fb32ep-34, -0x1.389d4f2641625p-30, 0x1.f7b4bf3b13964p-27, -0x1.5f1ecb6f0764cp-23,
        0x1.b9df224ca4b97p-20, -0x1.f4d1e3183f7aep-17, 0x1.f9a321d5b8e1ep-14, -0x1.c02db3dac435fp-11,
        0x1.565bcd0dbaa38p-8,  -0x1.b82ce31284ep-6,    0x1.ce2f21a042b3p-4,   -0x1.812746b0379e6p-2,
        0x1.20dd750429b6dp+0,
    };
    return x * polynomial(near, (int)(sizeof(near) / sizeof(*near)), x * x);
}

/* 1 - erf(x) from 1 to 28. It is e^-x^2 / (x + 1) times a slowly varying factor, which is fitted in (x - 4) / (x +
 * 4). */
static double error_outside(double x)
{
    static const double far[] = {
        -0x1.c787cde94ea95p-23, 0x1.7784f42868f8ap-25, 0x1.4beba648a74dfp-19,  -0x1.15d47026d6f5p-18,
        -0x1.b5d10dd0749d5p-17, 0x1.0c889cb96c28ap-14, -0x1.f8bfe0ae8d25dp-15, -0x1.98b23eb77d8ecp-12,
        0x1.15678c0563d24p-9,   -0x1.8db87f133ecfdp-8, 0x1.8e84704496a14p-7,   -0x1.1ef9fadfb4115p-6,
        0x1.f5c2a43ef155bp-7,   0x1.03a8438eec7c1p-8,  -0x1.89dfde1dc5733p-5,  0x1.df6f7856019ccp-4,
        -0x1.9841f8fe192d7p-3,  0x1.5eb7f6ecb19a8p-1,
    };
    double slow = polynomial(far, (int)(sizeof(far) / sizeof(*far)), (x - 4) / (x + 4));
    return exp_sum(-x * x, 0) / (x + 1) * slow;
}

double real_erf(double x)
{
    double size = fabs(x);
    if (isnan(x))
        return x;
    return size < 1 ? error_inside(x) : copysign(size < 6 ? 1 - error_outside(size) : 1, x);
}

double real_erfc(double x)
{
    if (isnan(x))
        return x;
    return x < 1 ? 1 - real_erf(x) : x < 28 ? error_outside(x) : 0;
}
