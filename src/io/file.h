/* io/file.h: input files: a mapped model, and external data inside one folder. */
#ifndef IO_FILE_H
#define IO_FILE_H

#include "base/arena.h"

/* Detects whether a file has changed since it was opened. */
struct file_mark {
    bool is_file; /* false: a pipe or memory, without anything to compare */
    uint64_t device, inode, size;
    int64_t seconds, nanoseconds; /* of the last modification */
};

struct mapping {
    const uint8_t *data;
    size_t size;
    void *address;  /* of mmap, or NULL */
    void *owned;    /* of malloc: standard input, pipes, files that were read */
    int descriptor; /* kept open for copies in the kernel; -1: none */
    struct file_mark mark;
};

/* Maps a file for reading. "-" and pipes are read to their end instead, and files too if `read` is set. Lands with
 * IO. */
void mapping_open(struct landing *landing, const char *path, bool read, struct mapping *mapping);
void mapping_close(struct mapping *mapping);
/* A copy of a small file in the arena. Lands with IO. */
const uint8_t *file_copy(struct arena *arena, const char *path, size_t *size);
/* Releases the pages of a span that will not be used again. */
void mapping_done(const struct mapping *mapping, const uint8_t *data, size_t size);
/* Lands with IO if the size or modification time of the file has changed since it was opened. Bytes read in between
 * may be old or new. */
void mapping_check(struct landing *landing, const char *path, const struct mapping *mapping);

/* One external data file, mapped once for all of its tensors. */
struct external_file {
    const char *location;
    struct mapping mapping;
    uint64_t claimed; /* bytes of all of its tensors */
    struct external_file *next;
};

/* The place of one tensor. */
struct external {
    struct external_file *file;
    const uint8_t *data;
    size_t offset, size;
};

struct folder {
    const char *path;
    int descriptor;
    struct external_file *files;
    int kept;          /* descriptors of files that stay open */
    bool follow_links; /* symbolic links to data may lead anywhere */
    bool read_files;   /* data is read, not mapped */
};

/* The folder a model lies in ("-": the current one). A model that is itself a link has its data
 * beside the link. Lands with IO. */
void folder_open(struct arena *arena, const char *model, struct folder *folder);
/* The folder part of a path, "." when it has none. */
char *folder_of(struct arena *arena, const char *path);
/* True if two paths mean the same folder. */
bool folder_is_same(struct arena *arena, const struct folder *folder, const char *model);
void folder_close(struct folder *folder);

/* Opens `location` below the folder and maps it, or finds it mapped already. Refuses absolute paths, "..", links in
 * any component (unless links are followed), anything but a regular file, and files with several hard links. Checks
 * the descriptor that it then reads. Returns NULL, or the reason. */
const char *folder_map(struct arena *arena, struct folder *folder, const char *location, struct external_file **result);
/* mapping_check of every open file. */
void folder_check(struct landing *landing, const struct folder *folder);

#endif
