/* io/output.c: files that appear whole or not at all; streams. */
#define _GNU_SOURCE      /* O_TMPFILE, syncfs, syscall */
#define _DARWIN_C_SOURCE /* flock */

#include "io/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#include <sys/xattr.h>
#endif

#include "base/system_error.h"

#ifndef O_PATH /* then a folder must be readable */
#define O_PATH O_RDONLY
#endif

/* Repeats a call that a signal interrupts. */
#define AGAIN(result, call)                                                                                            \
    do                                                                                                                 \
        (result) = (call);                                                                                             \
    while ((result) < 0 && errno == EINTR)

/* ---- paths ---- */

char *output_beside(struct arena *arena, const char *path, const char *name)
{
    return arena_format(arena, "%s/%s", folder_of(arena, path), name);
}

bool output_exists(struct arena *arena, const char *path, const char *name)
{
    struct stat status;
    return lstat(output_beside(arena, path, name), &status) == 0;
}

/* The descriptor that a path names, -1: none. Opening the path instead would replace a file behind /dev/stdout while
 * others write to it, and would fail for a socket. */
static int descriptor_of(const char *path)
{
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};
    if (strcmp(path, "-") == 0 || strcmp(path, "/dev/stdout") == 0)
        return STDOUT_FILENO;
    if (strcmp(path, "/dev/stderr") == 0)
        return STDERR_FILENO;
    for (size_t i = 0; i < COUNT_OF(folders); i++) {
        size_t length = strlen(folders[i]);
        const char *number = path + length;
        if (strncmp(path, folders[i], length) == 0 && number[0] && strlen(number) < 8 &&
            strspn(number, "0123456789") == strlen(number))
            return atoi(number); /* NOLINT(cert-err34-c): digits, and few of them */
    }
    return -1;
}

bool output_is_file(const char *path)
{
    struct stat status;
    return descriptor_of(path) < 0 && (stat(path, &status) != 0 || S_ISREG(status.st_mode));
}

