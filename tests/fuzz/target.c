/* target.c: models from memory, one or two in an input. */
#define _POSIX_C_SOURCE 200809L
#include "target.h"

#include <string.h>
#include <time.h>

#include "infer/call.h"
#include "model/load.h"

#ifndef __has_feature
#define __has_feature(feature) 0
#endif

enum { PAIR_HEADER = 8, SECONDS_MOST = __has_feature(address_sanitizer) ? 20 : 2 };

static double begun;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

void target_begin(void)
{
    begun = now();
    heap_begin(0);
}

void target_end(const char *what, size_t size)
{
    size_t most = 16 * size + ((size_t)64 << 20);
    heap_end();
    double seconds = now() - begun;
    PROMISE(heap_peak() <= most, "%s: %zu bytes in use for %zu bytes of input", what, heap_peak(), size);
    PROMISE(seconds <= SECONDS_MOST, "%s: %.2f s for %zu bytes of input", what, seconds, size);
}

bool target_load(struct loaded *loaded, const uint8_t *const *data, const size_t *size, size_t count)
{
    memset(loaded, 0, sizeof(*loaded));
    arena_init(&loaded->arena, &loaded->landing);
    jmp_buf jump;
    loaded->landing.jump = &jump;
    if (setjmp(jump) != 0)
        return false;
    for (size_t i = 0; i < count; i++) {
        struct model *model = &loaded->models[i];
        model->arena = &loaded->arena;
        model->path = i ? "second" : "first";
        model->bytes = (struct mapping){.data = data[i], .size = size[i], .descriptor = -1};
        model_load(model);
        shape_infer(model);
    }
    return true;
}

void target_close(struct loaded *loaded)
{
    for (size_t i = 0; i < COUNT_OF(loaded->models); i++)
        free(loaded->models[i].skeleton.bytes);
    arena_free(&loaded->arena);
}

struct pair target_pair(const uint8_t *data, size_t size)
{
    struct pair pair = {{data, data}, {size, size}};
    if (size < PAIR_HEADER || memcmp(data, "PAIR", 4) != 0)
        return pair;
    size_t first = (size_t)data[4] | (size_t)data[5] << 8 | (size_t)data[6] << 16;
    size_t rest = size - PAIR_HEADER;
    first = first < rest ? first : rest;
    pair.data[0] = data + PAIR_HEADER;
    pair.size[0] = first;
    pair.data[1] = data + PAIR_HEADER + first;
    pair.size[1] = rest - first;
    return pair;
}
