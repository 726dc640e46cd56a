/* verify/verify.c: walks the second model in the order it computes, and takes each value for equal by
 * structure, or by evaluation, or not at all. */
#include <stdlib.h>

#include "infer/rules.h"
#include "match/number.h"
#include "model/external.h"
#include "verify/cone.h"
#include "verify/interface.h"
#include "verify/measure.h"
#include "verify/search.h"
#include "verify/whole.h"

/* Bodies and functions inside one another; model/wire.h bounds bodies, this bounds functions. */
enum { DEPTH_MOST = 200 };

static bool verify_graph(struct verify *verify, struct graph *a, struct graph *b, uint32_t level, int depth);

static void progress(const struct verify *verify, double fraction)
{
    const struct verify_options *options = verify->options;
    if (!progress_tell(&options->progress, "verifying", fraction))
        fail(verify->arena->landing, ONNX_FUSE_CANCELLED, "stopped by the caller");
}

/* ---- nodes with bodies, calls of functions ---- */

static bool same_inputs(const struct node *a, const struct node *b)
{
    size_t count = node_input_end(a);
    if (node_input_end(b) != count || a->output_count != b->output_count)
        return false;
    for (size_t i = 0; i < count; i++)
        if ((a->inputs[i] ? value_number(a->inputs[i]) : 0) != (b->inputs[i] ? value_number(b->inputs[i]) : 0))
            return false;
    return true;
}

static bool is_of_one_attribute(const struct graph *a, const struct graph *b)
{
    const char *one = strrchr(a->name, '.'), *other = strrchr(b->name, '.');
    return one && other && strcmp(one, other) == 0;
}

/* The body of `a` with the attribute name of body `index` of `b`. Attributes may have another order; several with
 * one name, and several graphs in one, are matched in order. */
static struct graph *body_like(const struct node *a, const struct node *b, size_t index)
{
    size_t before = 0;
    for (size_t i = 0; i < index; i++)
        before += is_of_one_attribute(b->bodies[i], b->bodies[index]);
    for (size_t i = 0; i < a->body_count; i++)
        if (is_of_one_attribute(a->bodies[i], b->bodies[index]) && before-- == 0)
            return a->bodies[i];
    return NULL;
}

/* The first result for two functions: nested calls would compare them repeatedly. */
struct outcome {
    bool equal;
};

static bool equal_functions(struct verify *verify, struct graph *a, struct graph *b, int depth)
{
    const char *key = arena_format(verify->arena, "%p %p", (void *)a, (void *)b);
    struct outcome *outcome = map_get(&verify->functions, key);
    if (!outcome) {
        bool differs = verify->differs;
        outcome = NEW(verify->arena, struct outcome);
        map_put(verify->arena, &verify->functions, key, outcome);
        verify->differs = false;
        outcome->equal = graph_input_count(a) == graph_input_count(b) &&
                         number_parameters(&verify->numbering, a) == number_parameters(&verify->numbering, b) &&
                         verify_graph(verify, a, b, NUMBER_FUNCTION_LEVEL, depth);
        verify->differs = differs; /* what no caller gives or reads does not count */
    }
    return outcome->equal;
}

static bool equal_bodies(struct verify *verify, struct node *a, struct node *b, uint32_t level, int depth)
{
    struct graph *function = node_function(&verify->numbering, b);
    struct graph *other = node_function(&verify->numbering, a);
    if (a->body_count != b->body_count || !function != !other || depth == DEPTH_MOST)
        return false;
    for (size_t i = 0; i < b->body_count; i++) {
        struct graph *body = body_like(a, b, i);
        if (!body || graph_input_count(body) != graph_input_count(b->bodies[i]) ||
            !verify_graph(verify, body, b->bodies[i], level + 1, depth + 1))
            return false;
    }
    if (function) {
        if (!equal_functions(verify, other, function, depth + 1))
            return false;
        number_adopt_function(&verify->numbering, b, a);
    }
    return true;
}

