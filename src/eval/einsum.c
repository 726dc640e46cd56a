/* eval/einsum.c: Einsum: one sum over the labels of all terms. */
#include "eval/einsum.h"

#include "base/vector.h"

enum {
    EINSUM_LETTERS = 52,                        /* 'a' is label 0, 'A' is 26 */
    EINSUM_LABELS = EINSUM_LETTERS + EVAL_RANK, /* then the axes of an ellipsis, the last one first */
    EINSUM_TERM = 2 * EVAL_RANK
};

/* The next term of an equation as labels, up to ',', '-' or the end. rank: axes that the term has, of which an
 * ellipsis takes what is left; or NULL, and an ellipsis takes *hidden of them. Returns NULL, or why the equation
 * is not evaluated. */
static const char *read_term(const char **text, const int *rank, int *hidden, int *labels, int *count)
{
    int given[EINSUM_TERM], letters = 0, place = -1;
    for (; **text && **text != ',' && **text != '-'; ++*text) {
        char c = **text;
        if (c == ' ')
            continue;
        if (c == '.' && strncmp(*text, "...", 3) == 0 && place < 0) {
            place = letters;
            *text += 2;
            continue;
        }
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z'))
            return "the equation is broken";
        if (letters == EVAL_RANK)
            return "the equation has too many labels";
        given[letters++] = c >= 'a' ? c - 'a' : c - 'A' + 26;
    }
    int axes = place < 0 ? 0 : rank ? *rank - letters : *hidden;
    if (axes < 0 || letters + axes > EVAL_RANK)
        return "a term has more labels than dimensions";
    *count = 0;
    for (int i = 0; i <= letters; i++) {
        for (int k = axes - 1; i == place && k >= 0; k--)
            labels[(*count)++] = EINSUM_LETTERS + k;
        if (i < letters)
            labels[(*count)++] = given[i];
    }
    *hidden = rank && axes > *hidden ? axes : *hidden;
    return !rank && place < 0 && *hidden > 0 ? "an ellipsis is summed over" : NULL;
}

/* The axis along which all terms and the result step least far: memory is read in rows. */
static int nearest_axis(const struct walk *walk)
{
    int nearest = 0;
    int64_t least_step = INT64_MAX;
    for (int axis = walk->rank - 1; axis >= 0; axis--) {
        int64_t step = 0;
        for (int n = 0; n < walk->operands; n++)
            step = walk->strides[n][axis] > step ? walk->strides[n][axis] : step;
        if (step < least_step && walk->dims[axis] > 1) {
            least_step = step;
            nearest = axis;
        }
    }
    return nearest;
}

VECTORISED(void, add_scaled, (const double *restrict in, double factor, int64_t count, double *restrict out),
           (in, factor, count, out))
{
    for (int64_t i = 0; i < count; i++)
        out[i] += factor * in[i];
}

/* Adds the products of a row of `count` steps along one label, from where the walk stands. */
static void add_row(const struct evaluation *e, const struct walk *walk, size_t terms, const int64_t *steps,
                    int64_t count, double *out)
{
    if (terms == 2) { /* nearly all there are */
        const double *left = e->inputs[0]->reals + walk->offsets[0];
        const double *right = e->inputs[1]->reals + walk->offsets[1];
        double sum = *out;
        if (steps[2] == 1 && steps[0] + steps[1] == 1) {
            const bool is_left = steps[0];
            add_scaled(is_left ? left : right, is_left ? *right : *left, count, out);
            return;
        }
        if (steps[2]) {
            for (int64_t i = 0; i < count; i++)
                out[i * steps[2]] += left[i * steps[0]] * right[i * steps[1]];
            return;
        }
        for (int64_t i = 0; i < count; i++)
            sum += left[i * steps[0]] * right[i * steps[1]];
        *out = sum;
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        double product = 1;
        for (size_t n = 0; n < terms; n++)
            product *= e->inputs[n]->reals[walk->offsets[n] + i * steps[n]];
        out[i * steps[terms]] += product;
    }
}

