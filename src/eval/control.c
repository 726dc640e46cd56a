/* eval/control.c: If, Loop, Scan and SequenceMap: bodies run as they would be. */
#include "eval/control.h"

#include "eval/graph.h"
#include "eval/move.h"

/* The body of an attribute, or NULL. */
static struct graph *body_of(const struct node *node, const char *attribute)
{
    size_t at = 0;
    for (size_t i = 0; i < node->proto->n_attribute; i++) {
        const Onnx__AttributeProto *a = node->proto->attribute[i];
        if (a->g && a->name && strcmp(a->name, attribute) == 0)
            return at < node->body_count ? node->bodies[at] : NULL;
        at += (a->g != NULL) + a->n_graphs;
    }
    return NULL;
}

static const char *one_bool(const struct array *array, bool *value)
{
    if (!array || array->type != ONNX__TENSOR_PROTO__DATA_TYPE__BOOL || array->count != 1)
        return "a condition that is not a single bool";
    *value = array->integers[0] != 0;
    return NULL;
}

const char *eval_if(struct evaluation *e)
{
    bool condition = false;
    const char *reason = one_bool(e->inputs[0], &condition);
    struct graph *body = body_of(e->node, condition ? "then_branch" : "else_branch");
    struct scope scope;
    if (!reason && (!body || eval_output_count(body) < e->node->output_count))
        reason = "a branch with too few outputs";
    if (!reason)
        reason = scope_begin(e, &scope, body);
    if (reason)
        return reason;
    struct array **outputs = NEW_ARRAY(e->arena, struct array *, eval_output_count(body) + 1);
    reason = scope_run(e, &scope, NULL, 0, outputs);
    for (size_t i = 0; !reason && i < e->node->output_count; i++)
        e->outputs[i] = outputs[i];
    return reason;
}

/* ---- results of many runs, side by side ---- */

struct stack {
    LIST(struct array *) parts;
};

/* The parts along a new axis; of none, what the body's output is declared as. */
static const char *stack_parts(struct evaluation *e, const struct stack *stack, int axis, bool backwards,
                               const struct value *declared, struct array **out)
{
    int64_t dims[EVAL_RANK], count = (int64_t)stack->parts.count;
    const struct array *first = count ? stack->parts.items[0] : NULL;
    int rank = first ? first->rank : declared->rank;
    int32_t type = first ? first->type : declared->type;
    if (rank < 0 || rank >= EVAL_RANK || type <= 0)
        return "a result of a shape that is not known";
    if (axis < -(rank + 1) || axis > rank)
        return "an axis that is not there";
    axis += axis < 0 ? rank + 1 : 0;
    for (int i = 0, from = 0; i <= rank; i++) {
        int64_t dim = i == axis ? count : first ? first->dims[from] : declared->dims[from];
        from += i != axis;
        dims[i] = dim < 0 ? 0 : dim;
    }
    for (int64_t i = 1; i < count; i++)
        if (stack->parts.items[i]->type != type || stack->parts.items[i]->rank != rank ||
            memcmp(stack->parts.items[i]->dims, first->dims, (size_t)rank * sizeof(*dims)) != 0)
            return "results of several shapes";
    const char *reason = array_make(e->arena, e->pool, e->limit, type, rank + 1, dims, out);
    if (reason || (*out)->count == 0)
        return reason;
    int64_t inner = 1;
    for (int i = axis + 1; i <= rank; i++)
        inner *= dims[i];
    for (int64_t n = 0; n < first->count / inner; n++)
        for (int64_t i = 0; i < count; i++)
            eval_copy_cells(*out, (n * count + i) * inner, stack->parts.items[backwards ? count - 1 - i : i], n * inner,
                            inner);
    return NULL;
}