static bool has_bodies(const struct verify *verify, const struct node *node)
{
    return node->body_count || node_function(&verify->numbering, node);
}

/* kind: the node's number_operator. */
static bool is_candidate(struct verify *verify, const struct node *other, const struct node *node, uint32_t kind)
{
    return has_bodies(verify, other) && same_inputs(other, node) && number_operator(&verify->numbering, other) == kind;
}

static void take_numbers(struct node *node, const struct node *other)
{
    node_number_set(node, node_number(other));
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] && other->outputs[i])
            value_number_set(node->outputs[i], value_number(other->outputs[i]));
}

/* The node of the first model that makes what a node makes, by name, or NULL. */
static struct node *node_of_name(const struct graph *graph, const struct node *node)
{
    const struct value *output = node_output(node, 0);
    const struct value *twin = output ? map_get(&graph->values, output->name) : NULL;
    return twin ? twin->producer : NULL;
}

/* A node of the first model with the same inputs whose bodies compute the same. If there is a single candidate and
 * its bodies differ, so do the models. */
static bool prove_bodies(struct verify *verify, struct graph *graph, struct node *node, uint32_t level, int depth)
{
    enum { CANDIDATES_MOST = 16 }; /* otherwise similar nodes would be compared pairwise */
    uint32_t kind = number_operator(&verify->numbering, node);
    struct node *named = node_of_name(graph, node);
    bool differs = verify->differs;
    size_t candidates = 0;
    if (named && !is_candidate(verify, named, node, kind))
        named = NULL;
    for (size_t i = 0; i <= graph->order.count && candidates < CANDIDATES_MOST; i++) {
        struct node *other = i ? graph->order.items[i - 1] : named;
        if (!other || (i && (other == named || !is_candidate(verify, other, node, kind))))
            continue;
        candidates++;
        if (!equal_bodies(verify, other, node, level, depth))
            continue;
        verify->differs = differs;
        take_numbers(node, other);
        return true;
    }
    if (candidates > 1)
        verify->differs = differs;
    return false;
}

/* ---- graphs ---- */

/* The value to try first: the output with the same name or position, or else the value with the same name. */
static struct value *hint_for(struct graph *a, const struct graph *b, const struct value *value)
{
    for (size_t i = 0;
         value->is_output && (a->owner || a->function) && i < graph_output_count(b) && i < graph_output_count(a); i++)
        if (graph_output(b, i) == value)
            return graph_output(a, i);
    struct value *hint = map_get(&a->values, value->name);
    return hint && hint->producer ? hint : NULL;
}

static bool reads_departed(struct verify *verify, const struct node *node)
{
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] && verify_mark(verify, value_number(node->inputs[i]))->departs)
            return true;
    return false;
}

/* True if a value differs from the one with its name in the first model, and it is an output, or one of its inputs
 * differs too. A single difference may be a name that moved by a step, as with a Conv that absorbed the next op. */
static bool verify_node(struct verify *verify, struct graph *a, struct graph *b, struct node *node, uint32_t level,
                        int depth)
{
    bool departed = false, ends = false;
    number_node(&verify->numbering, node, level);
    bool equal = true;
    for (size_t i = 0; i < node->output_count; i++)
        equal = equal && (!node->outputs[i] || verify_left(verify, value_number(node->outputs[i]), a));
    if (!equal && has_bodies(verify, node)) {
        if (!number_is_draw(&verify->numbering, node)) /* two random draws are never equal */
            prove_bodies(verify, a, node, level, depth);
        return false;
    }
    for (size_t i = 0; i < node->output_count; i++) {
        struct value *value = node->outputs[i];
        if (!value)
            continue;
        if (verify_left(verify, value_number(value), a))
            verify->result->by_structure++;
        else if (node->op != OP_Constant && !verify_prove(verify, a, value, hint_for(a, b, value)) &&
                 verify->departed) {
            verify_mark(verify, value_number(value))->departs = true;
            departed = true;
            ends = ends || value->is_output;
        }
    }
    return departed && (ends || reads_departed(verify, node));
}

