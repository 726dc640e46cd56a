/* dump_internal.h: what the files of the dump share.
 *
 * The model is walked twice by the same code. The first walk writes nothing and reads no values: it
 * counts what the first lines of the text have to say. */
#ifndef DUMP_INTERNAL_H
#define DUMP_INTERNAL_H

#include "dump.h"
#include "text.h"

struct dump {
    struct model *model;
    struct arena *arena; /* of the line that is being written */
    const struct onnx_fuse_dump_options *options;
    bool counting; /* the first walk */
    int depth;     /* of indentation */
    char *buffer;
    size_t used;
    size_t touched;           /* bytes of mapped files read since they were given back */
    LIST(const char *) notes; /* of the line that is being written */
    struct dump_result result;
};

/* ---- writing ---- */

void dump_put(struct dump *dump, const char *bytes, size_t size);
void dump_puts(struct dump *dump, const char *string);
void dump_print(struct dump *dump, const char *format, ...) __attribute__((format(printf, 2, 3)));
void dump_indent(struct dump *dump);
/* Ends the line and writes the notes made since the last one. */
void dump_end_line(struct dump *dump);
/* Notes something that the syntax does not hold. */
void dump_note(struct dump *dump, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A string as JSON, in the arena: for notes, which must stay on their line. */
const char *dump_escaped(struct dump *dump, const void *bytes, size_t size);
const char *dump_escaped_string(struct dump *dump, const char *string);

/* ---- dump_type.c: names, strings, types ---- */

bool dump_is_identifier(const char *name);
/* a.b.c, each an identifier */
bool dump_is_qualified(const char *name);
/* The name of a graph that is an attribute: there the syntax knows no quotes. */
bool dump_is_body_name(const char *name);
/* As it is, or in quotes. NULL is "". */
void dump_name(struct dump *dump, const char *name);
/* In quotes. Bytes that no reader gets back (no UTF-8, NUL) are replaced and noted. */
void dump_quoted(struct dump *dump, const void *bytes, size_t size);
void dump_quoted_string(struct dump *dump, const char *string);
/* Element types that have a name. */
bool dump_has_type_name(int32_t type);
/* NULL, or why the syntax has no such type. */
const char *dump_type_problem(const Onnx__TypeProto *type);
/* A type without a problem. Notes denotations. */
void dump_type(struct dump *dump, const Onnx__TypeProto *type);
/* float[1,N] x. A type that cannot be written is left out and noted. */
void dump_value_info(struct dump *dump, const Onnx__ValueInfoProto *info);
/* ["a": "b", ...], one a line. */
void dump_pairs(struct dump *dump, Onnx__StringStringEntryProto *const *pairs, size_t count);
/* Notes doc_string and metadata_props, where there are any and they are wanted. what: "of node 'x'" */
void dump_note_doc(struct dump *dump, const char *what, const char *doc_string);
void dump_note_metadata(struct dump *dump, const char *what,
                        Onnx__StringStringEntryProto *const *pairs, size_t count);

/* ---- dump.c ---- */

/* is_body: an attribute, whose name has no quotes. */
void dump_graph(struct dump *dump, const Onnx__GraphProto *graph, bool is_body);

/* ---- dump_attribute.c ---- */

/* NULL, or why an attribute cannot be written. */
const char *dump_attribute_problem(struct dump *dump, const Onnx__AttributeProto *attribute);
/* An attribute without a problem, after its name. */
void dump_attribute(struct dump *dump, const Onnx__AttributeProto *attribute);
/* Notes an attribute that is left out; of a sparse one what it holds. */
void dump_note_attribute(struct dump *dump, const Onnx__AttributeProto *attribute,
                         const char *problem);
/* <a: int = 1, ...> of a node. */
void dump_attributes(struct dump *dump, Onnx__AttributeProto *const *attributes, size_t count);

/* ---- dump_value.c: tensors and numbers ---- */

void dump_float(struct dump *dump, float value);
/* NULL, or why a tensor cannot be written. */
const char *dump_tensor_problem(struct dump *dump, const Onnx__TensorProto *proto);
/* float[2,3] */
void dump_tensor_type(struct dump *dump, const Onnx__TensorProto *proto);
/* {1, 2, ...}, or its hash, or where it lies when external data was not opened. The tensor has no problem. Notes what the values lose. */
void dump_tensor_values(struct dump *dump, const Onnx__TensorProto *proto);
/* One line of text for notes: type, number and hash of values and of indices. */
const char *dump_sparse(struct dump *dump, const Onnx__SparseTensorProto *sparse);

#endif
