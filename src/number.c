/* number.c: hash-consing: a key of words, looked up whole, gives a number. */
#include "number.h"

#include <stdlib.h>
#include <string.h>

#include "constant.h"
#include "hash.h"

enum kind {
    KIND_STRING = 1,
    KIND_TENSOR,
    KIND_SPARSE,
    KIND_UNIQUE,
    KIND_INPUT,
    KIND_DEFAULTED, /* an input that holds a constant until a caller gives another */
    KIND_UNKNOWN,   /* a name nobody makes */
    KIND_ATTRIBUTE,
    KIND_OPERATOR,
    KIND_NODE,
    KIND_DRAW, /* a node that draws random numbers, told apart by its occurrence */
    KIND_OUTPUT,
    KIND_BODY,
    KIND_FUNCTION
};

/* There is one for each node and each value, so they are small: most keys have no word of more than
 * 32 bits. */
struct number_entry {
    uint64_t hash;
    uint32_t number, words;
    union {
        uint32_t draws[2]; /* KIND_NODE of a random operator: how many each model has so far */
        const struct tensor *tensor; /* KIND_TENSOR */
    };
    bool is_wide;   /* each word takes two places, the low one first */
    uint32_t key[]; /* `words` of them */
};

struct number_function {
    struct graph *graph;
    uint32_t signature;
    bool open; /* being numbered: a call of it is recursion, which ONNX forbids */
};

/* Functions that call functions are walked by recursion; deeper ones are never the same. */
enum { CALLS_DEEP = 200 };

/* Pages that were read and need not stay count as memory all the same: let go of them now and then. */
#define TOUCH_LIMIT (UINT64_C(32) << 20)

/* ---- keys ---- */

struct key {
    struct arena *arena;
    uint64_t *items;
    size_t count, room;
};

static void key_add(struct key *key, uint64_t word)
{
    LIST_PUSH(key->arena, key, word);
}

static void key_bytes(struct key *key, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    key_add(key, size);
    for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
        uint64_t word = 0;
        memcpy(&word, bytes + at, size - at < sizeof(word) ? size - at : sizeof(word));
        key_add(key, word);
    }
}

static void key_text(struct key *key, const char *text)
{
    key_bytes(key, text ? text : "", text ? strlen(text) : 0);
}

static void grow(struct numbering *numbering)
{
    size_t room = numbering->room ? numbering->room * 2 : 1024;
    struct number_entry **slots = NEW_ARRAY(numbering->arena, struct number_entry *, room);
    for (size_t i = 0; i < numbering->room; i++) {
        struct number_entry *entry = numbering->slots[i];
        if (!entry)
            continue;
        size_t at = entry->hash & (room - 1);
        while (slots[at])
            at = (at + 1) & (room - 1);
        slots[at] = entry;
    }
    arena_give_back(numbering->arena, numbering->slots);
    numbering->slots = slots;
    numbering->room = room;
}

static uint64_t entry_word(const struct number_entry *entry, size_t index)
{
    if (!entry->is_wide)
        return entry->key[index];
    return entry->key[2 * index] | (uint64_t)entry->key[2 * index + 1] << 32;
}

static bool entry_has(const struct number_entry *entry, const struct key *key)
{
    if (entry->words != key->count)
        return false;
    for (size_t i = 0; i < key->count; i++)
        if (entry_word(entry, i) != key->items[i])
            return false;
    return true;
}

static struct number_entry *entry_new(struct numbering *numbering, const struct key *key)
{
    bool wide = false;
    for (size_t i = 0; i < key->count; i++)
        wide = wide || key->items[i] > UINT32_MAX;
    size_t places = wide ? 2 * key->count : key->count;
    struct number_entry *entry = arena_alloc(
        numbering->arena, 1, offsetof(struct number_entry, key) + places * sizeof(*entry->key));
    entry->is_wide = wide;
    entry->words = (uint32_t)key->count;
    for (size_t i = 0; i < places; i++)
        entry->key[i] = (uint32_t)(wide ? key->items[i / 2] >> (i % 2 ? 32 : 0) : key->items[i]);
    return entry;
}

