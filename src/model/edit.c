/* model/edit.c: makes and removes nodes and constants. */
#include "model/edit.h"

#include "model/size.h"

/* An unused name: `wanted`, or with a number behind it. */
static const char *edit_name(struct model *model, const char *wanted)
{
    const char *name = wanted;
    for (unsigned number = 1; graph_has_name(model, name); number++)
        name = arena_format(model->arena, "%s_%u", wanted, number);
    return name;
}

/* Few models need the names of nodes: they are gathered when the first new one is asked for. */
static void know_node_names(struct model *model)
{
    struct arena *arena = model->arena;
    if (model->node_names.room)
        return;
    for (size_t g = 0; g < model->graphs.count; g++) {
        const struct graph *graph = model->graphs.items[g];
        size_t made = graph->new_nodes.count;
        map_reserve(arena, &model->node_names, graph->node_count + made + 1);
        for (size_t i = 0; i < graph->node_count + made; i++) {
            const struct node *node = i < made ? graph->new_nodes.items[i] : graph->nodes[i - made];
            if (node->proto->name && node->proto->name[0])
                map_put(arena, &model->node_names, node->proto->name, model);
        }
    }
}

const char *edit_node_name(struct model *model, const char *wanted)
{
    know_node_names(model);
    const char *name = wanted;
    for (unsigned number = 1; map_get(&model->node_names, name); number++)
        name = arena_format(model->arena, "%s_%u", wanted, number);
    return name;
}

struct value *edit_value(struct graph *graph, const char *wanted)
{
    bool old; /* never: the name is new */
    struct value *value = graph_value(graph, edit_name(graph->model, wanted), &old);
    value->is_new = true;
    return value;
}

static void add_use(struct node *reader, size_t index, struct value *value)
{
    struct use *use = NEW(reader->graph->model->arena, struct use);
    struct node *inner = reader;
    /* In the scope of an outer value, its reader is the node that holds this graph. */
    while (reader->graph != value->graph && reader->graph->owner)
        reader = reader->graph->owner;
    *use = (struct use){reader, inner, value->uses, (uint32_t)index};
    value->uses = use;
}

static void mark_changed(struct graph *graph)
{
    graph->changed = true;
}

/* Names outlive the messages that mention them, and protobuf-c only reads what it packs. */
static char *borrowed(const char *name)
{
    return (char *)(uintptr_t)name;
}

static Onnx__AttributeProto **make_attributes(struct arena *arena, const struct edit_attribute *attributes,
                                              size_t count)
{
    Onnx__AttributeProto **protos = NEW_ARRAY(arena, Onnx__AttributeProto *, count + 1);
    for (size_t i = 0; i < count; i++) {
        Onnx__AttributeProto *attribute = NEW(arena, Onnx__AttributeProto);
        onnx__attribute_proto__init(attribute);
        attribute->name = borrowed(attributes[i].name);
        attribute->has_type = true;
        if (attributes[i].integers) {
            attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
            attribute->n_ints = attributes[i].count;
            attribute->ints = NEW_ARRAY(arena, int64_t, attributes[i].count + 1);
            memcpy(attribute->ints, attributes[i].integers, attributes[i].count * sizeof(int64_t));
        } else {
            attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT;
            attribute->has_i = true;
            attribute->i = attributes[i].integer;
        }
        protos[i] = attribute;
    }
    return protos;
}

/* A network repeats its Convs: nodes made one after another share their attributes. */
static bool same_attributes(const Onnx__NodeProto *proto, const struct edit_attribute *attributes, size_t count)
{
    bool same = proto->n_attribute == count;
    for (size_t i = 0; same && i < count; i++) {
        const Onnx__AttributeProto *old = proto->attribute[i];
        same =
            strcmp(old->name, attributes[i].name) == 0 && old->has_i == !attributes[i].integers &&
            old->i == attributes[i].integer && old->n_ints == attributes[i].count &&
            (!attributes[i].integers || memcmp(old->ints, attributes[i].integers, old->n_ints * sizeof(int64_t)) == 0);
    }
    return same;
}