/* Values of the first model's graph become known as equal to whatever has their number. */
static void add_graph(struct verify *verify, struct graph *graph)
{
    for (size_t i = 0; i < graph_input_count(graph); i++)
        if (graph_input(graph, i))
            verify_add_left(verify, graph_input(graph, i));
    for (size_t i = 0; i < graph->initializers.count; i++)
        verify_add_left(verify, graph->initializers.items[i]);
    for (size_t i = 0; i < graph->order.count; i++) {
        const struct node *node = graph->order.items[i];
        for (size_t k = 0; k < node->output_count; k++)
            if (node->outputs[k])
                verify_add_left(verify, node->outputs[k]);
    }
}

static bool is_main(const struct graph *graph)
{
    return !graph->owner && !graph->function;
}

/* How many outputs of a graph are compared: those of the main graph are paired (verify/interface.h), others go by
 * position. */
static size_t output_count(const struct verify *verify, const struct graph *graph)
{
    return is_main(graph) ? verify->output_count : graph_output_count(graph);
}

/* An output of one of the models, and the other's that it should be equal to has the same index. */
static struct value *output_at(const struct verify *verify, const struct graph *graph, int side, size_t index)
{
    if (is_main(graph))
        return verify->outputs[side][index];
    return index < graph_output_count(graph) ? graph_output(graph, index) : NULL;
}

/* True for an unused output of a branch. */
static bool is_idle(const struct graph *body, size_t index)
{
    const struct node *owner = body->owner;
    bool branch = owner && owner->proto->op_type && strcmp(owner->proto->op_type, "If") == 0;
    return branch && !value_is_needed(index < owner->output_count ? owner->outputs[index] : NULL);
}

/* True when outputs are known to differ. Sets *unknown when some are not known to be equal. */
static bool outputs_differ(struct verify *verify, struct graph *a, const struct graph *b, bool brief, bool *unknown)
{
    bool differ = false;
    for (size_t i = 0; i < output_count(verify, b); i++) {
        struct value *right = output_at(verify, b, 1, i), *left = output_at(verify, a, 0, i);
        enum finding finding = FOUND_NOTHING;
        if ((left && right && value_number(left) == value_number(right)) || is_idle(b, i))
            continue;
        if (left && right)
            finding = verify_measure(verify, a, left, right, brief);
        else if (!verify->blocker)
            verify->blocker = "nothing computes an output of the graph";
        differ = differ || finding == FOUND_DIFFERENT;
        *unknown = *unknown || finding == FOUND_NOTHING;
    }
    return differ;
}

/* An inner value differs: if outputs differ too, the values between need no search. */
static bool settled(struct verify *verify, struct graph *a, struct graph *b, size_t next, uint32_t level)
{
    const char *blocker = verify->blocker;
    bool unknown = false;
    for (size_t i = next; i < b->order.count; i++)
        number_node(&verify->numbering, b->order.items[i], level);
    bool differ = outputs_differ(verify, a, b, true, &unknown);
    verify->blocker = blocker;
    return differ;
}

/* Structure alone says what is the same. One place has all the memory. */
static void start_anew(struct verify *verify, struct graph *b)
{
    number_graph(&verify->numbering, b, 0);
    verify_search_anew(verify);
    verify->checking.cells += verify->searching.cells;
}

/* The same by a quick look at the whole models. The first `done` nodes of the second keep the numbers that the walk has
 * found for them. */
