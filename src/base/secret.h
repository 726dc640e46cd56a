/* base/secret.h: hashes that the author of a file cannot steer.
 *
 * The author of a file chooses its names and contents. With a hash that is the same in every run, a file could have
 * half a million names that share one slot, and their table would take minutes. Here the operands of each
 * multiplication are mixed with random words that differ in each call of the library, so the author cannot know
 * which names collide. Hashes only decide the place in a table: no output may depend on them. */
#ifndef BASE_SECRET_H
#define BASE_SECRET_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct secret {
    uint64_t words[3];
};

/* From the system, or else from addresses and the clock. */
void secret_draw(struct secret *secret);

/* Both halves of the product, folded: by four multiplications of halves. */
static inline uint64_t secret_fold_halves(uint64_t a, uint64_t b)
{
    uint64_t low = (a & UINT32_MAX) * (b & UINT32_MAX), high = (a >> 32) * (b >> 32);
    uint64_t one = (a >> 32) * (b & UINT32_MAX), two = (a & UINT32_MAX) * (b >> 32);
    uint64_t carry = (low >> 32) + (one & UINT32_MAX) + (two & UINT32_MAX);
    low = (low & UINT32_MAX) | carry << 32;
    high += (one >> 32) + (two >> 32) + (carry >> 32);
    return low ^ high;
}

/* The same by a single instruction, if the processor has it. */
static inline uint64_t secret_fold(uint64_t a, uint64_t b)
{
#ifdef __SIZEOF_INT128__
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
#else
    return secret_fold_halves(a, b);
#endif
}

static inline uint64_t secret_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

static inline uint32_t secret_half_word(const uint8_t *at)
{
    uint32_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

/* Sixteen bytes per step; the words of the last step may overlap, but the size is hashed too. In the header, because
 * name lookups are the most frequent operation. */
static inline uint64_t secret_hash(const struct secret *secret, const void *data, size_t size)
{
    const uint8_t *at = data;
    size_t left = size;
    uint64_t hash = secret->words[0], a = 0, b = 0;
    for (; left > 16; at += 16, left -= 16)
        hash = secret_fold(secret_word(at) ^ secret->words[1], secret_word(at + 8) ^ hash);
    if (left >= 8) {
        a = secret_word(at);
        b = secret_word(at + left - 8);
    } else if (left >= 4) {
        a = secret_half_word(at);
        b = secret_half_word(at + left - 4);
    } else if (left) {
        a = (uint64_t)at[0] << 16 | (uint64_t)at[left / 2] << 8 | at[left - 1];
    }
    hash = secret_fold(a ^ secret->words[1], b ^ hash);
    return secret_fold(size ^ secret->words[2], hash);
}

#endif
