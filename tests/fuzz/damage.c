/* damage.c: models cut short at every byte, and random mutations, through every target's promises
 * that a single call can hold: a status, a text, no signal, bounded memory, bounded time.
 *
 * usage: damage CUTS MUTATIONS MODEL...
 * Each model is cut at CUTS places (0: every byte); MUTATIONS in all are made of the models in turn,
 * half of them of bytes, half by near.h. Prints what was seen. */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "heap.h"
#include "near.h"
#include "onnx_repvgg_fuse.h"

enum { SECONDS_MOST = 2, LARGEST = 1 << 18 };

static struct {
    size_t runs, accepted, refused, over;
    double slowest;
    size_t peak;
} seen;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static bool swallow(void *closure, const char *bytes, size_t size)
{
    (void)closure;
    (void)bytes;
    (void)size;
    return true;
}

static void keep(const char *what, const unsigned char *bytes, size_t size)
{
    char path[64];
    snprintf(path, sizeof(path), "damage-%zu.onnx", seen.runs);
    FILE *file = fopen(path, "wb");
    printf("%s: kept as %s\n", what, path);
    if (file) {
        fwrite(bytes, 1, size, file);
        fclose(file);
    }
    seen.over++;
}

/* Fused, and told as text. */
static void run(const unsigned char *bytes, size_t size)
{
    struct onnx_fuse_options options;
    struct onnx_fuse_dump_options dump;
    struct onnx_fuse_report *report = NULL;
    void *result = NULL;
    size_t result_size;
    double start = now();
    onnx_fuse_options_init(&options);
    options.jobs = 1;
    onnx_fuse_dump_options_init(&dump);
    dump.write = swallow;
    seen.runs++;
    heap_begin(0);
    enum onnx_fuse_status status = onnx_fuse_memory(bytes, size, &result, &result_size, &options, &report);
    if (!report || (status != ONNX_FUSE_OK) != (onnx_fuse_report_error(report)[0] != 0) ||
        status == ONNX_FUSE_OUT_OF_MEMORY)
        keep("status and text disagree", bytes, size);
    onnx_fuse_free(result);
    onnx_fuse_report_free(report);
    onnx_fuse_dump_memory(bytes, size, &dump, NULL);
    heap_end();
    double seconds = now() - start;
    seen.accepted += status == ONNX_FUSE_OK;
    seen.refused += status != ONNX_FUSE_OK;
    seen.slowest = seconds > seen.slowest ? seconds : seen.slowest;
    seen.peak = heap_peak() > seen.peak ? heap_peak() : seen.peak;
    if (seconds > SECONDS_MOST)
        keep("too slow", bytes, size);
    if (heap_peak() > 16 * size + ((size_t)64 << 20))
        keep("too much memory", bytes, size);
    if (heap_left())
        keep("memory is left", bytes, size);
}

static unsigned char *read_all(const char *path, size_t *size)
{
    unsigned char *bytes = malloc(LARGEST);
    FILE *file = fopen(path, "rb");
    *size = file && bytes ? fread(bytes, 1, LARGEST, file) : 0;
    if (file)
        fclose(file);
    return bytes;
}

static uint64_t bits(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* One to eight changes of bytes: set, flipped, moved, cut out, repeated. */
static size_t mutate(unsigned char *bytes, size_t size, uint64_t *state)
{
    for (uint64_t i = 1 + bits(state) % 8; i && size > 1; i--) {
        size_t at = (size_t)(bits(state) % size), count = 1 + (size_t)(bits(state) % 16);
        count = count > size - at ? size - at : count;
        switch (bits(state) % 5) {
        case 0: bytes[at] = (unsigned char)bits(state); break;
        case 1: bytes[at] ^= (unsigned char)(1u << bits(state) % 8); break;
        case 2: memmove(bytes + at, bytes + (size_t)(bits(state) % (size - count + 1)), count); break;
        case 3:
            memmove(bytes + at, bytes + at + count, size - at - count);
            size -= count;
            break;
        default:
            if (size + count > LARGEST)
                break;
            memmove(bytes + at + count, bytes + at, size - at);
            size += count;
        }
    }
    return size;
}

int main(int argument_count, char **arguments)
{
    if (argument_count < 4)
        return 2;
    size_t cuts = strtoul(arguments[1], NULL, 10), mutations = strtoul(arguments[2], NULL, 10);
    int models = argument_count - 3;
    for (int i = 0; i < models; i++) {
        size_t size;
        unsigned char *bytes = read_all(arguments[3 + i], &size);
        size_t step = cuts && cuts < size ? size / cuts : 1;
        for (size_t cut = 0; cut < size; cut += step) {
            unsigned char *part = malloc(cut + 1); /* of its own: a sanitizer sees its end */
            memcpy(part, bytes, cut);
            run(part, cut);
            free(part);
        }
        free(bytes);
    }
    printf("cuts: %zu runs, %zu accepted, %zu refused, slowest %.3f s, most memory %.1f MB, %zu "
           "beyond the limits\n",
           seen.runs, seen.accepted, seen.refused, seen.slowest, (double)seen.peak / (1 << 20), seen.over);
    size_t over = seen.over, before = seen.runs;
    seen.accepted = seen.refused = seen.peak = seen.over = 0;
    seen.slowest = 0;
    unsigned char *bytes = malloc(LARGEST);
    for (size_t i = 0; i < mutations; i++) {
        size_t size;
        unsigned char *model = read_all(arguments[3 + (int)(i % (size_t)models)], &size);
        uint64_t state = i;
        memcpy(bytes, model, size);
        if (i / (size_t)models % 2) {
            size_t made = near_mutate(bytes, size, LARGEST, i);
            size = made ? made : size;
        } else {
            size = mutate(bytes, size, &state);
        }
        run(bytes, size);
        free(model);
    }
    printf("mutations: %zu runs, %zu accepted, %zu refused, slowest %.3f s, most memory %.1f MB, "
           "%zu beyond the limits\n",
           seen.runs - before, seen.accepted, seen.refused, seen.slowest, (double)seen.peak / (1 << 20), seen.over);
    free(bytes);
    return over + seen.over ? 1 : 0;
}
