/* view/type.h: names, strings and types in ONNX's text syntax. */
#ifndef VIEW_TYPE_H
#define VIEW_TYPE_H

#include "view/writer.h"

bool dump_is_identifier(const char *name);
/* a.b.c, each an identifier */
bool dump_is_qualified(const char *name);
/* The name of a graph in an attribute, where the syntax has no quotes. */
bool dump_is_body_name(const char *name);
/* Unchanged if possible, otherwise in quotes. NULL is "". */
void dump_name(struct dump *dump, const char *name);
/* In quotes. Bytes that cannot be read back (invalid UTF-8, NUL) are replaced and noted. */
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
/* Notes doc_string and metadata_props, if they exist and are requested. what: "of node 'x'" */
void dump_note_doc(struct dump *dump, const char *what, const char *doc_string);
void dump_note_metadata(struct dump *dump, const char *what, Onnx__StringStringEntryProto *const *pairs, size_t count);

#endif