/* A new node makes its outputs, in place of who did. */
static void take_place(struct node *node)
{
    struct graph *graph = node->graph;
    for (size_t i = 0; i < node->output_count; i++) {
        struct value *output = node->outputs[i];
        struct node *before = output ? output->producer : NULL;
        if (!output)
            continue;
        output->producer = node;
        output->removed = false;
        if (before && !before->removed)
            edit_remove(before);
    }
    node->sequence = graph->new_nodes.count;
    LIST_PUSH(graph->model->arena, &graph->new_nodes, node);
    mark_changed(graph);
}

struct node *edit_node(struct graph *graph, const struct edit_op *wanted)
{
    struct arena *arena = graph->model->arena;
    Onnx__NodeProto *proto = NEW(arena, Onnx__NodeProto);
    onnx__node_proto__init(proto);
    proto->op_type = borrowed(wanted->op);
    if (wanted->like) {
        proto->doc_string = wanted->like->proto->doc_string;
        proto->n_metadata_props = wanted->like->proto->n_metadata_props;
        proto->metadata_props = wanted->like->proto->metadata_props;
        proto->n_device_configurations = wanted->like->proto->n_device_configurations;
        proto->device_configurations = wanted->like->proto->device_configurations;
    }
    if (wanted->name && wanted->name[0]) {
        proto->name = borrowed(wanted->name);
        if (graph->model->node_names.room)
            map_put(arena, &graph->model->node_names, wanted->name, graph->model);
    }
    proto->n_input = wanted->input_count;
    proto->input = NEW_ARRAY(arena, char *, wanted->input_count + 1);
    proto->n_output = 1;
    proto->output = NEW_ARRAY(arena, char *, 1);
    proto->output[0] = borrowed(wanted->output->name);
    const struct node *last = graph->model->last_attributed;
    proto->n_attribute = wanted->attribute_count;
    proto->attribute = last && same_attributes(last->proto, wanted->attributes, wanted->attribute_count)
                           ? last->proto->attribute
                           : make_attributes(arena, wanted->attributes, wanted->attribute_count);

    struct node *node = NEW(arena, struct node);
    *node = (struct node){.proto = proto,
                          .graph = graph,
                          .op = operator_find("", wanted->op, graph->opset),
                          .opset = graph->opset,
                          .input_count = wanted->input_count,
                          .output_count = 1,
                          .position = wanted->at->position,
                          .depth = wanted->at->depth,
                          .index = graph->model->node_count++,
                          .is_new = true};
    node->inputs = NEW_ARRAY(arena, struct value *, wanted->input_count + 1);
    node->outputs = NEW_ARRAY(arena, struct value *, 1);
    for (size_t i = 0; i < wanted->input_count; i++) {
        proto->input[i] = borrowed(wanted->inputs[i] ? wanted->inputs[i]->name : "");
        node->inputs[i] = wanted->inputs[i];
        if (wanted->inputs[i])
            add_use(node, i, wanted->inputs[i]);
    }
    node->outputs[0] = wanted->output;
    take_place(node);
    if (wanted->attribute_count)
        graph->model->last_attributed = node;
    return node;
}

