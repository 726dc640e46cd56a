/* base/secret.c: where the words come from. */
#define _GNU_SOURCE /* getentropy */

#include "base/secret.h"

#include <time.h>
#include <unistd.h>
#ifdef __has_include
#if __has_include(<sys/random.h>)
#include <sys/random.h>
#endif
#endif

void secret_draw(struct secret *secret)
{
    struct timespec now = {0, 0};
    if (getentropy(secret->words, sizeof(secret->words)) == 0)
        return;
    /* An old kernel, or a filter of system calls: the stack, the heap and the library lie at random. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    *secret = (struct secret){{(uint64_t)(uintptr_t)secret, (uint64_t)(uintptr_t)&now,
                               (uint64_t)(uintptr_t)&secret_draw}};
    for (int i = 0; i < 9; i++)
        secret->words[i % 3] =
            secret_fold(secret->words[i % 3] ^ 0x9e3779b97f4a7c15u,
                        secret->words[(i + 1) % 3] ^ (uint64_t)now.tv_nsec << 32 ^
                            (uint64_t)now.tv_sec ^ 0xc2b2ae3d27d4eb4fu);
}
