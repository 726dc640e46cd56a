/* test_decimal.c: numbers as text and back, against printf and strtod, which read and write the same
 * where the locale is C. */
#include "base/decimal.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static double draw(struct unit *unit)
{
    static const double fixed[] = {0,       -0.0,   1,        -1,        0.1,       9.5,   99.95, 999999.5,
                                   1e6,     1e-4,   1e-5,     9.9995e-5, 1e15,      1e16,  1e17,  DBL_MAX,
                                   DBL_MIN, 5e-324, INFINITY, -INFINITY, 123456789, 1e100, 0.5};
    uint64_t bits = unit_random(&unit->state);
    double number;
    if (bits % 4 == 0)
        return fixed[unit_random(&unit->state) % COUNT_OF(fixed)];
    if (bits % 4 == 1)
        return unit_number(&unit->state) * pow(10, (double)unit_integer(&unit->state, -8, 20));
    memcpy(&number, &bits, sizeof(number));
    return isnan(number) ? 2.5 : number;
}

static void test_rounded(struct unit *unit)
{
    size_t wrong = 0;
    for (int i = 0; i < 20000; i++) {
        char wanted[64];
        double number = draw(unit);
        int digits = (int)unit_integer(&unit->state, 1, 17);
        snprintf(wanted, sizeof(wanted), "%.*g", digits, number);
        struct decimal decimal = decimal_rounded(number, digits);
        if (strcmp(decimal.text, wanted) != 0 && wrong++ < 5)
            printf("# %s, expected %s\n", decimal.text, wanted);
    }
    expect(wrong == 0, "digits, as %%g gives them: %zu wrong", wrong);
}

static void test_fixed(struct unit *unit)
{
    size_t wrong = 0;
    for (int i = 0; i < 5000; i++) {
        char wanted[64];
        double number = (double)unit_integer(&unit->state, -100000000, 100000000) / 1024;
        snprintf(wanted, sizeof(wanted), "%.3f", number);
        struct decimal decimal = decimal_fixed(number, 3);
        wrong += strcmp(decimal.text, wanted) != 0;
    }
    expect(wrong == 0, "places, as %%f gives them: %zu wrong", wrong);
}

static bool reads(const char *text)
{
    double number = 0;
    return decimal_read(text, strlen(text), &number) && number == strtod(text, NULL) &&
           !signbit(number) == !signbit(strtod(text, NULL));
}

static void test_read(struct unit *unit)
{
    static const char *const good[] = {"0",
                                       "-0",
                                       "1.",
                                       ".5",
                                       "+2",
                                       "1e3",
                                       "1E+3",
                                       "1.5e-3",
                                       "0.0001",
                                       "3.4028235e+38",
                                       "1.67326319217681884765625",
                                       "1e-05",
                                       "0e9999",
                                       "0000000000000000000000000000000.125"};
    static const char *const bad[] = {"",    "-",   ".",     "e5",    "1e",
                                      "1e+", "1,5", "1.2.3", " 1",    "1 ",
                                      "nan", "inf", "0x10",  "1e400", "-1e999999999999",
                                      "--1", "1-"};
    double number = 0;
    size_t wrong = 0;
    for (size_t i = 0; i < COUNT_OF(good); i++)
        expect(reads(good[i]), "'%s' is a number", good[i]);
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        expect(!decimal_read(bad[i], strlen(bad[i]), &number), "'%s' is none", bad[i]);
    expect(decimal_read("1.25@13", 4, &number) && number == 1.25, "the end is where it is said to be");
    for (int i = 0; i < 20000; i++) {
        double drawn = draw(unit);
        if (!isfinite(drawn) || (drawn != 0 && fabs(drawn) < DBL_MIN))
            continue;
        struct decimal decimal = decimal_rounded(drawn, 17);
        wrong += !decimal_read(decimal.text, strlen(decimal.text), &number) || number != drawn;
    }
    expect(wrong == 0, "17 digits read back: %zu wrong", wrong);
}

int main(void)
{
    unit_run("digits", test_rounded);
    unit_run("places", test_fixed);
    unit_run("reading", test_read);
    return unit_finish();
}
