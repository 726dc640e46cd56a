/* io/file.h: what is read: a mapped model, and external data inside one folder. */
#ifndef IO_FILE_H
#define IO_FILE_H

#include "base/arena.h"

/* Tells whether a file is still what it was when it was opened. */
struct file_mark {
    bool is_file; /* false: a pipe, memory; there is nothing to compare */
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

/* Maps a file for reading; "-" and what cannot be mapped (pipes) is read to its end instead, and
 * files too when `read` says so. Lands with IO. */
void mapping_open(struct landing *landing, const char *path, bool read, struct mapping *mapping);
void mapping_close(struct mapping *mapping);
/* A copy of the whole file in the arena, for what is small and is read once. Lands with IO. */
const uint8_t *file_copy(struct arena *arena, const char *path, size_t *size);
/* The pages of a span have been used and will not be again: they need not stay in memory. */
void mapping_done(const struct mapping *mapping, const uint8_t *data, size_t size);
/* Lands with IO when the file is not what it was when it was opened: size and time of modification
 * tell. Bytes that were read in between may be of either. */
void mapping_check(struct landing *landing, const char *path, const struct mapping *mapping);

/* One external data file, mapped once however many tensors lie in it. */
struct external_file {
    const char *location;
    struct mapping mapping;
    uint64_t claimed; /* bytes of all tensors that lie in it */
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
    int kept;          /* descriptors of files that stay open */
    bool follow_links; /* symbolic links to data may lead anywhere */
    bool read_files;   /* data is read, not mapped */
};

/* The folder a model lies in ("-": the current one). A model that is itself a link has its data
 * beside the link. Lands with IO. */
void folder_open(struct arena *arena, const char *model, struct folder *folder);
/* The folder part of a path, "." when it has none. */
char *folder_of(struct arena *arena, const char *path);
/* The same folder, whatever the two are called. */
bool folder_is_same(const struct folder *folder, const char *model);
void folder_close(struct folder *folder);

/* Opens `location` below the folder and maps it, or finds it mapped already. Absolute paths, "..",
 * links in any component (unless they are to be followed), anything but a regular file, and files
 * with several hard links are refused. What was opened is what is checked. Returns NULL, or the
 * reason. */
const char *folder_map(struct arena *arena, struct folder *folder, const char *location, struct external_file **result);
/* mapping_check of every file that was opened. */
void folder_check(struct landing *landing, const struct folder *folder);

#endif
