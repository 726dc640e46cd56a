/* base/ahead.h: a thread that prepares pages before they are needed.
 *
 * A plan of a million nodes fills gigabytes, and the system clears each page on its first access. That is half the
 * time of loading and planning, during which the other cores are idle. Pages may be used at any time, prepared or
 * not. Only the run time depends on this thread. */
#ifndef BASE_AHEAD_H
#define BASE_AHEAD_H

#include <stddef.h>

struct ahead;

/* NULL if the system has no thread or memory left. */
struct ahead *ahead_begin(void);
/* Prepares these pages from the first on, instead of earlier ones. They must stay mapped for writing until the next
 * call or the end of the thread. */
void ahead_prepare(struct ahead *ahead, void *bytes, size_t size);
/* Ends the thread. NULL is fine. */
void ahead_end(struct ahead *ahead);

#endif
