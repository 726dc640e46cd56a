/* base/vector.c: what the processor can do. The compilers' own way of asking is not in every runtime library. */
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