struct node *edit_copy(const struct node *from, const struct node *at, struct value *const *inputs,
                       struct value *const *outputs)
{
    struct graph *graph = from->graph;
    struct arena *arena = graph->model->arena;
    Onnx__NodeProto *proto = NEW(arena, Onnx__NodeProto);
    struct node *node = NEW(arena, struct node);
    *proto = *from->proto;
    *node = (struct node){.proto = proto,
                          .graph = graph,
                          .op = from->op,
                          .opset = from->opset,
                          .input_count = from->input_count,
                          .output_count = from->output_count,
                          .position = at->position,
                          .depth = at->depth,
                          .index = graph->model->node_count++,
                          .is_new = true};
    node->inputs = NEW_ARRAY(arena, struct value *, from->input_count + 1);
    node->outputs = NEW_ARRAY(arena, struct value *, from->output_count + 1);
    proto->input = NEW_ARRAY(arena, char *, from->input_count + 1);
    proto->output = NEW_ARRAY(arena, char *, from->output_count + 1);
    proto->n_input = from->input_count;
    proto->n_output = from->output_count;
    for (size_t i = 0; i < from->input_count; i++) {
        proto->input[i] = borrowed(inputs[i] ? inputs[i]->name : "");
        node->inputs[i] = inputs[i];
        if (inputs[i])
            add_use(node, i, inputs[i]);
    }
    for (size_t i = 0; i < from->output_count; i++) {
        proto->output[i] = borrowed(outputs[i] ? outputs[i]->name : "");
        node->outputs[i] = outputs[i];
    }
    take_place(node);
    return node;
}

void edit_take_attributes(struct node *node, const struct node *from)
{
    Onnx__NodeProto *proto = (Onnx__NodeProto *)(uintptr_t)node->proto;
    proto->n_attribute = from->proto->n_attribute;
    proto->attribute = from->proto->attribute;
}

void edit_set_attribute(struct node *node, const struct edit_attribute *attribute)
{
    struct arena *arena = node->graph->model->arena;
    Onnx__NodeProto *proto = (Onnx__NodeProto *)(uintptr_t)node->proto;
    size_t count = proto->n_attribute, at = 0;
    Onnx__AttributeProto **all = NEW_ARRAY(arena, Onnx__AttributeProto *, count + 1);
    for (size_t i = 0; i < count; i++)
        all[i] = proto->attribute[i];
    while (at < count && (!all[at]->name || strcmp(all[at]->name, attribute->name) != 0))
        at++;
    all[at] = make_attributes(arena, attribute, 1)[0];
    proto->attribute = all;
    proto->n_attribute = at == count ? count + 1 : count;
}

void edit_tensor_message(const struct tensor *tensor, Onnx__TensorProto *message)
{
    onnx__tensor_proto__init(message);
    message->name = borrowed(tensor->name);
    message->has_data_type = true;
    message->data_type = tensor->type;
    message->n_dims = (size_t)tensor->rank;
    message->dims = (int64_t *)(uintptr_t)tensor->dims;
    message->has_raw_data = true;
    message->raw_data.len = tensor_bytes(tensor);
    message->raw_data.data = (uint8_t *)(uintptr_t)tensor;
}

static void give_value(struct node *node, Onnx__TensorProto *tensor)
{
    struct arena *arena = node->graph->model->arena;
    Onnx__NodeProto *proto = (Onnx__NodeProto *)(uintptr_t)node->proto;
    Onnx__AttributeProto *attribute = NEW(arena, Onnx__AttributeProto);
    onnx__attribute_proto__init(attribute);
    attribute->name = borrowed("value");
    attribute->has_type = true;
    attribute->type = ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR;
    attribute->t = tensor;
    proto->n_attribute = 1;
    proto->attribute = NEW_ARRAY(arena, Onnx__AttributeProto *, 1);
    proto->attribute[0] = attribute;
}

static void constant_node(struct graph *graph, const struct node *at, struct value *value)
{
    struct node *node = edit_node(graph, &(struct edit_op){.op = "Constant", .at = at, .output = value});
    Onnx__TensorProto *proto = NEW(graph->model->arena, Onnx__TensorProto);
    edit_tensor_message(value->tensor, proto);
    give_value(node, proto);
}

static bool holds_initializers(const struct graph *graph)
{
    return graph->proto && (!graph->parent || graph->model->ir_version >= 4);
}

