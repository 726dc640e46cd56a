/* tap.h: TAP lines. */
#ifndef TAP_H
#define TAP_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

static int unit_passed, unit_failed;

/* One TAP line. */
static inline void expect(bool holds, const char *format, ...) __attribute__((format(printf, 2, 3)));

static inline void expect(bool holds, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%s %d - ", holds ? "ok" : "not ok", unit_passed + unit_failed + 1);
    vprintf(format, arguments);
    printf("\n");
    va_end(arguments);
    if (holds)
        unit_passed++;
    else
        unit_failed++;
}

/* What main returns. */
static inline int unit_finish(void)
{
    printf("1..%d\n# %d passed, %d failed\n", unit_passed + unit_failed, unit_passed, unit_failed);
    return unit_failed > 0;
}

#endif
