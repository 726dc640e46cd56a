/* check/selfcheck.c: checks each rewrite against the ops that it replaces, before it is kept.
 *
 * Checks are independent. Each thread takes the next one; it has its own arena and landing, and writes only to the
 * rewrite that it checks. Nothing that they read changes, so the output may be written at the same time: see
 * write/write.h. */
#include "check/selfcheck.h"

#include <math.h>

#include "base/decimal.h"
#include "base/progress.h"
#include "base/system.h"
#include "check/check.h"
#include "infer/constant.h"
#include "model/external.h"

static double tolerance_of(const struct onnx_fuse_options *options, int32_t type)
{
    return options->tolerance > 0 ? options->tolerance : type_tolerance(type);
}

enum { TRIALS = 2, MORE_TRIALS = 6, LAST_TRIALS = 2 };
/* Multiples of a size to try. */
enum { FACTOR_MOST = 64 };
/* Memory up to which two trials share what they read. */
enum { FEW_CELLS = 1 << 17 };

static int trial_rank(const struct fusion *fusion)
{
    const struct value *source = fusion->source;
    if (fusion->sources.count)
        return fusion->sources.items[0].rank;
    if (fusion->layout == LAYOUT_CONV)
        return fusion->axes + 2;
    return source->rank >= 2 && source->rank <= AFFINE_AXES ? source->rank : 2;
}

/* Shape of a trial input: a few positions of output per axis, borders included, no two axes alike.
 * A rewrite that holds for the declared size only is tried at that size. The last trials, where no other could be
 * evaluated, are for sums around it that fit at few sizes: the declared ones, or the smallest, or one position. spans:
 * what the windows of either side reach, which the plan may have wrong. */
static void trial_shape(const struct fusion *fusion, int trial, const int64_t *spans, int64_t *dims)
{
    int rank = trial_rank(fusion);
    const struct value *source = fusion->source;
    bool last = trial >= MORE_TRIALS;
    bool declared = (fusion->sized || last) && source->rank == rank;
    if (fusion->layout == LAYOUT_MATRIX) {
        for (int i = 0; i < rank - 1; i++)
            dims[i] = declared && source->dims[i] > 0 ? source->dims[i] : 2 + i + trial;
        dims[rank - 1] = fusion->channels;
        return;
    }
    dims[0] = declared && source->dims[0] > 0 ? source->dims[0] : 1;
    dims[1] = fusion->channels;
    for (int i = 0; i < fusion->axes; i++) {
        struct affine_axis axis = affine_axis_of(fusion->form, fusion->form->axes ? i : 0);
        int64_t size = 2 * axis.stride + 1 - axis.end;
        size = size < spans[i] ? spans[i] : size;
        size = size < 3 ? 3 : size;
        size += (i + 2 * trial) % 3 + (trial < TRIALS ? 0 : 2 * trial);
        dims[2 + i] = trial > MORE_TRIALS ? 1 : last ? spans[i] : size;
        if (declared && source->dims[2 + i] > 0)
            dims[2 + i] = source->dims[2 + i];
    }
}

struct worker {
    struct selfcheck *checker;
    struct landing landing;
    struct arena arena;   /* of one check */
    struct arena reasons; /* what the checks said */
    bool is_done;         /* no check is left */
};

struct selfcheck {
    struct model *model;
    const struct onnx_fuse_options *options;
    struct effort *effort; /* of all checks: what they took is taken off at the end */
    struct fusion **fusions;
    size_t count;
    struct effort share; /* of one check: the same whatever the others cost */
    double *spent;       /* products, by check */
    int at_once;         /* threads that may check side by side */
    atomic_size_t next;
    bool stopped;           /* by the caller; set by its thread */
    struct worker *workers; /* jobs of them, one per thread */
    struct helper *helpers; /* jobs of them: they check in parallel with the caller, who is the first */
    int jobs;
    atomic_bool paused;
};

struct helper {
    struct selfcheck *checker;
    int number;
    struct thread thread;
    bool started;
};

/* For a source of a move: as declared, or if possible small, except on the axis of the channels. */
static void move_shape(const struct move_source *source, bool small, int trial, int64_t *dims)
{
    const struct value *value = source->value;
    for (int i = 0; i < value->rank; i++) {
        int64_t factor = 1; /* what is said to be twice the batch is twice the batch */
        if (value->dims[i] < -1)
            factor = model_multiple(value->graph->model, value->dims[i]).factor;
        factor = factor > FACTOR_MOST ? 1 : factor;
        dims[i] = value->dims[i] > 0 ? value->dims[i] : (2 + i + trial) * factor;
        if (small && i != source->axis && dims[i] > 2 + i + trial)
            dims[i] = 2 + i + trial;
    }
}

