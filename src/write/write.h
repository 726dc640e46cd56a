/* write/write.h: pieces to bytes: weights are computed here, one block at a time, on all cores. */
#ifndef WRITE_WRITE_H
#define WRITE_WRITE_H

#include "base/progress.h"
#include "io/output.h"
#include "write/emit.h"

/* Where the bytes go. */
struct sink {
    struct output *output; /* a file, or NULL */
    uint8_t *memory;       /* room for all of it, or NULL; both NULL: computed and thrown away */
};

/* A weight that has no place in its type. */
struct write_failure {
    const struct tensor *tensor;
    double number;
    int64_t index;
};

struct write_result {
    LIST(struct write_failure) failures; /* one per tensor; not empty: the output is of no use */
};

/* Other work that the same threads do: every second one begins with it, the others turn to it last.
 * A file takes writes from one thread at a time, so computing beside it costs no time. */
struct write_company {
    bool (*next)(void *closure, int thread); /* false: nothing is left. thread 0 is the caller's */
    void *closure;
};

/* True when there is enough to write for more than one thread. */
bool write_takes_company(const struct pieces *pieces);

/* Writes every piece. jobs: threads, at least 1; the bytes do not depend on it. company may
 * be NULL; it is worked off when this returns. Lands with IO, OUT_OF_MEMORY or CANCELLED. */
void write_pieces(struct model *model, const struct pieces *pieces, const struct sink *sink, int jobs,
                  const struct progress *progress, const struct write_company *company, struct write_result *result);

#endif
