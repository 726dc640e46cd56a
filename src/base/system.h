/* base/system.h: what C11 has no words for: threads, the clock, chance, pages of memory, folders.
 *
 * With io/file.c, io/output.c and the guard and sandbox of the command this is all that knows a system; src/LAYERS
 * names the files, and a test holds that no other includes a header of one. */
#ifndef BASE_SYSTEM_H
#define BASE_SYSTEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* ---- threads ---- */

/* Room for what the system calls so, whose size its own header alone says. */
struct mutex {
    _Alignas(8) unsigned char room[64];
};
struct condition {
    _Alignas(8) unsigned char room[64];
};

/* Stays where it is until it is joined. */
struct thread {
    void (*work)(void *closure);
    void *closure;
    uintptr_t id;
};

/* False: the system has none to give. */
bool mutex_open(struct mutex *mutex);
void mutex_close(struct mutex *mutex);
void mutex_lock(struct mutex *mutex);
void mutex_unlock(struct mutex *mutex);

bool condition_open(struct condition *condition);
void condition_close(struct condition *condition);
/* Gives the mutex away meanwhile. May return without a reason. */
void condition_wait(struct condition *condition, struct mutex *mutex);
void condition_tell(struct condition *condition);

/* Begins work(closure) beside the caller. False: not here, or there is no more to give. */
bool thread_start(struct thread *thread, void (*work)(void *closure), void *closure);
void thread_join(struct thread *thread);
int thread_cores(void);

/* ---- clock and chance ---- */

/* Since some moment that stays the same. */
double system_seconds(void);
/* What nobody can guess. False: the system gives none. */
bool system_random(void *bytes, size_t size);

/* ---- memory ---- */

size_t page_size(void);
/* Zeroed; NULL: there is none. */
void *pages_map(size_t size);
void pages_unmap(void *pages, size_t size);
/* They are filled as a whole: large pages would do. */
void pages_large(void *pages, size_t size);
/* Ready to be written to without a page fault, where the system knows how. */
void pages_fill(void *pages, size_t size);
/* Memory that is freed stays with the process, for blocks that come and go. For the whole process. */
void system_keeps_memory(void);

/* ---- files ---- */

enum look { LOOK_NOTHING, LOOK_FILE, LOOK_FOLDER, LOOK_LINK, LOOK_OTHER };
struct looked {
    uint64_t device, inode; /* what has the same two is the same file */
    int error;              /* errno, where there is nothing */
};
/* What is at a path; a link itself, or what it leads to. */
enum look system_look(const char *path, bool follow, struct looked *looked);
/* Calls name(closure) for each name in a folder, in the order of their bytes, "." and ".." left out. Returns 0 or
 * errno. */
int system_list(const char *folder, void (*name)(void *closure, const char *name), void *closure);
/* Returns 0 or errno; that it is there already is fine. */
int system_make_folder(const char *path);
bool system_is_terminal(FILE *stream);

#endif
