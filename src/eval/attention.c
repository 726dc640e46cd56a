/* eval/attention.c: Attention, LinearAttention, RotaryEmbedding, CausalConvWithState.
 *
 * Softmax and sums are in double whatever the types and softmax_precision say. */
#include "eval/attention.h"

#include <math.h>

#include "base/real.h"

/* A row of `size` numbers for each batch, head and position: [batch, heads, length, size], or
 * [batch, length, heads * size]. */
struct heads {
    double *cells;
    int64_t batch, heads, length, size;
    int64_t batch_step, head_step, step;
};

/* count: of heads, for three dimensions. */
static const char *heads_of(struct evaluation *e, const struct array *array, int64_t count, struct heads *heads)
{
    bool split = array->rank == 3 && count > 0 && array->dims[2] % count == 0;
    if (!array_is_real(array) || (array->rank != 4 && !split))
        return arena_format(e->arena, "%s %s and %lld heads", array_type_name(array->type),
                            array_shape(e->arena, array), (long long)count);
    const int64_t *dims = array->dims;
    *heads = split ? (struct heads){array->reals,
                                    dims[0],
                                    count,
                                    dims[1],
                                    dims[2] / count,
                                    .batch_step = dims[1] * dims[2],
                                    .head_step = dims[2] / count,
                                    .step = dims[2]}
                   : (struct heads){array->reals,
                                    dims[0],
                                    dims[1],
                                    dims[2],
                                    dims[3],
                                    .batch_step = dims[1] * dims[2] * dims[3],
                                    .head_step = dims[2] * dims[3],
                                    .step = dims[3]};
    return NULL;
}

static double *row_at(const struct heads *heads, int64_t batch, int64_t head, int64_t at)
{
    return heads->cells + batch * heads->batch_step + head * heads->head_step + at * heads->step;
}

