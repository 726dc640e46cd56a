/* verify/joint.c: evaluates values of two models on shared arrays. */
#include "verify/joint.h"

#include <math.h>
#include <stdlib.h>

#include "base/vector.h"
#include "eval/eval.h"
#include "eval/graph.h"
#include "eval/reach.h"
#include "infer/constant.h"
#include "match/numbered.h"

enum { LARGE = 1 << 16 }; /* elements of a constant that is loaded again for each reader */

void joint_init(struct joint_eval *joint, struct arena *keeper, struct arena *scratch, struct effort effort)
{
    *joint = (struct joint_eval){.keeper = keeper, .scratch = scratch, .effort = effort, .cells = effort.cells};
    joint->pool = (struct pool){.arena = scratch, .recycles = true, .effort = &joint->effort};
}

void joint_forget(struct joint_eval *joint)
{
    for (size_t i = 0; i < joint->filled.count; i++)
        joint->arrays[joint->filled.items[i]] = NULL;
    joint->filled.count = 0;
}

void joint_reset(struct joint_eval *joint)
{
    joint_forget(joint);
    joint->pool = (struct pool){.arena = joint->scratch, .recycles = true, .effort = &joint->effort};
    joint->effort.cells = joint->cells;
    if (joint->scratch->allocated > BUDGET_VERIFY_KEPT)
        arena_free(joint->scratch);
    else
        arena_reset(joint->scratch);
}

void joint_put(struct joint_eval *joint, uint32_t number, struct array *array)
{
    if (number >= joint->room) {
        size_t room = joint->room ? joint->room : 1024;
        while (room <= number)
            room *= 2;
        struct array **grown = NEW_ARRAY(joint->keeper, struct array *, room);
        if (joint->room)
            memcpy(grown, joint->arrays, joint->room * sizeof(*grown));
        joint->arrays = grown;
        joint->room = room;
    }
    if (!joint->arrays[number])
        LIST_PUSH(joint->keeper, &joint->filled, number);
    joint->arrays[number] = array;
}

struct array *joint_array(const struct joint_eval *joint, const struct value *value)
{
    return value_number(value) && value_number(value) < joint->room ? joint->arrays[value_number(value)] : NULL;
}

/* ---- evaluation ---- */

/* True for a constant in a sum of products. For others, such as the scales of a Resize, a small change may have a
 * large effect. */
static bool is_weight(const struct value *value)
{
    for (const struct use *use = value->uses; use; use = use->next)
        switch (use->inner->op) {
        case OP_Add:
        case OP_BatchNormalization:
        case OP_Conv:
        case OP_ConvTranspose:
        case OP_Div:
        case OP_Gemm:
        case OP_MatMul:
        case OP_Mul:
        case OP_Sub: break;
        default: return false;
        }
    return true;
}

/* Moves a weight by what rounding it once more may change, as a rewrite that makes another of it does. */
static const char *perturb(struct joint_eval *joint, uint64_t seed, struct array **array)
{
    const struct array *exact = *array;
    const char *reason =
        array_make(joint->scratch, &joint->pool, BUDGET_VALUE, exact->type, exact->rank, exact->dims, array);
    double unit = exact->type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE ? 0x1p-24 : type_rounding(exact->type);
    for (int64_t i = 0; !reason && i < exact->count; i++)
        (*array)->reals[i] = exact->reals[i] * (1 + unit * eval_uniform(eval_random(&seed)));
    return reason;
}

static const char *load_constant(struct joint_eval *joint, const struct value *value, const struct tensor *tensor)
{
    struct array *array;
    const char *reason = array_load(joint->scratch, &joint->pool, tensor, &array);
    joint->touched += (double)tensor->count * (double)type_size(tensor->type);
    if (!reason && joint->rounds && array_is_real(array) && is_weight(value))
        reason = perturb(joint, (uint64_t)value_number(value) << 8 | (uint64_t)joint->rounds, &array);
    if (!reason)
        joint_put(joint, value_number(value), array);
    return reason;
}

/* Nothing here computes in more than double. */
static void round_as_float(struct array *array)
{
    for (int64_t i = 0; i < array->count; i++)
        array->reals[i] = (double)(float)array->reals[i];
}

/* The values of outer graphs that the bodies of a node read. */
static const char *find_array(void *context, struct value *value, struct array **array)
{
    struct joint_eval *joint = context;
    *array = joint_array(joint, value);
    return *array ? NULL : arena_format(joint->scratch, "'%s' has no value", value->name);
}

