/* heap.h: what the code under test asks of the system, counted, and refused on demand.
 *
 * Linked with --wrap of malloc, calloc, realloc, free, mmap and munmap. Threads may allocate side
 * by side. */
#ifndef HEAP_H
#define HEAP_H

#include <stdbool.h>
#include <stddef.h>

/* Options of the linker are in meson.build. Begins to count: from here on, request number `refused`
 * fails (1: the first one; 0: none). */
void heap_begin(size_t refused);
/* Ends it. Returns how many requests there were. */
size_t heap_end(void);
/* The most bytes that were in use at once between the two, of those asked for there. */
size_t heap_peak(void);
/* Bytes asked for between the two and not given back yet. */
size_t heap_left(void);

#endif
