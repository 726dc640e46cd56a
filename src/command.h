/* command.h: the subcommands, one row and one file command_NAME.c each.
 *
 * `onnx-repvgg-fuse NAME ...` calls command_NAME with NAME taken out: arguments[0] is the name of
 * the program, as getopt wants it. Without a subcommand the program fuses; a model file that is
 * called like a subcommand is given as ./NAME. */
#ifndef COMMAND_H
#define COMMAND_H

/* Name, and what --help says of it. */
#define COMMANDS(ROW)                                                                              \
    ROW(diff, "tell what changed from one model to another")                                       \
    ROW(dump, "print a model as text, one node a line")                                            \
    ROW(info, "print what is in a model and what would be fused")                                  \
    ROW(verify, "tell whether two models compute the same")

#define COMMAND_DECLARE(name, purpose) int command_##name(int count, char **arguments);
COMMANDS(COMMAND_DECLARE)
#undef COMMAND_DECLARE

/* Exit statuses. diff and verify call 1 different. */
enum { DONE = 0, WARNED = 1, TROUBLE = 2 };

/* Prints "onnx-repvgg-fuse: " and the message on standard error. `format` has one %s, for `detail`.
 * Returns TROUBLE. */
int trouble(const char *format, const char *detail);

#endif
