/* eval/arrange.c: operators that put elements in another arrangement, or leave some out. */
#include "eval/arrange.h"

#include "eval/move.h"

const char *eval_trilu(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *k = eval_input(e, 1);
    bool upper = node_integer(e->node, "upper", 1) != 0;
    if (in->rank < 2 || (k && (k->count != 1 || array_is_real(k))))
        return "data of fewer than two dimensions, or k that is not an integer";
    struct array *out;
    int64_t rows = in->dims[in->rank - 2], columns = in->dims[in->rank - 1];
    int64_t shift = k ? k->integers[0] : 0;
    const char *reason = eval_result(e, in->type, in->rank, in->dims, &out);
    for (int64_t i = 0; !reason && i < in->count; i++) {
        int64_t apart = i % columns - i / columns % rows; /* below 2^63 on either side */
        if (upper ? apart >= shift : apart <= shift)
            eval_copy_cells(out, i, in, i, 1);
    }
    return reason;
}

const char *eval_eye_like(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    int64_t type = node_integer(e->node, "dtype", in->type), k = node_integer(e->node, "k", 0);
    if (in->rank != 2 || type < 1 || type > INT32_MAX ||
        (!type_is_real((int32_t)type) && !type_is_whole((int32_t)type)))
        return "data of other than two dimensions, or a type without numbers";
    struct array *out;
    const char *reason = eval_result(e, (int32_t)type, 2, in->dims, &out);
    for (int64_t i = 0; !reason && i < out->count; i++) {
        bool one = i % in->dims[1] - i / in->dims[1] == k;
        if (array_is_real(out))
            out->reals[i] = one;
        else
            out->integers[i] = one;
    }
    return reason;
}

const char *eval_reverse_sequence(struct evaluation *e)
{
    const struct array *in = e->inputs[0], *lengths = e->inputs[1];
    int64_t batch = node_integer(e->node, "batch_axis", 1);
    int64_t time = node_integer(e->node, "time_axis", 0), strides[EVAL_RANK];
    if (in->rank < 2 || batch + time != 1 || batch < 0 || time < 0 || array_is_real(lengths) || lengths->rank != 1 ||
        lengths->count != in->dims[batch])
        return "axes other than 0 and 1, or lengths that do not fit";
    for (int64_t i = 0; i < lengths->count; i++)
        if (lengths->integers[i] < 0 || lengths->integers[i] > in->dims[time])
            return arena_format(e->arena, "a length of %lld", (long long)lengths->integers[i]);
    struct array *out;
    const char *reason = eval_result(e, in->type, in->rank, in->dims, &out);
    struct walk walk = {.rank = in->rank};
    memcpy(walk.dims, in->dims, sizeof(walk.dims));
    dense_strides(in->rank, in->dims, strides);
    for (int64_t i = 0; !reason && i < in->count; i++, walk_next(&walk)) {
        int64_t length = lengths->integers[walk.at[batch]], at = walk.at[time];
        int64_t from = at < length ? length - 1 - at : at;
        eval_copy_cells(out, i, in, i + (from - at) * strides[time], 1);
    }
    return reason;
}

/* DepthToSpace and SpaceToDepth: a Reshape, a Transpose and a Reshape. */
const char *eval_depth(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    bool to_space = e->node->op == OP_DepthToSpace;
    bool depth_first = strcmp(node_string(e->arena, e->node, "mode", "DCR"), "CRD") != 0;
    int64_t size = node_integer(e->node, "blocksize", 0), square, left;
    if (in->rank != 4 || size < 1 || !multiply_fits(size, size, &square) ||
        (to_space ? in->dims[1] % square != 0 : in->dims[2] % size != 0 || in->dims[3] % size != 0) ||
        !multiply_fits(in->dims[1], square, &left))
        return arena_format(e->arena, "blocks of %lld for %s", (long long)size, array_shape(e->arena, in));
    int64_t dims[4] = {in->dims[0], in->dims[1] * square, in->dims[2] / size, in->dims[3] / size};
    if (to_space) {
        dims[1] = in->dims[1] / square;
        if (!multiply_fits(in->dims[2], size, &dims[2]) || !multiply_fits(in->dims[3], size, &dims[3]))
            return "a shape that overflows";
    }
    struct array *out;
    const char *reason = eval_result(e, in->type, 4, dims, &out);
    /* The wide side is [N, C, H * size, W * size], the deep one [N, C * size * size, H, W]. */
    const struct array *wide = to_space ? out : in, *deep = to_space ? in : out;
    int64_t channels = wide->dims[1];
    struct walk walk = {.rank = 4};
    memcpy(walk.dims, wide->dims, sizeof(wide->dims[0]) * 4);
    for (int64_t i = 0; !reason && i < out->count; i++, walk_next(&walk)) {
        int64_t block = walk.at[2] % size * size + walk.at[3] % size;
        int64_t channel = depth_first ? block * channels + walk.at[1] : walk.at[1] * square + block;
        int64_t at = ((walk.at[0] * deep->dims[1] + channel) * deep->dims[2] + walk.at[2] / size) * deep->dims[3] +
                     walk.at[3] / size;
        eval_copy_cells(out, to_space ? i : at, in, to_space ? at : i, 1);
    }
    return reason;
}

const char *eval_center_crop_pad(struct evaluation *e)
{
    const struct array *in = e->inputs[0];
    const int64_t *shape;
    size_t length;
    int axes[EVAL_RANK], count;
    bool given;
    const char *reason = eval_integers(e, 1, &shape, &length);
    if (!reason)
        reason = eval_axes(e, SIZE_MAX, in->rank, axes, &count, &given);
    if (reason)
        return reason;
    for (; !given && count < in->rank; count++)
        axes[count] = count;
    if (length != (size_t)count)
        return arena_format(e->arena, "a shape of %zu numbers for %d axes", length, count);
    struct walk walk = {.rank = in->rank, .operands = 2};
    int64_t dims[EVAL_RANK], from[EVAL_RANK], to[EVAL_RANK];
    memcpy(dims, in->dims, sizeof(dims));
    memcpy(walk.dims, in->dims, sizeof(dims));
    for (int i = 0; i < count; i++) {
        int axis = axes[i];
        if (shape[i] < 0)
            return "a negative dimension";
        dims[axis] = shape[i];
        walk.dims[axis] = shape[i] < in->dims[axis] ? shape[i] : in->dims[axis];
    }
    struct array *out;
    reason = eval_result(e, in->type, in->rank, dims, &out);
    if (reason)
        return reason;
    dense_strides(in->rank, in->dims, walk.strides[0]);
    dense_strides(in->rank, dims, walk.strides[1]);
    int64_t moved = 1;
    for (int i = 0; i < in->rank; i++) {
        from[i] = (in->dims[i] - walk.dims[i]) / 2;
        to[i] = (dims[i] - walk.dims[i]) / 2;
        walk.offsets[0] += from[i] * walk.strides[0][i];
        walk.offsets[1] += to[i] * walk.strides[1][i];
        moved *= walk.dims[i];
    }
    for (int64_t i = 0; i < moved; i++, walk_next(&walk))
        eval_copy_cells(out, walk.offsets[1], in, walk.offsets[0], 1);
    return NULL;
}
