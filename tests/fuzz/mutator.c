/* mutator.c: libFuzzer's hooks: mostly near.h's changes, now and then bytes. */
#include "near.h"
#include "target.h"

#include <string.h>

#ifdef PAIRS
/* Room for the first model, and what a pair is made of. */
static size_t join(uint8_t *out, size_t room, const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    if (a_size > 0xffffff || 8 + a_size + b_size > room)
        return 0;
    memcpy(out, "PAIR", 4);
    for (int i = 0; i < 4; i++)
        out[4 + i] = i < 3 ? (uint8_t)(a_size >> 8 * i) : 0;
    memcpy(out + 8, a, a_size);
    memcpy(out + 8 + a_size, b, b_size);
    return 8 + a_size + b_size;
}

static size_t mutate(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    struct pair pair = target_pair(data, size);
    unsigned side = seed >> 8 & 1;
    size_t half = room / 2 > 8 ? room / 2 - 8 : 0, made = 0;
    uint8_t *one = malloc(room + 1);
    uint8_t *whole = malloc(room + 1);
    if (pair.size[side] <= half) {
        memcpy(one, pair.data[side], pair.size[side]);
        size_t changed = near_mutate(one, pair.size[side], half, seed);
        if (changed)
            made = side ? join(whole, room, pair.data[0], pair.size[0], one, changed)
                        : join(whole, room, one, changed, pair.data[1], pair.size[1]);
        if (made)
            memcpy(data, whole, made);
    }
    free(one);
    free(whole);
    return made;
}
#else
static size_t mutate(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    return near_mutate(data, size, room, seed);
}
#endif

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed)
{
    if (seed % 8 != 0) {
        uint8_t *copy = malloc(size + 1);
        memcpy(copy, data, size);
        size_t made = mutate(data, size, room, seed);
        if (!made)
            memcpy(data, copy, size);
        free(copy);
        if (made)
            return made;
    }
    return LLVMFuzzerMutate(data, size, room);
}

size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
                                 size_t room, unsigned seed)
{
#ifdef PAIRS
    struct pair first = target_pair(a, a_size), second = target_pair(b, b_size);
    return join(out, room, first.data[seed & 1], first.size[seed & 1], second.data[seed >> 1 & 1],
                second.size[seed >> 1 & 1]);
#else
    return near_cross(a, a_size, b, b_size, out, room, seed);
#endif
}
