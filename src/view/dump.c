/* view/dump.c: attributes of nodes and functions in ONNX's text syntax. */
#include <inttypes.h>

#include "view/type.h"
#include "view/value.h"

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

/* The kind of an attribute; before IR 2, it is derived from the field that is set. */
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

/* is_body: an attribute, whose name has no quotes. */
static void dump_graph(struct dump *dump, const Onnx__GraphProto *graph, bool is_body);

/* NULL, or why an attribute cannot be written. */
static const char *dump_attribute_problem(struct dump *dump, const Onnx__AttributeProto *attribute)
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

/* The parser's syntax for an empty list. */
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
        case KIND(STRINGS): dump_quoted(dump, attribute->strings[i].data, attribute->strings[i].len); break;
        case KIND(TENSORS): put_tensor(dump, attribute->tensors[i]); break;
        case KIND(GRAPHS): dump_graph(dump, attribute->graphs[i], true); break;
        default: dump_type(dump, attribute->type_protos[i]);
        }
    }
    dump_puts(dump, "]");
    if (kind == KIND(TENSORS) || kind == KIND(GRAPHS) || kind == KIND(TYPE_PROTOS))
        note_list(dump, attribute, count);
}

/* An attribute without a problem, after its name. */
static void dump_attribute(struct dump *dump, const Onnx__AttributeProto *attribute)
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

/* Notes an attribute that is left out; of a sparse one what it holds. */
static void dump_note_attribute(struct dump *dump, const Onnx__AttributeProto *attribute, const char *problem)
{
    const char *name = dump_escaped_string(dump, attribute->name);
    if (attribute->sparse_tensor)
        dump_note(dump, "attribute %s: %s", name, dump_sparse(dump, attribute->sparse_tensor));
    for (size_t i = 0; i < attribute->n_sparse_tensors; i++)
        dump_note(dump, "attribute %s [%zu]: %s", name, i, dump_sparse(dump, attribute->sparse_tensors[i]));
    if (!attribute->sparse_tensor && !attribute->n_sparse_tensors)
        dump_note(dump, "attribute %s: %s", name, problem);
}

