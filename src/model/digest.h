/* model/digest.h: a hash of a constant's content, wherever the file stores it.
 *
 * Two constants with the same type, dims and elements have the same digest, whether their numbers are in raw_data,
 * in a typed field, in a Constant node or in external data. Elements are compared by their bits: 0 and -0 differ.
 * The digest is keyed (base/secret.h), so it differs in every run, and no file can contain many constants with one
 * digest. It is not a proof: if equality matters, call tensor_same too. */
#ifndef MODEL_DIGEST_H
#define MODEL_DIGEST_H

#include "model/tensor.h"

struct digest {
    uint64_t low, high;
};

/* Called with the bytes that were read, about a megabyte at a time: pages of a mapped file count as memory until
 * they are released. */
struct touch {
    void (*read)(void *closure, uint64_t bytes);
    void *closure;
};

/* Reads every element once. Digests of one secret may be compared. False if the content is unknown: external data
 * that was not opened, or a segment. */
bool tensor_digest(const struct tensor *tensor, const struct secret *secret, struct digest *digest,
                   const struct touch *touch);

/* True if both have the same elements. Reads both until they differ. */
bool tensor_same(const struct tensor *a, const struct tensor *b, const struct touch *touch);

#endif
