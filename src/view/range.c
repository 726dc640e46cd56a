/* view/range.c: the largest magnitude in each output channel of a weight. */
#include "view/range.h"

#include <math.h>

#include "fuse/fused.h"
#include "infer/constant.h"

enum { PIECE = 1 << 16 }; /* numbers read at once */

/* Decomposes the index of an element, to find its output channel: ((group * outer + o) * width + channel) * inner +
 * i. */
struct layout_of {
    int64_t outer, width, inner, channels;
};

/* Largest magnitudes so far, `channels` of them. */
static void add_numbers(const struct layout_of *layout, int64_t first, int64_t count, const double *numbers,
                        double *largest)
{
    for (int64_t i = 0; i < count;) {
        int64_t place = (first + i) / layout->inner, rest = (first + i) % layout->inner;
        int64_t end = i + layout->inner - rest, group = place / layout->width / layout->outer;
        double *channel = &largest[group * layout->width + place % layout->width];
        double most = *channel;
        for (end = end < count ? end : count; i < end; i++) {
            double magnitude = fabs(numbers[i]);
            most = magnitude <= most ? most : magnitude; /* NaN too */
        }
        *channel = most;
    }
}

/* A weight that is stored. False: not a shape its operator has. */
static bool stored_layout(const struct node *node, const struct tensor *weight, struct layout_of *layout)
{
    const int64_t *dims = weight->dims;
    int64_t groups = node_integer(node, "group", 1), after = 1;
    int rank = weight->rank;
    if (rank < 2 || weight->count == 0)
        return false;
    for (int i = 2; i < rank; i++)
        after *= dims[i];
    switch (node->op) {
    case OP_Conv: *layout = (struct layout_of){1, dims[0], dims[1] * after, dims[0]}; return true;
    case OP_ConvTranspose:
        if (groups < 1 || dims[0] % groups)
            return false;
        *layout = (struct layout_of){dims[0] / groups, dims[1], after, groups * dims[1]};
        return true;
    case OP_Gemm:
        if (node_integer(node, "transB", 0))
            *layout = (struct layout_of){1, dims[0], dims[1], dims[0]};
        else
            *layout = (struct layout_of){dims[0], dims[1], 1, dims[1]};
        return rank == 2;
    default: /* MatMul */ *layout = (struct layout_of){dims[0], dims[1], 1, dims[1]}; return rank == 2;
    }
}

/* A weight still to be computed: rows, one an output channel, but of ConvTranspose an input one. */
static bool fused_layout(const struct node *node, const struct tensor *weight, struct layout_of *layout)
{
    int64_t rows = fused_channels(weight), length = affine_row_length(weight->form);
    if (node->op != OP_ConvTranspose) {
        *layout = (struct layout_of){1, rows, length, rows};
        return rows > 0 && length > 0;
    }
    return stored_layout(node, weight, layout);
}

/* Room for numbers, kept from weight to weight: what reads them may land, so it is the arena's. */
static void *room_for(struct arena *arena, struct info_room *room, int64_t count)
{
    if (room->count < count) {
        room->numbers = NEW_ARRAY(arena, double, count);
        room->count = count;
    }
    return room->numbers;
}

static bool read_fused(struct model *model, const struct tensor *weight, const struct layout_of *layout,
                       struct info_rooms *rooms, double *largest)
{
    int64_t rows = fused_channels(weight), length = affine_row_length(weight->form);
    int64_t most = PIECE / length + 1;
    int64_t *channels = room_for(model->arena, &rooms->channels, most);
    double *numbers = room_for(model->arena, &rooms->numbers, most * length);
    bool good = true;
    for (int64_t row = 0; row < rows && good; row += most) {
        int64_t count = rows - row < most ? rows - row : most;
        for (int64_t i = 0; i < count; i++)
            channels[i] = row + i;
        good = !fused_read(model->arena, weight, channels, count, numbers);
        if (good)
            add_numbers(layout, row * length, count * length, numbers, largest);
    }
    return good;
}

static void read_stored(struct model *model, const struct tensor *weight, const struct layout_of *layout,
                        struct info_rooms *rooms, double *largest)
{
    double *numbers = room_for(model->arena, &rooms->numbers, PIECE);
    for (int64_t first = 0; first < weight->count; first += PIECE) {
        int64_t count = weight->count - first < PIECE ? weight->count - first : PIECE;
        tensor_read(weight, first, count, numbers);
        add_numbers(layout, first, count, numbers, largest);
    }
}

bool info_range_of(struct model *model, const struct node *node, struct info_rooms *rooms, struct info_range *range)
{
    const struct tensor *weight;
    struct layout_of layout;
    struct value *value = operator_is(node->op, WEIGHTED) ? node_input(node, 1) : NULL;
    if (!value || constant_of(value, &weight))
        return false;
    bool fused = weight->storage == STORAGE_FUSED;
    if (!fused && !tensor_is_readable(weight))
        return false;
    if (!(fused ? fused_layout(node, weight, &layout) : stored_layout(node, weight, &layout)))
        return false;
    /* A few bytes may state any number of channels of one number repeated. */
    if ((size_t)layout.channels > landing_left(model->arena->landing) / 4 / sizeof(double))
        return false;
    double *largest = room_for(model->arena, &rooms->largest, layout.channels);
    memset(largest, 0, (size_t)layout.channels * sizeof(*largest));
    bool good = true;
    if (fused)
        good = read_fused(model, weight, &layout, rooms, largest);
    else
        read_stored(model, weight, &layout, rooms, largest);
    *range = (struct info_range){.node = node, .channels = layout.channels, .smallest = INFINITY};
    for (int64_t c = 0; good && c < layout.channels; c++) {
        range->smallest = fmin(range->smallest, largest[c]);
        range->largest = fmax(range->largest, largest[c]);
        if (isnan(largest[c]))
            good = false; /* nothing to compare */
    }
    return good;
}
