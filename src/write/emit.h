/* write/emit.h: from the edited graphs back to the bytes of a model.
 *
 * The output is a list of pieces: unchanged spans of the input, new messages packed by protobuf-c, and weights to
 * compute. Only messages on the path from the model to an edit are split; everything else is one span, so names,
 * order, unknown fields and encodings stay. */
#ifndef WRITE_EMIT_H
#define WRITE_EMIT_H

#include "model/model.h"

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

/* Where to store the bytes of tensors. All false: external data stays where it is, and new weights go into the
 * model. */
struct emit_placement {
    bool move_external;   /* tensors with external data: to `location`, or into the model without one */
    bool move_inline;     /* large initializers whose bytes are in the model: to `location` */
    bool move_new;        /* large new weights: to `location` */
    const char *location; /* the new data file, as the model names it; NULL: there is none */
};

/* The pieces of the model and of its new data file, whose offsets have gaps for alignment. Lands with LIMIT if the
 * model would exceed protobuf's 2 GiB. */
void emit_model(struct model *model, const struct emit_placement *placement, struct pieces *pieces,
                struct pieces *data);

#endif
