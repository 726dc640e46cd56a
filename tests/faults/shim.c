/* shim.c: makes one system call of a program fail, be short, or be its last (LD_PRELOAD).
 *
 * FAULT_CALL   the call: open, read, write, mmap, ...; * is all of them
 * FAULT_AT     which one of them, from 1 on
 * FAULT_KIND   an errno's number; short: half of what was asked for; before, after: the process is
 *              killed before or after it; cut, touch: the file open as FAULT_FILE is cut in half or
 *              written to after it, as another process would
 * FAULT_FD     gets a byte when that happens
 * FAULT_ALWAYS calls that always fail: nameless (O_TMPFILE), openat2, copy_file_range, landlock,
 *              flock, fallocate */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

static const char *fault_call, *fault_kind, *fault_always;
static long fault_at, fault_fd, fault_file, own;
static atomic_long calls;

__attribute__((constructor)) static void begin(void)
{
    const char *at = getenv("FAULT_AT"), *descriptor = getenv("FAULT_FD");
    const char *file = getenv("FAULT_FILE");
    fault_call = getenv("FAULT_CALL");
    fault_kind = getenv("FAULT_KIND");
    fault_file = file ? atol(file) : -1;
    fault_always = getenv("FAULT_ALWAYS");
    fault_at = at ? atol(at) : 0;
    fault_fd = descriptor ? atol(descriptor) : -1;
    own = getpid();
}

static int always(const char *what)
{
    return fault_always && strstr(fault_always, what) != NULL;
}

/* Raw: what the shim does itself must not be counted, nor be stopped by what it stands for. */
static void act_after(int mine)
{
    if (!mine || !fault_kind)
        return;
    if (strcmp(fault_kind, "after") == 0)
        syscall(SYS_kill, own, SIGKILL);
    int cut = strcmp(fault_kind, "cut") == 0, touch = strcmp(fault_kind, "touch") == 0;
    if (!cut && !touch)
        return;
    int saved = errno;
    long size = syscall(SYS_lseek, fault_file, 0, SEEK_END);
    if (cut)
        syscall(SYS_ftruncate, fault_file, size / 2);
    else
        syscall(SYS_pwrite64, fault_file, "\xff", 1, size / 2);
    errno = saved;
}

static atomic_bool is_watched, is_over;

/* What a build for coverage writes when the program ends is none of the program's calls. */
static void end(void)
{
    atomic_store(&is_over, 1);
}

/* 1: this is the one; -1: it is, and fails with errno. */
static int strikes(const char *call)
{
    if (!atomic_exchange(&is_watched, 1))
        atexit(end);
    if (atomic_load(&is_over))
        return 0;
    if (!fault_call || (strcmp(fault_call, "*") != 0 && strcmp(fault_call, call) != 0))
        return 0;
    if (atomic_fetch_add(&calls, 1) + 1 != fault_at)
        return 0;
    if (fault_fd >= 0)
        syscall(SYS_write, fault_fd, "!", 1);
    if (strcmp(fault_kind, "before") == 0)
        syscall(SYS_kill, own, SIGKILL);
    int number = atoi(fault_kind);
    if (!number)
        return 1;
    errno = number;
    return -1;
}

