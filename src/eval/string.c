/* eval/string.c: StringConcat, StringNormalizer, StringSplit, RegexFullMatch, TfIdfVectorizer. */
#include "eval/string.h"

#include "eval/regex.h"

#define STRING_TYPE ONNX__TENSOR_PROTO__DATA_TYPE__STRING
#define INT64_TYPE ONNX__TENSOR_PROTO__DATA_TYPE__INT64

static ProtobufCBinaryData text_at(const struct array *array, int64_t at)
{
    return array->texts[at] ? *array->texts[at] : (ProtobufCBinaryData){0, NULL};
}

static bool is_text(const struct array *array)
{
    return array->type == STRING_TYPE;
}

static bool same_text(ProtobufCBinaryData a, ProtobufCBinaryData b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A new text of so many bytes, to be filled in; NULL: it costs too much. */
static ProtobufCBinaryData *make_text(struct evaluation *e, size_t length)
{
    enum { TEXT_CELLS = 2 };
    if (!pool_affords(e->pool, (double)length, TEXT_CELLS + (double)length / EVAL_CELL))
        return NULL;
    ProtobufCBinaryData *text = NEW(e->arena, ProtobufCBinaryData);
    text->len = length;
    text->data = NEW_ARRAY(e->arena, uint8_t, length + 1);
    return text;
}

const char *eval_string_concat(struct evaluation *e)
{
    const struct array *left = e->inputs[0], *right = e->inputs[1];
    struct walk walk = {.rank = 0};
    struct array *out;
    if (!is_text(left) || !is_text(right) || !broadcast_dims(&walk.rank, walk.dims, left) ||
        !broadcast_dims(&walk.rank, walk.dims, right))
        return "inputs that are no strings, or shapes that do not broadcast";
    walk_broadcast(&walk, left);
    walk_broadcast(&walk, right);
    const char *reason = eval_result(e, STRING_TYPE, walk.rank, walk.dims, &out);
    for (int64_t i = 0; !reason && i < out->count; i++, walk_next(&walk)) {
        ProtobufCBinaryData a = text_at(left, walk.offsets[0]), b = text_at(right, walk.offsets[1]);
        ProtobufCBinaryData *text = make_text(e, a.len + b.len);
        if (!text)
            return eval_too_dear;
        if (a.len)
            memcpy(text->data, a.data, a.len);
        if (b.len)
            memcpy(text->data + a.len, b.data, b.len);
        out->texts[i] = text;
    }
    return reason;
}

/* ---- StringNormalizer ---- */

static uint8_t in_case(uint8_t c, bool upper)
{
    if (upper)
        return c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c;
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool is_ascii(ProtobufCBinaryData text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] >= 0x80)
            return false;
    return true;
}

static bool same_word(ProtobufCBinaryData a, ProtobufCBinaryData b, bool exact)
{
    if (exact || a.len != b.len)
        return same_text(a, b);
    for (size_t i = 0; i < a.len; i++)
        if (in_case(a.data[i], false) != in_case(b.data[i], false))
            return false;
    return true;
}

const char *eval_string_normalizer(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    const Onnx__AttributeProto *stops = node_attribute(e->node, "stopwords");
    const char *action = node_string(e->arena, e->node, "case_change_action", "NONE");
    bool exact = node_integer(e->node, "is_case_sensitive", 0) != 0;
    bool lower = strcmp(action, "LOWER") == 0, upper = strcmp(action, "UPPER") == 0;
    size_t stop_count = stops ? stops->n_strings : 0;
    if (!is_text(in) || in->rank < 1 || in->rank > 2 || (in->rank == 2 && in->dims[0] != 1) ||
        (!lower && !upper && strcmp(action, "NONE") != 0))
        return arena_format(e->arena, "%s %s, case_change_action %s", array_type_name(in->type),
                            array_shape(e->arena, in), action);
    const char *reason = eval_check_products(e, in->count, (int64_t)stop_count, 8);
    if (reason)
        return reason;
    bool folds = lower || upper || (!exact && stop_count); /* beyond ASCII that is the locale's */
    for (size_t i = 0; folds && i < stop_count; i++)
        if (!is_ascii(stops->strings[i]))
            return "a stop word that is not ASCII";
    int64_t kept = 0;
    struct array *words;
    reason = array_make(e->arena, e->pool, e->limit, STRING_TYPE, 1, &in->count, &words);
    for (int64_t i = 0; !reason && i < in->count; i++) {
        ProtobufCBinaryData word = text_at(in, i);
        bool stopped = false;
        if (folds && !is_ascii(word))
            return "a word that is not ASCII";
        for (size_t k = 0; k < stop_count && !stopped; k++)
            stopped = same_word(word, stops->strings[k], exact);
        if (stopped)
            continue;
        ProtobufCBinaryData *text = make_text(e, word.len);
        if (!text)
            return eval_too_dear;
        for (size_t k = 0; k < word.len; k++)
            text->data[k] = lower || upper ? in_case(word.data[k], upper) : word.data[k];
        words->texts[kept++] = text;
    }
    int64_t dims[] = {in->rank == 2 ? 1 : kept ? kept : 1, kept ? kept : 1};
    struct array *out;
    if (!reason)
        reason = eval_result(e, STRING_TYPE, in->rank, dims, &out);
    for (int64_t i = 0; !reason && i < kept; i++)
        out->texts[i] = words->texts[i];
    return reason;
}

