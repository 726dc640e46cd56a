/* command/guard.h: turns a mapped file that shrinks, or a failing disk, into an error instead of a signal.
 *
 * If the kernel cannot provide a mapped page, reading it raises SIGBUS. The command's handler maps a page of zeros
 * there and counts it; the run continues with the zeros, and fails before its output appears. It affects the whole
 * process, so the library never installs it. */
#ifndef COMMAND_GUARD_H
#define COMMAND_GUARD_H

/* Catches SIGBUS, and makes a write beyond the file size limit fail instead of ending the process. */
void guard_install(void);
/* The number of unreadable pages so far. */
unsigned guard_faults(void);
/* The error message for them. */
extern const char guard_message[];

#endif
