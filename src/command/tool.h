/* command/tool.h: functions shared by main and the subcommands. */
#ifndef COMMAND_TOOL_H
#define COMMAND_TOOL_H

#include <getopt.h>
#include <stdbool.h>
#include <stddef.h>

/* Name, and description in --help. */
#define COMMANDS(ROW)                                                                                                  \
    ROW(diff, "show what changed from one model to another")                                                           \
    ROW(dump, "print a model as text, one node a line")                                                                \
    ROW(info, "print what a model holds and what would be fused")                                                      \
    ROW(verify, "check whether two models compute the same")

#define COMMAND_DECLARE(name, purpose) int command_##name(int count, char **arguments);
COMMANDS(COMMAND_DECLARE)
#undef COMMAND_DECLARE

/* Enters the sandbox of a command that only reads, before it reads: the models, NULL-terminated, and whether links
 * to external data may lead anywhere. */
void confine(const char *const *models, const char *report, bool follow_symlinks);

/* Exit statuses. diff and verify call 1 different. */
enum { DONE = 0, WARNED = 1, TROUBLE = 2 };

/* Prints "onnx-repvgg-fuse: " and the message on standard error. `format` has one %s, for `detail`.
 * Returns TROUBLE. */
int trouble(const char *format, const char *detail);

/* After getopt has reported an unknown option: suggests the nearest one. `help`: "info --help". Returns TROUBLE. */
int unknown_option(char *const *arguments, const struct option *options, const char *help);

/* By malloc; NULL: out of memory. */
char *copy_text(const char *text);
/* The same, without characters that a terminal interprets. */
char *plain_text(const char *text);

/* True for one of a list that ends with NULL. */
bool is_one_of(const char *text, const char *const *names);

/* False if the text is not exactly one finite number. */
bool parse_number(const char *text, double *number);

/* The status, or TROUBLE with a message if a part of a file could not be read. Call it before printing anything that
 * was read. */
int check_faults(int status);

/* Adds a name. *names is grown by realloc and ends with NULL. False: out of memory. */
bool add_name(const char ***names, size_t *count, const char *name);
/* Adds the names of a comma-separated list, which it modifies. */
bool add_names(const char ***names, size_t *count, char *list);

#endif
