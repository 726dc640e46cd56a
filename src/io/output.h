/* io/output.h: what is written: a file that appears whole or not at all.
 *
 * A file is written without a name where the system can do that (O_TMPFILE), else under the name
 * OUT.onnx-repvgg-fuse-N.tmp beside its place. Its maker holds a lock on it, so whoever writes to
 * OUT next can tell a file that is being written from one whose maker was killed, and removes the
 * latter. */
#ifndef IO_OUTPUT_H
#define IO_OUTPUT_H

#include "io/file.h"

enum { OUTPUT_NAME = 255 }; /* bytes of a name in a folder, at most */

/* An output that is being written. Nothing at `path` changes before output_commit. */
struct output {
    struct landing *landing;
    const char *path;                /* as the caller calls it */
    char *name;                      /* in `folder`, links resolved: what the file becomes; NULL: a stream */
    char temporary[OUTPUT_NAME + 1]; /* the name it has in `folder` until then; "": none */
    int folder;
    int descriptor;
    bool borrowed; /* a stream that was open before: not closed */
    bool fresh;    /* never takes the place of a file */
    bool exists;   /* there was a file at `name` when it was opened */
    bool appeared; /* fresh, committed, not yet kept */
    bool no_sync;
    bool no_sweep;      /* a file that is read is called like a temporary one: none is removed */
    const char *family; /* temporary files are named after it, not after the output; NULL: not so */
};

/* The path of a file `name` in the folder of `path`, and whether there is anything of that name. */
char *output_beside(struct arena *arena, const char *path, const char *name);
bool output_exists(struct arena *arena, const char *path, const char *name);
/* False for "-", /dev/stdout and the like, pipes and devices: there is no folder to put anything
 * beside them. */
bool output_is_file(const char *path);

/* Both are files, of one name in one folder, or both are one stream. */
bool output_is_same(const struct output *a, const struct output *b);
/* It is to take the place of the file at `path`. */
bool output_replaces(const struct output *output, const char *path);
/* The same of a file that is known by its numbers. */
bool output_takes(const struct output *output, uint64_t device, uint64_t inode);

/* True for names that output_open may take for those of files that killed runs have left. */
bool output_sweeps(const char *name);
/* Opens an output; *output must be zero but for no_sync, no_sweep, fresh and family. A link is followed to the file
 * it leads to; a link to nothing is refused. Removes temporary files of this output whose makers
 * are gone. Lands with IO. */
void output_open(struct arena *arena, struct output *output, const char *path);
/* Gives the file its size, so that it can be written in any order. `at_once`: its room on the disk
 * too, which is waste where most of it will share blocks with the file it is copied from. Lands with
 * IO. */
void output_size(struct output *output, uint64_t size, bool at_once);
/* True when output_put heeds its offset. If not, everything must come in order. */
bool output_is_seekable(const struct output *output);
/* Writes at an offset. Threads may call it side by side. Returns 0 or errno. */
int output_put(struct output *output, uint64_t offset, const void *data, size_t size);
/* The same for a span of a mapped file, copied in the kernel where it can be. */
int output_copy(struct output *output, uint64_t offset, const struct mapping *from, const uint8_t *data, size_t size);
/* Syncs the file and gives it its name. False: it is fresh, and meanwhile another file has the
 * name. Lands with IO; then nothing has changed at the path. */
bool output_commit(struct output *output);
/* Syncs the folder. Lands with IO; the file is whole and in its place all the same, unless it is
 * fresh and not kept. */
void output_settle(struct output *output);
/* A fresh output that was committed stays, whatever happens now. */
void output_keep(struct output *output);
/* Removes what is not finished or not kept. Safe to call at any time, also twice. */
void output_abandon(struct output *output);

#endif
