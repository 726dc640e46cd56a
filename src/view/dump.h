/* view/dump.h: a model in ONNX's text syntax, for onnx.parser.
 *
 * If the syntax cannot express something, a comment, "# not held: ...", follows the line it belongs to. A text that
 * cannot be read back says so in its first lines. Docs: docs/git.md. */
#ifndef VIEW_DUMP_H
#define VIEW_DUMP_H

#include "model/model.h"

struct dump_result {
    size_t not_held;   /* things that the syntax cannot express */
    size_t elided;     /* tensors given by hash */
    size_t unreadable; /* names that the syntax cannot express */
};

/* Writes a loaded model through options->write, some 64 KiB at a time. Only the structure of the model and that
 * buffer are in memory; scratch is emptied after every line. Lands with IO if the writer returns false, otherwise
 * like model_tensor. */
void dump_model(struct model *model, const struct onnx_fuse_dump_options *options, struct arena *scratch,
                struct dump_result *result);

#endif