static enum finding told_as_a_whole(struct verify *verify, struct graph *a, struct graph *b, size_t done)
{
    LIST(uint32_t) numbers = {NULL, 0, 0};
    const struct joint_eval before = verify->checking;
    for (size_t i = 0; i < done; i++) {
        const struct node *node = b->order.items[i];
        LIST_PUSH(verify->arena, &numbers, node_number(node));
        for (size_t k = 0; k < node->output_count; k++)
            LIST_PUSH(verify->arena, &numbers, node->outputs[k] ? value_number(node->outputs[k]) : 0);
    }
    start_anew(verify, b);
    enum finding finding = verify_glance(verify, (struct graph *[]){a, b});
    verify->checking.cells = before.cells;
    verify->checking.effort = before.effort;
    verify->checking.products = before.products;
    verify->checking.steps = before.steps;
    joint_reset(&verify->checking);
    for (size_t i = 0, at = 0; i < done; i++) {
        struct node *node = b->order.items[i];
        node_number_set(node, numbers.items[at++]);
        for (size_t k = 0; k < node->output_count; k++, at++)
            if (node->outputs[k])
                value_number_set(node->outputs[k], numbers.items[at]);
    }
    return finding;
}

static bool compare_outputs(struct verify *verify, struct graph *a, struct graph *b)
{
    bool unknown = false;
    if (output_count(verify, a) != output_count(verify, b))
        return false;
    bool differ = outputs_differ(verify, a, b, false, &unknown);
    verify->differs = verify->differs || differ;
    return !differ && !unknown;
}

/* A value differs behind another one: if outputs differ too, the values between need no search. If both whole models
 * agree, outputs are not compared alone before their inputs are decided. */
static bool outputs_depart(struct verify *verify, struct graph *a, struct graph *b, size_t done, uint32_t level)
{
    if (is_main(b) && !verify->has_glanced)
        verify->glance = told_as_a_whole(verify, a, b, done);
    verify->has_glanced = verify->has_glanced || is_main(b);
    if (is_main(b) && verify->glance != FOUND_NOTHING)
        return verify->glance == FOUND_DIFFERENT;
    return output_count(verify, a) == output_count(verify, b) && settled(verify, a, b, done, level);
}

static bool verify_graph(struct verify *verify, struct graph *a, struct graph *b, uint32_t level, int depth)
{
    add_graph(verify, a);
    size_t departures = 0, settle = 1;
    if (level)
        number_start(&verify->numbering, b, level);
    for (size_t i = 0; i < b->order.count; i++) {
        if (verify_node(verify, a, b, b->order.items[i], level, depth) && ++departures == settle) {
            settle *= 4;
            if (outputs_depart(verify, a, b, i + 1, level)) {
                verify->differs = true;
                return false;
            }
        }
        if (!level)
            progress(verify, (double)(i + 1) / (double)b->order.count);
    }
    return compare_outputs(verify, a, b);
}

/* ---- the same at once ---- */

/* True when every output of the second model has the structure of the first model's. */
static bool same_structure(struct verify *verify, struct graph *b)
{
    number_graph(&verify->numbering, b, 0);
    for (size_t i = 0; i < verify->output_count; i++) {
        const struct value *left = verify->outputs[0][i], *right = verify->outputs[1][i];
        if (!left || !right || value_number(left) != value_number(right))
            return false;
    }
    return true;
}

/* Values that nodes of a model make. */
static size_t count_values(const struct model *model)
{
    size_t count = 0;
    for (size_t g = 0; g < model->graphs.count; g++)
        for (size_t i = 0; i < model->graphs.items[g]->node_count; i++)
            for (size_t k = 0; k < model->graphs.items[g]->nodes[i]->output_count; k++)
                count += model->graphs.items[g]->nodes[i]->outputs[k] != NULL;
    return count;
}

/* True when no runtime would load one of the models: then they are not equal, whatever they would compute. */
static bool is_broken(struct verify *verify, struct model *const models[2])
{
    for (int side = 1; side >= 0; side--) {
        const char *broken = rules_model(verify->arena, models[side]);
        if (!broken)
            continue;
        verify->result->verdict = VERDICT_UNKNOWN;
        verify->result->reason =
            arena_format(verify->arena, "the %s model is not valid ONNX: %s", side ? "second" : "first", broken);
        return true;
    }
    return false;
}

