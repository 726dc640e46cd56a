/* io/place_posix.c: files without a name, locks, permissions, and the disk. */
#define _GNU_SOURCE      /* O_TMPFILE, syncfs, syscall */
#define _DARWIN_C_SOURCE /* flock */

#include "io/place.h"

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

#ifndef O_PATH /* then a folder must be readable */
#define O_PATH O_RDONLY
#endif

/* Repeats a call that a signal interrupts. */
#define AGAIN(result, call)                                                                                            \
    do                                                                                                                 \
        (result) = (call);                                                                                             \
    while ((result) < 0 && errno == EINTR)

/* ---- folders ---- */

int place_resolve(struct arena *arena, const char *path, char **resolved)
{
    char way[PATH_MAX];
    if (!realpath(path, way))
        return errno;
    *resolved = arena_copy(arena, way);
    return 0;
}

int place_open_folder(const char *path, int *folder)
{
    AGAIN(*folder, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (*folder < 0 && errno == EACCES) /* it may be written to all the same */
        AGAIN(*folder, open(path, O_PATH | O_DIRECTORY | O_CLOEXEC));
    return *folder < 0 ? errno : 0;
}

static bool is_one(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

bool place_is_one(int folder, int other)
{
    struct stat x, y;
    return fstat(folder, &x) == 0 && fstat(other, &y) == 0 && is_one(&x, &y);
}

enum look place_look(int folder, const char *name, struct looked *looked)
{
    struct stat status;
    *looked = (struct looked){0};
    if (fstatat(folder, name, &status, 0) != 0)
        return LOOK_NOTHING;
    looked->device = (uint64_t)status.st_dev;
    looked->inode = (uint64_t)status.st_ino;
    return S_ISREG(status.st_mode) ? LOOK_FILE : LOOK_OTHER;
}

/* ---- streams ---- */

int place_stream(const char *path)
{
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};
    if (strcmp(path, "/dev/stdout") == 0)
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

int place_open_device(const char *path, int *descriptor)
{
    struct stat status;
    AGAIN(*descriptor, open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY));
    if (*descriptor < 0)
        return errno;
    return fstat(*descriptor, &status) != 0 || S_ISREG(status.st_mode) ? EEXIST : 0;
}

int place_is_open(int descriptor)
{
    return fcntl(descriptor, F_GETFD) < 0 ? errno : 0;
}

int place_close(int descriptor)
{
    return close(descriptor) != 0 && errno != EINTR ? errno : 0;
}

/* ---- temporary files ---- */

#ifndef __EMSCRIPTEN__ /* web/library.js has it */
void place_sweep(int folder, const char *name)
{
    struct stat opened, named;
    int descriptor;
    AGAIN(descriptor, openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
    if (descriptor < 0)
        return;
    if (fstat(descriptor, &opened) == 0 && S_ISREG(opened.st_mode) && flock(descriptor, LOCK_EX | LOCK_NB) == 0 &&
        fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) == 0 && is_one(&named, &opened))
        unlinkat(folder, name, 0);
    close(descriptor);
}
#endif

/* Whether linkat can give this file a name: the way there leads through /proc. */
static bool can_be_named(int descriptor, char path[64])
{
    struct stat own, seen;
    snprintf(path, 64, "/proc/self/fd/%d", descriptor);
    return fstat(descriptor, &own) == 0 && stat(path, &seen) == 0 && is_one(&own, &seen);
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

/* A file with a name that nobody had: mkstemp would give it permissions that only the process-wide
 * umask could tell how to widen. -1: errno says why. */
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
        /* Where there are no locks, nobody sweeps. Where another run swept before the lock was
         * taken, the file has lost its name. */
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

void place_discard(const struct output *output)
{
    unlinkat(output->folder, output->temporary[0] ? output->temporary : output->name, 0);
}

/* Copies owner, mode and access list of the file that will be replaced, and drops rights that cannot be kept.
 * Returns 0 or errno. */
static int keep_permissions(const struct output *output, const char *replaced)
{
    struct stat own, old;
    if (stat(replaced, &old) != 0)
        return errno;
    mode_t mode = old.st_mode & 07777;
    if (fstat(output->descriptor, &own) != 0)
        return errno;
    if ((own.st_uid != old.st_uid || own.st_gid != old.st_gid) &&
        fchown(output->descriptor, old.st_uid, old.st_gid) != 0 &&
        fchown(output->descriptor, (uid_t)-1, old.st_gid) != 0) {
        /* Not ours to give away: the set-id bits and the rights of the group go. */
    }
    if (fstat(output->descriptor, &own) != 0)
        return errno;
    if (own.st_uid != old.st_uid)
        mode &= ~(mode_t)S_ISUID;
    if (own.st_gid != old.st_gid)
        mode &= ~(mode_t)S_ISGID & ((mode & 07) << 3 | ~(mode_t)070);
    if (fchmod(output->descriptor, mode) != 0)
        return errno;
#ifdef __linux__
    char list[4096]; /* of access */
    ssize_t size = own.st_gid == old.st_gid ? getxattr(replaced, "system.posix_acl_access", list, sizeof(list)) : 0;
    if (size < 0 && errno != ENODATA && errno != ENOTSUP)
        return errno;
    if (size > 0 && fsetxattr(output->descriptor, "system.posix_acl_access", list, (size_t)size, 0) != 0)
        return errno;
#endif
    return 0;
}

int place_make(struct output *output, const char *replaced, const char **what)
{
    /* A replacement gets the file's permissions before its first byte. */
    mode_t mode = replaced ? 0600 : 0666;
    *what = "cannot make a temporary file beside it";
    output->descriptor = open_nameless(output, mode);
    if (output->descriptor < 0)
        output->descriptor = open_named(output, mode);
    if (output->descriptor < 0)
        return errno;
    *what = "cannot set its permissions";
    return replaced ? keep_permissions(output, replaced) : 0;
}

/* ---- bytes ---- */

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

int place_size(const struct output *output, uint64_t size, bool at_once)
{
    int reason = size > INT64_MAX ? EFBIG : at_once && size >= WORTH_CALL ? set_aside(output, size) : ENOTSUP;
    return reason == ENOTSUP ? set_size(output, size) : reason;
}

/* Starts writing to the disk early, because the end waits for it. The sync reports errors, and handles pages at the
 * edges, to which other threads may still write. */
void place_hint(const struct output *output, uint64_t offset, size_t size)
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

int place_write(const struct output *output, uint64_t offset, const void *data, size_t size, size_t *done)
{
    for (;;) {
        size_t some = size < SSIZE_MAX ? size : SSIZE_MAX;
        ssize_t count = output->name ? pwrite(output->descriptor, data, some, (off_t)offset)
                                     : write(output->descriptor, data, some);
        *done = count < 0 ? 0 : (size_t)count;
        if (count >= 0)
            return 0;
        int reason = errno == EAGAIN && !output->name ? wait_for_room(output->descriptor) : errno == EINTR ? 0 : errno;
        if (reason)
            return reason;
    }
}

size_t place_copy(const struct output *output, uint64_t offset, const struct mapping *from, const uint8_t *data,
                  size_t size)
{
    size_t copied = 0;
#ifdef SYS_copy_file_range /* its wrapper is of glibc 2.27 */
    if (output->name && from->address && from->descriptor >= 0 && size >= WORTH_CALL) {
        int64_t in = data - from->data, out = (int64_t)offset;
        while (copied < size) {
            long done = syscall(SYS_copy_file_range, from->descriptor, &in, output->descriptor, &out, size - copied, 0);
            if (done < 0 && errno == EINTR)
                continue;
            if (done <= 0)
                break; /* not supported by this file system: write the remaining bytes */
            copied += (size_t)done;
        }
    }
#else
    (void)output, (void)offset, (void)from, (void)data, (void)size;
#endif
    return copied;
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
    return result == 0 || errno == EINVAL || errno == ENOTSUP ? 0 : errno;
}

int place_sync(const struct output *output)
{
    int reason = output->no_sync ? 0 : sync_result(sync_file(output->descriptor));
    if (reason)
        return reason;
    /* A network file system reports errors on close; but the lock must hold until the file has its name. */
    int copy = fcntl(output->descriptor, F_DUPFD_CLOEXEC, 0);
    return copy >= 0 ? place_close(copy) : 0;
}

int place_sync_folder(const struct output *output)
{
    int result = sync_file(output->folder);
#ifdef __linux__
    if (result != 0 && errno == EBADF) /* a folder that may be written to but not read */
        AGAIN(result, syncfs(output->descriptor));
#endif
    return sync_result(result);
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

int place_appear(struct output *output)
{
    char path[64];
    if (!output->temporary[0]) {
        if (!can_be_named(output->descriptor, path))
            return ENOENT;
        if ((output->fresh || !output->exists) &&
            linkat(AT_FDCWD, path, output->folder, output->name, AT_SYMLINK_FOLLOW) == 0)
            return 0;
        if (output->fresh || (!output->exists && errno != EEXIST) || name_temporary(output, path) != 0)
            return errno;
    }
    int result = output->fresh ? rename_fresh(output)
                               : renameat(output->folder, output->temporary, output->folder, output->name);
    if (result == 0)
        output->temporary[0] = 0;
    return result == 0 ? 0 : errno;
}
