/* test_wire.c: the wire format by hand: cut short, too deep, of other types, imitating what the
 * skeleton puts in place of payloads. What is accepted must unpack to what was meant. */
#include "model/wire.h"

#include "bytes.h"
#include "onnx.pb-c.h"
#include "unit.h"

/* Numbers of fields, from onnx.proto. */
enum {
    MODEL_VERSION = 1,
    MODEL_PRODUCER = 2,
    MODEL_DOC = 6,
    MODEL_GRAPH = 7,
    MODEL_PROPERTY = 14,
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_TENSOR = 5,
    NODE_INPUT = 1,
    NODE_ATTRIBUTE = 5,
    ATTRIBUTE_FLOAT = 2,
    ATTRIBUTE_STRING = 4,
    ATTRIBUTE_GRAPH = 6,
    TENSOR_DIMS = 1,
    TENSOR_FLOATS = 4,
    TENSOR_LONGS = 7,
    TENSOR_NAME = 8,
    TENSOR_RAW = 9,
    TENSOR_DOUBLES = 10
};

/* ---- scanning ---- */

struct outcome {
    enum onnx_fuse_status status;
    char message[1024];
    struct wire_skeleton skeleton;
};

/* The bytes are copied to a place of exactly their size, where a sanitizer sees any read beyond. */
static void scan(struct unit *unit, const void *data, size_t size, struct outcome *outcome)
{
    static struct landing landing;
    struct landing *former = unit->arena.landing;
    uint8_t *exact = malloc(size ? size : 1);
    if (!exact)
        abort();
    if (size)
        memcpy(exact, data, size);
    landing = (struct landing){.status = ONNX_FUSE_OK};
    unit->arena.landing = &landing;
    outcome->skeleton = (struct wire_skeleton){0};
    jmp_buf jump;
    landing.jump = &jump;
    if (setjmp(jump) == 0)
        wire_scan(&unit->arena, "FILE", exact, size, &onnx__model_proto__descriptor, &outcome->skeleton);
    unit->arena.landing = former;
    outcome->status = landing.status;
    memcpy(outcome->message, landing.message, sizeof(landing.message));
    for (size_t i = 0; landing.status == ONNX_FUSE_OK && i < outcome->skeleton.payload_count; i++)
        outcome->skeleton.payloads[i].data = (const uint8_t *)data + (outcome->skeleton.payloads[i].data - exact);
    free(exact);
}

static Onnx__ModelProto *unpack(const struct outcome *outcome)
{
    return outcome->status == ONNX_FUSE_OK
               ? onnx__model_proto__unpack(NULL, outcome->skeleton.size, outcome->skeleton.bytes)
               : NULL;
}

static void release(struct outcome *outcome, Onnx__ModelProto *proto)
{
    if (proto)
        onnx__model_proto__free_unpacked(proto, NULL);
    free(outcome->skeleton.bytes);
}

static void refuses(struct unit *unit, const struct bytes *bytes, enum onnx_fuse_status status, const char *part,
                    const char *what)
{
    struct outcome outcome;
    scan(unit, bytes->data, bytes->size, &outcome);
    expect(outcome.status == status && strstr(outcome.message, part), "%s: %s", what,
           outcome.status == ONNX_FUSE_OK ? "accepted" : outcome.message);
    release(&outcome, NULL);
}

/* The same skeleton, but for padded lengths of messages: compared as protobuf-c packs it again. */
static bool means_the_same(struct unit *unit, const struct bytes *a, const struct bytes *b)
{
    struct outcome outcomes[2];
    Onnx__ModelProto *protos[2];
    static uint8_t packed[2][sizeof(a->data)];
    size_t sizes[2] = {0, 1};
    for (int i = 0; i < 2; i++) {
        const struct bytes *bytes = i ? b : a;
        scan(unit, bytes->data, bytes->size, &outcomes[i]);
        protos[i] = unpack(&outcomes[i]);
        if (protos[i])
            sizes[i] = onnx__model_proto__pack(protos[i], packed[i]);
        release(&outcomes[i], protos[i]);
    }
    return protos[0] && protos[1] && sizes[0] == sizes[1] && memcmp(packed[0], packed[1], sizes[0]) == 0;
}

