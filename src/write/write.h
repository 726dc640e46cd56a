/* write/write.h: writes pieces as bytes, and computes weights, one block at a time, on all cores. */
#ifndef WRITE_WRITE_H
#define WRITE_WRITE_H

#include "base/progress.h"
#include "io/output.h"
#include "write/emit.h"

/* Where the bytes go. */
struct sink {
    struct output *output; /* a file, or NULL */
    uint8_t *memory;       /* memory for all of it, or NULL; both NULL: compute and discard */
};

/* A weight that does not fit its type. */
struct write_failure {
    const struct tensor *tensor;
    double number;
    int64_t index;
};

struct write_result {
    LIST(struct write_failure) failures; /* one per tensor; if not empty, discard the output */
};

/* Other work for the same threads: every second thread starts with it, the others do it last. A file accepts writes
 * from one thread at a time, so parallel computing costs no time. */
struct write_company {
    bool (*next)(void *closure, int thread); /* false: nothing is left. thread 0 is the caller's */
    void *closure;
};

/* True if there is enough to write for more than one thread. */
bool write_takes_company(const struct pieces *pieces);

/* Writes every piece. jobs: threads, at least 1; the bytes do not depend on it. company may
 * be NULL; it is finished when this returns. Lands with IO, OUT_OF_MEMORY or CANCELLED. */
void write_pieces(struct model *model, const struct pieces *pieces, const struct sink *sink, int jobs,
                  const struct progress *progress, const struct write_company *company, struct write_result *result);

#endif
