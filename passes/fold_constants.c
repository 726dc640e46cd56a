/* passes/fold_constants.c
 *
 *     W -> Transpose -> Mul(c) -> ...        becomes        W' -> ...
 *
 * Stores whatever operators compute from constants and known sizes. The stored tensor takes over the computed value's
 * name, so its readers keep their bytes. Only the last result of a chain is stored.
 *
 * If some sizes in the target of a Reshape or Expand are unknown, the stored target names them differently: 0 or 1
 * copies the size of the data, and -1 means the rest.
 *
 * Refused: a result of 4 KiB more than the constants that it replaces (a large Expand or ConstantOfShape; int8
 * behind a Cast; a constant with other readers); all results that take more bytes than they replace, if together
 * they would make the file grow by more than 4 KiB and 2 %; results that are not finite; graph outputs; the weight
 * of an op on quantised numbers, which runtimes expect behind its DequantizeLinear; a result whose operator has
 * another needed result that cannot be stored. */

#include "base/decimal.h"
#include "fuse/lift.h"
#include "fuse/region.h"
#include "infer/constant.h"
#include "model/edit.h"
#include "passes/passes.h"

/* A file may grow by this much for a removed op, and in total by as much plus this part of its bytes. */
enum { GROWTH = 4096 };
#define GROWTH_OF_FILE 0.02
/* The bytes of a removed op's message. */
enum { MESSAGE = 96 };

/* ---- which nodes ---- */

enum state {
    STAYS,
    FOLDS, /* it computes constants from constants */
    WAITS  /* the same, but whether they are stored is not decided yet */
};

struct folding {
    struct plan *plan;
    struct memo states; /* by node: enum state, as a byte */
    /* The growth of the file by all results that make it grow. Either all of them are stored or none: if some were,
     * a second run could store more. */
    double grown;
    bool is_counted; /* otherwise they are counted, and wait */
};

static uint8_t *state_of(struct folding *folding, const struct node *node)
{
    return memo_item(folding->plan->model->arena, &folding->states, sizeof(uint8_t), node->index);
}

/* Decided without the numbers, which are evaluated only when they are needed. */
static bool is_constant(struct folding *folding, const struct value *value)
{
    bool is_callers = value->is_initializer && value->is_input && value->graph->model->ir_version >= 4;
    if (value->tensor)
        return !is_callers;
    return value->producer && *state_of(folding, value->producer) != STAYS;
}

/* Small integer constants are evaluated at once: they may depend on known sizes. */
static bool is_small(const struct value *value)
{
    return value && value->rank >= 0 && value->rank <= 1 && type_is_integer(value->type);
}

/* Bytes of the needed results, by their shapes; -1: unknown. */
static double expected_bytes(const struct node *node)
{
    double bytes = 0;
    int64_t count;
    for (size_t i = 0; i < node->output_count; i++) {
        const struct value *value = node->outputs[i];
        if (!value_is_needed(value))
            continue;
        if (value->rank < 0 || !type_size(value->type) || !count_elements(value->dims, (size_t)value->rank, &count))
            return -1;
        bytes += (double)count * (double)type_size(value->type);
    }
    return bytes;
}

static void look_at_node(struct folding *folding, struct node *node)
{
    const struct tensor *tensor;
    if (node->removed || node->op == OP_UNKNOWN || node->op == OP_Constant || node->body_count || !node->output_count)
        return;
    bool all = node->op != OP_Shape && node->op != OP_Size;
    for (size_t k = 0; all && k < node->input_count; k++)
        all = !node->inputs[k] || is_constant(folding, node->inputs[k]) ||
              (node->op == OP_CastLike && k == 1 && node->inputs[k]->type);
    if (all || (is_small(node->outputs[0]) && !constant_of(node->outputs[0], &tensor)))
        *state_of(folding, node) = FOLDS;
    if (all && node->outputs[0] && expected_bytes(node) >= 0 && expected_bytes(node) <= GROWTH)
        constant_of(node->outputs[0], &tensor); /* from the front, so that no chain is too long */
}

/* ---- one result ---- */

/* Bytes of the stored constants that disappear with the operator; lists the operators that disappear. */
static double freed_bytes(struct plan *plan, struct node *producer, struct fusion *fusion)
{
    struct region region = {.plan = plan, .graph = producer->graph};
    region_walk(&region, NULL, 0, &producer, 1, true);
    for (size_t i = 0; i < region.nodes.count; i++) {
        const struct node *node = region.nodes.items[i];
        if (region_is_replaced(&region, node) && node->op != OP_Constant && !node->is_new)
            LIST_PUSH(plan->model->arena, &fusion->replaced, node);
    }
    return region.bytes;
}

