/* eval/cast.c: Cast and CastLike. */
#include "eval/cast.h"

#include <math.h>
#include <stdio.h>

#include "base/decimal.h"
#include "base/text.h"

const char *eval_identity(struct evaluation *e)
{
    const struct array *in = eval_input(e, 0);
    struct array *out;
    const char *reason = eval_result(e, in->type, in->rank, in->dims, &out);
    if (reason)
        return reason;
    memcpy(out->cells, in->cells, (size_t)in->count * EVAL_CELL);
    return NULL;
}

const char *eval_constant(struct evaluation *e)
{
    const struct value *value = node_output(e->node, 0);
    struct tensor *tensor = value ? value->tensor : NULL;
    const Onnx__AttributeProto *attribute;
    if (!tensor && (attribute = node_attribute(e->node, "value")) && attribute->t) {
        const char *reason = tensor_from_proto(e->arena, attribute->t, NULL, &tensor);
        if (reason)
            return reason;
    }
    if (tensor)
        return array_load(e->arena, e->pool, tensor, &e->outputs[0]);

    struct array *out;
    const char *reason = NULL;
    if ((attribute = node_attribute(e->node, "value_float"))) {
        reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 0, NULL, &out);
        if (!reason)
            out->reals[0] = attribute->f;
    } else if ((attribute = node_attribute(e->node, "value_floats"))) {
        const int64_t count = (int64_t)attribute->n_floats;
        reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, 1, &count, &out);
        for (int64_t i = 0; !reason && i < count; i++)
            out->reals[i] = attribute->floats[i];
    } else if ((attribute = node_attribute(e->node, "value_string"))) {
        reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__STRING, 0, NULL, &out);
        if (!reason)
            out->texts[0] = &attribute->s;
    } else if ((attribute = node_attribute(e->node, "value_strings"))) {
        const int64_t count = (int64_t)attribute->n_strings;
        reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__STRING, 1, &count, &out);
        for (int64_t i = 0; !reason && i < count; i++)
            out->texts[i] = &attribute->strings[i];
    } else if ((attribute = node_attribute(e->node, "value_int"))) {
        reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 0, NULL, &out);
        if (!reason)
            out->integers[0] = attribute->i;
    } else if ((attribute = node_attribute(e->node, "value_ints"))) {
        const int64_t count = (int64_t)attribute->n_ints;
        reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &count, &out);
        for (int64_t i = 0; !reason && i < count; i++)
            out->integers[i] = attribute->ints[i];
    } else {
        return "a constant of a kind that is not evaluated";
    }
    return reason;
}

const char *eval_dropout(struct evaluation *e)
{
    const struct array *training = eval_input(e, 2);
    if (training && (array_is_real(training) || training->count != 1))
        return "training_mode is not a scalar bool";
    const struct array *ratio = eval_input(e, 1);
    bool drops = !ratio || !array_is_real(ratio) || ratio->count != 1 || ratio->reals[0] != 0;
    if (training && training->integers[0] && drops)
        return "training mode";
    const char *reason = eval_identity(e);
    if (reason || !node_output(e->node, 1))
        return reason;
    const struct array *in = eval_input(e, 0);
    /* Before opset 10 the mask has the type of the data. */
    int32_t type = e->node->opset < 10 ? in->type : ONNX__TENSOR_PROTO__DATA_TYPE__BOOL;
    reason = array_make(e->arena, e->pool, e->limit, type, in->rank, in->dims, &e->outputs[1]);
    if (reason)
        return reason;
    for (int64_t i = 0; i < in->count; i++) {
        if (array_is_real(e->outputs[1]))
            e->outputs[1]->reals[i] = 1;
        else
            e->outputs[1]->integers[i] = 1;
    }
    return NULL;
}

/* True when every number of one float type is one of the other. */
static bool type_holds(int32_t wide, int32_t narrow)
{
    return wide == narrow || wide == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE ||
           (wide == ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT && narrow != ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE);
}

/* Converts a number to an integer type. Runtimes differ for numbers out of range, except for packed types, where all
 * keep the lowest bits. */
static const char *to_integer(struct evaluation *e, int32_t to, double value, int64_t *integer)
{
    bool wraps = type_bits(to) < 8;
    bool is_large = to == ONNX__TENSOR_PROTO__DATA_TYPE__UINT64 && value >= 0x1p63 && value < 0x1p64;
    if (is_large) {
        *integer = (int64_t)(uint64_t)value;
        return NULL;
    }
    /* NaN fails this test as well. */
    if (!(value > -0x1p63 && value < 0x1p63) ||
        (!wraps &&
         (!eval_integer_fits(to, (int64_t)value) || (to == ONNX__TENSOR_PROTO__DATA_TYPE__UINT64 && value <= -1))))
        return arena_format(e->arena, "%s does not fit %s", decimal_rounded(value, 6).text, type_name(to));
    *integer = eval_wrapped(to, (int64_t)value);
    return NULL;
}

