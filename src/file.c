/* file.c: the only file that talks to the file system. */
#define _GNU_SOURCE /* copy_file_range, O_PATH */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static bool is_dash(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* ---- input ---- */

static void read_all(struct landing *landing, const char *path, int descriptor,
                     struct mapping *mapping)
{
    size_t room = 1 << 20;
    unsigned char *bytes = malloc(room);
    size_t size = 0;
    while (bytes) {
        if (size == room) {
            room *= 2;
            unsigned char *grown = realloc(bytes, room);
            if (!grown) {
                free(bytes);
                bytes = NULL;
                break;
            }
            bytes = grown;
        }
        ssize_t got = read(descriptor, bytes + size, room - size);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int reason = errno;
            free(bytes);
            fail(landing, ONNX_FUSE_IO, "%s: cannot read: %s", path, strerror(reason));
        }
        if (got == 0)
            break;
        size += (size_t)got;
    }
    if (!bytes)
        fail(landing, ONNX_FUSE_OUT_OF_MEMORY, "%s: out of memory after %zu bytes", path, size);
    mapping->owned = bytes;
    mapping->data = bytes;
    mapping->size = size;
}

void mapping_open(struct landing *landing, const char *path, struct mapping *mapping)
{
    *mapping = (struct mapping){.descriptor = -1};
    if (is_dash(path)) {
        read_all(landing, "standard input", STDIN_FILENO, mapping);
        return;
    }
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor < 0)
        fail(landing, ONNX_FUSE_IO, "%s: cannot open: %s", path, strerror(errno));
    mapping->descriptor = descriptor;
    struct stat status;
    if (fstat(descriptor, &status) != 0)
        fail(landing, ONNX_FUSE_IO, "%s: cannot read: %s", path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        fail(landing, ONNX_FUSE_IO, "%s: is a folder, expected an ONNX file", path);
    if (!S_ISREG(status.st_mode)) {
        read_all(landing, path, descriptor, mapping);
        return;
    }
    mapping->size = (size_t)status.st_size;
    if (mapping->size == 0)
        return;
    void *address = mmap(NULL, mapping->size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (address == MAP_FAILED)
        fail(landing, ONNX_FUSE_IO, "%s: cannot map %zu bytes: %s", path, mapping->size,
             strerror(errno));
    mapping->address = address;
    mapping->data = address;
}

void mapping_close(struct mapping *mapping)
{
    if (mapping->address)
        munmap(mapping->address, mapping->size);
    free(mapping->owned);
    if (mapping->descriptor >= 0)
        close(mapping->descriptor);
    *mapping = (struct mapping){.descriptor = -1};
}

void mapping_done(const struct mapping *mapping, const uint8_t *data, size_t size)
{
    if (!mapping->address)
        return;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)data + size) / page * page;
    if (to > from)
        madvise((void *)from, to - from, MADV_DONTNEED);
}

/* ---- external data ---- */

/* The folder part of a path, "." when it has none. */
static char *folder_of(struct arena *arena, const char *path)
{
    const char *slash = is_dash(path) ? NULL : strrchr(path, '/');
    if (!slash)
        return arena_format(arena, ".");
    if (slash == path)
        return arena_format(arena, "/");
    return arena_format(arena, "%.*s", (int)(slash - path), path);
}

void folder_open(struct arena *arena, const char *model, struct folder *folder)
{
    *folder = (struct folder){.path = folder_of(arena, model), .descriptor = -1};
    folder->descriptor = open(folder->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder->descriptor < 0)
        fail(arena->landing, ONNX_FUSE_IO, "%s: cannot open its folder: %s", model,
             strerror(errno));
}