/* Regions that agree this closely are safe. */
#define ALIKE_ENOUGH 1e-4

/* All regions are equal, each within the tolerance, which of 16 bits is wide: what they leave may add up. */
static void decide_equal(struct verify *verify, struct graph *const graphs[2])
{
    struct verify_result *result = verify->result;
    result->departs = false; /* names that led nowhere */
    if (result->largest <= ALIKE_ENOUGH)
        return;
    start_anew(verify, graphs[1]);
    if (verify_adds_up(verify, graphs)) {
        result->verdict = VERDICT_DIFFERENT;
        result->reason = "they compute different values";
    } else {
        result->departs = false;
    }
}

/* Decides what structure and regions could not. Inner values that were found equal are so only within the tolerance,
 * so a difference behind them is evaluated without them. */
static void decide_as_a_whole(struct verify *verify, struct graph *const graphs[2])
{
    struct verify_result *result = verify->result;
    const char *reason = NULL;
    enum finding finding = verify->differs ? FOUND_DIFFERENT : FOUND_NOTHING;
    bool unknown = false;
    int inputs = 0;
    start_anew(verify, graphs[1]);
    if (verify->differs && result->largest > ALIKE_ENOUGH &&
        !outputs_differ(verify, graphs[0], graphs[1], false, &unknown))
        finding = unknown ? FOUND_NOTHING : FOUND_EQUAL;
    if (finding == FOUND_NOTHING)
        finding = verify_whole(verify, graphs, &inputs, &reason);
    switch (finding) {
    case FOUND_EQUAL:
        result->whole_inputs = inputs;
        result->departs = false;
        return;
    case FOUND_DIFFERENT:
        result->verdict = VERDICT_DIFFERENT;
        result->reason = "they compute different values";
        return;
    default:
        result->verdict = VERDICT_UNKNOWN;
        result->reason = verify->blocker   ? verify->blocker
                         : reason          ? reason
                         : result->departs ? "outputs agree on random inputs, but values before them differ"
                                           : "no equal value was found";
    }
}

/* Nodes of a graph that compute something of its inputs, and not of constants alone. */
static size_t count_nodes(struct arena *arena, const struct graph *graph)
{
    bool *counts = NEW_ARRAY(arena, bool, graph->node_count + 1); /* by position */
    size_t count = 0;
    for (size_t i = 0; i < graph->order.count; i++) {
        const struct node *node = graph->order.items[i];
        bool reads = node->body_count > 0;
        for (size_t k = 0; k < node->input_count && !reads; k++) {
            const struct value *value = node->inputs[k];
            reads = value && (value->producer && value->producer->graph == graph ? counts[value->producer->position]
                                                                                 : !value_is_stored(value));
        }
        counts[node->position] = reads;
        count += reads;
    }
    return count;
}

static void exchange(const struct value **a, const struct value **b)
{
    const struct value *kept = *a;
    *a = *b;
    *b = kept;
}

/* Swaps the sides of a result that was found with the models exchanged. */
static void turn_result(struct verify_result *result)
{
    struct verify_departure *departure = &result->departure;
    double number = departure->left_number;
    departure->left_number = departure->right_number;
    departure->right_number = number;
    exchange(&departure->left, &departure->right);
    for (size_t i = 0; i < result->regions.count; i++) {
        struct verify_region *region = result->regions.items[i];
        size_t ops = region->left_ops;
        region->left_ops = region->right_ops;
        region->right_ops = ops;
        exchange(&region->left, &region->right);
    }
    for (size_t i = 0; i < result->layers.count; i++)
        exchange(&result->layers.items[i]->left, &result->layers.items[i]->right);
}

