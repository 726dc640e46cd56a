/* fuse/lower.c: the last conditions, the cost gate, and the new ops. */
#include "fuse/lower.h"

#include <math.h>

#include "affine/laws.h"
#include "affine/rows.h"
#include "base/decimal.h"
#include "fuse/lift.h"
#include "fuse/trace.h"
#include "infer/constant.h"
#include "model/edit.h"

/* ---- conditions ---- */

/* The element type of the new weights. */
static const char *decide_type(struct arena *arena, const struct lowering *l, int32_t *type)
{
    int32_t known = l->source->type ? l->source->type : l->target ? l->target->type : 0;
    *type = l->type ? l->type : known;
    if (known && *type != known)
        return arena_format(arena, "the weights are %s, but the data is %s", type_name(*type), type_name(known));
    if (!*type)
        return "the element type of the data is not known";
    if (!type_is_float(*type))
        return arena_format(arena, "the data is %s, not a float type", type_name(*type));
    return NULL;
}

/* The new op is of a kind that the model may not have yet. Conv takes bfloat16 from opset 22 on, Gemm and
 * MatMul from 13; ONNX Runtime has no Conv of double, but the ops around it. */
static const char *takes_type(const struct lowering *l, enum layout layout, int32_t type)
{
    int64_t opset = l->region->graph->opset;
    if (l->region->principal)
        return NULL;
    if (type == ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16 && opset < (layout == LAYOUT_CONV ? 22 : 13))
        return layout == LAYOUT_CONV ? "Conv takes no bfloat16 before opset 22"
                                     : "Gemm and MatMul take no bfloat16 before opset 13";
    if (type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE && layout == LAYOUT_CONV)
        return "the model has no Conv of double, and few runtimes support one";
    return NULL;
}

/* Channels that are mixed where no weight mixed them: moving them about costs less than a product. */
static const char *has_weight(const struct lowering *l)
{
    return l->region->principal || affine_is_diagonal(l->form) ? NULL : "no op here has a weight to fold into";
}

/* Width and axes, where the form alone does not say. */
static const char *decide_shape(struct arena *arena, const struct lowering *l, enum layout layout,
                                const struct affine **result)
{
    const struct affine *form = *result;
    int64_t channels = region_channels(l->source, layout);
    if (!form->outputs && channels < 1)
        return "the number of channels is not known";
    if (form->axes < 0 && l->source->rank < 0)
        return "the rank of the source is not known";
    int axes = layout == LAYOUT_CONV ? l->source->rank - 2 : 0;
    *result = form = affine_settle(arena, form, form->axes < 0 ? axes : form->axes, channels);
    if (channels >= 0 && channels != form->inputs)
        return arena_format(arena, "the source has %lld channels, but the ops take %lld", (long long)channels,
                            (long long)form->inputs);
    if (layout == LAYOUT_CONV && (form->axes < 1 || form->axes > AFFINE_AXES))
        return "the value has no spatial axis, or too many";
    if (l->source->rank >= 0 && layout == LAYOUT_CONV && l->source->rank != form->axes + 2)
        return "the rank of the source does not fit the kernel";
    /* A matrix has no groups. */
    if (layout == LAYOUT_MATRIX && form->groups > 1)
        return affine_widen(arena, form, 1, result);
    return NULL;
}

static const char *decide_bias(struct arena *arena, const struct affine *form, int32_t type, double **rounded)
{
    const double *bias = affine_bias(arena, form, form->outputs);
    bool any = false;
    *rounded = NULL;
    if (!bias)
        return NULL;
    *rounded = NEW_ARRAY(arena, double, form->outputs);
    for (int64_t o = 0; o < form->outputs; o++) {
        (*rounded)[o] = tensor_rounded(type, bias[o]);
        if (!isfinite((*rounded)[o]))
            return arena_format(arena, "the fused bias is %s in channel %lld, not finite in %s",
                                decimal_rounded(bias[o], 6).text, (long long)o, type_name(type));
        any = any || (*rounded)[o] != 0;
    }
    if (!any) /* its terms cancel */
        *rounded = NULL;
    return NULL;
}

static const char *gate(struct plan *plan, const char *what, double before, double after)
{
    double growth = plan->options->max_growth;
    if (after <= before * growth * (1 + 1e-12))
        return NULL;
    return arena_format(plan->model->arena, "cost: %s would grow from %.0f to %.0f", what, before, after);
}

