/* verify_region.c: evaluates what two models compute differently between values that are equal. */
#include <math.h>
#include <string.h>

#include "constant.h"
#include "verify_internal.h"

enum {
    CONE_MOST = 4000,   /* nodes between a value and its sources */
    SEARCH_MOST = 400,  /* nodes of the first model that a search evaluates */
    HINT_MOST = 4000,   /* nodes of the first model that lead to a hint */
    OPENINGS_MOST = 16, /* sources computed from what is before them */
    SIZES = 3,          /* input sizes tried until the operators accept one */
    FAILURES_MOST = 40, /* values without a match before the search is given up */
    MEASURES = 3,       /* random inputs that outputs are compared on */
    SPAN_MOST = 160,
    SMALL = 20000 /* elements of sources */
};
/* Multiply-adds of all evaluations together: minutes. */
#define PRODUCTS_MOST 4e11
/* Nodes walked in all cones together: seconds. */
#define VISITS_MOST 2e7
/* Scratch memory beyond which the search starts afresh. */
#define SCRATCH_MOST ((size_t)1 << 30)

/* ---- cones ---- */

static bool is_constant(struct value *value)
{
    const struct tensor *tensor;
    return !constant_of(value, &tensor);
}

static void note_type(struct cone *cone, int32_t type)
{
    if (type_is_float(type) && (!cone->type || type_rounding(type) > type_rounding(cone->type)))
        cone->type = type;
}

static bool is_opened(const struct cone *cone, uint32_t number)
{
    for (size_t i = 0; i < cone->opened.count; i++)
        if (cone->opened.items[i] == number)
            return true;
    return false;
}

static bool hides(enum op op)
{
    switch (op) {
    case OP_Clip:
    case OP_Ceil:
    case OP_Floor:
    case OP_HardSigmoid:
    case OP_HardSwish:
    case OP_MaxPool:
    case OP_Relu:
    case OP_Sigmoid:
    case OP_Softmax:
    case OP_Tanh: return true;
    default: return false;
    }
}

static void note_layout(struct cone *cone, const struct node *node)
{
    switch (node->op) {
    case OP_AveragePool:
    case OP_BatchNormalization:
    case OP_Conv:
    case OP_ConvTranspose:
    case OP_GlobalAveragePool:
    case OP_MaxPool: cone->layout = LAYOUT_IMAGE; break;
    case OP_Gemm:
    case OP_MatMul:
        if (cone->layout == LAYOUT_NONE)
            cone->layout = LAYOUT_ROWS;
        break;
    default: break;
    }
}

/* Extent of a window's kernel and its stride, the largest of all axes. */
static void window_of(const struct node *node, int64_t *extent, int64_t *stride)
{
    size_t kernels, strides, dilations;
    const int64_t *kernel = node_integers(node, "kernel_shape", &kernels);
    const int64_t *step = node_integers(node, "strides", &strides);
    const int64_t *dilation = node_integers(node, "dilations", &dilations);
    const struct value *weight = node_input(node, 1);
    *extent = *stride = 1;
    switch (node->op) {
    case OP_Conv:
    case OP_ConvTranspose:
        if (!kernel && weight && weight->rank > 2) {
            kernel = weight->dims + 2;
            kernels = (size_t)weight->rank - 2;
        }
        break;
    case OP_AveragePool:
    case OP_MaxPool: break;
    default: return;
    }
    for (size_t i = 0; kernel && i < kernels; i++) {
        int64_t gap = dilation && i < dilations ? dilation[i] : 1;
        int64_t reach;
        if (kernel[i] > 0 && kernel[i] < SPAN_MOST && gap > 0 && gap < SPAN_MOST &&
            (reach = (kernel[i] - 1) * gap + 1) > *extent)
            *extent = reach;
    }
    for (size_t i = 0; step && i < strides; i++)
        if (step[i] > *stride && step[i] < SPAN_MOST)
            *stride = step[i];
}

/* Room for notes on every number there is. */
static struct mark *mark_of(struct verify *verify, uint32_t number)
{
    if (number >= verify->room) {
        size_t room = verify->room ? verify->room : 1024;
        while (room <= number)
            room *= 2;
        struct mark *marks = NEW_ARRAY(verify->arena, struct mark, room);
        struct same **left = NEW_ARRAY(verify->arena, struct same *, room);
        if (verify->room) {
            memcpy(marks, verify->marks, verify->room * sizeof(*marks));
            memcpy(left, verify->left, verify->room * sizeof(*left));
        }
        verify->marks = marks;
        verify->left = left;
        verify->room = room;
    }
    return &verify->marks[number];
}