/* Evaluates the ops of a move, at their place in the file and where they are now, for one value that they make. *lacks:
 * one side needs values that are computed from none of the sources. */
static const char *try_move(struct worker *worker, struct fusion *fusion, const struct value *target, bool small,
                            int trial, struct effort *effort, bool *lacks)
{
    struct arena *arena = &worker->arena;
    arena_reset(arena);
    effort->cells = worker->checker->share.cells;
    size_t count = fusion->move_sources.count;
    struct trial_source *sources = NEW_ARRAY(arena, struct trial_source, count);
    for (size_t i = 0; i < count; i++) {
        struct value *value = fusion->move_sources.items[i].value;
        int64_t *dims = NEW_ARRAY(arena, int64_t, value->rank + 1);
        move_shape(&fusion->move_sources.items[i], small, trial, dims);
        sources[i] = (struct trial_source){value, value->rank, dims};
    }
    struct check_case one = {.source = sources[0].value,
                             .sources = sources,
                             .source_count = count,
                             .target = target,
                             .moves = true,
                             .rank = sources[0].rank,
                             .dims = sources[0].dims,
                             .channel_axis = sources[0].rank - 1,
                             .seed = (uint64_t)trial + 1,
                             .type = fusion->type,
                             .tolerance = tolerance_of(worker->checker->options, fusion->type),
                             .effort = effort};
    if (target->rank > 1) /* channels are axis 1 of the target */
        one.channel_axis = sources[0].rank - (target->rank - 1);
    struct check_region *region;
    struct check_result result;
    const char *reason = check_begin(arena, &one, &region);
    *lacks = reason != NULL;
    if (!reason)
        reason = check_try(region, &result);
    if (reason)
        return arena_format(&worker->reasons, "the self-check cannot evaluate it: %s", reason);
    fusion->difference = fmax(fusion->difference, result.difference);
    return NULL;
}

/* The op that makes a value, as the side of the file has it. */
static const struct node *filed_maker(const struct value *value)
{
    return value->moved_producer ? value->moved_producer : value->first_producer;
}

enum { SOURCES_MOST = 16, STEPS_BACK = 64 };

/* In place of a source stands what its op reads. False: that is nothing that can be drawn. */
static bool replace_source(struct move_source *sources, size_t *count, size_t index)
{
    const struct node *maker = filed_maker(sources[index].value);
    sources[index] = sources[--*count];
    for (size_t k = 0; k < maker->input_count; k++) {
        struct value *input = node_filed_input(maker, k);
        if (!input || input->tensor || constant_folded(input))
            continue;
        size_t same = 0;
        while (same < *count && sources[same].value != input)
            same++;
        if (same < *count)
            continue;
        if (*count == SOURCES_MOST || input->rank < 0 || !type_is_float(input->type))
            return false;
        sources[(*count)++] = (struct move_source){input, -1};
    }
    return *count > 0;
}

/* A later rewrite may make what a move reads of something that lies further back. Then what both sides are shown from is the
 * one value, further back, that all sources are computed from: of several values one might be computed from another,
 * on one side alone. False: there is none near by. */
static bool step_back(struct worker *worker, struct fusion *fusion)
{
    struct move_source *sources = NEW_ARRAY(&worker->reasons, struct move_source, SOURCES_MOST);
    size_t count = fusion->move_sources.count;
    if (count > SOURCES_MOST)
        return false;
    memcpy(sources, fusion->move_sources.items, count * sizeof(*sources));
    for (int step = 0; step < STEPS_BACK; step++) {
        size_t deepest = count;
        for (size_t i = 0; i < count; i++) {
            const struct node *maker = filed_maker(sources[i].value);
            if (maker && (deepest == count || maker->depth > filed_maker(sources[deepest].value)->depth))
                deepest = i;
        }
        if (deepest == count || !replace_source(sources, &count, deepest))
            return false;
        if (count > 1)
            continue;
        fusion->move_sources.items = sources;
        fusion->move_sources.count = fusion->move_sources.room = 1;
        return true;
    }
    return false;
}

static const char *check_move(struct worker *worker, struct fusion *fusion, const struct value *target,
                              struct effort *effort)
{
    enum { MOST = 8 };
    const char *first = NULL;
    for (int back = 0; back <= MOST; back++) {
        const char *reason = NULL;
        bool lacks = false;
        for (int trial = 0; trial < TRIALS && !reason; trial++)
            if (try_move(worker, fusion, target, true, trial, effort, &lacks)) {
                reason = try_move(worker, fusion, target, false, trial, effort, &lacks);
                if (!reason)
                    return NULL;
            }
        if (!reason)
            return NULL;
        first = first ? first : reason;
        if (!lacks || !step_back(worker, fusion))
            break;
    }
    return first;
}

