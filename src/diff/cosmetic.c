/* diff/cosmetic.c: changes that do not affect the results: names, order, storage, notes.
 *
 * A model has thousands of names: lists the first change of each kind, and the number of further ones. */
#include "diff/cosmetic.h"

#include <inttypes.h>

#include "diff/attribute.h"
#include "diff/note.h"
#include "diff/weight.h"
#include "model/describe.h"
#include "model/operator_default.h"

/* One kind in one graph. */
struct tally {
    struct diff_change first;
    size_t count;
};

static void note(struct tally *tally, const struct diff_change *change)
{
    if (!tally->count++)
        tally->first = *change;
}

static void close_tally(struct differ *differ, struct tally *tally)
{
    if (!tally->count)
        return;
    tally->first.more = tally->count - 1;
    diff_add(differ, &tally->first);
}

/* Texts that may be absent. */
static void compare_text(struct tally *tally, enum diff_kind kind, const struct graph *graph, const char *subject,
                         const char *what, const char *old_text, const char *new_text)
{
    if (strcmp(text_or_empty(old_text), text_or_empty(new_text)) == 0)
        return;
    struct diff_change change = {.kind = kind,
                                 .graph = graph,
                                 .subject = subject,
                                 .what = what,
                                 .old_text = old_text && old_text[0] ? old_text : NULL,
                                 .new_text = new_text && new_text[0] ? new_text : NULL};
    note(tally, &change);
}

enum { ATTRIBUTES_MOST = 64 }; /* of a node: each is looked for among the others */

typedef Onnx__StringStringEntryProto Entry;

/* Calls `tell` with each key of either side and its values, NULL if missing. */
static void pair_properties(struct arena *arena, Entry *const *a, size_t a_count, Entry *const *b, size_t b_count,
                            void (*tell)(void *closure, const char *key, const char *old_text, const char *new_text),
                            void *closure)
{
    if (!a_count && !b_count)
        return;
    struct map counts[2] = {{0}, {0}}, values = {0}, told = {0};
    for (size_t i = 0; i < b_count; i++)
        map_put(arena, &values, diff_key(arena, &counts[1], text_or_empty(b[i]->key)), b[i]);
    for (size_t i = 0; i < a_count; i++) {
        const char *key = diff_key(arena, &counts[0], text_or_empty(a[i]->key));
        Entry *other = map_get(&values, key);
        tell(closure, text_or_empty(a[i]->key), text_or_empty(a[i]->value), other ? text_or_empty(other->value) : NULL);
        map_put(arena, &told, key, a[i]);
    }
    counts[1] = (struct map){0};
    for (size_t i = 0; i < b_count; i++)
        if (!map_get(&told, diff_key(arena, &counts[1], text_or_empty(b[i]->key))))
            tell(closure, text_or_empty(b[i]->key), NULL, text_or_empty(b[i]->value));
}

struct properties {
    struct tally *tally;
    const struct graph *graph;
    const char *subject;
};

static void compare_property(void *closure, const char *key, const char *old_text, const char *new_text)
{
    const struct properties *of = closure;
    compare_text(of->tally, DIFF_metadata, of->graph, of->subject, key, old_text, new_text);
}

static void compare_properties(struct tally *tally, const struct graph *graph, const char *subject, Entry *const *a,
                               size_t a_count, Entry *const *b, size_t b_count)
{
    struct properties of = {tally, graph, subject};
    pair_properties(graph->model->arena, a, a_count, b, b_count, compare_property, &of);
}

/* ---- graphs ---- */

struct cosmetic {
    struct differ *differ;
    struct graph *a, *b;
    struct map infos[2]; /* ValueInfoProto by name */
    struct tally name, order, storage, spelling, shape, doc, metadata;
};

static void list_infos(struct cosmetic *cosmetic, int side, const struct graph *graph)
{
    Onnx__ValueInfoProto *const *infos = graph->proto ? graph->proto->value_info : graph->function->value_info;
    size_t count = graph->proto ? graph->proto->n_value_info : graph->function->n_value_info;
    for (size_t i = 0; i < count; i++)
        if (infos[i]->name && infos[i]->name[0])
            map_put(cosmetic->differ->arena, &cosmetic->infos[side], infos[i]->name, infos[i]);
}