/* <a: int = 1, ...> of a node. */
static void dump_attributes(struct dump *dump, Onnx__AttributeProto *const *attributes, size_t count)
{
    bool open = false;
    for (size_t i = 0; i < count; i++) {
        const char *problem = dump_is_identifier(attributes[i]->name) ? dump_attribute_problem(dump, attributes[i])
                                                                      : "its name is not an identifier";
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

/* ---- nodes ---- */

static void put_names(struct dump *dump, char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        dump_puts(dump, i ? ", " : "");
        dump_name(dump, names[i]);
    }
}

/* For places where the syntax allows only an unquoted identifier. Other names are in quotes, so that the parser
 * rejects them. */
static void put_bare(struct dump *dump, const char *name, bool fits)
{
    if (fits) {
        dump_puts(dump, name);
        return;
    }
    dump->result.unreadable++;
    dump_quoted_string(dump, name);
}

static bool has_body(const Onnx__NodeProto *node)
{
    for (size_t i = 0; i < node->n_attribute; i++)
        if (node->attribute[i]->g || node->attribute[i]->n_graphs)
            return true;
    return false;
}

static void put_node(struct dump *dump, const Onnx__NodeProto *node)
{
    dump_indent(dump);
    if (node->name && node->name[0]) {
        dump_puts(dump, "[");
        dump_name(dump, node->name);
        dump_puts(dump, "] ");
    }
    put_names(dump, node->output, node->n_output);
    dump_puts(dump, node->n_output ? " = " : "= ");
    if (node->domain && node->domain[0]) {
        put_bare(dump, node->domain, dump_is_qualified(node->domain));
        dump_puts(dump, ".");
    }
    put_bare(dump, node->op_type, dump_is_identifier(node->op_type));
    if (node->overload && node->overload[0]) {
        dump_puts(dump, ":");
        put_bare(dump, node->overload, dump_is_identifier(node->overload));
    }
    /* Bodies fill lines, so the inputs come before them. */
    bool body = has_body(node);
    if (!body)
        dump_attributes(dump, node->attribute, node->n_attribute);
    dump_puts(dump, " (");
    put_names(dump, node->input, node->n_input);
    dump_puts(dump, ")");
    if (body)
        dump_attributes(dump, node->attribute, node->n_attribute);
    dump_note_doc(dump, "of this node:", node->doc_string);
    dump_note_metadata(dump, "of this node:", node->metadata_props, node->n_metadata_props);
    for (size_t i = 0; i < node->n_device_configurations; i++)
        dump_note(dump, "a device configuration: %s",
                  dump_escaped_string(dump, node->device_configurations[i]->configuration_id));
    dump_end_line(dump);
}

static void put_nodes(struct dump *dump, Onnx__NodeProto *const *nodes, size_t count)
{
    dump_puts(dump, "{");
    dump->depth++;
    dump_end_line(dump);
    for (size_t i = 0; i < count; i++)
        put_node(dump, nodes[i]);
    dump->depth--;
    dump_indent(dump);
    dump_puts(dump, "}");
}

/* ---- graphs and functions ---- */

static void put_infos(struct dump *dump, Onnx__ValueInfoProto *const *infos, size_t count)
{
    dump_puts(dump, "(");
    for (size_t i = 0; i < count; i++) {
        dump_puts(dump, i ? ", " : "");
        dump_value_info(dump, infos[i]);
    }
    dump_puts(dump, ")");
}

/* Initializers and value_info, one a line between < and >. */
static void put_declarations(struct dump *dump, Onnx__TensorProto *const *tensors, size_t tensor_count,
                             Onnx__ValueInfoProto *const *infos, size_t info_count)
{
    bool open = false;
    for (size_t i = 0; i < tensor_count + info_count; i++) {
        const Onnx__TensorProto *tensor = i < tensor_count ? tensors[i] : NULL;
        const char *problem = tensor ? dump_tensor_problem(dump, tensor) : NULL;
        if (problem) {
            dump_note(dump, "initializer %s: %s", dump_escaped_string(dump, tensor->name), problem);
            continue;
        }
        dump_puts(dump, open ? "," : "<");
        dump->depth += !open;
        dump_end_line(dump);
        dump_indent(dump);
        open = true;
        if (tensor) {
            dump_tensor_type(dump, tensor);
            dump_puts(dump, " ");
            dump_name(dump, tensor->name);
            dump_puts(dump, " = ");
            dump_tensor_values(dump, tensor);
        } else {
            dump_value_info(dump, infos[i - tensor_count]);
        }
    }
    if (!open)
        return;
    dump->depth--;
    dump_end_line(dump);
    dump_indent(dump);
    dump_puts(dump, ">");
    dump_end_line(dump);
    dump_indent(dump);
}

static void note_graph(struct dump *dump, const Onnx__GraphProto *graph)
{
    dump_note_doc(dump, "of this graph:", graph->doc_string);
    dump_note_metadata(dump, "of this graph:", graph->metadata_props, graph->n_metadata_props);
    for (size_t i = 0; i < graph->n_sparse_initializer; i++) {
        const Onnx__SparseTensorProto *sparse = graph->sparse_initializer[i];
        dump_note(dump, "sparse initializer %s: %s",
                  dump_escaped_string(dump, sparse->values ? sparse->values->name : NULL), dump_sparse(dump, sparse));
    }
    for (size_t i = 0; i < graph->n_quantization_annotation; i++) {
        const Onnx__TensorAnnotation *annotation = graph->quantization_annotation[i];
        const char *name = dump_escaped_string(dump, annotation->tensor_name);
        for (size_t k = 0; k < annotation->n_quant_parameter_tensor_names; k++) {
            const Onnx__StringStringEntryProto *pair = annotation->quant_parameter_tensor_names[k];
            dump_note(dump, "quantization of %s: %s is %s", name, dump_escaped_string(dump, pair->key),
                      dump_escaped_string(dump, pair->value));
        }
    }
}

static void dump_graph(struct dump *dump, const Onnx__GraphProto *graph, bool is_body)
{
    if (!is_body) {
        dump_name(dump, graph->name);
    } else if (dump_is_body_name(graph->name)) {
        dump_puts(dump, graph->name);
    } else {
        dump_puts(dump, "body");
        dump_note(dump, "the name of a graph: %s", dump_escaped_string(dump, graph->name));
    }
    dump_puts(dump, " ");
    put_infos(dump, graph->input, graph->n_input);
    dump_puts(dump, " => ");
    put_infos(dump, graph->output, graph->n_output);
    note_graph(dump, graph);
    if (graph->n_initializer || graph->n_value_info || !is_body) {
        dump_end_line(dump);
        dump_indent(dump);
    } else {
        dump_puts(dump, " ");
    }
    put_declarations(dump, graph->initializer, graph->n_initializer, graph->value_info, graph->n_value_info);
    put_nodes(dump, graph->node, graph->n_node);
}

/* ---- the head of a model or function ---- */

/* key: value lines between < and >. */
static void put_key(struct dump *dump, bool *open, const char *key)
{
    dump_puts(dump, *open ? "," : "<");
    dump->depth += !*open;
    dump_end_line(dump);
    dump_indent(dump);
    dump_puts(dump, key);
    dump_puts(dump, ": ");
    *open = true;
}

static void put_string_key(struct dump *dump, bool *open, const char *key, const char *value)
{
    if (!value)
        return;
    put_key(dump, open, key);
    dump_quoted_string(dump, value);
}

static void put_opsets(struct dump *dump, bool *open, Onnx__OperatorSetIdProto *const *opsets, size_t count)
{
    if (!count)
        return;
    put_key(dump, open, "opset_import");
    for (size_t i = 0; i < count; i++) {
        dump_puts(dump, i ? ", " : "[");
        dump_quoted_string(dump, opsets[i]->domain);
        dump_print(dump, ": %" PRId64, opsets[i]->has_version ? opsets[i]->version : 0);
    }
    dump_puts(dump, "]");
}

static void close_head(struct dump *dump, bool open)
{
    if (!open)
        return;
    dump->depth--;
    dump_end_line(dump);
    dump_puts(dump, ">");
    dump_end_line(dump);
}

static void put_function(struct dump *dump, const Onnx__FunctionProto *function)
{
    bool open = false;
    put_string_key(dump, &open, "domain", function->domain);
    put_string_key(dump, &open, "overload", function->overload);
    put_opsets(dump, &open, function->opset_import, function->n_opset_import);
    put_string_key(dump, &open, "doc_string", function->doc_string);
    close_head(dump, open);
    dump_name(dump, function->name);
    dump_puts(dump, " ");
    open = false;
    for (size_t i = 0; i < function->n_attribute; i++) {
        dump_puts(dump, open ? ", " : "<");
        dump_name(dump, function->attribute[i]);
        open = true;
    }
    for (size_t i = 0; i < function->n_attribute_proto; i++) {
        const Onnx__AttributeProto *attribute = function->attribute_proto[i];
        const char *problem = dump_attribute_problem(dump, attribute);
        if (problem) {
            dump_note_attribute(dump, attribute, problem);
            continue;
        }
        dump_puts(dump, open ? ", " : "<");
        dump_name(dump, attribute->name);
        dump_attribute(dump, attribute);
        open = true;
    }
    dump_puts(dump, open ? "> (" : "(");
    put_names(dump, function->input, function->n_input);
    dump_puts(dump, ") => (");
    put_names(dump, function->output, function->n_output);
    dump_puts(dump, ")");
    dump_note_metadata(dump, "of this function:", function->metadata_props, function->n_metadata_props);
    dump_end_line(dump);
    put_declarations(dump, NULL, 0, function->value_info, function->n_value_info);
    put_nodes(dump, function->node, function->n_node);
    dump_end_line(dump);
}

static void put_model(struct dump *dump)
{
    const Onnx__ModelProto *proto = dump->model->proto;
    bool open = false;
    if (proto->has_ir_version) {
        put_key(dump, &open, "ir_version");
        dump_print(dump, "%" PRId64, proto->ir_version);
    }
    put_opsets(dump, &open, proto->opset_import, proto->n_opset_import);
    put_string_key(dump, &open, "producer_name", proto->producer_name);
    put_string_key(dump, &open, "producer_version", proto->producer_version);
    put_string_key(dump, &open, "domain", proto->domain);
    if (proto->has_model_version) {
        put_key(dump, &open, "model_version");
        dump_print(dump, "%" PRId64, proto->model_version);
    }
    put_string_key(dump, &open, "doc_string", proto->doc_string);
    if (proto->n_metadata_props) {
        put_key(dump, &open, "metadata_props");
        dump_pairs(dump, proto->metadata_props, proto->n_metadata_props);
    }
    close_head(dump, open);
    if (proto->n_training_info)
        dump_note(dump, "training_info: %zu entries", proto->n_training_info);
    for (size_t i = 0; i < proto->n_configuration; i++)
        dump_note(dump, "device configuration %s", dump_escaped_string(dump, proto->configuration[i]->name));
    dump_graph(dump, proto->graph, false);
    dump_end_line(dump);
    for (size_t i = 0; i < proto->n_functions; i++)
        put_function(dump, proto->functions[i]);
}

/* The first lines: why the text cannot be read back. */
static void put_warnings(struct dump *dump, const struct dump_result *counted)
{
    if (counted->elided)
        dump_print(dump, "# not readable back: %zu tensors of more than %" PRId64 " elements are given by hash\n",
                   counted->elided, dump->options->elide);
    if (counted->unreadable)
        dump_print(dump,
                   "# not readable back: %zu names of operators, domains or overloads are no "
                   "identifiers\n",
                   counted->unreadable);
}

void dump_model(struct model *model, const struct onnx_fuse_dump_options *options, struct arena *scratch,
                struct dump_result *result)
{
    struct dump dump = {.model = model, .arena = scratch, .options = options};
    dump.counting = true;
    put_model(&dump);
    struct dump_result counted = dump.result;
    dump.counting = false;
    dump.result = (struct dump_result){0};
    dump.buffer = arena_alloc(model->arena, DUMP_BUFFER, 1);
    put_warnings(&dump, &counted);
    put_model(&dump);
    dump_flush(&dump);
    *result = dump.result;
}
