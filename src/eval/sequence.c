/* eval/sequence.c: sequences and optionals. Elements are copies: an array belongs to one value. */
#include "eval/sequence.h"

#include "eval/move.h"

/* A copy of a tensor, or of a sequence whose elements stay the same. */
static const char *copy_of(struct evaluation *e, const struct array *array, struct array **copy)
{
    return array_copy(e->arena, e->pool, e->limit, array, copy);
}

static const char *make_sequence(struct evaluation *e, int64_t count, struct array **out)
{
    return eval_result(e, ARRAY_SEQUENCE, 1, &count, out);
}

const char *eval_sequence_construct(struct evaluation *e)
{
    struct array *out;
    const char *reason = make_sequence(e, (int64_t)e->node->input_count, &out);
    for (size_t i = 0; !reason && i < e->node->input_count; i++)
        reason = e->inputs[i] ? copy_of(e, e->inputs[i], &out->items[i]) : "an input is missing";
    return reason;
}

const char *eval_sequence_empty(struct evaluation *e)
{
    struct array *out;
    return make_sequence(e, 0, &out);
}

const char *eval_sequence_length(struct evaluation *e)
{
    struct array *out;
    if (e->inputs[0]->type != ARRAY_SEQUENCE)
        return "no sequence";
    const char *reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__INT64, 0, NULL, &out);
    if (!reason)
        out->integers[0] = e->inputs[0]->count;
    return reason;
}

/* A position from an input; `end` admits the one behind the last, which it is when there is none. */
static const char *read_position(struct evaluation *e, size_t index, bool end, int64_t *at)
{
    const struct array *in = e->inputs[0], *position = eval_input(e, index);
    if (in->type != ARRAY_SEQUENCE)
        return "no sequence";
    int64_t count = in->count;
    *at = end ? count : count - 1;
    if (position && (!array_is_whole(position) || position->count != 1))
        return "a position that is not an integer";
    if (position)
        *at = position->integers[0] < 0 ? position->integers[0] + count : position->integers[0];
    if (*at < 0 || *at >= count + end)
        return arena_format(e->arena, "position %lld of %lld", (long long)*at, (long long)count);
    return NULL;
}

const char *eval_sequence_at(struct evaluation *e)
{
    int64_t at;
    const char *reason = read_position(e, 1, false, &at);
    return reason ? reason : copy_of(e, e->inputs[0]->items[at], &e->outputs[0]);
}

/* SequenceInsert and SequenceErase. */
const char *eval_sequence_change(struct evaluation *e)
{
    bool inserts = e->node->op == OP_SequenceInsert;
    const struct array *in = e->inputs[0];
    int64_t at;
    struct array *out;
    const char *reason = read_position(e, inserts ? 2 : 1, inserts, &at);
    if (!reason)
        reason = make_sequence(e, in->count + (inserts ? 1 : -1), &out);
    for (int64_t i = 0; !reason && i < out->count; i++) {
        if (inserts && i == at)
            reason = copy_of(e, e->inputs[1], &out->items[i]);
        else
            out->items[i] = in->items[inserts ? i - (i > at) : i + (i >= at)];
    }
    return reason;
}

/* A part of a tensor along an axis. */
static const char *part_of(struct evaluation *e, const struct array *in, int axis, int64_t first, int64_t length,
                           bool keeps, struct array **part)
{
    int64_t dims[EVAL_RANK], inner = eval_extent(in->dims, axis + 1, in->rank);
    int rank = 0;
    for (int i = 0; i < in->rank; i++)
        if (i != axis || keeps)
            dims[rank++] = i == axis ? length : in->dims[i];
    const char *reason = array_make(e->arena, e->pool, e->limit, in->type, rank, dims, part);
    for (int64_t n = 0; !reason && (*part)->count && n < eval_extent(in->dims, 0, axis); n++)
        eval_copy_cells(*part, n * length * inner, in, (n * in->dims[axis] + first) * inner, length * inner);
    return reason;
}

