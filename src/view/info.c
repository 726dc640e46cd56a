/* view/info.c: one model told as lines and as JSON. Schema: docs/info.md. */
#include <inttypes.h>

#include "base/decimal.h"
#include "model/external.h"
#include "report/equalized.h"
#include "view/range.h"

/* ---- what the run does not know yet ---- */

static void add_range(const struct plan *plan, struct info *info, const struct node *node, info_ranges *ranges)
{
    struct info_range range;
    if (info_range_of(plan->model, node, &info->rooms, &range))
        LIST_PUSH(plan->model->arena, ranges, range);
}

void info_collect(const struct plan *plan, struct info *info)
{
    *info = (struct info){0};
    for (const struct external_file *file = plan->model->folder ? plan->model->folder->files : NULL; file;
         file = file->next)
        info->external_bytes += file->mapping.size;
    for (size_t i = 0; i < plan->fusions.count; i++) {
        const struct fusion *fusion = plan->fusions.items[i];
        if (!fusion_is_live(fusion))
            continue;
        struct info_region region = {.fusion = fusion};
        const struct node **replaced = fusion_replaced(plan, fusion);
        for (size_t k = 0; k < fusion->replaced.count; k++)
            add_range(plan, info, replaced[k], &region.before);
        for (size_t k = 0; k < fusion->made.count; k++)
            add_range(plan, info, fusion->made.items[k], &region.after);
        LIST_PUSH(plan->model->arena, &info->regions, region);
        model_give_back(plan->model);
    }
}

static const char *op_of(const struct node *node)
{
    return node->proto->op_type ? node->proto->op_type : "";
}

static const char *name_of(const struct node *node)
{
    return node->proto->name ? node->proto->name : "";
}

/* An initializer that is listed among the inputs has a value already. */
static bool is_true_input(const struct plan *plan, const Onnx__ValueInfoProto *info)
{
    const struct value *value = graph_find(plan->model->graphs.items[0], info->name ? info->name : "");
    return !value || !value->is_initializer;
}

/* ---- types ---- */

/* float, seq(float), ...: without the shape. */
static void print_type(struct text *text, const Onnx__TypeProto *type)
{
    switch (type ? type->value_case : ONNX__TYPE_PROTO__VALUE__NOT_SET) {
    case ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE: text_print(text, "%s", type_name(type->tensor_type->elem_type)); break;
    case ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE:
        text_print(text, "sparse_tensor(%s)", type_name(type->sparse_tensor_type->elem_type));
        break;
    case ONNX__TYPE_PROTO__VALUE_SEQUENCE_TYPE:
        text_print(text, "seq(");
        print_type(text, type->sequence_type->elem_type);
        text_print(text, ")");
        break;
    case ONNX__TYPE_PROTO__VALUE_OPTIONAL_TYPE:
        text_print(text, "optional(");
        print_type(text, type->optional_type->elem_type);
        text_print(text, ")");
        break;
    case ONNX__TYPE_PROTO__VALUE_MAP_TYPE:
        text_print(text, "map(%s, ", type_name(type->map_type->key_type));
        print_type(text, type->map_type->value_type);
        text_print(text, ")");
        break;
    case ONNX__TYPE_PROTO__VALUE_OPAQUE_TYPE: text_print(text, "opaque"); break;
    default: text_print(text, "unknown");
    }
}

/* The shape of a tensor, or NULL: not known, or no tensor. */
static const Onnx__TensorShapeProto *shape_of(const Onnx__TypeProto *type)
{
    if (type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
        return type->tensor_type->shape;
    if (type && type->value_case == ONNX__TYPE_PROTO__VALUE_SPARSE_TENSOR_TYPE)
        return type->sparse_tensor_type->shape;
    return NULL;
}

/* "Mul 'node' -> 'y': why" */
static const char *warning_text(struct arena *arena, const struct refusal *warning)
{
    const struct node *node = warning->node;
    if (!node)
        return warning->reason;
    return arena_format(arena, "%s '%s' -> '%s': %s", text_or_empty(node->proto->op_type),
                        text_or_empty(node->proto->name), warning->output ? warning->output->name : "",
                        warning->reason);
}

/* ---- JSON ---- */

/* [1, "N", null] */
static void json_shape(struct json *json, const Onnx__TensorShapeProto *shape)
{
    if (!shape) {
        json_literal(json, "shape", "null");
        return;
    }
    json_open(json, "shape", '[');
    for (size_t i = 0; i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
        if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
            json_integer(json, NULL, dim->dim_value);
        else if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM)
            json_text(json, NULL, dim->dim_param);
        else
            json_literal(json, NULL, "null");
    }
    json_close(json, ']');
}

