/* report/picture.c: some nodes of a graph as boxes and lines, not yet placed. */
#include "report/picture.h"

#include <inttypes.h>

#include "model/describe.h"
#include "model/operator_default.h"

enum { AROUND = 12 }; /* nodes drawn around others */

/* ---- boxes ---- */

struct maker {
    struct arena *arena;
    struct picture *picture;
    const struct picture_wish *wish;
    size_t own; /* the first so many boxes are the nodes asked for */
    size_t around;
};

static const struct node *producer_of(const struct maker *maker, const struct value *value)
{
    return maker->wish->as_filed ? value->first_producer : value->producer;
}

/* There are few boxes: HTML_NODES and their surroundings. */
static size_t find_box(const struct maker *maker, const struct node *node, const struct value *value,
                       enum picture_state state)
{
    const struct picture *picture = maker->picture;
    size_t i = 0;
    while (i < picture->boxes.count &&
           (picture->boxes.items[i].node != node ||
            (!node && (picture->boxes.items[i].value != value || picture->boxes.items[i].state != state))))
        i++;
    return i;
}

static size_t box_of(struct maker *maker, const struct node *node, const struct value *value, enum picture_state state)
{
    size_t at = find_box(maker, node, value, state);
    if (at == maker->picture->boxes.count)
        LIST_PUSH(maker->arena, &maker->picture->boxes,
                  ((struct picture_box){.state = state, .node = node, .value = value}));
    return at;
}

static void add_line(struct maker *maker, size_t from, size_t to, const struct value *value)
{
    LIST_PUSH(maker->arena, &maker->picture->lines, ((struct picture_line){from, to, value}));
}

static bool is_own(const struct maker *maker, const struct node *node)
{
    return node && find_box(maker, node, NULL, PICTURE_PLAIN) < maker->own;
}

/* ---- lines ---- */

static void add_inputs(struct maker *maker, size_t box)
{
    const struct node *node = maker->picture->boxes.items[box].node;
    for (size_t k = 0; k < node->input_count; k++) {
        const struct value *value = maker->wish->as_filed ? node_filed_input(node, k) : node->inputs[k];
        const struct node *producer = value ? producer_of(maker, value) : NULL;
        if (!value)
            continue;
        if (is_own(maker, producer)) {
            add_line(maker, box_of(maker, producer, NULL, PICTURE_PLAIN), box, value);
            continue;
        }
        if (value->tensor || (producer && producer->op == OP_Constant))
            continue; /* a weight: a line of text in the box */
        bool known = find_box(maker, producer, NULL, PICTURE_CONTEXT) < maker->picture->boxes.count;
        if (maker->wish->context && producer && (known || maker->around < AROUND)) {
            maker->around += !known;
            add_line(maker, box_of(maker, producer, NULL, PICTURE_CONTEXT), box, value);
        } else {
            add_line(maker, box_of(maker, NULL, value, PICTURE_SOURCE), box, value);
        }
    }
}

/* Readers as the file had them, or those there are now. */
static bool is_reader(const struct maker *maker, const struct use *use)
{
    return maker->wish->as_filed ? !use->reader->is_new : use_is_live(use);
}

static void add_outputs(struct maker *maker, size_t box)
{
    const struct node *node = maker->picture->boxes.items[box].node;
    for (size_t k = 0; k < node->output_count; k++) {
        const struct value *value = maker->wish->as_filed ? node_filed_output(node, k) : node->outputs[k];
        bool out = value && (value->is_output || value == maker->wish->value);
        for (const struct use *use = value ? value->uses : NULL; use; use = use->next) {
            if (!is_reader(maker, use) || is_own(maker, use->reader))
                continue;
            bool drawn = maker->wish->context && use->reader->graph == node->graph;
            bool known = find_box(maker, use->reader, NULL, PICTURE_CONTEXT) < maker->picture->boxes.count;
            if (drawn && (known || maker->around < AROUND)) {
                maker->around += !known;
                add_line(maker, box, box_of(maker, use->reader, NULL, PICTURE_CONTEXT), value);
            } else {
                out = true;
            }
        }
        if (out)
            add_line(maker, box, box_of(maker, NULL, value, PICTURE_TARGET), value);
    }
}

/* ---- signature ---- */

/* The attributes of a node as text, one per line, without defaults; NULL-terminated. */
static const char *const *attributes_of(struct arena *arena, const struct node *node)
{
    const Onnx__NodeProto *proto = node->proto;
    size_t count = 0;
    const char **lines = NEW_ARRAY(arena, const char *, proto->n_attribute + 1);
    for (size_t i = 0; i < proto->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = proto->attribute[i];
        bool window = node->input_count > 1 && node->inputs[1] && node->inputs[1]->tensor &&
                      strcmp(text_or_empty(attribute->name), "kernel_shape") == 0;
        if (window || attribute_is_default(node, attribute))
            continue;
        lines[count++] =
            arena_format(arena, "%s %s", text_or_empty(attribute->name), describe_attribute(arena, attribute));
    }
    return lines;
}