static const char *check_moves(struct worker *worker, struct fusion *fusion, struct effort *effort)
{
    const char *reason = NULL;
    for (size_t i = 0; !reason && i < fusion->moved.count; i++)
        reason = check_move(worker, fusion, fusion->moved.items[i], effort);
    arena_reset(&worker->arena);
    return reason;
}

/* Evaluates one rewrite on a few inputs, notes the difference, and returns NULL when the evaluation could be
 * made. */
static const char *evaluate(struct worker *worker, struct fusion *fusion, struct effort *effort)
{
    int64_t dims[AFFINE_AXES + 2];
    struct check_case one = {.source = value_now(fusion->source),
                             .sources = fusion->sources.items,
                             .source_count = fusion->sources.count,
                             .target = fusion->target,
                             .terms = fusion->terms.items,
                             .term_count = fusion->terms.count,
                             .rank = trial_rank(fusion),
                             .dims = fusion->sources.count ? fusion->sources.items[0].dims : dims,
                             .channels = fusion->outputs,
                             .type = fusion->type,
                             .tolerance = tolerance_of(worker->checker->options, fusion->type),
                             .effort = effort};
    struct check_region *region = NULL;
    const char *reason = NULL;
    int evaluated = 0;
    one.channel_axis = fusion->layout == LAYOUT_CONV && one.rank > 1 ? 1 : one.rank - 1;
    /* Sizes grow from trial to trial: ops between may need more than the smallest. */
    for (int trial = 0; trial < MORE_TRIALS + (evaluated ? 0 : LAST_TRIALS) && evaluated < TRIALS; trial++) {
        struct check_result result;
        int64_t spans[AFFINE_AXES];
        one.seed = (uint64_t)trial + 1;
        reason = region ? NULL : check_begin(&worker->arena, &one, &region);
        if (!reason && !one.sources) {
            check_spans(region, fusion->axes, spans);
            trial_shape(fusion, trial, spans, dims);
        }
        if (!reason)
            reason = check_try(region, &result);
        if (reason) {
            reason = arena_format(&worker->reasons, "the self-check cannot evaluate it: %s", reason);
        } else {
            evaluated++;
            fusion->difference = fmax(fusion->difference, result.difference);
            fusion->channels_checked = result.channels;
        }
        if (fusion->sized || one.sources)
            break;
        /* The next trial gets the same budget: it restarts if both together might exceed it. */
        if (reason || worker->checker->share.cells - effort->cells > FEW_CELLS) {
            region = NULL;
            arena_reset(&worker->arena);
            effort->cells = worker->checker->share.cells;
        }
    }
    arena_reset(&worker->arena);
    return evaluated ? NULL : reason;
}

/* NULL when the rewrite holds. */
static const char *check(struct worker *worker, struct fusion *fusion, struct effort *effort)
{
    double tolerance = tolerance_of(worker->checker->options, fusion->type);
    const char *reason = fusion->moves ? check_moves(worker, fusion, effort) : evaluate(worker, fusion, effort);
    if (reason)
        return reason;
    if (!isfinite(fusion->difference))
        return "its numbers are not finite: NaN or infinity in a weight, or larger than its type "
               "holds";
    if (fusion->difference <= tolerance)
        return NULL;
    return arena_format(&worker->reasons, "the self-check found a relative difference of %s, more than %s",
                        decimal_rounded(fusion->difference, 3).text, decimal_rounded(tolerance, 3).text);
}

/* Pages of the input that one check may read before they are given back. */
enum { LARGE = 1 << 20 };
/* An arena that one check needed so much of is not kept for the next. */
enum { LARGE_ARENA = 8 << 20 };

static void check_next(void *closure)
{
    struct worker *worker = closure;
    struct selfcheck *checker = worker->checker;
    size_t index = atomic_fetch_add(&checker->next, 1);
    if (index >= checker->count) {
        worker->is_done = true;
        return;
    }
    struct fusion *fusion = checker->fusions[index];
    struct effort left = checker->share;
    fusion->failure = check(worker, fusion, &left);
    checker->spent[index] = checker->share.products - left.products;
    if (worker->arena.allocated > LARGE_ARENA)
        arena_free(&worker->arena);
    if (fusion->parameters_before > LARGE)
        model_give_back(checker->model);
}

static void report_progress(struct selfcheck *checker)
{
    const struct progress progress = {checker->options->progress, checker->options->closure};
    double done = fmin((double)atomic_load(&checker->next), (double)checker->count);
    if (!progress_tell(&progress, "checking", done / (double)checker->count)) {
        checker->stopped = true;
        atomic_store(&checker->next, checker->count);
    }
}