/* The message of a removed op, which pays for a few more bytes. */
static double bytes_spared(const struct region *region, double bytes)
{
    enum { FEW_FOR_COPIES = 512, MESSAGE = 96 };
    struct value *shared = region->shared;
    const struct tensor *weight;
    if (!shared)
        return MESSAGE * (double)region->saved;
    /* Each of several readers may get a copy, and then the weight disappears. The removed constants pay for a copy. */
    double readers = (double)value_use_count(shared);
    double grown = (bytes - (region->bytes - region->credit)) * readers;
    if (readers > 1 && !constant_of(shared, &weight))
        grown -= (double)tensor_stored_bytes(weight);
    double messages = MESSAGE * readers * (double)region->saved;
    return grown <= FEW_FOR_COPIES + messages ? INFINITY : 0;
}

const char *gate_bytes(struct plan *plan, const struct region *region, double bytes, bool few)
{
    const char *reason = gate(plan, "bytes of constants", region->bytes, fmax(bytes, 0));
    bool stores = region->bytes > 0 || region->shared; /* x + x does not justify a stored weight */
    if (few && stores && !region->packed && bytes - region->bytes <= bytes_spared(region, bytes))
        return NULL;
    if (!reason || !region->shared)
        return reason;
    return arena_format(plan->model->arena, "%s: other ops read its weight '%s', so that would stay", reason,
                        region->shared->name);
}

/* A new Conv with one group per channel has a cost that multiply-adds do not show: ONNX Runtime runs its groups one
 * by one unless their number is a multiple of 4 (measured by bench/latency.py). On few positions that takes longer
 * than the passes over memory that it saves. */
static const char *gate_groups(struct plan *plan, const struct lowering *l, const struct affine *form)
{
    enum { CHANNELS_LEAST = 128, POSITIONS_MOST = 128 };
    const struct region *region = l->region;
    const struct value *source = l->source;
    double positions = 1;
    if (region->layout != LAYOUT_CONV || form->groups != form->inputs || affine_weights(form) != form->inputs ||
        source->rank < 3 || form->outputs < CHANNELS_LEAST || form->outputs % 4 == 0 || plan->options->max_growth > 1)
        return NULL;
    for (int i = 2; i < source->rank; i++)
        positions *= source->dims[i] < 0 ? POSITIONS_MOST : (double)source->dims[i];
    for (size_t i = 0; i < region->nodes.count; i++)
        if (region_is_replaced(region, region->nodes.items[i]) && region->nodes.items[i]->op == OP_Conv)
            return NULL;
    if (positions >= POSITIONS_MOST)
        return NULL;
    return arena_format(plan->model->arena,
                        "cost: a Conv of %lld groups, not a multiple of 4, is slower at %.0f "
                        "positions than the ops it replaces",
                        (long long)form->outputs, positions);
}

const char *lower_bound(const struct plan *plan, double weights, int32_t type, double effort)
{
    const struct landing *landing = plan->model->arena->landing;
    double bytes = weights * (double)type_size(type);
    if (!affine_is_held(landing, weights))
        return arena_format(plan->model->arena, "limit: a weight of %.0f numbers is too large for a model of %zu bytes",
                            weights, landing->input);
    if (plan->stored + bytes > BUDGET_PLAN_STORED + 8 * (double)landing->input)
        return arena_format(plan->model->arena,
                            "limit: the new weights together would take more than %.0f MiB, the "
                            "most for a model of %zu bytes",
                            (BUDGET_PLAN_STORED + 8 * (double)landing->input) / 0x1p20, landing->input);
    if (plan->effort + effort > BUDGET_PLAN_READ + 64 * (double)landing->input)
        return "limit: the new weights combine the same ops in too many ways";
    return NULL;
}

/* ---- making ---- */

static void adopt(struct plan *plan, struct fusion *fusion, const struct region *region);

struct fusion *lower_record(struct plan *plan, const struct lowering *l, const struct affine *form, int32_t type)
{
    struct arena *arena = plan->model->arena;
    struct fusion *fusion = NEW(arena, struct fusion);
    *fusion = (struct fusion){.pass = plan->pass,
                              .graph = l->region->graph,
                              .source = l->source,
                              .target = l->target,
                              .layout = l->region->layout,
                              .axes = form->axes < 0 ? 0 : form->axes,
                              .channels = form->inputs,
                              .outputs = form->outputs,
                              .type = type,
                              .form = form,
                              .sized = l->sized,
                              .difference = -1};
    fusion->multiply_adds_before = l->region->multiply_adds + l->spared_multiply_adds;
    if (!l->target)
        LIST_PUSH(arena, &fusion->sums, l->at);
    for (size_t k = 0; k < l->term_count; k++)
        plan_add_term(arena, &fusion->terms, l->terms[k].value, l->terms[k].factor);
    if (l->target && l->target->terms)
        plan_add_term(arena, &fusion->terms, l->target, 1);
    adopt(plan, fusion, l->region);
    LIST_PUSH(arena, &plan->fusions, fusion);
    plan->changed = true;
    return fusion;
}

