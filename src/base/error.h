/* base/error.h: errors, by longjmp to the landing of the call.
 *
 * A hard error (bad file, no memory, failed write) jumps to the landing of the call, so the code between needs no
 * error handling. landing_call sets the landing: for the public functions of api/, which then close what is open and
 * return the error, for each thread of the self-check, and for the check of equalisation. A refused rewrite is not
 * an error: those functions return the reason as text, and NULL for success. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdnoreturn.h>

#include "base/secret.h"
#include "onnx_repvgg_fuse.h"

struct landing {
    jmp_buf *jump; /* on the stack of landing_call: it may need more alignment than an arena gives */
    enum onnx_fuse_status status;
    char message[1024];
    /* Limit of all arenas of the landing together; 0: none. Set by landing_bound. */
    size_t most, input;
    const char *path;    /* of the input, for the message */
    atomic_size_t bytes; /* that they hold */
    bool is_over;        /* the last failed allocation would have exceeded `most` */
    bool has_secret;
    struct secret secret; /* by landing_secret */
};

/* Calls body(closure). False: an error ended it, and the landing holds it. Only this function calls setjmp. */
bool landing_call(struct landing *landing, void (*body)(void *closure), void *closure);

void landing_bound(struct landing *landing, const char *path, size_t input);
/* What remains of the limit. SIZE_MAX: there is none. */
size_t landing_left(const struct landing *landing);
/* Doubles the limit for a requested text. */
void landing_extend(struct landing *landing);
/* True if this many of 12 parts of the limit are used: time to skip expensive steps. */
bool landing_has_taken(const struct landing *landing, unsigned parts);

/* The key of the call's hash tables; drawn on the first request. */
const struct secret *landing_secret(struct landing *landing);

/* Ends the run: never returns. The message should name the file, the place in it, what was found, what was expected,
 * and what to do. */
noreturn void fail(struct landing *landing, enum onnx_fuse_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Ends the run after arena_try_alloc returned NULL and landing->is_over is set. */
noreturn void fail_over(struct landing *landing);

#endif