struct value *edit_constant(struct graph *graph, const struct node *at, const char *wanted, struct tensor *tensor)
{
    struct value *value = edit_value(graph, wanted);
    value->tensor = tensor;
    tensor->name = value->name;
    value_takes_shape(value, tensor);
    if (!holds_initializers(graph)) {
        constant_node(graph, at, value);
        return value;
    }
    value->is_initializer = true;
    LIST_PUSH(graph->model->arena, &graph->new_initializers, value);
    mark_changed(graph);
    return value;
}

struct value *edit_repeated(struct graph *graph, const struct node *at, const char *wanted, struct tensor *tensor)
{
    struct arena *arena = graph->model->arena;
    struct value *value = edit_value(graph, wanted);
    tensor->name = value->name;
    value_takes_shape(value, tensor);
    const int64_t rank = tensor->rank;
    struct value *shape =
        edit_constant(graph, at, arena_format(arena, "%s.shape", value->name),
                      tensor_of_integers(arena, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 1, &rank, tensor->dims));
    struct node *node = edit_node(
        graph,
        &(struct edit_op){.op = "ConstantOfShape", .at = at, .inputs = &shape, .input_count = 1, .output = value});
    /* Too small to be computed when it is written. */
    Onnx__TensorProto *proto = NEW(arena, Onnx__TensorProto);
    onnx__tensor_proto__init(proto);
    proto->has_data_type = proto->has_raw_data = true;
    proto->data_type = tensor->type;
    proto->n_dims = 1;
    proto->dims = NEW(arena, int64_t);
    proto->dims[0] = 1;
    proto->raw_data.len = type_size(tensor->type);
    proto->raw_data.data = NEW_ARRAY(arena, uint8_t, sizeof(double));
    tensor_round(tensor->type, tensor->data, 1, proto->raw_data.data);
    give_value(node, proto);
    return value;
}

static struct value **copy_values(struct arena *arena, struct value *const *values, size_t count)
{
    struct value **copy = NEW_ARRAY(arena, struct value *, count + 1);
    if (count)
        memcpy(copy, values, count * sizeof(struct value *));
    return copy;
}

/* Before a node of the file reads or makes another value. */
static void keep_ends(struct node *node)
{
    struct arena *arena = node->graph->model->arena;
    mark_changed(node->graph);
    if (node->is_new || node->filed)
        return;
    struct node_ends *ends = NEW(arena, struct node_ends);
    *ends = (struct node_ends){node->inputs, node->outputs};
    node->inputs = copy_values(arena, ends->inputs, node->input_count);
    node->outputs = copy_values(arena, ends->outputs, node->output_count);
    node->filed = ends;
}

void edit_redirect(struct value *value, struct value *other)
{
    for (const struct use *use = value->uses; use; use = use->next) {
        struct node *reader = use->inner;
        if (!use_is_live(use))
            continue;
        keep_ends(reader);
        reader->inputs[use->index] = other;
        if (reader->is_new)
            reader->proto->input[use->index] = borrowed(other->name);
        add_use(reader, use->index, other);
    }
    value->uses = NULL;
    value->same = other;
}

void edit_take_over(struct value *value, struct value *output)
{
    struct node *maker = value->producer, *before = output->producer;
    keep_ends(maker);
    for (size_t k = 0; k < maker->output_count; k++) {
        if (maker->outputs[k] != value)
            continue;
        maker->outputs[k] = output;
        if (maker->is_new)
            maker->proto->output[k] = borrowed(output->name);
    }
    output->producer = maker;
    edit_remove(before);
    output->removed = false; /* another result of `before` may have been taken over first */
    edit_redirect(value, output);
    value->removed = true;
    output->taken = value;
}

void edit_share(struct value *value, struct value *other)
{
    edit_redirect(value, other);
    value->removed = true;
    mark_changed(value->graph);
}

