/* emit.h: from the edited graphs back to the bytes of a model.
 *
 * The output is a list of pieces: spans of the input as they are, new messages packed by
 * protobuf-c, and weights still to be computed. Only messages on the way from the model to an edit
 * are taken apart; everything else is one span, so names, order, unknown fields and encodings stay. */
#ifndef EMIT_H
#define EMIT_H

#include "model.h"

struct piece {
    const uint8_t *data;           /* bytes, when tensor is NULL */
    const struct mapping *mapping; /* where data lies, for copies in the kernel, or NULL */
    const struct tensor *tensor;   /* to be computed */
    uint64_t size, offset;         /* in the output */
};

struct pieces {
    LIST(struct piece) list;
    uint64_t size;
};

/* inline_external: tensors with external data get their bytes in the model. Lands with LIMIT when
 * the result would pass protobuf's 2 GiB. */
void emit_model(struct model *model, bool inline_external, struct pieces *pieces);

#endif