/* An op that stays for other readers may depend on a padded value and on the value before the Pad. A form through it
 * to the padded value is checked from the common source of both. */
static void inherit_origin(struct fusion *fusion, const struct node *node, const struct value *source)
{
    for (size_t i = 0; i < node->input_count; i++) {
        const struct node *maker = node->inputs[i] ? node->inputs[i]->producer : NULL;
        const struct fusion *earlier = maker && maker->is_new ? maker->outputs[0]->fusion : NULL;
        if (earlier && earlier->origin && !earlier->superseded && node_input(maker, 0) == source)
            fusion->source = fusion->origin = earlier->origin;
    }
}

/* If scales moved past a Pad, it now pads the value before them: both versions start there. */
static void follow_pad(struct fusion *fusion, const struct value *source)
{
    const struct node *pad = source->producer;
    struct value *padded = pad && pad->op == OP_Pad && pad->is_new ? node_input(pad, 0) : NULL;
    if (fusion->origin && padded && value_is_told(padded))
        fusion->source = fusion->origin = padded;
}

/* Lists the ops replaced. */
static void adopt(struct plan *plan, struct fusion *fusion, const struct region *region)
{
    const struct value *source = fusion->source;
    size_t largest = 1;
    for (size_t i = region->nodes.count; i-- > 0;) {
        const struct node *node = region->nodes.items[i];
        struct fusion *earlier = node->is_new && node->outputs[0] ? node->outputs[0]->fusion : NULL;
        if (earlier && earlier->superseded)
            earlier = NULL;
        if (!region_is_replaced(region, node) || node->op == OP_Constant)
            continue;
        if (earlier && earlier->replaced.count > largest) {
            largest = earlier->replaced.count;
            fusion->pass = earlier->pass; /* the rewrite is named after the pass that replaced the most ops */
        }
        fusion_adopt(plan, fusion, node);
    }
    for (size_t i = 0; i < region->nodes.count; i++)
        inherit_origin(fusion, region->nodes.items[i], source);
    follow_pad(fusion, source);
}

struct tensor *lower_tensor(struct arena *arena, int32_t type, int rank, const int64_t *dims, const struct affine *form,
                            enum fused_part part)
{
    struct tensor *tensor = tensor_of_doubles(arena, type, rank, dims, NULL);
    tensor->storage = STORAGE_FUSED;
    tensor->form = form;
    tensor->part = part;
    return tensor;
}

/* Folded at once: a check reads single channels of what is known, and makes the whole of what is not. */
static struct value *make_repeated(struct arena *arena, const struct lowering *l, const char *name, int32_t type,
                                   int rank, const int64_t *dims, const double *number)
{
    const struct tensor *folded;
    struct value *value =
        edit_repeated(l->region->graph, l->at, name, tensor_of_repeated(arena, type, rank, dims, number));
    constant_of(value, &folded);
    return value;
}

static struct value *make_weight(struct arena *arena, const struct lowering *l, const struct value *target,
                                 int32_t type, int rank, const int64_t *dims, const struct affine *form,
                                 enum fused_part part, const double *number)
{
    const char *name = arena_format(arena, "%s.weight", target->name);
    return number ? make_repeated(arena, l, name, type, rank, dims, number)
                  : edit_constant(l->region->graph, l->at, name, lower_tensor(arena, type, rank, dims, form, part));
}

/* As short as the weight is, where that is one number and the bias is one, too. */
static struct value *make_bias(struct arena *arena, const struct lowering *l, const struct value *target, int32_t type,
                               const double *bias, int64_t outputs, const double *number)
{
    enum { SHORT = 16 }; /* numbers that take no more room than an op */
    const char *name = arena_format(arena, "%s.bias", target->name);
    bool same = number && outputs > SHORT;
    for (int64_t o = 1; same && o < outputs; o++)
        same = bias[o] == bias[0];
    return same ? make_repeated(arena, l, name, type, 1, &outputs, bias)
                : edit_constant(l->region->graph, l->at, name, tensor_of_doubles(arena, type, 1, &outputs, bias));
}

