/* near_field.c: single fields, by what protobuf-c's descriptors say of them. */
#include "near_internal.h"

static void *slot(ProtobufCMessage *message, unsigned offset)
{
    return (uint8_t *)message + offset;
}

static size_t size_of(ProtobufCType type)
{
    switch (type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_SINT64:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
    case PROTOBUF_C_TYPE_DOUBLE: return 8;
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE: return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES: return sizeof(ProtobufCBinaryData);
    default: return 4;
    }
}

static const char *const words[] = {"",
                                    "x",
                                    "y",
                                    "W",
                                    "B",
                                    "ai.onnx",
                                    "com.microsoft",
                                    "Conv",
                                    "ConvTranspose",
                                    "Gemm",
                                    "MatMul",
                                    "BatchNormalization",
                                    "Add",
                                    "Sub",
                                    "Mul",
                                    "Div",
                                    "Sum",
                                    "Mean",
                                    "Pad",
                                    "Slice",
                                    "AveragePool",
                                    "MaxPool",
                                    "GlobalAveragePool",
                                    "Identity",
                                    "Dropout",
                                    "Cast",
                                    "CastLike",
                                    "Relu",
                                    "Sigmoid",
                                    "Constant",
                                    "ConstantOfShape",
                                    "Expand",
                                    "Tile",
                                    "Range",
                                    "Reshape",
                                    "Flatten",
                                    "Squeeze",
                                    "Unsqueeze",
                                    "Concat",
                                    "Split",
                                    "Transpose",
                                    "Shape",
                                    "Size",
                                    "Gather",
                                    "ScatterND",
                                    "Where",
                                    "Equal",
                                    "Einsum",
                                    "ReduceMean",
                                    "ReduceSum",
                                    "ReduceProd",
                                    "Softmax",
                                    "PRelu",
                                    "Clip",
                                    "Pow",
                                    "Sqrt",
                                    "Reciprocal",
                                    "Neg",
                                    "Exp",
                                    "Log",
                                    "Mod",
                                    "If",
                                    "Loop",
                                    "Scan",
                                    "Resize",
                                    "LayerNormalization",
                                    "auto_pad",
                                    "NOTSET",
                                    "SAME_UPPER",
                                    "SAME_LOWER",
                                    "VALID",
                                    "pads",
                                    "strides",
                                    "dilations",
                                    "group",
                                    "kernel_shape",
                                    "output_padding",
                                    "output_shape",
                                    "epsilon",
                                    "momentum",
                                    "axis",
                                    "axes",
                                    "perm",
                                    "mode",
                                    "constant",
                                    "edge",
                                    "reflect",
                                    "value",
                                    "value_float",
                                    "value_floats",
                                    "value_int",
                                    "value_ints",
                                    "value_string",
                                    "sparse_value",
                                    "alpha",
                                    "beta",
                                    "transA",
                                    "transB",
                                    "broadcast",
                                    "keepdims",
                                    "to",
                                    "ceil_mode",
                                    "count_include_pad",
                                    "training_mode",
                                    "spatial",
                                    "starts",
                                    "ends",
                                    "then_branch",
                                    "else_branch",
                                    "body",
                                    "equation",
                                    "num_outputs",
                                    "location",
                                    "offset",
                                    "length"};

static char *any_string(struct near *near)
{
    switch (near_below(near, 12)) {
    case 0: return arena_copy(near->arena, "");
    case 1: {
        size_t size = 1 + near_below(near, 2000);
        char *text = arena_alloc(near->arena, size + 1, 1);
        return memset(text, "ab\"\\\n\x7f\xff"[near_below(near, 7)], size);
    }
    case 2:
    case 3:
    case 4:
    case 5: return arena_copy(near->arena, words[near_below(near, COUNT_OF(words))]);
    default:
        return near->names.count ? near->names.items[near_below(near, near->names.count)]
                                 : arena_copy(near->arena, "x");
    }
}

static void set_scalar(struct near *near, ProtobufCType type, void *at)
{
    int64_t integer = near_integer(near);
    double number = near_number(near);
    float narrow = (float)number;
    int32_t word = (int32_t)integer;
    switch (type) {
    case PROTOBUF_C_TYPE_FLOAT: memcpy(at, &narrow, sizeof(narrow)); break;
    case PROTOBUF_C_TYPE_DOUBLE: memcpy(at, &number, sizeof(number)); break;
    case PROTOBUF_C_TYPE_STRING: *(char **)at = any_string(near); break;
    case PROTOBUF_C_TYPE_BYTES: {
        ProtobufCBinaryData *bytes = at;
        size_t size = bytes->len;
        if (near_chance(near, 40) || !size)
            size = near_chance(near, 50) ? size + near_below(near, 17) : near_below(near, size + 1);
        uint8_t *data = arena_alloc(near->arena, size + 1, 1);
        if (bytes->len)
            memcpy(data, bytes->data, size < bytes->len ? size : bytes->len);
        if (size && near_chance(near, 70))
            data[near_below(near, size)] = (uint8_t)near_bits(near);
        *bytes = (ProtobufCBinaryData){size, data};
        break;
    }
    default:
        if (size_of(type) == 8 && near_chance(near, 40))
            integer = (int64_t)((uint64_t) * (int64_t *)at + (uint64_t)near_below(near, 5) - 2);
        if (size_of(type) == 8)
            memcpy(at, &integer, sizeof(integer));
        else
            memcpy(at, &word, sizeof(word));
    }
}

