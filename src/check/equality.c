/* check/equality.c: one op at a time, before and after. */
#include "check/equality.h"

#include <math.h>

#include "equalize/classes.h"
#include "eval/array.h"
#include "eval/eval.h"
#include "fuse/fused.h"
#include "infer/constant.h"

enum {
    SMALL = 7,      /* extents that are tried first: most windows fit in, borders show */
    ROWS = 4,       /* output channels of a large weight */
    LARGE = 1 << 20 /* numbers of one */
};

/* One op on its way through the check. */
struct trial {
    struct arena *arena;
    const struct node *node;
    int64_t extent;                /* largest size of an axis other than the channels; 0: as declared */
    int64_t rows[ROWS], row_count; /* output channels that are evaluated; 0: all */
    uint64_t seed;
    double *products; /* what the whole check may still cost */
};

static const struct channels *scaled_channels(const struct value *value)
{
    const struct channels *channels = value ? value_channels(value) : NULL;
    return channels && channels->exponents ? channels : NULL;
}

/* The numbers of a tensor with channel c on an axis divided by 2^exponents[c]. */
static void scale(double *numbers, int rank, const int64_t *dims, const struct channels *channels)
{
    int64_t inner = 1, count = 1;
    for (int i = 0; i < rank; i++) {
        count *= dims[i];
        inner *= i > channels->axis ? dims[i] : 1;
    }
    for (int64_t k = 0; k < count; k++)
        numbers[k] = ldexp(numbers[k], -channels->exponents[k / inner % dims[channels->axis]]);
}

/* ---- constants ---- */

static const char *read_fused(struct trial *trial, const struct tensor *tensor, double *out)
{
    int64_t rows = trial->row_count ? trial->row_count : fused_channels(tensor);
    int64_t *channels = NEW_ARRAY(trial->arena, int64_t, rows);
    int64_t length = tensor->count / fused_channels(tensor);
    bool turned = tensor->part == FUSED_KERNEL_TRANSPOSED;
    double *numbers = turned ? NEW_ARRAY(trial->arena, double, rows *length) : out;
    for (int64_t r = 0; r < rows; r++)
        channels[r] = trial->row_count ? trial->rows[r] : r;
    const char *reason = fused_read(trial->arena, tensor, channels, rows, numbers);
    for (int64_t r = 0; turned && !reason && r < rows; r++)
        for (int64_t k = 0; k < length; k++)
            out[k * rows + r] = numbers[r * length + k];
    return reason;
}

/* A constant as numbers, of a large weight some rows only. */
static const char *read_constant(struct trial *trial, const struct tensor *tensor, bool rows, struct tensor **result)
{
    int64_t *dims = NEW_ARRAY(trial->arena, int64_t, tensor->rank + 1), count = tensor->count;
    const char *reason = NULL;
    for (int i = 0; i < tensor->rank; i++)
        dims[i] = tensor->dims[i];
    rows = rows && trial->row_count && tensor->rank;
    if (rows) {
        count = count / dims[0] * trial->row_count;
        dims[0] = trial->row_count;
    }
    double *numbers = NEW_ARRAY(trial->arena, double, count + 1);
    if (tensor->storage == STORAGE_FUSED)
        reason = read_fused(trial, tensor, numbers);
    else if (!rows)
        tensor_read(tensor, 0, count, numbers);
    for (int64_t r = 0; rows && tensor->storage != STORAGE_FUSED && r < trial->row_count; r++) {
        int64_t length = count / trial->row_count;
        tensor_read(tensor, trial->rows[r] * length, length, numbers + r * length);
    }
    for (int64_t k = 0; k < count; k++)
        numbers[k] = tensor_rounded(tensor->type, numbers[k]);
    *result = tensor_of_doubles(trial->arena, tensor->type, tensor->rank, dims, numbers);
    return reason;
}

/* True if they differ only by powers of two, without rounding. A constant that broadcast may be expanded. */
static bool same_fractions(const struct tensor *before, const struct tensor *after)
{
    const double *one = before->data, *other = after->data;
    int exponent;
    for (int64_t k = 0; before->count == after->count && k < before->count; k++)
        if (frexp(one[k], &exponent) != frexp(other[k], &exponent))
            return false;
    return true;
}