static void accepts(struct unit *unit, const struct bytes *bytes, const struct bytes *meant, const char *what)
{
    expect(means_the_same(unit, bytes, meant), "%s", what);
}

/* A model with a field of every kind. ends: where its own fields end. */
static void sample(struct bytes *model, size_t *ends, size_t *end_count)
{
    static struct bytes tensor, attribute, node, graph;
    static const float floats[] = {1, 2, 3};
    static const uint8_t payload[70] = {1, 2, 3};
    tensor = attribute = node = graph = (struct bytes){0};
    *model = (struct bytes){0};
    *end_count = 0;
    number(&tensor, TENSOR_DIMS, 300);
    sized(&tensor, TENSOR_FLOATS, floats, sizeof(floats));
    text(&tensor, TENSOR_NAME, "weight");
    sized(&tensor, TENSOR_RAW, payload, sizeof(payload));
    tag(&tensor, TENSOR_DOUBLES, EIGHT);
    raw(&tensor, payload, 8);
    tag(&attribute, ATTRIBUTE_FLOAT, FOUR);
    raw(&attribute, floats, 4);
    text(&attribute, ATTRIBUTE_STRING, "SAME");
    text(&node, NODE_INPUT, "x");
    inside(&node, NODE_ATTRIBUTE, &attribute);
    inside(&graph, GRAPH_NODE, &node);
    text(&graph, GRAPH_NAME, "main");
    inside(&graph, GRAPH_TENSOR, &tensor);
    number(model, MODEL_VERSION, 8);
    ends[(*end_count)++] = model->size;
    text(model, MODEL_PRODUCER, "test");
    ends[(*end_count)++] = model->size;
    inside(model, MODEL_GRAPH, &graph);
    ends[(*end_count)++] = model->size;
}

/* ---- tests ---- */

static void test_truncation(struct unit *unit)
{
    struct bytes model;
    size_t ends[8], end_count;
    int wrong = 0;
    sample(&model, ends, &end_count);
    for (size_t size = 0; size <= model.size; size++) {
        struct outcome outcome;
        bool whole = size == 0;
        for (size_t i = 0; i < end_count; i++)
            whole = whole || size == ends[i];
        scan(unit, model.data, size, &outcome);
        Onnx__ModelProto *proto = unpack(&outcome);
        bool good = whole ? proto != NULL : outcome.status == ONNX_FUSE_NOT_ONNX;
        good = good && (whole || strstr(outcome.message, "FILE: offset "));
        if (!good)
            printf("# cut to %zu bytes: %s\n", size, outcome.message);
        wrong += !good;
        release(&outcome, proto);
    }
    expect(wrong == 0, "cut at each of %zu bytes: refused unless a field ends there; %d wrong", model.size, wrong);
}

/* Bytes that change, go or come: refused, or a skeleton that protobuf-c unpacks. */
static void test_mutations(struct unit *unit)
{
    enum { MANY = 30000 };
    int undecoded = 0, accepted = 0;
    size_t ends[8], end_count;
    for (int i = 0; i < MANY; i++) {
        struct bytes model;
        struct outcome outcome;
        sample(&model, ends, &end_count);
        for (int64_t k = unit_integer(&unit->state, 1, 3); k > 0; k--) {
            size_t at = (size_t)unit_integer(&unit->state, 0, (int64_t)model.size - 1);
            uint8_t *byte = model.data + at;
            int64_t kind = unit_integer(&unit->state, 0, 3);
            if (kind == 0)
                *byte = (uint8_t)unit_random(&unit->state);
            else if (kind == 1)
                *byte ^= (uint8_t)(1 << unit_integer(&unit->state, 0, 7));
            else if (kind == 2)
                memmove(byte, byte + 1, --model.size - at);
            else {
                memmove(byte + 1, byte, model.size++ - at);
                *byte |= 0x80;
            }
        }
        scan(unit, model.data, model.size, &outcome);
        Onnx__ModelProto *proto = unpack(&outcome);
        accepted += outcome.status == ONNX_FUSE_OK;
        if (outcome.status == ONNX_FUSE_OK && !proto && undecoded++ < 5)
            printf("# mutation %d does not unpack\n", i);
        release(&outcome, proto);
    }
    expect(undecoded == 0 && accepted > MANY / 50, "%d of %d mutations are accepted; %d of those do not unpack",
           accepted, MANY, undecoded);
}

