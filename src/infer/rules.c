/* infer/rules.c: rules of ONNX that a file may break and still be read. */
#include "infer/rules.h"

#include "model/operator_schema.h"

static bool has_function(const struct node *node)
{
    const Onnx__ModelProto *proto = node->graph->model->proto;
    for (size_t i = 0; i < proto->n_functions; i++) {
        const Onnx__FunctionProto *function = proto->functions[i];
        if (!operator_domain(function->domain)[0] && function->name &&
            strcmp(function->name, node->proto->op_type) == 0)
            return true;
    }
    return false;
}

/* An input or output of an operator: its type and its description. */
struct place {
    const struct value *value;
    const char *kind;
    size_t index;
};

/* Notes the types of some values by their letters. Returns what is wrong with one. */
static const char *check_types(struct arena *arena, const struct node *node, const char **letters,
                               struct value *const *values, size_t count, const char *kind, struct place *first)
{
    const char *at = *letters;
    for (size_t i = 0; i < count && *at && *at != '>'; i++) {
        const struct value *value = values[i];
        if (*at != '.' && value && value->type) {
            struct place *place = &first[*at - 'A'];
            if (!place->value)
                *place = (struct place){value, kind, i};
            else if (place->value->type != value->type)
                return arena_format(arena,
                                    "%s %zu ('%s') is of type %s, and %s %zu ('%s') of type %s: %s takes one "
                                    "type for both",
                                    place->kind, place->index, place->value->name, type_name(place->value->type), kind,
                                    i, value->name, type_name(value->type), node->proto->op_type);
        }
        if (at[1] != '*')
            at++;
    }
    while (*at && *at != '>')
        at++;
    *letters = at + (*at == '>');
    return NULL;
}

/* The declared type of a value may differ from the one that the operator's rule gives. */
static const char *check_declared(struct arena *arena, const struct node *node)
{
    for (size_t i = 0; i < node->output_count; i++) {
        const struct value *value = node->outputs[i];
        if (value && value->made_type)
            return arena_format(arena, "output %zu ('%s') is declared as %s, and %s makes %s", i, value->name,
                                type_name(value->type), node->proto->op_type, type_name(value->made_type));
    }
    return NULL;
}

static const char *check_attributes(struct arena *arena, const struct node *node, const struct operator_schema *schema)
{
    const Onnx__NodeProto *proto = node->proto;
    for (size_t i = 0; i < proto->n_attribute; i++) {
        const char *name = proto->attribute[i]->name;
        if (name && !operator_has_attribute(schema, name))
            return arena_format(arena, "%s of opset %lld has no attribute '%s'", proto->op_type, (long long)node->opset,
                                name);
    }
    return NULL;
}

const char *rules_node(struct arena *arena, const struct node *node)
{
    const char *type = node->proto->op_type;
    if (!type || node->opset < OPSET_OLDEST || node->opset > OPSET_NEWEST)
        return NULL;
    const struct operator_schema *schema = operator_schema(node->proto->domain, type, node->opset);
    if ((!schema || schema->since > node->opset || !schema->types[0]) && has_function(node))
        return NULL;
    if (!schema)
        return arena_format(arena, "ai.onnx has no operator %s", type);
    if (schema->since > node->opset)
        return arena_format(arena, "%s is an operator of opset %d and later, and opset %lld is imported", type,
                            schema->since, (long long)node->opset);
    if (!schema->types[0])
        return arena_format(arena, "%s is not an operator since opset %d, and the model imports opset %lld", type,
                            schema->since, (long long)node->opset);
    struct place first['Z' - 'A' + 1] = {{NULL, NULL, 0}};
    const char *letters = schema->types;
    const char *reason = check_types(arena, node, &letters, node->inputs, node->input_count, "input", first);
    if (!reason)
        reason = check_types(arena, node, &letters, node->outputs, node->output_count, "output", first);
    if (!reason)
        reason = check_attributes(arena, node, schema);
    return reason ? reason : check_declared(arena, node);
}

const char *rules_model(struct arena *arena, const struct model *model)
{
    for (size_t g = 0; g < model->graphs.count; g++) {
        const struct graph *graph = model->graphs.items[g];
        for (size_t i = 0; i < graph->node_count; i++) {
            const struct node *node = graph->nodes[i];
            const char *reason = rules_node(arena, node);
            const struct value *output = node_output(node, 0);
            if (reason)
                return arena_format(arena, "%s '%s' -> '%s' (graph %s): %s", node->proto->op_type,
                                    node->proto->name ? node->proto->name : "", output ? output->name : "", graph->name,
                                    reason);
        }
    }
    return NULL;
}