void verify_add_left(struct verify *verify, struct value *value)
{
    struct same *same = NEW(verify->arena, struct same);
    mark_of(verify, value->number);
    same->value = value;
    same->next = verify->left[value->number];
    verify->left[value->number] = same;
}

/* Bodies see the values of the graphs around them. */
static bool is_visible(const struct value *value, const struct graph *graph)
{
    while (graph && graph != value->graph)
        graph = graph->parent;
    return graph != NULL;
}

struct value *verify_left(const struct verify *verify, uint32_t number, const struct graph *graph)
{
    if (number >= verify->room)
        return NULL;
    for (const struct same *same = verify->left[number]; same; same = same->next)
        if (is_visible(same->value, graph))
            return same->value;
    return NULL;
}

struct step {
    struct value *value;
    size_t next;         /* input to look at */
    int64_t span, scale; /* the largest of the inputs seen so far */
};

static void widen(struct step *reader, const struct mark *input)
{
    if (input->span > reader->span)
        reader->span = input->span;
    if (input->scale > reader->scale)
        reader->scale = input->scale;
}

/* True when the walk ends at a value: it is a source. */
static bool is_source(const struct verify *verify, const struct cone *cone,
                      const struct graph *left, const struct value *value)
{
    if (!value->producer)
        return true;
    return !cone->opens_all && verify_left(verify, value->number, left) &&
           !is_opened(cone, value->number);
}

static const char *enter(struct verify *verify, struct cone *cone, const struct node *node)
{
    if (cone->nodes.count == CONE_MOST || verify->visits > VISITS_MOST)
        return "it depends on too many nodes that differ";
    verify->visits++;
    LIST_PUSH(cone->arena, &cone->nodes, node);
    cone->saturates = cone->saturates || hides(node->op);
    note_layout(cone, node);
    return NULL;
}

/* The nodes between `root` and its sources, depth first with a stack of its own. */
static const char *collect(struct verify *verify, const struct graph *left, struct value *root,
                           struct cone *cone)
{
    LIST(struct step) stack = {NULL, 0, 0};
    struct step first = {root, 0, 1, 1};
    LIST_PUSH(cone->arena, &stack, first);
    verify->walk++;
    cone->span = 1;
    while (stack.count) {
        struct step *step = &stack.items[stack.count - 1];
        struct step *reader = stack.count > 1 ? step - 1 : NULL;
        struct mark *mark = mark_of(verify, step->value->number);
        const struct tensor *tensor;
        const struct node *node = step->value->producer;
        if (step->next == 0) {
            bool known = mark->walked == verify->walk;
            if (!known && !constant_of(step->value, &tensor)) {
                note_type(cone, tensor->type);
                mark->walked = verify->walk;
                mark->span = mark->scale = 1;
                known = true;
            } else if (!known && (stack.count > 1 || !node) &&
                       is_source(verify, cone, left, step->value)) {
                note_type(cone, step->value->type);
                LIST_PUSH(cone->arena, &cone->sources, step->value);
                mark->walked = verify->walk;
                mark->span = mark->scale = 1;
                known = true;
            }
            if (known) {
                if (reader)
                    widen(reader, mark);
                stack.count--;
                continue;
            }
            const char *reason = enter(verify, cone, node);
            if (reason)
                return reason;
        }
        if (step->next < node->input_count) {
            struct step inner = {node->inputs[step->next++], 0, 1, 1};
            if (inner.value)
                LIST_PUSH(cone->arena, &stack, inner);
            continue;
        }
        int64_t extent, stride;
        window_of(node, &extent, &stride);
        mark->walked = verify->walk;
        mark->span = step->span + (extent - 1) * step->scale;
        mark->scale = step->scale * stride;
        mark->span = mark->span > SPAN_MOST ? SPAN_MOST : mark->span;
        mark->scale = mark->scale > SPAN_MOST ? SPAN_MOST : mark->scale;
        int64_t wanted = mark->span + mark->scale;
        if (wanted > cone->span)
            cone->span = wanted > SPAN_MOST ? SPAN_MOST : wanted;
        if (reader)
            widen(reader, mark);
        stack.count--;
    }
    return NULL;
}