static void *new_message(struct near *near, const ProtobufCMessageDescriptor *descriptor)
{
    ProtobufCMessage *message = arena_alloc(near->arena, 1, descriptor->sizeof_message);
    descriptor->message_init(message);
    return message;
}

/* A repeated field: one element more, less, twice, changed, or two in each other's place. */
static void change_repeated(struct near *near, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    size_t *count = slot(message, field->quantifier_offset), size = size_of(field->type);
    uint8_t **items = slot(message, field->offset);
    size_t at = near_below(near, *count), to = near_below(near, *count);
    unsigned choice = (unsigned)near_below(near, 6);
    if (*count == 0 || choice == 0) {
        *items = near_grown(near->arena, *items, *count, size);
        uint8_t *last = *items + *count * size;
        if (field->type == PROTOBUF_C_TYPE_MESSAGE)
            *(void **)(void *)last = new_message(near, field->descriptor);
        else
            set_scalar(near, field->type, last);
        ++*count;
        return;
    }
    uint8_t *one = *items + at * size;
    switch (choice) {
    case 1:
        memmove(one, one + size, (*count - at - 1) * size);
        --*count;
        return;
    case 2: /* a shared message is packed twice */
        *items = near_grown(near->arena, *items, *count, size);
        memcpy(*items + *count * size, *items + at * size, size);
        ++*count;
        return;
    case 3:
        for (size_t i = 0; i < size; i++) {
            uint8_t byte = one[i];
            one[i] = (*items)[to * size + i];
            (*items)[to * size + i] = byte;
        }
        return;
    default:
        if (field->type != PROTOBUF_C_TYPE_MESSAGE)
            set_scalar(near, field->type, one);
    }
}

static void change_one(struct near *near, ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
    void *at = slot(message, field->offset);
    bool is_one_of = field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF;
    uint32_t *chosen = is_one_of ? slot(message, field->quantifier_offset) : NULL;
    if (is_one_of && *chosen != field->id) {
        *chosen = field->id;
        memset(at, 0, size_of(field->type));
        if (field->type == PROTOBUF_C_TYPE_STRING)
            *(char **)at = any_string(near);
    }
    if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        void **inside = at;
        *inside = *inside && near_chance(near, 50) ? NULL : new_message(near, field->descriptor);
        if (is_one_of && !*inside)
            *chosen = 0;
        return;
    }
    if (field->type == PROTOBUF_C_TYPE_STRING) {
        *(char **)at = near_chance(near, 20) && !is_one_of ? NULL : any_string(near);
        return;
    }
    if (!is_one_of) {
        protobuf_c_boolean *has = slot(message, field->quantifier_offset);
        *has = near_chance(near, 85);
        if (!*has)
            return;
    }
    set_scalar(near, field->type, at);
}

void near_field(struct near *near)
{
    ProtobufCMessage *message = near->places.items[near_below(near, near->places.count)].message;
    const ProtobufCMessageDescriptor *descriptor = message->descriptor;
    if (near_chance(near, 15)) {
        near_graft(near, NULL, 0);
        return;
    }
    /* A few tries to meet a field that is there: most are not. */
    for (int tries = 0; tries < 4; tries++) {
        const ProtobufCFieldDescriptor *field = &descriptor->fields[near_below(near, descriptor->n_fields)];
        bool is_repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
        if (is_repeated && tries < 3 && *(size_t *)slot(message, field->quantifier_offset) == 0)
            continue;
        if (is_repeated)
            change_repeated(near, message, field);
        else
            change_one(near, message, field);
        return;
    }
}

static void *take(void *arena, size_t size)
{
    return arena_try_alloc(arena, size);
}

static void drop(void *arena, void *memory)
{
    (void)arena;
    (void)memory;
}

/* A copy of one message, of this model or of `others`, goes where another of its kind was. */
void near_graft(struct near *near, ProtobufCMessage *const *others, size_t count)
{
    ProtobufCMessage *to = near->places.items[near_below(near, near->places.count)].message;
    size_t start = near_below(near, others ? count : near->places.count);
    size_t all = others ? count : near->places.count;
    for (size_t i = 0; i < all && i < 2000; i++) {
        size_t at = (start + i) % all;
        ProtobufCMessage *from = others ? others[at] : near->places.items[at].message;
        if (from->descriptor != to->descriptor || from == to)
            continue;
        size_t size = protobuf_c_message_get_packed_size(from);
        if (size > 65536)
            return;
        uint8_t *bytes = arena_alloc(near->arena, size + 1, 1);
        protobuf_c_message_pack(from, bytes);
        ProtobufCAllocator allocator = {take, drop, near->arena};
        ProtobufCMessage *copy = protobuf_c_message_unpack(from->descriptor, &allocator, size, bytes);
        if (copy)
            memcpy(to, copy, from->descriptor->sizeof_message);
        return;
    }
}