static int by_place(const void *left, const void *right)
{
    const struct verify_layer *const *a = left, *const *b = right;
    uint32_t one = (*a)->right->producer->position, other = (*b)->right->producer->position;
    return (one > other) - (one < other);
}

/* Values between inputs and outputs, whatever was decided: numbers that evaluation gave would hide what they differ by. */
static void list_layers(struct verify *verify, struct graph *const graphs[2])
{
    start_anew(verify, graphs[1]);
    verify_layers(verify, graphs);
}

/* Whatever the random inputs show, runs the given ones too, or reports why not. */
static void decide_given(struct verify *verify, struct graph *const graphs[2])
{
    struct verify_result *result = verify->result;
    const struct verify_departure before = result->departure;
    const char *reason;
    bool departs = result->departs;
    start_anew(verify, graphs[1]);
    switch (verify_given(verify, graphs, &reason)) {
    case FOUND_DIFFERENT:
        result->verdict = VERDICT_DIFFERENT;
        result->reason = "they compute different values of the given inputs";
        return;
    case FOUND_EQUAL: result->given = "they agree on the given inputs"; break;
    default: result->given = arena_format(verify->arena, "the given inputs were not tried: %s", reason);
    }
    result->departure = before;
    result->departs = departs;
}

static void decide(struct verify *verify, struct graph *const graphs[2])
{
    number_graph(&verify->numbering, graphs[0], 0);
    if (same_structure(verify, graphs[1]))
        verify->result->by_structure = count_values(graphs[1]->model);
    else if (verify_graph(verify, graphs[0], graphs[1], 0, 0))
        decide_equal(verify, graphs);
    else
        decide_as_a_whole(verify, graphs);
}

/* The model with fewer nodes is walked: of its values most are in the other, too, and of those in between, which one
 * pass or another has made one op of, none has to be searched for in vain. */
void verify_models(struct arena *arena, struct arena scratch[VERIFY_ARENAS], struct model *a, struct model *b,
                   const struct verify_options *options, struct verify_result *result)
{
    struct verify verify = {.arena = arena, .cones = &scratch[0], .options = options, .result = result};
    struct model *models[2] = {a, b};
    struct graph *graphs[2] = {a->graphs.items[0], b->graphs.items[0]};
    int walked = count_nodes(arena, graphs[0]) < count_nodes(arena, graphs[1]) ? 0 : 1;
    *result =
        (struct verify_result){.verdict = VERDICT_EQUAL, .reason = "", .layers_reason = "", .note = "", .given = ""};
    given_check(arena, &options->given, graphs);
    if (model_same_bytes(a, b)) {
        result->by_structure = count_values(b);
        return;
    }
    numbering_init(&verify.numbering, arena, models[!walked], models[walked], true, true);
    struct effort effort = effort_for(arena->landing->input);
    /* Two places, and each pair on many inputs. */
    effort.cells /= 2;
    effort.products /= 6;
    joint_init(&verify.searching, arena, &scratch[1], effort);
    joint_init(&verify.checking, arena, &scratch[2], effort);
    verify.search = 1;
    verify.steps_most = 2e6 + (double)arena->landing->input;
    if (!verify_pair_interface(&verify, graphs) || is_broken(&verify, models))
        return;
    if (!walked) {
        struct value **outputs = verify.outputs[0];
        verify.outputs[0] = verify.outputs[1];
        verify.outputs[1] = outputs;
    }
    struct graph *turned[2] = {graphs[!walked], graphs[walked]};
    decide(&verify, turned);
    if (options->given.inputs.count && result->verdict != VERDICT_DIFFERENT)
        decide_given(&verify, turned);
    if (options->layers)
        list_layers(&verify, turned);
    if (!walked)
        turn_result(result);
    if (result->layers.count)
        qsort(result->layers.items, result->layers.count, sizeof(*result->layers.items), by_place);
    model_give_back(a);
    model_give_back(b);
}