/* The lift of a new node is known: nothing need be read back. */
static void remember(struct node *node, enum layout layout, const struct lowering *l, const struct affine *form,
                     int32_t type, double parameters)
{
    struct arena *arena = node->graph->model->arena;
    struct step *step = NEW(arena, struct step);
    *step = (struct step){.input = l->source,
                          .form = form,
                          .type = type,
                          .sized = l->sized,
                          .is_made = true,
                          .parameters = (int64_t)parameters};
    lift_set(node, layout, step);
}

/* The replaced op with the most weights provides the name and metadata. */
static const struct node *lender(const struct region *region)
{
    const struct node *node = region->principal;
    const struct step *step = node ? lift_known(node, region->layout) : NULL;
    if (step && step->passed_count) /* a product and the Add of its bias */
        node = step->passed[0];
    return node && region_is_replaced(region, node) ? node : NULL;
}

static const char *lent_name(const struct lowering *l)
{
    const struct node *node = lender(l->region);
    if (!node)
        node = l->target ? l->target->producer : NULL;
    return node && node->proto->name ? node->proto->name : "";
}

static struct node *make_conv(struct plan *plan, const struct lowering *l, const struct affine *form, int32_t type,
                              const double *bias, const double *number, struct value *target)
{
    struct arena *arena = plan->model->arena;
    struct graph *graph = l->region->graph;
    int64_t dims[AFFINE_AXES + 2] = {form->outputs, form->inputs / form->groups};
    int64_t pads[2 * AFFINE_AXES], strides[AFFINE_AXES], dilations[AFFINE_AXES];
    size_t axes = (size_t)form->axes;
    for (int i = 0; i < form->axes; i++) {
        struct affine_axis axis = affine_axis_of(form, i);
        dims[2 + i] = axis.taps;
        pads[i] = -axis.low;
        pads[form->axes + i] = axis.end + affine_axis_high(axis);
        strides[i] = axis.stride;
        dilations[i] = axis.step;
    }
    struct value *inputs[3] = {l->source};
    inputs[1] = make_weight(arena, l, target, type, form->axes + 2, dims, form, FUSED_KERNEL, number);
    if (bias)
        inputs[2] = make_bias(arena, l, target, type, bias, form->outputs, number);
    const struct edit_attribute attributes[] = {
        {"dilations", dilations, axes, 0}, {"group", NULL, 0, form->groups}, {"kernel_shape", dims + 2, axes, 0},
        {"pads", pads, 2 * axes, 0},       {"strides", strides, axes, 0},
    };
    return edit_node(graph, &(struct edit_op){.op = "Conv",
                                              .at = l->at,
                                              .name = lent_name(l),
                                              .like = lender(l->region),
                                              .inputs = inputs,
                                              .input_count = bias ? 3 : 2,
                                              .output = target,
                                              .attributes = attributes,
                                              .attribute_count = COUNT_OF(attributes)});
}

/* Gemm if the rank is known; before opset 11, only with a bias, which was not optional. */
static bool is_gemm(const struct lowering *l, bool biased)
{
    bool matrix = l->source->rank == 2 || (l->target && l->target->rank == 2);
    return matrix && (biased || l->region->graph->opset >= 11);
}

static struct node *make_matrix(struct plan *plan, const struct lowering *l, const struct affine *form, int32_t type,
                                const double *bias, const double *number, struct value *target, struct node **product)
{
    struct arena *arena = plan->model->arena;
    struct graph *graph = l->region->graph;
    bool gemm = is_gemm(l, bias != NULL);
    int64_t dims[2] = {form->outputs, form->inputs}, turned[2] = {form->inputs, form->outputs};
    struct value *inputs[3] = {l->source};
    inputs[1] = make_weight(arena, l, target, type, 2, gemm ? dims : turned, form,
                            gemm ? FUSED_KERNEL : FUSED_KERNEL_TRANSPOSED, number);
    if (bias)
        inputs[2] = make_bias(arena, l, target, type, bias, form->outputs, number);
    const struct edit_attribute transpose = {"transB", NULL, 0, 1};
    if (gemm)
        return edit_node(graph, &(struct edit_op){.op = "Gemm",
                                                  .at = l->at,
                                                  .name = lent_name(l),
                                                  .like = lender(l->region),
                                                  .inputs = inputs,
                                                  .input_count = bias ? 3 : 2,
                                                  .output = target,
                                                  .attributes = &transpose,
                                                  .attribute_count = 1});
    struct value *middle = bias ? edit_value(graph, arena_format(arena, "%s.product", target->name)) : target;
    *product = edit_node(graph, &(struct edit_op){.op = "MatMul",
                                                  .at = l->at,
                                                  .name = lent_name(l),
                                                  .like = lender(l->region),
                                                  .inputs = inputs,
                                                  .input_count = 2,
                                                  .output = middle});
    if (!bias)
        return *product;
    struct value *sum[2] = {middle, inputs[2]};
    const char *name = lent_name(l);
    if (name[0])
        name = edit_node_name(plan->model, arena_format(arena, "%s.bias", name));
    return edit_node(
        graph,
        &(struct edit_op){.op = "Add", .at = l->at, .name = name, .inputs = sum, .input_count = 2, .output = target});
}

