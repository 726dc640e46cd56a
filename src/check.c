/* check.c: evaluates what the file says and what replaces it, and compares.
 *
 * A large weight is not evaluated whole: a few output channels are drawn (the sample), and a walk
 * from the target back to the source finds how far that narrows the work. Operators that treat
 * each channel alone hand the sample on to their data; Conv, ConvTranspose, Gemm and MatMul
 * compute the sample from all of theirs; everything else is computed whole. */
#include <math.h>
#include <string.h>

#include "check_internal.h"

enum {
    SAMPLE_LEAST = 3,    /* channels of a sample: as few where each is much work */
    WORK_OF_ALL = 500000 /* products up to which all channels are evaluated */
};

struct check_region {
    struct trial trial;
    struct side file, new;
};

/* ---- evaluation ---- */

static const char *evaluate_kind(struct trial *trial, struct evaluation *e, const struct item *item)
{
    int64_t groups = node_integer(item->node, "group", 1);
    if (item->varies && !item->is_whole && groups > 1 && item->node->op == OP_Conv) {
        if (check_is_depthwise(trial, item))
            return eval_conv_rows(e, trial->sample_count, NULL);
        if (trial->check->channels % groups != 0)
            return "the output channels do not fill the groups";
        int64_t group_of[SAMPLE];
        for (int64_t i = 0; i < trial->sample_count; i++)
            group_of[i] = trial->sample[i] / (trial->check->channels / groups);
        return eval_conv_rows(e, groups, group_of);
    }
    if (item->varies && !item->is_whole && groups > 1 && item->node->op == OP_ConvTranspose)
        return eval_conv_transpose_channels(e, trial->sample, trial->sample_count);
    return eval_arrays(e);
}

static const char *evaluate_item(struct trial *trial, struct item *item)
{
    const struct node *node = item->node;
    const struct check_case *check = trial->check;
    bool is_sample = item->varies && !item->is_whole;
    struct array **inputs = NEW_ARRAY(trial->arena, struct array *, node->input_count);
    bool *is_copy = NEW_ARRAY(trial->arena, bool, node->input_count);
    const char *reason = NULL;
    for (size_t i = 0; i < node->input_count && !reason; i++) {
        bool is_data;
        if (!item->inputs[i])
            continue;
        int axis = is_sample ? check_sample_axis(trial, item, i, &is_data) : -1;
        reason = check_read(trial, item->inputs[i], axis, &inputs[i], &is_copy[i]);
    }
    if (!reason && (node->op == OP_Shape || node->op == OP_Size) && inputs[0] &&
        item->inputs[0]->varies && !item->inputs[0]->is_whole) {
        /* What is held is the sample; asked is the shape of the whole. */
        struct array *whole = NEW(trial->arena, struct array);
        *whole = *inputs[0];
        whole->dims[check->channel_axis] = check->channels;
        if (!count_elements(whole->dims, (size_t)whole->rank, &whole->count))
            reason = "a shape that overflows";
        inputs[0] = whole;
    }
    if (!reason) {
        struct evaluation e = {.arena = trial->arena,
                               .pool = &trial->pool,
                               .node = node,
                               .inputs = inputs,
                               .outputs =
                                   NEW_ARRAY(trial->arena, struct array *, node->output_count + 1),
                               .is_constant = !item->varies,
                               .limit = CHECK_MOST};
        reason = evaluate_kind(trial, &e, item);
        if (!reason)
            item->array = e.outputs[item->output];
        if (!reason && !item->array)
            reason = "this output is not evaluated";
        if (!reason)
            eval_note_reach(node, inputs, item->array);
    }
    if (!reason && is_sample &&
        (item->array->rank != check->rank ||
         item->array->dims[check->channel_axis] != trial->sample_count))
        reason =
            arena_format(trial->arena, "a result of shape %s where %lld channels were expected",
                         array_shape(trial->arena, item->array), (long long)trial->sample_count);
    if (reason)
        return arena_format(trial->arena, "%s that makes '%s': %s", node->proto->op_type,
                            item->value->name, reason);
    for (size_t i = 0; i < node->input_count; i++) {
        struct item *input = item->inputs[i];
        if (!input)
            continue;
        if (is_copy[i])
            pool_return(&trial->pool, inputs[i]);
        if (item->varies && !input->varies)
            continue; /* for the next trial */
        if (--input->left == 0 && input->array && input->node) {
            pool_return(&trial->pool, input->array);
            input->array = NULL;
        }
    }
    return NULL;
}

/* True for a value that is known to have the target's channels where the target has them: some of them tell
 * its shape. */
static bool has_channels(const struct trial *trial, const struct value *value)
{
    const struct check_case *check = trial->check;
    return value->rank == check->rank && value->dims[check->channel_axis] == check->channels;
}

