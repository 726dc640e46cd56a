/* heap.c: malloc and its kin, wrapped by the linker. */
#define _GNU_SOURCE
#include "heap.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *memory, size_t size);
void __real_free(void *memory);
void *__real_mmap(void *at, size_t size, int protection, int flags, int descriptor, off_t offset);
int __real_munmap(void *at, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *memory, size_t size);
void __wrap_free(void *memory);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int descriptor, off_t offset);
int __wrap_munmap(void *at, size_t size);

static atomic_bool counting;
static atomic_size_t requests, refused_one;
static atomic_llong in_use, most;

void heap_begin(size_t refused)
{
    atomic_store(&requests, 0);
    atomic_store(&refused_one, refused);
    atomic_store(&in_use, 0);
    atomic_store(&most, 0);
    atomic_store(&counting, true);
}

size_t heap_end(void)
{
    atomic_store(&counting, false);
    return atomic_load(&requests);
}

size_t heap_peak(void)
{
    return (size_t)atomic_load(&most);
}

size_t heap_left(void)
{
    long long left = atomic_load(&in_use);
    return left > 0 ? (size_t)left : 0;
}

static bool refuse(void)
{
    if (!atomic_load(&counting))
        return false;
    size_t number = atomic_fetch_add(&requests, 1) + 1;
    if (number != atomic_load(&refused_one))
        return false;
    errno = ENOMEM;
    return true;
}

static void count(long long size)
{
    if (!atomic_load(&counting))
        return;
    long long now = atomic_fetch_add(&in_use, size) + size, before = atomic_load(&most);
    while (now > before && !atomic_compare_exchange_weak(&most, &before, now))
        ;
}

static void *counted(void *memory)
{
    if (memory)
        count((long long)malloc_usable_size(memory));
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return refuse() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return refuse() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (refuse())
        return NULL;
    size_t before = memory ? malloc_usable_size(memory) : 0;
    void *grown = __real_realloc(memory, size);
    if (grown)
        count((long long)malloc_usable_size(grown) - (long long)before);
    return grown;
}

void __wrap_free(void *memory)
{
    if (memory)
        count(-(long long)malloc_usable_size(memory));
    __real_free(memory);
}

/* Mapped files are pages of the system's cache: refused as well, but not counted as memory. */
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int descriptor, off_t offset)
{
    if (refuse())
        return MAP_FAILED;
    void *memory = __real_mmap(at, size, protection, flags, descriptor, offset);
    if (memory != MAP_FAILED && flags & MAP_ANONYMOUS)
        count((long long)size);
    return memory;
}

int __wrap_munmap(void *at, size_t size)
{
    return __real_munmap(at, size);
}