static double dot(const double *a, const double *b, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* ---- Attention ---- */

struct attention {
    struct heads query, key, value; /* key and value with what was there before */
    const struct array *mask;       /* or NULL */
    int64_t mask_steps[4];
    const struct array *lengths; /* number of keys of each batch without padding, or NULL */
    int64_t past;                /* keys that were there before */
    bool has_past, is_causal;
    int64_t left, right; /* how far a query sees, or -1 */
    double scale, softcap;
    int64_t shown; /* what the last output is: 0 to 3 */
};

/* The past and the present, as [batch, heads, length, size]. */
static const char *join_past(struct evaluation *e, const struct array *past, int32_t type, struct heads *heads,
                             struct array **joined)
{
    struct heads before = {0};
    if (past) {
        const char *reason = heads_of(e, past, 0, &before);
        if (reason)
            return reason;
        if (before.batch != heads->batch || before.heads != heads->heads || before.size != heads->size)
            return arena_format(e->arena, "a past of shape %s", array_shape(e->arena, past));
    }
    int64_t length;
    if (!add_fits(before.length, heads->length, &length))
        return "a past that is too long";
    int64_t dims[] = {heads->batch, heads->heads, length, heads->size};
    const char *reason = array_make(e->arena, e->pool, e->limit, type, 4, dims, joined);
    struct heads all = {0};
    if (!reason)
        reason = heads_of(e, *joined, 0, &all);
    for (int64_t b = 0; !reason && (*joined)->count && b < all.batch; b++)
        for (int64_t h = 0; h < all.heads; h++)
            for (int64_t i = 0; i < length; i++)
                memcpy(row_at(&all, b, h, i),
                       i < before.length ? row_at(&before, b, h, i) : row_at(heads, b, h, i - before.length),
                       (size_t)all.size * sizeof(double));
    *heads = all;
    return reason;
}

static const char *read_mask(struct evaluation *e, struct attention *a)
{
    const struct array *mask = a->mask;
    const int64_t box[] = {a->query.batch, a->query.heads, a->query.length, a->key.length};
    int64_t dense[EVAL_RANK];
    if (!mask)
        return NULL;
    bool fits = mask->rank >= 1 && mask->rank <= 4 &&
                (array_is_real(mask) || mask->type == ONNX__TENSOR_PROTO__DATA_TYPE__BOOL);
    if (fits)
        dense_strides(mask->rank, mask->dims, dense);
    for (int i = 0; fits && i < mask->rank; i++) {
        int axis = 4 - mask->rank + i;
        /* A last axis of 1 broadcasts, or it is short and padded: runtimes disagree. */
        fits = axis == 3
                   ? mask->dims[i] == box[3] || (e->node->opset >= 24 && mask->dims[i] < box[3] && mask->dims[i] > 1)
                   : mask->dims[i] == box[axis] || mask->dims[i] == 1;
        a->mask_steps[axis] = mask->dims[i] == 1 ? 0 : dense[i];
    }
    return fits ? NULL
                : arena_format(e->arena, "a mask of %s %s", array_type_name(mask->type), array_shape(e->arena, mask));
}

/* The bias of the score of a query and a key. */
static double bias_at(const struct attention *a, int64_t b, int64_t h, int64_t i, int64_t j)
{
    int64_t offset = a->has_past ? a->past : a->lengths ? a->lengths->integers[b] - a->query.length : 0;
    int64_t apart = i + offset - j;
    double bias = 0;
    if ((a->is_causal && apart < 0) || (a->left >= 0 && apart > a->left) || (a->right >= 0 && -apart > a->right) ||
        (a->lengths && j >= a->lengths->integers[b]))
        return -(double)INFINITY;
    if (!a->mask)
        return 0;
    if (j >= a->mask->dims[a->mask->rank - 1])
        return -(double)INFINITY;
    int64_t at = b * a->mask_steps[0] + h * a->mask_steps[1] + i * a->mask_steps[2] + j * a->mask_steps[3];
    if (array_is_real(a->mask))
        bias = a->mask->reals[at];
    else if (!a->mask->integers[at])
        bias = -(double)INFINITY;
    return bias;
}

/* Probabilities of the keys for one query, in `row`. shown: what the last output shows of it, or NULL. */
static void attend(const struct attention *a, int64_t b, int64_t h, int64_t i, double *row, double *shown)
{
    int64_t group = a->query.heads / a->key.heads, count = a->key.length;
    const double *query = row_at(&a->query, b, h, i);
    double largest = -(double)INFINITY, sum = 0;
    bool masked = true;
    for (int64_t j = 0; j < count; j++) {
        double score = a->scale * dot(query, row_at(&a->key, b, h / group, j), a->query.size);
        if (shown && a->shown == 0)
            shown[j] = score;
        if (a->softcap > 0)
            score = a->softcap * real_tanh(score / a->softcap);
        if (shown && a->shown == 1)
            shown[j] = score;
        double bias = bias_at(a, b, h, i, j);
        masked = masked && bias == -(double)INFINITY;
        row[j] = score + bias;
        if (shown && a->shown == 2)
            shown[j] = row[j];
        largest = row[j] > largest || isnan(row[j]) ? row[j] : largest;
    }
    largest = largest == -(double)INFINITY ? 0 : largest;
    for (int64_t j = 0; j < count; j++)
        sum += row[j] = real_exp(row[j] - largest);
    for (int64_t j = 0; j < count; j++) {
        /* A query that may see nothing gives nothing. */
        row[j] = masked || sum == 0 ? 0 : row[j] / sum;
        if (shown && a->shown == 3)
            shown[j] = row[j];
    }
}

static const char *read_attention(struct evaluation *e, struct attention *a, struct array **key, struct array **value)
{
    const struct node *node = e->node;
    const struct array *past_key = eval_input(e, 4), *past_value = eval_input(e, 5);
    int64_t query_heads = node_integer(node, "q_num_heads", 0);
    int64_t heads = node_integer(node, "kv_num_heads", 0);
    a->mask = eval_input(e, 3);
    a->lengths = eval_input(e, 6);
    a->has_past = past_key != NULL;
    if (!past_key != !past_value || (past_key && a->lengths))
        return "a past key without a past value, or with lengths";
    const char *reason = heads_of(e, e->inputs[0], query_heads, &a->query);
    if (!reason)
        reason = heads_of(e, e->inputs[1], heads, &a->key);
    if (!reason)
        reason = heads_of(e, e->inputs[2], heads, &a->value);
    if (!reason)
        reason = join_past(e, past_key, e->inputs[1]->type, &a->key, key);
    if (!reason)
        reason = join_past(e, past_value, e->inputs[2]->type, &a->value, value);
    if (reason)
        return reason;
    a->past = past_key ? past_key->dims[2] : 0;
    if (a->key.batch != a->query.batch || a->value.batch != a->query.batch || a->key.heads != a->value.heads ||
        a->key.length != a->value.length || a->key.size != a->query.size || a->key.heads < 1 ||
        a->query.heads % a->key.heads != 0)
        return arena_format(e->arena, "queries %s, keys %s and values %s do not fit",
                            array_shape(e->arena, e->inputs[0]), array_shape(e->arena, *key),
                            array_shape(e->arena, *value));
    if (a->lengths && (!array_is_whole(a->lengths) || a->lengths->count != a->query.batch))
        return "a number of lengths that is not the batch's";
    for (int64_t b = 0; a->lengths && b < a->query.batch; b++)
        if (a->lengths->integers[b] < 0 || a->lengths->integers[b] > a->key.length)
            return "a length beyond the keys";
    a->is_causal = node_integer(node, "is_causal", 0) != 0;
    a->left = node_integer(node, "left_window_size", -1);
    a->right = node_integer(node, "right_window_size", -1);
    a->softcap = node_float(node, "softcap", 0);
    a->shown = node_integer(node, "qk_matmul_output_mode", 0);
    a->scale = node_float(node, "scale", 1 / sqrt((double)a->query.size));
    return read_mask(e, a);
}

const char *eval_attention(struct evaluation *e)
{
    struct attention a = {.past = 0};
    struct array *key, *value, *out, *shown = NULL, *row;
    const char *reason = read_attention(e, &a, &key, &value);
    if (reason)
        return reason;
    int64_t rows, size;
    int64_t box[] = {a.query.batch, a.query.heads, a.query.length, a.key.length};
    if (!multiply_fits(a.query.heads, a.value.size, &size) || !count_elements(box, 3, &rows))
        return "a result that is too large";
    bool packed = e->inputs[0]->rank == 3;
    int64_t dims[4] = {box[0], box[1], box[2], a.value.size};
    int64_t packed_dims[3] = {box[0], box[2], size};
    reason = eval_result(e, e->inputs[0]->type, packed ? 3 : 4, packed ? packed_dims : dims, &out);
    struct heads results;
    if (!reason)
        reason = heads_of(e, out, a.query.heads, &results);
    if (!reason && e->node->output_count > 3 && e->node->outputs[3])
        reason = array_make(e->arena, e->pool, e->limit, out->type, 4, box, &shown);
    if (!reason)
        reason = array_make(e->arena, e->pool, e->limit, ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE, 1, &a.key.length, &row);
    if (!reason)
        reason = eval_check_products(e, rows, a.key.length, 4);
    if (!reason)
        reason = eval_check_products(e, e->inputs[0]->count, a.key.length, 1);
    if (!reason)
        reason = eval_check_products(e, out->count, a.key.length, 1);
    for (int64_t n = 0; !reason && n < rows; n++) {
        int64_t i = n % box[2], h = n / box[2] % box[1], b = n / box[2] / box[1];
        double *result = row_at(&results, b, h, i);
        attend(&a, b, h, i, row->reals, shown ? shown->reals + n * a.key.length : NULL);
        for (int64_t j = 0; j < a.key.length; j++) {
            const double *from = row_at(&a.value, b, h / (box[1] / a.key.heads), j);
            for (int64_t k = 0; row->reals[j] != 0 && k < a.value.size; k++)
                result[k] += row->reals[j] * from[k];
        }
    }
    struct array *others[] = {key, value, shown};
    for (size_t i = 1; i < e->node->output_count && i < 4; i++)
        e->outputs[i] = others[i - 1];
    return reason;
}

/* ---- LinearAttention ---- */

/* Opens a three-dimensional input with a row of `heads * size` numbers for each batch and position; of size
 * 1 it may be one for all heads. */
static const char *gate_of(struct evaluation *e, size_t index, const struct heads *like, int64_t size,
                           struct heads *gate)
{
    const struct array *in = eval_input(e, index);
    int64_t count = in && in->rank == 3 && size == 1 && in->dims[2] == 1 ? 1 : like->heads;
    if (!in || in->rank != 3)
        return arena_format(e->arena, "input %zu is missing or has not three dimensions", index);
    const char *reason = heads_of(e, in, count, gate);
    if (!reason &&
        (gate->batch != like->batch || gate->length != like->length || (gate->size != size && gate->size != 1)))
        reason = arena_format(e->arena, "input %zu of shape %s", index, array_shape(e->arena, in));
    gate->head_step = count == 1 ? 0 : gate->head_step;
    return reason;
}

struct linear_attention {
    struct heads query, key, value, decay, beta;
    bool decays, corrects;
    double scale;
};

/* One token: the state [key size, value size] of a head takes in a key and its value. */
static void remember(const struct linear_attention *a, int64_t b, int64_t h, int64_t t, double *state)
{
    const double *key = row_at(&a->key, b, h, t), *value = row_at(&a->value, b, h, t);
    for (int64_t i = 0; a->decays && i < a->key.size; i++) {
        double kept = real_exp(row_at(&a->decay, b, h, t)[a->decay.size == 1 ? 0 : i]);
        for (int64_t k = 0; k < a->value.size; k++)
            state[i * a->value.size + k] *= kept;
    }
    for (int64_t k = 0; k < a->value.size; k++) {
        double written = value[k];
        if (a->corrects) {
            double held = 0;
            for (int64_t i = 0; i < a->key.size; i++)
                held += state[i * a->value.size + k] * key[i];
            written = row_at(&a->beta, b, h, t)[0] * (written - held);
        }
        for (int64_t i = 0; i < a->key.size; i++)
            state[i * a->value.size + k] += key[i] * written;
    }
}

static const char *read_linear_attention(struct evaluation *e, struct linear_attention *a)
{
    const struct node *node = e->node;
    const char *rule = node_string(e->arena, node, "update_rule", "gated_delta");
    int64_t heads = node_integer(node, "kv_num_heads", 0);
    a->decays = strcmp(rule, "gated") == 0 || strcmp(rule, "gated_delta") == 0;
    a->corrects = strcmp(rule, "delta") == 0 || strcmp(rule, "gated_delta") == 0;
    if (!a->decays && !a->corrects && strcmp(rule, "linear") != 0)
        return arena_format(e->arena, "update_rule %s", rule);
    for (int i = 0; i < 3; i++)
        if (e->inputs[i]->rank != 3)
            return "an input that has not three dimensions";
    const char *reason = heads_of(e, e->inputs[0], node_integer(node, "q_num_heads", 0), &a->query);
    if (!reason)
        reason = heads_of(e, e->inputs[1], heads, &a->key);
    if (!reason)
        reason = heads_of(e, e->inputs[2], heads, &a->value);
    if (!reason &&
        (a->query.batch != a->key.batch || a->query.batch != a->value.batch || a->query.length != a->key.length ||
         a->query.length != a->value.length || a->query.size != a->key.size || a->query.heads % a->key.heads != 0))
        reason = "queries, keys and values that do not fit";
    if (!reason && a->decays)
        reason = gate_of(e, 4, &a->key, a->key.size, &a->decay);
    if (!reason && a->corrects)
        reason = gate_of(e, 5, &a->key, 1, &a->beta);
    a->scale = node_float(node, "scale", 0);
    if (a->scale == 0)
        a->scale = 1 / sqrt((double)a->query.size);
    return reason;
}

const char *eval_linear_attention(struct evaluation *e)
{
    struct linear_attention a = {.scale = 0};
    const struct array *past = eval_input(e, 3);
    struct array *out = NULL, *states = NULL;
    const char *reason = read_linear_attention(e, &a);
    if (reason)
        return reason;
    int64_t dims[] = {a.key.batch, a.key.heads, a.key.size, a.value.size};
    int64_t packed[3] = {a.query.batch, a.query.length}, rows;
    if (!multiply_fits(a.query.heads, a.value.size, &packed[2]))
        return "a result that is too large";
    reason = eval_result(e, e->inputs[0]->type, 3, packed, &out);
    if (!reason)
        reason = array_make(e->arena, e->pool, e->limit, past ? past->type : out->type, 4, dims, &states);
    if (!reason && past && (past->rank != 4 || !array_is_real(past) || memcmp(past->dims, dims, sizeof(dims)) != 0))
        reason = arena_format(e->arena, "a past of shape %s", array_shape(e->arena, past));
    if (!reason)
        reason = eval_check_products(e, states->count, a.key.length, 4);
    if (!reason)
        reason = eval_check_products(e, out->count, a.key.size, 1);
    if (reason || !count_elements(dims, 2, &rows))
        return reason ? reason : "a result that is too large";
    if (past && past->count)
        memcpy(states->reals, past->reals, (size_t)past->count * sizeof(double));
    struct heads results;
    reason = heads_of(e, out, a.query.heads, &results);
    int64_t group = a.query.heads / a.key.heads, cells = a.key.size * a.value.size;
    for (int64_t n = 0; !reason && out->count && n < rows; n++)
        for (int64_t t = 0; t < a.key.length; t++) {
            int64_t b = n / a.key.heads, h = n % a.key.heads;
            double *state = states->reals + n * cells;
            remember(&a, b, h, t, state);
            for (int64_t g = h * group; g < (h + 1) * group; g++)
                for (int64_t i = 0; i < a.key.size; i++)
                    for (int64_t k = 0; k < a.value.size; k++)
                        row_at(&results, b, g, t)[k] +=
                            a.scale * row_at(&a.query, b, g, t)[i] * state[i * a.value.size + k];
        }
    if (e->node->output_count > 1)
        e->outputs[1] = states;
    return reason;
}

/* ---- RotaryEmbedding ---- */

/* The row of a cache for a position: [positions, half], or without `places` [batch, length, half]. */
static const double *cache_row(const struct array *cache, const struct array *places, int64_t at)
{
    int64_t half = cache->dims[cache->rank - 1];
    return cache->reals + (places ? places->integers[at] : at) * half;
}

static const char *check_caches(struct evaluation *e, const struct heads *in, int64_t half)
{
    const struct array *places = eval_input(e, 3);
    for (size_t i = 1; i < 3; i++) {
        const struct array *cache = e->inputs[i];
        bool fits = array_is_real(cache) && cache->rank == (places ? 2 : 3) && cache->dims[cache->rank - 1] == half &&
                    (places || (cache->dims[0] == in->batch && cache->dims[1] == in->length));
        if (!fits)
            return arena_format(e->arena, "a cache of shape %s", array_shape(e->arena, cache));
    }
    if (places &&
        (!array_is_whole(places) || places->rank != 2 || places->dims[0] != in->batch || places->dims[1] != in->length))
        return arena_format(e->arena, "positions of shape %s", array_shape(e->arena, places));
    for (int64_t i = 0; places && i < places->count; i++)
        for (int k = 1; k < 3; k++)
            if (places->integers[i] < 0 || places->integers[i] >= e->inputs[k]->dims[0])
                return arena_format(e->arena, "position %lld", (long long)places->integers[i]);
    return NULL;
}

const char *eval_rotary_embedding(struct evaluation *e)
{
    struct heads in, to;
    struct array *out;
    const char *reason = heads_of(e, e->inputs[0], node_integer(e->node, "num_heads", 0), &in);
    if (reason)
        return reason;
    int64_t turned = node_integer(e->node, "rotary_embedding_dim", 0);
    turned = turned ? turned : in.size;
    if (turned < 0 || turned > in.size || turned % 2 != 0)
        return arena_format(e->arena, "%lld of %lld numbers are turned", (long long)turned, (long long)in.size);
    reason = check_caches(e, &in, turned / 2);
    if (!reason)
        reason = array_copy(e->arena, e->pool, e->limit, e->inputs[0], &out);
    if (!reason)
        reason = heads_of(e, out, in.heads, &to);
    if (reason)
        return reason;
    e->outputs[0] = out;
    bool woven = node_integer(e->node, "interleaved", 0) != 0;
    int64_t half = turned / 2, rows = out->count ? out->count / in.size : 0;
    for (int64_t n = 0; n < rows; n++) {
        int64_t i = n % in.length, h = n / in.length % in.heads, b = n / in.length / in.heads;
        int64_t at = b * in.length + i;
        const double *from = row_at(&in, b, h, i);
        const double *cosine = cache_row(e->inputs[1], eval_input(e, 3), at);
        const double *sine = cache_row(e->inputs[2], eval_input(e, 3), at);
        double *row = row_at(&to, b, h, i);
        for (int64_t k = 0; k < half; k++) {
            int64_t first = woven ? 2 * k : k, second = woven ? 2 * k + 1 : k + half;
            row[first] = cosine[k] * from[first] - sine[k] * from[second];
            row[second] = sine[k] * from[first] + cosine[k] * from[second];
        }
    }
    return NULL;
}

/* ---- CausalConvWithState ---- */

const char *eval_causal_conv(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *weight = e->inputs[1], *bias = eval_input(e, 2), *past = eval_input(e, 3);
    const char *activation = node_string(e->arena, e->node, "activation", "none");
    bool swish = strcmp(activation, "silu") == 0 || strcmp(activation, "swish") == 0;
    if (!array_is_real(in) || !array_is_real(weight) || in->rank != 3 || weight->rank != 3 ||
        weight->dims[0] != in->dims[1] || weight->dims[1] != 1 || weight->dims[2] < 1 ||
        (bias && (!array_is_real(bias) || bias->count != in->dims[1])) || (!swish && strcmp(activation, "none") != 0))
        return arena_format(e->arena, "a weight of shape %s for %s, activation %s", array_shape(e->arena, weight),
                            array_shape(e->arena, in), activation);
    int64_t taps = weight->dims[2], before = taps - 1, length = in->dims[2];
    int64_t dims[] = {in->dims[0], in->dims[1], before};
    if (past && (!array_is_real(past) || past->rank != 3 || memcmp(past->dims, dims, sizeof(dims)) != 0))
        return arena_format(e->arena, "a past of shape %s", array_shape(e->arena, past));
    struct array *out, *state, *line;
    dims[2] = before;
    const char *reason = eval_result(e, in->type, 3, in->dims, &out);
    if (!reason)
        reason = array_make(e->arena, e->pool, e->limit, past ? past->type : in->type, 3, dims, &state);
    int64_t whole, rows;
    if (!reason && (!add_fits(before, length, &whole) || !count_elements(dims, 2, &rows)))
        reason = "an input that is too long";
    if (!reason)
        reason = array_make(e->arena, e->pool, e->limit, ONNX__TENSOR_PROTO__DATA_TYPE__DOUBLE, 1, &whole, &line);
    if (!reason)
        reason = eval_check_products(e, out->count, taps, 1);
    if (!reason)
        reason = eval_check_products(e, rows, whole, 1);
    for (int64_t n = 0; !reason && n < rows; n++) {
        for (int64_t i = 0; i < before; i++)
            line->reals[i] = past ? past->reals[n * before + i] : 0;
        for (int64_t i = 0; i < length; i++)
            line->reals[before + i] = in->reals[n * length + i];
        int64_t channel = n % in->dims[1];
        for (int64_t i = 0; i < length; i++) {
            double sum = (bias ? bias->reals[channel] : 0) + dot(line->reals + i, weight->reals + channel * taps, taps);
            out->reals[n * length + i] = swish ? sum / (1 + real_exp(-sum)) : sum;
        }
        for (int64_t i = 0; i < before; i++)
            state->reals[n * before + i] = line->reals[length + i];
    }
    if (e->node->output_count > 1)
        e->outputs[1] = state;
    return reason;
}
