/* equalize/classes.c: the union-find over (value, channel). */
#include "equalize/classes.h"

struct channels *value_channels(const struct value *value)
{
    struct channels **kept = memo_find(&value->graph->model->scaled, sizeof(*kept), value->index);
    return kept ? *kept : NULL;
}

void value_channels_set(const struct value *value, struct channels *channels)
{
    struct model *model = value->graph->model;
    struct channels **kept = memo_item(model->arena, &model->scaled, sizeof(*kept), value->index);
    *kept = channels;
}

static int64_t class_root(struct classes *classes, int64_t index)
{
    struct channel *all = classes->channels.items;
    while (all[index].parent != index) {
        all[index].parent = all[all[index].parent].parent;
        index = all[index].parent;
    }
    return index;
}

struct channel *class_of(struct classes *classes, const struct channels *channels, int64_t index)
{
    return &classes->channels.items[class_root(classes, channels->first + index)];
}

int class_exponent(struct classes *classes, const struct channels *channels, int64_t index)
{
    return channels ? class_of(classes, channels, index)->exponent : 0;
}

struct channels *group_of(struct channels *channels)
{
    while (channels->group != channels)
        channels = channels->group = channels->group->group;
    return channels;
}

void class_pin(struct classes *classes, struct channel *channel, const struct node *node, const char *reason)
{
    if (channel->pin)
        return;
    struct pin *pin = NEW(classes->arena, struct pin);
    *pin = (struct pin){node, reason};
    channel->pin = pin;
}

void classes_pin(struct classes *classes, const struct channels *channels, const struct node *node, const char *reason)
{
    for (int64_t c = 0; channels && c < channels->count; c++)
        class_pin(classes, class_of(classes, channels, c), node, reason);
}

bool classes_pinned(struct classes *classes, const struct channels *channels)
{
    for (int64_t c = 0; channels && c < channels->count; c++)
        if (!class_of(classes, channels, c)->pin)
            return false;
    return true;
}

/* The channel with the smaller index becomes the root, so that the result is deterministic. */
void classes_tie(struct classes *classes, struct channels *a, int64_t i, struct channels *b, int64_t j)
{
    int64_t x = class_root(classes, a->first + i), y = class_root(classes, b->first + j);
    int64_t low = x < y ? x : y, high = x < y ? y : x;
    struct channel *all = classes->channels.items;
    struct channels *one = group_of(a), *other = group_of(b);
    all[high].parent = low;
    if (!all[low].pin)
        all[low].pin = all[high].pin;
    if (one->first < other->first)
        other->group = one;
    else
        one->group = other;
}

/* Who sees the value besides the ops of its graph. */
static const char *seen_outside(const struct value *value)
{
    if (value->is_output)
        return "it is a graph output";
    if (value->is_annotated)
        return "it carries a quantization annotation";
    for (const struct use *use = value->uses; use; use = use->next)
        if (use_is_live(use) && use->inner->graph != value->graph)
            return "a body captures it";
    return NULL;
}

/* Shapes are what a file states: channels are bounded by its size. */
static bool is_held(const struct classes *classes, int64_t count)
{
    int64_t most = BUDGET_EQUALIZED_CHANNELS + (int64_t)(classes->arena->landing->input / 16);
    return count <= most - (int64_t)classes->channels.count;
}

struct channels *classes_give(struct classes *classes, struct value *value, int axis)
{
    if (!value || value->graph != classes->graph || value->rank <= axis || axis < 0 || value->dims[axis] < 1 ||
        !type_is_float(value->type))
        return NULL;
    classes->is_full = classes->is_full || !is_held(classes, value->dims[axis]);
    if (classes->is_full)
        return NULL;
    struct channels *channels = NEW(classes->arena, struct channels);
    *channels = (struct channels){.value = value,
                                  .axis = axis,
                                  .first = (int64_t)classes->channels.count,
                                  .count = value->dims[axis],
                                  .group = channels};
    for (int64_t c = 0; c < channels->count; c++) {
        struct channel channel = {.parent = channels->first + c, .moments = moments_unknown};
        LIST_PUSH(classes->arena, &classes->channels, channel);
    }
    LIST_PUSH(classes->arena, &classes->values, channels);
    value_channels_set(value, channels);
    const char *reason = seen_outside(value);
    if (reason)
        classes_pin(classes, channels, NULL, reason);
    return channels;
}
