/* command/arguments.h: what main was given, as UTF-8, whatever the system. */
#ifndef COMMAND_ARGUMENTS_H
#define COMMAND_ARGUMENTS_H

struct arguments {
    int count;
    char **values;
};

/* Of those of main. Where the system has them otherwise they are converted, and wildcards expanded, which its shells
 * leave to programs. Standard streams carry bytes from then on. For the whole process. */
struct arguments arguments_take(int count, char **values);

#endif
