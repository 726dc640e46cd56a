/* base/secret.c: where the words come from. */
#include "base/secret.h"

#include "base/system.h"

void secret_draw(struct secret *secret)
{
    if (system_random(secret->words, sizeof(secret->words)))
        return;
    /* An old kernel, or a filter of system calls: the stack, the heap and the library lie at random. */
    double now = system_seconds();
    uint64_t ticks;
    memcpy(&ticks, &now, sizeof(ticks));
    *secret =
        (struct secret){{(uint64_t)(uintptr_t)secret, (uint64_t)(uintptr_t)&now, (uint64_t)(uintptr_t)&secret_draw}};
    for (int i = 0; i < 9; i++)
        secret->words[i % 3] = secret_fold(secret->words[i % 3] ^ 0x9e3779b97f4a7c15u,
                                           secret->words[(i + 1) % 3] ^ ticks ^ 0xc2b2ae3d27d4eb4fu);
}
