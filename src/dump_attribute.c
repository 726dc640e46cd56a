/* dump_attribute.c: attributes of nodes and functions in ONNX's text syntax. */
#include <inttypes.h>
#include <string.h>

#include "dump_internal.h"

#define KIND(name) ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__##name

static const char *const kind_names[] = {
    [KIND(FLOAT)] = "float",
    [KIND(INT)] = "int",
    [KIND(STRING)] = "string",
    [KIND(TENSOR)] = "tensor",
    [KIND(GRAPH)] = "graph",
    [KIND(SPARSE_TENSOR)] = "sparse_tensor",
    [KIND(TYPE_PROTO)] = "type_proto",
    [KIND(FLOATS)] = "floats",
    [KIND(INTS)] = "ints",
    [KIND(STRINGS)] = "strings",
    [KIND(TENSORS)] = "tensors",
    [KIND(GRAPHS)] = "graphs",
    [KIND(SPARSE_TENSORS)] = "sparse_tensors",
    [KIND(TYPE_PROTOS)] = "type_protos",
};

/* The kind of an attribute; below IR 2 nothing names it and the field that is there tells. */
static int kind_of(const Onnx__AttributeProto *attribute)
{
    if (attribute->type != KIND(UNDEFINED))
        return (int)attribute->type;
    return attribute->has_f           ? KIND(FLOAT)
           : attribute->has_i         ? KIND(INT)
           : attribute->has_s         ? KIND(STRING)
           : attribute->t             ? KIND(TENSOR)
           : attribute->g             ? KIND(GRAPH)
           : attribute->n_floats      ? KIND(FLOATS)
           : attribute->n_ints        ? KIND(INTS)
           : attribute->n_strings     ? KIND(STRINGS)
           : attribute->tp            ? KIND(TYPE_PROTO)
           : attribute->sparse_tensor ? KIND(SPARSE_TENSOR)
                                      : KIND(UNDEFINED);
}

const char *dump_attribute_problem(struct dump *dump, const Onnx__AttributeProto *attribute)
{
    const char *problem = NULL;
    if (attribute->ref_attr_name && attribute->ref_attr_name[0])
        return NULL;
    switch (kind_of(attribute)) {
    case KIND(FLOAT):
    case KIND(INT):
    case KIND(STRING):
    case KIND(FLOATS):
    case KIND(INTS):
    case KIND(STRINGS):
    case KIND(GRAPHS): return NULL;
    case KIND(GRAPH): return attribute->g ? NULL : "it is missing";
    case KIND(TENSOR): return dump_tensor_problem(dump, attribute->t);
    case KIND(TYPE_PROTO): return dump_type_problem(attribute->tp);
    case KIND(TENSORS):
        for (size_t i = 0; i < attribute->n_tensors && !problem; i++)
            problem = dump_tensor_problem(dump, attribute->tensors[i]);
        return problem;
    case KIND(TYPE_PROTOS):
        for (size_t i = 0; i < attribute->n_type_protos && !problem; i++)
            problem = dump_type_problem(attribute->type_protos[i]);
        return problem;
    case KIND(SPARSE_TENSOR):
    case KIND(SPARSE_TENSORS): return "the syntax has no sparse values";
    default: return "it has no type";
    }
}

/* A tensor as an attribute's value. Its name can only be an identifier there. */
static void put_tensor(struct dump *dump, const Onnx__TensorProto *tensor)
{
    dump_tensor_type(dump, tensor);
    dump_puts(dump, " ");
    if (dump_is_identifier(tensor->name)) {
        dump_puts(dump, tensor->name);
        dump_puts(dump, tensor->n_external_data ? " = " : " ");
    } else if (tensor->name && tensor->name[0]) {
        dump_note(dump, "the name of a tensor: %s", dump_escaped_string(dump, tensor->name));
        dump_puts(dump, tensor->n_external_data ? "= " : "");
    } else if (tensor->n_external_data) {
        dump_puts(dump, "= "); /* else [ would begin another shape */
    }
    dump_tensor_values(dump, tensor);
}

/* What the parser takes as an empty list. */
static void note_list(struct dump *dump, const Onnx__AttributeProto *attribute, size_t count)
{
    if (count)
        dump_note(dump, "attribute %s: the parser leaves out the %zu entries of such a list",
                  dump_escaped_string(dump, attribute->name), count);
}

