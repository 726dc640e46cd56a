/* infer/call.c: shapes through calls of local functions, and the rounds of inference. */
#include "infer/call.h"

#include "infer/inferred.h"
#include "infer/learn.h"
#include "infer/shape.h"
#include "infer/window.h"

/* More than anyone writes: a limit for files that mean to cost. */
enum { INPUTS_MOST = 4096 };

/* The facts about an input that hold in every call so far. */
struct fact {
    int32_t type;
    int rank;
    int64_t *dims;
};

struct callee {
    struct graph *graph;
    size_t first, end;           /* of model->graphs: the function and the bodies in it */
    size_t first_site, end_site; /* the calls in them */
    struct fact *facts;
    size_t known;   /* inputs that every call so far gives */
    size_t callers; /* calls in functions */
    size_t waiting; /* for so many of those, in this round; then it is looked at */
    bool called, done;
    struct callee *next; /* of those that wait for none */
};

struct call_site {
    const struct node *node;
    struct callee *callee;
};

/* The calls of a model's local functions. */
struct shape_calls {
    struct model *model;
    struct map by_key;      /* struct callee */
    struct callee *callees; /* in the order of the model's functions */
    size_t count;
    size_t outside;               /* graphs before the first function's */
    size_t outside_sites;         /* calls in those */
    LIST(struct call_site) sites; /* by graph */
};

/* ---- who calls whom ---- */

static void find_sites(struct shape_calls *calls, bool in_function, size_t first, size_t end)
{
    struct arena *arena = calls->model->arena;
    for (size_t g = first; g < end; g++) {
        const struct node_list *order = &calls->model->graphs.items[g]->order;
        for (size_t i = 0; i < order->count; i++) {
            const struct node *node = order->items[i];
            if (node->op != OP_UNKNOWN)
                continue;
            struct callee *callee =
                map_get(&calls->by_key,
                        graph_function_key(arena, node->proto->domain, node->proto->op_type, node->proto->overload));
            if (!callee)
                continue;
            callee->callers += in_function;
            LIST_PUSH(arena, &calls->sites, ((struct call_site){node, callee}));
        }
    }
}

static void shape_calls_find(struct shape_calls *calls, struct model *model)
{
    struct arena *arena = model->arena;
    *calls = (struct shape_calls){.model = model, .outside = model->graphs.count};
    if (!model->proto->n_functions)
        return;
    calls->callees = NEW_ARRAY(arena, struct callee, model->proto->n_functions);
    for (size_t g = 0; g < model->graphs.count; g++) {
        struct graph *graph = model->graphs.items[g];
        const Onnx__FunctionProto *function = graph->function;
        if (!function)
            continue;
        if (calls->count)
            calls->callees[calls->count - 1].end = g;
        else
            calls->outside = g;
        struct callee *callee = &calls->callees[calls->count++];
        size_t inputs = function->n_input < INPUTS_MOST ? function->n_input : INPUTS_MOST;
        *callee = (struct callee){.graph = graph,
                                  .first = g,
                                  .end = model->graphs.count,
                                  .facts = NEW_ARRAY(arena, struct fact, inputs + 1),
                                  .known = inputs};
        map_put(arena, &calls->by_key, /* of two alike the last is called */
                graph_function_key(arena, function->domain, function->name, function->overload), callee);
    }
    find_sites(calls, false, 0, calls->outside);
    calls->outside_sites = calls->sites.count;
    for (size_t i = 0; i < calls->count; i++) {
        struct callee *callee = &calls->callees[i];
        callee->first_site = calls->sites.count;
        find_sites(calls, true, callee->first, callee->end);
        callee->end_site = calls->sites.count;
    }
}

/* ---- what they say ---- */

static void start(struct fact *fact, struct arena *arena, const struct value *value)
{
    *fact = (struct fact){.type = value->type, .rank = -1};
    if (value->rank < 0 || value->rank > SHAPE_MAX_RANK)
        return;
    fact->rank = value->rank;
    fact->dims = NEW_ARRAY(arena, int64_t, value->rank + 1);
    for (int i = 0; i < fact->rank; i++)
        fact->dims[i] = value->dims[i];
}

static void meet(struct fact *fact, const struct value *value)
{
    if (value->type != fact->type)
        fact->type = 0;
    if (value->rank != fact->rank)
        fact->rank = -1;
    for (int i = 0; i < fact->rank; i++)
        if (value->dims[i] != fact->dims[i])
            fact->dims[i] = -1;
}