/* Hands the demand for channels from the roots to the source. */
static void spread_demand(struct side *side)
{
    struct trial *trial = side->trial;
    for (size_t i = 0; i < side->roots.count; i++)
        side->roots.items[i]->wanted = WANTED_SAMPLE;
    for (size_t n = side->order.count; n-- > 0;) {
        struct item *item = side->order.items[n];
        if (!item->node || !item->varies)
            continue;
        enum op kind = item->node->op;
        item->is_whole =
            !trial->samples || item->wanted == WANTED_ALL || !check_computes_sample(trial, item);
        for (size_t i = 0; i < item->node->input_count; i++) {
            struct item *input = item->inputs[i];
            bool is_data = false;
            if (!input)
                continue;
            if (!item->is_whole)
                check_sample_axis(trial, item, i, &is_data);
            else
                is_data =
                    (kind == OP_Shape || kind == OP_Size) && has_channels(trial, input->value);
            enum wanted wanted = is_data ? WANTED_SAMPLE : WANTED_ALL;
            if (input->wanted < wanted)
                input->wanted = wanted;
        }
    }
}

/* Forgets what the trial before found, but for constants. */
static void clear_side(struct side *side)
{
    struct trial *trial = side->trial;
    for (size_t i = 0; i < side->order.count; i++) {
        struct item *item = side->order.items[i];
        if (!item->is_evaluated)
            item->left = item->readers;
        if (!item->varies)
            continue;
        if (item->node && item->array)
            pool_return(&trial->pool, item->array);
        item->array = item->is_source ? trial->input : NULL;
        item->is_whole = item->is_source;
        item->wanted = WANTED_NOT;
    }
}

static const char *evaluate_side(struct side *side, struct array **result)
{
    struct trial *trial = side->trial;
    const struct check_case *check = trial->check;
    clear_side(side);
    /* Constants first: the demand may hang on them. */
    for (size_t i = 0; i < side->order.count; i++) {
        struct item *item = side->order.items[i];
        if (item->node && !item->varies && !item->is_evaluated) {
            const char *reason = evaluate_item(trial, item);
            if (reason)
                return reason;
            item->is_evaluated = true;
        }
    }
    spread_demand(side);
    for (size_t i = 0; i < side->order.count; i++) {
        struct item *item = side->order.items[i];
        if (item->node && item->varies) {
            const char *reason = evaluate_item(trial, item);
            if (reason)
                return reason;
        }
    }
    for (size_t n = 0; n < side->roots.count; n++) {
        double factor = side->is_file && check->term_count ? check->terms[n].factor : 1;
        struct array *term;
        bool is_copy;
        const char *reason =
            check_read(trial, side->roots.items[n], check->channel_axis, &term, &is_copy);
        if (reason)
            return reason;
        if (!array_is_real(term))
            return arena_format(trial->arena, "'%s' holds no reals",
                                side->roots.items[n]->value->name);
        if (n == 0)
            reason = array_make(trial->arena, &trial->pool, CHECK_MOST, term->type, term->rank,
                                term->dims, result);
        if (reason)
            return reason;
        if (term->rank != (*result)->rank ||
            memcmp(term->dims, (*result)->dims, sizeof(term->dims)) != 0)
            return arena_format(trial->arena, "the terms have shapes %s and %s",
                                array_shape(trial->arena, *result),
                                array_shape(trial->arena, term));
        if (side->roots.count > 1 || term->reach > 0)
            (*result)->reach = fmax((*result)->reach, fabs(factor) * eval_reach(term));
        for (int64_t i = 0; i < term->count; i++)
            (*result)->reals[i] += factor * term->reals[i];
    }
    return NULL;
}

/* ---- whether to sample ---- */

/* Products it takes to evaluate all channels of a side, roughly: strides are not counted. */
static double work(const struct side *side)
{
    const struct check_case *check = side->trial->check;
    double positions = 1, products = 0;
    for (int i = 0; i < check->rank; i++)
        if (i != check->channel_axis)
            positions *= (double)check->dims[i];
    for (size_t i = 0; i < side->order.count; i++) {
        const struct item *item = side->order.items[i];
        if (!item->node || !item->varies || !node_input(item->node, 1))
            continue;
        switch (item->node->op) {
        case OP_Conv:
        case OP_ConvTranspose:
        case OP_Gemm:
        case OP_MatMul: {
            const struct tensor *tensor = item->node->inputs[1]->tensor;
            products += tensor ? positions * (double)tensor->count : 0;
            break;
        }
        default: break;
        }
    }
    return products;
}

