/* target.h: what the fuzz targets share. A broken promise ends the program by a signal. */
#ifndef TARGET_H
#define TARGET_H

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "heap.h"
#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t room, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
                                 size_t room, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t room);

/* Of verify, on what fuse made. REFUSED: a constant cannot be read, which fuse had no need to; it cannot
 * be in the input either. */
enum answer { SAME, DIFFERENT, REFUSED };

#define PROMISE(condition, ...)                                                                                        \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "broken promise at %s:%d: %s: ", __FILE__, __LINE__, #condition);                          \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fputc('\n', stderr);                                                                                       \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

/* What docs/security.md states of one call, between the two: memory is bounded by the size of what is
 * read, and a small file takes no long time. Processor time, which a busy machine does not stretch;
 * under sanitizers, with counters, ten times that of a release. */
void target_begin(void);
void target_end(const char *what, size_t size);

/* Models loaded from memory, until target_close. */
struct loaded {
    struct landing landing;
    struct arena arena;
    struct model models[2];
};

/* False: one of them does not load (landing.message says why). No file is opened. */
bool target_load(struct loaded *loaded, const uint8_t *const *data, const size_t *size, size_t count);
void target_close(struct loaded *loaded);

/* Two models in one input: 'P' 'A' 'I' 'R', the size of the first in four bytes, the first, the
 * second. Without that, the input is both. */
struct pair {
    const uint8_t *data[2];
    size_t size[2];
};
struct pair target_pair(const uint8_t *data, size_t size);

#endif
