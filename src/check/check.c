/* check/check.c: evaluates the original and the new ops, and compares.
 *
 * A large weight is not evaluated whole: a few output channels are drawn (the sample), and a walk
 * from the target back to the source finds how far that narrows the work. Operators that keep channels separate pass
 * the sample on to their input; Conv, ConvTranspose, Gemm and MatMul compute the sample from all input channels;
 * everything else is computed whole. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "check/sample.h"
#include "eval/conv.h"
#include "eval/eval.h"
#include "infer/constant.h"

enum {
    SAMPLE_LEAST = 3,     /* channels of a sample: as few where each is much work */
    WORK_OF_ALL = 500000, /* products up to which all channels are evaluated */
    SAFETY = 8            /* noise that was measured is one sample of what rounding does */
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

/* The summands of another rewrite's part of the sum. */
static const char *evaluate_terms(struct trial *trial, struct item *item)
{
    const struct check_case *check = trial->check;
    struct array **terms = NEW_ARRAY(trial->arena, struct array *, item->input_count);
    struct walk box = {.rank = 0};
    const char *reason = NULL;
    for (size_t i = 0; i < item->input_count && !reason; i++) {
        struct item *input = item->inputs[i];
        int rank = input->array ? input->array->rank : input->stored ? input->stored->rank : 0;
        int axis = rank - (check->rank - check->channel_axis);
        bool is_copy;
        reason = check_read(trial, input, item->is_whole || axis < 0 ? -1 : axis, &terms[i], &is_copy);
        if (!reason && (!array_is_real(terms[i]) || !broadcast_dims(&box.rank, box.dims, terms[i])))
            reason = "the terms of a sum do not fit";
    }
    if (!reason)
        reason = array_make(trial->arena, &trial->pool, BUDGET_VALUE, check->type, box.rank, box.dims, &item->array);
    for (size_t i = 0; i < item->input_count && !reason; i++) {
        struct walk walk = box;
        walk_broadcast(&walk, terms[i]);
        for (int64_t k = 0; k < item->array->count; k++, walk_next(&walk))
            item->array->reals[k] += item->terms[i].factor * terms[i]->reals[walk.offsets[0]];
    }
    return reason;
}

/* True if the array has the sample's channels on its channel axis. Parts of a sum that are a single number have
 * none. */
static bool holds_sample(const struct trial *trial, const struct item *item)
{
    const struct check_case *check = trial->check;
    const struct array *array = item->array;
    if (!item->in_sum)
        return array->rank == check->rank && array->dims[check->channel_axis] == trial->sample_count;
    int axis = array->rank - (check->rank - check->channel_axis);
    return axis < 0 || array->dims[axis] == 1 || array->dims[axis] == trial->sample_count;
}

/* What is held is the sample; asked is the shape of the whole. */
static const char *widen_to_whole(struct trial *trial, struct array **array)
{
    struct array *whole = NEW(trial->arena, struct array);
    *whole = **array;
    whole->dims[trial->check->channel_axis] = trial->check->channels;
    *array = whole;
    return count_elements(whole->dims, (size_t)whole->rank, &whole->count) ? NULL : "a shape that overflows";
}

static void give_back_inputs(struct trial *trial, struct item *item, struct array *const *arrays, const bool *is_copy)
{
    for (size_t i = 0; i < item->node->input_count; i++) {
        struct item *input = item->inputs[i];
        if (!input)
            continue;
        if (is_copy[i])
            pool_return(&trial->pool, arrays[i]);
        if (item->varies && !input->varies)
            continue; /* for the next trial */
        if (--input->left == 0 && input->array && input->node) {
            pool_return(&trial->pool, input->array);
            input->array = NULL;
        }
    }
}