static bool is_one(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool output_is_same(const struct output *a, const struct output *b)
{
    struct stat x, y;
    if (a->borrowed && b->borrowed)
        return a->descriptor == b->descriptor;
    return a->name && b->name && strcmp(a->name, b->name) == 0 && fstat(a->folder, &x) == 0 &&
           fstat(b->folder, &y) == 0 && is_one(&x, &y);
}

bool output_replaces(const struct output *output, const char *path)
{
    struct stat x, y;
    return output->name && fstatat(output->folder, output->name, &x, 0) == 0 && stat(path, &y) == 0 && is_one(&x, &y);
}

bool output_takes(const struct output *output, uint64_t device, uint64_t inode)
{
    struct stat status;
    return output->name && fstatat(output->folder, output->name, &status, 0) == 0 &&
           (uint64_t)status.st_dev == device && (uint64_t)status.st_ino == inode;
}

/* ---- temporary files ---- */

/* Names that are tried, and looked through for what a killed run has left. As many runs can write
 * to one OUT at once where files need a name from the start. */
enum { TEMPORARIES = 8 };

static void temporary_name(const struct output *output, unsigned number, char name[OUTPUT_NAME + 1])
{
    snprintf(name, OUTPUT_NAME + 1, "%.200s.onnx-repvgg-fuse-%u.tmp", output->family ? output->family : output->name,
             number);
}

/* Removes the file with this name if it is not locked. */
static void sweep_one(const struct output *output, const char *name)
{
    struct stat opened, named;
    int descriptor;
    AGAIN(descriptor, openat(output->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (descriptor < 0)
        return;
    if (fstat(descriptor, &opened) == 0 && S_ISREG(opened.st_mode) && flock(descriptor, LOCK_EX | LOCK_NB) == 0 &&
        fstatat(output->folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && named.st_dev == opened.st_dev &&
        named.st_ino == opened.st_ino)
        unlinkat(output->folder, name, 0);
    close(descriptor);
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
        sweep_one(output, name);
    }
}

/* Whether linkat can give this file a name: the way there leads through /proc. */
static bool can_be_named(int descriptor, char path[64])
{
    struct stat own, seen;
    snprintf(path, 64, "/proc/self/fd/%d", descriptor);
    return fstat(descriptor, &own) == 0 && stat(path, &seen) == 0 && own.st_dev == seen.st_dev &&
           own.st_ino == seen.st_ino;
}

/* A file without a name: whatever ends the run, nothing stays. -1: not here. */
static int open_nameless(const struct output *output, mode_t mode)
{
#ifdef O_TMPFILE
    char path[64];
    int descriptor;
    AGAIN(descriptor, openat(output->folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode));
    if (descriptor < 0)
        return -1;
    if (can_be_named(descriptor, path)) {
        flock(descriptor, LOCK_EX | LOCK_NB);
        return descriptor;
    }
    close(descriptor);
#else
    (void)output, (void)mode;
#endif
    return -1;
}

/* Creates a file with an unused name. Not mkstemp, because restoring its permissions would need the process-wide
 * umask. -1: errno is set. */
static int open_named(struct output *output, mode_t mode)
{
    char name[OUTPUT_NAME + 1];
    struct stat status;
    for (unsigned i = 0; i < TEMPORARIES; i++) {
        int descriptor;
        temporary_name(output, i, name);
        AGAIN(descriptor, openat(output->folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
        if (descriptor < 0 && errno == EEXIST)
            continue;
        if (descriptor < 0)
            return -1;
        /* Without locks, no run sweeps. If another run swept before the lock was taken, the file has lost its name. */
        if (flock(descriptor, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
            close(descriptor); /* the sweeper removes it */
            continue;
        }
        if (fstat(descriptor, &status) == 0 && status.st_nlink > 0) {
            memcpy(output->temporary, name, sizeof(name));
            return descriptor;
        }
        unlinkat(output->folder, name, 0);
        close(descriptor);
    }
    errno = EEXIST;
    return -1;
}

/* Copies owner, mode and access list of the file that will be replaced, and drops rights that cannot be kept.
 * Returns 0 or errno. */
static int keep_permissions(const struct output *output, const char *target, const struct stat *old)
{
    struct stat own;
    mode_t mode = old->st_mode & 07777;
    if (fstat(output->descriptor, &own) != 0)
        return errno;
    if ((own.st_uid != old->st_uid || own.st_gid != old->st_gid) &&
        fchown(output->descriptor, old->st_uid, old->st_gid) != 0 &&
        fchown(output->descriptor, (uid_t)-1, old->st_gid) != 0) {
        /* Not ours to give away: the set-id bits and the rights of the group go. */
    }
    if (fstat(output->descriptor, &own) != 0)
        return errno;
    if (own.st_uid != old->st_uid)
        mode &= ~(mode_t)S_ISUID;
    if (own.st_gid != old->st_gid)
        mode &= ~(mode_t)S_ISGID & ((mode & 07) << 3 | ~(mode_t)070);
    if (fchmod(output->descriptor, mode) != 0)
        return errno;
#ifdef __linux__
    char list[4096]; /* of access */
    ssize_t size = own.st_gid == old->st_gid ? getxattr(target, "system.posix_acl_access", list, sizeof(list)) : 0;
    if (size < 0 && errno != ENODATA && errno != ENOTSUP)
        return errno;
    if (size > 0 && fsetxattr(output->descriptor, "system.posix_acl_access", list, (size_t)size, 0) != 0)
        return errno;
#else
    (void)target;
#endif
    return 0;
}

/* ---- opening ---- */

static noreturn void failed(const struct output *output, const char *what)
{
    fail(output->landing, ONNX_FUSE_IO, "%s: %s: %s", output->path, what, system_error(errno));
}

static void open_stream(struct output *output, int descriptor)
{
    output->descriptor = descriptor;
    output->borrowed = true;
    if (strcmp(output->path, "-") == 0)
        output->path = "standard output";
    if (fcntl(descriptor, F_GETFD) < 0)
        failed(output, "is not open");
}

/* A pipe or a device that has a name. */
static void open_device(struct output *output)
{
    struct stat status;
    AGAIN(output->descriptor, open(output->path, O_WRONLY | O_CLOEXEC | O_NOCTTY));
    if (output->descriptor < 0)
        failed(output, "cannot open for writing");
    if (fstat(output->descriptor, &status) != 0 || S_ISREG(status.st_mode))
        fail(output->landing, ONNX_FUSE_IO, "%s: became a file while it was being opened: run again", output->path);
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
    struct stat status;
    bool exists = stat(path, &status) == 0;
    if (!exists && errno != ENOENT) /* what is there and cannot be seen must not be replaced */
        failed(output, "cannot find out what it is");
    if (exists && S_ISDIR(status.st_mode))
        fail(output->landing, ONNX_FUSE_IO, "%s: is a folder, expected a file name", path);
    if (exists && !S_ISREG(status.st_mode)) {
        open_device(output);
        return;
    }
    char resolved[PATH_MAX];
    struct stat link;
    const char *target = path;
    if (exists && !realpath(path, resolved))
        failed(output, "cannot find out where it leads");
    if (exists)
        target = resolved;
    else if (lstat(path, &link) == 0 && S_ISLNK(link.st_mode))
        fail(output->landing, ONNX_FUSE_IO, "%s: is a symbolic link that leads to no file: remove it, or name the file",
             path);
    char *folder = folder_of(arena, target);
    const char *slash = strrchr(target, '/');
    output->name = arena_copy(arena, slash ? slash + 1 : target);
    output->exists = exists;
    AGAIN(output->folder, open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (output->folder < 0 && errno == EACCES) /* it may be written to all the same */
        AGAIN(output->folder, open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (output->folder < 0)
        failed(output, "cannot open its folder");
    if (!output->name[0] || strlen(output->name) > OUTPUT_NAME) {
        errno = output->name[0] ? ENAMETOOLONG : target[0] ? EISDIR : ENOENT;
        failed(output, "cannot make a temporary file beside it");
    }
    sweep(output);
    /* A replacement gets the file's permissions before its first byte. */
    mode_t mode = exists ? 0600 : 0666;
    output->descriptor = open_nameless(output, mode);
    if (output->descriptor < 0)
        output->descriptor = open_named(output, mode);
    if (output->descriptor < 0)
        failed(output, "cannot make a temporary file beside it");
    int reason = exists ? keep_permissions(output, target, &status) : 0;
    if (reason)
        fail(output->landing, ONNX_FUSE_IO, "%s: cannot set its permissions: %s", path, system_error(reason));
}

/* ---- writing ---- */

bool output_is_seekable(const struct output *output)
{
    return output->name != NULL;
}

enum {
    WORTH_CALL = 64 << 10, /* minimum bytes for a separate system call */
    PAGE = 4096
};

/* A file whose blocks are set aside is filled with half of the work of one that asks for them page
 * by page, and a full disk is known at once. Returns 0 or errno; ENOTSUP: not here. */
static int set_aside(const struct output *output, uint64_t size)
{
#if defined(__linux__)
    int result;
    AGAIN(result, fallocate(output->descriptor, 0, 0, (off_t)size));
    return result == 0 ? 0 : errno == ENOSYS || errno == EINVAL || errno == EPERM ? ENOTSUP : errno;
#else
    (void)output, (void)size;
    return ENOTSUP;
#endif
}

/* 0 or errno. */
static int set_size(const struct output *output, uint64_t size)
{
    int result;
    AGAIN(result, ftruncate(output->descriptor, (off_t)size));
    return result == 0 ? 0 : errno;
}

void output_size(struct output *output, uint64_t size, bool at_once)
{
    int reason = ENOTSUP;
    if (size > INT64_MAX)
        reason = EFBIG;
    else if (!output->name)
        reason = 0;
    else if (at_once && size >= WORTH_CALL)
        reason = set_aside(output, size);
    if (reason == ENOTSUP)
        reason = set_size(output, size);
    if (reason) {
        errno = reason;
        failed(output, "cannot write");
    }
}

/* Starts writing to the disk early, because the end waits for it. The sync reports errors, and handles pages at the
 * edges, to which other threads may still write. */
static void start_sync(const struct output *output, uint64_t offset, size_t size)
{
#if defined(__linux__)
    uint64_t first = (offset + PAGE - 1) / PAGE * PAGE, end = (offset + size) / PAGE * PAGE;
    if (output->name && !output->no_sync && size >= WORTH_CALL)
        sync_file_range(output->descriptor, (off_t)first, (off_t)(end - first), SYNC_FILE_RANGE_WRITE);
#else
    (void)output, (void)offset, (void)size;
#endif
}

/* Waits where a pipe that does not block is full. Returns 0 or errno. */
static int wait_for_room(int descriptor)
{
    struct pollfd wait = {.fd = descriptor, .events = POLLOUT};
    return poll(&wait, 1, -1) < 0 && errno != EINTR ? errno : 0;
}

int output_put(struct output *output, uint64_t offset, const void *data, size_t size)
{
    const unsigned char *at = data;
    uint64_t first = offset;
    while (size) {
        size_t some = size < SSIZE_MAX ? size : SSIZE_MAX;
        ssize_t done =
            output->name ? pwrite(output->descriptor, at, some, (off_t)offset) : write(output->descriptor, at, some);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && errno == EAGAIN && !output->name) {
            int reason = wait_for_room(output->descriptor);
            if (reason)
                return reason;
            continue;
        }
        if (done <= 0)
            return done < 0 ? errno : EIO; /* nothing written and no reason: it would go on so */
        at += done;
        offset += (uint64_t)done;
        size -= (size_t)done;
    }
    start_sync(output, first, (size_t)(offset - first));
    return 0;
}

int output_copy(struct output *output, uint64_t offset, const struct mapping *from, const uint8_t *data, size_t size)
{
#ifdef SYS_copy_file_range /* its wrapper is of glibc 2.27 */
    if (output->name && from->address && from->descriptor >= 0 && size >= WORTH_CALL) {
        int64_t in = data - from->data, out = (int64_t)offset;
        uint64_t first = offset;
        while (size) {
            long done = syscall(SYS_copy_file_range, from->descriptor, &in, output->descriptor, &out, size, 0);
            if (done < 0 && errno == EINTR)
                continue;
            if (done <= 0)
                break; /* not supported by this file system: write the remaining bytes */
            data += done;
            size -= (size_t)done;
            offset += (uint64_t)done;
        }
        start_sync(output, first, (size_t)(offset - first));
    }
#else
    (void)from;
#endif
    return output_put(output, offset, data, size);
}

/* ---- the end ---- */

/* To the disk, and not only to its cache. 0, or -1 and errno. */
static int sync_file(int descriptor)
{
    int result = -1;
#ifdef F_FULLFSYNC /* not on every file system */
    result = fcntl(descriptor, F_FULLFSYNC);
#endif
    if (result != 0)
        AGAIN(result, fsync(descriptor));
    return result;
}

/* File systems without storage cannot sync, which is not a failure. */
static int sync_result(int result)
{
    return result == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : -1;
}

/* Gives a file without a name one of the temporary names. Returns 0, or -1 and errno. */
static int name_temporary(struct output *output, const char *path)
{
    char name[OUTPUT_NAME + 1];
    for (unsigned i = 0; i < TEMPORARIES; i++) {
        temporary_name(output, i, name);
        if (linkat(AT_FDCWD, path, output->folder, name, AT_SYMLINK_FOLLOW) == 0) {
            memcpy(output->temporary, name, sizeof(name));
            return 0;
        }
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

/* Moves the temporary file to its name unless there is a file of that name. */
static int rename_fresh(const struct output *output)
{
    int result;
#if defined(SYS_renameat2)
    result = (int)syscall(SYS_renameat2, output->folder, output->temporary, output->folder, output->name,
                          1 /* RENAME_NOREPLACE */);
    if (result == 0 || (errno != EINVAL && errno != ENOSYS))
        return result;
#endif
    result = linkat(output->folder, output->temporary, output->folder, output->name, 0);
    if (result == 0)
        unlinkat(output->folder, output->temporary, 0);
    return result;
}

/* The file gets its name. Returns 0, or -1 and errno. */
static int appear(struct output *output)
{
    char path[64];
    if (!output->temporary[0]) {
        if (!can_be_named(output->descriptor, path)) {
            errno = ENOENT;
            return -1;
        }
        if ((output->fresh || !output->exists) &&
            linkat(AT_FDCWD, path, output->folder, output->name, AT_SYMLINK_FOLLOW) == 0)
            return 0;
        if (output->fresh || (!output->exists && errno != EEXIST) || name_temporary(output, path) != 0)
            return -1;
    }
    int result = output->fresh ? rename_fresh(output)
                               : renameat(output->folder, output->temporary, output->folder, output->name);
    if (result == 0)
        output->temporary[0] = 0;
    return result;
}

bool output_commit(struct output *output)
{
    if (!output->name) {
        int result = output->borrowed ? 0 : close(output->descriptor);
        output->descriptor = -1;
        if (result != 0 && errno != EINTR)
            failed(output, "cannot write");
        return true;
    }
    int result = 0;
    if (!output->no_sync)
        result = sync_file(output->descriptor);
    if (sync_result(result) != 0)
        failed(output, "cannot write to the disk");
    /* A network file system reports errors on close; but the lock must hold until the file has its name. */
    int copy = fcntl(output->descriptor, F_DUPFD_CLOEXEC, 0);
    if (copy >= 0 && close(copy) != 0 && errno != EINTR)
        failed(output, "cannot write");
    if (appear(output) != 0) {
        if (output->fresh && errno == EEXIST)
            return false;
        failed(output, "cannot give the finished file its name");
    }
    output->appeared = output->fresh;
    return true;
}

void output_settle(struct output *output)
{
    if (!output->name || output->no_sync)
        return;
    int result = sync_file(output->folder);
#ifdef __linux__
    if (result != 0 && errno == EBADF) /* a folder that may be written to but not read */
        AGAIN(result, syncfs(output->descriptor));
#endif
    if (sync_result(result) != 0 && output->appeared)
        failed(output, "cannot sync its folder");
    if (sync_result(result) != 0)
        failed(output, "is written, but a power failure may still lose it: cannot sync its folder");
}

void output_keep(struct output *output)
{
    output->appeared = false;
}

void output_abandon(struct output *output)
{
    if (output->temporary[0])
        unlinkat(output->folder, output->temporary, 0);
    if (output->appeared)
        unlinkat(output->folder, output->name, 0);
    if (output->descriptor >= 0 && !output->borrowed)
        close(output->descriptor);
    if (output->folder >= 0)
        close(output->folder);
    output->name = NULL;
    output->temporary[0] = 0;
    output->appeared = false;
    output->descriptor = output->folder = -1;
}
