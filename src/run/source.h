/* run/source.h: a model from the caller, and how it is read. */
#ifndef RUN_SOURCE_H
#define RUN_SOURCE_H

#include "model/model.h"

/* Zeroed except for the caller's fields; source_open sets the folder. */
struct source {
    const char *path; /* "-": standard input; NULL: in memory */
    const char *name; /* its name in messages; NULL: its path */
    const void *memory;
    size_t size;
    const char *external_folder; /* for a model in memory: the folder of its external data, or NULL */
    bool alone;                  /* without the files beside it */
    bool follow_symlinks, no_map;
    bool has_folder;
    struct folder folder;
};

/* Opens the model and the folder of its external data, for model_parse. model: zeroed, with its mapping closed, or
 * open since an earlier attempt. Lands with IO or LIMIT. */
void source_open(struct source *source, struct model *model, struct arena *arena);
/* Closes all files. The model's messages stay valid, but not their pointers into the file. */
void source_close(struct source *source, struct model *model);

#endif