const char *eval_loop(struct evaluation *e)
{
    struct graph *body = body_of(e->node, "body");
    const struct array *most = eval_input(e, 0), *start = eval_input(e, 1);
    size_t carried = e->node->input_count > 2 ? e->node->input_count - 2 : 0;
    bool runs = true;
    struct scope scope;
    if (!body || eval_output_count(body) < 1 + carried || e->node->output_count > eval_output_count(body) - 1)
        return "a body with too few outputs";
    if (most && (array_is_real(most) || most->count != 1))
        return "a trip count that is not an integer";
    const char *reason = start ? one_bool(start, &runs) : NULL;
    if (!reason)
        reason = scope_begin(e, &scope, body);
    if (reason)
        return reason;
    size_t count = eval_output_count(body), scans = count - 1 - carried;
    struct array **state = NEW_ARRAY(e->arena, struct array *, carried + 2);
    struct stack *stacks = NEW_ARRAY(e->arena, struct stack, scans + 1);
    for (size_t i = 0; i < carried; i++)
        state[2 + i] = e->inputs[2 + i];
    for (int64_t trip = 0; runs && (!most || trip < most->integers[0]); trip++) {
        struct array **outputs = NEW_ARRAY(e->arena, struct array *, count + 1);
        reason = array_make(e->arena, e->pool, e->limit, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 0, NULL, &state[0]);
        if (!reason)
            reason = array_make(e->arena, e->pool, e->limit, ONNX__TENSOR_PROTO__DATA_TYPE__BOOL, 0, NULL, &state[1]);
        if (reason)
            return reason;
        state[0]->integers[0] = trip;
        state[1]->integers[0] = 1;
        reason = scope_run(e, &scope, state, 2 + carried, outputs);
        if (!reason)
            reason = one_bool(outputs[0], &runs);
        if (reason)
            return reason;
        for (size_t i = 0; i < carried; i++)
            state[2 + i] = outputs[1 + i];
        for (size_t i = 0; i < scans; i++)
            LIST_PUSH(e->arena, &stacks[i].parts, outputs[1 + carried + i]);
    }
    for (size_t i = 0; !reason && i < e->node->output_count; i++) {
        const struct value *declared = eval_output(body, 1 + i);
        if (i >= carried)
            reason = declared ? stack_parts(e, &stacks[i - carried], 0, false, declared, &e->outputs[i])
                              : "an output without a name";
        else if (state[2 + i])
            reason = array_copy(e->arena, e->pool, e->limit, state[2 + i], &e->outputs[i]);
    }
    return reason;
}

/* ---- Scan ---- */

/* An integer of a list attribute, or 0. */
static int64_t listed(const struct node *node, const char *name, size_t index)
{
    size_t count;
    const int64_t *values = node_integers(node, name, &count);
    return values && index < count ? values[index] : 0;
}

/* Part `at` of an array along an axis, without it. */
static const char *take_part(struct evaluation *e, const struct array *in, int axis, int64_t at, struct array **part)
{
    int64_t dims[EVAL_RANK], inner = 1;
    for (int i = 0, to = 0; i < in->rank; i++)
        if (i != axis)
            dims[to++] = in->dims[i];
    const char *reason = array_make(e->arena, e->pool, e->limit, in->type, in->rank - 1, dims, part);
    if (reason || (*part)->count == 0)
        return reason;
    for (int i = axis + 1; i < in->rank; i++)
        inner *= in->dims[i];
    for (int64_t n = 0; n < (*part)->count / inner; n++)
        eval_copy_cells(*part, n * inner, in, (n * in->dims[axis] + at) * inner, inner);
    return NULL;
}

struct scan {
    struct graph *body;
    size_t states, scanned, results; /* how many: inputs, scanned inputs, scan outputs */
};

/* One sequence: state and scanned inputs in, state and stacked outputs out. */
static const char *scan_sequence(struct evaluation *e, const struct scan *scan, struct array *const *inputs,
                                 struct array **outputs)
{
    struct scope scope;
    int64_t length = -1;
    int axes[64];
    size_t count = scan->states + scan->results;
    struct stack *stacks = NEW_ARRAY(e->arena, struct stack, scan->results + 1);
    struct array **given = NEW_ARRAY(e->arena, struct array *, scan->states + scan->scanned);
    struct array **found = NEW_ARRAY(e->arena, struct array *, eval_output_count(scan->body) + 1);
    if (scan->scanned > COUNT_OF(axes))
        return "too many inputs";
    for (size_t i = 0; i < scan->scanned; i++) {
        const struct array *in = inputs[scan->states + i];
        int64_t axis = listed(e->node, "scan_input_axes", i);
        if (!in || axis < -(int64_t)in->rank || axis >= in->rank)
            return "an axis that is not there";
        axes[i] = (int)(axis < 0 ? axis + in->rank : axis);
        if (length >= 0 && length != in->dims[axes[i]])
            return "sequences of several lengths";
        length = in->dims[axes[i]];
    }
    const char *reason = scope_begin(e, &scope, scan->body);
    for (size_t i = 0; i < scan->states; i++)
        given[i] = inputs[i];
    for (int64_t t = 0; !reason && t < length; t++) {
        for (size_t i = 0; i < scan->scanned && !reason; i++) {
            bool backwards = listed(e->node, e->node->opset < 9 ? "directions" : "scan_input_directions", i) != 0;
            reason = take_part(e, inputs[scan->states + i], axes[i], backwards ? length - 1 - t : t,
                               &given[scan->states + i]);
        }
        if (!reason)
            reason = scope_run(e, &scope, given, scan->states + scan->scanned, found);
        for (size_t i = 0; !reason && i < scan->states; i++)
            given[i] = found[i];
        for (size_t i = 0; !reason && i < scan->results; i++)
            LIST_PUSH(e->arena, &stacks[i].parts, found[scan->states + i]);
    }
    for (size_t i = 0; !reason && i < count; i++) {
        const struct value *declared = eval_output(scan->body, i);
        size_t at = i - scan->states;
        if (i < scan->states)
            reason =
                given[i] ? array_copy(e->arena, e->pool, e->limit, given[i], &outputs[i]) : "a state without a value";
        else
            reason = declared ? stack_parts(e, &stacks[at], (int)listed(e->node, "scan_output_axes", at),
                                            listed(e->node, "scan_output_directions", at) != 0, declared, &outputs[i])
                              : "an output without a name";
    }
    return reason;
}

