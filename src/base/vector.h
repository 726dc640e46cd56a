/* base/vector.h: inner loops that are compiled twice, for any x86-64 and for AVX2, and selected at run time.
 *
 * Both keep the written order of sums and contract nothing, so the numbers are equal. */
#ifndef BASE_VECTOR_H
#define BASE_VECTOR_H

#include <stdbool.h>
#include <stddef.h>

/* The largest of numbers that are not negative; 0 if there are none. */
double vector_largest(const double *numbers, size_t count);

/* VECTORISED(double, sum, (const double *numbers, int64_t count), (numbers, count)) { body } is a static function of that
 * type, name, parameters and arguments. */
#if defined(__x86_64__)
extern bool vector_has_avx2; /* set before main, then constant */
#define VECTORISED(type, name, parameters, arguments)                                                                  \
    static inline __attribute__((always_inline)) type name##_body parameters;                                          \
    __attribute__((target("avx2"))) static type name##_avx2 parameters                                                 \
    {                                                                                                                  \
        return name##_body arguments;                                                                                  \
    }                                                                                                                  \
    static __attribute__((noinline)) type name##_any parameters                                                        \
    {                                                                                                                  \
        return name##_body arguments;                                                                                  \
    }                                                                                                                  \
    static inline type name parameters                                                                                 \
    {                                                                                                                  \
        return vector_has_avx2 ? name##_avx2 arguments : name##_any arguments;                                         \
    }                                                                                                                  \
    static inline type name##_body parameters
#else
#define VECTORISED(type, name, parameters, arguments) static type name parameters
#endif

#endif
