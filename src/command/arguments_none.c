/* command/arguments_none.c: for systems where arguments and streams are bytes, and shells expand wildcards. */
#include "command/arguments.h"

struct arguments arguments_take(int count, char **values)
{
    return (struct arguments){count, values};
}
