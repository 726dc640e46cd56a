/* verify/interface.c: pairs inputs and outputs of two models by name, and the rest by position. */
#include "verify/interface.h"

#include "base/text.h"
#include "match/number.h"

/* An input or an output of a graph as the file declares it. */
struct port {
    const Onnx__ValueInfoProto *info;
    struct value *value; /* NULL: nothing makes or reads it */
    struct port *twin;
};

struct ports {
    struct port *items;
    size_t count;
};

static const char *name_of(const struct port *port)
{
    return port->info->name ? port->info->name : "";
}

/* The element type that the model states, or 0. */
static int32_t type_of(const struct port *port)
{
    const Onnx__TypeProto *type = port->info->type;
    return type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ? type->tensor_type->elem_type : 0;
}

static const Onnx__TensorShapeProto *shape_of(const struct port *port)
{
    const Onnx__TypeProto *type = port->info->type;
    return type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ? type->tensor_type->shape : NULL;
}

static bool same_type(const struct port *a, const struct port *b)
{
    return !type_of(a) || !type_of(b) || type_of(a) == type_of(b);
}

/* True when some tensor has both shapes. */
static bool shapes_meet(const struct port *a, const struct port *b)
{
    const Onnx__TensorShapeProto *one = shape_of(a), *other = shape_of(b);
    if (!one || !other)
        return true;
    if (one->n_dim != other->n_dim)
        return false;
    for (size_t i = 0; i < one->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *x = one->dim[i], *y = other->dim[i];
        bool fixed = x->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE &&
                     y->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        if (fixed && x->dim_value > 0 && y->dim_value > 0 && x->dim_value != y->dim_value)
            return false;
    }
    return true;
}

static const char *shape_text(struct arena *arena, const struct port *port)
{
    struct text text = {.arena = arena};
    const Onnx__TensorShapeProto *shape = shape_of(port);
    text_print(&text, "[");
    for (size_t i = 0; shape && i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
        if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
            text_print(&text, "%s%lld", i ? ", " : "", (long long)dim->dim_value);
        else
            text_print(&text, "%s%s", i ? ", " : "", dim->dim_param && dim->dim_param[0] ? dim->dim_param : "?");
    }
    text_print(&text, "]");
    return text.bytes;
}

static void refuse(struct verify *verify, const char *reason)
{
    verify->result->verdict = VERDICT_DIFFERENT;
    verify->result->reason = arena_format(verify->arena, "the interfaces differ: %s", reason);
}

/* By name. Of several of one name the first counts. */
static void pair_names(struct verify *verify, const struct ports sides[2])
{
    struct map names = {0};
    for (size_t i = sides[1].count; i-- > 0;)
        map_put(verify->arena, &names, name_of(&sides[1].items[i]), &sides[1].items[i]);
    for (size_t i = 0; i < sides[0].count; i++) {
        struct port *port = &sides[0].items[i], *twin = map_get(&names, name_of(port));
        if (!twin || twin->twin)
            continue;
        port->twin = twin;
        twin->twin = port;
    }
}

static struct port *next_alone(const struct ports *ports, size_t *at)
{
    for (; *at < ports->count; ++*at)
        if (!ports->items[*at].twin)
            return &ports->items[(*at)++];
    return NULL;
}

static size_t count_alone(const struct ports *ports)
{
    size_t count = 0;
    for (size_t i = 0; i < ports->count; i++)
        count += !ports->items[i].twin;
    return count;
}

/* Pairs the rest by position, if all types and shapes agree. */
static void pair_positions(struct verify *verify, const struct ports sides[2], const char *kind)
{
    enum { NAMED_MOST = 8 }; /* named in the note */
    size_t at[2] = {0, 0}, count = count_alone(&sides[0]);
    if (count != count_alone(&sides[1]))
        return;
    for (size_t i = 0; i < count; i++) {
        const struct port *a = next_alone(&sides[0], &at[0]), *b = next_alone(&sides[1], &at[1]);
        if (!same_type(a, b) || !shapes_meet(a, b))
            return;
    }
    struct text text = {.arena = verify->arena};
    text_print(&text, "%s", verify->result->note);
    at[0] = at[1] = 0;
    for (size_t i = 0; i < count; i++) {
        struct port *a = next_alone(&sides[0], &at[0]), *b = next_alone(&sides[1], &at[1]);
        a->twin = b;
        b->twin = a;
        if (i < NAMED_MOST)
            text_print(&text, "%s%s '%s' is paired with '%s'", text.size ? ", " : "", kind, name_of(b), name_of(a));
    }
    if (count > NAMED_MOST)
        text_print(&text, " and so on by position");
    if (count)
        verify->result->note = text.bytes;
}