/* All weights of a model at once, in double, would be twice the model. */
static void release_large(struct joint_eval *joint, const struct value_reads *reads)
{
    for (size_t i = 0; i < reads->count; i++) {
        const struct tensor *tensor;
        struct value *value = reads->items[i];
        struct array *array = value ? joint_array(joint, value) : NULL;
        if (!array || array->count < LARGE || constant_of(value, &tensor))
            continue;
        joint->arrays[value_number(value)] = NULL;
        pool_free(&joint->pool, array);
    }
}

static const char *evaluate_node(struct joint_eval *joint, const struct node *node, const struct value_reads *reads)
{
    struct arena *arena = joint->scratch;
    struct array **inputs = NEW_ARRAY(arena, struct array *, node->input_count);
    for (size_t i = 0; i < node->input_count; i++)
        inputs[i] = node->inputs[i] ? joint_array(joint, node->inputs[i]) : NULL;
    struct scope scope = {.graph = node->graph, .find = find_array, .context = joint};
    struct evaluation e = {.arena = arena,
                           .pool = &joint->pool,
                           .node = node,
                           .inputs = inputs,
                           .scope = &scope,
                           .is_constant = joint->rounds != 0,
                           .limit = BUDGET_VALUE};
    double before = joint->effort.products;
    const char *reason = eval_arrays(&e);
    if (reason) {
        joint->bad = node;
        return reason;
    }
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] && e.outputs[i]) {
            eval_note_reach(node, inputs, e.outputs[i]);
            if (joint->rounds && e.outputs[i]->type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE)
                round_as_float(e.outputs[i]);
            joint_put(joint, value_number(node->outputs[i]), e.outputs[i]);
        }
    double elements = e.outputs[0] ? (double)e.outputs[0]->count : 0;
    for (size_t i = 0; i < node->input_count; i++)
        elements += inputs[i] ? (double)inputs[i]->count : 0;
    /* The spent effort without the elements of operands and results. */
    double inside = fmax(0, before - joint->effort.products - ELEMENT_COST * elements);
    bool is_graph = node->body_count || node->op == OP_UNKNOWN;
    joint->steps += 1 + elements / 64 + (is_graph ? inside / (64 * ELEMENT_COST) : 0);
    joint->products += inside;
    release_large(joint, reads);
    return NULL;
}

struct frame {
    struct value *value;
    struct value_reads reads;
    size_t next; /* of `reads` */
};

/* Depth first, with an explicit stack. A value is finished once its node has been evaluated. */
const char *joint_evaluate(struct joint_eval *joint, struct value *value, size_t limit)
{
    struct arena *arena = joint->scratch;
    LIST(struct frame) stack = {NULL, 0, 0};
    struct frame first = {.value = value};
    joint->bad = NULL;
    if (joint_array(joint, value))
        return NULL;
    LIST_PUSH(arena, &stack, first);
    while (stack.count) {
        struct frame *frame = &stack.items[stack.count - 1];
        const struct tensor *tensor;
        struct node *node = frame->value->producer;
        if (!value_number(frame->value)) /* no array would be kept for it */
            return arena_format(arena, "it depends on '%s', which is made later", frame->value->name);
        if (joint_array(joint, frame->value)) {
            stack.count--;
            continue;
        }
        if (frame->next == 0 && !constant_of(frame->value, &tensor) && eval_is_loadable(tensor)) {
            const char *reason = load_constant(joint, frame->value, tensor);
            if (reason)
                return reason;
            continue;
        }
        if (!node)
            return arena_format(arena, "it depends on '%s', and what it is compared with does not", frame->value->name);
        if (frame->next == 0) {
            if (limit-- == 0)
                return "it depends on too many nodes";
            if (!eval_knows(node)) {
                joint->bad = node;
                return eval_unknown(arena, node);
            }
            eval_reads(arena, node, &frame->reads);
        }
        if (frame->next < frame->reads.count) {
            struct frame inner = {.value = frame->reads.items[frame->next++]};
            if (inner.value && !joint_array(joint, inner.value))
                LIST_PUSH(arena, &stack, inner);
            continue;
        }
        const char *reason = evaluate_node(joint, node, &frame->reads);
        if (reason)
            return reason;
        if (!joint_array(joint, frame->value)) {
            joint->bad = node;
            return "an output is not evaluated";
        }
    }
    return NULL;
}

/* ---- comparison ---- */