void edit_store(struct value *value, struct tensor *tensor)
{
    struct graph *graph = value->graph;
    struct node *producer = value->producer;
    value->tensor = tensor;
    tensor->name = value->name;
    value_takes_shape(value, tensor);
    if (!holds_initializers(graph)) {
        constant_node(graph, producer, value);
        return;
    }
    value->producer = NULL;
    value->is_initializer = true;
    value->removed = false; /* another result of its producer may have been stored first */
    LIST_PUSH(graph->model->arena, &graph->new_initializers, value);
    edit_remove(producer);
    mark_changed(graph);
}

/* Removed nodes have no graphs: nodes with graphs stay. */
void edit_remove(struct node *node)
{
    node->removed = true;
    mark_changed(node->graph);
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] && node->outputs[i]->producer == node)
            node->outputs[i]->removed = true;
}

/* ---- dead code ---- */

static bool node_is_dead(const struct node *node)
{
    if (node->removed || node->op == OP_UNKNOWN || node->body_count)
        return false;
    for (size_t i = 0; i < node->output_count; i++)
        if (value_is_needed(node->outputs[i]))
            return false;
    return true;
}

static void push_if_dead(struct arena *arena, struct node *node, struct node_list *dead)
{
    if (node && node_is_dead(node)) {
        edit_remove(node);
        LIST_PUSH(arena, dead, node);
    }
}

bool edit_remove_dead(struct model *model)
{
    struct arena *arena = model->arena;
    struct node_list dead = {0};
    bool any = false;
    for (size_t g = 0; g < model->graphs.count; g++) {
        struct graph *graph = model->graphs.items[g];
        for (size_t i = 0; i < graph->node_count; i++)
            push_if_dead(arena, graph->nodes[i], &dead);
        for (size_t i = 0; i < graph->new_nodes.count; i++)
            push_if_dead(arena, graph->new_nodes.items[i], &dead);
    }
    for (size_t next = 0; next < dead.count; next++) {
        struct node *node = dead.items[next];
        any = true;
        for (size_t k = 0; k < node->input_count; k++)
            if (node->inputs[k])
                push_if_dead(arena, node->inputs[k]->producer, &dead);
    }
    for (size_t g = 0; g < model->graphs.count; g++) {
        struct graph *graph = model->graphs.items[g];
        /* Before IR 4, an initializer is also an input and disappears with it; from IR 4 on, this input belongs to
         * the caller. */
        for (size_t i = 0; i < graph->initializers.count + graph->new_initializers.count; i++) {
            struct value *value = i < graph->initializers.count
                                      ? graph->initializers.items[i]
                                      : graph->new_initializers.items[i - graph->initializers.count];
            bool callers = value->is_input && model->ir_version >= 4;
            if (value->removed || callers || value_is_needed(value))
                continue;
            value->removed = true;
            graph->changed = true;
            any = true;
        }
    }
    return any;
}

/* ---- inputs and outputs ---- */

void edit_freeze(struct value *value)
{
    value->is_input = false;
    mark_changed(value->graph);
}

/* For each node, by position: whether an output of the graph, or what else must stay, needs it. */
static bool *find_needed(const struct graph *graph)
{
    bool *needed = NEW_ARRAY(graph->model->arena, bool, graph->node_count + 1);
    for (size_t i = graph->order.count; i-- > 0;) {
        const struct node *node = graph->order.items[i];
        bool is_needed = false;
        for (size_t k = 0; k < node->output_count && !is_needed; k++) {
            const struct value *value = node->outputs[k];
            is_needed = value && (value->is_output || value->is_annotated);
            for (const struct use *use = value ? value->uses : NULL; use && !is_needed; use = use->next)
                is_needed = needed[use->reader->position];
        }
        needed[node->position] = is_needed;
    }
    return needed;
}

static bool is_in_removed(const struct graph *graph)
{
    for (; graph->owner; graph = graph->parent)
        if (graph->owner->removed)
            return true;
    return false;
}