static const char *storage_text(const struct value *value)
{
    const Onnx__TensorProto *proto = value->tensor->proto;
    bool is_node = !value->is_initializer;
    if (!proto)
        return "Constant node, plain attribute";
    if (proto->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL)
        return is_node ? "Constant node, external data" : "initializer, external data";
    if (proto->has_raw_data)
        return is_node ? "Constant node, raw_data" : "initializer, raw_data";
    return is_node ? "Constant node, typed data" : "initializer, typed data";
}

static const char *denotation_of(const Onnx__ValueInfoProto *info)
{
    return info && info->type ? info->type->denotation : NULL;
}

static void compare_cosmetic_values(struct cosmetic *cosmetic, const struct value *x, const struct value *y,
                                    const char *what)
{
    struct arena *arena = cosmetic->differ->arena;
    compare_text(&cosmetic->name, DIFF_name, cosmetic->a, what, "", x->name, y->name);
    const Onnx__ValueInfoProto *a = map_get(&cosmetic->infos[0], x->name);
    const Onnx__ValueInfoProto *b = map_get(&cosmetic->infos[1], y->name);
    if (!a && !b)
        return;
    const char *subject = arena_format(arena, "value '%s'", x->name);
    compare_text(&cosmetic->shape, DIFF_shape, cosmetic->a, subject, "", a ? describe_type(arena, a->type) : NULL,
                 b ? describe_type(arena, b->type) : NULL);
    compare_text(&cosmetic->doc, DIFF_doc, cosmetic->a, subject, "", a ? a->doc_string : NULL,
                 b ? b->doc_string : NULL);
    compare_properties(&cosmetic->metadata, cosmetic->a, subject, a ? a->metadata_props : NULL,
                       a ? a->n_metadata_props : 0, b ? b->metadata_props : NULL, b ? b->n_metadata_props : 0);
    compare_text(&cosmetic->metadata, DIFF_metadata, cosmetic->a, subject, "denotation", denotation_of(a),
                 denotation_of(b));
}

static void compare_cosmetic_constants(struct cosmetic *cosmetic, const struct value *x, const struct value *y)
{
    struct arena *arena = cosmetic->differ->arena;
    compare_text(&cosmetic->name, DIFF_name, cosmetic->a, "constant", "", x->name, y->name);
    compare_text(&cosmetic->storage, DIFF_storage, cosmetic->a, arena_format(arena, "constant '%s'", x->name), "",
                 storage_text(x), storage_text(y));
    if (x->tensor->proto && y->tensor->proto)
        compare_text(&cosmetic->doc, DIFF_doc, cosmetic->a, arena_format(arena, "constant '%s'", x->name), "",
                     x->tensor->proto->doc_string, y->tensor->proto->doc_string);
    if (x->tensor->proto && y->tensor->proto)
        compare_properties(&cosmetic->metadata, cosmetic->a, arena_format(arena, "constant '%s'", x->name),
                           x->tensor->proto->metadata_props, x->tensor->proto->n_metadata_props,
                           y->tensor->proto->metadata_props, y->tensor->proto->n_metadata_props);
}

static void compare_cosmetic_spelling(struct cosmetic *cosmetic, const char *subject, const struct attribute_names *own,
                                      const struct attribute_names *others, bool swapped)
{
    for (size_t i = 0; i < own->node->proto->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = own->node->proto->attribute[i];
        if (diff_attribute_like(others, own, i) || !attribute_is_default(own->node, attribute))
            continue;
        const char *text = describe_attribute(cosmetic->differ->arena, attribute);
        compare_text(&cosmetic->spelling, DIFF_spelling, cosmetic->a, subject, attribute->name, swapped ? NULL : text,
                     swapped ? text : NULL);
    }
}

/* Notes on attributes, and their order. */
static void compare_cosmetic_attributes(struct cosmetic *cosmetic, const char *subject,
                                        const struct attribute_names *own, const struct attribute_names *others)
{
    struct arena *arena = cosmetic->differ->arena;
    const Onnx__NodeProto *a = own->node->proto, *b = others->node->proto;
    size_t last = 0;
    for (size_t i = 0; i < b->n_attribute; i++) {
        const Onnx__AttributeProto *y = b->attribute[i], *x = diff_attribute_like(own, others, i);
        size_t place = 0;
        if (!x)
            continue;
        compare_text(&cosmetic->doc, DIFF_doc, cosmetic->a, subject, y->name, x->doc_string, y->doc_string);
        if (b->n_attribute > ATTRIBUTES_MOST)
            continue;
        while (place < a->n_attribute && a->attribute[place] != x)
            place++;
        if (place < last)
            compare_text(&cosmetic->order, DIFF_order, cosmetic->a, subject, y->name, arena_format(arena, "%zu", place),
                         arena_format(arena, "%zu", i));
        last = place;
    }
}

