/* base/system_posix.c: Linux, macOS and whatever else has POSIX threads. */
#define _GNU_SOURCE      /* madvise, getentropy, syscall */
#define _DARWIN_C_SOURCE /* the same on macOS */

#include "base/system.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#ifdef __has_include
#if __has_include(<sys/random.h>)
#include <sys/random.h>
#endif
#endif
#ifdef __linux__
#include <sys/syscall.h>
#endif
#ifdef __GLIBC__
#include <malloc.h>
#endif

#if defined(__linux__) && !defined(MADV_POPULATE_WRITE)
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

/* ---- threads ---- */

#define FITS(type, other)                                                                                              \
    _Static_assert(sizeof(type) <= sizeof(other) && _Alignof(type) <= _Alignof(other), "too "                          \
                                                                                       "small")
FITS(pthread_mutex_t, struct mutex);
FITS(pthread_cond_t, struct condition);
FITS(pthread_t, uintptr_t);

/* As much as a first thread has. musl would give 128 KiB, macOS 512. */
enum { STACK = 8 << 20 };

bool mutex_open(struct mutex *mutex)
{
    return pthread_mutex_init((pthread_mutex_t *)mutex, NULL) == 0;
}

void mutex_close(struct mutex *mutex)
{
    pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

void mutex_lock(struct mutex *mutex)
{
    pthread_mutex_lock((pthread_mutex_t *)mutex);
}

void mutex_unlock(struct mutex *mutex)
{
    pthread_mutex_unlock((pthread_mutex_t *)mutex);
}

bool condition_open(struct condition *condition)
{
    return pthread_cond_init((pthread_cond_t *)condition, NULL) == 0;
}

void condition_close(struct condition *condition)
{
    pthread_cond_destroy((pthread_cond_t *)condition);
}

void condition_wait(struct condition *condition, struct mutex *mutex)
{
    pthread_cond_wait((pthread_cond_t *)condition, (pthread_mutex_t *)mutex);
}

void condition_tell(struct condition *condition)
{
    pthread_cond_signal((pthread_cond_t *)condition);
}

static void *run_thread(void *closure)
{
    struct thread *thread = closure;
    thread->work(thread->closure);
    return NULL;
}

bool thread_start(struct thread *thread, void (*work)(void *closure), void *closure)
{
    pthread_attr_t attributes;
    pthread_t id;
    *thread = (struct thread){.work = work, .closure = closure};
    if (pthread_attr_init(&attributes) != 0)
        return false;
    pthread_attr_setstacksize(&attributes, STACK);
    bool started = pthread_create(&id, &attributes, run_thread, thread) == 0;
    pthread_attr_destroy(&attributes);
    if (started)
        thread->id = (uintptr_t)id;
    return started;
}

void thread_join(struct thread *thread)
{
    pthread_join((pthread_t)thread->id, NULL);
}

int thread_cores(void)
{
    enum { MOST = 1 << 16 };
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores < 1 ? 1 : cores > MOST ? MOST : (int)cores;
}

/* ---- clock and chance ---- */

double system_seconds(void)
{
    struct timespec time = {0, 0};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

bool system_random(void *bytes, size_t size)
{
#ifdef SYS_getrandom /* its wrappers are of glibc 2.25 */
    return syscall(SYS_getrandom, bytes, size, 0) == (long)size;
#else
    return getentropy(bytes, size) == 0;
#endif
}

/* ---- memory ---- */

size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

void *pages_map(size_t size)
{
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void pages_unmap(void *pages, size_t size)
{
    munmap(pages, size);
}

void pages_large(void *pages, size_t size)
{
#ifdef MADV_HUGEPAGE
    madvise(pages, size, MADV_HUGEPAGE);
#else
    (void)pages, (void)size;
#endif
}

void pages_fill(void *pages, size_t size)
{
#ifdef MADV_POPULATE_WRITE
    /* An older system does not know how: its pages come when they are touched. */
    madvise(pages, size, MADV_POPULATE_WRITE);
#else
    (void)pages, (void)size;
#endif
}

/* By default the system would be given its pages back, and asked for them again, each time. */
void system_keeps_memory(void)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    mallopt(M_TRIM_THRESHOLD, 8 << 20);
    mallopt(M_TOP_PAD, 1 << 20);
#endif
}

/* ---- paths ---- */

bool path_separates(char letter)
{
    return letter == '/';
}

size_t path_root(const char *path)
{
    return path[0] == '/';
}

int path_order(const char *a, const char *b)
{
    return strcmp(a, b);
}

/* ---- files ---- */

enum look system_look(const char *path, bool follow, struct looked *looked)
{
    struct stat status;
    *looked = (struct looked){0};
    if ((follow ? stat(path, &status) : lstat(path, &status)) != 0) {
        looked->error = errno;
        return LOOK_NOTHING;
    }
    looked->device = (uint64_t)status.st_dev;
    looked->inode = (uint64_t)status.st_ino;
    return S_ISREG(status.st_mode)   ? LOOK_FILE
           : S_ISDIR(status.st_mode) ? LOOK_FOLDER
           : S_ISLNK(status.st_mode) ? LOOK_LINK
                                     : LOOK_OTHER;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

int system_list(const char *folder, void (*name)(void *closure, const char *name), void *closure)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, by_name);
    if (count < 0)
        return errno;
    for (int i = 0; i < count; i++) {
        if (strcmp(entries[i]->d_name, ".") != 0 && strcmp(entries[i]->d_name, "..") != 0)
            name(closure, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return 0;
}

int system_make_folder(const char *path)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST ? 0 : errno;
}

FILE *system_open(const char *path)
{
    return fopen(path, "rb");
}

bool system_is_terminal(FILE *stream)
{
    return isatty(fileno(stream));
}