static void json_values(struct json *json, const struct plan *plan, const char *key, Onnx__ValueInfoProto *const *infos,
                        size_t count, bool inputs)
{
    json_line(json, 2);
    json_open(json, key, '[');
    for (size_t i = 0; i < count; i++) {
        struct text type = {.arena = json->text.arena};
        if (inputs && !is_true_input(plan, infos[i]))
            continue;
        print_type(&type, infos[i]->type);
        json_line(json, 4);
        json_open(json, NULL, '{');
        json_text(json, "name", infos[i]->name);
        json_text(json, "type", type.bytes);
        json_shape(json, shape_of(infos[i]->type));
        json_close(json, '}');
    }
    json_line(json, 2);
    json_close(json, ']');
}

static void json_opsets(struct json *json, const Onnx__ModelProto *proto)
{
    json_line(json, 2);
    json_open(json, "opsets", '[');
    for (size_t i = 0; i < proto->n_opset_import; i++) {
        json_open(json, NULL, '{');
        json_text(json, "domain", proto->opset_import[i]->domain);
        json_integer(json, "version", proto->opset_import[i]->version);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void json_ranges(struct json *json, const char *key, const info_ranges *ranges)
{
    json_line(json, 5);
    json_open(json, key, '[');
    for (size_t i = 0; i < ranges->count; i++) {
        const struct info_range *range = &ranges->items[i];
        json_line(json, 7);
        json_open(json, NULL, '{');
        json_text(json, "op", op_of(range->node));
        json_text(json, "node", name_of(range->node));
        json_integer(json, "channels", range->channels);
        json_number(json, "smallest", range->smallest);
        json_number(json, "largest", range->largest);
        json_number(json, "ratio", range->largest / range->smallest);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void json_regions(struct json *json, const struct plan *plan, const struct info *info)
{
    json_line(json, 2);
    json_open(json, "regions", '[');
    for (size_t i = 0; i < info->regions.count; i++) {
        const struct info_region *region = &info->regions.items[i];
        json_line(json, 4);
        json_open(json, NULL, '{');
        report_json_fusion(json, plan, region->fusion);
        json_ranges(json, "weights_before", &region->before);
        json_ranges(json, "weights_after", &region->after);
        json_close(json, '}');
    }
    json_line(json, 2);
    json_close(json, ']');
}

static void json_warnings(struct json *json, const struct plan *plan)
{
    size_t dropped = 0;
    json_line(json, 2);
    json_open(json, "warnings", '[');
    for (size_t i = 0; i < plan->warnings.count; i++) {
        const struct refusal *warning = plan->warnings.items[i];
        dropped += strcmp(warning->pass, PLAN_WHOLE_MODEL) != 0;
        json_text(json, NULL, warning_text(json->text.arena, warning));
    }
    json_close(json, ']');
    json_line(json, 2);
    json_count(json, "dropped", dropped);
}

const char *info_json(const struct plan *plan, const struct summary *summary, const struct info *info)
{
    struct json out = {.text = {.arena = plan->model->arena}}, *json = &out;
    const Onnx__ModelProto *proto = plan->model->proto;
    json_open(json, NULL, '{');
    json_line(json, 2);
    json_count(json, "schema", 1);
    json_line(json, 2);
    json_text(json, "tool", "onnx-repvgg-fuse");
    json_line(json, 2);
    json_text(json, "version", onnx_fuse_version());
    json_line(json, 2);
    json_text(json, "input", summary->input);
    json_line(json, 2);
    json_count(json, "bytes", plan->model->bytes.size);
    json_line(json, 2);
    json_count(json, "external_bytes", info->external_bytes);
    json_line(json, 2);
    json_integer(json, "ir_version", plan->model->ir_version);
    json_line(json, 2);
    json_open(json, "producer", '{');
    json_text(json, "name", proto->producer_name);
    json_text(json, "version", proto->producer_version);
    json_close(json, '}');
    json_line(json, 2);
    json_text(json, "domain", proto->domain);
    json_line(json, 2);
    json_integer(json, "model_version", proto->has_model_version ? proto->model_version : 0);
    json_opsets(json, proto);
    json_line(json, 2);
    json_count(json, "functions", proto->n_functions);
    json_values(json, plan, "inputs", proto->graph->input, proto->graph->n_input, true);
    json_values(json, plan, "outputs", proto->graph->output, proto->graph->n_output, false);
    census_json(json, "before", &summary->before);
    census_json(json, "after", &summary->after);
    equalized_json(json, "quantised_per_tensor", &plan->foreseen[0]);
    equalized_json(json, "quantised_per_channel", &plan->foreseen[1]);
    json_regions(json, plan, info);
    json_line(json, 2);
    json_count(json, "refused", plan_count_refusals(plan));
    json_warnings(json, plan);
    json_line(json, 0);
    json_close(json, '}');
    return json_end(json);
}

/* ---- text ---- */

/* [1,N,?] */
static void print_shape(struct text *text, const Onnx__TensorShapeProto *shape)
{
    if (!shape) {
        text_print(text, "[...]");
        return;
    }
    text_print(text, "[");
    for (size_t i = 0; i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
        text_print(text, "%s", i ? "," : "");
        if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE)
            text_print(text, "%" PRId64, dim->dim_value);
        else if (dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM)
            text_print(text, "%s", text_plain(text->arena, dim->dim_param));
        else
            text_print(text, "?");
    }
    text_print(text, "]");
}

static void text_values(struct text *text, const struct plan *plan, const char *label,
                        Onnx__ValueInfoProto *const *infos, size_t count, bool inputs)
{
    for (size_t i = 0; i < count; i++) {
        if (inputs && !is_true_input(plan, infos[i]))
            continue;
        const Onnx__TypeProto *type = infos[i]->type;
        text_print(text, "%-16s ", label);
        print_type(text, type);
        if (shape_of(type) || (type && type->value_case == ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE))
            print_shape(text, shape_of(type));
        text_print(text, " %s\n", text_plain(text->arena, infos[i]->name ? infos[i]->name : ""));
    }
}

static void row(struct text *text, const char *label, double before, double after)
{
    text_print(text, "%-24s %16s %16s\n", label, text_grouped(text->arena, before), text_grouped(text->arena, after));
}

/* Types in both lists, merged; both are sorted. */
static void type_rows(struct text *text, const struct census *before, const struct census *after)
{
    size_t a = 0, b = 0;
    while (a < before->type_count || b < after->type_count) {
        int order = a == before->type_count  ? 1
                    : b == after->type_count ? -1
                                             : strcmp(before->by_type[a].type, after->by_type[b].type);
        const struct census_entry *old = order <= 0 ? &before->by_type[a++] : NULL;
        const struct census_entry *new = order >= 0 ? &after->by_type[b++] : NULL;
        row(text, old ? old->type : new->type, old ? (double)old->count : 0, new ? (double)new->count : 0);
    }
}

/* "0.02 to 1.5, 75 times", of the weight whose channels lie farthest apart. */
static void text_ranges(struct text *text, const info_ranges *ranges)
{
    const struct info_range *worst = NULL;
    for (size_t i = 0; i < ranges->count; i++) {
        const struct info_range *range = &ranges->items[i];
        if (!worst || range->largest * worst->smallest > worst->largest * range->smallest)
            worst = range;
    }
    if (!worst)
        text_print(text, "none");
    else if (worst->smallest > 0)
        text_print(text, "%s to %s, %s times", decimal_rounded(worst->smallest, 3).text,
                   decimal_rounded(worst->largest, 3).text, decimal_rounded(worst->largest / worst->smallest, 3).text);
    else
        text_print(text, "0 to %s", decimal_rounded(worst->largest, 3).text);
}

static void text_region(struct text *text, const struct plan *plan, const struct info_region *region)
{
    const struct fusion *fusion = region->fusion;
    text_print(text, "\n%s: ", fusion->pass);
    report_ops(text, plan, fusion);
    text_print(text, " -> %s", fusion->node ? "" : fusion->redirects ? "nothing" : "a stored constant");
    for (size_t i = 0; i < fusion->made.count; i++)
        text_print(text, "%s%s", i ? ", " : "", op_of(fusion->made.items[i]));
    if (fusion->node)
        text_print(text, " '%s'", text_plain(text->arena, name_of(fusion->node)));
    text_print(text, "\n  to '%s'", text_plain(text->arena, fusion->target->name));
    if (fusion->source)
        text_print(text, " from '%s'", text_plain(text->arena, fusion->source->name));
    if (strcmp(fusion->graph->name, "main") != 0)
        text_print(text, " in %s", text_plain(text->arena, fusion->graph->name));
    text_print(text, "\n  parameters %s -> %s\n", text_grouped(text->arena, fusion->parameters_before),
               text_grouped(text->arena, fusion->parameters_after));
    if (region->before.count || region->after.count) {
        text_print(text, "  largest weight per channel: ");
        text_ranges(text, &region->before);
        text_print(text, " -> ");
        text_ranges(text, &region->after);
        text_print(text, "\n");
    }
}

const char *info_text(const struct plan *plan, const struct summary *summary, const struct info *info)
{
    struct text out = {.arena = plan->model->arena};
    struct text *text = &out;
    const Onnx__ModelProto *proto = plan->model->proto;
    const struct census *before = &summary->before, *after = &summary->after;
    text_print(text, "%-16s %s\n", "model", text_plain(text->arena, plan->model->path));
    text_print(text, "%-16s %s", "bytes", text_grouped(text->arena, (double)plan->model->bytes.size));
    if (info->external_bytes)
        text_print(text, " and %s of external data", text_grouped(text->arena, (double)info->external_bytes));
    text_print(text, "\n%-16s %s%s%s\n", "producer",
               text_plain(text->arena, proto->producer_name ? proto->producer_name : ""),
               proto->producer_version && proto->producer_version[0] ? " " : "",
               text_plain(text->arena, proto->producer_version ? proto->producer_version : ""));
    text_print(text, "%-16s %" PRId64 "\n", "IR version", plan->model->ir_version);
    for (size_t i = 0; i < proto->n_opset_import; i++) {
        const char *domain = proto->opset_import[i]->domain;
        text_print(text, "%-16s %s %" PRId64 "\n", "opset",
                   domain && domain[0] ? text_plain(text->arena, domain) : "ai.onnx", proto->opset_import[i]->version);
    }
    if (proto->n_functions)
        text_print(text, "%-16s %zu\n", "functions", proto->n_functions);
    text_values(text, plan, "input", proto->graph->input, proto->graph->n_input, true);
    text_values(text, plan, "output", proto->graph->output, proto->graph->n_output, false);
    text_print(text, "\n%-24s %16s %16s\n", "", "now", "fused");
    type_rows(text, before, after);
    row(text, "ops", (double)before->ops, (double)after->ops);
    row(text, "parameters", before->parameters, after->parameters);
    row(text, "multiply-adds", before->multiply_adds, after->multiply_adds);
    row(text, "bytes", (double)before->bytes, (double)after->bytes);
    for (size_t i = 0; i < info->regions.count; i++)
        text_region(text, plan, &info->regions.items[i]);
    equalized_foreseen(text, "tensor", &plan->foreseen[0]);
    equalized_foreseen(text, "channel", &plan->foreseen[1]);
    size_t refused = plan_count_refusals(plan);
    text_print(text, "\n%zu regions would be fused, %zu were refused", info->regions.count, refused);
    text_print(text, "%s\n", refused ? " (--explain --dry-run says why)" : "");
    for (size_t i = 0; i < plan->warnings.count; i++)
        text_print(text, "warning: %s\n", text_plain(text->arena, warning_text(text->arena, plan->warnings.items[i])));
    return out.bytes;
}