static void draw_sample(struct trial *trial, int64_t wanted)
{
    uint64_t state = trial->check->seed ^ 0x5bd1e9955bd1e995u;
    int64_t channels = trial->check->channels;
    trial->sample[0] = 0;
    trial->sample[1] = channels - 1;
    trial->sample_count = 2;
    while (trial->sample_count < wanted) { /* fewer than there are */
        int64_t drawn = (int64_t)(eval_random(&state) % (uint64_t)channels);
        int64_t place = trial->sample_count;
        bool is_new = true;
        for (int64_t i = 0; i < trial->sample_count; i++)
            is_new = is_new && trial->sample[i] != drawn;
        if (!is_new)
            continue;
        for (; place > 0 && trial->sample[place - 1] > drawn; place--)
            trial->sample[place] = trial->sample[place - 1];
        trial->sample[place] = drawn;
        trial->sample_count++;
    }
}

static const char *make_input(struct trial *trial)
{
    const struct check_case *check = trial->check;
    int32_t type = type_is_float(check->source->type) ? check->source->type
                                                      : ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    const char *reason = array_make(trial->arena, &trial->pool, CHECK_MOST, type, check->rank,
                                    check->dims, &trial->input);
    uint64_t state = check->seed;
    for (int64_t i = 0; !reason && i < trial->input->count; i++)
        trial->input->reals[i] = eval_uniform(eval_random(&state));
    return reason;
}

/* The constants of a sum, which are no terms: one number per channel. */
static void add_shift(const struct trial *trial, struct array *sum)
{
    const struct check_case *check = trial->check;
    int64_t channels = sum->dims[check->channel_axis], inner = 1;
    for (int i = check->channel_axis + 1; i < sum->rank; i++)
        inner *= sum->dims[i];
    for (int64_t i = 0; i < sum->count; i++) {
        int64_t channel = i / inner % channels;
        sum->reals[i] += check->shift[trial->samples ? trial->sample[channel] : channel];
    }
}

const char *check_begin(struct arena *arena, const struct check_case *check,
                        struct check_region **begun)
{
    struct check_region *region = NEW(arena, struct check_region);
    struct trial *trial = &region->trial;
    *trial = (struct trial){.arena = arena,
                            .pool = {.arena = arena, .recycles = true, .effort = check->effort},
                            .check = check};
    region->file = (struct side){.trial = trial, .is_file = true};
    region->new = (struct side){.trial = trial};
    const char *reason = NULL;
    if (check->term_count == 0)
        reason = check_list(&region->file, check->target);
    for (size_t i = 0; !reason && i < check->term_count; i++)
        reason = check_list(&region->file, check->terms[i].value);
    if (!reason)
        reason = check_list(&region->new, check->target);
    *begun = region;
    return reason;
}

static void decide_sample(struct check_region *region)
{
    struct trial *trial = &region->trial;
    double channels = (double)trial->check->channels;
    double all = work(&region->file) + work(&region->new);
    double wanted = fmax(SAMPLE_LEAST, fmin(SAMPLE, WORK_OF_ALL * channels / all));
    trial->samples = all > WORK_OF_ALL && channels > wanted;
    if (trial->samples)
        draw_sample(trial, (int64_t)wanted);
}

static void compare(const struct check_case *check, const struct array *expected,
                    const struct array *found, struct check_result *result)
{
    double reach = fmax(expected->reach, found->reach);
    double largest = eval_least(reach, check->type, check->tolerance), difference = 0;
    bool finite = true;
    for (int64_t i = 0; i < expected->count; i++) {
        finite = finite && isfinite(expected->reals[i]) && isfinite(found->reals[i]);
        largest = fmax(largest, fabs(expected->reals[i]));
        difference = fmax(difference, fabs(expected->reals[i] - found->reals[i]));
    }
    if (!finite)
        result->difference = (double)INFINITY;
    else
        result->difference = difference > 0 ? difference / largest : 0;
}

const char *check_try(struct check_region *region, struct check_result *result)
{
    struct trial *trial = &region->trial;
    const struct check_case *check = trial->check;
    struct array *expected = NULL, *found = NULL;
    const char *reason = make_input(trial);
    if (reason)
        return reason;
    decide_sample(region);
    reason = evaluate_side(&region->file, &expected);
    if (!reason && check->shift)
        add_shift(trial, expected);
    if (!reason)
        reason = evaluate_side(&region->new, &found);
    if (reason)
        return reason;
    if (found->rank != expected->rank ||
        memcmp(found->dims, expected->dims, sizeof(found->dims)) != 0)
        return arena_format(trial->arena, "the results have shapes %s and %s",
                            array_shape(trial->arena, expected), array_shape(trial->arena, found));
    compare(check, expected, found, result);
    result->channels = trial->samples ? trial->sample_count : check->channels;
    pool_return(&trial->pool, expected);
    pool_return(&trial->pool, found);
    pool_return(&trial->pool, trial->input);
    return NULL;
}
