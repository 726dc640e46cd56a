/* view/dump.h: a model as ONNX's text syntax, as onnx.parser reads it.
 *
 * What the syntax cannot hold stands in the text as a comment, "# not held: ...", below the line it
 * belongs to; a text that cannot be read back says so in its first lines. Docs: docs/git.md. */
#ifndef VIEW_DUMP_H
#define VIEW_DUMP_H

#include "model/model.h"

struct dump_result {
    size_t not_held;   /* things the syntax has no place for; known values only */
    size_t elided;     /* tensors given by hash */
    size_t unreadable; /* names that the syntax cannot spell where it needs them */
};

/* Writes a loaded model through options->write, some 64 KiB at a time. Only the structure of the model
 * and that buffer are in memory; scratch is emptied with every line. Lands with IO when the writer returns false, else as model_tensor. */
void dump_model(struct model *model, const struct onnx_fuse_dump_options *options, struct arena *scratch,
                struct dump_result *result);

#endif