/* ---- StringSplit ---- */

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The next part of a text from *at on; false: there is none. delimiter: of no length for white space. */
static bool next_part(ProtobufCBinaryData text, ProtobufCBinaryData delimiter, bool is_last, size_t *at,
                      ProtobufCBinaryData *part)
{
    size_t end;
    if (delimiter.len == 0) {
        while (*at < text.len && is_space(text.data[*at]))
            ++*at;
        if (*at >= text.len)
            return false;
        for (end = *at; end < text.len && (is_last || !is_space(text.data[end]));)
            end++;
        *part = (ProtobufCBinaryData){end - *at, text.data + *at};
        *at = end;
        return true;
    }
    if (*at > text.len)
        return false;
    for (end = *at;
         is_last || end + delimiter.len > text.len || memcmp(text.data + end, delimiter.data, delimiter.len) != 0;
         end++)
        if (end >= text.len)
            break;
    *part = (ProtobufCBinaryData){end - *at, text.len ? text.data + *at : NULL};
    *at = end < text.len ? end + delimiter.len : text.len + 1;
    return true;
}

const char *eval_string_split(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    const Onnx__AttributeProto *given = node_attribute(e->node, "delimiter");
    ProtobufCBinaryData delimiter = given ? given->s : (ProtobufCBinaryData){0, NULL}, part;
    int64_t most = node_integer(e->node, "maxsplit", INT64_MAX), widest = 0;
    if (!is_text(in) || in->rank >= EVAL_RANK)
        return "data that are no strings";
    most = most < 0 ? INT64_MAX : most;
    struct array *counts, *out;
    const char *reason = array_make(e->arena, e->pool, e->limit, INT64_TYPE, in->rank, in->dims, &counts);
    for (int64_t i = 0; !reason && i < in->count; i++) {
        ProtobufCBinaryData text = text_at(in, i);
        size_t at = 0;
        if (!pool_affords(e->pool, (double)(text.len + 1) * (double)(delimiter.len + 1), 0))
            return eval_too_dear;
        while (next_part(text, delimiter, counts->integers[i] == most, &at, &part))
            counts->integers[i]++;
        widest = counts->integers[i] > widest ? counts->integers[i] : widest;
    }
    int64_t dims[EVAL_RANK];
    memcpy(dims, in->dims, sizeof(dims));
    dims[in->rank] = widest;
    if (!reason)
        reason = eval_result(e, STRING_TYPE, in->rank + 1, dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++) {
        size_t at = 0;
        if (!pool_affords(e->pool, 0, 2 * (double)counts->integers[i]))
            return eval_too_dear;
        for (int64_t k = 0; next_part(text_at(in, i), delimiter, k == most, &at, &part); k++) {
            ProtobufCBinaryData *text = NEW(e->arena, ProtobufCBinaryData);
            *text = part; /* its bytes stay where they are */
            out->texts[i * widest + k] = text;
        }
    }
    if (e->node->output_count > 1)
        e->outputs[1] = counts;
    return reason;
}

/* ---- RegexFullMatch ---- */

const char *eval_regex_full_match(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    const Onnx__AttributeProto *pattern = node_attribute(e->node, "pattern");
    struct regex *regex;
    struct array *out;
    if (!is_text(in) || !pattern)
        return "data that are no strings, or no pattern";
    const char *reason = regex_compile(e->arena, pattern->s, &regex);
    if (!reason && !pool_affords(e->pool, 16 * (double)regex_size(regex), 8 * (double)regex_size(regex)))
        reason = eval_too_dear;
    if (!reason)
        reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__BOOL, in->rank, in->dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++) {
        ProtobufCBinaryData text = text_at(in, i);
        if (!pool_affords(e->pool, ((double)text.len + 1) * 8 * (double)regex_size(regex), 0))
            return eval_too_dear;
        out->integers[i] = regex_matches(regex, text);
    }
    return reason;
}

/* ---- TfIdfVectorizer ---- */

struct vectorizer {
    const struct array *in;
    const Onnx__AttributeProto *texts, *integers; /* the pool: one of them */
    const int64_t *starts, *columns; /* of the grams of each length in the pool; of each gram in the result */
    size_t start_count, column_count, pool_count;
    int64_t shortest, longest, skips, width;
};

static bool is_at(const struct vectorizer *v, int64_t at, size_t entry)
{
    return v->texts ? same_text(text_at(v->in, at), v->texts->strings[entry])
                    : v->in->integers[at] == v->integers->ints[entry];
}