/* The key's words are copied only when it is new. */
static struct number_entry *intern(struct numbering *numbering, const struct key *key)
{
    if (numbering->entries.count * 2 >= numbering->room)
        grow(numbering);
    uint64_t hash = secret_hash(&numbering->secret, key->items, key->count * sizeof(*key->items));
    size_t at = hash & (numbering->room - 1);
    for (; numbering->slots[at]; at = (at + 1) & (numbering->room - 1)) {
        struct number_entry *entry = numbering->slots[at];
        if (entry->hash == hash && entry_has(entry, key))
            return entry;
    }
    struct number_entry *entry = entry_new(numbering, key);
    entry->hash = hash;
    entry->number = (uint32_t)numbering->entries.count;
    struct number_entry **before = numbering->entries.items;
    LIST_PUSH(numbering->arena, &numbering->entries, entry);
    if (numbering->entries.items != before)
        arena_give_back(numbering->arena, before);
    numbering->slots[at] = entry;
    return entry;
}

/* Keys are short: most need no memory beyond this. */
#define KEY_BEGIN(name)                                                                            \
    uint64_t name##_words[32];                                                                     \
    struct key name = {numbering->arena, name##_words, 0, COUNT_OF(name##_words)}

static uint32_t intern_words(struct numbering *numbering, uint64_t kind, uint64_t a, uint64_t b)
{
    uint64_t words[] = {kind, a, b};
    struct key key = {numbering->arena, words, COUNT_OF(words), COUNT_OF(words)};
    return intern(numbering, &key)->number;
}

static uint32_t number_text(struct numbering *numbering, const char *text)
{
    KEY_BEGIN(key);
    key_add(&key, KIND_STRING);
    key_text(&key, text);
    return intern(numbering, &key)->number;
}

uint32_t number_input(struct numbering *numbering, uint32_t level, uint32_t index)
{
    return intern_words(numbering, KIND_INPUT, level, index);
}

uint32_t number_unique(struct numbering *numbering)
{
    return intern_words(numbering, KIND_UNIQUE, numbering->unique++, 0);
}

/* ---- functions ---- */

static const char *function_key(struct arena *arena, const char *domain, const char *name,
                                const char *overload)
{
    return arena_format(arena, "%s\x1f%s\x1f%s", domain ? domain : "", name ? name : "",
                        overload ? overload : "");
}

static size_t side_of(const struct numbering *numbering, const struct graph *graph)
{
    return graph->model == numbering->models[1];
}

static struct number_function *find_function(const struct numbering *numbering,
                                             const struct node *node)
{
    const struct map *functions = &numbering->functions[side_of(numbering, node->graph)];
    if (!functions->count)
        return NULL;
    return map_get(functions, function_key(numbering->arena, node->proto->domain,
                                           node->proto->op_type, node->proto->overload));
}

struct graph *number_function_like(const struct numbering *numbering, size_t side,
                                   const Onnx__FunctionProto *function)
{
    const struct map *functions = &numbering->functions[side];
    const struct number_function *like =
        functions->count ? map_get(functions, function_key(numbering->arena, function->domain,
                                                           function->name, function->overload))
                         : NULL;
    return like ? like->graph : NULL;
}

struct graph *node_function(const struct numbering *numbering, const struct node *node)
{
    const struct number_function *function = find_function(numbering, node);
    return function ? function->graph : NULL;
}

void numbering_init(struct numbering *numbering, struct arena *arena, struct model *a,
                    struct model *b, bool folds, bool versions)
{
    *numbering =
        (struct numbering){.arena = arena, .models = {a, b}, .folds = folds, .versions = versions};
    numbering->secret = *landing_secret(arena->landing);
    struct number_entry *nobody = NEW(arena, struct number_entry);
    LIST_PUSH(arena, &numbering->entries, nobody);
    for (int side = 0; side < 2; side++) {
        const Onnx__ModelProto *proto = numbering->models[side]->proto;
        for (size_t i = 0; i < proto->n_opset_import; i++) {
            const char *domain = proto->opset_import[i]->domain;
            map_add(arena, &numbering->imports[side], domain ? domain : "", proto->opset_import[i]);
        }
        for (size_t i = 0; i < numbering->models[side]->graphs.count; i++) {
            struct graph *graph = numbering->models[side]->graphs.items[i];
            if (!graph->function)
                continue;
            struct number_function *function = NEW(arena, struct number_function);
            function->graph = graph;
            map_put(arena, &numbering->functions[side],
                    function_key(arena, graph->function->domain, graph->function->name,
                                 graph->function->overload),
                    function);
        }
    }
}

/* ---- constants ---- */

static void note_touch(void *closure, uint64_t bytes)
{
    struct numbering *numbering = closure;
    numbering->touched += bytes;
    if (numbering->touched < TOUCH_LIMIT)
        return;
    numbering->touched = 0;
    model_give_back(numbering->models[0]);
    model_give_back(numbering->models[1]);
}

uint32_t number_tensor(struct numbering *numbering, const struct tensor *tensor)
{
    struct digest digest;
    struct touch touch = {note_touch, numbering};
    if (!tensor_digest(tensor, &numbering->secret, &digest, &touch))
        return number_unique(numbering); /* nobody can say what it holds */
    /* Two contents of one digest take different turns. */
    for (uint64_t turn = 0;; turn++) {
        uint64_t words[] = {KIND_TENSOR, digest.low, digest.high, turn};
        struct key key = {numbering->arena, words, COUNT_OF(words), COUNT_OF(words)};
        struct number_entry *entry = intern(numbering, &key);
        if (!entry->tensor)
            entry->tensor = tensor;
        if (entry->tensor == tensor || tensor_same(entry->tensor, tensor, &touch))
            return entry->number;
    }
}

static uint32_t number_proto_tensor(struct numbering *numbering, struct model *model,
                                    const Onnx__TensorProto *proto)
{
    return proto ? number_tensor(numbering, model_tensor(model, proto)) : 0;
}

static uint32_t number_sparse(struct numbering *numbering, struct model *model,
                              const Onnx__SparseTensorProto *sparse)
{
    KEY_BEGIN(key);
    key_add(&key, KIND_SPARSE);
    key_add(&key, number_proto_tensor(numbering, model, sparse->values));
    key_add(&key, number_proto_tensor(numbering, model, sparse->indices));
    key_bytes(&key, sparse->dims, sparse->n_dims * sizeof(*sparse->dims));
    return intern(numbering, &key)->number;
}

bool value_is_stored(const struct value *value)
{
    bool overridable =
        value->is_initializer && value->is_input && value->graph->model->ir_version >= 4;
    return value->tensor && !overridable;
}

/* Of several of one name the first counts. */
static struct map sparse_by_name(struct numbering *numbering, const Onnx__GraphProto *proto)
{
    struct map map = {0};
    for (size_t i = 0; proto && i < proto->n_sparse_initializer; i++) {
        Onnx__SparseTensorProto *sparse = proto->sparse_initializer[i];
        if (sparse->values && sparse->values->name)
            map_add(numbering->arena, &map, sparse->values->name, sparse);
    }
    return map;
}

static uint32_t number_initializer(struct numbering *numbering, const struct value *value,
                                   const struct map *sparse)
{
    if (value->tensor)
        return number_tensor(numbering, value->tensor);
    const Onnx__SparseTensorProto *found = map_get(sparse, value->name);
    return found ? number_sparse(numbering, value->graph->model, found) : number_unique(numbering);
}

/* ---- graphs from outside ---- */

size_t graph_output_count(const struct graph *graph)
{
    return graph->proto ? graph->proto->n_output : graph->function->n_output;
}

struct value *graph_output(const struct graph *graph, size_t index)
{
    const char *name =
        graph->proto ? graph->proto->output[index]->name : graph->function->output[index];
    return name && name[0] ? graph_find(graph, name) : NULL;
}

size_t graph_input_count(const struct graph *graph)
{
    return graph->proto ? graph->proto->n_input : graph->function->n_input;
}

struct value *graph_input(const struct graph *graph, size_t index)
{
    const char *name =
        graph->proto ? graph->proto->input[index]->name : graph->function->input[index];
    return name && name[0] ? map_get(&graph->values, name) : NULL;
}

void number_start(struct numbering *numbering, struct graph *graph, uint32_t level)
{
    size_t inputs = graph_input_count(graph);
    for (size_t i = 0; (graph->owner || graph->function) && i < inputs; i++) {
        struct value *value = graph_input(graph, i);
        if (value)
            value->number = number_input(numbering, level, (uint32_t)i);
    }
    const struct map sparse = sparse_by_name(numbering, graph->proto);
    for (size_t i = 0; i < graph->initializers.count; i++) {
        struct value *value = graph->initializers.items[i];
        uint32_t constant = number_initializer(numbering, value, &sparse);
        if (value->is_input && value->graph->model->ir_version >= 4)
            value->number = intern_words(numbering, KIND_DEFAULTED, value->number, constant);
        else
            value->number = constant;
    }
}

uint32_t number_signature(struct numbering *numbering, const struct graph *graph)
{
    KEY_BEGIN(key);
    key_add(&key, graph->function ? KIND_FUNCTION : KIND_BODY);
    key_add(&key, graph_input_count(graph));
    for (size_t i = 0; i < graph_output_count(graph); i++) {
        const struct value *value = graph_output(graph, i);
        key_add(&key, value ? value->number : 0);
    }
    for (size_t i = 0; graph->function && i < graph->function->n_attribute; i++)
        key_add(&key, number_text(numbering, graph->function->attribute[i]));
    for (size_t i = 0; graph->function && i < graph->function->n_attribute_proto; i++)
        key_add(&key,
                number_attribute(numbering, graph->model, graph->function->attribute_proto[i]));
    return intern(numbering, &key)->number;
}

void number_graph(struct numbering *numbering, struct graph *graph, uint32_t level)
{
    number_start(numbering, graph, level);
    for (size_t i = 0; i < graph->order.count; i++)
        number_node(numbering, graph->order.items[i], level);
}

/* ---- attributes ---- */

/* What an absent attribute means. Text: a string, or "*1" for a list of nothing but that number. */
static const struct {
    enum op op; /* OP_UNKNOWN: any operator of the default domain in this table's group */
    const char *name, *value;
} defaults[] = {
    {OP_AveragePool, "auto_pad", "NOTSET"},
    {OP_AveragePool, "ceil_mode", "0"},
    {OP_AveragePool, "count_include_pad", "0"},
    {OP_AveragePool, "dilations", "*1"},
    {OP_AveragePool, "pads", "*0"},
    {OP_AveragePool, "strides", "*1"},
    {OP_BatchNormalization, "epsilon", "1e-5"},
    {OP_BatchNormalization, "momentum", "0.9"},
    {OP_BatchNormalization, "spatial", "1"},
    {OP_BatchNormalization, "training_mode", "0"},
    {OP_Conv, "auto_pad", "NOTSET"},
    {OP_Conv, "dilations", "*1"},
    {OP_Conv, "group", "1"},
    {OP_Conv, "pads", "*0"},
    {OP_Conv, "strides", "*1"},
    {OP_ConvTranspose, "auto_pad", "NOTSET"},
    {OP_ConvTranspose, "dilations", "*1"},
    {OP_ConvTranspose, "group", "1"},
    {OP_ConvTranspose, "output_padding", "*0"},
    {OP_ConvTranspose, "pads", "*0"},
    {OP_ConvTranspose, "strides", "*1"},
    {OP_Elu, "alpha", "1"},
    {OP_Flatten, "axis", "1"},
    {OP_Gather, "axis", "0"},
    {OP_Gelu, "approximate", "none"},
    {OP_Gemm, "alpha", "1"},
    {OP_Gemm, "beta", "1"},
    {OP_Gemm, "transA", "0"},
    {OP_Gemm, "transB", "0"},
    {OP_HardSigmoid, "alpha", "0.2"},
    {OP_HardSigmoid, "beta", "0.5"},
    {OP_LeakyRelu, "alpha", "0.01"},
    {OP_MaxPool, "auto_pad", "NOTSET"},
    {OP_MaxPool, "ceil_mode", "0"},
    {OP_MaxPool, "dilations", "*1"},
    {OP_MaxPool, "pads", "*0"},
    {OP_MaxPool, "storage_order", "0"},
    {OP_MaxPool, "strides", "*1"},
    {OP_Mod, "fmod", "0"},
    {OP_Pad, "mode", "constant"},
    {OP_ReduceMean, "keepdims", "1"},
    {OP_ReduceMean, "noop_with_empty_axes", "0"},
    {OP_ReduceProd, "keepdims", "1"},
    {OP_ReduceProd, "noop_with_empty_axes", "0"},
    {OP_ReduceSum, "keepdims", "1"},
    {OP_ReduceSum, "noop_with_empty_axes", "0"},
    {OP_Reshape, "allowzero", "0"},
    {OP_Shape, "start", "0"},
};

static bool says(const Onnx__AttributeProto *attribute, const char *value)
{
    if (value[0] == '*') {
        for (size_t i = 0; i < attribute->n_ints; i++)
            if (attribute->ints[i] != value[1] - '0')
                return false;
        return attribute->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS;
    }
    switch (attribute->type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT: return attribute->i == strtol(value, NULL, 10);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT: return attribute->f == strtof(value, NULL);
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        return attribute->s.len == strlen(value) &&
               memcmp(attribute->s.data, value, attribute->s.len) == 0;
    default: return false;
    }
}

/* kernel_shape of a Conv repeats what the weight says. */
static bool repeats_weight(const struct node *node, const Onnx__AttributeProto *attribute)
{
    const struct value *weight = node_input(node, 1);
    if ((node->op != OP_Conv && node->op != OP_ConvTranspose) ||
        strcmp(attribute->name, "kernel_shape") != 0 || !weight || !value_is_stored(weight) ||
        (size_t)weight->tensor->rank != attribute->n_ints + 2)
        return false;
    for (size_t i = 0; i < attribute->n_ints; i++)
        if (attribute->ints[i] != weight->tensor->dims[i + 2])
            return false;
    return true;
}

bool attribute_is_default(const struct node *node, const Onnx__AttributeProto *attribute)
{
    const char *name = attribute->name;
    if (node->op == OP_UNKNOWN || !name ||
        (attribute->ref_attr_name && attribute->ref_attr_name[0]))
        return false;
    for (size_t i = 0; i < COUNT_OF(defaults); i++)
        if (defaults[i].op == node->op && strcmp(defaults[i].name, name) == 0)
            return says(attribute, defaults[i].value);
    return repeats_weight(node, attribute);
}

static void attribute_contents(struct numbering *numbering, struct model *model, struct key *key,
                               const Onnx__AttributeProto *attribute)
{
    key_add(key, attribute->type);
    switch (attribute->type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT: key_add(key, (uint64_t)attribute->i); break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT: key_bytes(key, &attribute->f, 4); break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        key_bytes(key, attribute->s.data, attribute->s.len);
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
        key_bytes(key, attribute->ints, attribute->n_ints * sizeof(int64_t));
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
        key_bytes(key, attribute->floats, attribute->n_floats * sizeof(float));
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS:
        for (size_t i = 0; i < attribute->n_strings; i++)
            key_bytes(key, attribute->strings[i].data, attribute->strings[i].len);
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
        key_add(key, number_proto_tensor(numbering, model, attribute->t));
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSORS:
        for (size_t i = 0; i < attribute->n_tensors; i++)
            key_add(key, number_proto_tensor(numbering, model, attribute->tensors[i]));
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSOR:
        key_add(key, attribute->sparse_tensor
                         ? number_sparse(numbering, model, attribute->sparse_tensor)
                         : 0);
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__SPARSE_TENSORS:
        for (size_t i = 0; i < attribute->n_sparse_tensors; i++)
            key_add(key, number_sparse(numbering, model, attribute->sparse_tensors[i]));
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TYPE_PROTO: {
        /* Rare, and small: its encoding will do. */
        const Onnx__TypeProto *type = attribute->tp;
        size_t size = type ? onnx__type_proto__get_packed_size(type) : 0;
        uint8_t *bytes = arena_alloc(numbering->arena, size + 1, 1);
        if (type)
            onnx__type_proto__pack(type, bytes);
        key_bytes(key, bytes, size);
        break;
    }
    default: break; /* bodies are numbered with their node */
    }
}

uint32_t number_attribute(struct numbering *numbering, struct model *model,
                          const Onnx__AttributeProto *attribute)
{
    KEY_BEGIN(key);
    key_add(&key, KIND_ATTRIBUTE);
    key_text(&key, attribute->name);
    key_text(&key, attribute->ref_attr_name);
    attribute_contents(numbering, model, &key, attribute);
    return intern(numbering, &key)->number;
}

/* ---- nodes ---- */

/* Their results differ from call to call. */
static bool node_draws(const struct node *node)
{
    static const char *const random[] = {"Bernoulli",        "Dropout",       "Multinomial",
                                         "RandomNormal",     "RandomUniform", "RandomNormalLike",
                                         "RandomUniformLike"};
    for (size_t i = 0; i < COUNT_OF(random); i++)
        if (node->proto->op_type && strcmp(random[i], node->proto->op_type) == 0)
            return true;
    return false;
}

bool node_commutes(const struct node *node)
{
    static const char *const names[] = {"And", "Max", "Min", "Or", "Xor"};
    if (node->proto->n_input != 2 || node->opset == 0)
        return false;
    if (node->op == OP_Add || node->op == OP_Mul || node->op == OP_Equal || node->op == OP_Sum ||
        node->op == OP_Mean)
        return true;
    for (size_t i = 0; node->op == OP_UNKNOWN && i < COUNT_OF(names); i++)
        if (node->proto->op_type && strcmp(names[i], node->proto->op_type) == 0)
            return true;
    return false;
}

/* Operators that have meant the same since OPSET_OLDEST, as far as a node can be written in both. */
static bool keeps_meaning(enum op op)
{
    switch (op) {
    case OP_Abs:
    case OP_Add:
    case OP_Ceil:
    case OP_Concat:
    case OP_Constant:
    case OP_Conv:
    case OP_ConvTranspose:
    case OP_Div:
    case OP_Elu:
    case OP_Equal:
    case OP_Erf:
    case OP_Exp:
    case OP_Expand:
    case OP_Flatten:
    case OP_Floor:
    case OP_Gather:
    case OP_Gemm:
    case OP_GlobalAveragePool:
    case OP_Identity:
    case OP_LeakyRelu:
    case OP_Log:
    case OP_MatMul:
    case OP_Mul:
    case OP_Neg:
    case OP_PRelu:
    case OP_Pow:
    case OP_Reciprocal:
    case OP_Relu:
    case OP_Sigmoid:
    case OP_Softplus:
    case OP_Softsign:
    case OP_Sqrt:
    case OP_Sub:
    case OP_Sum:
    case OP_Tanh:
    case OP_Tile:
    case OP_Transpose:
    case OP_Where: return true;
    default: return false;
    }
}

static int64_t version_of(const struct numbering *numbering, const struct node *node)
{
    const char *domain = node->proto->domain ? node->proto->domain : "";
    if (node->opset)
        return keeps_meaning(node->op) ? 0 : node->opset;
    const Onnx__OperatorSetIdProto *imported =
        map_get(&numbering->imports[side_of(numbering, node->graph)], domain);
    return imported ? imported->version : -1;
}

size_t node_input_end(const struct node *node)
{
    size_t count = node->input_count;
    while (count && !node->inputs[count - 1])
        count--;
    return count;
}

static int by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* "" and "ai.onnx" are one domain. */
static const char *domain_of(const struct node *node)
{
    const char *domain = node->proto->domain ? node->proto->domain : "";
    return strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

uint32_t number_operator(struct numbering *numbering, const struct node *node)
{
    KEY_BEGIN(key);
    key_add(&key, KIND_OPERATOR);
    key_text(&key, domain_of(node));
    key_text(&key, node->proto->op_type);
    key_text(&key, node->proto->overload);
    key_add(&key, numbering->versions ? (uint64_t)version_of(numbering, node) : 0);
    /* Optional results that nobody asks for change nothing, save for these operators' modes. */
    size_t outputs = 0;
    for (size_t i = 0; i < node->output_count; i++)
        outputs += node->outputs[i] != NULL;
    bool optional = node->op == OP_Dropout || node->op == OP_MaxPool;
    key_add(&key, optional ? 0 : outputs);
    size_t first = key.count;
    for (size_t i = 0; i < node->proto->n_attribute; i++)
        if (!attribute_is_default(node, node->proto->attribute[i]))
            key_add(&key,
                    number_attribute(numbering, node->graph->model, node->proto->attribute[i]));
    if (key.count > first)
        qsort(key.items + first, key.count - first, sizeof(*key.items), by_number);
    return intern(numbering, &key)->number;
}

/* A body goes by the name of its attribute. */
static void add_bodies(struct numbering *numbering, struct key *key, const struct node *node,
                       uint32_t level)
{
    size_t body = 0, first = key->count;
    for (size_t i = 0; i < node->proto->n_attribute; i++) {
        const Onnx__AttributeProto *attribute = node->proto->attribute[i];
        size_t count = (attribute->g != NULL) + attribute->n_graphs;
        for (size_t k = 0; k < count; k++) {
            struct graph *graph = node->bodies[body++];
            number_graph(numbering, graph, level + 1);
            key_add(key, intern_words(numbering, KIND_BODY,
                                      (uint64_t)number_text(numbering, attribute->name) << 32 | k,
                                      number_signature(numbering, graph)));
        }
    }
    if (key->count > first)
        qsort(key->items + first, key->count - first, sizeof(*key->items), by_number);
}

static uint32_t function_signature(struct numbering *numbering, struct number_function *function)
{
    if (!function || function->open)
        return 0;
    if (!function->signature && numbering->calls == CALLS_DEEP)
        return number_unique(numbering);
    if (!function->signature) {
        numbering->calls++;
        function->open = true;
        number_graph(numbering, function->graph, NUMBER_FUNCTION_LEVEL);
        function->signature = number_signature(numbering, function->graph);
        function->open = false;
        numbering->calls--;
    }
    return function->signature;
}

static uint32_t call_signature(struct numbering *numbering, const struct node *node)
{
    return function_signature(numbering, find_function(numbering, node));
}

void number_functions(struct numbering *numbering)
{
    /* In the file's order: where the map has them changes from run to run. */
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < numbering->models[side]->graphs.count; i++) {
            const Onnx__FunctionProto *function =
                numbering->models[side]->graphs.items[i]->function;
            if (function)
                function_signature(numbering,
                                   map_get(&numbering->functions[side],
                                           function_key(numbering->arena, function->domain,
                                                        function->name, function->overload)));
        }
}

void number_adopt_function(struct numbering *numbering, const struct node *node,
                           const struct node *model)
{
    struct number_function *function = find_function(numbering, node);
    if (function)
        function->signature = call_signature(numbering, model);
}

/* What operators make of constants. */
static bool fold_outputs(struct numbering *numbering, const struct node *node)
{
    bool all = numbering->folds;
    for (size_t i = 0; all && i < node->output_count; i++) {
        const struct tensor *tensor;
        struct value *value = node->outputs[i];
        if (!value)
            continue;
        all = !constant_of(value, &tensor) && tensor_is_readable(tensor);
        if (all)
            value->number = number_tensor(numbering, tensor);
    }
    return all;
}

void number_node(struct numbering *numbering, struct node *node, uint32_t level)
{
    struct value *first = node_output(node, 0);
    if (node->op == OP_Constant && first && first->tensor) {
        first->number = number_tensor(numbering, first->tensor);
        return;
    }
    if (fold_outputs(numbering, node))
        return;
    KEY_BEGIN(key);
    key_add(&key, KIND_NODE);
    key_add(&key, number_operator(numbering, node));
    key_add(&key, call_signature(numbering, node));
    size_t inputs = node_input_end(node);
    key_add(&key, inputs);
    size_t at = key.count;
    for (size_t i = 0; i < inputs; i++) {
        struct value *value = node->inputs[i];
        if (value && !value->number)
            value->number =
                intern_words(numbering, KIND_UNKNOWN, number_text(numbering, value->name), 0);
        key_add(&key, value ? value->number : 0);
    }
    if (node_commutes(node))
        qsort(key.items + at, inputs, sizeof(*key.items), by_number);
    add_bodies(numbering, &key, node, level);
    struct number_entry *entry = intern(numbering, &key);
    /* A node that draws is the same draw when it is numbered again. */
    const struct number_entry *before = numbering->entries.items[node->number];
    bool again = node->number && before->words > 1 && entry_word(before, 0) == KIND_DRAW &&
                 entry_word(before, 1) == entry->number;
    if (!node_draws(node))
        node->number = entry->number;
    else if (!again)
        node->number = intern_words(numbering, KIND_DRAW, entry->number,
                                    entry->draws[side_of(numbering, node->graph)]++);
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i])
            node->outputs[i]->number = intern_words(numbering, KIND_OUTPUT, node->number, i);
}
