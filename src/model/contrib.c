/* model/contrib.c: replaces operators of ONNX Runtime's optimizer by the ONNX operators that they fused, after
 * docs/ContribOperators.md of ONNX Runtime. */
#include "model/contrib.h"

#include <math.h>

static const char domain[] = "com.microsoft";

struct nodes {
    Onnx__NodeProto **items;
    size_t count, room;
};

/* One node that is being replaced. */
struct expansion {
    struct arena *arena;
    const Onnx__GraphProto *graph;
    Onnx__NodeProto *node;
    struct nodes *out;
    int64_t opset;
    size_t names; /* made so far */
};

static bool is_named(const char *a, const char *b)
{
    return strcmp(a ? a : "", b) == 0;
}

static const Onnx__AttributeProto *attribute_of(const Onnx__NodeProto *node, const char *name)
{
    for (size_t i = 0; i < node->n_attribute; i++)
        if (is_named(node->attribute[i]->name, name))
            return node->attribute[i];
    return NULL;
}

static double number_of(const Onnx__NodeProto *node, const char *name, double otherwise)
{
    const Onnx__AttributeProto *attribute = attribute_of(node, name);
    return attribute ? (double)attribute->f : otherwise;
}

static bool flag_of(const Onnx__NodeProto *node, const char *name)
{
    const Onnx__AttributeProto *attribute = attribute_of(node, name);
    return attribute && attribute->i;
}

/* An input that is there, or NULL. */
static char *input_of(const struct expansion *expansion, size_t index)
{
    const Onnx__NodeProto *node = expansion->node;
    return index < node->n_input && node->input[index][0] ? node->input[index] : NULL;
}

/* ---- making nodes ---- */

static char *between(struct expansion *expansion)
{
    return (char *)(uintptr_t)arena_format(expansion->arena, "%s::%zu", expansion->node->output[0], ++expansion->names);
}

/* A node of up to three inputs, NULL behind the last. Without an output it gets a new one, which is returned. */
static char *make(struct expansion *expansion, const char *type, char *a, char *b, char *c, char *output)
{
    struct arena *arena = expansion->arena;
    Onnx__NodeProto *node = NEW(arena, Onnx__NodeProto);
    *node = (Onnx__NodeProto)ONNX__NODE_PROTO__INIT;
    node->op_type = (char *)(uintptr_t)type;
    node->name = expansion->node->name;
    node->input = NEW_ARRAY(arena, char *, 3);
    node->output = NEW_ARRAY(arena, char *, 1);
    node->output[0] = output ? output : between(expansion);
    node->n_output = 1;
    char *const inputs[] = {a, b, c};
    for (size_t i = 0; i < COUNT_OF(inputs) && inputs[i]; i++)
        node->input[node->n_input++] = inputs[i];
    LIST_PUSH(arena, expansion->out, node);
    return node->output[0];
}

static Onnx__AttributeProto *give(struct expansion *expansion, const char *name, int type)
{
    struct arena *arena = expansion->arena;
    Onnx__NodeProto *node = expansion->out->items[expansion->out->count - 1];
    Onnx__AttributeProto **grown = NEW_ARRAY(arena, Onnx__AttributeProto *, node->n_attribute + 1);
    if (node->n_attribute)
        memcpy(grown, node->attribute, node->n_attribute * sizeof(*grown));
    Onnx__AttributeProto *attribute = grown[node->n_attribute++] = NEW(arena, Onnx__AttributeProto);
    *attribute = (Onnx__AttributeProto)ONNX__ATTRIBUTE_PROTO__INIT;
    attribute->name = (char *)(uintptr_t)name;
    attribute->type = type;
    node->attribute = grown;
    return attribute;
}

static void give_number(struct expansion *expansion, const char *name, double number)
{
    give(expansion, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT)->f = (float)number;
}

/* A number of the type of `like`. */
static char *number(struct expansion *expansion, double value, char *like)
{
    enum { CAST_LIKE_SINCE = 15 };
    char *made = make(expansion, "Constant", NULL, NULL, NULL, NULL);
    give_number(expansion, "value_float", value);
    return expansion->opset < CAST_LIKE_SINCE ? made : make(expansion, "CastLike", made, like, NULL, NULL);
}