/* The shape of a source. size 0, 1: small, larger; last: as the models declare it. */
static const char *source_shape(struct verify *verify, const struct cone *cone,
                                const struct graph *left_graph, const struct value *source,
                                int size, int trial, int *rank, int64_t *dims)
{
    const struct value *left = verify_left(verify, source->number, left_graph);
    const struct value *told = source->rank >= 0 || !left ? source : left;
    int64_t base = cone->span < 3 ? 3 : cone->span;
    base = size == 1 ? 2 * base + 1 : base;
    *rank = told->rank;
    if (*rank < 0 && cone->layout == LAYOUT_ROWS)
        *rank = 2;
    if (*rank < 0 && cone->layout == LAYOUT_IMAGE)
        for (size_t i = 0; i < cone->nodes.count; i++) {
            const struct value *weight = node_input(cone->nodes.items[i], 1);
            if (cone->nodes.items[i]->op == OP_Conv && weight && weight->rank > 2)
                *rank = weight->rank;
        }
    if (*rank < 0 || *rank > EVAL_RANK)
        return arena_format(verify->arena, "the rank of '%s' is not known", source->name);
    for (int i = 0; i < *rank; i++) {
        int64_t known = told->rank == *rank ? told->dims[i] : -1;
        if (known < 0 && left && left->rank == *rank)
            known = left->dims[i];
        bool channel = cone->layout == LAYOUT_IMAGE  ? i == 1
                       : cone->layout == LAYOUT_ROWS ? i == *rank - 1
                                                     : false;
        bool free = cone->layout != LAYOUT_NONE && !channel && known != 1 && size < SIZES - 1;
        if (known >= 0 && !free) {
            dims[i] = known;
        } else if (channel) {
            return arena_format(verify->arena, "the channels of '%s' are not known", source->name);
        } else if (i == 0 && cone->layout != LAYOUT_ROWS) {
            dims[i] = 1 + trial % 2;
        } else if (cone->layout == LAYOUT_ROWS) {
            dims[i] = 2 + i + trial;
        } else {
            dims[i] = base + (i + trial) % 3;
        }
        if (i == 0 && known == 1 && cone->layout == LAYOUT_IMAGE && size < SIZES - 1)
            dims[i] = 1 + trial % 2; /* the batch is nobody's business */
    }
    return NULL;
}

/* Replaces the source that is computed last by what it is computed from. */
static bool open_last(struct cone *cone)
{
    struct value *last = NULL;
    for (size_t i = 0; i < cone->sources.count; i++) {
        struct value *source = cone->sources.items[i];
        if (source->producer && source->producer->op != OP_UNKNOWN &&
            !source->producer->body_count &&
            (!last || source->producer->depth > last->producer->depth))
            last = source;
    }
    if (!last)
        return false;
    LIST_PUSH(cone->arena, &cone->opened, last->number);
    return true;
}

/* A cone with as few sources as can be: random numbers for each of several would contradict one
 * another where one is made of the other, and their shapes might not agree. */
static const char *collect_few(struct verify *verify, const struct graph *left, struct value *root,
                               struct cone *cone)
{
    const char *reason = collect(verify, left, root, cone);
    struct cone best = *cone;
    for (int i = 0; !reason && cone->sources.count > 1 && i < OPENINGS_MOST; i++) {
        if (!open_last(cone))
            break;
        struct cone next = {.arena = cone->arena};
        next.opened.items = cone->opened.items;
        next.opened.count = cone->opened.count;
        next.opened.room = cone->opened.room;
        if (collect(verify, left, root, &next))
            break;
        *cone = next;
        if (next.sources.count < best.sources.count)
            best = next;
    }
    if (!reason)
        *cone = best;
    return reason;
}

static const char *draw_sources(struct verify *verify, struct bench *bench, const struct cone *cone,
                                const struct graph *left, int size, int trial)
{
    static const double amplitudes[] = {1, 8, 0.25};
    for (size_t i = 0; i < cone->sources.count; i++) {
        const struct value *source = cone->sources.items[i];
        int64_t dims[EVAL_RANK];
        int rank = 0;
        if (bench_array(bench, source))
            continue;
        const char *reason = source_shape(verify, cone, left, source, size, trial, &rank, dims);
        if (!reason)
            reason = bench_draw(bench, source, rank, dims,
                                verify->options->seed + (uint64_t)trial * 7919,
                                amplitudes[trial % (int)COUNT_OF(amplitudes)]);
        if (reason)
            return reason;
    }
    return NULL;
}

