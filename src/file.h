/* file.h: mapped input, external data inside one folder, output that appears whole or not at all. */
#ifndef FILE_H
#define FILE_H

#include "base.h"

struct mapping {
    const uint8_t *data;
    size_t size;
    void *address;  /* of mmap, or NULL */
    void *owned;    /* of malloc: standard input, pipes */
    int descriptor; /* kept open for copies in the kernel; -1: none */
};

/* Maps a file for reading; "-" and what cannot be mapped (pipes) is read to its end instead.
 * Lands with IO. */
void mapping_open(struct landing *landing, const char *path, struct mapping *mapping);
void mapping_close(struct mapping *mapping);
/* The pages of a span have been used and will not be again: they need not stay in memory. */
void mapping_done(const struct mapping *mapping, const uint8_t *data, size_t size);

/* One external data file, mapped once however many tensors lie in it. */
struct external_file {
    const char *location;
    struct mapping mapping;
    struct external_file *next;
};

/* Where one tensor lies. */
struct external {
    struct external_file *file;
    const uint8_t *data;
    size_t offset, size;
};

struct folder {
    const char *path;
    int descriptor;
    struct external_file *files;
    int kept; /* descriptors of files that stay open */
};

/* The folder a model lies in ("-": the current one). Lands with IO. */
void folder_open(struct arena *arena, const char *model, struct folder *folder);
/* The same folder, whatever the two are called. */
bool folder_is_same(const struct folder *folder, const char *model);
void folder_close(struct folder *folder);

/* Opens `location` below the folder and maps it, or finds it mapped already. Absolute paths, "..",
 * links in any component, and anything but a regular file are refused. Returns NULL, or the reason. */
const char *folder_map(struct arena *arena, struct folder *folder, const char *location,
                       struct external_file **file);

/* An output that is being written. Nothing at `path` changes before output_commit. */
struct output {
    struct landing *landing;
    const char *path;
    char *target;    /* path with links resolved: what rename replaces */
    char *temporary; /* in the folder of target; NULL when written in place ("-", pipes, devices) */
    int descriptor;
};

/* The path of a file `name` in the folder of `path`, and whether there is anything of that name. */
char *output_beside(struct arena *arena, const char *path, const char *name);
bool output_exists(struct arena *arena, const char *path, const char *name);
/* False for "-", pipes and devices: there is no folder to put anything beside them. */
bool output_is_file(const char *path);

/* Opens an output. Lands with IO. */
void output_open(struct arena *arena, struct output *output, const char *path);
/* Gives the file its size, so that it can be written in any order. Lands with IO. */
void output_size(struct output *output, uint64_t size);
/* True when output_put heeds its offset. If not, everything must come in order. */
bool output_is_seekable(const struct output *output);
/* Writes at an offset. Threads may call it side by side. Returns 0 or errno. */
int output_put(struct output *output, uint64_t offset, const void *data, size_t size);
/* The same for a span of a mapped file, copied in the kernel where it can be. */
int output_copy(struct output *output, uint64_t offset, const struct mapping *from,
                const uint8_t *data, size_t size);
/* Renames the finished file over the path. Lands with IO. */
void output_commit(struct output *output);
/* Removes the temporary file. Safe to call at any time, also twice. */
void output_abandon(struct output *output);

#endif
