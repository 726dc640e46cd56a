/* base/ahead.c: pages of one mapping after another. */

#include "base/ahead.h"

#include <stdlib.h>

#include "base/system.h"

/* Bytes per step: during a step, no other thread can map or unmap memory. */
enum { STEP = 2 << 20 };

struct ahead {
    struct thread thread;
    struct mutex mutex; /* guards what follows */
    struct condition told;
    unsigned char *at;
    size_t left;
    bool is_over;
};

static void work(void *closure)
{
    struct ahead *ahead = closure;
    mutex_lock(&ahead->mutex);
    while (!ahead->is_over) {
        if (!ahead->left) {
            condition_wait(&ahead->told, &ahead->mutex);
            continue;
        }
        unsigned char *at = ahead->at;
        size_t size = ahead->left < STEP ? ahead->left : STEP;
        ahead->at += size;
        ahead->left -= size;
        mutex_unlock(&ahead->mutex);
        pages_fill(at, size);
        mutex_lock(&ahead->mutex);
    }
    mutex_unlock(&ahead->mutex);
}

struct ahead *ahead_begin(void)
{
    struct ahead *ahead = calloc(1, sizeof(*ahead));
    if (!ahead)
        return NULL;
    mutex_open(&ahead->mutex);
    condition_open(&ahead->told);
    if (thread_start(&ahead->thread, work, ahead))
        return ahead;
    condition_close(&ahead->told);
    mutex_close(&ahead->mutex);
    free(ahead);
    return NULL;
}

void ahead_prepare(struct ahead *ahead, void *bytes, size_t size)
{
    mutex_lock(&ahead->mutex);
    ahead->at = bytes;
    ahead->left = size;
    condition_tell(&ahead->told);
    mutex_unlock(&ahead->mutex);
}

void ahead_end(struct ahead *ahead)
{
    if (!ahead)
        return;
    mutex_lock(&ahead->mutex);
    ahead->is_over = true;
    condition_tell(&ahead->told);
    mutex_unlock(&ahead->mutex);
    thread_join(&ahead->thread);
    condition_close(&ahead->told);
    mutex_close(&ahead->mutex);
    free(ahead);
}
