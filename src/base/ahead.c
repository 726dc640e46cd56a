/* base/ahead.c: pages of one mapping after another, by MADV_POPULATE_WRITE (Linux 5.14). */
#define _GNU_SOURCE /* madvise */

#include "base/ahead.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Taken at a time: while the system works on one step nobody else can map or unmap memory. */
enum { STEP = 2 << 20 };

struct ahead {
    pthread_t thread;
    pthread_mutex_t mutex; /* guards what follows */
    pthread_cond_t told;
    unsigned char *at;
    size_t left;
    bool is_over;
};

static void *work(void *closure)
{
    struct ahead *ahead = closure;
    pthread_mutex_lock(&ahead->mutex);
    while (!ahead->is_over) {
        if (!ahead->left) {
            pthread_cond_wait(&ahead->told, &ahead->mutex);
            continue;
        }
        unsigned char *at = ahead->at;
        size_t size = ahead->left < STEP ? ahead->left : STEP;
        ahead->at += size;
        ahead->left -= size;
        pthread_mutex_unlock(&ahead->mutex);
        /* An older system does not know how: its pages come when they are touched. */
        madvise(at, size, MADV_POPULATE_WRITE);
        pthread_mutex_lock(&ahead->mutex);
    }
    pthread_mutex_unlock(&ahead->mutex);
    return NULL;
}

struct ahead *ahead_begin(void)
{
    struct ahead *ahead = calloc(1, sizeof(*ahead));
    if (!ahead)
        return NULL;
    pthread_mutex_init(&ahead->mutex, NULL);
    pthread_cond_init(&ahead->told, NULL);
    if (pthread_create(&ahead->thread, NULL, work, ahead) == 0)
        return ahead;
    pthread_cond_destroy(&ahead->told);
    pthread_mutex_destroy(&ahead->mutex);
    free(ahead);
    return NULL;
}

void ahead_prepare(struct ahead *ahead, void *bytes, size_t size)
{
    pthread_mutex_lock(&ahead->mutex);
    ahead->at = bytes;
    ahead->left = size;
    pthread_cond_signal(&ahead->told);
    pthread_mutex_unlock(&ahead->mutex);
}

void ahead_end(struct ahead *ahead)
{
    if (!ahead)
        return;
    pthread_mutex_lock(&ahead->mutex);
    ahead->is_over = true;
    pthread_cond_signal(&ahead->told);
    pthread_mutex_unlock(&ahead->mutex);
    pthread_join(ahead->thread, NULL);
    pthread_cond_destroy(&ahead->told);
    pthread_mutex_destroy(&ahead->mutex);
    free(ahead);
}
