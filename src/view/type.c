/* view/type.c: names, strings and types in ONNX's text syntax.
 *
 * Source: docs/Syntax.md of onnx, and what onnx.parser 1.23 does where the two differ. */
#include "view/type.h"

#include <inttypes.h>

#include "base/text.h"
#include "base/utf8.h"

#define TYPE(name) ONNX__TENSOR_PROTO__DATA_TYPE__##name

/* ---- names ---- */

/* ASCII only, whatever the locale says. */
static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Length of the identifier a string begins with. */
static size_t identifier_length(const char *s)
{
    size_t length = 0;
    if (is_letter(s[0]) || s[0] == '_')
        do
            length++;
        while (is_letter(s[length]) || is_digit(s[length]) || s[length] == '_');
    return length;
}

bool dump_is_identifier(const char *name)
{
    size_t length = name ? identifier_length(name) : 0;
    return length && name[length] == 0;
}

bool dump_is_qualified(const char *name)
{
    for (;;) {
        size_t length = identifier_length(name);
        if (!length)
            return false;
        if (name[length] == 0)
            return true;
        if (name[length] != '.')
            return false;
        name += length + 1;
    }
}

/* An identifier that begins a type would be taken for one. */
static bool begins_type(const char *name)
{
    static const char *const words[] = {"seq", "map", "optional", "sparse_tensor", "opaque"};
    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strcmp(words[i], name) == 0)
            return true;
    for (int32_t type = TYPE(FLOAT); dump_has_type_name(type); type++)
        if (strcmp(type_name(type), name) == 0)
            return true;
    return false;
}

/* Letters that make up inf, infinity or nan and no digit after them: read as a number. */
static bool begins_number(const char *name)
{
    static const char *const words[] = {"inf", "infinity", "nan"};
    size_t length = 0;
    while (is_letter(name[length]))
        length++;
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        if (strlen(words[i]) != length || is_digit(name[length]))
            continue;
        size_t k = 0;
        while (k < length && (name[k] | 0x20) == words[i][k])
            k++;
        if (k == length)
            return true;
    }
    return false;
}

bool dump_is_body_name(const char *name)
{
    return dump_is_identifier(name) && !begins_type(name) && !begins_number(name);
}

void dump_name(struct dump *dump, const char *name)
{
    if (dump_is_identifier(name) && !begins_type(name))
        dump_puts(dump, name);
    else
        dump_quoted_string(dump, name);
}

/* ---- strings ---- */

void dump_quoted(struct dump *dump, const void *bytes, size_t size)
{
    const unsigned char *s = bytes;
    bool damaged = false;
    dump_put(dump, "\"", 1);
    for (size_t at = 0, length; at < size; at += length) {
        length = utf8_length(s + at, size - at);
        if (length == 0 || s[at] == 0) {
            dump_puts(dump, "\xef\xbf\xbd"); /* U+FFFD */
            damaged = true;
            length = 1;
            continue;
        }
        if (s[at] == '"' || s[at] == '\\')
            dump_put(dump, "\\", 1);
        dump_put(dump, (const char *)s + at, length);
    }
    dump_put(dump, "\"", 1);
    if (!damaged)
        return;
    enum { SHOWN = 64 };
    struct text hex = {.arena = dump->arena};
    for (size_t i = 0; i < size && i < SHOWN && !dump->counting; i++)
        text_print(&hex, "%02x", s[i]);
    dump_note(dump, "a string that is not text: %zu bytes, in hex %s%s", size, hex.bytes ? hex.bytes : "",
              size > SHOWN ? "..." : "");
}

void dump_quoted_string(struct dump *dump, const char *string)
{
    dump_quoted(dump, string, string ? strlen(string) : 0);
}

void dump_pairs(struct dump *dump, Onnx__StringStringEntryProto *const *pairs, size_t count)
{
    dump_puts(dump, "[");
    dump->depth++;
    for (size_t i = 0; i < count; i++) {
        dump_puts(dump, i ? "," : "");
        dump_end_line(dump);
        dump_indent(dump);
        dump_quoted_string(dump, pairs[i]->key);
        dump_puts(dump, ": ");
        dump_quoted_string(dump, pairs[i]->value);
    }
    dump->depth--;
    dump_end_line(dump);
    dump_indent(dump);
    dump_puts(dump, "]");
}

void dump_note_doc(struct dump *dump, const char *what, const char *doc_string)
{
    if (doc_string && doc_string[0] && dump->options->no_metadata)
        dump->result.not_held++;
    else if (doc_string && doc_string[0])
        dump_note(dump, "doc_string %s %s", what, dump_escaped_string(dump, doc_string));
}