static const struct value nothing = {.rank = -1};

static void take_inputs(struct arena *arena, const struct call_site *site)
{
    struct callee *callee = site->callee;
    if (callee->known > site->node->input_count)
        callee->known = site->node->input_count;
    for (size_t i = 0; i < callee->known; i++) {
        const struct value *input = node_input(site->node, i);
        if (callee->called)
            meet(&callee->facts[i], input ? input : &nothing);
        else
            start(&callee->facts[i], arena, input ? input : &nothing);
    }
    callee->called = true;
}

static void declare_inputs(const struct callee *callee)
{
    const Onnx__FunctionProto *function = callee->graph->function;
    for (size_t i = 0; callee->called && i < callee->known; i++) {
        const struct fact *fact = &callee->facts[i];
        if (function->input[i])
            shape_learn(map_get(&callee->graph->values, function->input[i]), fact->type, fact->rank, fact->dims);
    }
}

/* The outputs of a function apply to every call. */
static void answer(const struct call_site *site)
{
    const struct graph *graph = site->callee->graph;
    for (size_t i = 0; i < graph->function->n_output && i < site->node->output_count; i++) {
        const char *name = graph->function->output[i];
        const struct value *output = name ? map_get(&graph->values, name) : NULL;
        if (output)
            shape_learn(site->node->outputs[i], output->type, output->rank, output->dims);
    }
}

/* ---- in their order ---- */

/* Graphs, then the calls in them. Returns the callees that now wait for none, before `ready`. */
static struct callee *infer(struct shape_calls *calls, const struct callee *within, struct callee *ready)
{
    size_t first = within ? within->first : 0, end = within ? within->end : calls->outside;
    size_t first_site = within ? within->first_site : 0;
    size_t end_site = within ? within->end_site : calls->outside_sites;
    for (size_t i = first_site; i < end_site; i++)
        answer(&calls->sites.items[i]); /* as far as the round before came */
    for (size_t g = first; g < end; g++)
        shape_infer_graph(calls->model->graphs.items[g]);
    for (size_t i = first_site; i < end_site; i++) {
        struct callee *callee = calls->sites.items[i].callee;
        if (!within || within->called) /* else nothing in it runs */
            take_inputs(calls->model->arena, &calls->sites.items[i]);
        if (!within || --callee->waiting)
            continue;
        callee->next = ready;
        ready = callee;
    }
    return ready;
}

/* All graphs once, functions after those that call them: what all calls agree on holds for the
 * function's inputs. */
static void shape_infer_round(struct shape_calls *calls)
{
    struct callee *ready = infer(calls, NULL, NULL);
    for (size_t i = calls->count; i-- > 0;) {
        struct callee *callee = &calls->callees[i];
        callee->done = false;
        callee->waiting = callee->callers;
        if (callee->waiting)
            continue;
        callee->next = ready;
        ready = callee;
    }
    while (ready) {
        struct callee *callee = ready;
        ready = callee->next;
        callee->done = true;
        declare_inputs(callee);
        ready = infer(calls, callee, ready);
    }
    /* Functions that call each other in a cycle: none of them gets its facts first. */
    for (size_t i = 0; i < calls->count; i++) {
        struct callee *callee = &calls->callees[i];
        for (size_t g = callee->first; !callee->done && g < callee->end; g++)
            shape_infer_graph(calls->model->graphs.items[g]);
        callee->called = false;
    }
}

/* ---- inference ---- */

/* Retries constants that could not be folded before their shape was known. */
static void fold_again(struct model *model)
{
    for (uint32_t i = 0; i < model->value_count; i++) {
        struct inferred *known = memo_find(&model->inferred, sizeof(*known), i);
        if (known && !known->constant)
            *known = (struct inferred){0};
    }
}

/* Facts from one reader of a value reach its other readers. Only models made to be expensive need more rounds than
 * this. */
enum { ROUNDS = 32 };

bool shape_infer(struct model *model)
{
    struct shape_calls calls;
    bool any = false;
    shape_calls_find(&calls, model);
    model->learned = true;
    for (int round = 0; model->learned && round < ROUNDS; round++) {
        model->learned = false;
        shape_infer_round(&calls);
        fold_again(model);
        any = any || model->learned;
    }
    return any;
}