static const char *read_sides(struct trial *trial, size_t index, const struct tensor *tensor,
                              const struct tensor **before, const struct tensor **after)
{
    *before = *after = tensor;
    if (!type_is_float(tensor->type) || tensor->storage == STORAGE_OPAQUE)
        return NULL;
    struct tensor *sides[2];
    bool weight = index >= 1 && index <= 2;
    const char *reason = read_constant(trial, tensor, weight, &sides[1]);
    if (!reason)
        reason = read_constant(trial, tensor->before ? tensor->before : tensor, weight, &sides[0]);
    if (!reason && !same_fractions(sides[0], sides[1]))
        reason = "a number of its constant was rounded";
    *before = sides[0];
    *after = sides[1];
    return reason;
}

/* ---- data ---- */

static const char *draw(struct trial *trial, const struct value *value, const struct tensor **before,
                        const struct tensor **after)
{
    const struct channels *channels = value_channels(value);
    int64_t *dims = NEW_ARRAY(trial->arena, int64_t, value->rank + 1), count;
    if (value->rank < 0 || !type_is_float(value->type))
        return "what it reads is not known";
    for (int i = 0; i < value->rank; i++) {
        bool free = i != (channels ? channels->axis : 1);
        /* Unknown axes of a gate broadcast. */
        dims[i] = value->dims[i] >= 0 ? value->dims[i] : i == 0 || !channels ? 1 : SMALL;
        if (free && trial->extent && dims[i] > trial->extent)
            dims[i] = trial->extent;
    }
    if (!count_elements(dims, (size_t)value->rank, &count) || count > BUDGET_EQUALIZED_VALUE ||
        (double)count > *trial->products)
        return "what it reads is too large";
    *trial->products -= (double)count;
    double *one = NEW_ARRAY(trial->arena, double, count + 1);
    double *other = NEW_ARRAY(trial->arena, double, count + 1);
    for (int64_t k = 0; k < count; k++)
        one[k] = other[k] = tensor_rounded(value->type, eval_uniform(eval_random(&trial->seed)));
    if (scaled_channels(value))
        scale(other, value->rank, dims, channels);
    *before = tensor_of_doubles(trial->arena, value->type, value->rank, dims, one);
    *after = tensor_of_doubles(trial->arena, value->type, value->rank, dims, other);
    return NULL;
}

/* ---- comparison ---- */

static bool same_bits(struct trial *trial, const struct value *value, const struct tensor *before,
                      const struct tensor *after)
{
    const struct channels *channels = scaled_channels(value);
    if (before->rank != after->rank || before->count != after->count ||
        memcmp(before->dims, after->dims, (size_t)before->rank * sizeof(int64_t)) != 0)
        return false;
    double *one = NEW_ARRAY(trial->arena, double, before->count + 1);
    double *other = NEW_ARRAY(trial->arena, double, before->count + 1);
    tensor_read(before, 0, before->count, one);
    tensor_read(after, 0, after->count, other);
    int64_t inner = 1;
    for (int i = before->rank - 1; channels && i > channels->axis; i--)
        inner *= before->dims[i];
    for (int64_t k = 0; k < before->count; k++) {
        int64_t c = channels ? k / inner % before->dims[channels->axis] : 0;
        if (channels && trial->row_count)
            c = trial->rows[c];
        double expected = ldexp(tensor_rounded(before->type, one[k]), channels ? -channels->exponents[c] : 0);
        if (expected != tensor_rounded(after->type, other[k]))
            return false;
    }
    return true;
}