/* Opset 8 has a batch axis in front of everything. */
static const char *scan_batches(struct evaluation *e, const struct scan *scan, struct array *const *inputs,
                                size_t count)
{
    size_t outputs = scan->states + scan->results;
    struct stack *stacks = NEW_ARRAY(e->arena, struct stack, outputs + 1);
    if (eval_input(e, 0))
        return "sequence_lens of Scan-8";
    if (count == 0 || !inputs[0] || inputs[0]->rank < 1)
        return "no batch";
    for (int64_t n = 0; n < inputs[0]->dims[0]; n++) {
        struct array **parts = NEW_ARRAY(e->arena, struct array *, count);
        struct array **found = NEW_ARRAY(e->arena, struct array *, outputs + 1);
        const char *reason = NULL;
        for (size_t i = 0; i < count && !reason; i++)
            reason = inputs[i] && inputs[i]->rank > 0 && n < inputs[i]->dims[0]
                         ? take_part(e, inputs[i], 0, n, &parts[i])
                         : "batches of several sizes";
        if (!reason)
            reason = scan_sequence(e, scan, parts, found);
        if (reason)
            return reason;
        for (size_t i = 0; i < outputs; i++)
            LIST_PUSH(e->arena, &stacks[i].parts, found[i]);
    }
    const char *reason = NULL;
    for (size_t i = 0; !reason && i < outputs && i < e->node->output_count; i++) {
        const struct value none = {.rank = -1};
        reason = stack_parts(e, &stacks[i], 0, false, &none, &e->outputs[i]);
    }
    return reason;
}

const char *eval_scan(struct evaluation *e)
{
    struct scan scan = {.body = body_of(e->node, "body")};
    size_t before = e->node->opset < 9 ? 1 : 0, count = e->node->input_count - before;
    int64_t scanned = node_integer(e->node, "num_scan_inputs", 0);
    if (!scan.body || scanned < 1 || e->node->input_count < before || (size_t)scanned > count)
        return "a body or num_scan_inputs that does not fit";
    scan.scanned = (size_t)scanned;
    scan.states = count - scan.scanned;
    if (eval_output_count(scan.body) < scan.states || e->node->output_count > eval_output_count(scan.body))
        return "a body with too few outputs";
    scan.results = eval_output_count(scan.body) - scan.states;
    if (before)
        return scan_batches(e, &scan, e->inputs + 1, count);
    struct array **outputs = NEW_ARRAY(e->arena, struct array *, scan.states + scan.results + 1);
    const char *reason = scan_sequence(e, &scan, e->inputs, outputs);
    for (size_t i = 0; !reason && i < e->node->output_count; i++)
        e->outputs[i] = outputs[i];
    return reason;
}

/* ---- SequenceMap ---- */

const char *eval_sequence_map(struct evaluation *e)
{
    struct graph *body = body_of(e->node, "body");
    const struct array *first = e->inputs[0];
    struct scope scope;
    if (!body || eval_output_count(body) < e->node->output_count || first->type != ARRAY_SEQUENCE)
        return "a body with too few outputs, or no sequence";
    const char *reason = scope_begin(e, &scope, body);
    for (size_t i = 0; !reason && i < e->node->output_count; i++)
        reason = array_make(e->arena, e->pool, e->limit, ARRAY_SEQUENCE, 1, &first->count, &e->outputs[i]);
    for (int64_t n = 0; !reason && n < first->count; n++) {
        struct array **given = NEW_ARRAY(e->arena, struct array *, e->node->input_count);
        struct array **found = NEW_ARRAY(e->arena, struct array *, eval_output_count(body) + 1);
        for (size_t i = 0; i < e->node->input_count; i++) {
            struct array *in = e->inputs[i];
            if (in && in->type == ARRAY_SEQUENCE && n >= in->count)
                return "sequences of several lengths";
            given[i] = in && in->type == ARRAY_SEQUENCE ? in->items[n] : in;
        }
        reason = scope_run(e, &scope, given, e->node->input_count, found);
        for (size_t i = 0; !reason && i < e->node->output_count; i++)
            e->outputs[i]->items[n] = found[i];
    }
    return reason;
}