static double element(const struct array *array, int64_t at)
{
    return array_is_real(array) ? array->reals[at] : (double)array->integers[at];
}

static double difference_of(double a, double b)
{
    if (isfinite(a) && isfinite(b))
        return fabs(a - b);
    /* Infinities that meet in a sum make NaN in one order, and in another they do not meet. */
    bool meets = (isnan(a) && !isfinite(b)) || (isnan(b) && !isfinite(a));
    return meets || a == b ? 0 : (double)INFINITY;
}

static double size_of(double a, double b)
{
    return isfinite(a) && isfinite(b) ? fmax(fabs(a), fabs(b)) : 0;
}

/* Integers that are not exact in double are still compared exactly. */
static double gap_at(const struct array *left, const struct array *right, int64_t at)
{
    if (array_is_real(left))
        return difference_of(left->reals[at], right->reals[at]);
    return left->integers[at] == right->integers[at]
               ? 0
               : fmax(1, fabs((double)left->integers[at] - (double)right->integers[at]));
}

/* The differences of corresponding finite numbers of two arrays. */
struct run {
    double difference, size; /* largest of each */
    double least, most;      /* of the first array */
};

/* False where a number is not finite. Four lanes: the largest of one does not wait for that of the next. */
VECTORISED(bool, compare_finite, (const double *left, const double *right, int64_t count, struct run *run),
           (left, right, count, run))
{
    enum { LANES = 4 };
    struct run lanes[LANES];
    double finite = 0; /* NaN once a number was not */
    for (int k = 0; k < LANES; k++)
        lanes[k] = (struct run){0, 0, left[0], left[0]};
    for (int64_t i = 0; i < count; i++) {
        struct run *lane = &lanes[i % LANES];
        double a = left[i], b = right[i];
        double difference = fabs(a - b), size = fabs(a) > fabs(b) ? fabs(a) : fabs(b);
        lane->difference = difference > lane->difference ? difference : lane->difference;
        lane->size = size > lane->size ? size : lane->size;
        lane->least = a < lane->least ? a : lane->least;
        lane->most = a > lane->most ? a : lane->most;
        finite += a * 0 + b * 0;
    }
    *run = lanes[0];
    for (int k = 1; k < LANES; k++) {
        run->difference = fmax(run->difference, lanes[k].difference);
        run->size = fmax(run->size, lanes[k].size);
        run->least = fmin(run->least, lanes[k].least);
        run->most = fmax(run->most, lanes[k].most);
    }
    return finite == 0;
}

/* The place of the first difference of that size. */
static int64_t find_difference(const double *left, const double *right, double difference)
{
    int64_t i = 0;
    while (fabs(left[i] - right[i]) < difference)
        i++;
    return i;
}

/* Numbers from `first` on, as compare_channel takes them one by one. False where it has to. */
static bool take_finite(const struct array *left, const struct array *right, int64_t first, int64_t count,
                        struct gap *gap, double *difference, double *largest)
{
    struct run run;
    if (!array_is_real(left) || count < 1 || !compare_finite(left->reals + first, right->reals + first, count, &run))
        return false;
    *difference = fmax(*difference, run.difference);
    *largest = fmax(*largest, run.size);
    if (run.least != run.most || (isfinite(gap->seen) && left->reals[first] != gap->seen))
        gap->constant = false;
    gap->seen = left->reals[first + count - 1];
    if (run.difference > gap->difference) {
        gap->difference = run.difference;
        gap->at = first + find_difference(left->reals + first, right->reals + first, run.difference);
        gap->left = left->reals[gap->at];
        gap->right = right->reals[gap->at];
    }
    return true;
}

/* One channel: its largest difference and its largest element. */
static void compare_channel(const struct array *left, const struct array *right, int64_t channel, int64_t channels,
                            int64_t inner, struct gap *gap, double *difference, double *largest)
{
    bool finite = false, other = false;
    *difference = *largest = 0;
    for (int64_t block = channel * inner; block < left->count; block += channels * inner) {
        if (take_finite(left, right, block, inner, gap, difference, largest)) {
            finite = true;
            continue;
        }
        for (int64_t i = block; i < block + inner; i++) {
            double a = element(left, i), b = element(right, i);
            double here = gap_at(left, right, i);
            *difference = fmax(*difference, here);
            *largest = fmax(*largest, size_of(a, b));
            if (isfinite(a) && isfinite(gap->seen) && a != gap->seen)
                gap->constant = false;
            gap->seen = isfinite(a) ? a : gap->seen;
            finite = finite || (isfinite(a) && isfinite(b));
            other = other || !isfinite(a) || !isfinite(b);
            if (here > gap->difference) {
                gap->difference = here;
                gap->at = i;
                gap->left = a;
                gap->right = b;
            }
        }
    }
    gap->silent = gap->silent || (other && !finite);
}

