/* base/error.c: hard errors, and the memory limit of a call. */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/budget.h"
#include "base/tame.h"

noreturn void fail(struct landing *landing, enum onnx_fuse_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(landing->message, sizeof(landing->message), format, arguments);
    va_end(arguments);
    tame(landing->message); /* and half a character at the end, where the text was too long */
    landing->status = status;
    longjmp(*landing->jump, 1);
}

bool landing_call(struct landing *landing, void (*body)(void *closure), void *closure)
{
    jmp_buf jump;
    landing->jump = &jump; /* cppcheck-suppress autoVariables; nobody lands after this call */
    if (setjmp(jump) != 0)
        return false;
    body(closure);
    return true;
}

void landing_bound(struct landing *landing, const char *path, size_t input)
{
    landing->path = path;
    landing->input = input;
    size_t small = input < LIMIT_LARGE ? input : LIMIT_LARGE;
    if (__builtin_mul_overflow(input - small, (size_t)LIMIT_FACTOR_LARGE, &landing->most) ||
        __builtin_add_overflow(landing->most, LIMIT_BASE + small * LIMIT_FACTOR, &landing->most))
        landing->most = 0;
}

size_t landing_left(const struct landing *landing)
{
    size_t bytes = atomic_load(&landing->bytes);
    return !landing->most ? SIZE_MAX : landing->most > bytes ? landing->most - bytes : 0;
}

void landing_extend(struct landing *landing)
{
    size_t bytes = atomic_load(&landing->bytes);
    if (landing->most && __builtin_add_overflow(landing->most, bytes, &landing->most))
        landing->most = 0;
}

bool landing_has_taken(const struct landing *landing, unsigned parts)
{
    return landing->most && atomic_load(&landing->bytes) / parts > landing->most / 12;
}

const struct secret *landing_secret(struct landing *landing)
{
    if (!landing->has_secret)
        secret_draw(&landing->secret);
    landing->has_secret = true;
    return &landing->secret;
}

noreturn void fail_over(struct landing *landing)
{
    fail(landing, ONNX_FUSE_LIMIT, "%s: needs more than %zu MiB of memory, the limit for %zu bytes of input",
         landing->path, landing->most >> 20, landing->input);
}