static void forget_removed_bodies(struct model *model)
{
    size_t count = 0;
    for (size_t g = 0; g < model->graphs.count; g++)
        if (!is_in_removed(model->graphs.items[g]))
            model->graphs.items[count++] = model->graphs.items[g];
    model->graphs.count = count;
}

size_t edit_keep_outputs(struct model *model, const bool *kept)
{
    struct graph *main = model->graphs.items[0];
    const bool *before = find_needed(main);
    size_t removed = 0;
    for (size_t i = 0; i < graph_output_count(main); i++) {
        struct value *value = graph_output(main, i);
        if (!value || kept[i])
            continue;
        value->is_withheld = true;
        value->is_output = false;
        mark_changed(main);
    }
    /* An output of a body may be a value of the outer graph. */
    for (size_t g = 1; g < model->graphs.count; g++) {
        const struct graph *graph = model->graphs.items[g];
        for (size_t i = 0; graph->parent && i < graph_output_count(graph); i++)
            if (graph_output(graph, i))
                graph_output(graph, i)->is_output = true;
    }
    const bool *after = find_needed(main);
    for (size_t i = 0; i < main->node_count; i++) {
        struct node *node = main->nodes[i];
        if (!before[i] || after[i])
            continue;
        edit_remove(node);
        removed += node->op != OP_Constant;
    }
    for (size_t i = 0; i < main->initializers.count; i++) {
        struct value *value = main->initializers.items[i];
        bool callers = value->is_input && model->ir_version >= 4;
        if (!callers && (value->uses || value->is_withheld) && !value_is_needed(value))
            value->removed = true;
    }
    if (removed)
        forget_removed_bodies(model);
    return removed;
}

void edit_size(struct value *input, int rank, const int64_t *dims)
{
    struct model *model = input->graph->model;
    const struct graph *graph = input->graph;
    for (size_t i = 0; i < graph->proto->n_input; i++) {
        const Onnx__TensorShapeProto *shape = size_shape(graph->proto->input[i]);
        if (graph_input(graph, i) != input || !shape)
            continue;
        for (size_t k = 0; k < shape->n_dim; k++) {
            const Onnx__TensorShapeProto__Dimension *dim = shape->dim[k];
            bool symbol = dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM && dim->dim_param &&
                          dim->dim_param[0];
            if (symbol)
                map_put(model->arena, &model->sizes, dim->dim_param, (void *)(uintptr_t)(dims + k));
        }
    }
    input->rank = rank;
    input->dims = NEW_ARRAY(model->arena, int64_t, rank + 1);
    memcpy(input->dims, dims, (size_t)rank * sizeof(*dims));
    input->is_sized = model->is_sized = true;
}

/* Updates the index for a value whose description has other sizes now. */
static void take_sizes(struct graph *graph, const Onnx__ValueInfoProto *info)
{
    const Onnx__ValueInfoProto *described = size_described(graph, info);
    struct value *value = info->name ? map_get(&graph->values, info->name) : NULL;
    if (!described)
        return;
    mark_changed(graph);
    const Onnx__TensorShapeProto *shape = size_shape(described);
    for (int i = 0; shape && value && !value->tensor && value->rank == (int)shape->n_dim && i < value->rank; i++)
        if (value->dims[i] < 0)
            value->dims[i] = size_declared(shape->dim[i]);
}

void edit_spread_sizes(struct model *model)
{
    for (size_t g = 0; g < model->graphs.count; g++) {
        struct graph *graph = model->graphs.items[g];
        const Onnx__GraphProto *proto = graph->proto;
        for (size_t i = 0; proto && i < proto->n_input; i++)
            take_sizes(graph, proto->input[i]);
        for (size_t i = 0; proto && i < proto->n_output; i++)
            take_sizes(graph, proto->output[i]);
        for (size_t i = 0; proto && i < proto->n_value_info; i++)
            take_sizes(graph, proto->value_info[i]);
    }
}
