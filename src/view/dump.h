/* view/dump.h: a model as ONNX's text syntax, as onnx.parser reads it.
 *
 * What the syntax cannot hold stands in the text as a comment, "# not held: ...", below the line it
 * belongs to; a text that cannot be read back says so in its first lines. Docs: docs/git.md. */
#ifndef VIEW_DUMP_H
#define VIEW_DUMP_H

#include "model/model.h"

struct dump;

struct dump_result {
    size_t not_held;   /* things the syntax has no place for; known values only */
    size_t elided;     /* tensors given by hash */
    size_t unreadable; /* names that the syntax cannot spell where it needs them */
};

/* Writes a loaded model through options->write, some 64 KiB at a time. Only the structure of the model
 * and that buffer are in memory; scratch is emptied with every line. Lands with IO when the writer returns false, else as model_tensor. */
void dump_model(struct model *model, const struct onnx_fuse_dump_options *options,
                struct arena *scratch, struct dump_result *result);

/* is_body: an attribute, whose name has no quotes. */
void dump_graph(struct dump *dump, const Onnx__GraphProto *graph, bool is_body);

/* NULL, or why an attribute cannot be written. */
const char *dump_attribute_problem(struct dump *dump, const Onnx__AttributeProto *attribute);
/* An attribute without a problem, after its name. */
void dump_attribute(struct dump *dump, const Onnx__AttributeProto *attribute);
/* Notes an attribute that is left out; of a sparse one what it holds. */
void dump_note_attribute(struct dump *dump, const Onnx__AttributeProto *attribute,
                         const char *problem);
/* <a: int = 1, ...> of a node. */
void dump_attributes(struct dump *dump, Onnx__AttributeProto *const *attributes, size_t count);

#endif
