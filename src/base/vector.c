/* base/vector.c: what the processor can do, and a loop for several rooms. The compilers' own way of asking is not in every
 * runtime library. */
#include "base/vector.h"

#if defined(__x86_64__)
#include <cpuid.h>

bool vector_has_avx2;

__attribute__((constructor)) static void look(void)
{
    enum { OSXSAVE = 1 << 27, AVX2 = 1 << 5, SSE_AND_AVX = 6 };
    unsigned a, b, c, d, saved, upper;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & OSXSAVE))
        return;
    /* The system must save the registers of a thread that waits. */
    __asm__ volatile("xgetbv" : "=a"(saved), "=d"(upper) : "c"(0));
    if ((saved & SSE_AND_AVX) == SSE_AND_AVX && __get_cpuid_count(7, 0, &a, &b, &c, &d))
        vector_has_avx2 = b & AVX2;
}
#endif

/* Several lines of comparing go on at once. */
VECTORISED(double, largest, (const double *numbers, size_t count), (numbers, count))
{
    enum { LINES = 8 };
    double lines[LINES] = {0}, most = 0;
    size_t k = 0;
    for (; k + LINES <= count; k += LINES)
        for (size_t i = 0; i < LINES; i++)
            lines[i] = numbers[k + i] > lines[i] ? numbers[k + i] : lines[i];
    for (; k < count; k++)
        most = numbers[k] > most ? numbers[k] : most;
    for (size_t i = 0; i < LINES; i++)
        most = lines[i] > most ? lines[i] : most;
    return most;
}

double vector_largest(const double *numbers, size_t count)
{
    return largest(numbers, count);
}