static const char *evaluate_item(struct trial *trial, struct item *item)
{
    if (item->terms)
        return evaluate_terms(trial, item);
    const struct node *node = item->node;
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
    if (!reason && (node->op == OP_Shape || node->op == OP_Size) && inputs[0] && item->inputs[0]->varies &&
        !item->inputs[0]->is_whole)
        reason = widen_to_whole(trial, &inputs[0]);
    if (!reason) {
        struct evaluation e = {.arena = trial->arena,
                               .pool = &trial->pool,
                               .node = node,
                               .inputs = inputs,
                               .outputs = NEW_ARRAY(trial->arena, struct array *, node->output_count + 1),
                               .is_constant = !item->varies,
                               .limit = BUDGET_VALUE};
        reason = evaluate_kind(trial, &e, item);
        if (!reason)
            item->array = e.outputs[item->output];
        if (!reason && !item->array)
            reason = "this output is not evaluated";
    }
    if (!reason && is_sample && !holds_sample(trial, item))
        reason = arena_format(trial->arena, "a result of shape %s where %lld channels were expected",
                              array_shape(trial->arena, item->array), (long long)trial->sample_count);
    if (reason)
        return arena_format(trial->arena, "%s that makes '%s': %s", node->proto->op_type, item->value->name, reason);
    give_back_inputs(trial, item, inputs, is_copy);
    return NULL;
}

/* True for a value that has the target's channels on the same axis: a sample of them determines its shape. */
static bool has_channels(const struct trial *trial, const struct value *value)
{
    const struct check_case *check = trial->check;
    return check->channel_axis >= 0 && value->rank == check->rank &&
           value->dims[check->channel_axis] == check->channels;
}

/* Hands the demand for channels from the root to the source. */
static void spread_demand(struct side *side)
{
    struct trial *trial = side->trial;
    side->root->wanted = WANTED_SAMPLE;
    for (size_t n = side->order.count; n-- > 0;) {
        struct item *item = side->order.items[n];
        if (item->terms) {
            item->is_whole = !trial->samples || item->wanted == WANTED_ALL;
            for (size_t i = 0; i < item->input_count; i++)
                if (item->inputs[i]->wanted < item->wanted)
                    item->inputs[i]->wanted = item->wanted;
            continue;
        }
        if (!item->node || !item->varies)
            continue;
        enum op kind = item->node->op;
        item->is_whole = !trial->samples || item->wanted == WANTED_ALL || !check_computes_sample(trial, item);
        for (size_t i = 0; i < item->node->input_count; i++) {
            struct item *input = item->inputs[i];
            bool is_data = false;
            if (!input)
                continue;
            if (!item->is_whole)
                check_sample_axis(trial, item, i, &is_data);
            else
                is_data = (kind == OP_Shape || kind == OP_Size) && has_channels(trial, input->value);
            enum wanted wanted = is_data ? WANTED_SAMPLE : WANTED_ALL;
            if (input->wanted < wanted)
                input->wanted = wanted;
        }
    }
}

/* Takes a constant that the source adds up from what is left for its other terms. */
static const char *take_constant(struct trial *trial, const struct term *term, struct array *left)
{
    struct array *constant;
    struct walk walk = {.rank = left->rank};
    const char *reason = array_load(trial->arena, &trial->pool, term->value->tensor, &constant);
    if (reason)
        return reason;
    memcpy(walk.dims, left->dims, sizeof(walk.dims));
    if (!broadcast_dims(&walk.rank, walk.dims, constant) || walk.rank != left->rank ||
        memcmp(walk.dims, left->dims, (size_t)left->rank * sizeof(*walk.dims)) != 0)
        return "a constant of the source does not fit";
    walk_broadcast(&walk, constant);
    for (int64_t i = 0; i < left->count; i++, walk_next(&walk))
        left->reals[i] -= term->factor * constant->reals[walk.offsets[0]];
    return NULL;
}