/* Channels may differ between equal pictures, windows may not. */
static void sign_weight(struct text *text, const struct tensor *tensor)
{
    text_print(text, " %d", tensor->rank);
    for (int i = 2; i < tensor->rank; i++)
        text_print(text, ",%" PRId64, tensor->dims[i]);
}

static void sign_node(struct text *text, const struct node *node)
{
    const struct value *weight = node_input(node, 1);
    const char *const *lines = attributes_of(text->arena, node);
    text_print(text, "%s.%s", text_or_empty(node->proto->domain), text_or_empty(node->proto->op_type));
    for (; *lines; lines++) {
        bool group = strncmp(*lines, "group ", 6) == 0 && weight && weight->tensor && weight->tensor->rank > 2;
        if (group)
            text_print(text, " %s", weight->tensor->dims[1] == 1 ? "depthwise" : "grouped");
        else
            text_print(text, " %s", *lines);
    }
    for (size_t k = 0; k < node->input_count; k++)
        if (node->inputs[k] && node->inputs[k]->tensor)
            sign_weight(text, node->inputs[k]->tensor);
}

static const char *sign(struct arena *arena, const struct picture *picture)
{
    struct text text = {.arena = arena};
    text_print(&text, "%zu", picture->left_out);
    for (size_t i = 0; i < picture->boxes.count; i++) {
        const struct picture_box *box = &picture->boxes.items[i];
        text_print(&text, "\n%d ", box->state);
        if (box->node)
            sign_node(&text, box->node);
    }
    for (size_t i = 0; i < picture->lines.count; i++)
        text_print(&text, "\n%zu %zu", picture->lines.items[i].from, picture->lines.items[i].to);
    return text.bytes;
}

struct picture *picture_make(struct arena *arena, const struct node *const *nodes, size_t count,
                             const struct picture_wish *wish)
{
    struct picture *picture = NEW(arena, struct picture);
    struct maker maker = {.arena = arena, .picture = picture, .wish = wish};
    for (size_t i = 0; i < count; i++) {
        if (picture->boxes.count < HTML_NODES)
            box_of(&maker, nodes[i], NULL, wish->state);
        else
            picture->left_out++;
    }
    maker.own = picture->boxes.count;
    for (size_t i = 0; i < maker.own; i++)
        add_inputs(&maker, i);
    for (size_t i = 0; i < maker.own; i++)
        add_outputs(&maker, i);
    picture->signature = sign(arena, picture);
    return picture;
}

struct picture *picture_stored(struct arena *arena, const struct value *value)
{
    struct picture *picture = NEW(arena, struct picture);
    LIST_PUSH(arena, &picture->boxes, ((struct picture_box){.state = PICTURE_STORED, .value = value}));
    picture->signature = sign(arena, picture);
    return picture;
}

/* ---- texts ---- */

const char *picture_shape(struct arena *arena, int rank, const int64_t *dims)
{
    struct text text = {.arena = arena};
    if (rank < 0)
        return "";
    if (rank == 0)
        return "scalar";
    for (int i = 0; i < rank; i++) {
        text_print(&text, "%s", i ? "\u00d7" : "");
        if (dims && dims[i] >= 0)
            text_print(&text, "%" PRId64, dims[i]);
        else
            text_print(&text, "?");
    }
    return text.bytes;
}

static void keep_bytes(struct arena *arena, ProtobufCBinaryData *text)
{
    uint8_t *copy = NEW_ARRAY(arena, uint8_t, text->len + 1);
    if (text->len)
        memcpy(copy, text->data, text->len);
    text->data = copy;
}

void picture_keep(struct arena *arena, const struct node *node)
{
    for (size_t i = 0; i < node->proto->n_attribute; i++) {
        Onnx__AttributeProto *attribute = node->proto->attribute[i];
        keep_bytes(arena, &attribute->s);
        for (size_t k = 0; k < attribute->n_strings; k++)
            keep_bytes(arena, &attribute->strings[k]);
    }
}

/* ONNX's names for the inputs of the operators whose weights are drawn most. */
static const char *input_name(struct arena *arena, const struct node *node, size_t index)
{
    static const struct {
        enum op op;
        const char *names[5];
    } known[] = {
        {OP_Conv, {"X", "W", "B", NULL}},
        {OP_ConvTranspose, {"X", "W", "B", NULL}},
        {OP_BatchNormalization, {"X", "scale", "B", "mean", "var"}},
        {OP_Gemm, {"A", "B", "C", NULL}},
        {OP_MatMul, {"A", "B", NULL}},
        {OP_Pad, {"data", "pads", "value", "axes"}},
        {OP_Slice, {"data", "starts", "ends", "axes", "steps"}},
        {OP_ScatterND, {"data", "indices", "updates", NULL}},
        {OP_Reshape, {"data", "shape", NULL}},
        {OP_Clip, {"input", "min", "max", NULL}},
    };
    for (size_t i = 0; i < COUNT_OF(known); i++)
        if (known[i].op == node->op && index < COUNT_OF(known[i].names) && known[i].names[index])
            return known[i].names[index];
    return node->input_count <= 2 ? "constant" : arena_format(arena, "input %zu", index);
}