#define REAL(name) real_##name = (type_##name)(uintptr_t)dlsym(RTLD_NEXT, #name)
#define WRAP(result, name, call, parameters, arguments, failure)                                                       \
    typedef result(*type_##name) parameters;                                                                           \
    result name parameters;                                                                                            \
    result name parameters                                                                                             \
    {                                                                                                                  \
        static type_##name real_##name;                                                                                \
        if (!real_##name)                                                                                              \
            REAL(name);                                                                                                \
        int strike = strikes(#call);                                                                                   \
        if (strike < 0)                                                                                                \
            return failure;                                                                                            \
        result back = real_##name arguments;                                                                           \
        act_after(strike);                                                                                             \
        return back;                                                                                                   \
    }
/* The same for calls that may do less than they were asked to. */
#define WRAP_SHORT(name, call, parameters, arguments, size)                                                            \
    typedef ssize_t(*type_##name) parameters;                                                                          \
    ssize_t name parameters;                                                                                           \
    ssize_t name parameters                                                                                            \
    {                                                                                                                  \
        static type_##name real_##name;                                                                                \
        if (!real_##name)                                                                                              \
            REAL(name);                                                                                                \
        int strike = strikes(#call);                                                                                   \
        if (strike < 0)                                                                                                \
            return -1;                                                                                                 \
        if (strike > 0 && strcmp(fault_kind, "short") == 0)                                                            \
            (size) = (size) / 2 + (size) % 2;                                                                          \
        ssize_t back = real_##name arguments;                                                                          \
        act_after(strike);                                                                                             \
        return back;                                                                                                   \
    }

WRAP_SHORT(read, read, (int d, void *b, size_t n), (d, b, n), n)
WRAP_SHORT(write, write, (int d, const void *b, size_t n), (d, b, n), n)
WRAP_SHORT(pwrite, pwrite, (int d, const void *b, size_t n, off_t o), (d, b, n, o), n)
WRAP_SHORT(pwrite64, pwrite, (int d, const void *b, size_t n, off_t o), (d, b, n, o), n)
WRAP(void *, mmap, mmap, (void *a, size_t n, int p, int f, int d, off_t o), (a, n, p, f, d, o), MAP_FAILED)
WRAP(void *, mmap64, mmap, (void *a, size_t n, int p, int f, int d, off_t o), (a, n, p, f, d, o), MAP_FAILED)
WRAP(int, ftruncate, ftruncate, (int d, off_t n), (d, n), -1)
WRAP(int, ftruncate64, ftruncate, (int d, off_t n), (d, n), -1)
WRAP(int, sync_file_range, sync_file_range, (int d, off64_t o, off64_t n, unsigned f), (d, o, n, f), -1)
WRAP(int, fsync, fsync, (int d), (d), -1)
WRAP(int, syncfs, fsync, (int d), (d), -1)
WRAP(int, renameat, rename, (int a, const char *p, int b, const char *q), (a, p, b, q), -1)
WRAP(int, linkat, linkat, (int a, const char *p, int b, const char *q, int f), (a, p, b, q, f), -1)
WRAP(int, unlinkat, unlinkat, (int d, const char *p, int f), (d, p, f), -1)
WRAP(int, fchmod, fchmod, (int d, mode_t m), (d, m), -1)
WRAP(int, fstat, stat, (int d, struct stat *s), (d, s), -1)
WRAP(int, fstat64, stat, (int d, struct stat64 *s), (d, s), -1)
WRAP(int, stat, stat, (const char *p, struct stat *s), (p, s), -1)
WRAP(int, stat64, stat, (const char *p, struct stat64 *s), (p, s), -1)
WRAP(int, lstat, stat, (const char *p, struct stat *s), (p, s), -1)
WRAP(int, lstat64, stat, (const char *p, struct stat64 *s), (p, s), -1)
WRAP(int, mkdir, mkdir, (const char *p, mode_t m), (p, m), -1)

/* A descriptor is gone even where close fails: the kernel closes it first. */
int close(int descriptor)
{
    static int (*real)(int);
    if (!real)
        real = (int (*)(int))(uintptr_t)dlsym(RTLD_NEXT, "close");
    int strike = strikes("close"), saved = errno, back = real(descriptor);
    act_after(strike);
    if (strike < 0) {
        errno = saved;
        return -1;
    }
    return back;
}

int flock(int descriptor, int operation)
{
    if (always("flock")) {
        errno = ENOLCK;
        return -1;
    }
    int strike = strikes("flock");
    if (strike < 0)
        return -1;
    int back = (int)syscall(SYS_flock, descriptor, operation);
    act_after(strike);
    return back;
}

int fallocate64(int descriptor, int mode, off64_t offset, off64_t size)
{
    if (always("fallocate")) {
        errno = EOPNOTSUPP;
        return -1;
    }
    int strike = strikes("fallocate");
    if (strike < 0)
        return -1;
    int back = (int)syscall(SYS_fallocate, descriptor, mode, offset, size);
    act_after(strike);
    return back;
}

int fallocate(int descriptor, int mode, off_t offset, off_t size)
{
    return fallocate64(descriptor, mode, offset, size);
}

static int open_any(int folder, const char *path, int flags, mode_t mode)
{
    if ((flags & O_TMPFILE) == O_TMPFILE && always("nameless")) {
        errno = EOPNOTSUPP;
        return -1;
    }
    int strike = strikes("open");
    if (strike < 0)
        return -1;
    int back = (int)syscall(SYS_openat, folder, path, flags, mode);
    act_after(strike);
    return back;
}

#define MODE(flags)                                                                                                    \
    mode_t mode = 0;                                                                                                   \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                                             \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        mode = va_arg(list, mode_t);                                                                                   \
        va_end(list);                                                                                                  \
    }

int open(const char *path, int flags, ...)
{
    MODE(flags)
    return open_any(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    MODE(flags)
    return open_any(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    MODE(flags)
    return open_any(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
    MODE(flags)
    return open_any(folder, path, flags, mode);
}

/* _FORTIFY_SOURCE calls these where it cannot see the flags. */
int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
    return open_any(AT_FDCWD, path, flags, 0);
}

int __openat64_2(int folder, const char *path, int flags);
int __openat64_2(int folder, const char *path, int flags)
{
    return open_any(folder, path, flags, 0);
}

/* openat2, renameat2, copy_file_range and Landlock are called without a wrapper. */
long syscall(long number, ...)
{
    static long (*real)(long, ...);
    if (!real)
        real = (long (*)(long, ...))(uintptr_t)dlsym(RTLD_NEXT, "syscall");
    va_list list;
    long a[6];
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(list, long);
    va_end(list);
    int strike = 0;
    if (number == SYS_openat2 || number == SYS_renameat2) {
        const char *name = number == SYS_openat2 ? "open" : "rename";
        if (always(number == SYS_openat2 ? "openat2" : "renameat2")) {
            errno = ENOSYS;
            return -1;
        }
        strike = strikes(name);
        if (strike < 0)
            return -1;
    }
    if (number == SYS_copy_file_range) {
        if (always("copy_file_range")) {
            errno = EXDEV;
            return -1;
        }
        strike = strikes("copy_file_range");
        if (strike < 0)
            return -1;
        if (strike > 0 && strcmp(fault_kind, "short") == 0)
            a[4] = a[4] / 2 + 1;
    }
    if (number >= 444 && number <= 446 && always("landlock")) {
        errno = ENOSYS;
        return -1;
    }
    long back = real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
    act_after(strike);
    return back;
}