/* The reader is an op on quantised numbers, as runtimes recognise it: all of its inputs are dequantised. */
static bool is_quantised(struct folding *folding, const struct node *reader)
{
    enum { MOST = 16 }; /* no such op reads more */
    for (size_t k = 0; k < reader->input_count && k < MOST; k++) {
        const struct value *input = reader->inputs[k];
        const struct node *producer = input ? input->producer : NULL;
        if (producer && producer->op == OP_DequantizeLinear && *state_of(folding, producer) == STAYS)
            return true;
    }
    return false;
}

/* The reason why one result cannot be stored, whatever its numbers are. */
static const char *look_at(struct folding *folding, const struct value *value)
{
    if (value->is_output || value->is_annotated)
        return "it is a graph output or carries a quantization annotation";
    for (const struct use *use = value->uses; use; use = use->next)
        if (value->producer->op == OP_DequantizeLinear && use_is_live(use) && is_quantised(folding, use->inner))
            return "the op that reads it works on quantised numbers, and would get floats";
    return NULL;
}

static const char *too_large(struct arena *arena, double stored, double freed)
{
    return arena_format(arena,
                        "cost: storing the result would take %.0f bytes, but it replaces only %.0f bytes of constants",
                        stored, freed);
}

/* As it will be stored. */
static const char *compute(struct arena *arena, struct value *value, struct tensor **stored)
{
    const struct tensor *tensor;
    const char *reason = constant_of(value, &tensor);
    if (reason)
        return arena_format(arena, "it %s", reason);
    if (!tensor_is_readable(tensor) || !(type_is_float(tensor->type) || type_is_integer(tensor->type)))
        return "constants of its type are not stored";
    if (tensor->count == 0)
        return "it is empty";
    enum { BLOCK = 512 };
    if (!type_is_float(tensor->type)) {
        int64_t *integers = NEW_ARRAY(arena, int64_t, tensor->count + 1);
        tensor_read_bits(tensor, integers);
        *stored = tensor_of_integers(arena, tensor->type, tensor->rank, tensor->dims, integers);
        return NULL;
    }
    const double *all = NULL;
    if (tensor->storage == STORAGE_REPEATED && !(all = constant_numbers(value, tensor)))
        return CONSTANT_TOO_LARGE;
    double numbers[BLOCK], rounded[BLOCK];
    for (int64_t first = 0; first < tensor->count; first += BLOCK) {
        int64_t left = tensor->count - first, count = left < BLOCK ? left : BLOCK;
        tensor_read(tensor, first, count, numbers);
        int64_t bad = tensor_round(tensor->type, numbers, count, rounded);
        if (bad < 0)
            continue;
        int64_t index = first + bad;
        return arena_format(arena, "number %lld is %s, which is not finite in %s", (long long)index,
                            decimal_rounded(numbers[bad], 6).text, type_name(tensor->type));
    }
    if (all) {
        *stored = tensor_of_doubles(arena, tensor->type, tensor->rank, tensor->dims, all);
        return NULL;
    }
    *stored = NEW(arena, struct tensor);
    **stored = *tensor;
    (*stored)->from_shape = false;
    return NULL;
}

static double growth_most(const struct plan *plan)
{
    return GROWTH + GROWTH_OF_FILE * (double)plan->model->arena->landing->input;
}

/* True if only waiting ops read the results of the node: it disappears with them, if they do. */
static bool is_read_by_waiting(struct folding *folding, const struct node *node)
{
    for (size_t i = 0; i < node->output_count; i++)
        for (const struct use *use = node->outputs[i] ? node->outputs[i]->uses : NULL; use; use = use->next)
            if (use_is_live(use) && *state_of(folding, use->inner) != WAITS)
                return false;
    return true;
}

/* An operator with several results (Split) is replaced as a whole: all needed results are stored. Sets *value to the
 * result that the reason is about. */