void lower_remove_replaced(const struct region *region)
{
    for (size_t i = 0; i < region->nodes.count; i++) {
        struct node *node = region->nodes.items[i];
        if (region_is_replaced(region, node) && !node->removed)
            edit_remove(node);
    }
}

/* The name of a new sum of values, of which this is the first. */
static const char *name_of_sum(struct arena *arena, const struct value *first)
{
    static const char suffix[] = ".fused";
    size_t length = strlen(first->name), end = sizeof(suffix) - 1;
    bool has_it = first->is_new && length > end && strcmp(first->name + length - end, suffix) == 0;
    return has_it ? first->name : arena_format(arena, "%s%s", first->name, suffix);
}

/* How the weight is stored: computed when it is written, or, where it is one number repeated and would be
 * more bytes than go, as that: *number. */
static const char *decide_storage(struct plan *plan, const struct lowering *l, const struct affine *form, int32_t type,
                                  bool biased, const double **number)
{
    struct arena *arena = plan->model->arena;
    double size = (double)type_size(type), weights = (double)affine_weights(form) * size;
    double *repeated = NEW(arena, double);
    bool repeats = l->region->graph->opset >= 9 && affine_repeats(form, repeated);
    *number = NULL;
    const char *limit = lower_bound(plan, (double)affine_weights(form), type, affine_effort(form));
    if (limit && !repeats)
        return limit;
    double vectors = (double)form->outputs * size * (biased - (double)l->spared_vectors);
    *repeated = tensor_rounded(type, *repeated);
    repeats = repeats && isfinite(*repeated);
    const char *reason = gate_bytes(plan, l->region, weights + vectors, !repeats);
    if (!repeats || (!reason && !limit))
        return reason;
    *number = repeated;
    double filled = (double)(form->axes + 2) * sizeof(int64_t) + size;
    return gate_bytes(plan, l->region, filled + vectors, true);
}

static bool is_dequantised(const struct node *node, size_t input)
{
    const struct value *value = node_input(node, input);
    return value && value->producer && value->producer->op == OP_DequantizeLinear;
}

/* A removed op works on quantised numbers, as runtimes recognise it: all of its inputs are dequantised. */
static bool takes_quantised(const struct region *region)
{
    for (size_t i = 0; i < region->nodes.count; i++) {
        const struct node *node = region->nodes.items[i];
        if (region_is_replaced(region, node) && lift_reads_weight(node) && is_dequantised(node, 0) &&
            is_dequantised(node, 1))
            return true;
    }
    return false;
}

/* The new ops of a rewrite, decided before anything changes. */
struct decision {
    const struct affine *form;
    int32_t type;
    double weights;       /* numbers of the weight */
    double *bias;         /* or NULL: none */
    const double *number; /* not NULL: the weight is this one, repeated */
};

static const char *decide_ends(struct plan *plan, const struct lowering *l)
{
    const struct graph *graph = l->region->graph;
    if ((!value_is_told(l->source) && !l->source->terms) ||
        (l->target && !value_is_told(l->target) && !l->target->terms))
        return "it would separate two ops that another rewrite made as a pair";
    const char *banned = plan_banned(plan, graph, l->target ? l->target : l->terms[0].value);
    if (banned)
        return banned;
    return l->source->graph == graph || graph_find(graph, l->source->name) == l->source
               ? NULL
               : arena_format(plan->model->arena,
                              "its source '%s' belongs to an outer graph, and the name means another value here",
                              l->source->name);
}

