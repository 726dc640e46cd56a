/* fuse/step.c: what the steps of all operators need. */
#include "fuse/step.h"

#include "affine/laws.h"
#include "base/text.h"

const struct affine *lift_identity(struct model *model)
{
    if (!model->identity)
        model->identity = affine_uniform(model->arena, 1, 0);
    return model->identity;
}

const char *only_first_is_needed(const struct node *node)
{
    for (size_t i = 1; i < node->output_count; i++)
        if (value_is_needed(node->outputs[i]))
            return arena_format(node->graph->model->arena, "its output '%s' is read, too", node->outputs[i]->name);
    return NULL;
}

const int64_t *lift_source_extent(const struct value *source, int axes)
{
    return axes > 0 && source->rank == axes + 2 && !source->disputed ? source->dims + 2 : NULL;
}

void step_print_form(struct text *text, const struct affine *form)
{
    static const char *const kinds[] = {"kernel", "diagonal", "composition", "sum", "stack", "pick"};
    text_print(text, "%s", kinds[form->kind]);
    if (form->outputs)
        text_print(text, " %lld from %lld", (long long)form->outputs, (long long)form->inputs);
    if (form->groups > 1)
        text_print(text, ", groups %lld", (long long)form->groups);
    for (int i = 0; i < form->axes; i++) {
        struct affine_axis axis = affine_axis_of(form, i);
        text_print(text, "%s taps %lld from %lld by %lld, stride %lld", i ? ";" : ",", (long long)axis.taps,
                   (long long)axis.low, (long long)axis.step, (long long)axis.stride);
    }
}
