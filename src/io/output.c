/* io/output.c: files that appear whole or not at all; streams. */
#include "io/output.h"

#include <errno.h>
#include <stdio.h>

#include "base/system_error.h"
#include "io/place.h"

/* ---- paths ---- */

char *output_beside(struct arena *arena, const char *path, const char *name)
{
    return arena_format(arena, "%s/%s", folder_of(arena, path), name);
}

bool output_exists(struct arena *arena, const char *path, const char *name)
{
    struct looked looked;
    return system_look(output_beside(arena, path, name), false, &looked) != LOOK_NOTHING;
}

/* The descriptor that a path names, -1: none. */
static int descriptor_of(const char *path)
{
    return strcmp(path, "-") == 0 ? 1 : place_stream(path);
}

bool output_is_file(const char *path)
{
    struct looked looked;
    enum look look = LOOK_NOTHING;
    return descriptor_of(path) < 0 && ((look = system_look(path, true, &looked)) == LOOK_NOTHING || look == LOOK_FILE);
}

bool output_is_same(const struct output *a, const struct output *b)
{
    if (a->borrowed && b->borrowed)
        return a->descriptor == b->descriptor;
    return a->name && b->name && path_order(a->name, b->name) == 0 && place_is_one(a->folder, b->folder);
}

bool output_replaces(const struct output *output, const char *path)
{
    struct looked looked;
    return output->name && system_look(path, true, &looked) && output_takes(output, looked.device, looked.inode);
}

bool output_takes(const struct output *output, uint64_t device, uint64_t inode)
{
    struct looked looked;
    return output->name && place_look(output->folder, output->name, &looked) && looked.device == device &&
           looked.inode == inode;
}

/* ---- opening ---- */

static noreturn void failed(const struct output *output, const char *what, int reason)
{
    fail(output->landing, ONNX_FUSE_IO, "%s: %s: %s", output->path, what, system_error(reason));
}

bool output_sweeps(const char *name)
{
    return strstr(name, ".onnx-repvgg-fuse-") != NULL;
}

static void sweep(const struct output *output)
{
    char name[OUTPUT_NAME + 1];
    for (unsigned i = 0; !output->no_sweep && i < TEMPORARIES; i++) {
        temporary_name(output, i, name);
        place_sweep(output->folder, name);
    }
}

static void open_stream(struct output *output, int descriptor)
{
    output->descriptor = descriptor;
    output->borrowed = true;
    if (strcmp(output->path, "-") == 0)
        output->path = "standard output";
    int reason = place_is_open(descriptor);
    if (reason)
        failed(output, "is not open", reason);
}

/* A pipe or a device that has a name. */
static void open_device(struct output *output)
{
    int reason = place_open_device(output->path, &output->descriptor);
    if (reason == EEXIST)
        fail(output->landing, ONNX_FUSE_IO, "%s: became a file while it was being opened: run again", output->path);
    if (reason)
        failed(output, "cannot open for writing", reason);
}

void output_open(struct arena *arena, struct output *output, const char *path)
{
    *output = (struct output){.landing = arena->landing,
                              .path = path,
                              .folder = -1,
                              .descriptor = -1,
                              .fresh = output->fresh,
                              .no_sync = output->no_sync,
                              .no_sweep = output->no_sweep,
                              .family = output->family};
    if (descriptor_of(path) >= 0) {
        open_stream(output, descriptor_of(path));
        return;
    }
    struct looked looked;
    enum look look = system_look(path, true, &looked);
    bool exists = look != LOOK_NOTHING;
    if (!exists && looked.error != ENOENT) /* what is there and cannot be seen must not be replaced */
        failed(output, "cannot find out what it is", looked.error);
    if (look == LOOK_FOLDER)
        fail(output->landing, ONNX_FUSE_IO, "%s: is a folder, expected a file name", path);
    if (exists && look != LOOK_FILE) {
        open_device(output);
        return;
    }
    char *target = arena_copy(arena, path);
    int reason = exists ? place_resolve(arena, path, &target) : 0;
    if (reason)
        failed(output, "cannot find out where it leads", reason);
    if (!exists && system_look(path, false, &looked) == LOOK_LINK)
        fail(output->landing, ONNX_FUSE_IO, "%s: is a symbolic link that leads to no file: remove it, or name the file",
             path);
    const char *what = "cannot make a temporary file beside it";
    output->name = arena_copy(arena, path_name(target));
    output->exists = exists;
    if ((reason = place_open_folder(folder_of(arena, target), &output->folder)) != 0)
        failed(output, "cannot open its folder", reason);
    if (!output->name[0] || strlen(output->name) > OUTPUT_NAME)
        failed(output, what, output->name[0] ? ENAMETOOLONG : target[0] ? EISDIR : ENOENT);
    sweep(output);
    if ((reason = place_make(output, exists ? target : NULL, &what)) != 0)
        failed(output, what, reason);
}

/* ---- writing ---- */

bool output_is_seekable(const struct output *output)
{
    return output->name != NULL;
}

void output_size(struct output *output, uint64_t size, bool at_once)
{
    int reason = output->name ? place_size(output, size, at_once) : 0;
    if (reason)
        failed(output, "cannot write", reason);
}

int output_put(struct output *output, uint64_t offset, const void *data, size_t size)
{
    for (size_t at = 0, done; at < size; at += done) {
        int reason = place_write(output, offset + at, (const char *)data + at, size - at, &done);
        if (reason || !done)
            return reason ? reason : EIO; /* nothing written and no reason: it would go on so */
    }
    place_hint(output, offset, size);
    return 0;
}

int output_copy(struct output *output, uint64_t offset, const struct mapping *from, const uint8_t *data, size_t size)
{
    size_t copied = place_copy(output, offset, from, data, size);
    place_hint(output, offset, copied);
    return output_put(output, offset + copied, data + copied, size - copied);
}

/* ---- the end ---- */

bool output_commit(struct output *output)
{
    if (!output->name) {
        int reason = output->borrowed ? 0 : place_close(output->descriptor);
        output->descriptor = -1;
        if (reason)
            failed(output, "cannot write", reason);
        return true;
    }
    int reason = place_sync(output);
    if (reason)
        failed(output, "cannot write to the disk", reason);
    if ((reason = place_appear(output)) != 0) {
        if (output->fresh && reason == EEXIST)
            return false;
        failed(output, "cannot give the finished file its name", reason);
    }
    output->appeared = output->fresh;
    return true;
}

void output_settle(struct output *output)
{
    int reason = output->name && !output->no_sync ? place_sync_folder(output) : 0;
    if (reason && output->appeared)
        failed(output, "cannot sync its folder", reason);
    if (reason)
        failed(output, "is written, but a power failure may still lose it: cannot sync its folder", reason);
}

void output_keep(struct output *output)
{
    output->appeared = false;
}

void output_abandon(struct output *output)
{
    if (output->temporary[0] || output->appeared)
        place_discard(output);
    if (output->descriptor >= 0 && !output->borrowed)
        place_close(output->descriptor);
    if (output->folder >= 0)
        place_close(output->folder);
    output->name = NULL;
    output->temporary[0] = 0;
    output->appeared = false;
    output->descriptor = output->folder = -1;
}
