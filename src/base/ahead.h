/* base/ahead.h: a thread that makes pages ready before they are asked for.
 *
 * A plan of a million nodes fills gigabytes, and the system clears each page when it is first
 * touched: half of the time of loading and planning, which one thread does while the other cores
 * wait. What is prepared may be used at once, ready or not. Nothing but time depends on it. */
#ifndef BASE_AHEAD_H
#define BASE_AHEAD_H

#include <stddef.h>

struct ahead;

/* NULL where the system has no thread or no memory to give. */
struct ahead *ahead_begin(void);
/* Makes these pages ready from the first on, instead of those it was told of before. They must stay
 * mapped, for writing, until it is told of others or ended. */
void ahead_prepare(struct ahead *ahead, void *bytes, size_t size);
/* Ends the thread. NULL is fine. */
void ahead_end(struct ahead *ahead);

#endif
