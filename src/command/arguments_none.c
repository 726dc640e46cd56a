/* command/arguments_none.c: for systems where arguments and streams are bytes, and shells expand wildcards. */
#include "command/arguments.h"

void arguments_take(int *count, char ***arguments)
{
    (void)count, (void)arguments;
}