/* The largest element of both that is finite where they meet. */
static double largest_of(const struct array *left, const struct array *right)
{
    struct run run;
    double largest = 0;
    if (array_is_real(left) && compare_finite(left->reals, right->reals, left->count, &run))
        return run.size;
    for (int64_t i = 0; i < left->count; i++)
        largest = fmax(largest, size_of(element(left, i), element(right, i)));
    return largest;
}

/* Channels are axis 1. */
static int64_t channels_of(const struct array *array)
{
    return array->rank > 1 ? array->dims[1] : 1;
}

static int64_t inner_of(const struct array *array)
{
    int64_t inner = 1;
    for (int i = 2; i < array->rank; i++)
        inner *= array->dims[i];
    return array->rank < 2 ? array->count : inner;
}

/* Tensors of reals, of integers, of texts, sequences: of one shape. */
static bool same_shape(const struct array *left, const struct array *right)
{
    bool same = left->rank == right->rank && array_is_real(left) == array_is_real(right) &&
                array_is_whole(left) == array_is_whole(right) &&
                (array_is_real(left) || array_is_whole(left) || left->type == right->type);
    for (int i = 0; same && i < left->rank; i++)
        same = left->dims[i] == right->dims[i];
    return same;
}

static bool same_text(const ProtobufCBinaryData *left, const ProtobufCBinaryData *right)
{
    size_t a = left ? left->len : 0, b = right ? right->len : 0;
    return a == b && (a == 0 || memcmp(left->data, right->data, a) == 0);
}

/* Strings are equal or not: different ones differ by 1. */
static void compare_texts(const struct array *left, const struct array *right, struct gap *gap)
{
    gap->of_integers = true;
    for (int64_t i = 0; i < left->count; i++) {
        gap->constant = gap->constant && same_text(left->texts[i], left->texts[0]);
        if (same_text(left->texts[i], right->texts[i]) || gap->ratio > 0)
            continue;
        gap->at = i;
        gap->difference = gap->largest = gap->ratio = gap->alone = 1;
    }
    gap->constant = gap->constant && left->count > 1;
}

/* Elements of a sequence one by one: the one that departs most says how far. */
static void compare_elements(const struct array *left, const struct array *right, struct gap *gap)
{
    for (int64_t i = 0; i < left->count && gap->same_shape; i++) {
        struct gap element = joint_compare(left->items[i], right->items[i], NULL);
        bool constant = gap->constant && element.constant;
        bool silent = gap->silent || element.silent;
        if (i == 0 || !element.same_shape || element.ratio > gap->ratio) {
            *gap = element;
            gap->at = i;
        }
        gap->constant = constant;
        gap->silent = silent;
    }
}

/* The effect of the order of summation in double, relative to the summands: far below the precision of any type. */
#define DUST 0x1p-44
#define CANCELLED 0x1p-20

struct gap joint_compare(const struct array *left, const struct array *right, const double *noise)
{
    struct gap gap = {.same_shape = same_shape(left, right), .constant = true, .seen = (double)NAN};
    if (!gap.same_shape)
        return gap;
    if (left->type == ONNX__TENSOR_PROTO__DATA_TYPE__STRING)
        compare_texts(left, right, &gap);
    else if (left->type < 0)
        compare_elements(left, right, &gap);
    gap.silent = gap.silent || left->count == 0;
    if (left->count == 0 || (!array_is_real(left) && !array_is_whole(left)))
        return gap;
    gap.of_integers = array_is_whole(left);
    int64_t channels = channels_of(left), inner = inner_of(left);
    double reach = fmax(left->reach, right->reach);
    gap.largest = largest_of(left, right);
    if (left->count == 1 && isfinite(element(left, 0)))
        gap.constant = false;
    for (int64_t channel = 0; channel < channels; channel++) {
        double difference, largest;
        compare_channel(left, right, channel, channels, inner, &gap, &difference, &largest);
        difference = noise ? fmax(0, difference - noise[channel]) : difference;
        if (difference <= DUST * reach && largest <= CANCELLED * reach)
            difference = 0;
        if (difference > 0)
            gap.alone = fmax(gap.alone, largest > 0 ? difference / largest : (double)INFINITY);
        largest = fmax(largest, gap.largest / 10);
        if (difference > 0)
            gap.ratio = fmax(gap.ratio, largest > 0 ? difference / largest : (double)INFINITY);
    }
    return gap;
}