/* The array of the source, or of a share of it, in this trial. */
static const char *take_share(struct trial *trial, struct item *item)
{
    if (item->share == 0) {
        item->array = check_input(trial, item->value);
        return NULL;
    }
    const struct array *source = trial->inputs[0];
    const struct term_list *terms = trial->check->source->terms;
    const char *reason =
        array_make(trial->arena, &trial->pool, BUDGET_VALUE, source->type, source->rank, source->dims, &item->array);
    if (!reason)
        memcpy(item->array->reals, source->reals, (size_t)source->count * sizeof(double));
    for (size_t i = 0; !reason && i < terms->count; i++)
        if (terms->items[i].value->tensor)
            reason = take_constant(trial, &terms->items[i], item->array);
    for (int64_t i = 0; !reason && i < source->count; i++)
        item->array->reals[i] *= item->share;
    return reason;
}

/* Forgets the previous trial, except constants. */
static const char *clear_side(struct side *side)
{
    struct trial *trial = side->trial;
    const char *reason = NULL;
    for (size_t i = 0; i < side->order.count && !reason; i++) {
        struct item *item = side->order.items[i];
        if (!item->is_evaluated)
            item->left = item->readers;
        if (!item->varies)
            continue;
        if ((item->node || item->terms || item->share != 0) && item->array)
            pool_return(&trial->pool, item->array);
        item->array = item->is_number ? check_number(trial, item->value) : NULL;
        if (item->is_source)
            reason = take_share(trial, item);
        item->is_whole = item->is_source || item->is_number;
        item->wanted = WANTED_NOT;
    }
    return reason;
}

/* Integers are compared as reals. */
static const char *as_reals(struct trial *trial, struct array **array)
{
    const struct array *whole = *array;
    const char *reason = array_make(trial->arena, &trial->pool, BUDGET_VALUE, ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE,
                                    whole->rank, whole->dims, array);
    for (int64_t i = 0; !reason && i < whole->count; i++)
        (*array)->reals[i] = (double)whole->integers[i];
    return reason;
}

static const char *evaluate_side(struct side *side, struct array **result)
{
    struct trial *trial = side->trial;
    const char *reason = clear_side(side);
    /* Constants first: the demand may hang on them. */
    for (size_t i = 0; i < side->order.count && !reason; i++) {
        struct item *item = side->order.items[i];
        if (item->node && !item->varies && !item->is_evaluated) {
            reason = evaluate_item(trial, item);
            item->is_evaluated = !reason;
        }
    }
    if (reason)
        return reason;
    spread_demand(side);
    for (size_t i = 0; i < side->order.count && !reason; i++) {
        struct item *item = side->order.items[i];
        if ((item->node || item->terms) && item->varies)
            reason = evaluate_item(trial, item);
    }
    if (reason)
        return reason;
    int channel_axis = trial->check->channel_axis;
    if (side->root->array && side->root->array->rank != trial->check->rank)
        channel_axis = -1;
    bool is_copy;
    reason = check_read(trial, side->root, channel_axis, result, &is_copy);
    if (!reason && array_is_whole(*result))
        reason = as_reals(trial, result);
    if (!reason && !array_is_real(*result))
        reason = arena_format(trial->arena, "'%s' does not hold real numbers", trial->sum->name);
    return reason;
}

/* ---- windows ---- */

/* The extents of its data that an op reads to make `span` positions, per spatial axis, in place. Its own padding
 * is not counted on. */
static void widen_span(const struct item *item, int axes, int64_t *span)
{
    enum { SPAN_MOST = 1 << 24 };
    const struct node *node = item->node;
    size_t kernel_count = 0, stride_count = 0, dilation_count = 0;
    const int64_t *kernel = node_integers(node, "kernel_shape", &kernel_count);
    const int64_t *strides = node_integers(node, "strides", &stride_count);
    const int64_t *dilations = node_integers(node, "dilations", &dilation_count);
    int rank;
    const int64_t *dims;
    bool convolves = node->op == OP_Conv || node->op == OP_ConvTranspose;
    if (convolves && check_input_dims(item, 1, &rank, &dims) && rank == axes + 2) {
        kernel = dims + 2;
        kernel_count = (size_t)axes;
    }
    for (int i = 0; i < axes; i++) {
        int64_t size = (size_t)i < kernel_count ? kernel[i] : 1;
        int64_t stride = (size_t)i < stride_count ? strides[i] : 1;
        int64_t dilation = (size_t)i < dilation_count ? dilations[i] : 1;
        if (size < 1 || stride < 1 || dilation < 1 || size > SPAN_MOST || stride > SPAN_MOST || dilation > SPAN_MOST ||
            span[i] > SPAN_MOST)
            continue; /* windows of this size are not evaluated */
        if (node->op == OP_ConvTranspose)
            span[i] = (span[i] + stride - 1) / stride + (size - 1) * dilation / stride;
        else
            span[i] = (span[i] - 1) * stride + (size - 1) * dilation + 1;
    }
}