/* Grams of `length` in the pool: where they begin and how many. */
static size_t grams_of(const struct vectorizer *v, int64_t length, size_t *begin)
{
    size_t index = (size_t)length - 1;
    if (index >= v->start_count)
        return 0;
    size_t end = index + 1 < v->start_count ? (size_t)v->starts[index + 1] : v->pool_count;
    *begin = (size_t)v->starts[index];
    return (end - *begin) / (size_t)length;
}

/* Counts what begins at one place of a row and takes every `apart`-th element. */
static void count_gram(const struct vectorizer *v, int64_t first, int64_t apart, int64_t length, double *counts)
{
    size_t begin = 0, before = 0, grams = grams_of(v, length, &begin);
    for (int64_t shorter = 1; shorter < length; shorter++) {
        size_t ignored;
        before += grams_of(v, shorter, &ignored);
    }
    for (size_t gram = grams; gram-- > 0;) { /* of two that are alike the last one counts */
        bool same = true;
        for (int64_t k = 0; k < length && same; k++)
            same = is_at(v, first + k * apart, begin + gram * (size_t)length + (size_t)k);
        if (!same)
            continue;
        counts[v->columns[before + gram]]++;
        return;
    }
}

static const char *read_vectorizer(struct evaluation *e, struct vectorizer *v)
{
    v->in = e->inputs[0];
    v->texts = node_attribute(e->node, "pool_strings");
    v->integers = node_attribute(e->node, "pool_int64s");
    v->starts = node_integers(e->node, "ngram_counts", &v->start_count);
    v->columns = node_integers(e->node, "ngram_indexes", &v->column_count);
    v->shortest = node_integer(e->node, "min_gram_length", 0);
    v->longest = node_integer(e->node, "max_gram_length", 0);
    v->skips = node_integer(e->node, "max_skip_count", 0);
    if (!v->starts || !v->columns || !v->texts == !v->integers || v->in->rank > 2 ||
        (v->texts ? !is_text(v->in) : !array_is_whole(v->in)) || v->shortest < 1 || v->longest < v->shortest ||
        v->longest > (int64_t)v->start_count || v->skips < 0)
        return "grams, a pool or lengths that do not fit";
    v->pool_count = v->texts ? v->texts->n_strings : v->integers->n_ints;
    size_t grams = 0;
    for (size_t i = 0; i < v->start_count; i++) {
        int64_t end = i + 1 < v->start_count ? v->starts[i + 1] : (int64_t)v->pool_count;
        if (v->starts[i] < 0 || v->starts[i] > end || end > (int64_t)v->pool_count)
            return "ngram_counts that do not ascend";
        grams += (size_t)(end - v->starts[i]) / (i + 1);
    }
    for (size_t i = 0; i < v->column_count; i++) {
        if (v->columns[i] < 0 || v->columns[i] == INT64_MAX)
            return "an index below 0";
        v->width = v->columns[i] + 1 > v->width ? v->columns[i] + 1 : v->width;
    }
    return grams == v->column_count ? NULL : "another number of ngram_indexes than of grams";
}

const char *eval_tf_idf_vectorizer(struct evaluation *e)
{
    struct vectorizer v = {.width = 0};
    const char *mode = node_string(e->arena, e->node, "mode", "");
    const Onnx__AttributeProto *weights = node_attribute(e->node, "weights");
    bool once = strcmp(mode, "IDF") == 0, weighs = once || strcmp(mode, "TFIDF") == 0;
    const char *reason = read_vectorizer(e, &v);
    if (!reason && ((!weighs && strcmp(mode, "TF") != 0) ||
                    (weighs && weights && weights->n_floats && (int64_t)weights->n_floats != v.width)))
        reason = arena_format(e->arena, "mode %s, or weights of another length", mode);
    if (reason)
        return reason;
    const struct array *in = v.in;
    int64_t rows = in->rank == 2 ? in->dims[0] : 1;
    int64_t length = in->rank == 2 ? in->dims[1] : in->count;
    int64_t dims[] = {in->rank == 2 ? rows : v.width, v.width};
    struct array *out;
    v.skips = v.skips < length ? v.skips : length;
    reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT, in->rank == 2 ? 2 : 1, dims, &out);
    if (!reason)
        reason = eval_check_products(e, in->count, v.skips + 1, v.longest + (int64_t)v.pool_count);
    for (int64_t n = 0; !reason && in->count && n < rows; n++)
        for (int64_t size = v.shortest; size <= v.longest && size <= length; size++)
            for (int64_t apart = 1; apart <= (size == 1 ? 1 : v.skips + 1); apart++)
                for (int64_t i = 0; i < length && (size - 1) <= (length - 1 - i) / apart; i++)
                    count_gram(&v, n * length + i, apart, size, out->reals + n * v.width);
    for (int64_t i = 0; !reason && weighs && i < out->count; i++) {
        double count = once && out->reals[i] > 1 ? 1 : out->reals[i];
        out->reals[i] = count * (weights && weights->n_floats ? (double)weights->floats[i % v.width] : 1);
    }
    return reason;
}