static void compare_cosmetic_node(struct cosmetic *cosmetic, const struct node *a)
{
    struct arena *arena = cosmetic->differ->arena;
    const struct node *b = node_partner(a);
    const char *subject = describe_node(arena, a);
    compare_text(&cosmetic->name, DIFF_name, cosmetic->a,
                 arena_format(arena, "node of type %s", text_or_empty(a->proto->op_type)), "", a->proto->name,
                 b->proto->name);
    compare_text(&cosmetic->doc, DIFF_doc, cosmetic->a, subject, "", a->proto->doc_string, b->proto->doc_string);
    compare_properties(&cosmetic->metadata, cosmetic->a, subject, a->proto->metadata_props, a->proto->n_metadata_props,
                       b->proto->metadata_props, b->proto->n_metadata_props);
    compare_text(&cosmetic->metadata, DIFF_metadata, cosmetic->a, subject, "device_configurations",
                 diff_devices_text(arena, a->proto), diff_devices_text(arena, b->proto));
    const struct attribute_names own = diff_attributes(arena, a);
    const struct attribute_names others = diff_attributes(arena, b);
    compare_cosmetic_attributes(cosmetic, subject, &own, &others);
    compare_cosmetic_spelling(cosmetic, subject, &own, &others, false);
    compare_cosmetic_spelling(cosmetic, subject, &others, &own, true);
    for (size_t i = 0; i < a->output_count && i < b->output_count; i++)
        if (a->outputs[i] && b->outputs[i] && !a->outputs[i]->is_output)
            compare_cosmetic_values(cosmetic, a->outputs[i], b->outputs[i], "value");
    for (size_t i = 0; i < a->input_count; i++) {
        const struct value *x = a->inputs[i], *y = node_input(b, match_operand(a, b, i));
        if (x && y && value_is_stored(x) && value_is_stored(y) && x->graph == cosmetic->a)
            compare_cosmetic_constants(cosmetic, x, y);
        if (x && y && match_operand(a, b, i) != i && i == 0)
            compare_text(&cosmetic->order, DIFF_order, cosmetic->a, subject, "operands", x->name,
                         node_input(b, i)->name);
    }
}

/* Nodes of the second graph that come before one whose partner they follow in the first. */
static void compare_cosmetic_order(struct cosmetic *cosmetic)
{
    struct arena *arena = cosmetic->differ->arena;
    const struct node *last = NULL;
    for (size_t i = 0; i < cosmetic->b->node_count; i++) {
        const struct node *node = cosmetic->b->nodes[i];
        if (!node_partner(node))
            continue;
        if (last && node_partner(node)->position < node_partner(last)->position)
            compare_text(&cosmetic->order, DIFF_order, cosmetic->a, describe_node(arena, node_partner(node)), "place",
                         arena_format(arena, "%u", node_partner(node)->position),
                         arena_format(arena, "%u", node->position));
        last = node;
    }
}

/* Initializers of the second graph that come before one they follow in the first. By name: other
 * names are told anyway. */
static void compare_cosmetic_initializer_order(struct cosmetic *cosmetic)
{
    struct arena *arena = cosmetic->differ->arena;
    const Onnx__GraphProto *a = cosmetic->a->proto, *b = cosmetic->b->proto;
    struct map places = {0}, counts[2] = {{0}, {0}};
    for (size_t i = 0; i < a->n_initializer; i++)
        map_put(arena, &places, diff_key(arena, &counts[0], text_or_empty(a->initializer[i]->name)),
                &a->initializer[i]);
    size_t last = 0;
    for (size_t i = 0; i < b->n_initializer; i++) {
        const char *name = text_or_empty(b->initializer[i]->name);
        Onnx__TensorProto **found = map_get(&places, diff_key(arena, &counts[1], name));
        if (!found)
            continue;
        size_t place = (size_t)(found - a->initializer);
        if (place < last)
            compare_text(&cosmetic->order, DIFF_order, cosmetic->a, arena_format(arena, "initializer '%s'", name),
                         "place", arena_format(arena, "%zu", place), arena_format(arena, "%zu", i));
        last = place;
    }
}