static void test_unknown(struct unit *unit)
{
    struct bytes plain, model = {0}, graph = {0}, unknown = {0};
    size_t ends[8], end_count;
    sample(&plain, ends, &end_count);
    number(&unknown, 2000, UINT64_MAX);
    text(&unknown, 2001, "text");
    tag(&unknown, 2002, FOUR);
    raw(&unknown, "1234", 4);
    tag(&unknown, 2003, EIGHT);
    raw(&unknown, "12345678", 8);
    tag(&unknown, 2004, GROUP);
    tag(&unknown, 1, GROUP);
    number(&unknown, 7, 5);
    text(&unknown, 7, "not a graph");
    tag(&unknown, 1, GROUP_CLOSE);
    tag(&unknown, 2004, GROUP_CLOSE);
    raw(&model, unknown.data, unknown.size);
    raw(&model, plain.data, ends[1]);
    raw(&model, unknown.data, unknown.size);
    struct wire_field field;
    const uint8_t *at = plain.data + ends[1];
    wire_next(unit->arena.landing, &at, plain.data + plain.size, &field);
    raw(&graph, unknown.data, unknown.size);
    raw(&graph, field.content, field.size);
    raw(&graph, unknown.data, unknown.size);
    inside(&model, MODEL_GRAPH, &graph);
    accepts(unit, &model, &plain, "unknown fields and groups are passed over");

    /* Other wire types than the schema has make a field unknown, and protobuf agrees. */
    model = (struct bytes){0};
    text(&model, MODEL_VERSION, "not a number");
    number(&model, MODEL_PRODUCER, 5);
    tag(&model, MODEL_GRAPH, FOUR);
    raw(&model, "1234", 4);
    tag(&model, MODEL_VERSION, EIGHT);
    raw(&model, "12345678", 8);
    raw(&model, plain.data, plain.size);
    accepts(unit, &model, &plain, "fields of another wire type are passed over");

    model = (struct bytes){0};
    raw(&model, plain.data, ends[0]);
    raw(&model, "\x92\x80\x80\x80\x00\x04test", 10); /* the producer's tag in five bytes */
    raw(&model, plain.data + ends[1], plain.size - ends[1]);
    accepts(unit, &model, &plain, "a tag of five bytes");
    model.size = 0;
    raw(&model, plain.data, ends[0]);
    raw(&model, "\x92\x80\x80\x80\x80\x00\x04test", 11);
    raw(&model, plain.data + ends[1], plain.size - ends[1]);
    refuses(unit, &model, ONNX_FUSE_NOT_ONNX, "no field starts here", "a tag of six bytes");
}