/* `more`: the second model may have more of them. */
static bool check_ports(struct verify *verify, const struct ports sides[2], bool is_input, bool more)
{
    const char *kind = is_input ? "input" : "output";
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < sides[side].count; i++) {
            const struct port *port = &sides[side].items[i];
            if (port->twin || (side && more))
                continue;
            refuse(verify, arena_format(verify->arena, "only the %s model has the %s '%s'", side ? "second" : "first",
                                        kind, name_of(port)));
            return false;
        }
    for (size_t i = 0; i < sides[0].count; i++) {
        const struct port *a = &sides[0].items[i], *b = a->twin;
        if (!same_type(a, b)) {
            refuse(verify, arena_format(verify->arena, "the %s '%s' has different element types: %s and %s", kind,
                                        name_of(b), type_name(type_of(a)), type_name(type_of(b))));
            return false;
        }
        /* Declared shapes of outputs may be stale: evaluation shows the real ones. */
        if (is_input && !shapes_meet(a, b)) {
            refuse(verify, arena_format(verify->arena, "the %s '%s' has different shapes: %s and %s", kind, name_of(b),
                                        shape_text(verify->arena, a), shape_text(verify->arena, b)));
            return false;
        }
    }
    return true;
}

/* Inputs from a caller, without those that hold a fixed constant. */
static struct ports inputs_of(struct verify *verify, const struct graph *graph)
{
    const Onnx__GraphProto *proto = graph->proto;
    struct ports ports = {NEW_ARRAY(verify->arena, struct port, proto->n_input + 1), 0};
    for (size_t i = 0; i < proto->n_input; i++) {
        struct value *value = graph_input(graph, i);
        if (value && !value_is_stored(value))
            ports.items[ports.count++] = (struct port){proto->input[i], value, NULL};
    }
    return ports;
}

static struct ports outputs_of(struct verify *verify, const struct graph *graph)
{
    const Onnx__GraphProto *proto = graph->proto;
    struct ports ports = {NEW_ARRAY(verify->arena, struct port, proto->n_output + 1), 0};
    for (size_t i = 0; i < proto->n_output; i++)
        ports.items[ports.count++] = (struct port){proto->output[i], graph_output(graph, i), NULL};
    return ports;
}

static void number_inputs(struct verify *verify, const struct ports *inputs, struct graph *const graphs[2])
{
    uint32_t next = 0;
    for (size_t i = 0; i < inputs->count; i++) {
        uint32_t number = number_input(&verify->numbering, 0, next++);
        value_number_set(inputs->items[i].value, number);
        value_number_set(inputs->items[i].twin->value, number);
    }
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < graph_input_count(graphs[side]); i++) {
            struct value *value = graph_input(graphs[side], i);
            if (value && !value_number(value))
                value_number_set(value, number_input(&verify->numbering, 0, next++));
        }
}

bool verify_pair_interface(struct verify *verify, struct graph *const graphs[2])
{
    const struct ports inputs[2] = {inputs_of(verify, graphs[0]), inputs_of(verify, graphs[1])};
    const struct ports outputs[2] = {outputs_of(verify, graphs[0]), outputs_of(verify, graphs[1])};
    pair_names(verify, inputs);
    pair_names(verify, outputs);
    pair_positions(verify, inputs, "input");
    pair_positions(verify, outputs, "output");
    if (!check_ports(verify, inputs, true, false) ||
        !check_ports(verify, outputs, false, verify->options->common_outputs))
        return false;
    number_inputs(verify, &inputs[0], graphs);
    verify->output_count = outputs[0].count;
    for (int side = 0; side < 2; side++)
        verify->outputs[side] = NEW_ARRAY(verify->arena, struct value *, outputs[0].count + 1);
    for (size_t i = 0; i < outputs[0].count; i++) {
        verify->outputs[0][i] = outputs[0].items[i].value;
        verify->outputs[1][i] = outputs[0].items[i].twin->value;
    }
    return true;
}