static int64_t noted_channels(const struct array *array)
{
    return array->rank > 1 && array->dims[1] > 0 ? array->dims[1] : 1;
}

static bool is_thin(const struct array *array)
{
    int64_t channels = noted_channels(array);
    return channels > 1 && array->count < JOINT_RUNS * channels;
}

static struct array *copy_of(struct arena *arena, const struct array *array)
{
    struct array *copy = NEW(arena, struct array);
    *copy = *array;
    copy->reals = NEW_ARRAY(arena, double, array->count + 1);
    memcpy(copy->reals, array->reals, (size_t)array->count * EVAL_CELL);
    return copy;
}

struct joint_pool joint_pool(struct arena *arena, const struct array *left, const struct array *right)
{
    return (struct joint_pool){.arena = arena,
                               .left = copy_of(arena, left),
                               .right = copy_of(arena, right),
                               .noise = NEW_ARRAY(arena, double, noted_channels(left)),
                               .count = left->count};
}

static void append(struct arena *arena, struct array *pooled, const struct array *array)
{
    double *reals = NEW_ARRAY(arena, double, pooled->count + array->count + 1);
    memcpy(reals, pooled->reals, (size_t)pooled->count * EVAL_CELL);
    memcpy(reals + pooled->count, array->reals, (size_t)array->count * EVAL_CELL);
    pooled->reals = reals;
    pooled->count += array->count;
    pooled->dims[0] += array->rank ? array->dims[0] : 0;
    pooled->reach = fmax(pooled->reach, array->reach);
}

/* True when the two are as large along all axes but the first. */
static bool fits_behind(const struct array *pooled, const struct array *array)
{
    return array->rank == pooled->rank && array->rank > 0 && noted_channels(array) == noted_channels(pooled) &&
           inner_of(array) == inner_of(pooled);
}

bool joint_pool_add(struct joint_pool *pool, const struct array *left, const struct array *right)
{
    if (left->count != right->count || !fits_behind(pool->left, left) || !fits_behind(pool->right, right))
        return false;
    append(pool->arena, pool->left, left);
    append(pool->arena, pool->right, right);
    pool->count = left->count;
    return true;
}

static void widen(const struct joint_pool *pool, const struct array *pooled, const struct array *rounded)
{
    /* One sample of what rounding does, to be compared with others. */
    enum { SAFETY = 8 };
    double unit = pooled->type == ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE ? 0x1p-29 : 1;
    int64_t channels = noted_channels(pooled), inner = inner_of(pooled);
    if (!array_is_real(pooled) || rounded->count != pool->count || noted_channels(rounded) != channels ||
        channels != noted_channels(pool->left))
        return;
    const double *exact = pooled->reals + pooled->count - rounded->count;
    for (int64_t i = 0; i < rounded->count; i++) {
        double *channel = &pool->noise[i / inner % channels];
        double difference = fabs(exact[i] - rounded->reals[i]);
        if (isfinite(difference))
            *channel = fmax(*channel, SAFETY * unit * difference);
    }
}

void joint_pool_round(struct joint_pool *pool, const struct array *left, const struct array *right)
{
    widen(pool, pool->left, left);
    widen(pool, pool->right, right);
}

bool joint_pool_is_thin(const struct joint_pool *pool)
{
    return is_thin(pool->left) && is_thin(pool->right);
}

static int by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* With few numbers, rounding may by chance not change a channel: no channel has less noise than the median. */
static const double *noise_of(const struct joint_pool *pool)
{
    size_t channels = (size_t)noted_channels(pool->left);
    if (!joint_pool_is_thin(pool))
        return pool->noise;
    double *noise = NEW_ARRAY(pool->arena, double, channels);
    memcpy(noise, pool->noise, channels * sizeof(*noise));
    qsort(noise, channels, sizeof(*noise), by_size);
    double middle = noise[channels / 2];
    for (size_t i = 0; i < channels; i++)
        noise[i] = fmax(middle, pool->noise[i]);
    return noise;
}

struct gap joint_pool_compare(const struct joint_pool *pool)
{
    struct gap gap = joint_compare(pool->left, pool->right, noise_of(pool));
    gap.ratio = gap.alone;
    return gap;
}