bool selfcheck_next(void *closure, int thread)
{
    struct selfcheck *checker = closure;
    struct worker *worker = &checker->workers[thread];
    if (thread >= checker->at_once || worker->landing.status != ONNX_FUSE_OK ||
        !landing_call(&worker->landing, check_next, worker) || worker->is_done)
        return false;
    if (thread == 0)
        report_progress(checker);
    return true;
}

enum { FEW = 4 };

struct selfcheck *selfcheck_begin(struct model *model, const struct onnx_fuse_options *options, struct effort *effort,
                                  struct fusion **fusions, size_t count)
{
    struct arena *arena = model->arena;
    struct landing *landing = arena->landing;
    struct selfcheck *checker = NEW(arena, struct selfcheck);
    int jobs = options->jobs < BUDGET_THREADS ? options->jobs : BUDGET_THREADS;
    checker->model = model;
    checker->options = options;
    checker->effort = effort;
    checker->fusions = fusions;
    checker->count = count;
    checker->workers = NEW_ARRAY(arena, struct worker, jobs);
    checker->helpers = NEW_ARRAY(arena, struct helper, jobs);
    checker->jobs = jobs;
    checker->share = *effort;
    checker->share.products /= count ? (double)count : 1;
    checker->spent = NEW_ARRAY(arena, double, count + 1);
    /* They share the remaining budget of the run. The budget of one does not depend on their number, because the
     * result must not. */
    double left = (double)landing_left(landing);
    if (checker->share.cells * sizeof(double) > left / 2)
        checker->share.cells = left / 2 / sizeof(double);
    checker->at_once = jobs;
    while (checker->at_once > 1 && checker->at_once * checker->share.cells * sizeof(double) > left / 2)
        checker->at_once--;
    for (int i = 0; i < jobs; i++) {
        struct worker *worker = &checker->workers[i];
        worker->checker = checker;
        landing_bound(&worker->landing, model->path, landing->input);
        if (landing->most) /* 1, not 0, which would be no bound */
            worker->landing.most = landing_left(landing) / (size_t)checker->at_once + 1;
        arena_init(&worker->arena, &worker->landing);
        arena_init(&worker->reasons, &worker->landing);
    }
    return checker;
}

static void work(void *closure)
{
    struct helper *helper = closure;
    while (!atomic_load(&helper->checker->paused) && selfcheck_next(helper->checker, helper->number))
        ;
}

void selfcheck_start(struct selfcheck *checker)
{
    /* A thread must be worth its start. */
    for (int i = 1; checker->count >= FEW && i < checker->at_once; i++) {
        struct helper *helper = &checker->helpers[i];
        helper->checker = checker;
        helper->number = i;
        helper->started = thread_start(&helper->thread, work, helper);
    }
}

static void join(struct selfcheck *checker)
{
    for (int i = 1; i < checker->jobs; i++)
        if (checker->helpers[i].started)
            thread_join(&checker->helpers[i].thread);
    for (int i = 1; i < checker->jobs; i++)
        checker->helpers[i].started = false;
}

void selfcheck_pause(struct selfcheck *checker)
{
    atomic_store(&checker->paused, true);
    join(checker);
    atomic_store(&checker->paused, false);
}

void selfcheck_run(struct selfcheck *checker)
{
    while (selfcheck_next(checker, 0))
        ;
    join(checker);
}

void selfcheck_free(struct selfcheck *checker)
{
    if (checker)
        selfcheck_pause(checker);
    for (int i = 0; checker && i < checker->jobs; i++) {
        arena_free(&checker->workers[i].arena);
        arena_free(&checker->workers[i].reasons);
    }
}

void selfcheck_end(struct selfcheck *checker)
{
    struct arena *arena = checker->model->arena;
    bool good = true;
    for (int i = 0; i < checker->jobs; i++) {
        const struct landing *own = &checker->workers[i].landing;
        good = good && own->status == ONNX_FUSE_OK;
        if (own->status == ONNX_FUSE_LIMIT)
            fail(arena->landing, ONNX_FUSE_LIMIT, "%s", own->message);
    }
    for (size_t i = 0; i < checker->count; i++)
        checker->effort->products -= checker->spent[i];
    for (size_t i = 0; good && i < checker->count; i++)
        if (checker->fusions[i]->failure)
            checker->fusions[i]->failure = arena_copy(arena, checker->fusions[i]->failure);
    if (checker->stopped)
        fail(arena->landing, ONNX_FUSE_CANCELLED, "%s: stopped by the caller", checker->model->path);
    if (!good)
        fail(arena->landing, ONNX_FUSE_OUT_OF_MEMORY, "%s: out of memory in the self-check", checker->model->path);
}