const char *eval_split_to_sequence(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *split = eval_input(e, 1);
    bool keeps = split || node_integer(e->node, "keepdims", 1) != 0;
    int axis;
    const char *reason = eval_axis(e, 0, in->rank, false, &axis);
    if (!reason && split && (!array_is_whole(split) || split->rank > 1))
        reason = "a split that is not a list of integers";
    if (reason)
        return reason;
    int64_t extent = in->dims[axis], each = split && split->rank == 0 ? split->integers[0] : 1;
    bool listed = split && split->rank == 1;
    if (each < 1)
        return "parts of no size";
    int64_t count = listed ? split->count : extent / each + (extent % each != 0), first = 0;
    struct array *out;
    reason = make_sequence(e, count, &out);
    for (int64_t i = 0; !reason && i < count; i++) {
        int64_t length = listed ? split->integers[i] : each < extent - first ? each : extent - first;
        if (length < 0 || length > extent - first)
            return "the parts do not fill the axis";
        reason = part_of(e, in, axis, first, length, keeps, &out->items[i]);
        first += length;
    }
    return reason || first == extent ? reason : "the parts do not fill the axis";
}

const char *eval_concat_from_sequence(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    bool is_new = node_integer(e->node, "new_axis", 0) != 0;
    if (in->type != ARRAY_SEQUENCE || in->count == 0)
        return "no sequence, or one without elements";
    const struct array *first = in->items[0];
    int axis;
    const char *reason = eval_axis(e, 0, first->rank + is_new, false, &axis);
    if (reason || first->rank + is_new > EVAL_RANK)
        return reason ? reason : "too many dimensions";
    int64_t dims[EVAL_RANK], whole = 0, to = 0;
    for (int i = 0, from = 0; i < first->rank + is_new; i++)
        dims[i] = is_new && i == axis ? 1 : first->dims[from++];
    for (int64_t n = 0; n < in->count; n++) {
        const struct array *part = in->items[n];
        bool agrees = part->type == first->type && part->type > 0 && part->rank == first->rank;
        for (int i = 0; agrees && i < part->rank; i++)
            agrees = (!is_new && i == axis) || part->dims[i] == first->dims[i];
        if (!agrees || !add_fits(whole, is_new ? 1 : part->dims[axis], &whole))
            return "elements that cannot be concatenated";
    }
    dims[axis] = whole;
    struct array *out;
    reason = eval_result(e, first->type, first->rank + is_new, dims, &out);
    int64_t inner = eval_extent(dims, axis + 1, first->rank + is_new);
    for (int64_t row = 0; !reason && out->count && row < eval_extent(dims, 0, axis); row++)
        for (int64_t n = 0; n < in->count; n++) {
            int64_t chunk = (is_new ? 1 : in->items[n]->dims[axis]) * inner;
            eval_copy_cells(out, to, in->items[n], row * chunk, chunk);
            to += chunk;
        }
    return reason;
}

/* ---- optionals ---- */

const char *eval_optional(struct evaluation *e)
{
    int64_t count = eval_input(e, 0) != NULL;
    struct array *out;
    const char *reason = eval_result(e, ARRAY_OPTIONAL, 1, &count, &out);
    return reason || !count ? reason : copy_of(e, e->inputs[0], &out->items[0]);
}

const char *eval_optional_has_element(struct evaluation *e)
{
    const struct array *in = eval_input(e, 0);
    struct array *out;
    const char *reason = eval_result(e, ONNX__TENSOR_PROTO__DATA_TYPE__BOOL, 0, NULL, &out);
    if (!reason)
        out->integers[0] = in && (in->type != ARRAY_OPTIONAL || in->count > 0);
    return reason;
}

const char *eval_optional_get_element(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    if (in->type != ARRAY_OPTIONAL)
        return copy_of(e, in, &e->outputs[0]);
    return in->count ? copy_of(e, in->items[0], &e->outputs[0]) : "an optional without an element";
}