static const char *decide(struct plan *plan, const struct lowering *l, struct decision *decision)
{
    struct arena *arena = plan->model->arena;
    struct region *region = l->region;
    const enum layout layout = region->layout;
    const char *reason = decide_ends(plan, l);
    if (!reason)
        reason = affine_lowerable(arena, l->form, &decision->form);
    if (!reason)
        reason = decide_type(arena, l, &decision->type);
    if (!reason)
        reason = takes_type(l, layout, decision->type);
    if (!reason)
        reason = decide_shape(arena, l, layout, &decision->form);
    if (!reason && takes_quantised(region))
        reason = "it works on quantised numbers, and the fused weight would not be quantised";
    if (reason)
        return reason;
    decision->weights = (double)affine_weights(decision->form);
    reason =
        gate(plan, "multiply-adds per position", region->multiply_adds + l->spared_multiply_adds, decision->weights);
    if (!reason)
        reason = gate_groups(plan, l, decision->form);
    if (!reason)
        reason = has_weight(l);
    if (!reason)
        reason = decide_bias(arena, decision->form, decision->type, &decision->bias);
    if (reason)
        return reason;
    bool two = layout == LAYOUT_MATRIX && decision->bias && !is_gemm(l, true);
    region->saved = (int64_t)region->replaced + l->spared - (two ? 2 : 1);
    reason = decide_storage(plan, l, decision->form, decision->type, decision->bias != NULL, &decision->number);
    if (reason)
        return reason;
    /* With fewer operands a Sum of many is one op as before, and less work: where a product was already there,
     * that is enough. */
    return region->saved < (l->term_count > 1 && region->principal ? 0 : 1) ? REASON_NOTHING_SAVED : NULL;
}

/* The value of a sum that the file does not have. */
static struct value *make_target(const struct lowering *l, int32_t type, struct fusion *fusion)
{
    const struct value *first = l->terms[0].value;
    struct graph *graph = l->region->graph;
    struct value *target = edit_value(graph, name_of_sum(graph->model->arena, first));
    target->type = type;
    target->rank = first->rank;
    target->dims = first->dims;
    target->terms = &fusion->terms;
    fusion->target = target;
    return target;
}

/* A product whose bias the next op adds cannot end a rewrite: the Add stands for both. */
static void join_bias(struct arena *arena, struct fusion *fusion, struct node *product, struct node *sum)
{
    struct term_list *apart = NEW(arena, struct term_list);
    plan_add_term(arena, apart, sum->outputs[0], 1);
    plan_add_term(arena, apart, sum->inputs[1], -1);
    product->outputs[0]->terms = apart;
    struct step *hidden = NEW(arena, struct step);
    hidden->reason = "the next op adds its bias";
    hidden->is_part = hidden->is_made = true;
    lift_set(product, LAYOUT_MATRIX, hidden);
    lift_set(product, LAYOUT_CONV, hidden);
    LIST_PUSH(arena, &fusion->made, (const struct node *)product);
    struct step *both = lift_known(sum, LAYOUT_MATRIX);
    both->passed = NEW(arena, struct node *);
    both->passed[0] = product;
    both->passed_count = 1;
}

const char *lower(struct plan *plan, const struct lowering *l, struct fusion **result)
{
    struct arena *arena = plan->model->arena;
    const enum layout layout = l->region->layout;
    struct decision d = {.type = 0};
    const char *reason = decide(plan, l, &d);
    if (reason || l->probe)
        return reason;

    struct fusion *fusion = lower_record(plan, l, d.form, d.type);
    struct value *target = l->target ? l->target : make_target(l, d.type, fusion);
    struct node *product = NULL;
    struct node *node = layout == LAYOUT_CONV
                            ? make_conv(plan, l, d.form, d.type, d.bias, d.number, target)
                            : make_matrix(plan, l, d.form, d.type, d.bias, d.number, target, &product);
    lower_remove_replaced(l->region);
    remember(node, layout, l, d.form, d.type, d.weights);
    if (product && product != node)
        join_bias(arena, fusion, product, node);
    LIST_PUSH(arena, &fusion->made, (const struct node *)node);
    fusion->node = node;
    fusion->multiply_adds_after = d.weights + (product && product != node ? (double)d.form->outputs : 0);
    fusion->stored = d.number ? 0 : d.weights * (double)type_size(d.type);
    plan->stored += fusion->stored;
    plan->effort += d.number ? 0 : affine_effort(d.form);
    target->fusion = fusion;
    if (product)
        product->outputs[0]->fusion = fusion;
    lift_forget(plan->model);
    *result = fusion;
    return NULL;
}
