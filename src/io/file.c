/* io/file.c: what is read: the model, and external data below its folder. */
#define _GNU_SOURCE      /* O_PATH, syscall */
#define _DARWIN_C_SOURCE /* st_mtimespec */

#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif
#if defined(__has_include)
#if __has_include(<linux/openat2.h>)
#include <linux/openat2.h>
#endif
#endif

#include "base/system_error.h"

#ifdef __APPLE__
#define st_mtim st_mtimespec
#endif
#ifndef O_PATH /* then a folder must be readable */
#define O_PATH O_RDONLY
#endif

static bool is_dash(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* A signal may interrupt the opening of a pipe. */
static int open_again(int folder, const char *path, int flags)
{
    int descriptor;
    do
        descriptor = openat(folder, path, flags);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

/* ---- input ---- */

static struct file_mark mark_of(const struct stat *status)
{
    return (struct file_mark){.is_file = S_ISREG(status->st_mode),
                              .device = (uint64_t)status->st_dev,
                              .inode = (uint64_t)status->st_ino,
                              .size = (uint64_t)status->st_size,
                              .seconds = (int64_t)status->st_mtim.tv_sec,
                              .nanoseconds = (int64_t)status->st_mtim.tv_nsec};
}

static bool same_mark(const struct file_mark *a, const struct file_mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size && a->seconds == b->seconds &&
           a->nanoseconds == b->nanoseconds;
}

/* One read, waiting where a pipe that does not block has nothing yet. */
static ssize_t read_some(int descriptor, void *bytes, size_t size)
{
    for (;;) {
        ssize_t got = read(descriptor, bytes, size);
        if (got >= 0 || (errno != EINTR && errno != EAGAIN))
            return got;
        struct pollfd wait = {.fd = descriptor, .events = POLLIN};
        if (errno == EAGAIN && poll(&wait, 1, -1) < 0 && errno != EINTR)
            return -1;
    }
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
        ssize_t got = read_some(descriptor, bytes + size, room - size);
        if (got == 0)
            break;
        if (got < 0)
            reason = errno;
        else
            size += (size_t)got;
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
static int take_file(struct mapping *mapping, int descriptor, const struct stat *status, bool read)
{
    mapping->size = (size_t)status->st_size;
    mapping->mark = mark_of(status);
    if (status->st_size < 0 || (uint64_t)status->st_size > SIZE_MAX / 2)
        return EFBIG;
    if (mapping->size == 0)
        return 0;
    if (read)
        return read_all(descriptor, mapping->size, SIZE_MAX / 2, mapping);
    void *address = mmap(NULL, mapping->size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (address == MAP_FAILED)
        return errno;
    mapping->address = address;
    mapping->data = address;
    return 0;
}

void mapping_open(struct landing *landing, const char *path, bool read, struct mapping *mapping)
{
    *mapping = (struct mapping){.descriptor = -1};
    const char *name = is_dash(path) ? "standard input" : path;
    int descriptor = STDIN_FILENO, reason;
    struct stat status = {0};
    if (!is_dash(path)) {
        descriptor = open_again(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (descriptor < 0)
            fail(landing, ONNX_FUSE_IO, "%s: cannot open: %s", path, system_error(errno));
        mapping->descriptor = descriptor;
        if (fstat(descriptor, &status) != 0)
            fail(landing, ONNX_FUSE_IO, "%s: cannot read: %s", path, system_error(errno));
        if (S_ISDIR(status.st_mode))
            fail(landing, ONNX_FUSE_IO, "%s: is a folder, expected an ONNX file", path);
    }
    if (S_ISREG(status.st_mode))
        reason = take_file(mapping, descriptor, &status, read);
    else
        reason = read_all(descriptor, 0, INT32_MAX, mapping);
    if (reason == ENOMEM)
        fail(landing, ONNX_FUSE_OUT_OF_MEMORY, "%s: out of memory after %zu bytes", name, mapping->size);
    if (reason)
        fail(landing, ONNX_FUSE_IO, "%s: cannot read: %s", name, system_error(reason));
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
    if (!mapping->address)
        return;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t from = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)data + size) / page * page;
    if (to > from)
        madvise((void *)from, to - from, MADV_DONTNEED);
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
    struct stat status;
    if (!mapping->mark.is_file || mapping->descriptor < 0)
        return;
    if (fstat(mapping->descriptor, &status) != 0)
        fail(landing, ONNX_FUSE_IO, "%s: cannot read: %s", path, system_error(errno));
    struct file_mark now = mark_of(&status);
    if (!same_mark(&mapping->mark, &now))
        changed(landing, path, &mapping->mark, &now);
    if (mapping->owned && mapping->size != now.size) /* read, and a moment was between */
        changed(landing, path, &(struct file_mark){.size = mapping->size}, &now);
}

/* ---- external data ---- */

char *folder_of(struct arena *arena, const char *path)
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
    folder->descriptor = open_again(AT_FDCWD, folder->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (folder->descriptor < 0)
        fail(arena->landing, ONNX_FUSE_IO, "%s: cannot open its folder: %s", model, system_error(errno));
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
    return fstat(folder->descriptor, &a) == 0 && stat(name, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
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

static const char is_outside[] = "it has '..', and data outside the model's folder is never read";
static const char is_link[] = "it leads through a symbolic link or a file, and links are not followed; if you trust "
                              "where they lead, use --follow-symlinks (in the library: follow_symlinks)";

/* The names in a location are none that could lead out, links aside. */
static const char *check_location(const char *location)
{
    const char *at = location;
    if (location[0] == '/')
        return "the path is absolute, and data outside the model's folder is never read";
    for (;;) {
        size_t length = strcspn(at, "/");
        if (length > NAME_MAX)
            return "a name in it is too long";
        if (length == 2 && at[0] == '.' && at[1] == '.')
            return is_outside;
        if (!at[length])
            return length == 0 ? "it names no file" : NULL;
        at += length + 1;
    }
}

/* Otherwise open would wait for a writer of a FIFO. */
enum { READ_FLAGS = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

/* Opens one component after another, none through a link, so what is opened is what was checked. */
static int walk(int folder, const char *location, const char **reason)
{
    int descriptor = folder;
    const char *at = location;
    for (;;) {
        size_t length = strcspn(at, "/");
        bool last = !at[length];
        char name[NAME_MAX + 1];
        memcpy(name, at, length);
        name[length] = 0;
        int next = open_again(descriptor, length ? name : ".",
                              last ? READ_FLAGS | O_NOFOLLOW : O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next < 0)
            *reason = errno == ELOOP || (errno == ENOTDIR && !last) ? is_link : system_error(errno);
        if (descriptor != folder)
            close(descriptor);
        if (next < 0 || last)
            return next;
        descriptor = next;
        at += length + 1;
    }
}

/* Opens a location that check_location accepts. -1: *reason is set. */
static int open_below(const struct folder *folder, const char *location, const char **reason)
{
    if (folder->follow_links) {
        int descriptor = open_again(folder->descriptor, location, READ_FLAGS);
        if (descriptor < 0)
            *reason = system_error(errno);
        return descriptor;
    }
#if defined(SYS_openat2) && defined(RESOLVE_BENEATH)
    struct open_how how = {.flags = READ_FLAGS | O_NOFOLLOW,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    for (int tries = 0; tries < 16; tries++) {
        int descriptor = (int)syscall(SYS_openat2, folder->descriptor, location, &how, sizeof(how));
        if (descriptor >= 0)
            return descriptor;
        if (errno == ELOOP || errno == EXDEV || errno == ENOTDIR) {
            *reason = is_link;
            return -1;
        }
        if (errno == ENOENT || errno == EACCES) {
            *reason = system_error(errno);
            return -1;
        }
        if (errno != EINTR && errno != EAGAIN)
            break; /* a kernel or a container that does not have it */
    }
#endif
    return walk(folder->descriptor, location, reason);
}

/* True if the open file is a regular file with a single name. */
static const char *check_opened(const struct stat *status)
{
    if (!S_ISREG(status->st_mode))
        return "it is not a regular file";
    /* Like onnx since 1.21: a second name may belong to a private file elsewhere. */
    if (status->st_nlink > 1)
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
    int descriptor = open_below(folder, location, &reason);
    if (descriptor < 0)
        return reason;
    struct stat status;
    int failed = 0;
    if (fstat(descriptor, &status) != 0)
        failed = errno;
    else if (!(reason = check_opened(&status)))
        failed = take_file(&file->mapping, descriptor, &status, folder->read_files);
    if (failed)
        reason = system_error(failed);
    if (reason) {
        close(descriptor);
        return reason;
    }
    /* A mapping needs no descriptor; copies in the kernel do, but a process may not have many. */
    if (folder->kept == KEPT_DESCRIPTORS)
        close(descriptor);
    else {
        folder->kept++;
        file->mapping.descriptor = descriptor;
    }
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
        mapping_check(landing, path, &file->mapping);
        if (file->mapping.descriptor >= 0)
            continue;
        const char *reason = NULL;
        struct stat status;
        int descriptor = open_below(folder, file->location, &reason);
        bool good = descriptor >= 0 && fstat(descriptor, &status) == 0;
        if (descriptor >= 0 && !good)
            reason = system_error(errno);
        if (descriptor >= 0)
            close(descriptor);
        if (!good)
            fail(landing, ONNX_FUSE_IO, "%s: changed while it was being read: %s", path, reason);
        struct file_mark now = mark_of(&status);
        if (!same_mark(&file->mapping.mark, &now))
            changed(landing, path, &file->mapping.mark, &now);
    }
}
