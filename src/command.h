/* command.h: the subcommands, one row and one file command_NAME.c each.
 *
 * `onnx-repvgg-fuse NAME ...` calls command_NAME with NAME taken out: arguments[0] is the name of
 * the program, as getopt wants it. Without a subcommand the program fuses; a model file that is
 * called like a subcommand is given as ./NAME. */
#ifndef COMMAND_H
#define COMMAND_H

#include <stdbool.h>

/* Name, and what --help says of it. */
#define COMMANDS(ROW)                                                                              \
    ROW(diff, "tell what changed from one model to another")                                       \
    ROW(dump, "print a model as text, one node a line")                                            \
    ROW(info, "print what is in a model and what would be fused")                                  \
    ROW(verify, "tell whether two models compute the same")

#define COMMAND_DECLARE(name, purpose) int command_##name(int count, char **arguments);
COMMANDS(COMMAND_DECLARE)
#undef COMMAND_DECLARE

/* Before a byte of a model is read, for a command that only reads: models it reads, NULL-terminated,
 * and whether links to external data may lead anywhere. */
void confine(const char *const *models, bool follow_symlinks);

/* Exit statuses. diff and verify call 1 different. */
enum { DONE = 0, WARNED = 1, TROUBLE = 2 };

/* Prints "onnx-repvgg-fuse: " and the message on standard error. `format` has one %s, for `detail`.
 * Returns TROUBLE. */
int trouble(const char *format, const char *detail);

/* False when the text is not one finite number and nothing else. */
bool parse_number(const char *text, double *number);

/* The status, or TROUBLE and a message when a part of a file could not be read meanwhile. To be asked
 * before anything is printed of what was read. */
int doubt(int status);

#endif