static void test_groups_and_tags(struct unit *unit)
{
    struct bytes model = {0};
    for (int i = 0; i < WIRE_DEPTH; i++)
        tag(&model, 3000, GROUP);
    for (int i = 0; i < WIRE_DEPTH; i++)
        tag(&model, 3000, GROUP_CLOSE);
    accepts(unit, &model, &(struct bytes){.size = 0}, "groups as deep as the limit");
    model.size = 0;
    for (int i = 0; i <= WIRE_DEPTH; i++)
        tag(&model, 3000, GROUP);
    for (int i = 0; i <= WIRE_DEPTH; i++)
        tag(&model, 3000, GROUP_CLOSE);
    refuses(unit, &model, ONNX_FUSE_LIMIT, "groups nest deeper than 100", "groups one deeper");

    static const struct {
        const char *what, *bytes, *reason;
        size_t size;
    } cases[] = {
        {"a group without end", "\x1b", "a group has no end", 1},
        {"a group with another end", "\x1b\x24", "a group ends that was not opened", 2},
        {"an end without group", "\x1c", "a group ends that was not opened", 1},
        {"wire type 6", "\x0e", "wire type 6 or 7", 1},
        {"wire type 7", "\x0f", "wire type 6 or 7", 1},
        {"wire type 7 in a group", "\x1b\x0f\x1c", "wire type 6 or 7", 3},
        {"field number 0", "\x00\x01", "no field starts here", 2},
        {"the tag of a number in six bytes", "\x88\x80\x80\x80\x80\x00\x08", "no field starts here", 7},
        {"a tag beyond 32 bits", "\x88\x80\x80\x80\x10\x01", "no field starts here", 6},
        {"a number of 11 bytes", "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", "a number has no end", 12},
        {"a length beyond the end", "\x12\x05test", "runs past the end", 6},
        {"a length of 2^64 - 1", "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "runs past the end", 11},
        {"a length in a group beyond the end", "\x1b\x12\xff\xff\xff\xff\x0f\x1c", "runs past the end", 8},
        {"a fixed number cut short", "\x15\x01\x02\x03", "runs past the end", 4},
        {"text of a graph", "\x3a\x04text", "FILE: offset 2, in GraphProto", 6},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        model.size = 0;
        raw(&model, cases[i].bytes, cases[i].size);
        refuses(unit, &model, ONNX_FUSE_NOT_ONNX, cases[i].reason, cases[i].what);
    }
}

/* A message of `depth` messages, the model included. */
static void nest(struct bytes *model, int depth)
{
    static struct bytes inner;
    static const unsigned fields[] = {MODEL_GRAPH, GRAPH_NODE, NODE_ATTRIBUTE, ATTRIBUTE_GRAPH};
    *model = (struct bytes){0};
    for (int level = depth - 2; level >= 0; level--) {
        inner = *model;
        model->size = 0;
        inside(model, level == 0 ? fields[0] : fields[(level - 1) % 3 + 1], &inner);
    }
}

static void test_depth(struct unit *unit)
{
    struct bytes model;
    struct outcome outcome;
    nest(&model, WIRE_DEPTH);
    scan(unit, model.data, model.size, &outcome);
    Onnx__ModelProto *proto = unpack(&outcome);
    expect(proto && proto->graph, "messages as deep as the limit: %s", outcome.message);
    release(&outcome, proto);
    nest(&model, WIRE_DEPTH + 1);
    refuses(unit, &model, ONNX_FUSE_LIMIT, "nest deeper than 100", "messages one deeper");
    nest(&model, WIRE_DEPTH + 200);
    refuses(unit, &model, ONNX_FUSE_LIMIT, "nest deeper than 100", "messages much deeper");
}

/* Payloads of every size around those that are cut, each looking like placeholder 0 or 1. */
static void test_payloads(struct unit *unit)
{
    static const size_t sizes[] = {0, 7, 8, 8, 9, 63, 64, 65, 8};
    struct bytes model = {0}, graph = {0};
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct bytes tensor = {0};
        uint8_t payload[65] = {(uint8_t)(i & 1)};
        sized(&tensor, TENSOR_RAW, payload, sizes[i]);
        inside(&graph, GRAPH_TENSOR, &tensor);
    }
    inside(&model, MODEL_GRAPH, &graph);
    struct outcome outcome;
    scan(unit, model.data, model.size, &outcome);
    Onnx__ModelProto *proto = unpack(&outcome);
    bool shaped = proto && proto->graph && proto->graph->n_initializer == COUNT_OF(sizes);
    expect(shaped, "%d tensors come out", (int)COUNT_OF(sizes));
    uint64_t next = 0;
    for (size_t i = 0; shaped && i < COUNT_OF(sizes); i++) {
        const ProtobufCBinaryData *data = &proto->graph->initializer[i]->raw_data;
        bool cut = sizes[i] == WIRE_PLACEHOLDER || sizes[i] >= WIRE_CUT;
        uint64_t number_there = UINT64_MAX;
        if (data->len == WIRE_PLACEHOLDER)
            memcpy(&number_there, data->data, sizeof(number_there));
        if (!cut) {
            expect(data->len == sizes[i], "%d bytes stay", (int)sizes[i]);
            continue;
        }
        bool listed = next < outcome.skeleton.payload_count && number_there == next;
        const struct wire_span *span = listed ? &outcome.skeleton.payloads[next] : NULL;
        expect(span && span->size == sizes[i] && span->data[0] == (i & 1),
               "%d bytes are payload %d, with its own bytes", (int)sizes[i], (int)next);
        next++;
    }
    expect(outcome.skeleton.payload_count == next, "%d payloads", (int)next);
    release(&outcome, proto);
}