const char *eval_einsum(struct evaluation *e)
{
    const char *text = node_string(e->arena, e->node, "equation", "");
    size_t terms = e->node->input_count;
    int labels[EVAL_OPERANDS][EVAL_RANK], counts[EVAL_OPERANDS];
    int seen[EINSUM_LABELS] = {0}, hidden = 0;
    int64_t extents[EINSUM_LABELS];
    if (terms >= EVAL_OPERANDS)
        return "the equation has too many terms";
    for (size_t n = 0; n < terms; n++) {
        const struct array *in = e->inputs[n];
        if (!in || !array_is_real(in))
            return "a term is missing or holds no reals";
        if (n > 0 && *text++ != ',')
            return "the equation has fewer terms than the node has inputs";
        const char *reason = read_term(&text, &in->rank, &hidden, labels[n], &counts[n]);
        if (reason)
            return reason;
        if (counts[n] != in->rank)
            return arena_format(e->arena, "term %zu has %d labels for %d dimensions", n, counts[n], in->rank);
        for (int i = 0; i < in->rank; i++) {
            int label = labels[n][i];
            bool broadcasts = label >= EINSUM_LETTERS;
            if (broadcasts && seen[label] && in->dims[i] == 1)
                continue;
            if (seen[label] && extents[label] != in->dims[i] && !(broadcasts && extents[label] == 1))
                return arena_format(e->arena, "a label stands for %lld and for %lld", (long long)extents[label],
                                    (long long)in->dims[i]);
            seen[label]++;
            extents[label] = in->dims[i];
        }
    }

    /* Without an arrow the result has the axes of the ellipsis, then the labels that occur once, in the order of
     * ASCII. */
    int *result = labels[terms], *result_count = &counts[terms];
    if (text[0] == '-' && text[1] == '>') {
        text += 2;
        const char *reason = read_term(&text, NULL, &hidden, result, result_count);
        if (reason)
            return reason;
    } else {
        *result_count = 0;
        for (int k = hidden - 1; k >= 0; k--)
            result[(*result_count)++] = EINSUM_LETTERS + k;
        for (int i = 0; i < EINSUM_LETTERS; i++) {
            int label = (i + 26) % EINSUM_LETTERS;
            if (seen[label] == 1 && *result_count == EVAL_RANK)
                return "the equation has too many labels";
            if (seen[label] == 1)
                result[(*result_count)++] = label;
        }
    }
    if (*text)
        return "the equation is broken";

    /* One walk over all labels: those of the result first, then those that are summed over. */
    struct walk walk = {.operands = (int)terms + 1};
    int place[EINSUM_LABELS];
    for (int i = 0; i < EINSUM_LABELS; i++)
        place[i] = -1;
    for (int i = 0; i < *result_count; i++) {
        if (!seen[result[i]] || place[result[i]] >= 0)
            return "the equation is broken";
        place[result[i]] = walk.rank;
        walk.dims[walk.rank++] = extents[result[i]];
    }
    struct array *out;
    const char *reason = eval_result(e, e->inputs[0]->type, walk.rank, walk.dims, &out);
    if (reason)
        return reason;
    for (int label = 0; label < EINSUM_LABELS; label++) {
        if (!seen[label] || place[label] >= 0)
            continue;
        if (walk.rank == EVAL_RANK)
            return "the equation has too many labels";
        place[label] = walk.rank;
        walk.dims[walk.rank++] = extents[label];
    }
    for (size_t n = 0; n <= terms; n++) {
        const struct array *array = n < terms ? e->inputs[n] : out;
        int64_t strides[EVAL_RANK];
        dense_strides(array->rank, array->dims, strides);
        for (int i = 0; i < array->rank; i++) /* "ii" steps along the diagonal */
            walk.strides[n][place[labels[n][i]]] +=
                labels[n][i] >= EINSUM_LETTERS && array->dims[i] == 1 ? 0 : strides[i];
    }
    int64_t steps;
    if (!count_elements(walk.dims, (size_t)walk.rank, &steps) || steps > BUDGET_SUM ||
        !pool_affords(e->pool, 8 * (double)steps, 0))
        return "too many products";
    int axis = nearest_axis(&walk);
    int64_t row = walk.rank ? walk.dims[axis] : 1, inner[EVAL_OPERANDS] = {0};
    for (size_t n = 0; walk.rank && n <= terms; n++)
        inner[n] = walk.strides[n][axis];
    if (walk.rank)
        walk.dims[axis] = 1; /* walked by rows */
    for (int64_t i = 0; i < steps; i += row, walk_next(&walk))
        add_row(e, &walk, terms, inner, row, out->reals + walk.offsets[terms]);
    return NULL;
}