double verify_tolerance(const struct verify *verify, int32_t type)
{
    if (verify->options->rtol > 0)
        return verify->options->rtol;
    switch (type) {
    case ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16: return 1e-2;
    case ONNX__TENSOR_PROTO__DATA_TYPE__BFLOAT16: return 6e-2;
    case ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE: return 1e-12;
    default: return 1e-5;
    }
}

static bool within(const struct gap *gap, double tolerance)
{
    return gap->same_shape && gap->ratio <= tolerance;
}

/* ---- search ---- */

static void search_reset(struct verify *verify)
{
    bench_reset(&verify->bench);
    verify->found.count = 0;
    verify->searched = 0;
    verify->budget = SEARCH_MOST;
    verify->search++;
}

/* Puts all values of the first model that hold a number in line. */
static void enqueue(struct verify *verify, uint32_t number)
{
    struct mark *mark = mark_of(verify, number);
    if (mark->queued == verify->search)
        return;
    mark->queued = verify->search;
    for (const struct same *same = verify->left[number]; same; same = same->next)
        LIST_PUSH(verify->arena, &verify->found, same->value);
}

static bool is_ready(const struct verify *verify, const struct node *node)
{
    if (node->op == OP_UNKNOWN || node->body_count)
        return false;
    for (size_t i = 0; i < node->input_count; i++)
        if (node->inputs[i] && !bench_array(&verify->bench, node->inputs[i]) &&
            !is_constant(node->inputs[i]))
            return false;
    return true;
}

/* Evaluates the readers of one more value of the first model. False: there is nothing left. */
static bool search_step(struct verify *verify, const struct graph *graph)
{
    if (verify->searched == verify->found.count || verify->budget == 0)
        return false;
    const struct value *value = verify->found.items[verify->searched++];
    for (const struct use *use = value->uses; use && verify->budget; use = use->next) {
        const struct node *node = use->inner;
        struct value *output = node_output(node, 0);
        if (node->graph != graph || !output ||
            mark_of(verify, output->number)->queued == verify->search)
            continue;
        if (!bench_array(&verify->bench, output)) {
            if (!is_ready(verify, node))
                continue;
            verify->budget--;
            if (bench_evaluate(&verify->bench, output, 1))
                continue;
        }
        for (size_t i = 0; i < node->output_count; i++)
            if (node->outputs[i] && bench_array(&verify->bench, node->outputs[i]))
                enqueue(verify, node->outputs[i]->number);
    }
    return true;
}

static void note_blocker(struct verify *verify, const struct bench *bench,
                         const struct value *value, const char *reason)
{
    const struct node *bad = bench->bad;
    if (verify->blocker)
        return;
    verify->blocker = bad ? arena_format(verify->arena, "%s '%s', which makes '%s': %s",
                                         bad->proto->op_type ? bad->proto->op_type : "",
                                         bad->proto->name ? bad->proto->name : "",
                                         node_output(bad, 0) ? bad->outputs[0]->name : "", reason)
                          : arena_format(verify->arena, "'%s': %s", value->name, reason);
}

/* One evaluation of a pair on fresh numbers, at the first size from `size` on that the operators
 * accept. `left` may be NULL: then `right` alone. */
static const char *evaluate_pair(struct verify *verify, struct bench *bench,
                                 const struct cone *cone, const struct graph *graph,
                                 struct value *left, struct value *right, int trial, int size)
{
    const char *reason = NULL;
    for (; size < SIZES; size++) {
        bench_reset(bench);
        reason = draw_sources(verify, bench, cone, graph, size, trial);
        if (!reason)
            reason = bench_evaluate(bench, right, CONE_MOST + 1);
        if (!reason && left)
            reason = bench_evaluate(bench, left, HINT_MOST);
        if (!reason)
            return NULL;
        if (bench->bad && (bench->bad->op == OP_UNKNOWN || bench->bad->body_count))
            break;
    }
    /* The reason lies in the bench's memory, which is emptied before anyone reads it. */
    return arena_copy(verify->arena, reason);
}

