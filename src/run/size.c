/* run/size.c: divides the output between the model and its data file. */
#include "run/size.h"

#include "run/place.h"

uint64_t run_external_bytes(const struct model *model)
{
    uint64_t bytes = 0;
    for (size_t g = 0; g < model->graphs.count; g++) {
        const struct graph *graph = model->graphs.items[g];
        for (size_t i = 0; i < graph->initializers.count; i++) {
            const struct value *value = graph->initializers.items[i];
            if (!value->removed && value->tensor && value->tensor->external)
                bytes += value->tensor->external->size;
        }
    }
    return bytes;
}

/* Bytes of new weights that would go into the model. */
static uint64_t new_bytes(const struct model *model)
{
    uint64_t bytes = 0;
    for (size_t g = 0; g < model->graphs.count; g++) {
        const struct graph *graph = model->graphs.items[g];
        for (size_t i = 0; i < graph->new_initializers.count; i++)
            if (!graph->new_initializers.items[i]->removed)
                bytes += tensor_bytes(graph->new_initializers.items[i]->tensor);
    }
    return bytes;
}

const char *run_plan_bytes(struct run *run, struct pieces *pieces, struct pieces *data)
{
    struct emit_placement placement = run_place(run);
    bool automatic = !run->options.external_data || strcmp(run->options.external_data, "auto") == 0;
    bool to_file = run->output_path && output_is_file(run->output_path);
    if (automatic && to_file && !placement.location && new_bytes(&run->model) + run->model.bytes.size > INT32_MAX) {
        placement.location = run_free_name(run);
        placement.move_new = true;
    }
    run->moved = placement.move_external || placement.move_inline;
    emit_model(&run->model, &placement, pieces, data);
    return data->list.count ? placement.location : NULL;
}

uint64_t run_copied_bytes(const struct pieces *pieces)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < pieces->list.count; i++)
        if (pieces->list.items[i].mapping)
            bytes += pieces->list.items[i].size;
    return bytes;
}
