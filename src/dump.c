/* dump.c: models, graphs, functions, nodes and attributes in ONNX's text syntax.
 *
 * Source: docs/Syntax.md of onnx, and what onnx.parser 1.23 does where the two differ. */
#include "dump.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "dump_internal.h"

enum { BUFFER = 64 << 10 };

/* ---- writing ---- */

static void flush(struct dump *dump)
{
    const struct onnx_fuse_dump_options *options = dump->options;
    if (dump->used && !options->write(options->closure, dump->buffer, dump->used))
        fail(dump->arena->landing, ONNX_FUSE_IO, "%s: cannot write its text", dump->model->path);
    dump->used = 0;
}

void dump_put(struct dump *dump, const char *bytes, size_t size)
{
    while (size && !dump->counting) {
        size_t part = BUFFER - dump->used < size ? BUFFER - dump->used : size;
        memcpy(dump->buffer + dump->used, bytes, part);
        dump->used += part;
        bytes += part;
        size -= part;
        if (dump->used == BUFFER)
            flush(dump);
    }
}

void dump_puts(struct dump *dump, const char *string)
{
    dump_put(dump, string, strlen(string));
}

void dump_print(struct dump *dump, const char *format, ...)
{
    va_list arguments;
    char text[512];
    if (dump->counting)
        return;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof(text)) {
        dump_put(dump, text, (size_t)length);
        return;
    }
    va_start(arguments, format);
    dump_puts(dump, arena_vformat(dump->arena, format, arguments));
    va_end(arguments);
}

void dump_indent(struct dump *dump)
{
    for (int i = 0; i < dump->depth; i++)
        dump_puts(dump, "   ");
}

void dump_end_line(struct dump *dump)
{
    dump_puts(dump, "\n");
    for (size_t i = 0; i < dump->notes.count; i++) {
        dump_indent(dump);
        dump_puts(dump, "# not held: ");
        dump_puts(dump, dump->notes.items[i]);
        dump_puts(dump, "\n");
    }
    dump->notes.items = NULL;
    dump->notes.count = dump->notes.room = 0;
    arena_reset(dump->arena);
}

void dump_note(struct dump *dump, const char *format, ...)
{
    va_list arguments;
    dump->result.not_held++;
    if (dump->counting)
        return;
    va_start(arguments, format);
    const char *note = arena_vformat(dump->arena, format, arguments);
    va_end(arguments);
    LIST_PUSH(dump->arena, &dump->notes, note);
}

const char *dump_escaped(struct dump *dump, const void *bytes, size_t size)
{
    struct text text = {.arena = dump->arena};
    if (dump->counting)
        return "";
    text_json_bytes(&text, bytes, size);
    return text.bytes;
}

const char *dump_escaped_string(struct dump *dump, const char *string)
{
    return dump_escaped(dump, string, string ? strlen(string) : 0);
}

/* ---- nodes ---- */

static void put_names(struct dump *dump, char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        dump_puts(dump, i ? ", " : "");
        dump_name(dump, names[i]);
    }
}

/* Where the syntax has an identifier and no quotes. What does not fit is written in quotes, so that
 * no parser takes it for something else. */
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
static void put_declarations(struct dump *dump, Onnx__TensorProto *const *tensors,
                             size_t tensor_count, Onnx__ValueInfoProto *const *infos,
                             size_t info_count)
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
                  dump_escaped_string(dump, sparse->values ? sparse->values->name : NULL),
                  dump_sparse(dump, sparse));
    }
    for (size_t i = 0; i < graph->n_quantization_annotation; i++) {
        const Onnx__TensorAnnotation *annotation = graph->quantization_annotation[i];
        const char *name = dump_escaped_string(dump, annotation->tensor_name);
        for (size_t k = 0; k < annotation->n_quant_parameter_tensor_names; k++) {
            const Onnx__StringStringEntryProto *pair = annotation->quant_parameter_tensor_names[k];
            dump_note(dump, "quantization of %s: %s is %s", name,
                      dump_escaped_string(dump, pair->key), dump_escaped_string(dump, pair->value));
        }
    }
}

void dump_graph(struct dump *dump, const Onnx__GraphProto *graph, bool is_body)
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
    put_declarations(dump, graph->initializer, graph->n_initializer, graph->value_info,
                     graph->n_value_info);
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

static void put_opsets(struct dump *dump, bool *open, Onnx__OperatorSetIdProto *const *opsets,
                       size_t count)
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
    dump_note_metadata(dump, "of this function:", function->metadata_props,
                       function->n_metadata_props);
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
        dump_note(dump, "device configuration %s",
                  dump_escaped_string(dump, proto->configuration[i]->name));
    dump_graph(dump, proto->graph, false);
    dump_end_line(dump);
    for (size_t i = 0; i < proto->n_functions; i++)
        put_function(dump, proto->functions[i]);
}

/* The first lines: why the text cannot be read back. */
static void put_warnings(struct dump *dump, const struct dump_result *counted)
{
    if (counted->elided)
        dump_print(dump,
                   "# not readable back: %zu tensors of more than %" PRId64
                   " elements are given by hash\n",
                   counted->elided, dump->options->elide);
    if (counted->unreadable)
        dump_print(dump,
                   "# not readable back: %zu names of operators, domains or overloads are no "
                   "identifiers\n",
                   counted->unreadable);
}

void dump_model(struct model *model, const struct onnx_fuse_dump_options *options,
                struct arena *scratch, struct dump_result *result)
{
    struct dump dump = {.model = model, .arena = scratch, .options = options};
    dump.counting = true;
    put_model(&dump);
    struct dump_result counted = dump.result;
    dump.counting = false;
    dump.result = (struct dump_result){0};
    dump.buffer = arena_alloc(model->arena, BUFFER, 1);
    put_warnings(&dump, &counted);
    put_model(&dump);
    flush(&dump);
    *result = dump.result;
}
