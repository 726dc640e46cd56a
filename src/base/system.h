/* base/system.h: what C11 lacks: threads, the clock, random numbers, pages of memory, folders.
 *
 * Apart from io/open.h, io/place.h and the guard and sandbox of the command, only this uses the operating system;
 * src/LAYERS names the files, and a test checks that no other file includes a system header. */
#ifndef BASE_SYSTEM_H
#define BASE_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- threads ---- */

/* Storage for the system's type, whose size is only in its own header. */
struct mutex {
    _Alignas(8) unsigned char room[64];
};
struct condition {
    _Alignas(8) unsigned char room[64];
};

/* Must not move until it is joined. */
struct thread {
    void (*work)(void *closure);
    void *closure;
    uintptr_t id;
};

/* False: the system has none left. */
bool mutex_open(struct mutex *mutex);
void mutex_close(struct mutex *mutex);
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

bool condition_open(struct condition *condition);
void condition_close(struct condition *condition);
/* Releases the mutex while waiting. May wake up spuriously. */
void condition_wait(struct condition *condition, struct mutex *mutex);
void condition_tell(struct condition *condition);

/* Starts work(closure) in parallel with the caller. False: no thread is available. */
bool thread_start(struct thread *thread, void (*work)(void *closure), void *closure);
void thread_join(struct thread *thread);
int thread_cores(void);

/* ---- clock and random numbers ---- */

/* Since a fixed moment. */
double system_seconds(void);
/* Unpredictable bytes. False: the system has none. */
bool system_random(void *bytes, size_t size);

/* ---- memory ---- */

size_t page_size(void);
/* Zeroed; NULL: out of memory. */
void *pages_map(size_t size);
void pages_unmap(void *pages, size_t size);
/* All of it will be filled: suggests large pages. */
void pages_large(void *pages, size_t size);
/* Prepares it for writing without page faults, if the system can. */
void pages_fill(void *pages, size_t size);
/* Freed memory stays with the process, for blocks that come and go. Affects the whole process. */
void system_keeps_memory(void);

/* ---- paths ---- */

bool path_separates(char letter);
/* Bytes at the start that name a root or a drive. */
size_t path_root(const char *path);
/* As strcmp; 0 where the system takes both for one. */
int path_order(const char *a, const char *b);
/* What follows the last folder. */
static inline const char *path_name(const char *path)
{
    const char *name = path + path_root(path);
    for (const char *at = name; *at; at++)
        if (path_separates(*at))
            name = at + 1;
    return name;
}

/* ---- files ---- */

enum look { LOOK_NOTHING, LOOK_FILE, LOOK_FOLDER, LOOK_LINK, LOOK_OTHER };
struct looked {
    uint64_t device, inode; /* equal for the same file */
    int error;              /* errno, if nothing exists */
};
/* What exists at a path: a link itself, or its target. */
enum look system_look(const char *path, bool follow, struct looked *looked);
/* Calls name(closure) for each name in a folder, in the order of their bytes, "." and ".." left out. Returns 0 or
 * errno. */
int system_list(const char *folder, void (*name)(void *closure, const char *name), void *closure);
/* Returns 0 or errno; it may already exist. */
int system_make_folder(const char *path);
/* To read bytes. NULL: it cannot be. */
FILE *system_open(const char *path);
bool system_is_terminal(FILE *stream);

#endif