static void tensor_model(struct bytes *model, const struct bytes *tensor)
{
    struct bytes graph = {0};
    *model = (struct bytes){0};
    inside(&graph, GRAPH_TENSOR, tensor);
    inside(model, MODEL_GRAPH, &graph);
}

static void test_packed(struct unit *unit)
{
    struct bytes apart = {0}, packed = {0}, numbers = {0}, model, meant;
    static const float floats[] = {1, 2};
    for (int i = 0; i < 2; i++) {
        number(&apart, TENSOR_DIMS, 5000);
        tag(&apart, TENSOR_FLOATS, FOUR);
        raw(&apart, &floats[i], 4);
        number(&apart, TENSOR_LONGS, UINT64_MAX);
    }
    put_number(&numbers, 5000);
    put_number(&numbers, 5000);
    inside(&packed, TENSOR_DIMS, &numbers);
    sized(&packed, TENSOR_FLOATS, floats, 0);
    sized(&packed, TENSOR_FLOATS, floats, 4);
    sized(&packed, TENSOR_FLOATS, floats + 1, 4);
    numbers.size = 0;
    put_number(&numbers, UINT64_MAX);
    put_number(&numbers, UINT64_MAX);
    inside(&packed, TENSOR_LONGS, &numbers);
    tensor_model(&model, &packed);
    tensor_model(&meant, &apart);
    accepts(unit, &model, &meant, "packed numbers are those written apart");

    packed.size = 0;
    sized(&packed, TENSOR_FLOATS, "1234567", 7);
    tensor_model(&model, &packed);
    refuses(unit, &model, ONNX_FUSE_NOT_ONNX, "ends inside a number", "packed floats cut short");
    packed.size = 0;
    sized(&packed, TENSOR_DOUBLES, "123456789012", 12);
    tensor_model(&model, &packed);
    refuses(unit, &model, ONNX_FUSE_NOT_ONNX, "ends inside a number", "packed doubles cut short");
    packed.size = 0;
    sized(&packed, TENSOR_DIMS, "\x01\x80", 2);
    tensor_model(&model, &packed);
    refuses(unit, &model, ONNX_FUSE_NOT_ONNX, "ends inside a number", "packed dims cut short");
}

static void test_names(struct unit *unit)
{
    struct bytes tensor = {0}, model;
    sized(&tensor, TENSOR_NAME, "a\0b", 3);
    tensor_model(&model, &tensor);
    refuses(unit, &model, ONNX_FUSE_NOT_ONNX, "zero byte", "a name with a zero byte");
    model = (struct bytes){0};
    sized(&model, MODEL_DOC, "a\0b", 3);
    struct bytes entry = {0};
    sized(&entry, 1, "key", 3);
    sized(&entry, 2, "a\0b", 3);
    inside(&model, MODEL_PROPERTY, &entry);
    struct outcome outcome;
    scan(unit, model.data, model.size, &outcome);
    expect(outcome.status == ONNX_FUSE_OK, "prose with a zero byte: %s", outcome.message);
    release(&outcome, NULL);
}

