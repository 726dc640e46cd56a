/* io/file.c: what is read: the model, and external data below its folder. */
#include "io/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/system_error.h"
#include "io/open.h"

static bool is_dash(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* ---- input ---- */

static bool same_mark(const struct file_mark *a, const struct file_mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size && a->seconds == b->seconds &&
           a->nanoseconds == b->nanoseconds;
}

/* Reads to the end, or until it is more than any message may have. `hint` is what a file has.
 * Returns 0 or errno; ENOMEM with the number of bytes that there was room for in mapping->size. */
static int read_all(int descriptor, size_t hint, size_t most, struct mapping *mapping)
{
    size_t room = hint + 1 > 1 << 20 ? hint + 1 : 1 << 20;
    unsigned char *bytes = malloc(room);
    size_t size = 0;
    int reason = bytes ? 0 : ENOMEM;
    while (!reason && size <= most) {
        if (size == room) {
            unsigned char *grown = room > SIZE_MAX / 2 ? NULL : realloc(bytes, room * 2);
            if (!grown) {
                reason = ENOMEM;
                break;
            }
            bytes = grown;
            room *= 2;
        }
        size_t got;
        reason = open_read(descriptor, bytes + size, room - size, &got);
        if (!reason && got == 0)
            break;
        size += got;
    }
    mapping->size = size;
    if (reason) {
        free(bytes);
        return reason;
    }
    mapping->owned = bytes;
    mapping->data = bytes;
    return 0;
}

/* Maps a regular file, or reads it. Returns 0 or errno. */
static int take_file(struct mapping *mapping, int descriptor, const struct file_mark *mark, bool read)
{
    void *address = NULL;
    mapping->size = (size_t)mark->size;
    mapping->mark = *mark;
    if (mark->size > SIZE_MAX / 2)
        return EFBIG;
    if (mapping->size == 0)
        return 0;
    int reason = read ? ENOTSUP : open_map(descriptor, mapping->size, &address);
    if (reason == ENOTSUP)
        return read_all(descriptor, mapping->size, SIZE_MAX / 2, mapping);
    if (reason)
        return reason;
    mapping->address = address;
    mapping->data = address;
    return 0;
}

static void close_descriptor(int *descriptor)
{
    if (*descriptor >= 0)
        open_close(*descriptor);
    *descriptor = -1;
}

void mapping_open(struct landing *landing, const char *path, bool read, struct mapping *mapping)
{
    *mapping = (struct mapping){.descriptor = -1};
    const char *name = is_dash(path) ? "standard input" : path;
    struct opened opened = {.look = LOOK_OTHER};
    int reason;
    if (!is_dash(path)) {
        if ((reason = open_file(path, &mapping->descriptor)) != 0)
            fail(landing, ONNX_FUSE_IO, "%s: cannot open: %s", path, system_error(reason));
        if ((reason = open_look(mapping->descriptor, &opened)) != 0)
            fail(landing, ONNX_FUSE_IO, "%s: cannot read: %s", path, system_error(reason));
        if (opened.look == LOOK_FOLDER)
            fail(landing, ONNX_FUSE_IO, "%s: is a folder, expected an ONNX file", path);
    }
    if (opened.look == LOOK_FILE)
        reason = take_file(mapping, mapping->descriptor, &opened.mark, read);
    else
        reason = read_all(is_dash(path) ? 0 : mapping->descriptor, 0, INT32_MAX, mapping);
    if (open_blocks)
        close_descriptor(&mapping->descriptor);
    if (reason == ENOMEM)
        fail(landing, ONNX_FUSE_OUT_OF_MEMORY, "%s: out of memory after %zu bytes", name, mapping->size);
    if (reason)
        fail(landing, ONNX_FUSE_IO, "%s: cannot read: %s", name, system_error(reason));
}

void mapping_close(struct mapping *mapping)
{
    if (mapping->address)
        open_unmap(mapping->address, mapping->size);
    free(mapping->owned);
    close_descriptor(&mapping->descriptor);
    *mapping = (struct mapping){.descriptor = -1};
}

const uint8_t *file_copy(struct arena *arena, const char *path, size_t *size)
{
    struct mapping mapping;
    mapping_open(arena->landing, path, true, &mapping);
    uint8_t *bytes = NEW_ARRAY(arena, uint8_t, mapping.size + 1);
    *size = mapping.size;
    if (mapping.size) /* an empty file has no data */
        memcpy(bytes, mapping.data, mapping.size);
    mapping_close(&mapping);
    return bytes;
}

void mapping_done(const struct mapping *mapping, const uint8_t *data, size_t size)
{
    if (mapping->address)
        open_done(data, size);
}

static noreturn void changed(struct landing *landing, const char *path, const struct file_mark *before,
                             const struct file_mark *now)
{
    if (before->size != now->size)
        fail(landing, ONNX_FUSE_IO,
             "%s: changed while it was being read, from %llu bytes to %llu: run again when nothing "
             "writes to it",
             path, (unsigned long long)before->size, (unsigned long long)now->size);
    fail(landing, ONNX_FUSE_IO, "%s: was written to while it was being read: run again when nothing writes to it",
         path);
}

void mapping_check(struct landing *landing, const char *path, const struct mapping *mapping)
{
    struct opened now;
    int descriptor = mapping->descriptor, reason = 0;
    if (!mapping->mark.is_file || (descriptor < 0 && !open_blocks))
        return;
    if (descriptor < 0)
        reason = open_file(path, &descriptor);
    if (!reason)
        reason = open_look(descriptor, &now);
    if (mapping->descriptor < 0)
        close_descriptor(&descriptor);
    if (reason)
        fail(landing, ONNX_FUSE_IO, "%s: cannot read: %s", path, system_error(reason));
    if (!same_mark(&mapping->mark, &now.mark))
        changed(landing, path, &mapping->mark, &now.mark);
    if (mapping->owned && mapping->size != now.mark.size) /* read, and a moment was between */
        changed(landing, path, &(struct file_mark){.size = mapping->size}, &now.mark);
}

/* ---- external data ---- */

char *folder_of(struct arena *arena, const char *path)
{
    const char *name = is_dash(path) ? path : path_name(path);
    size_t length = (size_t)(name - path);
    if (!length)
        return arena_format(arena, ".");
    if (length > path_root(path) && path_separates(path[length - 1]))
        length--;
    return arena_format(arena, "%.*s", (int)length, path);
}

void folder_open(struct arena *arena, const char *model, struct folder *folder)
{
    *folder = (struct folder){.path = folder_of(arena, model), .descriptor = -1};
    int reason = open_folder(folder->path, &folder->descriptor);
    if (reason)
        fail(arena->landing, ONNX_FUSE_IO, "%s: cannot open its folder: %s", model, system_error(reason));
}

bool folder_is_same(struct arena *arena, const struct folder *folder, const char *model)
{
    struct opened opened;
    struct looked looked;
    return open_look(folder->descriptor, &opened) == 0 &&
           system_look(folder_of(arena, model), true, &looked) == LOOK_FOLDER && opened.mark.device == looked.device &&
           opened.mark.inode == looked.inode;
}

void folder_close(struct folder *folder)
{
    for (struct external_file *file = folder->files; file; file = file->next)
        mapping_close(&file->mapping);
    folder->files = NULL;
    close_descriptor(&folder->descriptor);
}

static const char is_outside[] = "it has '..', and data outside the model's folder is never read";

/* The names in a location are none that could lead out, links aside. */
static const char *check_location(const char *location)
{
    const char *at = location;
    if (location[0] == '/')
        return "the path is absolute, and data outside the model's folder is never read";
    for (;;) {
        size_t length = strcspn(at, "/");
        const char *reason = open_refuses(at, length);
        if (reason)
            return reason;
        if (length == 2 && at[0] == '.' && at[1] == '.')
            return is_outside;
        if (!at[length])
            return length == 0 ? "it names no file" : NULL;
        at += length + 1;
    }
}

/* Why an open file is not a regular file with a single name; NULL if it is. */
static const char *check_opened(const struct opened *opened)
{
    if (opened->look != LOOK_FILE)
        return "it is not a regular file";
    /* Like onnx since 1.21: a second name may belong to a private file elsewhere. */
    if (opened->has_names)
        return "it has several hard links, so it may be a file from elsewhere: replace it by a copy";
    return NULL;
}

enum { KEPT_DESCRIPTORS = 128 };

const char *folder_map(struct arena *arena, struct folder *folder, const char *location, struct external_file **result)
{
    for (struct external_file *file = folder->files; file; file = file->next)
        if (strcmp(file->location, location) == 0) {
            *result = file;
            return NULL;
        }
    const char *reason = check_location(location);
    if (reason)
        return reason;
    struct external_file *file = NEW(arena, struct external_file);
    file->location = location;
    file->mapping.descriptor = -1;
    int descriptor = open_below(folder->descriptor, location, folder->follow_links, &reason);
    if (descriptor < 0)
        return reason;
    struct opened opened;
    int failed = open_look(descriptor, &opened);
    if (!failed && !(reason = check_opened(&opened)))
        failed = take_file(&file->mapping, descriptor, &opened.mark, folder->read_files);
    if (failed)
        reason = system_error(failed);
    /* A mapping needs no descriptor; copies in the kernel do, but a process may not have many. */
    if (reason || open_blocks || folder->kept == KEPT_DESCRIPTORS)
        open_close(descriptor);
    else {
        folder->kept++;
        file->mapping.descriptor = descriptor;
    }
    if (reason)
        return reason;
    file->next = folder->files;
    folder->files = file;
    *result = file;
    return NULL;
}

void folder_check(struct landing *landing, const struct folder *folder)
{
    for (const struct external_file *file = folder->files; file; file = file->next) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", folder->path, file->location);
        if (file->mapping.descriptor >= 0) {
            mapping_check(landing, path, &file->mapping);
            continue;
        }
        const char *reason = NULL;
        struct opened now = {.look = LOOK_OTHER};
        int descriptor = open_below(folder->descriptor, file->location, folder->follow_links, &reason);
        int failed = descriptor >= 0 ? open_look(descriptor, &now) : 0;
        if (failed)
            reason = system_error(failed);
        close_descriptor(&descriptor);
        if (reason)
            fail(landing, ONNX_FUSE_IO, "%s: changed while it was being read: %s", path, reason);
        if (!same_mark(&file->mapping.mark, &now.mark) || file->mapping.size != now.mark.size)
            changed(landing, path, &file->mapping.mark, &now.mark);
    }
}