static const char *store(struct folding *folding, struct node *producer, struct value **value)
{
    struct plan *plan = folding->plan;
    struct arena *arena = plan->model->arena;
    struct tensor **stored = NEW_ARRAY(arena, struct tensor *, producer->output_count);
    struct fusion *fusion = NEW(arena, struct fusion);
    *fusion = (struct fusion){.pass = plan->pass, .graph = producer->graph, .difference = -1};
    const char *reason = NULL;
    *value = NULL;
    for (size_t i = 0; i < producer->output_count && !reason; i++) {
        if (!value_is_needed(producer->outputs[i]))
            continue;
        *value = producer->outputs[i];
        fusion->target = fusion->target ? fusion->target : *value;
        reason = look_at(folding, *value);
    }
    if (reason || !fusion->target)
        return reason;
    double expected = expected_bytes(producer), freed = freed_bytes(plan, producer, fusion);
    double most = GROWTH + plan->options->max_growth * freed;
    if (expected > most)
        return too_large(arena, expected, freed);
    for (size_t i = 0; i < producer->output_count && !reason; i++) {
        if (!value_is_needed(producer->outputs[i]))
            continue;
        *value = producer->outputs[i];
        reason = compute(arena, *value, &stored[i]);
        fusion->stored += reason ? 0 : (double)tensor_stored_bytes(stored[i]);
    }
    if (!reason && fusion->stored > most)
        reason = too_large(arena, fusion->stored, freed);
    if (reason)
        return reason;
    double grown = fusion->stored - plan->options->max_growth * freed - MESSAGE * (double)fusion->replaced.count;
    if (grown > 0 && folding->is_counted && folding->grown > growth_most(plan))
        return arena_format(
            arena, "cost: storing the results would make the file grow by %.0f bytes, more than the %.0f allowed",
            folding->grown, growth_most(plan));
    if (grown > 0 && !folding->is_counted) {
        folding->grown += grown;
        *state_of(folding, producer) = WAITS;
        return NULL;
    }
    for (size_t i = 0; i < producer->output_count; i++)
        if (stored[i])
            edit_store(producer->outputs[i], stored[i]);
    LIST_PUSH(arena, &plan->fusions, fusion);
    plan->changed = true;
    return NULL;
}

/* A result of the node feeds weights: a user wants to know why it stays. */
static bool is_asked_for(const struct node *node, const struct value **value)
{
    for (size_t i = 0; i < node->output_count; i++)
        for (const struct use *use = node->outputs[i] ? node->outputs[i]->uses : NULL; use; use = use->next)
            if (use_is_live(use) && (lift_reads_weight(use->inner) || use->inner->op == OP_BatchNormalization)) {
                *value = node->outputs[i];
                return true;
            }
    return false;
}

static void refuse(struct plan *plan, const struct node *node, const struct value *value, const char *reason)
{
    const struct value *asked;
    /* No user expects a repeated number to be stored in full. The pass that needs a constant reports why a value is
     * not one. */
    if (constant_refused(value) || node->op == OP_ConstantOfShape || !is_asked_for(node, &asked))
        return;
    if (asked != value)
        reason = arena_format(plan->model->arena, "%s also makes '%s', which stays: %s", node->proto->op_type,
                              value->name, reason);
    plan_refuse(plan, node, asked, reason);
}

/* ---- targets of Reshape and Expand with unknown sizes ---- */

/* The size that a target may have instead of an unknown one. False: there is none. */
static bool is_copied(const struct node *reader, struct element size, int axis, int count, int64_t *asked)
{
    const struct value *data = node_input(reader, 0);
    int at = !data || data->rank < 0 ? -1 : reader->op == OP_Expand ? axis - (count - data->rank) : axis;
    *asked = reader->op == OP_Expand ? 1 : 0;
    return size.kind == ELEMENT_SYMBOL && at >= 0 && at < data->rank && data->dims[at] == size.number &&
           (reader->op == OP_Expand || !node_integer(reader, "allowzero", 0));
}

/* The size that -1 stands for, if it is known: then another size may be -1. */
static int64_t size_left(const struct node *reader, size_t axis)
{
    const struct value *made = node_output(reader, 0);
    bool known = made && made->rank > (int)axis && !made->disputed && !made->stale;
    return known && made->dims[axis] > 0 ? made->dims[axis] : -1;
}

/* A target with the same result: unknown sizes that the data has are copied, and in a Reshape one more size may
 * follow from all others. */
static bool rewrite_target(const struct node *reader, const struct elements *target, int64_t *asked)
{
    int open = 0, unknown = 0;
    for (size_t i = 0; i < target->count; i++)
        unknown += target->items[i].kind != ELEMENT_NUMBER;
    for (size_t i = 0; i < target->count; i++) {
        struct element size = target->items[i];
        if (size.kind == ELEMENT_NUMBER) {
            asked[i] = size.number == -1 && unknown ? size_left(reader, i) : size.number;
            open += asked[i] == -1;
        } else if (!is_copied(reader, size, (int)i, (int)target->count, &asked[i])) {
            asked[i] = -1;
            open++;
        }
    }
    return open <= (reader->op == OP_Reshape ? 1 : 0);
}

