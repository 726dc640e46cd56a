/* io/place.h: what output.c asks of the system: a folder, a temporary file in it, and the name that this file gets.
 *
 * Functions that return int return 0 or errno. */
#ifndef IO_PLACE_H
#define IO_PLACE_H

#include <stdio.h>

#include "base/system.h"
#include "io/output.h"

/* Names that are tried for a temporary file, and looked through for what a killed run has left. As many runs can write
 * to one OUT at once where files need a name from the start. */
enum { TEMPORARIES = 8 };
enum { MAKER = 32 };
#ifdef __EMSCRIPTEN__ /* node has no locks, so a name has its process in it: web/library.js */
void temporary_maker(char maker[MAKER]);
#else
static inline void temporary_maker(char maker[MAKER])
{
    maker[0] = 0;
}
#endif
static inline void temporary_name(const struct output *output, unsigned number, char name[OUTPUT_NAME + 1])
{
    char maker[MAKER];
    temporary_maker(maker);
    snprintf(name, OUTPUT_NAME + 1, "%.200s.onnx-repvgg-fuse-%s%u.tmp", output->family ? output->family : output->name,
             maker, number);
}

/* Where what is at a path lies, links resolved, in the arena. */
int place_resolve(struct arena *arena, const char *path, char **resolved);
int place_open_folder(const char *path, int *folder);
bool place_is_one(int folder, int other);
/* What a name in a folder leads to. */
enum look place_look(int folder, const char *name, struct looked *looked);

/* The descriptor that a path names, -1: none. Opened anew, a file behind it would be replaced from under whoever is
 * writing to it, and a socket could not be opened at all. */
int place_stream(const char *path);
/* A pipe or a device that has a name. EEXIST: it is a file by now. */
int place_open_device(const char *path, int *descriptor);
int place_is_open(int descriptor);
/* 0, or what the close tells of earlier writes. */
int place_close(int descriptor);

/* Removes the temporary file of this name if nobody is writing to it. */
void place_sweep(int folder, const char *name);
/* Makes the temporary file. Its name, if it has one, goes to output->temporary. Where it will take the place of a file,
 * `replaced`, it has that one's permissions before it has a byte. *what says what failed. */
int place_make(struct output *output, const char *replaced, const char **what);
/* Removes the file that was made, under the name that it has by now. */
void place_discard(const struct output *output);

/* `at_once`: its blocks are set aside. */
int place_size(const struct output *output, uint64_t size, bool at_once);
/* One write, at an offset where the output has a name. */
int place_write(const struct output *output, uint64_t offset, const void *data, size_t size, size_t *done);
/* How much of a span was copied in the kernel. */
size_t place_copy(const struct output *output, uint64_t offset, const struct mapping *from, const uint8_t *data,
                  size_t size);
/* A span that was written may go to the disk. */
void place_hint(const struct output *output, uint64_t offset, size_t size);

/* To the disk, and not only to its cache, unless output->no_sync; tells what went wrong with earlier writes. */
int place_sync(const struct output *output);
int place_sync_folder(const struct output *output);
/* The temporary file gets its name. EEXIST: it is fresh, and there is one. */
int place_appear(struct output *output);

#endif
