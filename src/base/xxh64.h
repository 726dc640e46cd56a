/* base/xxh64.h: XXH64 with seed 0, the published 64-bit hash: what other tools print for the same bytes.
 *
 * Source: github.com/Cyan4973/xxHash, doc/xxhash_spec.md. */
#ifndef BASE_XXH64_H
#define BASE_XXH64_H

#include <stddef.h>
#include <stdint.h>

struct xxh64 {
    uint64_t lane[4];
    uint64_t total;
    uint8_t rest[32]; /* the last total % 32 bytes */
};

void xxh64_start(struct xxh64 *hash);
void xxh64_add(struct xxh64 *hash, const void *data, size_t size);
uint64_t xxh64_end(const struct xxh64 *hash);

#endif