/* ---- the operators ---- */

/* The activation of a fused node; "" is none. False: an unknown one. */
static bool activate(struct expansion *expansion, char *x, char *output)
{
    const Onnx__AttributeProto *name = attribute_of(expansion->node, "activation");
    const Onnx__AttributeProto *held = attribute_of(expansion->node, "activation_params");
    double first =
        held && held->n_floats > 0 ? (double)held->floats[0] : number_of(expansion->node, "activation_alpha", 0.01);
    double second =
        held && held->n_floats > 1 ? (double)held->floats[1] : number_of(expansion->node, "activation_beta", 0);
    static const char *const plain[] = {"Relu", "Sigmoid", "Tanh"};
    char type[16] = "";
    if (name && name->s.len >= sizeof(type))
        return false;
    if (name)
        memcpy(type, name->s.data, name->s.len);
    for (size_t i = 0; i < COUNT_OF(plain); i++)
        if (is_named(type, plain[i]))
            return make(expansion, plain[i], x, NULL, NULL, output);
    if (is_named(type, "LeakyRelu")) {
        make(expansion, "LeakyRelu", x, NULL, NULL, output);
        give_number(expansion, "alpha", first);
        return true;
    }
    if (is_named(type, "HardSigmoid")) {
        make(expansion, "HardSigmoid", x, NULL, NULL, output);
        give_number(expansion, "alpha", first);
        give_number(expansion, "beta", second);
        return true;
    }
    if (is_named(type, "Clip") && held && held->n_floats == 2) {
        char *least = number(expansion, first, x), *most = number(expansion, second, x);
        return make(expansion, "Clip", x, least, most, output);
    }
    return false;
}

/* The attributes of the node that the plain operator has too. */
static void hand_on(struct expansion *expansion)
{
    const Onnx__NodeProto *fused = expansion->node;
    Onnx__NodeProto *node = expansion->out->items[expansion->out->count - 1];
    node->attribute = NEW_ARRAY(expansion->arena, Onnx__AttributeProto *, fused->n_attribute + 1);
    for (size_t i = 0; i < fused->n_attribute; i++)
        if (strncmp(fused->attribute[i]->name ? fused->attribute[i]->name : "", "activation", 10) != 0)
            node->attribute[node->n_attribute++] = fused->attribute[i];
}

/* Y = activation(Conv(X, W, B) + Z) */
static bool expand_conv(struct expansion *expansion)
{
    char *x = input_of(expansion, 0), *w = input_of(expansion, 1);
    if (!x || !w)
        return false;
    char *y = make(expansion, "Conv", x, w, input_of(expansion, 2), NULL);
    hand_on(expansion);
    if (input_of(expansion, 3))
        y = make(expansion, "Add", y, input_of(expansion, 3), NULL, NULL);
    return activate(expansion, y, expansion->node->output[0]);
}

static bool expand_gemm(struct expansion *expansion)
{
    char *a = input_of(expansion, 0), *b = input_of(expansion, 1);
    if (!a || !b)
        return false;
    char *y = make(expansion, "Gemm", a, b, input_of(expansion, 2), NULL);
    hand_on(expansion);
    return activate(expansion, y, expansion->node->output[0]);
}

/* The declared rank of a value, or -1. */
static int rank_of(const struct expansion *expansion, const char *name)
{
    const Onnx__GraphProto *graph = expansion->graph;
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (is_named(graph->initializer[i]->name, name))
            return (int)graph->initializer[i]->n_dims;
    const struct {
        Onnx__ValueInfoProto *const *items;
        size_t count;
    } told[] = {{graph->input, graph->n_input}, {graph->value_info, graph->n_value_info}};
    for (size_t k = 0; k < COUNT_OF(told); k++)
        for (size_t i = 0; i < told[k].count; i++) {
            const Onnx__TypeProto *type = told[k].items[i]->type;
            if (is_named(told[k].items[i]->name, name) && type &&
                type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE && type->tensor_type->shape)
                return (int)type->tensor_type->shape->n_dim;
        }
    return -1;
}

