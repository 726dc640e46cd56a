/* run/source.c: a model that the caller names, opened and closed. */
#include "run/source.h"

#include <stdlib.h>

void source_open(struct source *source, struct model *model, struct arena *arena)
{
    const char *beside = source->path;
    model->arena = arena;
    if (source->path) {
        model->path = source->name ? source->name : strcmp(source->path, "-") == 0 ? "standard input" : source->path;
        if (!model->bytes.data)
            mapping_open(arena->landing, source->path, source->no_map, &model->bytes);
    } else {
        model->path = "model in memory";
        model->bytes = (struct mapping){.data = source->memory, .size = source->size, .descriptor = -1};
        if (source->external_folder)
            beside = arena_format(arena, "%s/.", source->external_folder);
    }
    if (!beside || source->alone)
        return;
    folder_open(arena, beside, &source->folder);
    source->folder.follow_links = source->follow_symlinks;
    source->folder.read_files = source->no_map;
    source->has_folder = true;
    model->folder = &source->folder;
}

void source_close(struct source *source, struct model *model)
{
    free(model->skeleton.bytes);
    model->skeleton.bytes = NULL;
    if (source->path)
        mapping_close(&model->bytes);
    if (source->has_folder)
        folder_close(&source->folder);
    source->has_folder = false;
}
