/* command/sandbox.h: the command gives away what it does not need, before it reads a byte of a model.
 *
 * No network, no program, no other process; files only where the run was told to read and write.
 * Of the kernel's means those are used that it has: Landlock (files, 5.13 on) and seccomp (calls).
 * It is for good, for this thread and those it starts from then on: the library never calls it. */
#ifndef COMMAND_SANDBOX_H
#define COMMAND_SANDBOX_H

#include <stdbool.h>

struct sandbox {
    int ruleset;           /* of Landlock; -1: this kernel has none */
    unsigned long handled; /* rights on files that it knows */
};

/* False where the build leaves it out: nothing below does anything. */
bool sandbox_is_built(void);
void sandbox_open(struct sandbox *sandbox);
/* A model may be read, and what lies in its folder and below. "-" is the current folder. A path
 * that leads nowhere is left out: whoever opens it says what is wrong. */
void sandbox_allow_model(const struct sandbox *sandbox, const char *path);
/* Everything may be read: links to external data may lead anywhere. */
void sandbox_allow_reading(const struct sandbox *sandbox);
/* This file may be written, and files in its folder may come, go and be written. */
void sandbox_allow_output(const struct sandbox *sandbox, const char *path);
/* The same for a folder and all below it. */
void sandbox_allow_folder(const struct sandbox *sandbox, const char *path);

enum sandbox_means { SANDBOX_NONE = 0, SANDBOX_LANDLOCK = 1, SANDBOX_SECCOMP = 2 };
/* Puts it in force and frees it. Returns the means that are: a set of sandbox_means. */
int sandbox_close(struct sandbox *sandbox);

#endif