/* A target that all readers can use instead. */
static bool agree_on_target(const struct value *value, const struct elements *target, int64_t *asked)
{
    enum { MOST = 256 };
    int readers = 0;
    bool any = false;
    for (const struct use *use = value->uses; use; use = use->next) {
        const struct node *reader = use->inner;
        int64_t other[ELEMENTS_MOST] = {0};
        if (++readers > MOST)
            return false;
        if (!use_is_live(use))
            continue;
        if ((reader->op != OP_Reshape && reader->op != OP_Expand) || node_input(reader, 0) == value ||
            !rewrite_target(reader, target, any ? other : asked) ||
            (any && memcmp(other, asked, target->count * sizeof(*asked)) != 0))
            return false;
        any = true;
    }
    return any;
}

static void store_target(struct folding *folding, struct node *reader)
{
    struct plan *plan = folding->plan;
    struct arena *arena = plan->model->arena;
    struct value *value = node_input(reader, 1);
    int64_t asked[ELEMENTS_MOST];
    if (reader->removed || !value || !value->producer || value->graph != reader->graph ||
        value->producer->output_count != 1 || *state_of(folding, value->producer) != STAYS ||
        value->producer->op == OP_UNKNOWN || value->producer->body_count ||
        value->type != ONNX__TENSOR_PROTO__DATA_TYPE__INT64 || value->is_output || value->is_annotated)
        return;
    const struct elements *target = constant_elements(value);
    if (!target || target->rank != 1 || !agree_on_target(value, target, asked))
        return;
    struct fusion *fusion = NEW(arena, struct fusion);
    *fusion = (struct fusion){.pass = plan->pass, .graph = reader->graph, .target = value, .difference = -1};
    freed_bytes(plan, value->producer, fusion);
    const int64_t count = (int64_t)target->count;
    int64_t *sizes = NEW_ARRAY(arena, int64_t, count + 1);
    memcpy(sizes, asked, target->count * sizeof(*sizes));
    struct tensor *stored = tensor_of_integers(arena, value->type, 1, &count, sizes);
    fusion->stored = (double)tensor_stored_bytes(stored);
    edit_store(value, stored);
    LIST_PUSH(arena, &plan->fusions, fusion);
    plan->changed = true;
}

static bool takes_target(struct node *node)
{
    return (node->op == OP_Reshape || node->op == OP_Expand) && node->input_count == 2;
}

/* Nodes of a graph in this state, the deepest first: values that only they read are never stored. */
static struct node **nodes_in(struct folding *folding, struct graph *graph, enum state state, size_t *count)
{
    struct plan *plan = folding->plan;
    struct node_list found = plan->candidates;
    found.count = 0;
    for (size_t i = 0; i < graph->node_count + graph->new_nodes.count; i++) {
        struct node *node = i < graph->node_count ? graph->nodes[i] : graph->new_nodes.items[i - graph->node_count];
        if (!node->removed && *state_of(folding, node) == state)
            LIST_PUSH(plan->model->arena, &found, node);
    }
    plan->candidates = found;
    pass_sort(&found, true);
    *count = found.count;
    return found.items;
}

static void store_all(struct folding *folding, struct graph *graph)
{
    size_t count;
    struct value *value;
    struct node **nodes = nodes_in(folding, graph, folding->is_counted ? WAITS : FOLDS, &count);
    for (size_t i = 0; i < count && !plan_is_full(folding->plan); i++) {
        if (!folding->is_counted && is_read_by_waiting(folding, nodes[i])) {
            *state_of(folding, nodes[i]) = WAITS;
            continue;
        }
        const char *reason = store(folding, nodes[i], &value);
        if (reason)
            refuse(folding->plan, nodes[i], value, reason);
    }
}

static void store_targets(struct folding *folding, struct graph *graph)
{
    size_t count;
    struct node **nodes = pass_candidates(folding->plan, graph, takes_target, true, &count);
    for (size_t i = 0; i < count && !plan_is_full(folding->plan); i++)
        store_target(folding, nodes[i]);
}

void fold_constants(struct plan *plan)
{
    struct graph **graphs = plan->model->graphs.items;
    const size_t count = plan->model->graphs.count;
    struct folding folding = {.plan = plan};
    for (size_t g = 0; g < count; g++) {
        for (size_t i = 0; i < graphs[g]->order.count; i++)
            look_at_node(&folding, graphs[g]->order.items[i]);
        for (size_t i = 0; i < graphs[g]->new_nodes.count; i++)
            look_at_node(&folding, graphs[g]->new_nodes.items[i]);
        store_all(&folding, graphs[g]);
    }
    folding.is_counted = true;
    for (size_t g = 0; g < count; g++) {
        store_all(&folding, graphs[g]);
        store_targets(&folding, graphs[g]);
    }
}
