/* run/source.h: a model that the caller names, and how it is read. */
#ifndef RUN_SOURCE_H
#define RUN_SOURCE_H

#include "model/model.h"

/* Zeroed but for what the caller says; source_open fills in the folder. */
struct source {
    const char *path; /* "-": standard input; NULL: in memory */
    const char *name; /* what messages call it; NULL: by its path */
    const void *memory;
    size_t size;
    const char *external_folder; /* of a model in memory: where external data lies, or NULL */
    bool alone;                  /* without the files beside it */
    bool follow_symlinks, no_map;
    bool has_folder;
    struct folder folder;
};

/* Opens the model and the folder of its external data: what model_parse needs. model: zeroed, its
 * mapping closed, or open since an earlier try. Lands with IO or LIMIT. */
void source_open(struct source *source, struct model *model, struct arena *arena);
/* Closes what is open. The model's messages stay, what they point to in the file goes. */
void source_close(struct source *source, struct model *model);

#endif
