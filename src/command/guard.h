/* command/guard.h: a mapped file that gets shorter, or a disk that fails, is an error and no signal.
 *
 * A read of a mapped page that the kernel cannot give raises SIGBUS. The command's handler puts a
 * page of zeros there and counts; the run goes on with the zeros and is given up before its output
 * appears. For the whole process: the library never installs it. */
#ifndef COMMAND_GUARD_H
#define COMMAND_GUARD_H

/* Catches SIGBUS, and lets a write beyond the limit on file sizes fail instead of ending us. */
void guard_install(void);
/* Pages so far that could not be read. */
unsigned guard_faults(void);
/* What to say then. */
extern const char guard_message[];

#endif
