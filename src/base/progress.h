/* base/progress.h: reports the progress of a call to its caller. */
#ifndef BASE_PROGRESS_H
#define BASE_PROGRESS_H

#include <stdbool.h>

struct progress {
    bool (*tell)(void *closure, const char *step, double fraction); /* may be NULL */
    void *closure;
};

/* False: the caller stops the run. */
static inline bool progress_tell(const struct progress *progress, const char *step, double fraction)
{
    return !progress->tell || progress->tell(progress->closure, step, fraction);
}

#endif