/* Notes on inputs or outputs of the same name. */
static void compare_cosmetic_interface(struct cosmetic *cosmetic, const char *word, Onnx__ValueInfoProto *const *a,
                                       size_t a_count, Onnx__ValueInfoProto *const *b, size_t b_count)
{
    struct arena *arena = cosmetic->differ->arena;
    struct map others = {0}, counts[2] = {{0}, {0}};
    for (size_t i = 0; i < b_count; i++)
        map_put(arena, &others, diff_key(arena, &counts[1], text_or_empty(b[i]->name)), b[i]);
    for (size_t i = 0; i < a_count; i++) {
        const char *name = text_or_empty(a[i]->name);
        const Onnx__ValueInfoProto *other = map_get(&others, diff_key(arena, &counts[0], name));
        if (!other)
            continue;
        const char *subject = arena_format(arena, "%s '%s'", word, name);
        compare_text(&cosmetic->doc, DIFF_doc, cosmetic->a, subject, "", a[i]->doc_string, other->doc_string);
        compare_properties(&cosmetic->metadata, cosmetic->a, subject, a[i]->metadata_props, a[i]->n_metadata_props,
                           other->metadata_props, other->n_metadata_props);
        compare_text(&cosmetic->metadata, DIFF_metadata, cosmetic->a, subject, "denotation", denotation_of(a[i]),
                     denotation_of(other));
    }
}

/* Types that bodies state for what they take and give: by place, as they are passed. */
static void compare_cosmetic_body_types(struct cosmetic *cosmetic, const char *word, Onnx__ValueInfoProto *const *a,
                                        size_t a_count, Onnx__ValueInfoProto *const *b, size_t b_count)
{
    struct arena *arena = cosmetic->differ->arena;
    for (size_t i = 0; i < a_count && i < b_count; i++)
        compare_text(&cosmetic->shape, DIFF_shape, cosmetic->a, arena_format(arena, "%s %zu of the body", word, i), "",
                     describe_type(arena, a[i]->type), describe_type(arena, b[i]->type));
}

static void compare_cosmetic_quantization(struct cosmetic *cosmetic, const Onnx__GraphProto *a,
                                          const Onnx__GraphProto *b)
{
    struct arena *arena = cosmetic->differ->arena;
    const Onnx__GraphProto *const graphs[2] = {a, b};
    struct map by_name[2] = {{0}, {0}};
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < graphs[side]->n_quantization_annotation; i++) {
            Onnx__TensorAnnotation *annotation = graphs[side]->quantization_annotation[i];
            map_add(arena, &by_name[side], text_or_empty(annotation->tensor_name), annotation);
        }
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < graphs[side]->n_quantization_annotation; i++) {
            const char *name = text_or_empty(graphs[side]->quantization_annotation[i]->tensor_name);
            const Onnx__TensorAnnotation *x = map_get(&by_name[0], name);
            const Onnx__TensorAnnotation *y = map_get(&by_name[1], name);
            if (side == 0 || !x)
                compare_text(&cosmetic->metadata, DIFF_metadata, cosmetic->a, arena_format(arena, "value '%s'", name),
                             "quantization_annotation", diff_quantization_text(arena, x),
                             diff_quantization_text(arena, y));
        }
}

/* Unused initializers. */
static void compare_cosmetic_unused(struct cosmetic *cosmetic)
{
    struct differ *differ = cosmetic->differ;
    struct graph *graphs[2] = {cosmetic->a, cosmetic->b};
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < graphs[side]->initializers.count; i++) {
            const struct value *value = graphs[side]->initializers.items[i];
            const struct value *twin = map_get(&graphs[1 - side]->values, value->name);
            if (value->uses || value->is_output || value->is_input || !value->tensor ||
                (twin && !twin->uses && value_number(twin) == value_number(value)))
                continue;
            const char *text = diff_constant_text(differ->arena, value->tensor, false);
            struct diff_change change = {
                .kind = DIFF_dead,
                .graph = graphs[side],
                .subject = arena_format(differ->arena, "constant '%s' that nothing reads", value->name),
                .what = "",
                .old_text = side ? NULL : text,
                .new_text = side ? text : NULL,
                .left_tensor = side ? NULL : value->tensor,
                .right_tensor = side ? value->tensor : NULL};
            diff_add(differ, &change);
        }
}