/* Walks a message that was never scanned, as one that changed after its scan. */
static bool lands(struct unit *unit, const void *bytes, size_t size)
{
    static struct landing landing;
    const uint8_t *at = bytes;
    struct wire_field field;
    (void)unit;
    landing = (struct landing){.status = ONNX_FUSE_OK};
    jmp_buf jump;
    landing.jump = &jump;
    if (setjmp(jump) == 0)
        while (wire_next(&landing, &at, (const uint8_t *)bytes + size, &field))
            ;
    return landing.status != ONNX_FUSE_OK;
}

/* The file is walked a second time when the output is made, and may have changed. */
static void test_next_of_changed_bytes(struct unit *unit)
{
    static const struct {
        const char *bytes, *what;
        size_t size;
    } cases[] = {
        {"\0", "field 0", 1},
        {"\x08", "no number", 1},
        {"\x08\x80", "half a number", 2},
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "a long number", 12},
        {"\x0a\x05xxxx", "a length past the end", 6},
        {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "an endless length", 11},
        {"\x0d\0\0\0", "three bytes of four", 4},
        {"\x09\0\0\0\0\0\0\0", "seven bytes of eight", 8},
        {"\x0b\x08\x01", "a group without an end", 3},
        {"\x0c", "the end of a group", 1},
        {"\x0e", "wire type 6", 1},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        expect(lands(unit, cases[i].bytes, cases[i].size), "%s", cases[i].what);
    expect(!lands(unit, "\x08\x01\x0a\x01x\x0d\0\0\0\0", 10), "whole fields");
}

static void test_next_and_header(struct unit *unit)
{
    struct bytes model = {0};
    size_t starts[6], count = 0;
    struct wire_field field;
    static const unsigned fields[] = {1, 2, 3000, 4, 5, 536870911};
    starts[0] = model.size, number(&model, fields[0], UINT64_MAX);
    starts[1] = model.size, text(&model, fields[1], "");
    starts[2] = model.size, tag(&model, fields[2], GROUP);
    text(&model, 1, "inside"), tag(&model, fields[2], GROUP_CLOSE);
    starts[3] = model.size, tag(&model, fields[3], FOUR), raw(&model, "1234", 4);
    starts[4] = model.size, tag(&model, fields[4], EIGHT), raw(&model, "12345678", 8);
    starts[5] = model.size, text(&model, fields[5], "last");
    const uint8_t *at = model.data, *end = model.data + model.size;
    bool good = true;
    for (; wire_next(unit->arena.landing, &at, end, &field); count++)
        good = good && count < COUNT_OF(fields) && field.number == fields[count] &&
               field.start == model.data + starts[count] && field.end == at;
    expect(good && count == COUNT_OF(fields) && at == end && field.size == 4 && memcmp(field.content, "last", 4) == 0,
           "every field once, in order");

    static const uint64_t lengths[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, INT64_MAX};
    int wrong = 0;
    for (size_t i = 0; i < COUNT_OF(lengths); i++)
        for (size_t k = 0; k < COUNT_OF(fields); k++) {
            uint8_t header[16];
            struct bytes expected = {0};
            tag(&expected, fields[k], SIZED);
            put_number(&expected, lengths[i]);
            size_t size = wire_header(fields[k], lengths[i], header);
            wrong += size != expected.size || memcmp(header, expected.data, size) != 0;
        }
    expect(wrong == 0, "headers of every length (%d wrong)", wrong);
    (void)unit;
}

int main(void)
{
    unit_run("truncation", test_truncation);
    unit_run("mutations", test_mutations);
    unit_run("unknown fields", test_unknown);
    unit_run("groups and tags", test_groups_and_tags);
    unit_run("depth", test_depth);
    unit_run("payloads", test_payloads);
    unit_run("packed", test_packed);
    unit_run("names", test_names);
    unit_run("next and header", test_next_and_header);
    unit_run("next of changed bytes", test_next_of_changed_bytes);
    return unit_finish();
}