/* Nodes of the first model between a value and the sources of a cone. */
static size_t count_left(struct verify *verify, const struct cone *cone, const struct value *left)
{
    LIST(const struct value *) stack = {NULL, 0, 0};
    size_t count = 0;
    verify->walk++;
    for (size_t i = 0; i < cone->sources.count; i++)
        mark_of(verify, cone->sources.items[i]->number)->walked = verify->walk;
    LIST_PUSH(cone->arena, &stack, left);
    while (stack.count && count < HINT_MOST) {
        const struct value *value = stack.items[--stack.count];
        struct mark *mark = mark_of(verify, value->number);
        const struct node *node = value->producer;
        if (mark->walked == verify->walk || !node || node->op == OP_Constant)
            continue;
        mark->walked = verify->walk;
        count++;
        for (size_t i = 0; i < node->input_count; i++)
            if (node->inputs[i])
                LIST_PUSH(cone->arena, &stack, node->inputs[i]);
    }
    return count;
}

/* A pair that agreed in `bench`: more trials, each on other numbers and another size. */
static bool confirm(struct verify *verify, const struct cone *cone, const struct graph *graph,
                    struct value *left, struct value *right, const struct gap *first)
{
    double tolerance = verify_tolerance(verify, cone->type);
    int trials = verify->options->trials;
    if (cone->saturates && trials < 3)
        trials = 3;
    struct verify_region *region = NEW(verify->arena, struct verify_region);
    *region = (struct verify_region){.left = left, .right = right, .trials = 1};
    region->difference = first->ratio;
    region->right_ops = cone->nodes.count;
    region->left_ops = count_left(verify, cone, left);
    for (int trial = 1; trial < trials && cone->sources.count; trial++) {
        if (evaluate_pair(verify, &verify->check, cone, graph, left, right, trial, 0))
            return false;
        struct gap gap =
            bench_compare(bench_array(&verify->check, left), bench_array(&verify->check, right));
        if (!within(&gap, tolerance))
            return false;
        region->difference = fmax(region->difference, gap.ratio);
        region->trials++;
    }
    LIST_PUSH(verify->arena, &verify->result->regions, region);
    verify->result->largest = fmax(verify->result->largest, region->difference);
    verify->result->tolerance = fmax(verify->result->tolerance, tolerance);
    return true;
}

/* "[0, 3, 1, 2] of [1, 8, 5, 6]" */
static const char *place_of(struct arena *arena, const struct array *array, int64_t at)
{
    struct array place = {.rank = array->rank};
    for (int i = array->rank - 1; i >= 0; i--) {
        place.dims[i] = array->dims[i] ? at % array->dims[i] : 0;
        at = array->dims[i] ? at / array->dims[i] : 0;
    }
    return arena_format(arena, "%s of %s", array_shape(arena, &place), array_shape(arena, array));
}

/* Keeps the first departure. */
static void depart(struct verify *verify, const struct value *left, const struct value *right,
                   const struct gap *gap, const struct bench *bench)
{
    struct verify_departure *departure = &verify->result->departure;
    const struct array *a = bench_array(bench, left), *b = bench_array(bench, right);
    if (verify->result->departs)
        return;
    verify->result->departs = true;
    *departure = (struct verify_departure){.left = left, .right = right};
    departure->difference = gap->difference;
    departure->largest = gap->largest;
    departure->left_number = gap->left;
    departure->right_number = gap->right;
    departure->at = gap->same_shape ? place_of(verify->arena, a, gap->at)
                                    : arena_format(verify->arena, "shape %s and %s",
                                                   array_shape(verify->arena, a),
                                                   array_shape(verify->arena, b));
}

/* Compares one value of the first model that has an array. */
static bool try_left(struct verify *verify, const struct cone *cone, const struct graph *graph,
                     struct value *left, struct value *right, bool hinted)
{
    const struct array *a = bench_array(&verify->bench, left);
    const struct array *b = bench_array(&verify->bench, right);
    if (!a || !b || (!hinted && (a->rank != b->rank || a->count != b->count)))
        return false;
    struct gap gap = bench_compare(a, b);
    bool agrees = within(&gap, verify_tolerance(verify, cone->type));
    if (!agrees && hinted)
        depart(verify, left, right, &gap, &verify->bench);
    /* Numbers that are all alike agree with much that is not equal. */
    if (!agrees || (gap.constant && a->count > 1 && !hinted))
        return false;
    if (!confirm(verify, cone, graph, left, right, &gap))
        return false;
    right->number = left->number;
    return true;
}