bool folder_is_same(const struct folder *folder, const char *model)
{
    const char *slash = is_dash(model) ? NULL : strrchr(model, '/');
    char path[PATH_MAX];
    size_t length = slash ? (size_t)(slash - model) : 0;
    if (length >= sizeof(path))
        return false;
    memcpy(path, model, length);
    path[length] = 0;
    const char *name = slash ? (length ? path : "/") : ".";
    struct stat a, b;
    return fstat(folder->descriptor, &a) == 0 && stat(name, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

void folder_close(struct folder *folder)
{
    for (struct external_file *file = folder->files; file; file = file->next)
        mapping_close(&file->mapping);
    folder->files = NULL;
    if (folder->descriptor >= 0)
        close(folder->descriptor);
    folder->descriptor = -1;
}

/* Opens one component after another, none through a link, so what is opened is what was checked. */
static int open_below(int folder, const char *location, const char **reason)
{
    int descriptor = folder;
    const char *at = location;
    *reason = NULL;
    for (;;) {
        const char *slash = strchr(at, '/');
        size_t length = slash ? (size_t)(slash - at) : strlen(at);
        char name[NAME_MAX + 1];
        if (length > NAME_MAX)
            *reason = "a name in it is too long";
        else if (length == 2 && at[0] == '.' && at[1] == '.')
            *reason = "it has '..', and data outside the model's folder is never read";
        int next = -1;
        if (!*reason) {
            memcpy(name, at, length);
            name[length] = 0;
            bool last = !slash;
            if (last && length == 0)
                *reason = "it names no file";
            else if (length == 0)
                next = openat(descriptor, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
            else
                next = openat(descriptor, name,
                              last ? O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY
                                   : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
            if (!*reason && next < 0)
                *reason =
                    errno == ELOOP || (errno == ENOTDIR && !last)
                        ? "it leads through a symbolic link or a file, and links are not followed"
                        : strerror(errno);
        }
        if (descriptor != folder)
            close(descriptor);
        if (*reason)
            return -1;
        descriptor = next;
        if (!slash)
            return descriptor;
        at = slash + 1;
    }
}

enum { KEPT_DESCRIPTORS = 128 };

const char *folder_map(struct arena *arena, struct folder *folder, const char *location,
                       struct external_file **result)
{
    for (struct external_file *file = folder->files; file; file = file->next)
        if (strcmp(file->location, location) == 0) {
            *result = file;
            return NULL;
        }
    if (location[0] == '/')
        return "the path is absolute, and data outside the model's folder is never read";
    struct external_file *file = NEW(arena, struct external_file);
    file->location = location;
    file->mapping.descriptor = -1;
    const char *reason;
    int descriptor = open_below(folder->descriptor, location, &reason);
    if (descriptor < 0)
        return reason;
    struct stat status;
    void *address = NULL;
    if (fstat(descriptor, &status) != 0)
        reason = strerror(errno);
    else if (!S_ISREG(status.st_mode))
        reason = "it is not a regular file";
    else if (status.st_size > 0) {
        address = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, descriptor, 0);
        if (address == MAP_FAILED)
            reason = strerror(errno);
    }
    if (reason) {
        close(descriptor);
        return reason;
    }
    /* A mapping needs no descriptor; copies in the kernel do, but a process may not have many. */
    if (folder->kept == KEPT_DESCRIPTORS) {
        close(descriptor);
        descriptor = -1;
    } else {
        folder->kept++;
    }
    file->mapping = (struct mapping){.data = address,
                                     .size = (size_t)status.st_size,
                                     .address = address,
                                     .descriptor = descriptor};
    file->next = folder->files;
    folder->files = file;
    *result = file;
    return NULL;
}

/* ---- output ---- */

char *output_beside(struct arena *arena, const char *path, const char *name)
{
    return arena_format(arena, "%s/%s", folder_of(arena, path), name);
}

bool output_exists(struct arena *arena, const char *path, const char *name)
{
    struct stat status;
    return lstat(output_beside(arena, path, name), &status) == 0;
}

bool output_is_file(const char *path)
{
    struct stat status;
    return !is_dash(path) && (stat(path, &status) != 0 || S_ISREG(status.st_mode));
}

/* Opens a file of a name that nobody has, beside the target: mkstemp would give it permissions that
 * only the process-wide umask could tell how to widen. NULL: errno says why. */
static char *make_temporary(struct arena *arena, const char *target, int *descriptor)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        unsigned long mark = (unsigned long)now.tv_nsec * 1000 + tries;
        char *path = arena_format(arena, "%s.%lx-%lx.tmp", target, (unsigned long)getpid(), mark);
        *descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (*descriptor >= 0)
            return path;
        if (errno != EEXIST)
            return NULL;
    }
    return NULL;
}

void output_open(struct arena *arena, struct output *output, const char *path)
{
    *output = (struct output){.landing = arena->landing, .path = path, .descriptor = -1};
    if (is_dash(path)) {
        output->path = "standard output";
        output->descriptor = STDOUT_FILENO;
        return;
    }
    struct stat status;
    bool exists = stat(path, &status) == 0;
    if (exists && S_ISDIR(status.st_mode))
        fail(output->landing, ONNX_FUSE_IO, "%s: is a folder, expected a file name", path);
    if (exists && !S_ISREG(status.st_mode)) {
        output->descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (output->descriptor < 0)
            fail(output->landing, ONNX_FUSE_IO, "%s: cannot open for writing: %s", path,
                 strerror(errno));
        return;
    }
    char resolved[PATH_MAX];
    output->target = arena_copy(arena, exists && realpath(path, resolved) ? resolved : path);
    output->temporary = make_temporary(arena, output->target, &output->descriptor);
    if (!output->temporary)
        fail(output->landing, ONNX_FUSE_IO, "%s: cannot make a temporary file beside it: %s", path,
             strerror(errno));
    /* A new file has what the umask leaves of 0666; one that is replaced keeps what it had. */
    if (exists && fchmod(output->descriptor, status.st_mode & 07777) != 0)
        fail(output->landing, ONNX_FUSE_IO, "%s: cannot set its permissions: %s", path,
             strerror(errno));
}

static noreturn void write_failed(struct output *output)
{
    fail(output->landing, ONNX_FUSE_IO, "%s: cannot write: %s", output->path, strerror(errno));
}

bool output_is_seekable(const struct output *output)
{
    return output->temporary != NULL;
}

void output_size(struct output *output, uint64_t size)
{
    if (output->temporary && ftruncate(output->descriptor, (off_t)size) != 0)
        write_failed(output);
}

int output_put(struct output *output, uint64_t offset, const void *data, size_t size)
{
    const unsigned char *at = data;
    while (size) {
        size_t some = size < SSIZE_MAX ? size : SSIZE_MAX;
        ssize_t done = output->temporary ? pwrite(output->descriptor, at, some, (off_t)offset)
                                         : write(output->descriptor, at, some);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return errno;
        at += done;
        offset += (uint64_t)done;
        size -= (size_t)done;
    }
    return 0;
}

int output_copy(struct output *output, uint64_t offset, const struct mapping *from,
                const uint8_t *data, size_t size)
{
    if (output->temporary && from->address && from->descriptor >= 0 && size >= 64 * 1024) {
        off_t in = (off_t)(data - from->data), out = (off_t)offset;
        while (size) {
            ssize_t done =
                copy_file_range(from->descriptor, &in, output->descriptor, &out, size, 0);
            if (done < 0 && errno == EINTR)
                continue;
            if (done <= 0)
                break; /* not on this file system: write the rest */
            data += done;
            size -= (size_t)done;
            offset += (uint64_t)done;
        }
    }
    return output_put(output, offset, data, size);
}

void output_commit(struct output *output)
{
    if (!output->temporary) {
        if (output->descriptor != STDOUT_FILENO && close(output->descriptor) != 0) {
            output->descriptor = -1;
            write_failed(output);
        }
        output->descriptor = -1;
        return;
    }
    int descriptor = output->descriptor;
    output->descriptor = -1;
    if (close(descriptor) != 0)
        write_failed(output);
    if (rename(output->temporary, output->target) != 0)
        fail(output->landing, ONNX_FUSE_IO, "%s: cannot rename the finished file: %s", output->path,
             strerror(errno));
    output->temporary = NULL;
}

void output_abandon(struct output *output)
{
    if (output->descriptor >= 0 && output->descriptor != STDOUT_FILENO)
        close(output->descriptor);
    output->descriptor = -1;
    if (output->temporary)
        unlink(output->temporary);
    output->temporary = NULL;
}
