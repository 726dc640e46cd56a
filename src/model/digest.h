/* model/digest.h: what a constant holds, as one number, wherever the file keeps it.
 *
 * Two constants of the same type, dims and elements have the same digest, be their numbers in
 * raw_data, in a typed field, in a Constant node or in external data. Elements are told apart by
 * their bits: 0 and -0 differ. The digest is keyed (base/secret.h), so that no file can hold many constants of
 * one digest, and is another in every run. It is no proof: who relies on equality asks tensor_same as
 * well. */
#ifndef MODEL_DIGEST_H
#define MODEL_DIGEST_H

#include "model/tensor.h"

struct digest {
    uint64_t low, high;
};

/* Told of bytes as they are read, a megabyte or so at a time: pages of a mapped file count as memory
 * until someone gives them back. */
struct touch {
    void (*read)(void *closure, uint64_t bytes);
    void *closure;
};

/* Reads every element once. Digests of one secret may be compared. False when nobody can say what the tensor holds: its data lies outside
 * the model and was not opened, or is part of a segment. */
bool tensor_digest(const struct tensor *tensor, const struct secret *secret, struct digest *digest,
                   const struct touch *touch);

/* True when both hold the same elements. Reads both until they differ. */
bool tensor_same(const struct tensor *a, const struct tensor *b, const struct touch *touch);

#endif
