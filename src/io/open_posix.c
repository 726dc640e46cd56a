/* io/open_posix.c: by openat2 where the kernel has it. */
#define _GNU_SOURCE      /* O_PATH, syscall */
#define _DARWIN_C_SOURCE /* st_mtimespec */

#include "io/open.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
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

/* A signal may interrupt the opening of a pipe. */
static int open_again(int folder, const char *path, int flags)
{
    int descriptor;
    do
        descriptor = openat(folder, path, flags);
    while (descriptor < 0 && errno == EINTR);
    return descriptor;
}

int open_file(const char *path, int *descriptor)
{
    *descriptor = open_again(AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    return *descriptor < 0 ? errno : 0;
}

int open_folder(const char *path, int *descriptor)
{
    *descriptor = open_again(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return *descriptor < 0 ? errno : 0;
}

int open_look(int descriptor, struct opened *opened)
{
    struct stat status;
    if (fstat(descriptor, &status) != 0)
        return errno;
    *opened = (struct opened){.look = S_ISREG(status.st_mode)   ? LOOK_FILE
                                      : S_ISDIR(status.st_mode) ? LOOK_FOLDER
                                                                : LOOK_OTHER,
                              .has_names = status.st_nlink > 1,
                              .mark = {.is_file = S_ISREG(status.st_mode),
                                       .device = (uint64_t)status.st_dev,
                                       .inode = (uint64_t)status.st_ino,
                                       .size = (uint64_t)status.st_size,
                                       .seconds = (int64_t)status.st_mtim.tv_sec,
                                       .nanoseconds = (int64_t)status.st_mtim.tv_nsec}};
    return 0;
}

void open_close(int descriptor)
{
    close(descriptor);
}

const bool open_blocks = false;

/* ---- below a folder ---- */

static const char is_link[] = "it leads through a symbolic link or a file, and links are not followed; if you trust "
                              "where they lead, use --follow-symlinks (in the library: follow_symlinks)";

const char *open_refuses(const char *name, size_t length)
{
    (void)name;
    return length > NAME_MAX ? "a name in it is too long" : NULL;
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

int open_below(int folder, const char *location, bool follow_links, const char **reason)
{
    if (follow_links) {
        int descriptor = open_again(folder, location, READ_FLAGS);
        if (descriptor < 0)
            *reason = system_error(errno);
        return descriptor;
    }
#if defined(SYS_openat2) && defined(RESOLVE_BENEATH)
    struct open_how how = {.flags = READ_FLAGS | O_NOFOLLOW,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    for (int tries = 0; tries < 16; tries++) {
        int descriptor = (int)syscall(SYS_openat2, folder, location, &how, sizeof(how));
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
    return walk(folder, location, reason);
}

/* ---- bytes ---- */

/* Waits where a pipe that does not block has nothing yet. */
int open_read(int descriptor, void *bytes, size_t size, size_t *got)
{
    for (;;) {
        ssize_t count = read(descriptor, bytes, size);
        *got = count < 0 ? 0 : (size_t)count;
        if (count >= 0 || (errno != EINTR && errno != EAGAIN))
            return count < 0 ? errno : 0;
        struct pollfd wait = {.fd = descriptor, .events = POLLIN};
        if (errno == EAGAIN && poll(&wait, 1, -1) < 0 && errno != EINTR)
            return errno;
    }
}

int open_map(int descriptor, size_t size, void **address)
{
#ifdef __EMSCRIPTEN__ /* a mapping is a copy there, and one for which there is no memory goes unnoticed */
    (void)descriptor, (void)size, (void)address;
    return ENOTSUP;
#else
    *address = mmap(NULL, size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    return *address == MAP_FAILED ? errno : 0;
#endif
}

void open_unmap(void *address, size_t size)
{
    munmap(address, size);
}

void open_done(const uint8_t *data, size_t size)
{
    uintptr_t page = (uintptr_t)page_size();
    uintptr_t from = ((uintptr_t)data + page - 1) / page * page;
    uintptr_t to = ((uintptr_t)data + size) / page * page;
    if (to > from)
        madvise((void *)from, to - from, MADV_DONTNEED);
}