/* The last two axes change places. NULL: the rank is not known. */
static char *transposed(struct expansion *expansion, char *name)
{
    enum { RANK_MOST = 16 };
    int rank = rank_of(expansion, name);
    if (rank < 2 || rank > RANK_MOST)
        return NULL;
    char *made = make(expansion, "Transpose", name, NULL, NULL, NULL);
    Onnx__AttributeProto *axes = give(expansion, "perm", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    axes->n_ints = (size_t)rank;
    axes->ints = NEW_ARRAY(expansion->arena, int64_t, rank);
    for (int i = 0; i < rank; i++)
        axes->ints[i] = i < rank - 2 ? i : 2 * rank - 3 - i;
    return made;
}

/* alpha * A' B' */
static bool expand_matmul(struct expansion *expansion)
{
    const Onnx__NodeProto *node = expansion->node;
    char *a = input_of(expansion, 0), *b = input_of(expansion, 1);
    double alpha = number_of(node, "alpha", 1);
    if (!a || !b || flag_of(node, "transBatchA") || flag_of(node, "transBatchB"))
        return false;
    static const char *const equations[2][2] = {{NULL, "...ij,...kj->...ik"},
                                                {"...ji,...jk->...ik", "...ji,...kj->...ik"}};
    bool turns[2] = {flag_of(node, "transA"), flag_of(node, "transB")};
    bool ranked = (!turns[0] || rank_of(expansion, a) > 1) && (!turns[1] || rank_of(expansion, b) > 1);
    const char *equation = equations[turns[0]][turns[1]];
    char *last = expansion->node->output[0];
    if (ranked && turns[0])
        a = transposed(expansion, a);
    if (ranked && turns[1])
        b = transposed(expansion, b);
    if (!a || !b)
        return false;
    char *y = make(expansion, ranked ? "MatMul" : "Einsum", a, b, NULL, alpha == 1 ? last : NULL);
    if (!ranked && equation) {
        Onnx__AttributeProto *text = give(expansion, "equation", ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
        text->s.data = (uint8_t *)(uintptr_t)equation;
        text->s.len = strlen(equation);
    }
    return alpha == 1 || make(expansion, "Mul", y, number(expansion, alpha, y), NULL, last);
}

/* x * Phi(x), and the same of x + bias. */
static bool expand_gelu(struct expansion *expansion)
{
    char *x = input_of(expansion, 0);
    if (!x)
        return false;
    if (input_of(expansion, 1))
        x = make(expansion, "Add", x, input_of(expansion, 1), NULL, NULL);
    char *y = make(expansion, "Div", x, number(expansion, sqrt(2), x), NULL, NULL);
    y = make(expansion, "Erf", y, NULL, NULL, NULL);
    y = make(expansion, "Add", y, number(expansion, 1, x), NULL, NULL);
    y = make(expansion, "Mul", x, y, NULL, NULL);
    return make(expansion, "Mul", y, number(expansion, 0.5, x), NULL, expansion->node->output[0]);
}

/* x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))), of x + bias */
static bool expand_fast_gelu(struct expansion *expansion)
{
    char *x = input_of(expansion, 0);
    if (!x)
        return false;
    if (input_of(expansion, 1))
        x = make(expansion, "Add", x, input_of(expansion, 1), NULL, NULL);
    char *y = make(expansion, "Mul", x, x, NULL, NULL);
    y = make(expansion, "Mul", y, x, NULL, NULL);
    y = make(expansion, "Mul", y, number(expansion, 0.044715, x), NULL, NULL);
    y = make(expansion, "Add", x, y, NULL, NULL);
    y = make(expansion, "Mul", y, number(expansion, 0.7978845608028654, x), NULL, NULL);
    y = make(expansion, "Tanh", y, NULL, NULL, NULL);
    y = make(expansion, "Add", y, number(expansion, 1, x), NULL, NULL);
    y = make(expansion, "Mul", x, y, NULL, NULL);
    return make(expansion, "Mul", y, number(expansion, 0.5, x), NULL, expansion->node->output[0]);
}

/* x * sigmoid(alpha * x) */
static bool expand_quick_gelu(struct expansion *expansion)
{
    char *x = input_of(expansion, 0), *y = x;
    double alpha = number_of(expansion->node, "alpha", 1.702);
    if (!x)
        return false;
    if (alpha != 1)
        y = make(expansion, "Mul", x, number(expansion, alpha, x), NULL, NULL);
    y = make(expansion, "Sigmoid", y, NULL, NULL, NULL);
    return make(expansion, "Mul", x, y, NULL, expansion->node->output[0]);
}

/* LayerNormalization(input + skip + bias), gamma, beta; the sum is the fourth output. */
static bool expand_skip_norm(struct expansion *expansion)
{
    const Onnx__NodeProto *node = expansion->node;
    char *x = input_of(expansion, 0), *skip = input_of(expansion, 1), *gamma = input_of(expansion, 2);
    enum { SUM = 3 };
    if (!x || !skip || !gamma || expansion->opset < 17)
        return false;
    for (size_t i = 1; i < node->n_output && i < SUM; i++)
        if (node->output[i][0])
            return false;
    char *sum = node->n_output > SUM && node->output[SUM][0] ? node->output[SUM] : NULL;
    char *bias = input_of(expansion, 4);
    char *y = make(expansion, "Add", x, skip, NULL, bias ? NULL : sum);
    if (bias)
        y = make(expansion, "Add", y, bias, NULL, sum);
    make(expansion, "LayerNormalization", y, gamma, input_of(expansion, 3), node->output[0]);
    give_number(expansion, "epsilon", number_of(node, "epsilon", 1e-12));
    return true;
}

static const struct {
    const char *type;
    bool (*expand)(struct expansion *expansion);
} operators[] = {
    {"BiasGelu", expand_gelu},        {"FastGelu", expand_fast_gelu},
    {"FusedConv", expand_conv},       {"FusedGemm", expand_gemm},
    {"FusedMatMul", expand_matmul},   {"Gelu", expand_gelu},
    {"QuickGelu", expand_quick_gelu}, {"SkipLayerNormalization", expand_skip_norm},
};

static void expand_graph(struct model *model, Onnx__GraphProto *graph, int64_t opset)
{
    struct nodes out = {NULL, 0, 0};
    bool changed = false;
    for (size_t i = 0; i < graph->n_node; i++) {
        Onnx__NodeProto *node = graph->node[i];
        size_t before = out.count;
        bool done = false;
        for (size_t k = 0; k < node->n_attribute; k++) {
            if (node->attribute[k]->g)
                expand_graph(model, node->attribute[k]->g, opset);
            for (size_t g = 0; g < node->attribute[k]->n_graphs; g++)
                expand_graph(model, node->attribute[k]->graphs[g], opset);
        }
        for (size_t k = 0; k < COUNT_OF(operators) && !done; k++) {
            struct expansion expansion = {
                .arena = model->arena, .graph = graph, .node = node, .out = &out, .opset = opset};
            done = is_named(node->domain, domain) && is_named(node->op_type, operators[k].type) && node->n_output > 0 &&
                   node->output[0][0] && operators[k].expand(&expansion);
        }
        changed = changed || done;
        if (done)
            continue;
        out.count = before;
        LIST_PUSH(model->arena, &out, node);
    }
    if (!changed)
        return;
    graph->node = out.items;
    graph->n_node = out.count;
}

void contrib_expand(struct model *model)
{
    Onnx__ModelProto *proto = model->proto;
    int64_t opset = 0;
    bool imports = false;
    for (size_t i = 0; i < proto->n_opset_import; i++) {
        if (!operator_domain(proto->opset_import[i]->domain)[0])
            opset = proto->opset_import[i]->version;
        imports = imports || is_named(proto->opset_import[i]->domain, domain);
    }
    for (size_t i = 0; i < proto->n_functions; i++)
        imports = imports && !is_named(proto->functions[i]->domain, domain);
    if (imports && opset >= 12 && opset <= OPSET_NEWEST && proto->graph)
        expand_graph(model, proto->graph, opset);
}
