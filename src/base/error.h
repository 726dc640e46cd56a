/* base/error.h: errors, by longjmp to the landing of the call.
 *
 * A hard error (bad file, no memory, failed write) goes to the landing of the call, so the code between
 * reads without error plumbing. landing_call sets it, for the public functions of api/, where what is open
 * is closed and the caller gets the error, for the threads of the self-check, each with its own, and for the
 * check of equalisation. A declined rewrite is no error: those functions return the reason as text, NULL
 * meaning success. */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdnoreturn.h>

#include "base/secret.h"
#include "onnx_repvgg_fuse.h"

struct landing {
    jmp_buf *jump; /* on the stack of landing_call: some need more alignment than an arena gives */
    enum onnx_fuse_status status;
    char message[1024];
    /* What all arenas of the landing may hold together; 0: no bound. Set by landing_bound. */
    size_t most, input;
    const char *path;    /* of the input, for the message */
    atomic_size_t bytes; /* that they hold */
    bool is_over;        /* the last allocation that failed would have passed `most` */
    bool has_secret;
    struct secret secret; /* by landing_secret */
};

/* Calls body(closure). False: an error ended it, and the landing tells of it. Nobody else calls setjmp. */
bool landing_call(struct landing *landing, void (*body)(void *closure), void *closure);

void landing_bound(struct landing *landing, const char *path, size_t input);
/* What is left of it. SIZE_MAX: there is no bound. */
size_t landing_left(const struct landing *landing);
/* A text that somebody asks for may take as much again. */
void landing_extend(struct landing *landing);
/* True when so many of 12 parts of the bound are taken: time to do without what is dear. */
bool landing_has_taken(const struct landing *landing, unsigned parts);

/* What the hash tables of the call are keyed with; drawn when it is first asked for. */
const struct secret *landing_secret(struct landing *landing);

/* Ends the run: never returns. The message should name the file, the place in it, what was
 * found, what was expected, and what to do. */
noreturn void fail(struct landing *landing, enum onnx_fuse_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Ends the run where arena_try_alloc returned NULL and landing->is_over is set. */
noreturn void fail_over(struct landing *landing);

#endif