static bool search(struct verify *verify, const struct cone *cone, const struct graph *graph,
                   struct value *right)
{
    for (size_t i = 0; i < cone->sources.count; i++)
        enqueue(verify, cone->sources.items[i]->number);
    size_t compared = 0;
    do {
        for (; compared < verify->found.count; compared++)
            if (verify->found.items[compared]->graph == graph &&
                try_left(verify, cone, graph, verify->found.items[compared], right, false))
                return true;
    } while (search_step(verify, graph));
    return false;
}

/* True when the declared sizes of the sources can be searched as well. */
static bool is_small(const struct cone *cone)
{
    int64_t total = 0;
    for (size_t i = 0; i < cone->sources.count; i++) {
        const struct value *source = cone->sources.items[i];
        int64_t count;
        if (source->rank < 0 || !count_elements(source->dims, (size_t)source->rank, &count) ||
            !add_fits(total, count, &total))
            return false;
    }
    return total <= SMALL;
}

bool verify_prove(struct verify *verify, struct graph *graph, struct value *right,
                  struct value *hint)
{
    struct cone cone = {.arena = verify->cones};
    struct bench *bench = &verify->bench;
    arena_reset(verify->cones);
    if (verify->failures > FAILURES_MOST && !hint)
        return false;
    if (bench->products + verify->check.products > PRODUCTS_MOST) {
        note_blocker(verify, bench, right, "more multiply-adds than will be evaluated");
        return false;
    }
    if (bench->scratch->allocated > SCRATCH_MOST)
        search_reset(verify);
    bench->bad = NULL;
    const char *reason = collect_few(verify, graph, right, &cone);
    if (!reason) {
        /* First among what is there; afresh when the sizes do not agree. */
        reason = draw_sources(verify, bench, &cone, graph, 0, 0);
        if (!reason)
            reason = bench_evaluate(bench, right, CONE_MOST + 1);
        if (reason) {
            search_reset(verify);
            reason = evaluate_pair(verify, bench, &cone, graph, NULL, right, 0, 0);
        }
    }
    if (reason) {
        note_blocker(verify, bench, right, reason);
        search_reset(verify);
        verify->failures++;
        return false;
    }
    bool found = false;
    if (hint) {
        bool there = bench_array(bench, hint) || !bench_evaluate(bench, hint, HINT_MOST);
        if (!there) { /* perhaps it holds for one size only */
            search_reset(verify);
            there = !evaluate_pair(verify, bench, &cone, graph, hint, right, 0, 1);
        }
        found = there && try_left(verify, &cone, graph, hint, right, true);
    }
    /* Where the small size finds nothing, the declared one may. */
    for (int size = 0; !found && verify->failures <= FAILURES_MOST && size < SIZES;
         size += SIZES - 1) {
        if (size) {
            search_reset(verify);
            if (!is_small(&cone) ||
                evaluate_pair(verify, bench, &cone, graph, NULL, right, 0, size))
                continue;
        }
        found = bench_array(bench, right) && search(verify, &cone, graph, right);
    }
    verify->failures = found ? 0 : verify->failures + 1;
    if (found) {
        search_reset(verify);
        if (verify->result->departure.right == right)
            verify->result->departs = false; /* the hint was wrong, not the value */
    }
    return found;
}

const char *verify_measure(struct verify *verify, struct graph *graph, struct value *left,
                           struct value *right, struct gap *gap, double *tolerance)
{
    const char *reason = NULL;
    for (int attempt = 0; attempt < 2; attempt++) {
        struct cone cone = {.arena = verify->cones, .opens_all = attempt == 1};
        arena_reset(verify->cones);
        verify->check.bad = NULL;
        reason = attempt ? collect(verify, graph, right, &cone)
                         : collect_few(verify, graph, right, &cone);
        if (reason)
            continue;
        /* Where the first random numbers hide a difference, others may show it. */
        *tolerance = verify_tolerance(verify, cone.type);
        bool measured = false, agrees = true;
        for (int trial = 0; agrees && trial < MEASURES; trial++) {
            reason = evaluate_pair(verify, &verify->check, &cone, graph, left, right, trial, 0);
            if (reason)
                break;
            *gap = bench_compare(bench_array(&verify->check, left),
                                 bench_array(&verify->check, right));
            measured = true;
            agrees = within(gap, *tolerance);
        }
        if (!measured)
            continue;
        if (!agrees)
            depart(verify, left, right, gap, &verify->check);
        return NULL;
    }
    note_blocker(verify, &verify->check, right, reason);
    return reason;
}
