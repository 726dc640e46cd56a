/* command/sandbox.h: gives up unneeded privileges before the command reads a model.
 *
 * No network, programs or other processes; only files that the run must read and write. Uses Landlock (files, since
 * 5.13) and seccomp (system calls), if the kernel has them. The effect is permanent, for this thread and threads
 * that it starts later, so the library never calls it. */
#ifndef COMMAND_SANDBOX_H
#define COMMAND_SANDBOX_H

#include <stdbool.h>

struct sandbox {
    int ruleset;           /* of Landlock; -1: the kernel does not have it */
    unsigned long handled; /* file rights that it supports */
};

/* False if the build omits the sandbox; then nothing below does anything. */
bool sandbox_is_built(void);
void sandbox_open(struct sandbox *sandbox);
/* Allows reading a model, its folder and the folders below. "-" is the current folder. Ignores a path that does not
 * exist: opening it will report the error. */
void sandbox_allow_model(const struct sandbox *sandbox, const char *path);
/* Allows reading everything, because links to external data may lead anywhere. */
void sandbox_allow_reading(const struct sandbox *sandbox);
/* Allows writing this file, and creating, removing and writing files in its folder. */
void sandbox_allow_output(const struct sandbox *sandbox, const char *path);
/* The same for a folder and everything below it. */
void sandbox_allow_folder(const struct sandbox *sandbox, const char *path);

enum sandbox_means { SANDBOX_NONE = 0, SANDBOX_LANDLOCK = 1, SANDBOX_SECCOMP = 2 };
/* Puts it in force and frees it. Returns the means that are: a set of sandbox_means. */
int sandbox_close(struct sandbox *sandbox);

#endif