/* A crop reads what it leaves out as well. Nothing is folded here: other threads check meanwhile. */
static void add_crop(const struct item *item, int axes, int64_t *span)
{
    enum { CROP_MOST = 1 << 16 }; /* more means "to the end" */
    static const char *const names[2] = {"starts", "ends"};
    int64_t held[EVAL_RANK], most = 0;
    for (size_t k = 0; k < 2; k++) {
        size_t count;
        const int64_t *bounds = node_integers(item->node, names[k], &count);
        const struct value *input = node_input(item->node, k + 1);
        const struct tensor *tensor = !input ? NULL : input->tensor ? input->tensor : constant_folded(input);
        if (!bounds && tensor && tensor->count <= EVAL_RANK && tensor_read_integers(tensor, held)) {
            bounds = held;
            count = (size_t)tensor->count;
        }
        for (size_t i = 0; bounds && i < count; i++)
            if (bounds[i] > -CROP_MOST && bounds[i] < CROP_MOST && llabs(bounds[i]) > most)
                most = llabs(bounds[i]);
    }
    for (int i = 0; i < axes; i++)
        span[i] += most;
}

static void spans_of_side(const struct side *side, int axes, int64_t *spans)
{
    struct trial *trial = side->trial;
    int64_t *all = NEW_ARRAY(trial->arena, int64_t, side->order.count * (size_t)axes);
    for (size_t n = side->order.count; n-- > 0;) {
        const struct item *item = side->order.items[n];
        int64_t span[EVAL_RANK];
        for (int i = 0; i < axes; i++) {
            span[i] = all[n * (size_t)axes + i] > 1 ? all[n * (size_t)axes + i] : 1;
            if (item->is_source && span[i] > spans[i])
                spans[i] = span[i];
        }
        if (item->node && item->node->op == OP_Slice)
            add_crop(item, axes, span);
        else if (item->node)
            widen_span(item, axes, span);
        for (size_t k = 0; k < item->input_count; k++)
            for (int i = 0; item->inputs[k] && item->inputs[k]->varies && i < axes; i++) {
                int64_t *to = &all[item->inputs[k]->place * (size_t)axes + i];
                *to = *to > span[i] ? *to : span[i];
            }
    }
}