void diff_graph_cosmetic(struct differ *differ, struct graph *a, struct graph *b)
{
    struct cosmetic cosmetic = {.differ = differ, .a = a, .b = b};
    list_infos(&cosmetic, 0, a);
    list_infos(&cosmetic, 1, b);
    for (size_t i = 0; i < a->order.count; i++)
        if (node_partner(a->order.items[i]))
            compare_cosmetic_node(&cosmetic, a->order.items[i]);
    compare_cosmetic_order(&cosmetic);
    compare_cosmetic_unused(&cosmetic);
    if (a->proto && b->proto) {
        compare_text(&cosmetic.metadata, DIFF_metadata, a, "graph", "name", a->proto->name, b->proto->name);
        compare_text(&cosmetic.doc, DIFF_doc, a, "graph", "", a->proto->doc_string, b->proto->doc_string);
        compare_cosmetic_initializer_order(&cosmetic);
        compare_cosmetic_interface(&cosmetic, "input", a->proto->input, a->proto->n_input, b->proto->input,
                                   b->proto->n_input);
        compare_cosmetic_interface(&cosmetic, "output", a->proto->output, a->proto->n_output, b->proto->output,
                                   b->proto->n_output);
        if (a->owner && b->owner) {
            compare_cosmetic_body_types(&cosmetic, "input", a->proto->input, a->proto->n_input, b->proto->input,
                                        b->proto->n_input);
            compare_cosmetic_body_types(&cosmetic, "output", a->proto->output, a->proto->n_output, b->proto->output,
                                        b->proto->n_output);
        }
        compare_cosmetic_quantization(&cosmetic, a->proto, b->proto);
        compare_properties(&cosmetic.metadata, a, "graph", a->proto->metadata_props, a->proto->n_metadata_props,
                           b->proto->metadata_props, b->proto->n_metadata_props);
    } else if (a->function && b->function) {
        compare_text(&cosmetic.doc, DIFF_doc, a, "function", "", a->function->doc_string, b->function->doc_string);
        compare_properties(&cosmetic.metadata, a, "function", a->function->metadata_props,
                           a->function->n_metadata_props, b->function->metadata_props, b->function->n_metadata_props);
        for (size_t i = 0; i < a->function->n_input && i < b->function->n_input; i++)
            compare_text(&cosmetic.name, DIFF_name, a, "input", "", a->function->input[i], b->function->input[i]);
    }
    close_tally(differ, &cosmetic.name);
    close_tally(differ, &cosmetic.order);
    close_tally(differ, &cosmetic.storage);
    close_tally(differ, &cosmetic.spelling);
    close_tally(differ, &cosmetic.shape);
    close_tally(differ, &cosmetic.doc);
    close_tally(differ, &cosmetic.metadata);
}

/* ---- the model ---- */

/* Each is a separate change, because there are few. */
static void compare_field(struct differ *differ, enum diff_kind kind, const char *subject, const char *what,
                          const char *old_text, const char *new_text)
{
    struct tally tally = {.count = 0};
    compare_text(&tally, kind, NULL, subject, what, old_text, new_text);
    close_tally(differ, &tally);
}

static const char *integer_text(struct arena *arena, bool there, int64_t number)
{
    return there ? arena_format(arena, "%" PRId64, number) : NULL;
}

static void compare_model_property(void *closure, const char *key, const char *old_text, const char *new_text)
{
    compare_field(closure, DIFF_metadata, "model", key, old_text, new_text);
}

void diff_model_cosmetic(struct differ *differ)
{
    struct arena *arena = differ->arena;
    const Onnx__ModelProto *a = differ->models[0]->proto, *b = differ->models[1]->proto;
    compare_field(differ, DIFF_ir_version, "IR version", "", integer_text(arena, a->has_ir_version, a->ir_version),
                  integer_text(arena, b->has_ir_version, b->ir_version));
    compare_field(differ, DIFF_metadata, "model", "producer_name", a->producer_name, b->producer_name);
    compare_field(differ, DIFF_metadata, "model", "producer_version", a->producer_version, b->producer_version);
    compare_field(differ, DIFF_metadata, "model", "domain", a->domain, b->domain);
    compare_field(differ, DIFF_metadata, "model", "model_version",
                  integer_text(arena, a->has_model_version, a->model_version),
                  integer_text(arena, b->has_model_version, b->model_version));
    compare_field(differ, DIFF_metadata, "model", "configuration", diff_configuration_text(arena, a),
                  diff_configuration_text(arena, b));
    compare_field(differ, DIFF_metadata, "model", "training_info", diff_training_text(differ->models[0]),
                  diff_training_text(differ->models[1]));
    compare_field(differ, DIFF_doc, "model", "", a->doc_string, b->doc_string);
    pair_properties(arena, a->metadata_props, a->n_metadata_props, b->metadata_props, b->n_metadata_props,
                    compare_model_property, differ);
}
