/* run/source.c: the model that a run reads. */
#include "run/source.h"

#include "infer/call.h"
#include "model/load.h"

void run_load(struct run *run)
{
    struct model *model = &run->model;
    model->arena = &run->arena;
    if (run->input) {
        model->path = strcmp(run->input, "-") == 0 ? "standard input" : run->input;
        if (!run->is_second) /* else it is open since the first time */
            mapping_open(&run->landing, run->input, run->options.no_map, &model->bytes);
        folder_open(&run->arena, run->input, &run->folder);
        run->has_folder = true;
    } else {
        model->path = "model in memory";
        model->bytes =
            (struct mapping){.data = run->memory, .size = run->memory_size, .descriptor = -1};
        if (run->options.external_folder) {
            folder_open(&run->arena,
                        arena_format(&run->arena, "%s/.", run->options.external_folder),
                        &run->folder);
            run->has_folder = true;
        }
    }
    model->folder = run->has_folder ? &run->folder : NULL;
    run->folder.follow_links = run->options.follow_symlinks;
    run->folder.read_files = run->options.no_map;
    run_progress(run, "reading", 0);
    model_load(model);
    shape_infer(model);
}

void run_reload(struct model *model)
{
    model->graphs.count = 0;
    model->inner_names = model->node_names = model->sizes = (struct map){0};
    model->is_sized = false;
    graph_build(model);
    shape_infer(model);
}