void check_spans(struct check_region *region, int axes, int64_t *spans)
{
    for (int i = 0; i < axes; i++)
        spans[i] = 1;
    spans_of_side(&region->file, axes, spans);
    spans_of_side(&region->new, axes, spans);
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
        const struct tensor *weight = item->inputs[1]->stored;
        if (operator_is(item->node->op, WEIGHTED) && weight)
            products += positions * (double)weight->count;
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

static const char *make_input(struct trial *trial, const struct value *value, int rank, const int64_t *dims,
                              uint64_t *state, struct array **input)
{
    int32_t type = value->type;
    if (!type_is_float(type) && !(trial->check->sources && type_is_integer(type)))
        type = ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT;
    const char *reason = array_make(trial->arena, &trial->pool, BUDGET_VALUE, type, rank, dims, input);
    bool is_bool = type == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL, is_real = !reason && array_is_real(*input);
    for (int64_t i = 0; !reason && i < (*input)->count; i++)
        if (is_real)
            (*input)->reals[i] = eval_uniform(eval_random(state));
        else
            (*input)->integers[i] = (int64_t)(eval_random(state) % (is_bool ? 2 : 100));
    return reason;
}

static const char *make_inputs(struct trial *trial)
{
    const struct check_case *check = trial->check;
    size_t count = check->sources ? check->source_count : 1;
    uint64_t state = check->seed;
    const char *reason = NULL;
    trial->inputs = NEW_ARRAY(trial->arena, struct array *, count);
    for (size_t i = 0; i < count && !reason; i++)
        reason = check->sources ? make_input(trial, check->sources[i].value, check->sources[i].rank,
                                             check->sources[i].dims, &state, &trial->inputs[i])
                                : make_input(trial, check->source, check->rank, check->dims, &state, &trial->inputs[i]);
    return reason;
}

/* The first value of the file behind the target: if the target is a part of a sum, the sum. If another rewrite has
 * its source inside that sum, that source, whose summands are known. So are those of the target, which is used if
 * the file sums in another way, as a stack. */
static const struct value *sum_of(const struct check_case *check)
{
    const struct value *target = check->target, *value = target;
    if (check->sources && target->terms)
        return target;
    while (value && !value_is_told(value)) {
        const struct use *use = value->uses;
        while (use && !use_is_live(use))
            use = use->next;
        if (use && value->terms && !check_adds_up(use->inner))
            return value;
        value = use ? use->reader->outputs[0] : NULL;
    }
    bool stacked = value && value != target && value->first_producer && !check_adds_up(value->first_producer);
    return stacked && target->terms ? target : value;
}

static const char *list_sides(struct check_region *region)
{
    struct trial *trial = &region->trial;
    region->file = (struct side){.trial = trial, .is_file = true};
    region->new = (struct side){.trial = trial};
    const char *reason = check_list(&region->new);
    return reason ? reason : check_list(&region->file);
}

const char *check_begin(struct arena *arena, const struct check_case *check, struct check_region **begun)
{
    struct check_region *region = NEW(arena, struct check_region);
    region->trial = (struct trial){.arena = arena,
                                   .pool = {.arena = arena, .recycles = true, .effort = check->effort},
                                   .check = check,
                                   .sum = sum_of(check)};
    *begun = region;
    return region->trial.sum ? list_sides(region) : "no value of the file depends on it";
}

static void decide_sample(struct check_region *region)
{
    struct trial *trial = &region->trial;
    double channels = (double)trial->check->channels;
    double all = work(&region->file) + work(&region->new);
    double wanted = fmax(SAMPLE_LEAST, fmin(SAMPLE, WORK_OF_ALL * channels / all));
    /* A sum of more axes has its channels elsewhere. */
    bool aligned = trial->sum->rank < 0 || trial->sum->rank == trial->check->rank;
    trial->samples = all > WORK_OF_ALL && channels > wanted && aligned && !trial->check->sources;
    if (trial->samples)
        draw_sample(trial, (int64_t)wanted);
}

/* Channels of a result, and elements that lie together in one. A sum may have more axes than the parts of it
 * that are checked: numpy aligns them at the end. */
static int64_t channels_of(const struct check_case *check, const struct array *array, int64_t *inner)
{
    int axis = array->rank - (check->rank - check->channel_axis);
    *inner = 1;
    for (int i = axis < 0 ? 0 : axis + 1; i < array->rank; i++)
        *inner *= array->dims[i];
    return axis < 0 ? 1 : array->dims[axis];
}

/* Largest difference of each channel. */
static void note_differences(const struct check_case *check, const struct array *a, const struct array *b,
                             double factor, double *largest)
{
    int64_t inner, channels = channels_of(check, a, &inner);
    for (int64_t i = 0, c = 0; i < a->count; i += inner, c = c + 1 < channels ? c + 1 : 0) {
        double most = largest[c];
        for (int64_t k = i; k < i + inner; k++) {
            double number = factor * fabs(a->reals[k] - (b ? b->reals[k] : 0));
            most = number > most ? number : most;
        }
        largest[c] = most;
    }
}

static bool is_finite(const struct array *array)
{
    bool finite = true;
    for (int64_t i = 0; i < array->count; i++) /* to the end: that is faster */
        finite &= fabs(array->reals[i]) <= DBL_MAX;
    return finite;
}

static bool same_shape(const struct array *a, const struct array *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, sizeof(a->dims)) == 0;
}

