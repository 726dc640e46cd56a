/* base/xxh64.c: the steps of the specification, for little-endian machines. */
#include "base/xxh64.h"

#include <string.h>

static const uint64_t prime[5] = {0x9e3779b185ebca87u, 0xc2b2ae3d27d4eb4fu, 0x165667b19e3779f9u, 0x85ebca77c2b2ae63u,
                                  0x27d4eb2f165667c5u};

static uint64_t rotate(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static uint64_t step(uint64_t lane, uint64_t word)
{
    return rotate(lane + word * prime[1], 31) * prime[0];
}

static void stripe(struct xxh64 *hash, const uint8_t *bytes)
{
    uint64_t words[4];
    memcpy(words, bytes, sizeof(words));
    for (int i = 0; i < 4; i++)
        hash->lane[i] = step(hash->lane[i], words[i]);
}

void xxh64_start(struct xxh64 *hash)
{
    *hash = (struct xxh64){.lane = {prime[0] + prime[1], prime[1], 0, 0 - prime[0]}};
}

void xxh64_add(struct xxh64 *hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    size_t held = hash->total % sizeof(hash->rest);
    if (size == 0) /* then data may be NULL */
        return;
    hash->total += size;
    if (held) {
        size_t part = sizeof(hash->rest) - held < size ? sizeof(hash->rest) - held : size;
        memcpy(hash->rest + held, bytes, part);
        bytes += part;
        size -= part;
        if (held + part < sizeof(hash->rest))
            return;
        stripe(hash, hash->rest);
    }
    for (; size >= sizeof(hash->rest); bytes += sizeof(hash->rest), size -= sizeof(hash->rest))
        stripe(hash, bytes);
    if (size)
        memcpy(hash->rest, bytes, size);
}

uint64_t xxh64_end(const struct xxh64 *hash)
{
    static const int turns[4] = {1, 7, 12, 18};
    uint64_t sum = prime[4];
    if (hash->total >= sizeof(hash->rest)) {
        sum = 0;
        for (int i = 0; i < 4; i++)
            sum += rotate(hash->lane[i], turns[i]);
        for (int i = 0; i < 4; i++)
            sum = (sum ^ step(0, hash->lane[i])) * prime[0] + prime[3];
    }
    sum += hash->total;
    const uint8_t *at = hash->rest, *end = at + hash->total % sizeof(hash->rest);
    for (; end - at >= 8; at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        sum = rotate(sum ^ step(0, word), 27) * prime[0] + prime[3];
    }
    if (end - at >= 4) {
        uint32_t word;
        memcpy(&word, at, sizeof(word));
        sum = rotate(sum ^ word * prime[0], 23) * prime[1] + prime[2];
        at += 4;
    }
    for (; at < end; at++)
        sum = rotate(sum ^ *at * prime[4], 11) * prime[0];
    sum = (sum ^ sum >> 33) * prime[1];
    sum = (sum ^ sum >> 29) * prime[2];
    return sum ^ sum >> 32;
}
