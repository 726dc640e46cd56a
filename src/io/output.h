/* io/output.h: output files, which appear whole or not at all.
 *
 * A file is written without a name if the system allows it (O_TMPFILE), otherwise as OUT.onnx-repvgg-fuse-N.tmp in
 * the same folder. Its process holds a lock on it, so the next process that writes OUT can distinguish a file in
 * progress from one that a killed process left, and removes the latter. */
#ifndef IO_OUTPUT_H
#define IO_OUTPUT_H

#include "io/file.h"

enum { OUTPUT_NAME = 255 }; /* bytes of a name in a folder, at most */

/* An output that is being written. Nothing at `path` changes before output_commit. */
struct output {
    struct landing *landing;
    const char *path;                /* as the caller gave it */
    char *name;                      /* in `folder`, links resolved: what the file becomes; NULL: a stream */
    char temporary[OUTPUT_NAME + 1]; /* the name it has in `folder` until then; "": none */
    int folder;
    int descriptor;
    bool borrowed; /* a stream that was open before: not closed */
    bool fresh;    /* never replaces a file */
    bool exists;   /* there was a file at `name` when it was opened */
    bool appeared; /* fresh, committed, not yet kept */
    bool no_sync;
    bool no_sweep;      /* an input file has the name of a temporary one: remove none */
    const char *family; /* temporary files are named after it instead of the output; may be NULL */
};

/* The path of a file `name` in the folder of `path`, and whether there is anything of that name. */
char *output_beside(struct arena *arena, const char *path, const char *name);
bool output_exists(struct arena *arena, const char *path, const char *name);
/* False for "-", /dev/stdout and similar, pipes and devices, which have no folder for other files. */
bool output_is_file(const char *path);

/* True if both are the same file (one name in one folder), or the same stream. */
bool output_is_same(const struct output *a, const struct output *b);
/* True if it will replace the file at `path`. */
bool output_replaces(const struct output *output, const char *path);
/* The same for a file given by device and inode. */
bool output_takes(const struct output *output, uint64_t device, uint64_t inode);

/* True for names that output_open may mistake for files that killed runs left. */
bool output_sweeps(const char *name);
/* Opens an output; *output must be zero but for no_sync, no_sweep, fresh and family. A link is followed to the file
 * it leads to; a link to nothing is refused. Removes temporary files of this output whose makers
 * are gone. Lands with IO. */
void output_open(struct arena *arena, struct output *output, const char *path);
/* Sets the size of the file, so that it can be written in any order. `at_once`: also allocates its blocks, which is
 * a waste if most of them will be shared with the file that they are copied from. Lands with IO. */
void output_size(struct output *output, uint64_t size, bool at_once);
/* True if output_put uses its offset. If not, everything must be written in order. */
bool output_is_seekable(const struct output *output);
/* Writes at an offset. Threads may call it in parallel. Returns 0 or errno. */
int output_put(struct output *output, uint64_t offset, const void *data, size_t size);
/* The same for a span of a mapped file, copied in the kernel if possible. */
int output_copy(struct output *output, uint64_t offset, const struct mapping *from, const uint8_t *data, size_t size);
/* Syncs the file and gives it its name. False: it is fresh, and another file has the name now. Lands with IO; then
 * nothing has changed at the path. */
bool output_commit(struct output *output);
/* Syncs the folder. Lands with IO; the file is whole and in its place all the same, unless it is
 * fresh and not kept. */
void output_settle(struct output *output);
/* Makes a committed fresh output stay, whatever happens next. */
void output_keep(struct output *output);
/* Removes an unfinished or unkept output. Safe to call at any time, also twice. */
void output_abandon(struct output *output);

#endif