/* The largest difference of a channel relative to the channel's largest output. noise: what rounding leaves
 * there, per channel, or NULL. */
static double compare(const struct trial *trial, const struct array *expected, const struct array *found,
                      const double *noise)
{
    const struct check_case *check = trial->check;
    int64_t inner, channels = channels_of(check, expected, &inner);
    double *largest = NEW_ARRAY(trial->arena, double, channels + 1), worst = 0;
    double *difference = NEW_ARRAY(trial->arena, double, channels + 1);
    if (!is_finite(expected) || !is_finite(found))
        return (double)INFINITY;
    note_differences(check, expected, NULL, 1, largest);
    note_differences(check, expected, found, 1, difference);
    for (int64_t c = 0; c < channels; c++) {
        /* However small a tolerance was asked for, a channel is not larger than its terms. */
        double unit = fmax(check->tolerance, SAFETY * type_rounding(check->type));
        double least = noise ? fmax(largest[c], noise[c] / unit) : largest[c];
        if (difference[c] > 0)
            worst = fmax(worst, difference[c] / least);
    }
    return worst;
}

/* The rounding error of each channel if terms cancel: evaluates both sides once more, with every constant changed by
 * its rounding error. NULL: it cannot be evaluated. */
static const double *find_noise(const struct check_region *region, const struct array *expected,
                                const struct array *found)
{
    struct check_region *moved = NEW(region->trial.arena, struct check_region);
    struct trial *trial = &moved->trial;
    struct array *sides[2];
    int64_t inner, channels = channels_of(region->trial.check, expected, &inner);
    double *noise = NEW_ARRAY(region->trial.arena, double, channels + 1);
    *trial = region->trial;
    trial->parts = (struct value_list){0};
    trial->kept = 0;
    trial->perturbs = true;
    trial->state = trial->check->seed;
    /* Its buffers are still in use, or will be again. */
    trial->pool = (struct pool){.arena = trial->arena, .recycles = true, .effort = trial->check->effort};
    if (list_sides(moved) || evaluate_side(&moved->file, &sides[0]) || evaluate_side(&moved->new, &sides[1]) ||
        !same_shape(sides[0], expected) || !same_shape(sides[1], found) || !is_finite(sides[0]) || !is_finite(sides[1]))
        return NULL;
    note_differences(trial->check, expected, sides[0], SAFETY, noise);
    note_differences(trial->check, found, sides[1], SAFETY, noise);
    return noise;
}

const char *check_try(struct check_region *region, struct check_result *result)
{
    struct trial *trial = &region->trial;
    const struct check_case *check = trial->check;
    struct array *expected = NULL, *found = NULL;
    const char *reason = make_inputs(trial);
    if (reason)
        return reason;
    decide_sample(region);
    reason = evaluate_side(&region->file, &expected);
    if (!reason)
        reason = evaluate_side(&region->new, &found);
    if (reason)
        return reason;
    if (!same_shape(expected, found))
        return arena_format(trial->arena, "the results have shapes %s and %s", array_shape(trial->arena, expected),
                            array_shape(trial->arena, found));
    result->difference = compare(trial, expected, found, NULL);
    if (result->difference > check->tolerance && isfinite(result->difference)) {
        const double *noise = find_noise(region, expected, found);
        result->difference = noise ? compare(trial, expected, found, noise) : result->difference;
    }
    result->channels = trial->samples ? trial->sample_count : check->channels;
    pool_return(&trial->pool, expected);
    pool_return(&trial->pool, found);
    for (size_t i = 0; i < (check->sources ? check->source_count : 1); i++)
        pool_return(&trial->pool, trial->inputs[i]);
    return NULL;
}
