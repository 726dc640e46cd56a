/* io/open.h: what file.c asks of the system: files and folders that are opened for reading.
 *
 * Functions that return int return 0 or errno. */
#ifndef IO_OPEN_H
#define IO_OPEN_H

#include "base/system.h"
#include "io/file.h"

struct opened {
    enum look look;
    struct file_mark mark;
    bool has_names; /* more than one: hard links */
};

int open_file(const char *path, int *descriptor);
int open_folder(const char *path, int *descriptor);
int open_look(int descriptor, struct opened *opened);
void open_close(int descriptor);

/* Why a name in the location of external data is none that is looked for below a folder; NULL: it may be. */
const char *open_refuses(const char *name, size_t length);
/* Opens a location whose names are not refused, none of them "..". -1: *reason says why. */
int open_below(int folder, const char *location, bool follow_links, const char **reason);

/* One read. *got is 0 at the end only. */
int open_read(int descriptor, void *bytes, size_t size, size_t *got);
/* ENOTSUP: files are read here. */
int open_map(int descriptor, size_t size, void **address);
void open_unmap(void *address, size_t size);
/* Pages inside the span need not stay in memory. */
void open_done(const uint8_t *data, size_t size);
/* A file that is open cannot be replaced: none stays so. */
extern const bool open_blocks;

#endif