static const char *try_node(struct trial *trial)
{
    const struct node *node = trial->node;
    const struct tensor **before = NEW_ARRAY(trial->arena, const struct tensor *, node->input_count);
    const struct tensor **after = NEW_ARRAY(trial->arena, const struct tensor *, node->input_count);
    struct tensor **made = NEW_ARRAY(trial->arena, struct tensor *, node->output_count + 1);
    struct tensor **makes = NEW_ARRAY(trial->arena, struct tensor *, node->output_count + 1);
    struct effort effort = {.products = *trial->products, .cells = BUDGET_EQUALIZED_VALUE};
    const char *reason = NULL;
    for (size_t k = 0; !reason && k < node->input_count; k++) {
        const struct tensor *tensor;
        struct value *value = node->inputs[k];
        if (value && !constant_of(value, &tensor))
            reason = read_sides(trial, k, tensor, &before[k], &after[k]);
        else if (value)
            reason = draw(trial, value, &before[k], &after[k]);
    }
    if (!reason)
        reason = eval_node(trial->arena, node, before, made, BUDGET_EQUALIZED_VALUE, &effort);
    if (!reason)
        effort.cells = BUDGET_EQUALIZED_VALUE;
    if (!reason)
        reason = eval_node(trial->arena, node, after, makes, BUDGET_EQUALIZED_VALUE, &effort);
    *trial->products = effort.products;
    for (size_t k = 0; !reason && k < node->output_count; k++)
        if (made[k] && makes[k] && type_is_float(made[k]->type) &&
            !same_bits(trial, node->outputs[k], made[k], makes[k]))
            reason = "a bit of what it makes changed";
    return reason;
}

/* A sample of output channels represents a large weight whose rows they are. */
static void choose_rows(struct trial *trial)
{
    const struct node *node = trial->node;
    const struct value *weight = node_input(node, 1);
    const struct tensor *tensor = weight ? weight->tensor : NULL;
    bool rows = (node->op == OP_Conv && node_integer(node, "group", 1) == 1) ||
                (node->op == OP_Gemm && node_integer(node, "transB", 0));
    if (!tensor || !rows || tensor->count <= LARGE || tensor->dims[0] <= ROWS)
        return;
    /* A constant of Gemm that has another shape is not cut. */
    const struct value *bias = node_input(node, 2);
    if (bias && bias->rank != 1)
        return;
    for (int64_t r = 0; r < ROWS; r++)
        trial->rows[r] = r * (tensor->dims[0] - 1) / (ROWS - 1);
    trial->row_count = ROWS;
}

static bool is_touched(const struct node *node)
{
    bool touched = false;
    for (size_t k = 0; k < node->input_count; k++)
        touched = touched || scaled_channels(node->inputs[k]);
    for (size_t k = 0; k < node->output_count; k++)
        touched = touched || scaled_channels(node->outputs[k]);
    return touched && !node->removed && node->op != OP_Shape && node->op != OP_Size;
}

/* On small extents, else on those that the model declares: a Reshape asks for them. */
/* NOLINTNEXTLINE(readability-non-const-parameter): the trial counts the products down. */
static const char *check_node(struct arena *arena, const struct node *node, double *products)
{
    struct trial trial = {.arena = arena, .node = node, .extent = SMALL, .products = products};
    choose_rows(&trial);
    const char *reason = try_node(&trial);
    if (reason) {
        trial.extent = 0;
        trial.seed++;
        reason = try_node(&trial);
    }
    return reason;
}

static const char *check_all(struct model *model, struct arena *arena)
{
    double products = effort_for(model->arena->landing->input).products;
    for (size_t g = 0; g < model->graphs.count; g++) {
        const struct graph *graph = model->graphs.items[g];
        for (size_t i = 0; i < graph->node_count + graph->new_nodes.count; i++) {
            const struct node *node =
                i < graph->node_count ? graph->nodes[i] : graph->new_nodes.items[i - graph->node_count];
            const char *reason = is_touched(node) ? check_node(arena, node, &products) : NULL;
            if (reason)
                return arena_format(model->arena, "the self-check of %s -> '%s': %s", node->proto->op_type,
                                    node->outputs[0]->name, reason);
            arena_reset(arena);
        }
    }
    return NULL;
}

struct check_call {
    struct model *model;
    struct arena *arena;
    const char *reason;
};

static void check_once(void *closure)
{
    struct check_call *call = closure;
    call->reason = check_all(call->model, call->arena);
}

/* In a separate arena, which is freed in any case. */
const char *check_equality(struct model *model)
{
    struct landing *landing = model->arena->landing;
    struct landing own = {0};
    struct arena arena;
    struct check_call call = {model, &arena, NULL};
    landing_bound(&own, model->path, landing->input);
    if (landing->most)
        own.most = landing_left(landing) / 2 + 1;
    arena_init(&arena, &own);
    landing_call(&own, check_once, &call);
    arena_free(&arena);
    if (own.status != ONNX_FUSE_OK)
        fail(landing, own.status, "%s", own.message);
    return call.reason;
}