void dump_note_metadata(struct dump *dump, const char *what, Onnx__StringStringEntryProto *const *pairs, size_t count)
{
    if (dump->options->no_metadata) {
        dump->result.not_held += count;
        return;
    }
    for (size_t i = 0; i < count; i++)
        dump_note(dump, "metadata %s %s: %s", what, dump_escaped_string(dump, pairs[i]->key),
                  dump_escaped_string(dump, pairs[i]->value));
}

/* ---- types ---- */

bool dump_has_type_name(int32_t type)
{
    return type >= TYPE(FLOAT) && type <= TYPE(FLOAT6E3M2);
}

static const char no_element[] = "its element type has no name";

const char *dump_type_problem(const Onnx__TypeProto *type)
{
    if (!type)
        return "it has no type";
    switch (type->value_case) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
        return dump_has_type_name(type->tensor_type->elem_type) ? NULL : no_element;
    case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        return dump_has_type_name(type->sparse_tensor_type->elem_type) ? NULL : no_element;
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE: return dump_type_problem(type->sequence_type->elem_type);
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE: return dump_type_problem(type->optional_type->elem_type);
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        if (!dump_has_type_name(type->map_type->key_type))
            return "its key type has no name";
        return dump_type_problem(type->map_type->value_type);
    case ONNX__TYPE_PROTO__VALUE_OPAQUE_TYPE: {
        const char *domain = type->opaque_type->domain, *name = type->opaque_type->name;
        bool has_domain = domain && domain[0], has_name = name && name[0];
        if (has_domain ? !dump_is_qualified(domain) || !dump_is_identifier(name) : has_name && !dump_is_qualified(name))
            return "the name of its opaque type is not an identifier";
        return NULL;
    }
    default: return "its type is empty";
    }
}

static void put_shape(struct dump *dump, const Onnx__TensorShapeProto *shape)
{
    if (!shape || shape->n_dim)
        dump_puts(dump, "[");
    for (size_t i = 0; shape && i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
        dump_puts(dump, i ? "," : "");
        if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
            dump_print(dump, "%" PRId64, dim->dim_value);
        else if (dim->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM)
            dump_puts(dump, "?");
        else if (dump_is_identifier(dim->dim_param))
            dump_puts(dump, dim->dim_param);
        else
            dump_quoted_string(dump, dim->dim_param);
        if (dim->denotation && dim->denotation[0])
            dump_note(dump, "denotation of dimension %zu: %s", i, dump_escaped_string(dump, dim->denotation));
    }
    if (!shape || shape->n_dim)
        dump_puts(dump, "]");
}

void dump_type(struct dump *dump, const Onnx__TypeProto *type)
{
    switch (type->value_case) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE:
        dump_puts(dump, type_name(type->tensor_type->elem_type));
        put_shape(dump, type->tensor_type->shape);
        break;
    case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        dump_print(dump, "sparse_tensor(%s", type_name(type->sparse_tensor_type->elem_type));
        put_shape(dump, type->sparse_tensor_type->shape);
        dump_puts(dump, ")");
        break;
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        dump_puts(dump, "seq(");
        dump_type(dump, type->sequence_type->elem_type);
        dump_puts(dump, ")");
        break;
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        dump_puts(dump, "optional(");
        dump_type(dump, type->optional_type->elem_type);
        dump_puts(dump, ")");
        break;
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        dump_print(dump, "map(%s, ", type_name(type->map_type->key_type));
        dump_type(dump, type->map_type->value_type);
        dump_puts(dump, ")");
        break;
    case ONNX__TYPE_PROTO__VALUE_OPAQUE_TYPE: {
        const char *domain = type->opaque_type->domain, *name = type->opaque_type->name;
        dump_print(dump, "opaque(%s%s%s)", domain ? domain : "", domain && domain[0] ? "," : "", name ? name : "");
        break;
    }
    default: break; /* a type without a problem is none of these */
    }
    if (type->denotation && type->denotation[0])
        dump_note(dump, "denotation of a type: %s", dump_escaped_string(dump, type->denotation));
}

void dump_value_info(struct dump *dump, const Onnx__ValueInfoProto *info)
{
    const char *problem = dump_type_problem(info->type);
    const char *what =
        dump->counting ? "" : arena_format(dump->arena, "of value %s:", dump_escaped_string(dump, info->name));
    if (!problem) {
        dump_type(dump, info->type);
        dump_puts(dump, " ");
    } else if (info->type) {
        dump_note(dump, "the type %s %s", what, problem);
    }
    dump_name(dump, info->name);
    dump_note_doc(dump, what, info->doc_string);
    dump_note_metadata(dump, what, info->metadata_props, info->n_metadata_props);
}
