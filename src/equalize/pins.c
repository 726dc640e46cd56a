/* equalize/pins.c: channels that keep their range, each with its reason. */
#include "equalize/pins.h"

#include <math.h>

#include "equalize/ranges.h"
#include "infer/constant.h"

#define DEAD 0x1p-12

static const char no_statistics[] = "no statistics: no BatchNormalization describes its values, and none were given";

static void pin_unknown(struct equalization *e, struct seam *seam)
{
    for (int64_t c = 0; c < seam->input->count; c++) {
        struct channel *class = class_of(&e->classes, seam->input, c);
        struct moments x = channel_of(e, seam->input, c)->moments;
        if (!moments_known(x))
            class_pin(&e->classes, class, seam->node, no_statistics);
        else if (!(moments_second(x) > 0) || !(moments_range(x) > 0))
            class_pin(&e->classes, class, seam->node, "its statistics say that it hardly varies");
        else if (!(seam->weight.norm[c] > 0))
            class_pin(&e->classes, class, seam->node, "all weights that read it are 0");
    }
}

/* A row that hardly changes the bias, or hardly gives anything: quantisation does not determine its exponent.
 * Compares the two, because they scale equally. */
static void pin_dead(struct equalization *e, struct seam *seam)
{
    const double *rows = row_ranges(e, seam), *read = moments_read(e, seam, 0);
    int64_t outputs = weight_group_outputs(&seam->weight);
    for (int64_t o = 0; o < seam->weight.outputs; o++) {
        double moves = rows[o] * sqrt(read[o / outputs]);
        double made = range_of_channel(e, seam->output, o);
        struct channel *class = class_of(&e->classes, seam->output, o);
        if (!(moves > made * DEAD) && !isnan(made))
            class_pin(&e->classes, class, seam->node, "its weights are almost 0 beside its bias");
        else if (made < moves * DEAD)
            class_pin(&e->classes, class, seam->node, "its statistics say that it hardly varies");
    }
}

/* Pins channels without statistics, and dead channels. */
void pin_channels(struct equalization *e, struct group *group)
{
    for (size_t i = 0; i < group->behind.count; i++)
        pin_unknown(e, group->behind.items[i]);
    for (size_t i = 0; i < group->before.count; i++)
        pin_dead(e, group->before.items[i]);
}

/* ---- exactness ---- */

static const char not_exact[] = "a number would become subnormal, or too large for its type";

/* A weight that would not be exact: true, and the classes of the first number. */
static bool pin_weight(struct equalization *e, struct seam *seam)
{
    int64_t output, input;
    if ((!is_scaled(e, seam->input) && !is_scaled(e, seam->output)) ||
        weight_stays_exact(&seam->weight, exponents_of(e, seam->output, seam->weight.outputs, -1),
                           exponents_of(e, seam->input, seam->weight.inputs, 1), &output, &input))
        return false;
    if (seam->output)
        class_pin(&e->classes, class_of(&e->classes, seam->output, output), seam->node, not_exact);
    if (seam->input)
        class_pin(&e->classes, class_of(&e->classes, seam->input, input), seam->node, not_exact);
    return true;
}

/* A constant: true, and all classes of it that would not be. */
static bool pin_shift(struct equalization *e, const struct shift *shift)
{
    struct value *value = shift->node->inputs[shift->index];
    const struct tensor *tensor;
    bool any = false;
    if (!is_scaled(e, shift->channels) || constant_of(value, &tensor))
        return false;
    const double *numbers = constant_numbers(value, tensor);
    int64_t inner = 1, channels = shift->channels->count;
    for (int k = 0; k < shift->behind && k < tensor->rank; k++)
        inner *= tensor->dims[tensor->rank - 1 - k];
    int axis = tensor->rank - 1 - shift->behind;
    bool broadcasts = axis < 0 || tensor->dims[axis] == 1;
    for (int64_t k = 0; k < tensor->count; k++) {
        int64_t first = broadcasts ? 0 : k / inner % channels;
        int64_t end = broadcasts ? channels : first + 1;
        for (int64_t c = first; c < end; c++) {
            struct channel *class = class_of(&e->classes, shift->channels, c);
            if (scales_exactly(tensor->type, numbers[k], -class->exponent))
                continue;
            class_pin(&e->classes, class, shift->node, not_exact);
            any = true;
        }
    }
    return any;
}

bool pin_inexact(struct equalization *e)
{
    bool any = false;
    for (size_t i = 0; i < e->classes.seams.count; i++)
        any = pin_weight(e, &e->classes.seams.items[i]) || any;
    for (size_t i = 0; i < e->classes.shifts.count; i++)
        any = pin_shift(e, &e->classes.shifts.items[i]) || any;
    return any;
}