static void put_list(struct dump *dump, const Onnx__AttributeProto *attribute, int kind)
{
    size_t count = kind == KIND(FLOATS)    ? attribute->n_floats
                   : kind == KIND(INTS)    ? attribute->n_ints
                   : kind == KIND(STRINGS) ? attribute->n_strings
                   : kind == KIND(TENSORS) ? attribute->n_tensors
                   : kind == KIND(GRAPHS)  ? attribute->n_graphs
                                           : attribute->n_type_protos;
    dump_puts(dump, "[");
    for (size_t i = 0; i < count; i++) {
        dump_puts(dump, i ? ", " : "");
        switch (kind) {
        case KIND(FLOATS): dump_float(dump, attribute->floats[i]); break;
        case KIND(INTS): dump_print(dump, "%" PRId64, attribute->ints[i]); break;
        case KIND(STRINGS):
            dump_quoted(dump, attribute->strings[i].data, attribute->strings[i].len);
            break;
        case KIND(TENSORS): put_tensor(dump, attribute->tensors[i]); break;
        case KIND(GRAPHS): dump_graph(dump, attribute->graphs[i], true); break;
        default: dump_type(dump, attribute->type_protos[i]);
        }
    }
    dump_puts(dump, "]");
    if (kind == KIND(TENSORS) || kind == KIND(GRAPHS) || kind == KIND(TYPE_PROTOS))
        note_list(dump, attribute, count);
}

void dump_attribute(struct dump *dump, const Onnx__AttributeProto *attribute)
{
    int kind = kind_of(attribute);
    if (kind > 0 && (size_t)kind < COUNT_OF(kind_names))
        dump_print(dump, ": %s", kind_names[kind]);
    dump_puts(dump, " = ");
    dump_note_doc(dump, "of an attribute:", attribute->doc_string);
    if (attribute->ref_attr_name && attribute->ref_attr_name[0]) {
        dump_puts(dump, "@");
        if (dump_is_identifier(attribute->ref_attr_name))
            dump_puts(dump, attribute->ref_attr_name);
        else
            dump_quoted_string(dump, attribute->ref_attr_name);
        return;
    }
    switch (kind) {
    case KIND(FLOAT): dump_float(dump, attribute->f); break;
    case KIND(INT): dump_print(dump, "%" PRId64, attribute->i); break;
    case KIND(STRING): dump_quoted(dump, attribute->s.data, attribute->s.len); break;
    case KIND(TENSOR): put_tensor(dump, attribute->t); break;
    case KIND(GRAPH): dump_graph(dump, attribute->g, true); break;
    case KIND(TYPE_PROTO): dump_type(dump, attribute->tp); break;
    default: put_list(dump, attribute, kind);
    }
}

void dump_note_attribute(struct dump *dump, const Onnx__AttributeProto *attribute,
                         const char *problem)
{
    const char *name = dump_escaped_string(dump, attribute->name);
    if (attribute->sparse_tensor)
        dump_note(dump, "attribute %s: %s", name, dump_sparse(dump, attribute->sparse_tensor));
    for (size_t i = 0; i < attribute->n_sparse_tensors; i++)
        dump_note(dump, "attribute %s [%zu]: %s", name, i,
                  dump_sparse(dump, attribute->sparse_tensors[i]));
    if (!attribute->sparse_tensor && !attribute->n_sparse_tensors)
        dump_note(dump, "attribute %s: %s", name, problem);
}

void dump_attributes(struct dump *dump, Onnx__AttributeProto *const *attributes, size_t count)
{
    bool open = false;
    for (size_t i = 0; i < count; i++) {
        const char *problem = dump_is_identifier(attributes[i]->name)
                                  ? dump_attribute_problem(dump, attributes[i])
                                  : "its name is no identifier";
        if (problem) {
            dump_note_attribute(dump, attributes[i], problem);
            continue;
        }
        dump_puts(dump, open ? ", " : " <");
        dump_puts(dump, attributes[i]->name);
        dump_attribute(dump, attributes[i]);
        open = true;
    }
    dump_puts(dump, open ? ">" : "");
}