/* ---- JSON ---- */

static const char *shape_of(const struct page *page, const struct value *value)
{
    return value->tensor ? picture_shape(page->arena, value->tensor->rank, value->tensor->dims)
                         : picture_shape(page->arena, value->rank, value->dims);
}

static void json_weights(struct page *page, const struct node *node)
{
    json_open(&page->json, "weights", '[');
    for (size_t k = 0; k < node->input_count; k++) {
        const struct value *value = node->inputs[k];
        if (!value || !value->tensor)
            continue;
        json_open(&page->json, NULL, '[');
        page_index(page, NULL, input_name(page->arena, node, k));
        page_index(page, NULL, shape_of(page, value));
        page_index(page, NULL, value->name);
        page_index(page, NULL, type_name(value->tensor->type));
        json_close(&page->json, ']');
    }
    json_close(&page->json, ']');
}

static void json_node(struct page *page, const struct node *node, bool whole)
{
    const char *domain = text_or_empty(node->proto->domain);
    const char *type = text_or_empty(node->proto->op_type);
    bool foreign = domain[0] && strcmp(domain, "ai.onnx") != 0;
    page_index(page, "op", foreign ? arena_format(page->arena, "%s.%s", domain, type) : type);
    page_index(page, "name", node->proto->name);
    json_open(&page->json, "attributes", '[');
    const char *const *lines = whole ? attributes_of(page->arena, node) : NULL;
    for (size_t i = 0; lines && lines[i]; i++)
        page_index(page, NULL, lines[i]);
    json_close(&page->json, ']');
    if (whole)
        json_weights(page, node);
}

static void json_box(struct page *page, const struct picture_box *box)
{
    static const char *const states[] = {"plain", "changed", "context", "source", "target", "stored"};
    json_open(&page->json, NULL, '{');
    json_text(&page->json, "state", states[box->state]);
    if (box->node) {
        json_node(page, box->node, box->state != PICTURE_CONTEXT);
    } else {
        page_index(page, "name", box->value->name);
        page_index(page, "shape", shape_of(page, box->value));
    }
    json_close(&page->json, '}');
}

void picture_json(struct page *page, const char *key, const struct picture *picture)
{
    struct json *json = &page->json;
    if (!picture) {
        json_literal(json, key, "null");
        return;
    }
    json_open(json, key, '{');
    json_count(json, "left_out", picture->left_out);
    json_open(json, "boxes", '[');
    for (size_t i = 0; i < picture->boxes.count; i++)
        json_box(page, &picture->boxes.items[i]);
    json_close(json, ']');
    json_open(json, "lines", '[');
    for (size_t i = 0; i < picture->lines.count; i++) {
        const struct picture_line *line = &picture->lines.items[i];
        json_open(json, NULL, '[');
        json_count(json, NULL, line->from);
        json_count(json, NULL, line->to);
        page_index(page, NULL, line->value->name);
        page_index(page, NULL, picture_shape(page->arena, line->value->rank, line->value->dims));
        json_close(json, ']');
    }
    json_close(json, ']');
    json_close(json, '}');
}

/* ---- groups ---- */

void block_add(struct arena *arena, struct block_groups *groups, const char *kind, struct picture *before,
               struct picture *after, const void *subject)
{
    const char *key =
        arena_format(arena, "%s\n%s\n%s", kind, before ? before->signature : "", after ? after->signature : "");
    struct block_group *group = map_get(&groups->by_key, key);
    if (!group) {
        group = NEW(arena, struct block_group);
        group->key = key;
        map_put(arena, &groups->by_key, key, group);
        LIST_PUSH(arena, &groups->list, group);
    }
    struct block *block = NEW(arena, struct block);
    *block = (struct block){before, after, subject};
    LIST_PUSH(arena, &group->members, block);
}

void block_json(struct page *page, const char *name, const struct block_groups *groups,
                void (*json_title)(struct page *, const void *closure, const struct block *),
                void (*json_block)(struct page *, const struct block *), const void *closure)
{
    struct json *json = &page->json;
    json_line(json, 0);
    json_open(json, name, '{');
    json_count(json, "count", groups->list.count);
    json_open(json, "groups", '[');
    for (size_t i = 0; i < groups->list.count && i < HTML_GROUPS + HTML_TITLES; i++) {
        const struct block_group *group = groups->list.items[i];
        json_line(json, 0);
        json_open(json, NULL, '{');
        json_count(json, "count", group->members.count);
        json_title(page, closure, group->members.items[0]);
        json_open(json, "members", '[');
        /* One for the picture, whatever the page holds already. */
        for (size_t k = 0; k < group->members.count && i < HTML_GROUPS && (k == 0 || page->blocks < HTML_BLOCKS); k++) {
            json_line(json, 0);
            json_block(page, group->members.items[k]);
            page->blocks++;
        }
        json_close(json, ']');
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}