/* A number, or nan and inf in any case. Source: ONNX Cast-9 .. Cast-25. */
static const char *read_number(const char *text, double *value)
{
    bool is_signed = *text == '-' || *text == '+';
    const char *name = text + is_signed;
    bool is_nan = text_same_letters(name, "nan");
    if (!is_nan && !text_same_letters(name, "inf"))
        return decimal_read(text, strlen(text), value) ? NULL : "a text that is not a number";
    *value = is_nan ? (double)NAN : (double)INFINITY;
    *value = *text == '-' ? -*value : *value;
    return NULL;
}

static const char *from_text(struct evaluation *e, const ProtobufCBinaryData *text, struct array *out, int64_t i)
{
    double value;
    const char *letters = arena_format(e->arena, "%.*s", text && text->len < 64 ? (int)text->len : 0,
                                       text && text->len ? (const char *)text->data : "");
    const char *reason = read_number(letters, &value);
    if (!reason && !array_is_real(out))
        reason = to_integer(e, out->type, value, &out->integers[i]);
    else if (!reason)
        out->reals[i] = value;
    return reason;
}

/* A text for a cell of a string tensor. */
static const ProtobufCBinaryData *eval_text(struct arena *arena, const char *letters, size_t length)
{
    ProtobufCBinaryData *text = NEW(arena, ProtobufCBinaryData);
    text->len = length;
    text->data = NEW_ARRAY(arena, uint8_t, length + 1);
    memcpy(text->data, letters, length);
    return text;
}

/* Reals in the shortest form that reads back the same. */
static const ProtobufCBinaryData *to_text(struct evaluation *e, const struct array *in, int64_t i)
{
    char letters[DECIMAL_ROOM];
    size_t length;
    if (in->type == ONNX__TENSOR_PROTO__DATA_TYPE__STRING)
        return in->texts[i];
    if (in->type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE)
        length = decimal_double(letters, in->reals[i]);
    else if (array_is_real(in))
        length = decimal_float(letters, (float)in->reals[i]);
    else
        length = (size_t)snprintf(letters, sizeof(letters), "%lld", (long long)in->integers[i]);
    return eval_text(e->arena, letters, length);
}

static const char *cast_element(struct evaluation *e, const struct array *in, struct array *out, int64_t i,
                                bool saturate)
{
    bool from_real = array_is_real(in);
    if (out->type == ONNX__TENSOR_PROTO__DATA_TYPE__STRING) {
        out->texts[i] = to_text(e, in, i);
        return NULL;
    }
    if (in->type == ONNX__TENSOR_PROTO__DATA_TYPE__STRING)
        return from_text(e, in->texts[i], out, i);
    if (array_is_real(out)) {
        double value = eval_real(in, i);
        out->reals[i] = from_real && type_holds(out->type, in->type) ? value : eval_rounded(out->type, value, saturate);
        return NULL;
    }
    if (out->type == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL) {
        out->integers[i] = from_real ? in->reals[i] != 0 : in->integers[i] != 0;
        return NULL;
    }
    if (from_real)
        return to_integer(e, out->type, in->reals[i], &out->integers[i]);
    out->integers[i] = eval_wrapped(out->type, in->integers[i]);
    return NULL;
}

static const char *cast_to(struct evaluation *e, int32_t to)
{
    const struct array *in = eval_input(e, 0);
    bool saturate = node_integer(e->node, "saturate", 1) != 0;
    if (!type_is_real(to) && !type_is_whole(to) && to != ONNX__TENSOR_PROTO__DATA_TYPE__STRING)
        return arena_format(e->arena, "a cast to %s is not evaluated", type_name(to));
    struct array *out;
    const char *reason = eval_result(e, to, in->rank, in->dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++)
        reason = cast_element(e, in, out, i, saturate);
    return reason;
}

const char *eval_cast(struct evaluation *e)
{
    int64_t to = node_integer(e->node, "to", 0);
    return to > 0 && to <= INT32_MAX ? cast_to(e, (int32_t)to) : "a cast to no type";
}

const char *eval_cast_like(struct evaluation *e)
{
    return cast_to(e, eval_input(e, 1)->type);
}

/* The same bits as another type; where the types are not as wide, the last axis is longer or shorter. */
const char *eval_bit_cast(struct evaluation *e)
{
    const struct array *in = eval_input(e, 0);
    int64_t to = node_integer(e->node, "to", 0);
    if (to < 1 || to > INT32_MAX || type_bits((int32_t)to) != (in->type > 0 ? type_bits(in->type) : 0) ||
        (!type_is_real((int32_t)to) && !type_is_whole((int32_t)to)))
        return "a BitCast between types of other widths";
    struct array *out;
    const char *reason = eval_result(e, (int32_t)to, in->rank, in->dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++)
        eval_from_bits((int32_t)to, eval_bits(in->type, in->cells + i * EVAL_CELL), out->cells + i * EVAL_CELL);
    return reason;
}
