/* base/progress.h: how far a call has come, told to its caller. */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdbool.h>

struct progress {
    bool (*tell)(void *closure, const char *step, double fraction); /* NULL: nobody asks */
    void *closure;
};

/* False: the caller wants no more. */
static inline bool progress_tell(const struct progress *progress, const char *step, double fraction)
{
    return !progress->tell || progress->tell(progress->closure, step, fraction);
}

#endif
